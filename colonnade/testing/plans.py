"""Hypothesis strategies of plans: every node of the waist over any table's columns, and plans that must be refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Among,
    And,
    At,
    Bucket,
    Delete,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Plan,
    Put,
    Scan,
    Summarize,
)
from colonnade.schemas.kinds import NUMERIC, Column
from colonnade.schemas.table import Table
from colonnade.testing.strategies import ELEMENTS, JSON_VALUES, PATHS, THERE, crowds, rows, values

ORDERED: Final = frozenset({"text", "uuid", "integer", "bigint", "float", "timestamp"})
"""Kinds whose values have an order that every store shares."""

_WIDTHS: Final = (timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7))


def _columns(table: Table, *kinds: str) -> list[Column]:
    return [column for column in table.columns.values() if column.kind.name in kinds]


def _name(column: Column) -> str:
    return column.name


def _lead(columns: Sequence[Column]) -> SearchStrategy[Column]:
    """Any of the columns; half of the time one that is set in every row, so that wide tables give hits too."""
    required = [column for column in columns if not column.nullable]
    return st.sampled_from(required or columns) | st.sampled_from(columns)


@cache
def filters(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Filter]:
    """Filters over a table's columns; semi-joins look into the other tables."""
    leaf = leaves(table)
    if others:
        leaf = st.one_of(leaf, leaf, leaf, st.sampled_from(others).flatmap(lambda other: _among(table, other)))
    parts = st.lists(leaf, max_size=3).map(tuple)
    nested = st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, max_size=3).map(tuple).map(And),
            st.lists(inner, max_size=3).map(tuple).map(Or),
        ),
        max_leaves=5,
    )
    return st.one_of(st.just(TRUE), leaf, leaf.map(Not), parts.map(And), parts.map(Or), nested)


@cache
def some_rows(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Filter]:
    """Filters that seldom hold for every row, for plans that change what they hold for."""
    key = table.columns[table.key[0]]
    known = st.lists(values(key, table), min_size=1, max_size=3).map(lambda few: OneOf(key.name, tuple(few)))
    both = st.lists(leaves(table), min_size=2, max_size=3).map(tuple).map(And)
    return st.one_of(known, known, both, filters(table, others))


@cache
def leaves(table: Table) -> SearchStrategy[Filter]:
    """Conditions on one place."""
    return _lead(list(table.columns.values())).flatmap(lambda column: _leaf(column, table))


@cache
def _leaf(column: Column, table: Table) -> SearchStrategy[Filter]:
    null: SearchStrategy[Filter] = st.just(Null(column.name))
    if column.kind.name == "json":
        return st.sampled_from(PATHS).flatmap(lambda path: _place(At(column.name, path))) | null
    if column.kind.name not in ORDERED | {"boolean"}:
        return null
    value = values(column, table)
    operators = st.sampled_from(
        ("=", "=", "=", "!=", "<", "<=", ">", ">=") if column.kind.name in ORDERED else ("=", "!=")
    )
    compare = st.builds(Is, st.just(column.name), operators, value)
    some = st.lists(value | st.none(), max_size=3) | st.lists(value, min_size=1, max_size=2).map(lambda few: few * 40)
    return st.one_of(
        compare,
        compare,
        compare,
        st.builds(OneOf, st.just(column.name), some.map(tuple)),
        null,
        st.builds(Is, st.just(column.name), operators, st.none()),
    )


@cache
def _place(place: At) -> SearchStrategy[Filter]:
    operators = st.sampled_from(("=", "=", "=", "!=", "<", "<=", ">", ">=", "has"))
    there = st.sampled_from(THERE.get(place.path) or JSON_VALUES)
    looked = st.builds(Is, st.just(place), operators, there | st.sampled_from(JSON_VALUES))
    element = st.builds(Is, st.just(place), st.just("has"), st.sampled_from(ELEMENTS))
    return st.one_of(looked, looked, looked, element, st.just(Null(place)))


def _among(table: Table, other: Table) -> SearchStrategy[Filter]:
    pairs = [
        (here.name, there.name)
        for here in table.columns.values()
        for there in other.columns.values()
        if here.kind == there.kind and here.identifier and there.identifier
    ]
    if not pairs:
        return leaves(table)
    inner = st.builds(
        Scan, st.just(other), st.just(TRUE) | leaves(other), orders(other), limit=st.none() | st.integers(0, 3)
    )
    return st.builds(lambda pair, scan: Among(pair[0], scan, pair[1]), st.sampled_from(pairs), inner)


@cache
def orders(table: Table) -> SearchStrategy[tuple[Order, ...]]:
    """Orders by none to three columns; a column may come twice, the first time counts."""
    sortable = _columns(table, *ORDERED, "boolean")
    term = st.builds(Order, _lead(sortable).map(_name), st.booleans(), st.booleans())
    return st.just(()) | st.lists(term, max_size=3).map(tuple)


