"""Hypothesis strategies of plans: every node of the waist over any table's columns, and plans that must be refused.

They are ``composite`` throughout: what ``builds`` and ``map`` make is printed as the calls that made it, and that takes
minutes for a filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Among,
    And,
    At,
    Bucket,
    Comparison,
    Contains,
    Delete,
    Filter,
    Function,
    Is,
    Measure,
    Nearest,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Plan,
    Put,
    Scan,
    Search,
    Summarize,
)
from colonnade.schemas.kinds import NUMERIC, WHOLE, Column
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table
from colonnade.testing.strategies import ELEMENTS, JSON_VALUES, PATHS, THERE, crowd, records, values

ORDERED: Final = frozenset({"text", "uuid", "integer", "bigint", "float", "timestamp"})
"""Kinds whose values have an order that every store shares."""
SORTED: Final = ORDERED | {"boolean"}

_EQUALITY: Final[SearchStrategy[Comparison]] = st.sampled_from(("=", "!="))
_COMPARED: Final[SearchStrategy[Comparison]] = st.sampled_from(("=", "=", "=", "!=", "<", "<=", ">", ">="))
_FUNCTIONS: Final[SearchStrategy[Function]] = st.sampled_from(("sum", "sum", "mean", "min", "max", "p50", "p95", "p99"))
_LIMITS: Final = st.none() | st.integers(0, 8)
_OFFSETS: Final = st.just(0) | st.integers(0, 3)
_SEEDS: Final = st.none() | st.integers(0, 63)
_PARTS: Final = (
    *("a", "A", "hi", "100%", "1_0", "x' OR", "\\", '"a"', "\xe9", "\xc9", "\u05d0", "slash", "\0", ".", "K"),
    *("%", "_", "$", "\U0001f600", '": "'),
)
_VECTORS: Final = ((1.0, 0.0), (1.0, -0.5), (0.1, 3.0), (-1.0, 1.0, 0.25), (1e-30, 0.0, 0.0), (3e38, 3e38))
WORDS: Final = ("a", "hi", "100", "0", "x", "or", "where", "back", "slash", "cut", "null", "\xe9", "nowhere")
_WIDTHS: Final = (timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7))


def _columns(table: Table, *kinds: str) -> list[Column]:
    return [column for column in table.columns.values() if column.kind.name in kinds]


@cache
def _lead(table: Table, kinds: frozenset[str] | None = None) -> SearchStrategy[str]:
    """A column's name; half of the time one that is set in every row, so that wide tables give hits too."""
    columns = [column for column in table.columns.values() if kinds is None or column.kind.name in kinds]
    required = [column.name for column in columns if not column.nullable]
    every = [column.name for column in columns]
    return st.sampled_from(required or every) | st.sampled_from(every)


_NODES: Final = st.sampled_from(("leaf",) * 5 + ("not", "not", "and", "or", "or", "among", "all"))


@cache
def _names(table: Table, kinds: frozenset[str] | None = None, *, most: int = 3) -> SearchStrategy[list[str]]:
    return st.lists(_lead(table, kinds), max_size=most)


@cache
def _places(table: Table) -> SearchStrategy[str]:
    """Columns to filter by; JSON is where stores differ most."""
    documents = [column.name for column in _columns(table, "json")]
    return _lead(table) | st.sampled_from(documents) if documents else _lead(table)


@cache
def _projections(table: Table) -> SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from(list(table.columns)), min_size=1, max_size=4, unique=True)


@cache
def _values(column: Column, table: Table) -> SearchStrategy[list[Any]]:
    return st.lists(values(column, table) | st.none(), max_size=3)


@cache
@st.composite
def filters(draw: DrawFn, table: Table, others: tuple[Table, ...] = (), depth: int = 3) -> Filter:
    """Filters over a table's columns; semi-joins look into the other tables."""
    match draw(_NODES):
        case "all":
            return TRUE
        case "not" if depth:
            return Not(draw(filters(table, others, depth - 1)))
        case "and" if depth:
            return And(tuple(draw(_parts(table, others, depth))))
        case "or" if depth:
            return Or(tuple(draw(_parts(table, others, depth))))
        case "among" if others:
            return draw(_among(table, draw(st.sampled_from(others))))
    return draw(leaves(table))


@cache
def _parts(table: Table, others: tuple[Table, ...], depth: int) -> SearchStrategy[list[Filter]]:
    part = filters(table, others, depth - 1)
    return st.lists(part, min_size=1, max_size=3) | st.lists(part, max_size=3)


