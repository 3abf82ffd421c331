"""Where the rows of a filter are, under keys that it names or in stretches of sorted sets; and what is left to ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Final

from colonnade.engine.plan import And, Filter, Is, Null, OneOf, Or, Scan
from colonnade.engine.stores.upstash.layout import LARGEST, NULLS, indexes, member, score, set_name, time_column
from colonnade.schemas.table import Table

_KEYS: Final = 1_000
"""So many keys are looked up one by one; more are sought in sets."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a sorted set, by its scores as Redis writes them (``(5`` is beyond 5)."""

    name: str
    low: str = "-inf"
    high: str = "+inf"


@dataclass(frozen=True, slots=True)
class Cover:
    """The rows among which all are that a filter may keep."""

    members: tuple[str, ...] | None
    """The keys of the rows, where the filter names them."""
    stretches: tuple[Stretch, ...]
    """Otherwise where they are; no row is in two of them."""
    rest: tuple[Filter, ...]
    """What rows must be asked yet."""
    fixed: frozenset[str]
    """The columns that are the same in all that it keeps."""


def cover(where: Filter, table: Table) -> Cover:
    """Find the rows of a filter by the narrowest way that there is."""
    parts = tuple(_flat(where))
    equal = {part.place: part for part in parts if isinstance(part, Is) and _names_one(part)}
    some = {part.column: part for part in parts if isinstance(part, OneOf) and None not in part.values}
    fixed = frozenset(str(name) for name in equal)
    values: dict[str, tuple[Any, ...]] = {column: part.values for column, part in some.items()}
    values |= {str(column): (part.value,) for column, part in equal.items()}
    named: dict[Any, Filter] = {**some, **equal}
    used = [named[column] for column in table.key if column in named]
    if all(column in values for column in table.key):
        choices = [tuple(dict.fromkeys(values[column])) for column in table.key]
        if len(table.key) == 1 or _size(choices) <= _KEYS:
            return Cover(tuple(map(member, product(*choices))), (), _without(parts, used), fixed)
    listed = [part for part in parts if isinstance(part, Or) and _keys(part, table) is not None]
    if listed:
        keys = _keys(listed[0], table) or ()
        return Cover(tuple(dict.fromkeys(keys)), (), _without(parts, listed[:1]), fixed)
    names, used = _sets(table, parts, equal, some)
    low, high, timed = _bounds(parts, time_column(table))
    stretches = tuple(Stretch(name, low, high) for name in names)
    return Cover(None, stretches, _without(parts, [*used, *timed]), fixed)


def direction(plan: Scan, fixed: frozenset[str]) -> tuple[bool, bool] | None:
    """Whether a set gives rows in a plan's order: if moments go down, and if rows of one moment do. None if not."""
    terms = [term for term in plan.complete_order if term.column not in fixed]
    if not terms or terms[0].column != time_column(plan.table):
        return None
    ties = terms[1:]
    left = [column for column in plan.table.key if column not in fixed]
    if [term.column for term in ties][: len(left)] != left:
        return None
    down = {term.descending for term in ties[: len(left)]}
    if len(down) > 1:
        return None
    return terms[0].descending, next(iter(down), terms[0].descending)


def _flat(where: Filter) -> Iterator[Filter]:
    if isinstance(where, And):
        for part in where.of:
            yield from _flat(part)
    else:
        yield where


def _names_one(part: Is) -> bool:
    return isinstance(part.place, str) and part.op == "=" and part.value is not None


def _without(parts: tuple[Filter, ...], used: list[Any]) -> tuple[Filter, ...]:
    return tuple(part for part in parts if not any(part is each for each in used))


def _size(choices: list[tuple[Any, ...]]) -> int:
    size = 1
    for each in choices:
        size *= len(each)
    return size


def _keys(part: Or, table: Table) -> list[str] | None:
    """The keys that a filter lists, where that is all it does."""
    keys = []
    for each in part.of:
        named = {one.place: one.value for one in _flat(each) if isinstance(one, Is) and _names_one(one)}
        if named.keys() != set(table.key) or sum(1 for _ in _flat(each)) != len(named):
            return None
        keys.append(member([named[column] for column in table.key]))
    return keys


def _sets(table: Table, parts: tuple[Filter, ...], equal: Any, some: Any) -> tuple[list[str], list[Filter]]:
    known = [columns for columns in indexes(table) if all(column in equal for column in columns)]
    if known:
        columns = max(known, key=len)  # of several, the one that the schema has first
        return [set_name(table, columns, [equal[c].value for c in columns])], [equal[c] for c in columns]
    for columns in indexes(table):
        if len(columns) == 1 and columns[0] in some:
            part = some[columns[0]]
            return [set_name(table, columns, [value]) for value in dict.fromkeys(part.values)], [part]
    for part in parts:
        if isinstance(part, Null) and part.place in NULLS.get(table.name, ()):
            return [set_name(table, (str(part.place),), None)], [part]
    return [set_name(table)], []


def _bounds(parts: tuple[Filter, ...], column: str) -> tuple[str, str, list[Filter]]:
    """The scores between which rows are, and the conditions that say no more than these."""
    lows: list[tuple[int, bool]] = []
    highs: list[tuple[int, bool]] = []
    timed: list[Filter] = []
    for part in parts:
        if isinstance(part, Is) and part.place == column and isinstance(part.value, datetime) and part.op != "!=":
            at = score(part.value)
            exact = abs(at) < LARGEST
            if exact:
                timed.append(part)
            if part.op in (">", ">=", "="):
                lows.append((at, exact and part.op == ">"))
            if part.op in ("<", "<=", "="):
                highs.append((at, exact and part.op == "<"))
    low = max(lows, default=None)
    high = min(highs, key=lambda bound: (bound[0], not bound[1]), default=None)
    return _spelled(low, "-inf"), _spelled(high, "+inf"), timed


def _spelled(bound: tuple[int, bool] | None, unbounded: str) -> str:
    return unbounded if bound is None else f"({bound[0]}" if bound[1] else str(bound[0])
