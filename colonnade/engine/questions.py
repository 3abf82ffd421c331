"""``store.queries``: the questions of ``colonnade.queries``, bound to a storage and in its colour."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Questions(Domain[C]):
    """Questions over everything that is kept."""

    name: ClassVar[str] = "queries"
