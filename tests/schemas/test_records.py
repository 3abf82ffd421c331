"""Records in and out: what each kind accepts, what it refuses, and that all problems are told at once."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import InvalidInput, InvalidRows
from colonnade.schemas import EVALS, MESSAGES, SPANS, TABLES, THREADS
from colonnade.schemas import kinds as k
from colonnade.schemas.payloads import ESCAPE
from colonnade.schemas.records import AWARE, Record, decode, encode, parse_timestamp, spell_value
from colonnade.schemas.table import Table, table
from colonnade.testing.strategies import records

EVERY = table(
    "every",
    [
        k.field("id", k.TEXT, "Who.", identifier=True),
        *(k.field(kind.name, kind, "One of it.", nullable=True) for kind in k.SCALARS),
        k.field("vector", k.vector(2), "Two numbers.", nullable=True),
    ],
    domain="memory",
    record="Every",
    mastra="mastra_every",
    description="One column of each kind.",
    key=["id"],
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SOMEBODY = UUID("550e8400-e29b-41d4-a716-446655440000")
INDIA = timezone(timedelta(hours=5, minutes=30))


def through(kind: str, value: Any) -> Any:
    """A value after it was stored in a column of a kind."""
    return decode(EVERY, encode(EVERY, [{"id": "a", kind: value}]))[0][kind]


def problem(kind: str, value: Any) -> str:
    """Why a value is refused by a column of a kind; the same where a filter or a patch holds it."""
    with pytest.raises(InvalidRows) as refused:
        encode(EVERY, [{"id": "a", kind: value}])
    (found,) = refused.value.problems
    assert (found.row, found.field) == (0, kind)
    with pytest.raises(InvalidInput) as spelled:
        spell_value(EVERY, kind, value)
    assert str(spelled.value) == f"every: {kind} {found.message}"
    return found.message


ACCEPTED = [
    ("text", "", ""),
    ("text", "a\0\ud83d\ufdd0", "a\0\ud83d\ufdd0"),
    ("uuid", SOMEBODY, str(SOMEBODY)),
    ("uuid", str(SOMEBODY).upper(), str(SOMEBODY)),
    ("uuid", SOMEBODY.hex, str(SOMEBODY)),
    ("json", {"a": [1, math.inf, "\0"]}, {"a": [1, math.inf, "\0"]}),
    ("json", False, False),
    ("json", "text", "text"),
    ("integer", 2**31 - 1, 2**31 - 1),
    ("integer", -(2**31), -(2**31)),
    ("bigint", 2**63 - 1, 2**63 - 1),
    ("bigint", -(2**63), -(2**63)),
    ("float", 1, 1.0),
    ("float", -0.0, -0.0),
    ("float", 1.7976931348623157e308, 1.7976931348623157e308),
    ("boolean", True, True),
    ("boolean", False, False),
    ("timestamp", NOON, NOON),
    ("timestamp", NOON.astimezone(INDIA), NOON),
    ("timestamp", "2026-01-31T12:00:00Z", NOON),
    ("binary", b"\0\xff", b"\0\xff"),
    ("binary", bytearray(b"a"), b"a"),
    ("binary", memoryview(b"ab")[1:], b"b"),
    ("vector", [0.5, -1], [0.5, -1.0]),
    ("vector", (1.5, 2.0), [1.5, 2.0]),
]


@pytest.mark.parametrize(("kind", "value", "expected"), ACCEPTED)
def test_a_kind_accepts(kind: str, value: Any, expected: Any) -> None:
    found = through(kind, value)
    assert found == expected and type(found) is type(expected)
    assert math.copysign(1, found) == math.copysign(1, expected) if isinstance(found, float) else True


REFUSED = [
    ("text", 5, "must be text, not int"),
    ("text", b"a", "must be text, not bytes"),
    ("uuid", 5, "must be a UUID, not int"),
    ("uuid", "run-1", "must be a UUID like 550e8400-e29b-41d4-a716-446655440000, not 'run-1'"),
    ("json", NotImplementedError, "type has no JSON form"),
    ("integer", 2**31, "is out of range: 2147483648 is not between -2147483648 and 2147483647"),
    ("integer", -(2**31) - 1, "is out of range"),
    ("integer", True, "must be a whole number, not bool"),
    ("integer", 1.0, "must be a whole number, not float"),
    ("integer", "1", "must be a whole number, not str"),
    ("bigint", 2**63, "is out of range"),
    ("bigint", -(2**63) - 1, "is out of range"),
    ("float", math.nan, "must be a finite number, not nan; leave it out (None) where there is none"),
    ("float", -math.inf, "must be a finite number, not -inf"),
    ("float", 10**400, "is out of range: it is larger than any 64-bit"),
    ("float", False, "must be a number, not bool"),
    ("float", "1.5", "must be a number, not str"),
    ("boolean", 1, "must be True or False, not int"),
    ("boolean", "true", "must be True or False, not str"),
    ("timestamp", datetime(2026, 1, 31, 12), f"is a naive datetime, which could mean any time zone; write {AWARE}"),
    ("timestamp", "2026-01-31T12:00:00", "is a naive datetime"),
    ("timestamp", "yesterday", f"is no ISO 8601 time: 'yesterday'; write {AWARE}"),
    ("timestamp", 1_767_225_600, "must be a datetime or ISO 8601 text, not int"),
    ("timestamp", date(2026, 1, 31), "must be a datetime or ISO 8601 text, not date"),
    ("timestamp", datetime(1, 1, 1, tzinfo=INDIA), "is out of range"),
    ("timestamp", "9999-12-31T23:59:59-01:00", "is out of range"),
    ("binary", "a", "must be bytes, not str"),
    ("binary", 5, "must be bytes, not int"),
    ("vector", [1.0], "must have 2 dimensions, not 1"),
    ("vector", [1.0, 2.0, 3.0], "must have 2 dimensions, not 3"),
    ("vector", [1.0, math.nan], "must be a finite number, not nan"),
    ("vector", [1.0, None], "must be a number, not NoneType"),
    ("vector", [1.0, 3.5e38], "out of range for 32-bit"),
    ("vector", "ab", "must be a number, not str"),
    ("vector", 5, "'int' object is not iterable"),
]


@pytest.mark.parametrize(("kind", "value", "message"), REFUSED)
def test_a_kind_refuses(kind: str, value: Any, message: str) -> None:
    assert message in problem(kind, value)


@pytest.mark.parametrize("value", ["a\0", "\0", "cut \ud83d", "\udfff"])
def test_an_identifier_holds_no_nul_and_no_lone_surrogate(value: str) -> None:
    with pytest.raises(InvalidRows, match="row 0: id holds a NUL or a lone surrogate, which no identifier may"):
        encode(EVERY, [{"id": value}])
    with pytest.raises(InvalidInput, match="threads: resourceId holds a NUL or a lone surrogate"):
        spell_value(THREADS, "resourceId", value)


def test_an_identifier_is_text_and_not_empty() -> None:
    with pytest.raises(InvalidRows, match="row 0: id must not be empty"):
        encode(EVERY, [{"id": ""}])
    with pytest.raises(InvalidRows, match="row 0: id must be text, not int"):
        encode(EVERY, [{"id": 5}])


@pytest.mark.parametrize("value", ["\ufdd0", "\ufdd00000", "a\U0001f600", "x' OR '1'='1", " "])
def test_any_other_identifier_is_kept_to_the_letter(value: str) -> None:
    stored = encode(EVERY, [{"id": value}])
    assert stored.column("id").to_pylist() == [value] == [spell_value(EVERY, "id", value)]
    assert decode(EVERY, stored)[0]["id"] == value


def test_missing_and_none_are_null() -> None:
    data = encode(EVERY, [{"id": "a"}, {"id": "b", **dict.fromkeys(EVERY.columns.keys() - {"id"})}])
    assert data.schema == EVERY.schema
    first, second = decode(EVERY, data)
    assert first == dict.fromkeys(EVERY.columns, None) | {"id": "a"}
    assert second == first | {"id": "b"}


def test_json_null_in_a_nullable_column_is_null() -> None:
    assert encode(EVERY, [{"id": "a", "json": None}]).column("json").null_count == 1


def test_no_records_are_an_empty_table() -> None:
    assert encode(EVERY, []).equals(EVERY.schema.empty_table())
    assert decode(EVERY, EVERY.schema.empty_table()) == []


def test_any_mapping_is_a_record_and_anything_else_is_not() -> None:
    assert encode(EVERY, iter([MappingProxyType({"id": "a"})])).num_rows == 1
    with pytest.raises(InvalidInput, match="every: row 1 is a tuple, not a dict of fields"):
        encode(EVERY, [{"id": "a"}, ("id", "a")])  # type: ignore[list-item]


def test_every_problem_of_every_row_is_told_at_once_in_the_order_of_rows() -> None:
    good = {"id": "a", "resourceId": "r", "title": "", "createdAt": NOON, "updatedAt": NOON}
    with pytest.raises(InvalidRows) as refused:
        encode(
            THREADS,
            [
                good | {"title": 5, "metadata": object()},
                good,
                good | {"id": "\0", "createdAt": None, "titel": "x"},
                {"id": "c"},
            ],
        )
    error = refused.value
    assert error.table == "threads"
    assert [found.row for found in error.problems] == [0, 0, 2, 2, 2, 3, 3, 3, 3]
    assert {(found.row, found.field) for found in error.problems} == {
        *((0, "title"), (0, "metadata"), (2, "id"), (2, "createdAt"), (2, "titel")),
        *((3, "resourceId"), (3, "title"), (3, "createdAt"), (3, "updatedAt")),
    }
    assert str(error).startswith("3 rows refused by threads; nothing was written:\n  row 0: ")
    assert "row 3: resourceId is required" in str(error)


def test_very_many_problems_are_counted_and_the_first_shown() -> None:
    with pytest.raises(InvalidRows, match=r"25 rows refused by every(.|\n)*\.\.\. and 5 more$") as refused:
        encode(EVERY, [{} for _ in range(25)])
    assert len(refused.value.problems) == 25
    with pytest.raises(InvalidRows, match=r"^1 row refused by every"):
        encode(EVERY, [{}])


def test_an_unknown_field_is_offered_the_nearest_name() -> None:
    with pytest.raises(
        InvalidRows, match="row 0: treadId is unknown: messages has no column 'treadId'; did you mean 't"
    ):
        encode(MESSAGES, [{"treadId": "x"}])
    with pytest.raises(InvalidRows, match=r"thread_id is unknown: .*did you mean 'threadId'"):
        encode(MESSAGES, [{"thread_id": "x"}])  # the column's name is not the record's
    with pytest.raises(InvalidRows, match="7 is unknown: every has no column '7'; it has id, text, uuid"):
        encode(EVERY, [{"id": "a", 7: "x", None: "y"}])  # type: ignore[dict-item]


def test_records_carry_the_api_names_and_columns_the_stored_ones() -> None:
    record = {
        "id": "m",
        "threadId": "t",
        "content": {"a": 1},
        "role": "user",
        "type": "v2",
        "createdAt": NOON,
        "resourceId": None,
    }
    data = encode(MESSAGES, [record])
    assert data.column("thread_id").to_pylist() == ["t"]
    assert data.column("content").to_pylist() == ['{"a":1}']
    assert decode(MESSAGES, data) == [record]


def test_some_columns_decode_alone_and_unknown_ones_are_refused() -> None:
    data = encode(EVERY, [{"id": "a", "json": [1]}])
    assert decode(EVERY, data.select(["json"])) == [{"json": [1]}]
    with pytest.raises(InvalidInput, match="threads has no column 'json'"):
        decode(THREADS, data.select(["id", "json"]))


def as_json(value: Any) -> Any:
    """What JSON makes of the values that the strategies draw."""
    match value:
        case dict():
            return {name: as_json(item) for name, item in value.items()}
        case list():
            return [as_json(item) for item in value]
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case float():
            return ("float", repr(value))  # NaN is not equal to itself, and 1.0 is not 1
        case bool():
            return ("bool", value)
    return value


def comparable(of: Table, record: Record, *, given: bool) -> Record:
    """A record, given or found, in the one form that both must have."""
    answer = {}
    for column in of.columns.values():
        value = record[column.api]
        match column.kind.name:
            case "json":
                value = as_json(value)
            case "uuid" if given and value is not None:
                value = str(UUID(str(value)))
            case "float" if value is not None:
                value = repr(float(value) if given else value)
            case "timestamp" if value is not None:
                assert given or value.utcoffset() == timedelta(0)
                value = value.astimezone(UTC)
        answer[column.api] = value
    return answer


TABLES_AND_RECORDS = st.sampled_from([*TABLES.values(), EVERY]).flatmap(
    lambda each: st.tuples(st.just(each), st.lists(records(each), max_size=3))
)


@given(TABLES_AND_RECORDS)
def test_every_record_of_every_table_comes_back_whole(drawn: tuple[Table, list[Record]]) -> None:
    of, given_records = drawn
    data = encode(of, given_records)
    assert data.schema.equals(of.schema, check_metadata=True)
    data.validate(full=True)
    found = decode(of, data)
    assert [comparable(of, each, given=False) for each in found] == [
        comparable(of, each, given=True) for each in given_records
    ]
    assert encode(of, found).equals(data)


@given(TABLES_AND_RECORDS)
def test_a_value_is_spelled_as_its_column_holds_it(drawn: tuple[Table, list[Record]]) -> None:
    of, given_records = drawn
    data = encode(of, given_records)
    for column in of.columns.values():
        spelled = [spell_value(of, column.name, record[column.api]) for record in given_records]
        assert pa.chunked_array([pa.array(spelled, column.kind.arrow)]).equals(data.column(column.name))


def test_spell_value_names_the_table_and_the_field() -> None:
    assert spell_value(SPANS, "endedAt", None) is None
    assert spell_value(THREADS, "title", "a\0") == f"a{ESCAPE}0000"
    assert spell_value(EVALS, "run_id", SOMEBODY) == str(SOMEBODY)
    with pytest.raises(InvalidInput, match=r"^evals: runId must be a UUID like"):
        spell_value(EVALS, "run_id", "nope")
    with pytest.raises(InvalidInput, match="spans has no column 'trace'; did you mean"):
        spell_value(SPANS, "trace", "x")


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2026, 1, 31, 17, 30, tzinfo=INDIA),
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T17:30+05:30",
        "20260131T120000Z",
    ],
    ids=str,
)
def test_the_forms_of_a_timestamp(value: Any) -> None:
    found = parse_timestamp(value)
    assert found == NOON
    assert found.tzinfo is UTC


def test_a_timestamp_keeps_its_microseconds() -> None:
    assert parse_timestamp("2026-01-31T12:00:00.123456Z") == NOON.replace(microsecond=123456)


@pytest.mark.parametrize(
    "value", ["", "2026-01-31", "2026-01-31T12:00:00", "12:00Z", "1767225600", "2026-13-01T00:00Z"]
)
def test_text_that_is_no_aware_time_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"is no ISO 8601 time|is a naive datetime"):
        parse_timestamp(value)


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_a_timestamp_in_any_zone_is_the_same_moment_or_refused(moment: datetime) -> None:
    try:
        found = parse_timestamp(moment)
    except ValueError as error:
        if "is out of range" in str(error) and moment.year in (1, 9999):
            return
        raise
    assert found.utcoffset() == timedelta(0)
    assert found - moment == timedelta(0)  # an hour that comes twice equals nothing in another zone
