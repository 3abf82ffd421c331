"""Hypothesis strategies that follow the schemas: values, records and Arrow tables of any ``Table``.

Values come from small pools most of the time, so that keys collide and filters hit; the pools hold what stores get
wrong: quotes and wildcards, text beyond the first plane, the ends of each number's range, times before 1970, lone
surrogates.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from colonnade.schemas.kinds import Column
from colonnade.schemas.records import Record, encode
from colonnade.schemas.table import Table

IDENTIFIERS: Final = (
    *("a", "A", "100", "1_0"),  # twice, since one of each pair must meet the other
    *("a", "A", "x' OR '1'='1", "100%", "100", "1_0", "\U0001f600", 'say "hi"'),
    *("back\\slash", "$where", '{"$gt": ""}', "%", "_", "e\u0301", "\xe9", "\u05e9\u05dc", " "),
)
PARTS: Final = ("a", "a", "A", "x' OR '1'='1", "100%", '{"$gt": ""}')
"""Identifiers in keys of several columns: few, so that whole keys meet."""

TEXTS: Final = (*IDENTIFIERS, "", "a\nb", "\uffff", "\u202etfel", "null", "0", "-- ;", '{"a": 1}')

STRANGE: Final = ("\0", "a\0b", "cut \ud83d", "\udc00", "\ufdd0", "\ufdd0NaN", "\ufdd00000")
"""What only payloads may hold."""

UUIDS: Final = tuple(UUID(int=number) for number in (0, 1, 0x550E8400E29B41D4A716446655440000, 2**128 - 1))

INTEGERS: Final = (0, 1, -1, 2, 7, 2**31 - 1, -(2**31))
BIGINTS: Final = (*INTEGERS, 2**53, 2**53 + 1, 1_767_225_600_000_000_001, 2**63 - 1, -(2**63))
FLOATS: Final = (0.0, -0.0, 0.1, 1.0, 1.5, -2.25, 1e-9, 5e-324, 16_777_217.0, 1.7976931348623157e308)

_NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
TIMES: Final = (
    _NOON,
    _NOON + _TICK,
    _NOON - _TICK,
    _NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),  # the same moment, written elsewhere
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)

JSON: Final[tuple[Any, ...]] = (
    {},
    {"a": 1},
    {"a": 1.0, "b": 2},
    {"b": 2, "a": 1},
    {"a": True},
    {"a": "1"},
    {"a": None},
    {"a": {"b": "x"}},
    {"a": {"b": "x", "c": None}},
    {"a": [1, "x", {"b": "x"}]},
    {"tags": ["x", "100%", "x' OR '1'='1"]},
    {"tags": []},
    {"tags": "x"},
    {"tags": [True, 1, None, "cut \ud83d", "\0"]},
    {"n": 2**53 + 1},
    {"n": -0.5},
    {"n": 2**63},
    {"n": 0.1},
    {"n": math.nan},
    {"n": [math.inf, -math.inf]},
    {"a b": 1, "a.b": "x", "": 2, 'say "hi"': 3, "$where": "x' OR '1'='1", "0": "zero", "%": "x"},
    {"a": {"$gt": ""}, "n": {"$ne": 1}, "tags": ['{"$gt": ""}']},
    {"back\\slash": "\\", "_": "_", "x' OR '1'='1": 1, "\U0001f600": "\u202etfel", "\u05e9\u05dc": "\u05e9"},
    {"tags": [_NOON, UUIDS[2]], "a": _NOON},
    {"\0": "\0", "\ud83d": "\udc00", "\ufdd0": "\ufdd0NaN"},
    ["x", 1, True, None, ["x"]],
    "x",
    "cut \ud83d",
    "\ufdd0NaN",
    1,
    0.1,
    False,
    math.nan,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every place inside a JSON value, with what is there."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from places(inner, (*path, at))


THERE: Final[Mapping[tuple[str | int, ...], list[Any]]] = {}
"""What the JSON values of the pool hold, by place."""
for _value in JSON:
    for _path, _found in places(_value):
        THERE.setdefault(_path, []).append(_found)  # type: ignore[attr-defined]

PATHS: Final = (
    *(("a",), ("a",), ("a",), ("tags",), ("tags",), ("n",), (), ("a", "b")),
    *(path for path in THERE if len(path) < 3),
    *(("a", "0"), (0, "x"), ("missing",)),
)
"""Places to look at; those that most values have come more than once."""

ELEMENTS: Final = tuple(
    item for found in THERE.values() for value in found if isinstance(value, list) for item in value
)
"""What arrays among them hold."""

JSON_VALUES: Final[tuple[Any, ...]] = (
    *("x", "1", "100%", "x' OR '1'='1", "", "zero", "\0", "cut \ud83d", "\ufdd0NaN"),
    *(1, 1.0, 2, 0, 0.1, -0.5, 2**53, 2**53 + 1, 2**63, math.nan, math.inf),
    *(True, False, None),
    *('{"$gt": ""}', {"$gt": ""}, "_", "\\"),
    *({"b": "x"}, {"a": 1, "b": 2}, {}, [], (1, "x", {"b": "x"}), [True], _NOON, UUIDS[2]),
)


def json_values(max_leaves: int = 6) -> SearchStrategy[Any]:
    """Any JSON value, lone surrogates, NUL, NaN and infinities included; never ``None`` at the top, which is null."""
    leaves = st.none() | st.booleans() | st.sampled_from(BIGINTS) | st.integers() | st.floats() | _TEXT
    nested = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=max_leaves,
    )
    return nested.filter(lambda value: value is not None)


_TEXT: Final = st.sampled_from((*TEXTS, *STRANGE)) | st.text(st.characters(), max_size=4)

POOLS: Final[Mapping[str, tuple[Any, ...]]] = {
    "text": (*TEXTS, *STRANGE),
    "uuid": (*UUIDS, *(str(each).upper() for each in UUIDS)),
    "json": JSON,
    "integer": INTEGERS,
    "bigint": BIGINTS,
    "float": FLOATS,
    "boolean": (False, True),
    "timestamp": TIMES,
    "binary": (b"", b"\0", b"x' OR '1'='1", b"\xff\xfe"),
    "vector": (0.0, -0.5, 1.0),
}
"""The values of each kind that are drawn most; of a vector's elements."""