@cache
def scans(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Scan]:
    """Scans: filtered, ordered, cut and projected, each or not."""
    some = st.lists(st.sampled_from(list(table.columns)), min_size=1, max_size=4, unique=True).map(tuple)
    return st.builds(
        Scan,
        st.just(table),
        filters(table, others),
        orders(table),
        limit=st.none() | st.integers(0, 5),
        offset=st.just(0) | st.integers(0, 3),
        columns=st.none() | some,
    )


@cache
def summaries(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Summarize]:
    """Summaries by none to two groups, with one to four measures."""
    groups: SearchStrategy[str | Bucket] = _lead(_columns(table, *ORDERED, "boolean")).map(_name)
    if moments := _columns(table, "timestamp"):
        groups |= st.builds(Bucket, _lead(moments).map(_name), st.sampled_from(_WIDTHS))
    by = st.lists(groups, max_size=2, unique_by=lambda term: term if isinstance(term, str) else term.column)
    measures = st.lists(_measures(table), min_size=1, max_size=4, unique_by=lambda measure: measure.name)
    return st.builds(Summarize, st.just(table), by.map(tuple), measures.map(tuple), filters(table, others))


def _measures(table: Table) -> SearchStrategy[Measure]:
    count = st.builds(Measure, st.just("count"), st.none() | st.sampled_from(list(table.columns)))
    ends = st.builds(Measure, st.sampled_from(("min", "max")), _lead(_columns(table, *ORDERED)).map(_name))
    if not (numbers := _columns(table, *NUMERIC)):
        return count | ends
    functions = st.sampled_from(("sum", "sum", "mean", "min", "max", "p50", "p95", "p99"))
    computed = st.builds(Measure, functions, _lead(numbers).map(_name))
    return st.one_of(count, ends, computed, computed)


@cache
def puts(table: Table) -> SearchStrategy[Put]:
    """Puts of none to four rows, among which keys may repeat; sometimes of a dozen."""
    return (rows(table) | crowds(table)).map(lambda data: Put(table, data))


@cache
def patches(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Patch]:
    """Patches of one to three columns that may be changed."""
    open_columns = [column for column in table.columns.values() if column.name not in (*table.key, *table.once)]

    @st.composite
    def changes(draw: st.DrawFn) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(open_columns), min_size=1, max_size=3, unique_by=lambda each: each.name))
        given = {}
        for column in chosen:
            value = values(column, table)
            ends = column.name == table.facts.final
            given[column.name] = draw(st.none() | value if column.nullable and not ends else value)
        return given

    return st.builds(Patch, st.just(table), some_rows(table, others), changes())


@cache
def deletes(table: Table, others: tuple[Table, ...] = ()) -> SearchStrategy[Delete]:
    """Deletes; seldom of everything."""
    return st.builds(Delete, st.just(table), some_rows(table, others))


@cache
def refusals(table: Table) -> SearchStrategy[Plan]:
    """Plans that every store must refuse with ``InvalidInput``, and leave everything as it was."""
    return rows(table, max_size=2).flatmap(lambda data: st.sampled_from(_refused(table, data)))


def _refused(table: Table, data: pa.Table) -> list[Plan]:
    key, final = table.key[0], table.facts.final
    column = next(iter(table.columns))
    fixed = next(each.name for each in table.columns.values() if not each.nullable and each.name not in table.key)
    wrong = {"nosuch": 1, key: "changed", fixed: None} | ({final: None} if final else {})
    plans: list[Plan] = [
        *(Patch(table, TRUE, {name: value}) for name, value in wrong.items()),
        *(Patch(table, TRUE, {name: datetime(2026, 1, 1)}) for name in (*table.once, key)),
        Patch(table, TRUE, {}),
        Delete(table, Is("nosuch", "=", 1)),
        Delete(table, Not(Is(key, "=", 5))),
        Delete(table, Or((TRUE, OneOf(key, ("a\0",))))),
        Delete(table, And((FALSE, Is(At(key), "=", "a")))),
        Delete(table, Is(key, "has", "a")),
        Scan(table, order=(Order("nosuch"),)),
        Scan(table, columns=(key, key)),
        Scan(table, columns=()),
        Scan(table, limit=-1),
        Scan(table, offset=-1),
        Summarize(table, by=("nosuch",)),
        Summarize(table, measures=()),
        Summarize(table, measures=(Measure("sum", key),)),
        Summarize(table, measures=(Measure("sum"),)),
        Summarize(table, measures=(Measure("count"), Measure("count"))),
        Summarize(table, by=(Bucket(key, timedelta(hours=1)),)),
        Summarize(table, by=(column,), measures=(Measure("count", name=column),)),
    ]
    if data.num_rows:
        bad = data.set_column(data.schema.get_field_index(key), key, pa.array([""] * data.num_rows))
        plans += [
            Put(table, data.drop_columns([fixed])),
            Put(table, data.append_column("nosuch", pa.array(range(data.num_rows)))),
            Put(table, bad),
        ]
    return plans
