"""Texts that are too long for an index: PostgreSQL's take up to 2,704 bytes, and an identifier may be a megabyte.

Tables begin with a primary key and indexes of their columns as they are. When the first row comes that does not fit,
the table is made *wide*, once: its key and default indexes are then of ``short`` texts, which are the texts themselves
up to some hundred bytes, and their beginnings and digests beyond. Who looks for a text looks for its short one there,
and where that is not the text itself, for the text as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import Final

from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.errors import InvalidInput
from colonnade.schemas.table import Table

_BYTES: Final = 600
"""Of a text that is its own short one: three of them, and a time, fit into an index."""
_BEGINNING: Final = 40
_MARK: Final = "\ufdd0long"


class TooWide(InvalidInput):
    """A row has a text that does not fit into an index; of ``table``, where that is known."""

    table: Table | None = None


def short(text: str) -> str:
    """The short text of a text."""
    raw = text.encode()
    if len(raw) <= _BYTES:
        return text
    return f"{_MARK}{text[:_BEGINNING]}{_digest(raw)}{_digest(b'1' + raw)}"


def _digest(raw: bytes) -> str:
    return md5(raw, usedforsecurity=False).hexdigest()


def shortened(column: str) -> str:
    """SQL for the short text of a column."""
    digest = f"left({column}, {_BEGINNING}) || md5({column}) || md5('1' || {column})"
    return f"CASE WHEN octet_length({column}) <= {_BYTES} THEN {column} ELSE '{_MARK}' || {digest} END"


def columns_of(table: Table) -> frozenset[str]:
    """The columns of a table whose texts may be too long: those of its key and of its indexes."""
    named = {*table.key, *(name for index in table.facts.indexes for name in index.columns)}
    return frozenset(name for name in named if table.columns[name].kind.name == "text")


def terms(table: Table, names: Sequence[str], *, wide: bool) -> str:
    """Columns as an index has them."""
    texts = columns_of(table) if wide else frozenset()
    return ", ".join(f"({shortened(POSTGRES.ident(n))})" if n in texts else POSTGRES.ident(n) for n in names)


def key_name(physical: str) -> str:
    """The name of the unique index that a wide table has instead of a primary key."""
    return f"{physical}_wide_key"


def widened(table: Table, name: str, physical: str) -> Iterator[str]:
    """DDL that makes a table wide: a unique index of short texts in the place of its primary key."""
    ident = POSTGRES.ident
    yield f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"
    key = terms(table, table.key, wide=True)
    yield f"CREATE UNIQUE INDEX IF NOT EXISTS {ident(key_name(physical))} ON {name} ({key})"
    yield f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {ident(physical + '_pkey')}"
