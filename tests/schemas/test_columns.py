"""Encoding and decoding by columns says what going through the values one by one says, of right and of wrong values."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas import SPANS, TABLES
from colonnade.schemas import kinds as k
from colonnade.schemas.columns import plain_array
from colonnade.schemas.payloads import from_json, unescape_text
from colonnade.schemas.records import Record, decode, encode
from colonnade.schemas.table import Table, table, unknown_column
from colonnade.schemas.values import speller
from colonnade.testing.strategies import POOLS, json_values, values

EVERY = table(
    "every",
    [
        k.field("id", k.TEXT, "Who.", identifier=True),
        *(k.field(kind.name, kind, "One of it.", nullable=True) for kind in k.SCALARS),
        *(k.field(f"{kind.name}_required", kind, "One of it.") for kind in k.SCALARS),
        k.field("other_id", k.TEXT, "Somebody.", identifier=True, nullable=True, api="otherId"),
        k.field("vector", k.vector(2), "Two numbers.", nullable=True),
    ],
    domain="memory",
    record="Every",
    mastra="mastra_every",
    description="One column of each kind, and one that must not be null.",
    key=["id"],
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))


class Word(str):
    """Text that is not exactly text."""


class Mode(StrEnum):
    FAST = "fast"


class Level(IntEnum):
    HIGH = 3


class Later(datetime):
    """A datetime that is not exactly one."""


WILD: tuple[Any, ...] = (
    *(None, "", "a", "a\0", "cut \ud83d", "\ufdd0", "\ufdd00000", "é", Word("w"), Word("\0"), Mode.FAST),
    *(True, False, 0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400, Level.HIGH),
    *(0.0, -0.0, 0.5, 1e308, 1.7e308, -1.7e308, math.nan, math.inf, -math.inf),
    *(NOON, NOON.replace(tzinfo=None), NOON.astimezone(INDIA), NOON.replace(fold=1), Later(2026, 1, 1, tzinfo=UTC)),
    *(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(1, 1, 1, tzinfo=INDIA)),
    *(date(2026, 1, 31), "2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "yesterday", UUID(int=7), str(UUID(int=7))),
    *(b"", b"\0", bytearray(b"a"), memoryview(b"b"), [1.0, 2.0], (1, 2), [1.0], [math.nan, 0.0], [True, 1]),
    *({}, {"a": None}, {"a": [None, math.nan]}, {"a": 1e-7}, {1: 2}, {"b": {2, 1}}, {"at": NOON}, {"n": 2**70}),
    *(
        {"\0": "\ud83d"},
        MappingProxyType({"a": 1}),
        OrderedDict(a=1),
        defaultdict(list, a=[]),
        object(),
        {"x": object()},
    ),
)
"""What records may hold by right or by mistake; in a column of most kinds most of it is wrong."""


def one_by_one(of: Table, records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The table of the records, each value spelled by itself: slow and plain."""
    rows = list(records)
    problems: list[Problem] = []
    for position, row in enumerate(rows):
        for name in sorted(row.keys() - of.by_api.keys(), key=str):
            unknown = unknown_column(str(name), of.name, of.by_api)
            problems.append(Problem(position, str(name), f"is unknown: {unknown}"))
    arrays = []
    for column in of.columns.values():
        spelled: list[Any] = []
        for position, row in enumerate(rows):
            value = row.get(column.api)
            try:
                spelled.append(None if value is None else speller(column)(value))
            except (TypeError, ValueError) as error:
                problems.append(Problem(position, column.api, str(error)))
            if value is None and not column.nullable:
                problems.append(Problem(position, column.api, "is required"))
        arrays.append(spelled)
    if problems:
        raise InvalidRows(of.name, sorted(problems, key=lambda problem: problem.row))
    return pa.table([pa.array(each, field.type) for each, field in zip(arrays, of.schema, strict=True)], of.schema)


def outcome(encoding: Any, of: Table, records: list[Record]) -> Any:
    """The table that encoding gives, or its error, in a form to compare."""
    try:
        data = encoding(of, records)
    except InvalidRows as error:
        return error.table, error.problems, str(error)
    data.validate(full=True)
    assert data.schema.equals(of.schema, check_metadata=True)
    return data


def agree(of: Table, records: list[Record]) -> Any:
    fast, slow = outcome(encode, of, records), outcome(one_by_one, of, records)
    if isinstance(slow, pa.Table):
        assert isinstance(fast, pa.Table), fast
        assert fast.equals(slow)
        assert [repr(each) for each in fast.to_pylist()] == [repr(each) for each in slow.to_pylist()]  # -0.0 is not 0.0
    else:
        assert fast == slow
    return fast


