"""What every store must answer: the waist in plain Python, over lists of dicts.

It shares no code with ``fold`` and no kernel with Arrow: two evaluations that were written apart agree only where both
are right. Rows hold stored values (identifiers and escaped text, JSON as text), times as microseconds since the epoch.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cmp_to_key, lru_cache
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import (
    Among,
    And,
    At,
    Bucket,
    Contains,
    Delete,
    Filter,
    Is,
    Measure,
    Nearest,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Put,
    Scan,
    Search,
    Summarize,
)
from colonnade.errors import Conflict, InvalidInput
from colonnade.schemas import table_named
from colonnade.schemas.payloads import escape_text, from_json, to_json
from colonnade.schemas.records import spell_value
from colonnade.schemas.table import Table
from colonnade.testing.searched import in_lower_case, search

Row = dict[str, Any]
Test = Callable[[Row], bool | None]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Near:
    """A float that a store may add up in any order: right within 1e-9 of the size of what was added."""

    value: float
    size: float

    def fits(self, found: object) -> bool:
        """Whether a store's answer is this number."""
        return isinstance(found, float) and abs(found - self.value) <= 1e-9 * self.size + 1e-300


@dataclass(frozen=True, slots=True)
class Anything:
    """The sum of floats overflows, and what comes then is not fixed: infinity, or an error."""

    def fits(self, found: object) -> bool:
        """Always."""
        return True


