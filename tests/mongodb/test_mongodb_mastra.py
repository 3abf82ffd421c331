"""A database that Mastra made: spans with times as texts, JSON as objects, its own vectors in ``memory_messages``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

import colonnade
from colonnade.engine.plan import Is, Patch, Scan
from colonnade.errors import StoreError
from colonnade.schemas import EVALS, SPANS
from colonnade.testing.colours import Awaited
from tests.servers.mongodb import Server

NOON = datetime(2026, 1, 31, 12, 0, 0, 123000, UTC)
TIMES = {"createdAt": NOON, "updatedAt": NOON}


def iso(seconds: int) -> str:
    return f"2026-01-31T12:00:{seconds:02}.123Z"


def span(trace: str, id: str, start: int, end: int | None, **more: Any) -> dict[str, Any]:
    """A span as ``ObservabilityMongoDB`` inserts it."""
    times = {"startedAt": iso(start), "endedAt": None if end is None else iso(end)}
    kept = {"createdAt": iso(start), "updatedAt": iso(start)}
    return {
        "traceId": trace,
        "spanId": id,
        "name": "run",
        "spanType": "agent_run",
        "isEvent": False,
        **times,
        **kept,
    } | more


def fill(there: Any) -> None:
    usage = {"model": "gpt-5", "provider": "openai", "usage": {"inputTokens": 10, "inputDetails": {"cacheRead": 7}}}
    told = {
        "metadata": {"team": "red"},
        "tags": ["x"],
        "scope": {"name": "core", "version": "1"},
        "input": "plain text",
    }
    there["mastra_ai_spans"].create_index({"spanId": 1, "traceId": 1}, unique=True)
    there["mastra_ai_spans"].insert_many(
        [
            span("a", "root", 0, 3, parentSpanId=None, **told),
            span(
                "a",
                "call",
                1,
                2,
                parentSpanId="root",
                name="llm",
                spanType="model_generation",
                attributes=usage,
                error={"message": "no"},
            ),
            span("b", "root", 2, None, parentSpanId=None, error=None),
            span("c", "root", 3, 9, scope={"name": 3}),
        ]
    )
    thread = {"resourceId": "ada", "title": "Theirs", "metadata": {"plan": "pro"}}
    there["mastra_threads"].insert_one({"id": "t1", **thread, **TIMES})
    content = {"format": 2, "parts": [{"type": "text", "text": "hi"}]}
    message = {"id": "m1", "thread_id": "t1", "content": content, "role": "user", "type": "v2"}
    there["mastra_messages"].insert_one({**message, "resourceId": "ada", "createdAt": NOON})
    there["mastra_resources"].insert_one({"id": "ada", "workingMemory": "# Ada", "metadata": {"n": 1}, **TIMES})
    snapshot = {"status": "suspended", "context": {"first": {"status": "success", "output": 1}}}
    there["mastra_workflow_snapshot"].insert_one({"workflow_name": "w", "run_id": "r", "snapshot": snapshot, **TIMES})
    score = {"scorerId": "s", "runId": "r", "scorer": {"id": "s"}, "score": 1, "source": "LIVE", "entityId": "e"}
    for at in range(2):  # for a time they had no id
        there["mastra_scorers"].insert_one(
            {**score, "input": "plain text", "output": {"at": at}, "entity": {}, **TIMES}
        )
    run = {"global_run_id": str(uuid4()), "run_id": str(uuid4()), "created_at": NOON}
    for _ in range(2):
        there["mastra_evals"].insert_one(
            {"input": "i", "output": "o", "result": {"score": 0.5}, "agent_name": "a", **run}
        )
    # MongoDBVector keeps vectors in a collection of this name, by keys that are not ours.
    vector = {"embedding": [0.1, 0.2], "metadata": {"message_id": "m1"}}
    there["memory_messages"].insert_many([{"_id": f"v{at}", **vector} for at in range(2)])


@pytest.fixture(params=["sync", "async", "alone"])
def theirs(request: pytest.FixtureRequest, mongodb: Server) -> Iterator[tuple[Any, Any]]:
    """A store of what Mastra made, and the database as pymongo has it."""
    name = f"mastra_{request.param}"
    mongodb.client.drop_database(mongodb.name(name))
    there = mongodb.there(name)
    fill(there)
    address = mongodb.address(name, "transactions=false" if request.param == "alone" else "")
    opened = Awaited(colonnade.aopen(address)) if request.param == "async" else colonnade.open(address)
    yield opened, there
    opened.close()


def roots(store: Any, **asked: Any) -> list[str]:
    return [each["traceId"] for each in store.observability.list_traces(**asked)["spans"]]


def test_spans_are_read_with_what_follows_from_them(theirs: tuple[Any, Any]) -> None:
    store, _ = theirs
    root, call = store.observability.get_trace(trace_id="a")["spans"]
    assert (root["startedAt"], root["endedAt"]) == (NOON, NOON + timedelta(seconds=3))
    assert (root["startTime"], root["endTime"]) == (1_769_860_800_123_000_000, 1_769_860_803_123_000_000)
    assert (root["scope"], root["input"], root["tags"]) == ({"name": "core", "version": "1"}, "plain text", ["x"])
    assert (call["model"], call["provider"], call["inputTokens"], call["cachedTokens"]) == ("gpt-5", "openai", 10, 7)
    assert store.execute(Scan(SPANS, Is("spanId", "=", "root"), columns=("scope", "kind"))).to_pylist()[0] == {
        "scope": "core",
        "kind": 0,
    }
    unnamed = store.queries.trace(trace_id="c")
    assert unnamed.column("scope").to_pylist() == [None]
    assert store.observability.get_span(trace_id="c", span_id="root")["span"]["scope"] == {"name": 3}
    usage = store.queries.usage(by="model").to_pylist()
    assert {row["model"]: row["inputTokens"] for row in usage}["gpt-5"] == 10


def test_spans_are_found_by_their_times_and_sorted_among_ours(theirs: tuple[Any, Any]) -> None:
    store, _ = theirs
    ours = {"traceId": "d", "spanId": "root", "name": "run", "startedAt": "2026-01-31T12:00:02.5Z"}
    store.observability.create_span(span=ours)
    assert roots(store) == ["c", "d", "b", "a"]
    assert roots(store, pagination={"page": 1, "perPage": 2}) == ["b", "a"]
    assert roots(store, order_by={"field": "endedAt", "direction": "ASC"}) == ["a", "c", "b", "d"]
    assert roots(store, filters={"startedAt": {"start": iso(2), "end": iso(2)}}) == ["b"]
    assert roots(store, filters={"startedAt": {"start": iso(2)}}) == ["c", "d", "b"]
    assert roots(store, filters={"endedAt": {"end": iso(3)}}) == ["a"]
    assert roots(store, filters={"status": "running"}) == ["d", "b"]
    assert roots(store, filters={"hasChildError": True}) == ["a"]
    for filters in ({"scope": {"name": "core"}}, {"metadata": {"team": "red"}}, {"tags": ["x"]}):
        assert roots(store, filters=filters) == ["a"], filters
    since = datetime(2026, 1, 31, 12, 0, 3, tzinfo=UTC)
    assert store.sql('select "traceId" from spans where "startedAt" >= ?', [since]).rows() == [{"traceId": "c"}]
    streamed = [row for batch in store.batches(Scan(SPANS, Is("name", "=", "llm"))) for row in batch.to_pylist()]
    assert [(row["spanId"], row["startedAt"]) for row in streamed] == [("call", NOON + timedelta(seconds=1))]


def test_spans_are_changed_pruned_and_deleted(theirs: tuple[Any, Any]) -> None:
    store, there = theirs
    store.observability.update_span(trace_id="b", span_id="root", updates={"endedAt": iso(8), "output": {"ok": 1}})
    store.observability.update_span(trace_id="a", span_id="call", updates={"inputTokens": 11})
    call = store.observability.get_span(trace_id="a", span_id="call")["span"]
    assert (call["inputTokens"], call["cachedTokens"]) == (11, 7), "what is written since counts"
    changes = [{"traceId": "a", "spanId": id, "updates": {"metadata": {"seen": id}}} for id in ("root", "call")]
    store.observability.batch_update_spans(records=changes)
    root, call = store.observability.get_trace(trace_id="a")["spans"]
    assert (root["metadata"], call["metadata"], root["startedAt"]) == ({"seen": "root"}, {"seen": "call"}, NOON)
    ended = store.observability.get_span(trace_id="b", span_id="root")["span"]
    assert (ended["endedAt"] - ended["startedAt"], ended["output"]) == (timedelta(seconds=6), {"ok": 1})
    changed = Patch(SPANS, Is("startedAt", "<", NOON + timedelta(seconds=2)), {"environment": "old"})
    assert store.execute(changed) == 2
    assert there["mastra_ai_spans"].count_documents({}) == 4
    store.prune(older_than=NOON + timedelta(seconds=8, milliseconds=500))
    assert {each["traceId"] for each in there["mastra_ai_spans"].find()} == {"c"}
    store.observability.batch_delete_traces(trace_ids=["c"])
    assert there["mastra_ai_spans"].count_documents({}) == 0


def test_everything_else_is_read_and_changed(theirs: tuple[Any, Any]) -> None:
    store, there = theirs
    assert store.memory.update_thread(id="t1", metadata={"more": 1})["metadata"] == {"plan": "pro", "more": 1}
    assert store.memory.list_threads(filter={"metadata": {"plan": "pro"}})["total"] == 1
    changed = store.memory.update_messages(messages=[{"id": "m1", "content": {"metadata": {"seen": True}}}])
    assert changed[0]["content"]["parts"] == [{"type": "text", "text": "hi"}]
    updated = store.memory.update_resource(resource_id="ada", metadata={"more": 2})
    assert (updated["workingMemory"], updated["metadata"]) == ("# Ada", {"n": 1, "more": 2})
    store.workflows.update_workflow_results(
        workflow_name="w", run_id="r", step_id="second", result={"status": "success"}, request_context={}
    )
    run = store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r")
    assert (run["status"], sorted(run["context"])) == ("suspended", ["first", "second"])
    scores = store.scores.list_scores_by_run_id(run_id="r")["scores"]
    assert [(each["score"], each["input"]) for each in scores] == [(1.0, "plain text")] * 2
    assert store.scores.get_score_by_id(id=scores[0]["id"])["output"] == scores[0]["output"]
    assert len({row["id"] for row in store.execute(Scan(EVALS)).to_pylist()}) == 2
    there["mastra_evals"].insert_many([{"agent_name": "later"}, {"agent_name": "and later"}])  # as Mastra goes on
    assert there["memory_messages"].count_documents({}) == 2, "Mastra's own vectors are left alone"
    assert store.memory.embed_messages(embedder=lambda texts: [[1.0, 0.0] for _ in texts], thread_id="t1") == 1


def test_what_was_not_made_ready_is_known_to_be_mastras_all_the_same(mongodb: Server) -> None:
    mongodb.client.drop_database(mongodb.name("unready"))
    fill(mongodb.there("unready"))
    with colonnade.open(mongodb.address("unready"), init=False) as store:
        assert roots(store, filters={"startedAt": {"start": iso(2)}}) == ["c", "b"]


def test_spans_that_share_a_key_are_told(mongodb: Server) -> None:
    mongodb.client.drop_database(mongodb.name("twice"))
    mongodb.there("twice")["mastra_ai_spans"].insert_many([span("a", "s", 0, 1), span("a", "s", 0, 2)])
    with pytest.raises(StoreError, match=r"mastra_ai_spans share a key \(traceId, spanId\)"):
        colonnade.open(mongodb.address("twice"))
