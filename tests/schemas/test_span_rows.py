"""Spans as rows: many at once are what each of them is by itself, and a part of a span follows the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import InvalidInput, InvalidRows
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record, encode
from colonnade.schemas.span_rows import DEFAULTS, decode_spans, encode_spans, span_row
from colonnade.schemas.values import parse_timestamp
from colonnade.testing.strategies import values

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON_NS = 1_769_860_800_000_000_000
NOW = datetime(2026, 2, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOMENTS = (
    *(None, NOON, NOON + timedelta(microseconds=7), NOON.astimezone(timezone(timedelta(hours=1))), datetime.max),
    *(datetime.max.replace(tzinfo=UTC), "2026-01-31T12:00:00Z", "soon", 7, True),
)
EXACT = (None, NOON_NS, NOON_NS + 999, -1, 0, 2**63 - 1, 2**63, 10**30, True, 1.0, "1")
SCOPES: tuple[Any, ...] = (
    None,
    "lib",
    "",
    {"name": "lib", "version": "1"},
    {"name": 3},
    {},
    MappingProxyType({"name": "lib"}),
    5,
    [1],
)
ODD = (None, 0, 1, "generic", "", False, NOON, b"")

fields = {
    "name": st.sampled_from(("chat", "\0", None, 5)),
    "scope": st.sampled_from(SCOPES),
    "instrumentationScope": st.sampled_from((None, {"name": "kept"}, "text")),
    "startedAt": st.sampled_from(MOMENTS),
    "startTime": st.sampled_from(EXACT),
    "endedAt": st.sampled_from(MOMENTS),
    "endTime": st.sampled_from(EXACT),
    **{name: st.sampled_from(ODD) for name in (*DEFAULTS, "createdAt", "updatedAt")},
    **{name: st.none() | values(SPANS.column(name), SPANS) for name in ("userId", "cost", "input", "tags")},
    "unknown": st.none(),
}
proper = st.fixed_dictionaries(
    {"traceId": st.just("t"), "spanId": st.sampled_from("ab"), "name": st.just("n"), "startedAt": st.just(NOON)},
    optional={name: each for name, each in fields.items() if name not in ("name", "startedAt", "unknown")},
)
spans = st.lists(proper | st.fixed_dictionaries({"traceId": st.just("t")}, optional=fields), max_size=4)


NEW = {**DEFAULTS, "createdAt": NOW, "updatedAt": NOW}


def row_of(record: Mapping[str, Any], defaults: Mapping[str, Any] = NEW) -> Record:
    """A record as a row, one rule after the other."""
    row = dict(record)
    scope = row.get("scope")
    if isinstance(scope, Mapping):
        row["scope"] = scope["name"] if isinstance(scope.get("name"), str) else None
        row["instrumentationScope"] = scope
    for moment, exact in (("startedAt", "startTime"), ("endedAt", "endTime")):
        time, nanoseconds = row.get(moment), row.get(exact)
        if time is not None and nanoseconds is None:
            try:
                row[exact] = (parse_timestamp(time) - EPOCH) // timedelta(microseconds=1) * 1000
            except (TypeError, ValueError):
                row[exact] = 0  # told once, where it was given
        if time is None and nanoseconds is not None:
            try:
                row[moment] = EPOCH + timedelta(microseconds=nanoseconds // 1000)
                if isinstance(nanoseconds, bool | float):
                    row[moment] = EPOCH
            except (TypeError, OverflowError):
                row[moment] = EPOCH
    return row | {name: value for name, value in defaults.items() if row.get(name) is None}


@given(spans)
def test_spans_become_rows_as_each_of_them_does(records: list[Record]) -> None:
    try:
        expected: Any = encode(SPANS, [row_of(record) for record in records])
    except InvalidRows as error:
        expected = error.problems
    try:
        found: Any = encode_spans(records, NOW)
    except InvalidRows as error:
        found = error.problems
    assert type(found) is type(expected)
    assert found.equals(expected) if isinstance(found, pa.Table) else found == expected


@given(st.fixed_dictionaries({}, optional=fields))
def test_a_part_of_a_span_says_what_it_said_and_what_follows(part: Record) -> None:
    found = span_row(part)
    assert found.keys() - part.keys() <= {"instrumentationScope", "startedAt", "startTime", "endedAt", "endTime"}
    whole = row_of(part, {})
    assert found == {name: whole.get(name) for name in found}


def test_text_as_scope_clears_the_object_in_an_update_and_an_object_names_itself() -> None:
    assert span_row({"scope": "lib"}) == {"scope": "lib", "instrumentationScope": None}
    assert span_row({"scope": {"name": "lib"}}) == {"scope": "lib", "instrumentationScope": {"name": "lib"}}
    assert span_row({"name": "n"}) == {"name": "n"}


def test_either_end_follows_from_the_other_and_both_are_kept_where_both_are_given() -> None:
    assert span_row({"endedAt": NOON}) == {"endedAt": NOON, "endTime": NOON_NS}
    assert span_row({"endTime": NOON_NS + 999}) == {"endedAt": NOON, "endTime": NOON_NS + 999}
    assert span_row({"endTime": 5, "endedAt": NOON}) == {"endTime": 5, "endedAt": NOON}
    assert span_row({"endedAt": None}) == {"endedAt": None, "endTime": None}


def test_rows_of_one_batch_do_not_lend_each_other_anything() -> None:
    base = {"traceId": "t", "name": "n"}
    data = encode_spans(
        [
            {**base, "spanId": "a", "startTime": NOON_NS, "scope": {"name": "x"}, "kind": 3},
            {**base, "spanId": "b", "startedAt": NOON, "endedAt": NOON, "scope": "y"},
            {**base, "spanId": "c", "startedAt": NOON, "instrumentationScope": {"name": "z"}},
        ],
        NOW,
    )
    first, second, third = decode_spans(data)
    assert [each["scope"] for each in (first, second, third)] == [{"name": "x"}, "y", {"name": "z"}]
    assert [each["kind"] for each in (first, second, third)] == [3, 0, 0]
    assert [each["endTime"] for each in (first, second, third)] == [None, NOON_NS, None]
    assert {each["startTime"] for each in (first, second, third)} == {NOON_NS}
    assert {each["createdAt"] for each in (first, second, third)} == {NOW}


def test_a_record_is_not_changed() -> None:
    record = {"traceId": "t", "spanId": "a", "name": "n", "startedAt": NOON, "scope": {"name": "x"}}
    before = dict(record)
    encode_spans([record], NOW)
    assert record == before


def test_what_is_no_record_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidInput, match="spans: row 1 is a str, not a dict"):
        encode_spans([{"traceId": "t"}, "t"], NOW)  # type: ignore[list-item]