def given_or_wild(of: Table, wild: float) -> st.SearchStrategy[list[Record]]:
    """Records of a table; some hold what is wild, lack a field or have one too many."""
    mistakes = {column.api: st.sampled_from(WILD) | json_values() for column in of.columns.values()}
    proper = {column.api: values(column, of) for column in of.columns.values()}

    @st.composite
    def drawn(draw: st.DrawFn) -> list[Record]:
        # By columns: a column of one type only, as the fast path wants it, is the rule.
        names = draw(st.lists(st.sampled_from(list(proper)), unique=True))
        names += [column.api for column in of.columns.values() if not column.nullable and column.api not in names]
        odd = set(draw(st.lists(st.sampled_from(names), max_size=3))) if wild else set()
        count = draw(st.integers(0, 5))
        rows: list[Record] = [{} for _ in range(count)]
        for name in names:
            for row in rows:
                if name in odd:
                    row[name] = draw(mistakes[name] | proper[name])
                elif draw(st.integers(0, 9)):
                    row[name] = draw(proper[name])
                elif of.by_api[name].nullable:
                    row[name] = None
        if rows and wild and not draw(st.integers(0, 9)):
            strange: Any = draw(st.sampled_from(("treadId", "nothing", 7, None)))
            draw(st.sampled_from(rows))[strange] = None
        return rows

    return drawn()


@given(st.sampled_from([EVERY, *TABLES.values()]).flatmap(lambda of: st.tuples(st.just(of), given_or_wild(of, 1))))
def test_any_records_give_the_same_table_or_the_same_errors(drawn: tuple[Table, list[Record]]) -> None:
    agree(*drawn)


@pytest.mark.parametrize("column", EVERY.columns.values(), ids=lambda column: str(column.name))
@pytest.mark.parametrize("beside", [None, "another"])
def test_any_value_in_any_column_alone_and_beside_a_proper_one(column: k.Column, beside: str | None) -> None:
    proper = {
        each.api: [1.0, 2.0] if each.kind.size else "a" if each.identifier else POOLS[each.kind.name][0]
        for each in EVERY.columns.values()
    }
    for value in WILD:
        rows = [proper | {column.api: value}]
        agree(EVERY, rows if beside is None else [proper, *rows, proper])


@given(st.lists(st.floats(), min_size=1, max_size=4))
@example([1.7e308, 1.7e308])  # their sum is not finite
@example([math.inf, -math.inf])
@example([-0.0, 0.0])
@example([2**53 + 1, 0.5])
def test_floats_are_all_looked_at(numbers: list[float]) -> None:
    agree(FLOATS, [{"id": "a", "n": number} for number in numbers])


@given(st.lists(st.integers(-(2**65), 2**65), min_size=1, max_size=3))
def test_whole_numbers_are_all_looked_at(numbers: list[int]) -> None:
    agree(FLOATS, [{"id": "a", "n": number, "i": number, "b": number} for number in numbers])


FLOATS = table(
    "numbers",
    [
        k.field("id", k.TEXT, "Who.", identifier=True),
        k.field("n", k.FLOAT, "A number."),
        k.field("i", k.INTEGER, "A small one.", nullable=True),
        k.field("b", k.BIGINT, "A big one.", nullable=True),
    ],
    domain="memory",
    record="Numbers",
    mastra="mastra_numbers",
    description="Numbers.",
    key=["id"],
)


@pytest.mark.parametrize(
    ("name", "plain", "others"),
    [
        ("id", ["a", "b\ufdd0"], [["a", ""], ["a", "\0"], ["a", "\ud83d"], ["a", None], ["a", Word("b")], ["a", 1]]),
        ("text", ["", None, "é\n"], [["\0"], ["\ufdd0"], ["\ud83d"], [Word("a")], [Mode.FAST]]),
        ("json", [{}, None, "a", NOON, b"", math.nan], [[object()], [{"a": 1j}]]),
        ("integer", [1, None, -(2**31)], [[2**31], [True], [1.0], [Level.HIGH]]),
        ("bigint", [2**63 - 1, None], [[2**63]]),
        ("float", [1, None, -0.5], [[math.nan], [1e308, 1e308], [10**400], [True]]),
        ("boolean", [True, None], [[1]]),
        (
            "timestamp",
            [NOON, None, NOON.replace(fold=1)],
            [[NOON.replace(tzinfo=None)], [NOON.astimezone(INDIA)], [""]],
        ),
        ("binary", [b"", None], [[bytearray()]]),
        ("uuid", [None], [[UUID(int=1)]]),
        ("vector", [None, None], [[[1.0, 2.0]]]),
    ],
)
def test_what_is_made_at_once_and_what_is_looked_at(name: str, plain: list[Any], others: list[list[Any]]) -> None:
    column = EVERY.column(name)
    array = plain_array(column, plain)
    assert array is not None and len(array) == len(plain) and array.type == column.kind.arrow
    for each in others:
        assert plain_array(column, each) is None


