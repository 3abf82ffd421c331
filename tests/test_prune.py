"""Retention: what is older goes, on every store, and what is not stays."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine import retention
from colonnade.engine.plan import Put
from colonnade.engine.retention import Retention
from colonnade.errors import ColonnadeError, InvalidInput
from colonnade.schemas import EVALS
from colonnade.schemas.records import encode
from colonnade.testing.colours import Awaited

CUTOFF = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
SPLIT = {"observability": "sqlite:///{folder}/spans.sqlite", "scores": "{folder}/scores"}
ADDRESSES = {
    "memory": {"default": ":memory:"},
    "duckdb": {"default": "duckdb:///{folder}/agent.db"},
    "sqlite": {"default": "sqlite:///{folder}/agent.sqlite"},
    "folder": {"default": "{folder}/agent"},
    "sealed": {"default": "{folder}/agent"},
    "spans in SQLite, scores in a folder": SPLIT,
    "spans in a folder, scores in memory": {"observability": "{folder}/agent", "scores": ":memory:"},
}


@pytest.fixture(params=[*ADDRESSES, "memory, async", "spans in SQLite, scores in a folder, async"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    name = request.param.removesuffix(", async")
    is_async = name != request.param
    domains: Any = {domain: address.format(folder=tmp_path) for domain, address in ADDRESSES[name].items()}
    default = domains.pop("default", ":memory:")
    opened: Any = Awaited(colonnade.aopen(default, **domains)) if is_async else colonnade.open(default, **domains)
    opened.seals = name == "sealed"
    yield opened
    opened.close()


def span(trace: str, id: str, start: datetime, end: datetime | None, **more: Any) -> dict[str, Any]:
    return {"traceId": trace, "spanId": id, "name": "n", "startedAt": start, "endedAt": end, **more}


def put(store: Any, *spans: dict[str, Any]) -> None:
    store.observability.batch_create_spans(records=list(spans))
    if store.seals:
        store.stores[0].optimize(merge=False)


def score(store: Any, trace: str | None, at: datetime) -> str:
    given = {
        "scorerId": "s",
        "scorer": {},
        "score": 1.0,
        "source": "LIVE",
        "output": {},
        "runId": "r",
        "entityId": "e",
        "entity": {},
        "traceId": trace,
        "createdAt": at,
    }
    saved: str = store.scores.save_score(score=given)["score"]["id"]
    return saved


def evaluated(store: Any, at: datetime) -> None:
    uuid = "00000000-0000-4000-8000-00000000000a"
    row: dict[str, Any] = {
        "id": f"e{at:%H%M%S%f}",
        "input": "",
        "output": "",
        "result": {},
        "agentName": "a",
        "metricName": "m",
    }
    row |= {"instructions": "", "testInfo": {}, "globalRunId": uuid, "runId": uuid, "createdAt": at}
    store.execute(Put(EVALS, encode(EVALS, [row])))


def spans(store: Any) -> list[str]:
    return sorted(f"{row['traceId']}{row['spanId']}" for row in store.sql("select traceId, spanId from spans").rows())


def scores(store: Any) -> set[str]:
    return {row["id"] for row in store.sql("select id from scores").rows()}


def evals(store: Any) -> int:
    count: int = store.sql("select count(*) as n from evals").rows()[0]["n"]
    return count


def counts(pruned: Any) -> tuple[int, int, int, int]:
    return pruned.traces, pruned.spans, pruned.scores, pruned.evals


# Traces.


def test_a_trace_all_of_whose_spans_started_and_ended_before_goes(store: Any) -> None:
    put(store, span("a", "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR), span("a", "2", CUTOFF - HOUR, CUTOFF - MOMENT))
    put(store, span("b", "1", CUTOFF + HOUR, CUTOFF + 2 * HOUR))
    assert counts(store.prune(older_than=CUTOFF)) == (1, 2, 0, 0)
    assert spans(store) == ["b1"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (CUTOFF, CUTOFF + HOUR),
        (CUTOFF - HOUR, CUTOFF),
        (CUTOFF - HOUR, CUTOFF + HOUR),
        (CUTOFF + HOUR, CUTOFF - HOUR),
        (CUTOFF - 1000 * HOUR, None),
    ],
    ids=["starts then", "ends then", "ends later", "ends before it starts", "still runs"],
)
def test_one_span_keeps_its_trace_whole(store: Any, start: datetime, end: datetime | None) -> None:
    put(store, span("a", "1", CUTOFF - 9 * HOUR, CUTOFF - 8 * HOUR))
    put(store, span("a", "2", start, end), span("b", "1", CUTOFF - HOUR, CUTOFF - MOMENT))
    assert counts(store.prune(older_than=CUTOFF)) == (1, 1, 0, 0)
    assert spans(store) == ["a1", "a2"]


def test_a_span_that_ended_in_the_meantime_keeps_its_trace_no_more(store: Any) -> None:
    put(store, span("a", "1", CUTOFF - 2 * HOUR, None))
    assert counts(store.prune(older_than=CUTOFF)) == (0, 0, 0, 0)
    store.observability.update_span(trace_id="a", span_id="1", updates={"endedAt": CUTOFF - HOUR})
    assert counts(store.prune(older_than=CUTOFF)) == (1, 1, 0, 0)
    assert spans(store) == []


def test_an_event_has_no_end_and_is_over_where_it_began(store: Any) -> None:
    put(store, span("a", "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR), span("a", "2", CUTOFF - HOUR, None, isEvent=True))
    put(store, span("b", "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR), span("b", "2", CUTOFF, None, isEvent=True))
    assert counts(store.prune(older_than=CUTOFF)) == (1, 2, 0, 0)
    assert spans(store) == ["b1", "b2"]


def test_many_traces(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 7)
    records = [
        span(f"t{number:03}", f"-{each}", CUTOFF - HOUR, CUTOFF + (HOUR if number % 3 == each == 0 else -MOMENT))
        for number in range(50)
        for each in range(3)
    ]
    put(store, *records)
    assert counts(store.prune(older_than=CUTOFF)) == (33, 99, 0, 0)
    assert spans(store) == sorted(f"t{number:03}-{each}" for number in range(0, 50, 3) for each in range(3))


# Scores and evals.


def test_scores_and_evals_from_before_go(store: Any) -> None:
    score(store, None, CUTOFF - MOMENT)
    then = score(store, "a", CUTOFF)
    evaluated(store, CUTOFF - MOMENT)
    evaluated(store, CUTOFF)
    assert counts(store.prune(older_than=CUTOFF)) == (0, 0, 1, 1)
    assert scores(store) == {then}
    assert evals(store) == 1


def test_a_trace_goes_although_it_was_scored(store: Any) -> None:
    put(store, span("a", "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR))
    later = score(store, "a", CUTOFF + HOUR)
    assert counts(store.prune(older_than=CUTOFF)) == (1, 1, 0, 0)
    assert scores(store) == {later}


def test_kept_scored_are_all_scores_and_evals_and_the_traces_that_scores_point_at(store: Any) -> None:
    put(store, *(span(trace, "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR) for trace in "abc"))
    kept = {score(store, trace, CUTOFF + hours * HOUR) for trace, hours in (("a", -9), ("b", 1), (None, -9))}
    evaluated(store, CUTOFF - HOUR)
    assert counts(store.prune(older_than=CUTOFF, keep_scored=True)) == (1, 1, 0, 0)
    assert spans(store) == ["a1", "b1"]
    assert scores(store) == kept
    assert evals(store) == 1


# Everything else.


def test_memory_workflows_and_agents_stay(store: Any) -> None:
    old = CUTOFF - 1000 * HOUR
    thread = {"id": "t", "resourceId": "r", "title": "x", "createdAt": old, "updatedAt": old, "metadata": {}}
    store.memory.save_thread(thread=thread)
    store.workflows.persist_workflow_snapshot(workflow_name="w", run_id="1", snapshot={"status": "success"})
    store.prune(older_than=CUTOFF)
    assert store.memory.get_thread_by_id(thread_id="t")["title"] == "x"
    assert store.workflows.load_workflow_snapshot(workflow_name="w", run_id="1") is not None


def filled(store: Any) -> None:
    """Ten traces, an hour apart, with a span of no, one and two hours each; half of them scored."""
    for numbers in (range(7), range(7, 10)):
        for number in numbers:
            score(store, f"t{number}" if number % 2 else None, at(number))
            evaluated(store, at(number))
        put(store, *(span(f"t{n}", f"{each}", at(n), at(n) + each * HOUR) for n in numbers for each in range(3)))


def at(number: int) -> datetime:
    return CUTOFF + (number - 5) * HOUR


@pytest.mark.parametrize("keep_scored", [False, True])
def test_a_dry_run_tells_the_same_and_does_nothing(store: Any, keep_scored: bool) -> None:
    filled(store)
    before = spans(store), scores(store), evals(store)
    foreseen = store.prune(older_than=CUTOFF, keep_scored=keep_scored, dry_run=True)
    assert (spans(store), scores(store), evals(store)) == before
    done = store.prune(older_than=CUTOFF, keep_scored=keep_scored)
    assert counts(foreseen) == counts(done) == ((2, 6, 0, 0) if keep_scored else (3, 9, 5, 5))
    assert (foreseen.dry_run, done.dry_run, foreseen.cutoff) == (True, False, done.cutoff)
    assert len(spans(store)) == 30 - done.spans


def test_twice_is_once(store: Any) -> None:
    filled(store)
    store.prune(older_than=CUTOFF)
    left = spans(store), scores(store), evals(store)
    again = store.prune(older_than=CUTOFF)
    assert counts(again) == (0, 0, 0, 0)
    assert again.bytes == 0
    assert (spans(store), scores(store), evals(store)) == left


def test_what_was_pruned_may_be_written_again(store: Any) -> None:
    old = span("a", "1", CUTOFF - 2 * HOUR, CUTOFF - HOUR)
    put(store, old)
    store.prune(older_than=CUTOFF)
    put(store, old)
    assert spans(store) == ["a1"]
    assert counts(store.prune(older_than=CUTOFF)) == (1, 1, 0, 0)
    assert spans(store) == []


def test_an_empty_store(store: Any) -> None:
    assert counts(store.prune(older_than="30d")) == (0, 0, 0, 0)


@pytest.mark.parametrize("older_than", ["36h", timedelta(hours=36)])
def test_how_long_ago(older_than: Any) -> None:
    before = datetime.now(UTC) - timedelta(hours=36)
    assert before <= Retention.of(older_than).cutoff <= before + timedelta(minutes=1)


def test_before_a_moment() -> None:
    for older_than in (CUTOFF, "2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00"):
        assert Retention.of(older_than).cutoff == CUTOFF


@pytest.mark.parametrize(
    ("older_than", "said"),
    [
        ("yesterday", "such as 30m, 24h, 7d"),
        ("-30d", "such as 30m, 24h, 7d"),
        ("30", "such as 30m, 24h, 7d"),
        (30, "such as 30m, 24h, 7d"),
        (None, "such as 30m, 24h, 7d"),
        (datetime(2026, 1, 31, 12), "naive datetime"),
        (timedelta(days=-1), "in the future"),
        (datetime.now(UTC) + timedelta(days=1), "in the future"),
        ("9999-01-01T00:00:00Z", "in the future"),
        ("99999999999d", "longer ago"),
        (timedelta(days=10**6), "longer ago"),
    ],
)
def test_nonsense_is_refused(older_than: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Retention.of(older_than)


def test_what_is_refused_deletes_nothing(store: Any) -> None:
    put(store, span("a", "1", CUTOFF, CUTOFF))
    with pytest.raises(InvalidInput, match="in the future"):
        store.prune(older_than=datetime.now(UTC) + HOUR)
    assert spans(store) == ["a1"]


def test_progress_is_told(store: Any) -> None:
    filled(store)
    told: list[tuple[str, int, int | None]] = []
    store.prune(older_than=CUTOFF, progress=lambda *step: told.append(step))
    assert told
    assert all(isinstance(what, str) and done >= 0 and (total is None or done <= total) for what, done, total in told)


def test_a_closed_store_is_not_pruned(tmp_path: Path) -> None:
    for address in (":memory:", tmp_path / "agent.db", tmp_path / "agent"):
        for dry_run in (True, False):
            opened = colonnade.open(address)
            opened.close()
            with pytest.raises(ColonnadeError, match="closed"):
                opened.prune(older_than="1d", dry_run=dry_run)


def test_the_report_in_words() -> None:
    pruned = retention.Pruned(CUTOFF, traces=1200, spans=12345, scores=1, bytes=10**9)
    assert str(pruned) == (
        "1,200 traces with 12,345 spans, 1 score and 0 evals from before 2026-01-31 12:00:00 UTC were deleted; "
        "1,000,000,000 bytes were given back."
    )
    assert str(retention.Pruned(CUTOFF, dry_run=True)).endswith("UTC would be deleted.")
