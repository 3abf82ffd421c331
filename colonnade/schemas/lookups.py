"""What a store with indexes has one for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from colonnade.schemas.table import Index, Table

_MORE: Final[Mapping[str, tuple[Index, ...]]] = {"spans": (Index((), "startedAt"),)}


def lookups(table: Table) -> tuple[Index, ...]:
    """The indexes that a table's schema asks for; of spans also one by time alone, with no columns before it.

    It has the newest of all spans, pages of them, and those of a stretch of time. Elsewhere a sort of the table is
    enough.
    """
    return (*table.facts.indexes, *_MORE.get(table.name, ()))
