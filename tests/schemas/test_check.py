"""Arrow data against a schema: what is cast, what is refused, and that it says what ``encode`` says."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import InvalidInput, InvalidRows
from colonnade.schemas import SPANS, TABLES, THREADS
from colonnade.schemas import kinds as k
from colonnade.schemas.check import check
from colonnade.schemas.records import Record, encode
from colonnade.schemas.table import Table, table
from colonnade.testing.strategies import records

EVERY = table(
    "every",
    [
        k.field("id", k.TEXT, "Who.", identifier=True),
        *(k.field(kind.name, kind, "One of it.", nullable=True) for kind in k.SCALARS),
        k.field("vector", k.vector(2), "Two numbers.", nullable=True, api="embedding"),
    ],
    domain="memory",
    record="Every",
    mastra="mastra_every",
    description="One column of each kind.",
    key=["id"],
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SPAN = {
    "traceId": "t",
    "spanId": "s",
    "name": "n",
    "spanType": "generic",
    "kind": 0,
    "isEvent": False,
    "startedAt": NOON,
    "startTime": 0,
    "createdAt": NOON,
}
A, B = "550e8400-e29b-41d4-a716-446655440000", "00000000-0000-0000-0000-000000000001"


def with_column(name: str, array: pa.Array | pa.ChunkedArray) -> pa.Table:
    """A whole table of as many rows as the array has, which is one of its columns."""
    data = encode(EVERY, [{"id": f"row {place}"} for place in range(len(array))])
    return data.set_column(data.schema.get_field_index(name), name, array)


CASTS = [
    ("text", pa.array(["a", None], pa.large_string()), ["a", None]),
    ("text", pa.array(["a", "b", "a"], pa.string_view()), ["a", "b", "a"]),
    ("text", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    ("text", pa.nulls(2), [None, None]),
    ("uuid", pa.array([A, None], pa.large_string()), [A, None]),
    ("json", pa.array(['{"a":1}'], pa.large_string()), ['{"a":1}']),
    ("integer", pa.array([1, -1], pa.int8()), [1, -1]),
    ("integer", pa.array([7], pa.uint64()), [7]),
    ("integer", pa.array([2.0, None]), [2, None]),
    ("bigint", pa.array([1, None], pa.int32()), [1, None]),
    ("float", pa.array([1, 2], pa.int16()), [1.0, 2.0]),
    ("float", pa.array([1.5], pa.float32()), [1.5]),
    ("boolean", pa.array([True, None, False]), [True, None, False]),
    ("timestamp", pa.array([NOON], pa.timestamp("ns", "UTC")), [NOON]),
    ("timestamp", pa.array([NOON], pa.timestamp("s", "Asia/Kolkata")), [NOON]),
    ("timestamp", pa.array([NOON], pa.timestamp("us", "+00:00")), [NOON]),
    ("binary", pa.array([b"ab"], pa.large_binary()), [b"ab"]),
    ("binary", pa.array([b"ab"], pa.binary(2)), [b"ab"]),
    ("vector", pa.array([[1.0, 2.0], None], pa.list_(pa.float64())), [[1.0, 2.0], None]),
]


@pytest.mark.parametrize(("name", "array", "expected"), CASTS, ids=lambda value: str(getattr(value, "type", value)))
def test_a_type_is_cast_where_nothing_is_lost(name: str, array: pa.Array, expected: list[Any]) -> None:
    found = check(EVERY, with_column(name, array))
    assert found.schema.equals(EVERY.schema, check_metadata=True)
    assert found.column(name).to_pylist() == expected


REFUSED = [
    ("text", pa.array([1, 2])),
    ("text", pa.array([b"a"])),
    ("text", pa.array([NOON])),
    ("integer", pa.array([2**31])),
    ("integer", pa.array([1.5])),
    ("integer", pa.array([math.nan])),
    ("integer", pa.array(["1"])),
    ("integer", pa.array([True])),
    ("bigint", pa.array([2**63], pa.uint64())),
    ("bigint", pa.array(["1"]).dictionary_encode()),
    ("float", pa.array([2**53 + 1])),
    ("float", pa.array([True])),
    ("float", pa.array([Decimal("1.5")])),
    ("boolean", pa.array([7])),
    ("boolean", pa.array(["true"])),
    ("timestamp", pa.array([1], pa.timestamp("ns", "UTC"))),
    ("timestamp", pa.array([5])),
    ("timestamp", pa.array(["2026-01-31T12:00:00Z"])),
    ("timestamp", pa.array([NOON.date()])),
    ("binary", pa.array(["a"])),
    ("vector", pa.array([[1.0]], pa.list_(pa.float32()))),
    ("vector", pa.array([[1]], pa.list_(pa.int32()))),
    ("vector", pa.array([1.0])),
]


@pytest.mark.parametrize(("name", "array"), REFUSED, ids=lambda value: str(getattr(value, "type", value)))
def test_a_type_is_refused_where_something_would_be_lost_or_guessed(name: str, array: pa.Array) -> None:
    with pytest.raises(InvalidInput, match=f"^every: {name} is .* and cannot become "):
        check(EVERY, with_column(name, array))


def test_a_timestamp_without_a_zone_is_refused() -> None:
    naive = pa.array([datetime(2026, 1, 31)], pa.timestamp("us"))
    with pytest.raises(InvalidInput, match=r"every: timestamp has no time zone; cast it to timestamp\[us, tz=UTC\]"):
        check(EVERY, with_column("timestamp", naive))


def test_columns_come_in_any_order_and_leave_in_the_tables() -> None:
    data = encode(EVERY, [{"id": "a", "text": "x"}])
    assert check(EVERY, data.select(EVERY.schema.names[::-1])).equals(data)


def test_unknown_and_missing_columns_are_named() -> None:
    data = encode(THREADS, [])
    with pytest.raises(
        InvalidInput, match=r"threads has no column 'tittle'; did you mean 'title'.*; threads has no col"
    ):
        check(THREADS, data.append_column("tittle", data["id"]).append_column("zzz", data["id"]))
    with pytest.raises(InvalidInput, match="threads: columns are missing: title, createdAt"):
        check(THREADS, data.drop_columns(["createdAt", "title"]))


def refused(data: pa.Table, of: Table = EVERY) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidRows) as error:
        check(of, data)
    return [(found.row, found.field, found.message) for found in error.value.problems]


def test_all_bad_rows_are_told_at_once_in_their_order() -> None:
    data = pa.table(
        {
            "id": pa.chunked_array([["a", ""], ["b\0", None, "c"]], pa.string()),
            **{name: pa.nulls(5) for name in ("text", "json", "integer", "bigint", "boolean", "timestamp", "binary")},
            "uuid": [A, A.upper(), None, B, "x"],
            "float": [1.0, math.nan, None, math.inf, -math.inf],
            "vector": pa.chunked_array(
                [
                    pa.array([[1.0, math.nan], None, [math.inf, -math.inf]], pa.list_(pa.float32(), 2)),
                    pa.array([[0.0, None], [0.5, 1.0]], pa.list_(pa.float32(), 2)),
                ]
            ),
        }
    )
    found = refused(data)
    assert [row for row, _, _ in found] == sorted(row for row, _, _ in found)
    assert sorted((row, name, message.split(",")[0]) for row, name, message in found) == [
        (0, "embedding", "must hold finite numbers only"),
        (1, "float", "must be a finite number"),
        (1, "id", "must not be empty"),
        (1, "uuid", f"must be a UUID like {A}"),
        (2, "embedding", "must hold finite numbers only"),
        (2, "id", "holds a NUL"),
        (3, "embedding", "must hold finite numbers only"),
        (3, "float", "must be a finite number"),
        (3, "id", "is required"),
        (4, "float", "must be a finite number"),
        (4, "uuid", f"must be a UUID like {A}"),
    ]


def test_a_null_where_there_must_be_none_is_told_for_each_row() -> None:
    data = encode(
        THREADS,
        [{"id": i, "resourceId": "r", "title": "", "createdAt": NOON, "updatedAt": NOON} for i in "abc"],
    )
    at = data.schema.get_field_index("title")
    data = data.set_column(at, "title", pa.array(["x", None, None]))
    assert refused(data, THREADS) == [(1, "title", "is required"), (2, "title", "is required")]


@given(
    st.sampled_from([*TABLES.values(), EVERY]).flatmap(
        lambda each: st.tuples(st.just(each), st.lists(records(each), max_size=3))
    )
)
def test_what_encode_made_passes_unchanged(drawn: tuple[Table, list[Record]]) -> None:
    of, given_records = drawn
    data = encode(of, given_records)
    checked = check(of, data)
    assert checked.equals(data) and checked.schema.equals(of.schema, check_metadata=True)
    assert check(of, pa.Table.from_pydict(data.to_pydict(), _loose(of))).equals(data)


def _loose(of: Table) -> pa.Schema:
    large = {pa.string(): pa.large_string(), pa.int32(): pa.int64(), pa.binary(): pa.large_binary()}
    return pa.schema([(each.name, large.get(each.type, each.type)) for each in of.schema])


ODD: dict[str, list[Any]] = {
    "id": ["a", "", None, "x\0", "\ufdd0"],
    "uuid": [A, B, None, "x", ""],
    "float": [0.5, None, math.nan, math.inf, -math.inf],
    "vector": [None, [0.5, 1.0], [math.nan, 1.0], [1.0, -math.inf]],
}


@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(pool) for name, pool in ODD.items()}), max_size=5))
def test_it_refuses_the_same_rows_as_encode(rows: list[Record]) -> None:
    columns = {name: [row.get(name) for row in rows] for name in EVERY.columns}
    data = pa.table({name: pa.array(columns[name], EVERY.schema.field(name).type) for name in columns})
    given_records = [{("embedding" if name == "vector" else name): row[name] for name in row} for row in rows]
    try:
        encoded = encode(EVERY, given_records)
    except InvalidRows as error:
        told = {(found.row, found.field) for found in error.problems}
    else:
        assert check(EVERY, data).equals(encoded)
        return
    assert {(row, name) for row, name, _ in refused(data)} == told


def test_data_that_fits_already_is_the_answer_itself() -> None:
    data = encode(THREADS, [])
    assert check(THREADS, data) is data


@pytest.mark.parametrize("many", [1, 200], ids=["few", "many"])
def test_a_nul_is_found_in_any_piece_and_only_among_the_rows_themselves(many: int) -> None:
    good = ["b", "c"] * many
    ids = pa.chunked_array(
        [pa.array(["a\0", *good, "d\0"]).slice(1, 2 * many), pa.array([], pa.string()), pa.array([*good, "e\0"])]
    )
    with pytest.raises(InvalidRows) as refused:
        check(EVERY, with_column("id", ids))
    assert [(each.row, each.message) for each in refused.value.problems] == [
        (4 * many, "holds a NUL, which no identifier may")
    ]
    assert check(EVERY, with_column("id", ids.slice(0, 4 * many))).num_rows == 4 * many
    with pytest.raises(InvalidRows, match=f"row {2 * many}: id holds a NUL"):
        check(EVERY, with_column("id", pa.array(["a long one", *good, "b\0"]).slice(1)))
    with pytest.raises(InvalidRows, match=f"row {2 * many}: id must not be empty"):
        check(EVERY, with_column("id", pa.array(["", *good, ""]).slice(1)))


@pytest.mark.parametrize("many", [1, 400], ids=["few", "many"])
def test_numbers_are_all_looked_at_and_large_ones_are_no_infinity(many: int) -> None:
    large = [1.7e308] * 2 * many
    assert check(EVERY, with_column("float", pa.array([*large, None]))).num_rows == 2 * many + 1
    for number in (math.inf, math.nan):
        with pytest.raises(InvalidRows, match=f"row {2 * many}: float must be a finite number"):
            check(EVERY, with_column("float", pa.array([*large, number])))


@pytest.mark.parametrize("many", [1, 400], ids=["few", "many"])
def test_bytes_beneath_a_null_are_nobodys(many: int) -> None:
    offsets = pa.array([0, 2, *range(3, 3 + many)], pa.int32()).buffers()[1]
    valid = (2 ** (many + 1) - 2).to_bytes(64, "little")
    under = pa.StringArray.from_buffers(many + 1, offsets, pa.py_buffer(b"a\0" + b"b" * many), pa.py_buffer(valid))
    assert under.to_pylist() == [None, *"b" * many]
    spans = pa.concat_tables([encode(SPANS, [SPAN])] * (many + 1))
    place = spans.schema.get_field_index("userId")
    assert check(SPANS, spans.set_column(place, SPANS.schema.field("userId"), under)).num_rows == many + 1


@pytest.mark.parametrize("bad", ["", "\0", "a\0b"])
def test_identifiers_that_may_be_null_are_looked_at_too(bad: str) -> None:
    spans = encode(SPANS, [SPAN, SPAN | {"userId": "ada"}])
    assert check(SPANS, spans) is spans
    place = spans.schema.get_field_index("userId")
    with pytest.raises(InvalidRows) as refused:
        check(SPANS, spans.set_column(place, SPANS.schema.field("userId"), pa.array([None, bad])))
    assert [(each.row, each.field) for each in refused.value.problems] == [(1, "userId")]


def test_rows_that_fit_are_looked_at_all_the_same() -> None:
    good = encode(EVERY, [{"id": "a"}, {"id": "b", "float": 1.0}])
    columns = {
        "id": pa.array(["", "b"]),
        "float": pa.array([None, math.inf]),
        "uuid": pa.array([A, "nope"]),
        "vector": pa.array([[1.0, math.nan], None], k.vector(2).arrow),
    }
    for name, array in columns.items():
        bad = good.set_column(good.schema.get_field_index(name), EVERY.schema.field(name), array)
        assert bad.schema.equals(EVERY.schema, check_metadata=True)
        with pytest.raises(InvalidRows):
            check(EVERY, bad)
