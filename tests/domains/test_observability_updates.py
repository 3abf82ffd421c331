"""Spans that change after they were written, and traces that go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.errors import InvalidInput, InvalidRows, NotFound

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NOON_NS = 1_769_860_800_000_000_000
LATER = NOON + timedelta(seconds=2)


def span(span_id: str = "root", trace_id: str = "t1", **more: Any) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": span_id, "name": "chat", "startedAt": NOON, **more}


def keep(storage: Any, *spans: dict[str, Any]) -> None:
    storage.observability.batch_create_spans(records=spans)


def read(storage: Any, span_id: str = "root", trace_id: str = "t1") -> Any:
    return storage.observability.get_span(trace_id=trace_id, span_id=span_id)["span"]


def one_by_one(storage: Any, span_id: str, **updates: Any) -> None:
    storage.observability.update_span(trace_id="t1", span_id=span_id, updates=updates)


def in_a_batch(storage: Any, span_id: str, **updates: Any) -> None:
    storage.observability.batch_update_spans(records=[update(span_id, **updates)])


def update(span_id: str = "root", trace_id: str = "t1", **updates: Any) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": span_id, "updates": updates}


@pytest.fixture(params=[one_by_one, in_a_batch], ids=["update_span", "batch_update_spans"])
def change(request: pytest.FixtureRequest) -> Any:
    """Both ways to update a span; they mean the same."""
    return request.param


# --- both ways ---


def test_an_update_overwrites_what_it_names_and_nothing_else(storage: Any, change: Any) -> None:
    keep(storage, span(input={"q": [1]}, metadata={"a": 1}, tags=["x"]), span("other"), span("root", "t2"))
    before, untouched = read(storage), [read(storage, "other"), read(storage, "root", "t2")]

    change(storage, "root", name="renamed", metadata={"b": 2}, tags=None, output="done", kind=3)

    after = read(storage)
    assert after["updatedAt"] > before["updatedAt"]
    expected = {"name": "renamed", "metadata": {"b": 2}, "tags": None, "output": "done", "kind": 3}
    assert after == {**before, **expected, "updatedAt": after["updatedAt"]}
    assert [read(storage, "other"), read(storage, "root", "t2")] == untouched


def test_an_update_of_nothing_sets_updatedAt(storage: Any, change: Any) -> None:
    keep(storage, span())
    before = read(storage)

    change(storage, "root")

    assert read(storage) == {**before, "updatedAt": read(storage)["updatedAt"]}
    assert read(storage)["updatedAt"] > before["updatedAt"]


def test_updating_a_span_that_is_not_there_is_NotFound_and_writes_nothing(storage: Any, change: Any) -> None:
    keep(storage, span("other"), span("root", "t2"))

    for ended in (NOON, None):
        with pytest.raises(NotFound, match="'root' in trace 't1'"):
            change(storage, "root", name="x", endedAt=ended)

    assert storage.observability.get_span(trace_id="t1", span_id="root") is None


def test_an_update_maps_times_as_a_new_span_does(storage: Any, change: Any) -> None:
    keep(storage, span())

    change(storage, "root", endedAt="2026-01-31T12:00:02Z", startTime=NOON_NS - 1)

    found = read(storage)
    assert (found["endedAt"], found["endTime"]) == (LATER, NOON_NS + 2_000_000_000)
    assert (found["startedAt"], found["startTime"]) == (NOON - timedelta(microseconds=1), NOON_NS - 1)


@pytest.mark.parametrize("scope", ["plain", {"name": "lib", "v": 2}, {"v": 3}, None])
def test_an_update_sets_the_scope_or_wipes_it(storage: Any, change: Any, scope: Any) -> None:
    keep(storage, span(scope={"name": "before", "version": "1"}))

    change(storage, "root", scope=scope)

    assert read(storage)["scope"] == scope


def test_an_update_without_scope_leaves_it(storage: Any, change: Any) -> None:
    keep(storage, span(scope={"name": "before", "version": "1"}))

    change(storage, "root", name="x")

    assert read(storage)["scope"] == {"name": "before", "version": "1"}


def test_an_update_that_says_running_ends_no_end(storage: Any, change: Any) -> None:
    keep(storage, span(endedAt=LATER, output="done"), span("open"))
    before = read(storage)

    change(storage, "root", endedAt=None, output=None)
    change(storage, "open", endedAt=None, output="so far")

    assert read(storage) == before
    assert (read(storage, "open")["endedAt"], read(storage, "open")["output"]) == (None, "so far")


def test_an_ended_span_takes_updates_that_leave_its_end_alone_or_move_it(storage: Any, change: Any) -> None:
    keep(storage, span(endedAt=NOON))

    change(storage, "root", output="added")
    change(storage, "root", endedAt=LATER)

    assert (read(storage)["output"], read(storage)["endedAt"]) == ("added", LATER)


def test_an_update_cannot_move_a_span(storage: Any, change: Any) -> None:
    keep(storage, span())

    change(storage, "root", traceId="t1", spanId="root", name="the same ids may be said again")
    with pytest.raises(InvalidRows, match="cannot be changed"):
        change(storage, "root", spanId="elsewhere")

    assert read(storage)["name"] == "the same ids may be said again"


def test_all_problems_of_an_update_are_reported_and_nothing_is_written(storage: Any, change: Any) -> None:
    keep(storage, span())

    with pytest.raises(InvalidRows) as refused:
        change(storage, "root", name=None, nmae="x", cost="much", endedAt="soon", startedAt=None, output="kept?")

    fields = {problem.field for problem in refused.value.problems}
    assert fields == {"name", "nmae", "cost", "endedAt", "startedAt", "startTime"}
    assert read(storage)["output"] is None


def test_payloads_that_an_update_does_not_name_stay_as_they_are(storage: Any, change: Any) -> None:
    strange = {"text": "\0 \ud800 \ufdd0", "number": float("inf"), "big": 2**70}
    keep(storage, span(input=strange))

    change(storage, "root", output=strange)

    assert (read(storage)["input"], read(storage)["output"]) == (strange, strange)


# --- batches ---


def test_a_batch_updates_each_of_its_spans(storage: Any) -> None:
    keep(storage, span("a"), span("b"), span("a", "t2"), span("c"))

    storage.observability.batch_update_spans(
        records=[update("a", name="1"), update("b", endedAt=LATER), update("a", "t2", metadata={"n": 3})]
    )

    assert (read(storage, "a")["name"], read(storage, "a")["endedAt"]) == ("1", None)
    assert (read(storage, "b")["name"], read(storage, "b")["endedAt"]) == ("chat", LATER)
    assert (read(storage, "a", "t2")["name"], read(storage, "a", "t2")["metadata"]) == ("chat", {"n": 3})
    assert read(storage, "c")["updatedAt"] == read(storage, "c")["createdAt"]


def test_an_empty_batch_is_ok(storage: Any) -> None:
    storage.observability.batch_update_spans(records=[])


def test_updates_of_one_span_in_a_batch_happen_in_their_order(storage: Any) -> None:
    keep(storage, span("open"))

    storage.observability.batch_update_spans(
        records=[
            update("open", name="1", input="i", endedAt=None),
            update("open", name="2", endedAt=LATER, output="o"),
            update("open", name="late", endedAt=None, output=None),
        ]
    )

    found = read(storage, "open")
    assert (found["name"], found["input"], found["output"], found["endedAt"]) == ("2", "i", "o", LATER)


def test_a_batch_with_a_missing_span_writes_nothing_at_all(storage: Any) -> None:
    keep(storage, span("a"), span("b", "t2"))
    before = [read(storage, "a"), read(storage, "b", "t2")]

    # ("b", "t1") is not there, though there is a "b" and there is a "t1".
    with pytest.raises(NotFound, match="no span 'b' in trace 't1'; nothing was written"):
        storage.observability.batch_update_spans(
            records=[update("a", name="x"), update("b", name="x"), update("b", "t2", name="x")]
        )

    assert [read(storage, "a"), read(storage, "b", "t2")] == before


def test_NotFound_counts_what_it_does_not_name(storage: Any) -> None:
    with pytest.raises(NotFound, match="and 3 more; nothing was written"):
        storage.observability.batch_update_spans(records=[update(f"s{n % 8}") for n in range(16)])


def test_a_batch_with_a_bad_update_writes_nothing_and_names_every_problem(storage: Any) -> None:
    keep(storage, span("a"), span("b"))

    with pytest.raises(InvalidRows) as refused:
        storage.observability.batch_update_spans(
            records=[update("a", name="x"), update("b", kind="server"), update("b", isEvent=0)]
        )

    assert [(problem.row, problem.field) for problem in refused.value.problems] == [(1, "kind"), (2, "isEvent")]
    assert read(storage, "a")["name"] == "chat"


@pytest.mark.above_the_waist
@pytest.mark.parametrize(
    "record", [{"traceId": "t1", "spanId": "a"}, {**update(), "name": "x"}, "update", update() | {"updates": 1}]
)
def test_an_update_of_another_form_is_refused(storage: Any, record: Any) -> None:
    with pytest.raises(InvalidInput, match="update 0 is not of the form"):
        storage.observability.batch_update_spans(records=[record])


@pytest.mark.parametrize("store", ["memory", "duckdb"])
def test_batches_that_meet_on_one_span_lose_nothing(store: str, tmp_path: Path) -> None:
    fields = ["userId", "runId", "sessionId", "threadId"]
    start = threading.Barrier(len(fields))
    with colonnade.open(":memory:" if store == "memory" else str(tmp_path / "store.duckdb")) as storage:
        keep(storage, *(span(f"s{n}") for n in range(5)))

        def work(field: str) -> None:
            start.wait()
            for n in range(5):
                records = [update("s0", **{field: f"{field}-{n}"}), update(f"s{n}", name=field)]
                storage.observability.batch_update_spans(records=records)

        with ThreadPoolExecutor(len(fields)) as threads:
            list(threads.map(work, fields))

        found = read(storage, "s0")
        assert {field: found[field] for field in fields} == {field: f"{field}-4" for field in fields}


def test_what_can_be_read_only_once_is_refused_for_an_operation_may_run_again(storage: Any) -> None:
    keep(storage, span())

    with pytest.raises(InvalidInput, match="records must be a list"):
        storage.observability.batch_update_spans(records=(update(name=name) for name in "ab"))
    with pytest.raises(InvalidInput, match="records must be a list"):
        storage.observability.batch_create_spans(records=iter([span("b")]))


# --- deleting ---


def test_deleting_traces_deletes_all_their_spans_and_no_others(storage: Any) -> None:
    keep(storage, span("a"), span("b", parentSpanId="a"), span("a", "t2"), span("a", "t3"))

    storage.observability.batch_delete_traces(trace_ids=["t1", "t3", "never was"])

    assert [storage.observability.get_trace(trace_id=trace) is None for trace in ("t1", "t2", "t3")] == [
        True,
        False,
        True,
    ]


def test_deleting_traces_is_idempotent_and_none_is_ok(storage: Any) -> None:
    keep(storage, span())

    for _ in range(2):
        storage.observability.batch_delete_traces(trace_ids=["t1"])
    storage.observability.batch_delete_traces(trace_ids=[])

    assert storage.observability.list_traces()["pagination"]["total"] == 0


def test_one_text_is_no_list_of_traces(storage: Any) -> None:
    keep(storage, span("a", "t"))

    with pytest.raises(InvalidInput, match="trace_ids must be a list"):
        storage.observability.batch_delete_traces(trace_ids="t")

    assert storage.observability.get_trace(trace_id="t") is not None
