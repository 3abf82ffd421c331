"""What a plan says of the rows and the columns that it is about, and so of what need not be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import Final

from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import And, Bucket, Filter, Is, OneOf, Scan, Summarize
from colonnade.engine.stores.embedded.index import INDEXED
from colonnade.schemas.moments import micros_of
from colonnade.schemas.table import Table

_FEW: Final = 128
"""A filter on at most so many ids is looked up in the indexes."""


def scanned(plan: Scan) -> tuple[str, ...]:
    """The columns that a scan gives or orders by."""
    if plan.columns is plan.table.light and all(term.column in plan.columns for term in plan.complete_order):
        return plan.columns  # what is mostly asked for
    wanted = {*plan.projection, *(term.column for term in plan.complete_order)}
    return tuple(name for name in plan.table.columns if name in wanted)


def summarized(plan: Summarize) -> tuple[str, ...]:
    """The columns that a summary looks at, one at least."""
    return looked_at(plan) or plan.table.key[:1]


def looked_at(plan: Summarize) -> tuple[str, ...]:
    """The columns that a summary looks at; none where it only counts."""
    named = named_columns(plan.where) | {name for measure in plan.measures for name in measure.columns}
    named |= {term.column if isinstance(term, Bucket) else term for term in plan.by}
    return tuple(name for name in plan.table.columns if name in named)


def narrowing(table: Table, where: Filter) -> tuple[str, tuple[str, ...]] | None:
    """An indexed column and the few values of it to which a filter narrows the rows, where it does."""
    for column in INDEXED[table.name]:
        if (values := values_of(where, column)) is not None:
            return column, values
    return None


def values_of(where: Filter, column: str) -> tuple[str, ...] | None:
    """The values of a column to which a filter narrows the rows, where it does and they are few."""
    for part in where.of if isinstance(where, And) else (where,):
        match part:
            case Is(place, "=", str() as value) if place == column:
                return (value,)
            case OneOf(name, values) if name == column and len(values) <= _FEW and None not in values:
                return tuple(dict.fromkeys(values))
            case And():
                if (found := values_of(part, column)) is not None:
                    return found
    return None


def times_of(where: Filter, column: str) -> tuple[float, float]:
    """The first and the last time, in microseconds, that a filter lets a column have."""
    first, last = -inf, inf
    for part in where.of if isinstance(where, And) else (where,):
        match part:
            case Is(place, ("=" | ">" | ">=") as op, datetime() as value) if place == column:
                first = max(first, micros_of(value))
                last = min(last, micros_of(value)) if op == "=" else last
            case Is(place, "<" | "<=", datetime() as value) if place == column:
                last = min(last, micros_of(value))
            case And():
                within = times_of(part, column)
                first, last = max(first, within[0]), min(last, within[1])
    return first, last


def beyond(where: Filter, is_known: Callable[[Filter], bool]) -> Filter:
    """A filter without those of its parts that are known to hold."""
    return And(tuple(part for part in (where.of if isinstance(where, And) else (where,)) if not is_known(part)))
