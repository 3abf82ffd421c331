"""How many root spans of a segment have a value: told from what was counted of it before, for a segment never changes.

A page of traces says how many there are, and looking for those takes as long as the page. Where a text column of the
root spans has few different values, which their users, agents and environments are, all of its values are counted at
once when it is asked for a second time. Counting one value again and again takes a millisecond and a half for each half
a million traces; counting them all, once, some ten times as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import TRUE, And, Filter, Is, Measure, Summarize
from colonnade.engine.relational import Statement

_MANY: Final = 20_000
"""A column that has about so many different values, or more, is looked through each time."""
_TEXTS: Final = ("text", "uuid")

Query = Callable[[Statement], pa.Table]


class Counts:
    """What was counted of the root spans of one segment. Several threads may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: int | None = None
        self._asked: set[str] = set()
        self._values: dict[str, dict[str, int] | None] = {}

    def of(self, wanted: tuple[str, str] | None, source: str, query: Query) -> int | None:
        """The rows of ``source``, or those where a column has a value; ``None`` where that has to be looked for."""
        with self._lock:
            if wanted is None:
                if self._rows is None:
                    self._rows = int(query(Statement(f"SELECT count(*) FROM {source}")).column(0)[0].as_py())
                return self._rows
            column, value = wanted
            if column not in self._values:
                if column not in self._asked:
                    self._asked.add(column)
                    return None
                self._values[column] = _values(column, source, query)
            values = self._values[column]
            return None if values is None else values.get(value, 0)


def countable(plan: Summarize) -> bool:
    """Whether nothing but rows is counted: all of them, or those where a text column has a value."""
    match plan.measures:
        case (Measure(function="count", column=None),) if not plan.by:
            return _alone(plan.where) == TRUE or value_of(plan) is not None
    return False


def value_of(plan: Summarize) -> tuple[str, str] | None:
    """The column that is to have a value, and that, where this is all that is asked."""
    match _alone(plan.where):
        case Is(str() as column, "=", str() as value) if plan.table.column(column).kind.name in _TEXTS:
            return column, value
    return None


def _alone(where: Filter) -> Filter:
    return where.of[0] if isinstance(where, And) and len(where.of) == 1 else where


def _values(column: str, source: str, query: Query) -> dict[str, int] | None:
    """How often each value is there; ``None`` where there are too many."""
    name = DUCKDB.ident(column)
    told = query(Statement(f"SELECT CAST(stats({name}).approx_unique AS BIGINT) FROM {source} LIMIT 1"))
    if any((many or 0) >= _MANY for many in told.column(0).to_pylist()):  # none is told of no rows, or of nulls alone
        return None
    found = query(Statement(f"SELECT {name}, count(*) FROM {source} WHERE {name} IS NOT NULL GROUP BY {name}"))
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
