"""Hypothesis strategies that follow the schemas: values, records and Arrow tables of any ``Table``.

Values come from small pools most of the time, so that keys collide and filters hit; the pools hold what stores get
wrong: quotes and wildcards, text beyond the first plane, the ends of each number's range, times before 1970, lone
surrogates.
"""

from __future__ import annotations

import math
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

KEYS: Final = ("a", "A", "x' OR '1'='1", "100%", "\U0001f600")
"""Identifiers that make keys: few, so that rows meet."""

IDENTIFIERS: Final = (
    *KEYS,
    "b",
    "1_0",
    'say "hi"',
    "back\\slash",
    "$where",
    "e\u0301",
    "\xe9",
    "\u05e9\u05dc",
    "?",
    " ",
)

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

PATHS: Final[tuple[tuple[str | int, ...], ...]] = (
    (),
    ("a",),
    ("a", "b"),
    ("tags",),
    ("n",),
    ("a", 0),
    ("a", 2, "b"),
    ("a", "0"),
    ("0",),
    (0,),
    ("a b",),
    ("a.b",),
    ("",),
    ('say "hi"',),
    ("$where",),
    ("%",),
    ("\0",),
    ("missing",),
)

JSON_VALUES: Final[tuple[Any, ...]] = (
    *("x", "1", "100%", "x' OR '1'='1", "", "zero", "\0", "cut \ud83d", "\ufdd0NaN"),
    *(1, 1.0, 2, 0, 0.1, -0.5, 2**53, 2**53 + 1, 2**63, math.nan, math.inf),
    *(True, False, None),
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
_KEY: Final = st.sampled_from(KEYS)
_IDENTIFIER: Final = st.sampled_from(IDENTIFIERS)
_MOMENTS: Final = st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 31), timezones=st.just(UTC))
_OF_KIND: Final[dict[str, SearchStrategy[Any]]] = {
    "text": _TEXT,
    "uuid": st.sampled_from((*UUIDS, *(str(each).upper() for each in UUIDS))),
    "json": st.sampled_from(JSON) | st.sampled_from(JSON) | json_values(),
    "integer": st.sampled_from(INTEGERS) | st.integers(-(2**31), 2**31 - 1),
    "bigint": st.sampled_from(BIGINTS) | st.integers(-(2**63), 2**63 - 1),
    "float": st.sampled_from(FLOATS) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "timestamp": st.sampled_from(TIMES) | _MOMENTS,
    "binary": st.sampled_from((b"", b"\0", b"x' OR '1'='1", b"\xff\xfe")),
}


def values(column: Column, *, key: bool = False) -> SearchStrategy[Any]:
    """Values of a column as records give them; never ``None``."""
    kind = column.kind
    if kind.size is not None:
        items = st.floats(width=32, allow_nan=False, allow_infinity=False)
        return st.lists(items, min_size=kind.size, max_size=kind.size)
    if kind.name == "text" and column.identifier:
        return _KEY if key else _IDENTIFIER
    return _OF_KIND[kind.name]


@cache
def records(table: Table) -> SearchStrategy[Record]:
    """A record with every field of the table; of the nullable ones a few are set."""
    fields = {column.api: values(column, key=column.name in table.key) for column in table.columns.values()}
    nullable = [column.api for column in table.columns.values() if column.nullable]
    given = st.lists(st.sampled_from(nullable), max_size=4) if nullable else st.just([])

    @st.composite
    def record(draw: st.DrawFn) -> Record:
        without = set(nullable).difference(draw(given))
        return {name: None if name in without else draw(value) for name, value in fields.items()}

    return record()


def rows(table: Table, *, max_size: int = 4) -> SearchStrategy[pa.Table]:
    """Arrow rows of a table, as ``Put`` takes them; keys may repeat."""
    return st.lists(records(table), max_size=max_size).map(lambda found: encode(table, found))