@cache
@st.composite
def some_rows(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Filter:
    """Filters that seldom hold for every row, for plans that change what they hold for."""
    match draw(st.sampled_from(range(4))):
        case 0:
            return draw(filters(table, others))
        case 1:
            return And((draw(leaves(table)), draw(leaves(table))))
    key = table.columns[table.key[0]]
    return OneOf(key.name, tuple(draw(st.lists(values(key, table), min_size=1, max_size=3))))


@cache
@st.composite
def leaves(draw: DrawFn, table: Table) -> Filter:
    """Conditions on one place."""
    column = table.columns[draw(_places(table))]
    kind = draw(st.sampled_from(range(10)))
    if kind == 0:
        return Null(column.name)
    if kind == 9 and column.kind.name in ("text", "json"):
        return Contains(column.name, draw(st.sampled_from(_PARTS)))
    if column.kind.name == "json":
        place = At(column.name, draw(st.sampled_from(PATHS)))
        if kind == 1:
            return Null(place)
        if kind < 4:
            return Is(place, "has", draw(st.sampled_from(ELEMENTS)))
        known = THERE.get(place.path, JSON_VALUES) if kind < 8 else JSON_VALUES
        return Is(place, draw(_COMPARED), draw(st.sampled_from(known)))
    if column.kind.name not in ORDERED | {"boolean"}:
        return Null(column.name)
    value = values(column, table)
    if kind == 1:
        return OneOf(column.name, tuple(draw(_values(column, table))))
    if kind == 2:
        return OneOf(column.name, (draw(value), draw(value)) * 33)
    operator = draw(_COMPARED if column.kind.name in ORDERED else _EQUALITY)
    return Is(column.name, operator, None if kind == 3 else draw(value))


@cache
@st.composite
def _among(draw: DrawFn, table: Table, other: Table) -> Filter:
    pairs = [
        (here.name, there.name)
        for here in table.columns.values()
        for there in other.columns.values()
        if here.kind == there.kind and here.identifier and there.identifier
    ]
    if not pairs:
        return draw(leaves(table))
    column, of = draw(st.sampled_from(pairs))
    where = draw(leaves(other)) if draw(st.booleans()) else TRUE
    return Among(column, Scan(other, where, draw(orders(other)), limit=draw(_LIMITS)), of)


@cache
@st.composite
def orders(draw: DrawFn, table: Table) -> tuple[Order, ...]:
    """Orders by none to three columns; a column may come twice, the first time counts."""
    names = draw(_names(table, SORTED))
    return tuple(Order(name, draw(st.booleans()), draw(st.booleans())) for name in names)


@cache
@st.composite
def scans(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Scan:
    """Scans: filtered, ordered, cut and projected, each or not."""
    columns = draw(_projections(table))
    return Scan(
        table,
        draw(filters(table, others)),
        draw(orders(table)),
        limit=draw(_LIMITS),
        offset=draw(_OFFSETS),
        columns=None if columns is None else tuple(columns),
    )


@cache
@st.composite
def summaries(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Summarize:
    """Summaries by none to two groups, with one to four measures."""
    by: dict[str, str | Bucket] = {}
    for name in draw(_names(table, SORTED, most=2)):
        moment = table.columns[name].kind.name == "timestamp"
        by[name] = Bucket(name, draw(st.sampled_from(_WIDTHS))) if moment and draw(st.booleans()) else name
    measures = {each.name: each for each in draw(st.lists(_measures(table), min_size=1, max_size=4))}
    return Summarize(table, tuple(by.values()), tuple(measures.values()), draw(filters(table, others)))


@cache
@st.composite
def neighbours(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Nearest:
    """The rows that are nearest to a vector of two or three dimensions; of a table that has vectors."""
    (column,) = _columns(table, "vector")
    columns = draw(_projections(table))
    return Nearest(
        table,
        column.name,
        tuple(draw(st.sampled_from(_VECTORS))),
        draw(st.integers(0, 8)),
        draw(filters(table, others)),
        columns=tuple(columns or table.columns),
    )


@cache
@st.composite
def searches(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Search:
    """Searches for one to three words."""
    columns = st.sampled_from([column.name for column in _columns(table, "text", "json")])
    return Search(
        table,
        tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))),
        tuple(draw(st.lists(columns, min_size=1, max_size=3))),
        draw(filters(table, others)),
        limit=draw(st.integers(0, 8)),
        some=draw(st.booleans()),
    )


@cache
@st.composite
def _measures(draw: DrawFn, table: Table) -> Measure:
    kind = draw(st.sampled_from(range(6)))
    if kind == 0:
        return Measure("count", draw(st.none() | st.sampled_from(list(table.columns))))
    if kind < 3 or not _columns(table, *NUMERIC):
        return Measure("min" if kind == 1 else "max", draw(_lead(table, ORDERED)))
    if kind == 3 and _columns(table, *WHOLE):
        return Measure(draw(_FUNCTIONS), draw(_lead(table, WHOLE)), minus=draw(_lead(table, WHOLE)))
    return Measure(draw(_FUNCTIONS), draw(_lead(table, NUMERIC)))


@cache
@st.composite
def puts(draw: DrawFn, table: Table) -> Put:
    """Puts of none to four rows, among which keys may repeat; sometimes of a dozen."""
    seed = draw(_SEEDS)
    if seed is not None:
        return Put(table, crowd(table, seed))
    return Put(table, encode(table, draw(st.lists(records(table), max_size=4))))


@cache
@st.composite
def patches(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Patch:
    """Patches of one to three columns that may be changed."""
    fixed = {*table.key, *table.once}
    free = [column for column in table.columns.values() if column.name not in fixed and column.kind.name != "vector"]
    some = st.sampled_from(free)
    changes = {}
    for column in draw(st.lists(some, min_size=1, max_size=3)):
        may_be_null = column.nullable and column.name != table.facts.final
        changes[column.name] = draw(values(column, table) | (st.none() if may_be_null else st.nothing()))
    return Patch(table, draw(some_rows(table, others)), changes)


@cache
@st.composite
def deletes(draw: DrawFn, table: Table, others: tuple[Table, ...] = ()) -> Delete:
    """Deletes, seldom of everything."""
    return Delete(table, draw(some_rows(table, others)))


@cache
@st.composite
def refusals(draw: DrawFn, table: Table) -> Plan:
    """Plans that every store must refuse with ``InvalidInput``, and leave everything as it was."""
    return draw(st.sampled_from(_refused(table, crowd(table, 0))))


def _refused(table: Table, data: pa.Table) -> Sequence[Plan]:
    key, final = table.key[0], table.facts.final
    fixed = next(each.name for each in table.columns.values() if not each.nullable and each.name not in table.key)
    wrong: dict[str, Any] = {"nosuch": 1, key: "changed", fixed: None} | ({final: None} if final else {})
    wrong |= dict.fromkeys(table.once, "2026-01-31T12:00:00Z")
    naive = next(each.name for each in table.columns.values() if each.kind.name == "timestamp")
    at = data.schema.get_field_index(key)
    empty, nul = (data.set_column(at, key, pa.array([text] * data.num_rows)) for text in ("", "a\0b"))
    return [
        *(Patch(table, TRUE, {name: value}) for name, value in wrong.items()),
        Patch(table, TRUE, {}),
        Put(table, data.drop_columns([fixed])),
        Put(table, data.append_column("nosuch", pa.array(range(data.num_rows)))),
        Put(table, empty),
        Put(table, nul),
        Scan(table, Is(key, "=", "a\0b")),
        Delete(table, Is("nosuch", "=", 1)),
        Delete(table, Not(Is(key, "=", 5))),
        Delete(table, Or((TRUE, OneOf(key, ("a\0",))))),
        Delete(table, And((FALSE, Is(At(key), "=", "a")))),
        Delete(table, Is(key, "has", "a")),
        Delete(table, Is(naive, "<", datetime(2026, 1, 1))),
        Scan(table, order=(Order("nosuch"),)),
        Scan(table, columns=(key, key)),
        Scan(table, columns=()),
        Scan(table, limit=-1),
        Scan(table, offset=-1),
        Scan(table, Contains("nosuch", "a")),
        Scan(table, Contains(naive, "a")),
        Scan(table, Contains(key, "")),
        Search(table, (), (key,)),
        Search(table, ("two words",), (key,)),
        Search(table, ("Upper",), (key,)),
        Search(table, ("a",), ()),
        Search(table, ("a",), (naive,)),
        Search(table, ("a",), (key,), limit=-1),
        Summarize(table, by=("nosuch",)),
        Summarize(table, measures=()),
        Summarize(table, measures=(Measure("sum", key),)),
        Summarize(table, measures=(Measure("sum"),)),
        Summarize(table, measures=(Measure("count", minus=key),)),
        Summarize(table, measures=(Measure("max", key, minus=key),)),
        Summarize(table, measures=(Measure("count", key, minus="nosuch"),)),
        Summarize(table, measures=(Measure("count"), Measure("count"))),
        Summarize(table, by=(Bucket(key, timedelta(hours=1)),)),
        Summarize(table, by=(key,), measures=(Measure("count", name=key),)),
    ]