class Reference:
    """The tables of one storage, and what each plan does to them."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[tuple[Any, ...], Row]] = {}

    def copy(self) -> Reference:
        """A reference that goes on by itself: rows are never changed in place."""
        other = Reference()
        other._tables = {name: dict(rows) for name, rows in self._tables.items()}
        return other

    def rows(self, table: Table) -> list[Row]:
        """All rows of a table or a reading."""
        if (origin := table.facts.reading_of) is None:
            return list(self._tables.get(table.name, {}).values())
        there = dict(table.facts.renames)
        return [{name: row[there.get(name, name)] for name in table.columns} for row in self.rows(table_named(origin))]

    def scan(self, plan: Scan) -> list[Row]:
        """The rows, in their order where the plan gives one."""
        kept = self._kept(plan)
        if plan.order or plan.limit is not None or plan.offset:
            kept = in_order(kept, (*plan.order, *(Order(name) for name in plan.table.key)))
        end = None if plan.limit is None else plan.offset + plan.limit
        names = plan.table.columns if plan.columns is None else plan.columns
        return [{name: row[name] for name in names} for row in kept[plan.offset : end]]

    def summarize(self, plan: Summarize) -> list[Row]:
        """Groups in their order, each with its measures; ``InvalidInput`` where a sum leaves 64 bits."""
        groups: dict[tuple[Any, ...], list[Row]] = {} if plan.by else {(): []}
        for row in self._kept(plan):
            groups.setdefault(tuple(_group(term, row) for term in plan.by), []).append(row)
        names = [term if isinstance(term, str) else term.column for term in plan.by]
        answer = []
        for group, rows in groups.items():
            found = dict(zip(names, group, strict=True))
            answer.append(found | {each.name: _measure(each, plan.table, rows) for each in plan.measures})
        return in_order(answer, tuple(Order(name) for name in names))

    def search(self, plan: Search) -> list[Row]:
        """The best rows in their order: key, score and column."""
        return search(self._kept(plan), plan)

    def nearest(self, plan: Nearest) -> list[Row]:
        """The nearest rows in their order."""
        near = []
        for row in self._kept(plan):
            there = row[plan.column]
            if there is not None and len(there) == len(plan.vector):
                cosine = round(_cosine(there, plan.vector), 9)
                near.append((-cosine, _key(plan.table, row), {name: row[name] for name in plan.projection}))
        ordered = sorted(near, key=lambda each: each[:2])[: plan.k]
        return [row | {"similarity": -cosine} for cosine, _, row in ordered]

    def put(self, plan: Put) -> int:
        """Upsert; ``Conflict`` where ``expect`` is not what is stored."""
        rows = self._tables.setdefault(plan.table.name, {})
        incoming = plain(plan.data)
        keys = [_key(plan.table, row) for row in incoming]
        if plan.expect is not None:
            self._compare(plan.table, rows, set(keys), plain(plan.expect))
        final, once = plan.table.facts.final, plan.table.once
        for key, row in zip(keys, incoming, strict=True):
            before = rows.get(key)
            if before is None:
                rows[key] = row
            elif final is None or before[final] is None or row[final] is not None:
                rows[key] = row | {name: before[name] for name in once}
        return len(incoming)

    @staticmethod
    def _compare(table: Table, rows: dict[Any, Row], keys: set[Any], expected: list[Row]) -> None:
        known = {_key(table, row): row for row in expected}
        for key in keys:
            stored, read = rows.get(key), known.get(key)
            if (stored is None) != (read is None) or (stored and read and not is_same(table, stored, read)):
                raise Conflict(f"{key} changed since it was read")

    def patch(self, plan: Patch) -> int:
        """Set columns where the filter holds."""
        values = {name: spelled(plan.table, name, value) for name, value in plan.values.items()}
        found = self._kept(plan)
        for row in found:
            self._tables[plan.table.name][_key(plan.table, row)] = row | values
        return len(found)

    def delete(self, plan: Delete) -> int:
        """Forget the rows where the filter holds."""
        found = self._kept(plan)
        for row in found:
            del self._tables[plan.table.name][_key(plan.table, row)]
        return len(found)

    def _kept(self, plan: Scan | Summarize | Search | Nearest | Patch | Delete) -> list[Row]:
        holds = self._test(plan.where, plan.table)
        return [row for row in self.rows(plan.table) if holds(row)]

    def _test(self, filter: Filter, table: Table) -> Test:
        """A filter as a function of a row: true, false, or None for unknown."""
        match filter:
            case Is(At(column, path), op, value):
                wanted = from_json(to_json(value))
                return lambda row: _judge(_steps(row[column], path), op, wanted)
            case Is(str() as name, op, value):
                stored = spelled(table, name, value)
                return lambda row: None if row[name] is None or stored is None else _COMPARE[op](row[name], stored)
            case OneOf(name, values):
                known = [spelled(table, name, value) for value in values]
                return lambda row: _one_of(row[name], known)
            case Among(name, scan, of):
                found = [row[of] for row in self.scan(scan.but(columns=(of,))) if row[of] is not None]
                return lambda row: _one_of(row[name], found)
            case Null(At(column, path)):
                return lambda row: all(value is None for value in _steps(row[column], path))
            case Null(str() as name):
                return lambda row: row[name] is None
            case Contains(name, text):
                part = in_lower_case(escape_text(text))
                return lambda row: None if row[name] is None else part in in_lower_case(row[name])
            case Not(of):
                inner = self._test(of, table)
                return lambda row: _opposite(inner(row))
            case And(parts):
                tests = [self._test(part, table) for part in parts]
                return lambda row: _all(test(row) for test in tests)
            case Or(parts):
                tests = [self._test(part, table) for part in parts]
                return lambda row: _opposite(_all(_opposite(test(row)) for test in tests))
        raise TypeError(f"{filter!r} is no filter")


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


def plain(data: pa.Table) -> list[Row]:
    """Arrow rows as dicts; times as microseconds, which reach further than Python's."""
    columns = {}
    for field, column in zip(data.schema, data.columns, strict=True):
        moments = pa.types.is_timestamp(field.type)
        columns[field.name] = (column.cast(pa.int64()) if moments else column).to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def spelled(table: Table, column: str, value: object) -> Any:
    """A value of a plan as rows hold it."""
    stored = spell_value(table, column, value)
    return (stored - _EPOCH) // timedelta(microseconds=1) if isinstance(stored, datetime) else stored


def is_same(table: Table, left: Row, right: Row) -> bool:
    """Whether two rows say the same in the columns that the second has; JSON is compared as values."""
    for name, there in right.items():
        here = left[name]
        if here is None or there is None or table.columns[name].kind.name != "json":
            if here != there or (isinstance(here, float) and math.copysign(1, here) != math.copysign(1, there)):
                return False
        elif here != there and not _equal(_parsed(here), _parsed(there), nan=True):
            return False
    return True


