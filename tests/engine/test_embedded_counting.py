"""Totals of trace lists on an embedded folder, which remembers what it counted of its segments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import Null, Summarize
from colonnade.engine.stores.embedded import counting
from colonnade.engine.stores.embedded.segments import Segments
from colonnade.schemas import SPANS

START = datetime(2026, 1, 31, tzinfo=UTC)
USERS = (None, "ann", "bob", "o'neil")
ASKED = (*USERS, "nobody")

trace_ids = st.integers(0, 7).map(lambda number: f"t{number}")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), trace_ids, st.sampled_from(USERS)),
        st.tuples(st.just("update"), trace_ids, st.sampled_from(USERS)),
        st.tuples(st.just("delete"), trace_ids),
        st.tuples(st.sampled_from(["clear", "seal", "seal", "merge"])),
    ),
    max_size=16,
)


def total(store: Any, user: str | None) -> int:
    filters = {} if user is None else {"userId": user}
    page = {"page": 0, "perPage": 1}  # of which there are more, mostly: else nothing need be counted
    return int(store.observability.list_traces_light(filters=filters, pagination=page)["pagination"]["total"])


def take(store: Any, known: dict[str, str | None], step: tuple[Any, ...]) -> None:
    """One step, by the store and by a model of it: the user of each trace."""
    match step:
        case ("write", trace, user):
            root = {
                "traceId": trace,
                "spanId": "root",
                "name": "n",
                "startedAt": START,
                "endedAt": START,
                "userId": user,
            }
            child = {**root, "spanId": "child", "parentSpanId": "root", "userId": "ann"}
            store.observability.batch_create_spans(records=[root, child])
            known[trace] = user
        case ("update", trace, user) if trace in known:
            store.observability.update_span(trace_id=trace, span_id="root", updates={"userId": user})
            known[trace] = user
        case ("delete", trace):
            store.observability.batch_delete_traces(trace_ids=[trace])
            known.pop(trace, None)
        case ("clear",):
            store.observability.dangerously_clear_all()
            known.clear()
        case ("seal",) | ("merge",):
            store.stores[0].optimize(merge=step[0] == "merge")


@settings(max_examples=40)
@given(steps)
def test_totals_are_those_of_what_is_there(moves: list[tuple[Any, ...]]) -> None:
    known: dict[str, str | None] = {}
    with TemporaryDirectory() as folder, colonnade.open(Path(folder) / "agent") as store:
        for move in [*(("write", f"t{number}", USERS[number % 3]) for number in range(4)), ("seal",), *moves]:
            take(store, known, move)
            for user in ASKED:  # the second time that a column is asked for, all its values are counted
                expected = len(known) if user is None else list(known.values()).count(user)
                assert total(store, user) == expected, (move, user)


def filled(folder: Path) -> Any:
    store = colonnade.open(folder / "agent")
    for number in range(8):
        take(store, {}, ("write", f"t{number}", USERS[number % 4]))
    take(store, {}, ("seal",))
    return store


def test_what_was_counted_of_a_segment_is_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    query = Segments.query

    def noted(self: Segments, statement: Any, relations: Any = None) -> Any:
        asked.append(statement.sql)
        return query(self, statement, relations)

    with filled(tmp_path) as store:
        for _ in range(2):
            assert total(store, "ann") == total(store, "bob") == 2
            assert total(store, None) == 8
        monkeypatch.setattr(Segments, "query", noted)
        assert total(store, "ann") == total(store, "bob") == 2
        assert total(store, None) == 8
        assert not [sql for sql in asked if "count" in sql]
        take(store, {}, ("write", "t8", "ann"))  # which is fresh
        assert (total(store, "ann"), total(store, None)) == (3, 9)
        assert not [sql for sql in asked if "count" in sql]
        take(store, {}, ("write", "t0", "ann"))  # which replaces a row of the segment
        assert (total(store, "ann"), total(store, None)) == (4, 9)
        assert [sql for sql in asked if "count" in sql]


def test_a_column_of_many_values_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MANY", 2)
    with filled(tmp_path) as store:
        assert [total(store, "ann") for _ in range(4)] == [2] * 4


def test_other_questions_are_not_taken_for_it(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        for _ in range(3):
            later = {"userId": "ann", "startedAt": {"start": START + timedelta(seconds=1)}}
            assert store.observability.list_traces_light(filters=later)["pagination"]["total"] == 0
            assert store.observability.list_traces_light(filters={"userId": "ann", "scope": "s"})["spans"] == []
            assert store.execute(Summarize(SPANS)).column(0).to_pylist() == [16]
            users = store.execute(Summarize(SPANS, ("userId",), (), Null("parentSpanId")))
            assert users.to_pylist() == [{"userId": user} for user in ("ann", "bob", "o'neil", None)]
