"""How SQLite that is served spells what it keeps: times that stay in order, numbers that stay exact, binary JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine.sqlite_served.spelling import named
from colonnade.engine.sqlite_served.values import compared, is_short, parts_of, written
from colonnade.engine.stores.libsql.jsonb import text_of
from colonnade.schemas import TABLES

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_times_are_in_order_as_texts_without_the_z(one: datetime, other: datetime) -> None:
    assert (compared(one) < compared(other)) == (one < other)
    assert (compared(one) == compared(other)) == (one == other)
    assert datetime.fromisoformat(written(one)) == one
    assert written(one) == compared(one) + "Z"


def test_a_time_that_milliseconds_say_is_written_as_javascript_does() -> None:
    assert written(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31T12:00:00.000Z"
    assert written(datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)) == "2026-01-31T12:00:00.123456Z"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_its_two_parts(number: float) -> None:
    over, twos = parts_of(number)
    assert abs(over) <= 2**53 and -1074 <= twos <= 1023
    assert float(over) * math.ldexp(1.0, twos) == number
    if is_short(number):
        assert len(Decimal(repr(number)).as_tuple().digits) <= 15


@pytest.mark.parametrize("kind", ["timestamp", "bigint", "float", "vector", "binary"])
def test_a_column_of_this_name_is_of_this_kind_in_all_tables(kind: str) -> None:
    columns = [column for table in TABLES.values() for column in table.columns.values()]
    assert {column.kind.name for column in columns if column.name in named(kind)} <= {kind}


def blob(value: Any) -> bytes:
    """JSONB as SQLite writes it, but for its choice of types of texts."""
    match value:
        case None | True | False:
            return bytes([{None: 0, True: 1, False: 2}[value]])
        case int():
            return _headed(3, str(value).encode())
        case float():
            return _headed(5, json.dumps(value).encode())
        case str():
            return _headed(10, value.encode())
        case list():
            return _headed(11, b"".join(map(blob, value)))
    return _headed(12, b"".join(blob(each) for pair in value.items() for each in pair))


def _headed(kind: int, body: bytes) -> bytes:
    size = len(body)
    if size < 12:
        return bytes([size << 4 | kind]) + body
    for code, width in ((12, 1), (13, 2), (14, 4), (15, 8)):
        if size < 256**width:
            return bytes([code << 4 | kind]) + size.to_bytes(width, "big") + body
    raise AssertionError


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
)


@given(VALUES)
def test_binary_json_is_the_json_that_it_says(value: Any) -> None:
    assert json.loads(text_of(blob(value))) == value


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x44" + b"0xff", "255"),
        (b"\x26.5", "0.5"),
        (b"\x47a\\nb", '"a\\nb"'),
        (b"\x48a\\nb", '"a\\nb"'),
        (b"\x89\\x41\\'\\v", '"\\u0041\'\\u000b"'),
        (_headed(10, b"x" * 70_000), json.dumps("x" * 70_000)),
    ],
)
def test_elements_that_sqlite_may_write_too(raw: bytes, text: str) -> None:
    assert text_of(raw) == text


@pytest.mark.parametrize("raw", [b"", b"\x3a", b"\x1b\x20ab", b"\x0d", b"\x00\x00"])
def test_what_is_no_binary_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|element|bytes"):
        text_of(raw)