def in_order(rows: list[Row], terms: Sequence[Order]) -> list[Row]:
    """Rows sorted by terms, the first of which counts most."""

    def compare(left: Row, right: Row) -> int:
        for term in terms:
            a, b = left[term.column], right[term.column]
            if a is None or b is None:
                if (a is None) != (b is None):
                    return -1 if (a is None) == term.nulls_first else 1
            elif a != b:
                return -1 if (a < b) != term.descending else 1
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    kept = struct.unpack(f"{len(right)}f", struct.pack(f"{len(right)}f", *right))  # as a store would keep it
    exact = [[Fraction(each) for each in vector] for vector in (left, kept)]
    dot = sum(a * b for a, b in zip(*exact, strict=True))
    squares = math.prod(sum(each * each for each in vector) for vector in exact)
    return 0.0 if not squares else math.copysign(math.sqrt(dot * dot / squares), dot)


def _opposite(held: bool | None) -> bool | None:
    return None if held is None else not held


def _all(parts: Iterable[bool | None]) -> bool | None:
    held = list(parts)
    return False if False in held else None if None in held else True


def _one_of(value: Any, known: Iterable[Any]) -> bool | None:
    values = list(known)
    if not values:
        return False
    if value is None:
        return None
    return True if value in values else None if None in values else False


_parsed: Final = lru_cache(4096)(from_json)  # the texts come from a pool, and nothing here changes what they hold


def _steps(text: str | None, path: tuple[str | int, ...]) -> Iterator[Any]:
    """The value at a path in JSON text; nothing at all where there is none."""
    if text is None:
        return
    value = _parsed(text)
    for step in path:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return
        elif not isinstance(value, list) or not 0 <= step < len(value):
            return
        value = value[step]
    yield value


def _judge(found: Iterator[Any], op: str, value: Any) -> bool | None:
    for place in found:
        if op in ("=", "!="):
            return _equal(place, value) == (op == "=")
        if op == "has":
            return any(_equal(item, value) for item in place) if isinstance(place, list) else None
        if (_number(place) and _number(value)) or (isinstance(place, str) and isinstance(value, str)):
            return _COMPARE[op](place, value)
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any, *, nan: bool = False) -> bool:
    """JSON equality: by type first, where all numbers are of one type. NaN equals itself only where that is asked."""
    if _number(left) and _number(right):
        return bool(left == right) or (nan and left != left and right != right)
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return set(left) == set(right) and all(_equal(left[name], right[name], nan=nan) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(_equal(*pair, nan=nan) for pair in zip(left, right, strict=True))
    return bool(left == right)


def _group(term: str | Bucket, row: Row) -> Any:
    if isinstance(term, str):
        return row[term]
    width = term.width // timedelta(microseconds=1)
    moment = row[term.column]
    return None if moment is None else moment - moment % width


def _measure(measure: Measure, table: Table, rows: list[Row]) -> Any:
    if measure.column is None:
        return len(rows)
    found = [row[measure.column] for row in rows if row[measure.column] is not None]
    if measure.minus is not None:
        both = [(row[measure.column], row[measure.minus]) for row in rows]
        found = [float(value - less) for value, less in both if value is not None and less is not None]
        if found and measure.function in ("min", "max"):  # of 65 bits the last may be rounded up or down
            found = [min(found) if measure.function == "min" else max(found)]
            return Near(found[0], abs(found[0]))
    if measure.function == "count":
        return len(found)
    if not found:
        return None
    match measure.function:
        case "min":
            return min(found)
        case "max":
            return max(found)
        case "sum" if measure.minus is None and table.columns[measure.column].kind.name != "float":
            if not -(2**63) <= sum(found) < 2**63:
                raise InvalidInput(f"the sum of {measure.column} does not fit into 64 bits")
            return sum(found)
        case "sum" | "mean":
            size = sum(map(abs, map(Fraction, found)))
            exact = sum(map(Fraction, found)) / (1 if measure.function == "sum" else len(found))
            return Near(float(exact), float(size)) if size < 1.7e308 else Anything()
        case quantile:
            place = Fraction(int(quantile[1:]), 100) * (len(found) - 1)
            low = math.floor(place)
            ordered = [Fraction(value) for value in sorted(found)]
            between = (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)
            size = max(map(abs, ordered))
            return Near(float(ordered[low] + between), float(size)) if size < 8e307 else Anything()
