"""The narrow waist: five verbs over Arrow tables, and nothing else.

Domains and queries are written once, on top of these; stores once, below. Plans are frozen values: they can be built,
compared, printed and routed without a store. The rules that hold on every store:

- nulls sort last in both directions unless an order says ``nulls_first``; text compares by code point;
- every order is completed by the table's key, so pages are stable;
- an empty one-of is false; comparison with null is null, NOT keeps it null; a row is kept only where a filter is true;
- timestamps are microseconds in UTC, bigint is int64 in full;
- ``Put`` is an upsert by key and the last row of a key wins, with two exceptions that the schema states: a column
  written ``once`` keeps its stored value, and a row whose ``final`` column is set is never replaced by one where it is
  null.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import is_
from typing import Any, Literal, TypeVar

import pyarrow as pa

from colonnade.errors import InvalidInput
from colonnade.schemas.records import Record, decode
from colonnade.schemas.table import Table

Comparison = Literal["=", "!=", "<", "<=", ">", ">=", "has"]
Function = Literal["count", "sum", "min", "max", "mean", "p50", "p95", "p99"]


class Filter:
    """A condition on a row: true, false or null (unknown). Combine with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        parts = (*_parts(And, self), *_parts(And, other))
        return parts[0] if len(parts) == 1 else And(parts)

    def __or__(self, other: Filter) -> Filter:
        parts = (*_parts(Or, self), *_parts(Or, other))
        return parts[0] if len(parts) == 1 else Or(parts)

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> bool:  # which `and` and `0 < x < 1` ask for, and would drop one of two conditions
        raise InvalidInput("a condition is true or false of a row only: join several with &, | and ~, in parentheses")


@dataclass(frozen=True, slots=True)
class At:
    """A place inside a JSON column: ``At("metadata", ("user", "plan"))``. The empty path is the whole value."""

    column: str
    path: tuple[str | int, ...] = ()


Place = str | At


@dataclass(frozen=True, slots=True)
class Is(Filter):
    """Compare a place with a value.

    At a place inside JSON, ``=`` and ``!=`` are typed deep equality (``1`` is not ``"1"`` or ``True``), the orderings
    hold between numbers or between texts and are null otherwise, and ``has`` asks whether an array there has such an
    element. A missing place is null.
    """

    place: Place
    op: Comparison
    value: Any


@dataclass(frozen=True, slots=True)
class OneOf(Filter):
    """Whether a column equals one of some values."""

    column: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Among(Filter):
    """Whether a column equals ``of`` in some row that a scan gives: a semi-join."""

    column: str
    scan: Scan
    of: str


@dataclass(frozen=True, slots=True)
class Null(Filter):
    """Whether a place is null; inside JSON, missing or JSON null. Never null itself."""

    place: Place


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """Whether a text or JSON column, as it is stored, has a text in it, letters of either case alike (``words``)."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The opposite; null stays null."""

    of: Filter


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of the parts; true of none."""

    of: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of the parts; false of none."""

    of: tuple[Filter, ...]


TRUE = And(())
FALSE = Or(())


def each_leaf(filter: Filter, leaf: Callable[[Filter], Filter]) -> Filter:
    """A filter with ``leaf`` of each condition that joins no others; itself, where each is what it was."""
    match filter:
        case And(parts) | Or(parts):
            made = tuple([each_leaf(part, leaf) for part in parts])
            return filter if type(parts) is tuple and all(map(is_, made, parts)) else type(filter)(made)
        case Not(of):
            inner = each_leaf(of, leaf)
            return filter if inner is of else Not(inner)
    return leaf(filter)


def _parts(joint: type[And] | type[Or], filter: Filter) -> tuple[Filter, ...]:
    return filter.of if isinstance(filter, joint) else (filter,)


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a column."""

    column: str
    descending: bool = False
    nulls_first: bool = False


def asc(column: str) -> Order:
    """Ascending, nulls last."""
    return Order(column)


def desc(column: str) -> Order:
    """Descending, nulls last."""
    return Order(column, descending=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A timestamp column cut down to a multiple of ``width`` since the Unix epoch; null stays null."""

    column: str
    width: timedelta

    @classmethod
    def of(cls, column: str, width: str) -> Bucket:
        """``Bucket.of("startedAt", "1h")``; units are s, m, h and d."""
        units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
        if len(width) < 2 or width[-1] not in units or not width[:-1].isdecimal() or int(width[:-1]) < 1:
            raise InvalidInput(f"{width!r} is no width of a bucket; write a number and s, m, h or d, such as '15m'")
        return cls(column, timedelta(seconds=int(width[:-1]) * units[width[-1]]))