_OTHERS: Final[Mapping[str, SearchStrategy[Any]]] = {
    "text": _TEXT,
    "json": json_values(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 31), timezones=st.just(UTC)),
    "binary": st.binary(max_size=4),
}
_OF_KIND: Final = {
    kind: st.sampled_from(pool) | st.sampled_from(pool) | _OTHERS[kind] if kind in _OTHERS else st.sampled_from(pool)
    for kind, pool in POOLS.items()
}


def pool(column: Column, table: Table) -> tuple[Any, ...]:
    """The values of a column that are drawn most, of a vector's elements."""
    if column.kind.name == "text" and column.identifier:
        return PARTS if column.name in table.key and len(table.key) > 1 else IDENTIFIERS
    return POOLS[column.kind.name]


def values(column: Column, table: Table) -> SearchStrategy[Any]:
    """Values of a table's column as records give them; never ``None``."""
    kind = column.kind
    if kind.name == "vector":
        items = st.floats(width=32, allow_nan=False, allow_infinity=False)
        return st.lists(items, min_size=kind.size or 1, max_size=kind.size or 3)
    if kind.name == "text" and column.identifier:
        return st.sampled_from(pool(column, table))
    return _OF_KIND[kind.name]


@cache
@st.composite
def records(draw: st.DrawFn, table: Table) -> Record:
    """A record with every field of the table; of the nullable ones a few are set."""
    columns, some = _shape(table)
    given = draw(some)
    return {
        column.api: None if column.nullable and column.api not in given else draw(value) for column, value in columns
    }


@cache
def _shape(table: Table) -> tuple[list[tuple[Column, SearchStrategy[Any]]], SearchStrategy[list[str]]]:
    columns = [(column, values(column, table)) for column in table.columns.values()]
    nullable = [column.api for column, _ in columns if column.nullable]
    return columns, st.lists(st.sampled_from(nullable), max_size=4) if nullable else st.just([])


@cache
def crowd(table: Table, seed: int) -> pa.Table:
    """The dozen rows of a seed."""
    dice = random.Random(seed)

    def value(column: Column) -> Any:
        if column.nullable and dice.random() < 0.5:
            return None
        some = pool(column, table)
        if column.kind.name != "vector":
            return dice.choice(some)
        return dice.choices(some, k=column.kind.size or dice.choice((2, 2, 3)))

    return encode(table, [{each.api: value(each) for each in table.columns.values()} for _ in range(12)])