def test_a_column_that_no_record_has_is_null_and_one_that_must_be_there_is_missed() -> None:
    assert agree(SPANS, []).num_rows == 0
    problems = agree(EVERY, [{"id": "a"}, {}])[1]
    assert [(each.row, each.message) for each in problems].count((1, "is required")) == len(k.SCALARS) + 1


def test_all_at_one_moment() -> None:
    proper = {each.api: POOLS[each.kind.name][0] for each in EVERY.columns.values() if not each.nullable} | {"id": "a"}
    again = NOON.replace()
    for times in ([NOON] * 3, [NOON, again, NOON], [NOON, NOON + timedelta(1), NOON], [NOON], [None, NOON, None]):
        found = agree(EVERY, [proper | {"timestamp": time} for time in times])
        assert found.column("timestamp").to_pylist() == times


def test_an_error_that_is_no_refusal_is_not_swallowed() -> None:
    class Broken(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise LookupError("broken")

        def __iter__(self) -> Any:
            return iter("a")

        def __len__(self) -> int:
            return 1

    with pytest.raises(LookupError, match="broken"):
        encode(EVERY, [{"id": "a", "json": Broken()}])


# --- decoding ---


def slowly(of: Table, data: pa.Table) -> list[Record]:
    """The records of a table, each value read by itself."""

    def read(column: k.Column, value: Any) -> Any:
        match column.kind.name:
            case "json" if value is not None:
                return from_json(value)
            case "text" if value is not None and not column.identifier:
                return unescape_text(value)
            case "timestamp" if value is not None:
                return value.astimezone(UTC)
        return value

    columns = [of.column(name) for name in data.column_names]
    return [{each.api: read(each, row[each.name]) for each in columns} for row in data.to_pylist()]


def same(data: pa.Table, of: Table = EVERY) -> None:
    found = decode(of, data)
    assert [repr(each) for each in found] == [repr(each) for each in slowly(of, data)]  # NaN, -0.0, 1 and True
    assert {time.tzinfo for each in found for time in each.values() if isinstance(time, datetime)} <= {UTC}


@given(given_or_wild(EVERY, 0), st.integers(0, 3), st.integers(0, 3))
def test_any_table_is_read_as_value_by_value(rows: list[Record], cut: int, slip: int) -> None:
    proper = {each.api: POOLS[each.kind.name][0] for each in EVERY.columns.values() if not each.nullable} | {"id": "a"}
    data = encode(EVERY, [proper | {name: value for name, value in row.items() if value is not None} for row in rows])
    same(data)
    same(data.slice(slip))
    pieces = pa.concat_tables([data.slice(0, cut), data.slice(cut), data])
    same(pieces)
    same(pieces.slice(slip, 4))


@pytest.mark.parametrize("others", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_other_forms_of_text_are_read_alike(others: pa.DataType) -> None:
    texts = pa.array(['{"a":"\ufdd00000"}', None, "[1,null]", '"a"'])
    for form in (texts.cast(others), texts.slice(1).cast(others)):
        same(pa.table({"json": form, "text": form}))


@pytest.mark.parametrize(
    "type_",
    [pa.timestamp("us", "Asia/Kolkata"), pa.timestamp("ms", "UTC"), pa.timestamp("s", "+01:00")],
    ids=str,
)
def test_moments_of_other_zones_and_units_are_read_alike(type_: pa.DataType) -> None:
    same(pa.table({"timestamp": pa.array([NOON, None, NOON - timedelta(days=40_000)], type_)}))


@pytest.mark.parametrize(
    "text",
    [
        *("18446744073709551616", "-9223372036854775809", "[12345678901234567890123]", "1e400", "-0.0", "NaN"),
        *('"\\ud83d"', '"\\ufdd0NaN"', '"\ufdd0NaN"', '{"\ufdd00000":1}', "1E5", " [ 1 ]"),
    ],
)
def test_json_that_needs_a_closer_look_is_read_alike(text: str) -> None:
    same(pa.table({"json": [text]}))
    same(pa.table({"json": ["{}", text, None, '{"a":1}']}))


def test_json_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        decode(EVERY, pa.table({"json": ["{}", "{"]}))


def test_no_columns_or_no_rows_are_no_records() -> None:
    assert decode(EVERY, pa.table({})) == [] == decode(EVERY, EVERY.schema.empty_table())
    with pytest.raises(InvalidInput, match="every has no column 'nothing'"):
        decode(EVERY, pa.table({"nothing": pa.array([], pa.string())}))
