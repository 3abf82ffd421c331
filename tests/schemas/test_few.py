"""Few rows without Arrow: exactly the rows, and exactly the refusals, of the way through Arrow."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine.plan import Scan
from colonnade.engine.sqlite_values import few_rows, tuples
from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas import MESSAGES, STORED, THREADS
from colonnade.schemas.few import FewRows
from colonnade.schemas.records import Record, decode, encode, encode_few
from colonnade.schemas.table import Table
from colonnade.testing.strategies import records

STATE = [table for table in STORED if table.domain in ("memory", "workflows", "agents")]
EACH_TABLE = pytest.mark.parametrize("table", STATE, ids=[table.name for table in STATE])
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MESSAGE = {"id": "m", "threadId": "t", "content": {"a": 1}, "role": "user", "type": "v2", "createdAt": NOON}


def said(found: list[Record]) -> str:
    """Records as text, for NaN, which payloads may hold, equals nothing; in UTC there is no fold."""
    return str(
        [
            {name: each.replace(fold=0) if isinstance(each, datetime) else each for name, each in record.items()}
            for record in found
        ]
    )


@EACH_TABLE
@given(data=st.data())
def test_few_rows_are_the_rows_that_arrow_has(table: Table, data: st.DataObject) -> None:
    rows: list[Record] = data.draw(st.lists(records(table), max_size=3))
    few, arrow = encode_few(table, rows), encode(table, rows)
    assert few.num_rows == len(rows)
    assert few.arrow().equals(arrow, check_metadata=True)
    assert said(few.records()) == said(decode(table, arrow))


@EACH_TABLE
@given(data=st.data())
def test_few_rows_come_back_from_sqlite_as_they_went(table: Table, data: st.DataObject) -> None:
    few = encode_few(table, data.draw(st.lists(records(table), max_size=3)))
    there = [tuple(row) for row in tuples(few)]
    assert there == [tuple(row) for row in tuples(few.arrow())]
    assert said(few_rows(there, Scan(table)).records()) == said(decode(table, few.arrow()))


def test_some_columns_in_any_order() -> None:
    few = FewRows(MESSAGES, ("createdAt", "thread_id", "content"), [(NOON, "t", '{"a":[]}'), (None, "u", None)])
    assert few.records() == [
        {"createdAt": NOON, "threadId": "t", "content": {"a": []}},
        {"createdAt": None, "threadId": "u", "content": None},
    ]
    assert few.arrow().column_names == ["createdAt", "thread_id", "content"]


WRONG: list[list[Any]] = [
    [{}],
    [MESSAGE | {"role": 5, "more": 1, "another": 2}, MESSAGE, MESSAGE | {"id": "", "createdAt": "soon"}],
    [MESSAGE | {"content": {1j}}, {"id": "a\0", "resourceId": "\ud83d"}],
    [MESSAGE | {"createdAt": NOON.replace(tzinfo=None), "type": None}, MESSAGE | {"threadID": "t"}],
    [MESSAGE | {7: 1}],
]


def problems(call: Any, rows: list[Any]) -> list[Problem]:
    with pytest.raises(InvalidRows) as refused:
        call(MESSAGES, rows)
    return list(refused.value.problems)


@pytest.mark.parametrize("rows", WRONG)
def test_all_that_is_wrong_is_said_at_once_in_the_same_words_and_order(rows: list[Any]) -> None:
    assert problems(encode_few, rows) == problems(encode, rows)


@pytest.mark.parametrize("row", [None, "text", 5, ["id"]])
def test_what_is_no_record_is_refused_in_the_same_words(row: Any) -> None:
    said = []
    for call in (encode, encode_few):
        with pytest.raises(InvalidInput) as refused:
            call(THREADS, [MESSAGE, row])
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_payload_that_is_nothing_but_strange_is_kept() -> None:
    strange = {"nan": math.nan, "text": "a\0\ud83d\ufdd0", "huge": 2**70, "\0": [math.inf]}
    kept = encode_few(MESSAGES, [MESSAGE | {"content": strange}]).records()[0]["content"]
    assert math.isnan(kept.pop("nan"))
    assert kept == {"text": "a\0\ud83d\ufdd0", "huge": 2**70, "\0": [math.inf]}