@dataclass(frozen=True, slots=True)
class Measure:
    """One number to summarize: ``Measure("sum", "cost")``; ``Measure("count")`` counts rows.

    ``count`` of a column counts what is not null. Quantiles interpolate linearly. ``minus`` is a column to subtract:
    ``Measure("p95", "endTime", minus="startTime")``; both hold whole numbers, and their difference is exact, then a
    float64, and null where either is null. Named after function and columns unless ``name`` says otherwise.
    """

    function: Function
    column: str | None = None
    name: str = ""
    minus: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", "_".join([self.function, *self.columns]))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return tuple(name for name in (self.column, self.minus) if name is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """Upsert rows by key: ``data`` has exactly the table's columns. Answers how many rows were given.

    With ``expect`` (some columns of rows as they were read, the key among them) it is compare-and-set over all of
    ``data``: rows that are in ``expect`` must still be stored so, the others must not be stored; otherwise ``Conflict``
    and nothing is written.
    ``data`` may be ``FewRows`` too, which the waist makes Arrow of for all stores but those that can take them.
    """

    table: Table
    data: pa.Table
    expect: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Set columns to constants where a filter holds. Answers how many rows changed."""

    table: Table
    where: Filter
    values: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows where a filter holds, ordered, cut and projected. Without an order, rows come in any order."""

    table: Table
    where: Filter = TRUE
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    columns: tuple[str, ...] | None = None
    few: bool = field(default=False, compare=False)
    """Whether the answer may be ``FewRows``, for it is decoded at once."""

    @property
    def complete_order(self) -> tuple[Order, ...]:
        """The order with the key appended, so that equal rows have a place; empty where rows may come in any order."""
        if not self.order and self.limit is None and not self.offset:
            return ()
        terms: dict[str, Order] = {}
        for term in (*self.order, *map(asc, self.table.key)):
            terms.setdefault(term.column, term)
        return tuple(terms.values())

    @property
    def projection(self) -> tuple[str, ...]:
        """The columns that it gives."""
        return self.table.names if self.columns is None else self.columns

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its answer."""
        return self.table.schema_of(self.projection)

    def but(self, **changes: Any) -> Scan:
        """The same scan, changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Summarize:
    """One row a group: the ``by`` columns (a bucket under its column's name), then the measures; sorted by group.

    Without ``by`` it is exactly one row.
    """

    table: Table
    by: tuple[str | Bucket, ...] = ()
    measures: tuple[Measure, ...] = (Measure("count"),)
    where: Filter = TRUE

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it gives: the groups, then the measures."""
        groups = (term if isinstance(term, str) else term.column for term in self.by)
        return (*groups, *(measure.name for measure in self.measures))


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the rows where a filter holds. Answers how many."""

    table: Table
    where: Filter


@dataclass(frozen=True, slots=True)
class Search:
    """Rows that hold words, best first: all of the words among their columns, or with ``some`` at least one.

    Answers the key, ``score``, and the ``column`` and ``snippet`` where the words are. ``searching`` defines how rows
    are ranked, the same on every store.
    """

    table: Table
    words: tuple[str, ...]
    columns: tuple[str, ...]
    where: Filter = TRUE
    limit: int = 10
    some: bool = False


@dataclass(frozen=True, slots=True)
class Nearest:
    """The ``k`` rows whose vectors are nearest to one by their angle, nearest first; ties by key.

    Answers ``columns`` and the ``similarity``: the cosine, from 1 (the same direction) to -1, to nine digits; 0 for
    zeros. Vectors of other dimensions are passed over. ``neighbours`` computes it.
    """

    table: Table
    column: str
    vector: tuple[float, ...]
    k: int = 10
    where: Filter = TRUE
    columns: tuple[str, ...] | None = None

    @property
    def projection(self) -> tuple[str, ...]:
        """The columns that it gives, before the similarity."""
        return self.table.names if self.columns is None else self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that it gives."""
        return (*self.projection, "similarity")


Plan = Put | Patch | Scan | Summarize | Delete | Search | Nearest

R = TypeVar("R")
Steps = Generator[Plan, Any, R]
"""What domain operations and questions are: they yield plans and are sent the answers."""


def rows(plan: Scan | Summarize | Search | Nearest) -> Steps[pa.Table]:
    """Ask for rows, typed: ``found = yield from rows(Scan(...))``."""
    answer: pa.Table = yield plan
    return answer


def records(plan: Scan) -> Steps[list[Record]]:
    """Ask for rows as records, for which no Arrow is made where a store can do without."""
    # Spelled out, since `replace` takes longer than a store does to find a row.
    few = Scan(plan.table, plan.where, plan.order, plan.limit, plan.offset, plan.columns, few=True)
    return decode(plan.table, (yield few))


def change(plan: Put | Patch | Delete) -> Steps[int]:
    """Change rows, typed: ``count = yield from change(Delete(...))``."""
    count: int = yield plan
    return count


def count(table: Table, where: Filter = TRUE) -> Steps[int]:
    """How many rows there are where a filter holds."""
    answer = yield from rows(Summarize(table, where=where))
    return int(answer.column("count")[0].as_py())


def is_equal(**values: object) -> Filter:
    """All columns equal to their values, for those that are not ``None``: the usual optional arguments."""
    return And(tuple(Is(column, "=", value) for column, value in values.items() if value is not None))


def between(
    column: str,
    start: datetime | None,
    end: datetime | None,
    *,
    start_exclusive: bool = False,
    end_exclusive: bool = False,
) -> Filter:
    """A column within a range of time, inclusive unless said otherwise, open where an end is ``None``."""
    lower = () if start is None else (Is(column, ">" if start_exclusive else ">=", start),)
    upper = () if end is None else (Is(column, "<" if end_exclusive else "<=", end),)
    return And((*lower, *upper))


def after(order: tuple[Order, ...], last: tuple[Any, ...]) -> Filter:
    """The rows that come after the row with these values in an order: the next keyset page.
    The columns must hold no nulls (identifiers and start times do not).
    """
    parts: list[Filter] = []
    for place, (term, value) in enumerate(zip(order, last, strict=True)):
        same = [Is(before.column, "=", known) for before, known in zip(order[:place], last, strict=False)]
        parts.append(And((*same, Is(term.column, "<" if term.descending else ">", value))))
    return Or(tuple(parts))
