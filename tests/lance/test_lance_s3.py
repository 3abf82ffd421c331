"""Lance in an object store: the machine, each domain once, and several processes at once."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.stores.lance import vectors
from colonnade.engine.stores.lance.tables import companions
from colonnade.errors import StoreError
from colonnade.schemas import EVALS, MESSAGES, SPANS, TRACES, VECTORS
from colonnade.testing.machine import run_machine
from colonnade.testing.questions import QUESTIONS, ask, load

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_lance_store_on_s3_answers_as_the_reference_does(bucket: str) -> None:
    few = settings(max_examples=4, stateful_step_count=10, deadline=None)
    with colonnade.open(bucket) as storage:
        run_machine(storage, tables=(MESSAGES, SPANS, EVALS, TRACES), excused={"transactions"}, settings=few)


def test_every_domain_on_s3(bucket: str) -> None:
    with colonnade.open(bucket) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Order 17"})
        assert store.memory.update_thread(id="t1", metadata={"plan": "pro"})["metadata"] == {"plan": "pro"}
        store.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r", snapshot={"status": "running"})
        store.observability.create_span(span={"traceId": "a", "spanId": "1", "name": "chat", "startedAt": NOW})
        store.agents.create_agent(
            agent={"id": "a1", "name": "Ada", "instructions": "Help.", "model": {"provider": "p", "name": "m"}}
        )
        store.scores.save_score(
            score={
                "scorerId": "s",
                "scorer": {},
                "score": 0.1234567890123,
                "source": "TEST",
                "output": {},
                "runId": "r",
                "entityId": "e",
                "entity": {},
                "traceId": "a",
            }
        )
    reopened: Any = colonnade.open(bucket)
    with reopened as store:  # nothing is left but what is in the object store
        assert store.memory.list_threads()["total"] == 1
        assert store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r") == {"status": "running"}
        assert [each["spanId"] for each in store.observability.get_trace(trace_id="a")["spans"]] == ["1"]
        assert store.agents.get_agent_by_id(id="a1")["name"] == "Ada"
        (score,) = store.scores.list_scores_by_run_id(run_id="r")["scores"]
        assert score["score"] == 0.1234567890123
        assert "indexed" in " ".join(store.optimize())


def test_words_and_vectors_on_s3(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "FEW", 100)
    chance = random.Random(1)
    said = [[chance.gauss(0, 1) for _ in range(8)] for _ in range(200)]
    messages = [
        {"id": f"m{at:03}", "threadId": "t", "resourceId": "ada", "role": "user", "content": f"refund {at}"}
        for at in range(200)
    ]
    with colonnade.open(bucket) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "Order 17"})
        store.memory.save_messages(messages=messages, embedder=lambda texts: said[: len(texts)])
        expected = store.memory.recall(thread_id="t", scope="thread", vector=said[7], top_k=5)
        store.optimize()
        inner: Any = store.stores[0]
        assert companions(inner._datasets.latest(VECTORS)) == (8,)
        assert store.memory.recall(thread_id="t", scope="thread", vector=said[7], top_k=5) == expected
        store.memory.delete_messages(message_ids=["m017"])
        assert [hit.record["id"] for hit in store.search("refund 18", table="messages")] == ["m018"]
        assert not store.search("refund 17", table="messages")


def test_the_questions_on_s3(bucket: str) -> None:
    with colonnade.open(bucket) as store:
        load(store)
        for question in QUESTIONS:
            ask(store, question)


def test_secrets_are_shown_nowhere(s3: str) -> None:
    address = f"lancedb+s3://KEY:SECRET@nosuchbucket/place?endpoint={s3}&session_token=TOKEN&region=us-east-1"
    with pytest.raises(StoreError, match=r"lancedb\+s3://nosuchbucket/place") as raised:
        colonnade.open(address)
    assert not {"KEY", "SECRET", "TOKEN"} & set(str(raised.value).replace(":", " ").split())
    assert "SECRET" not in str(raised.value) and "TOKEN" not in str(raised.value)
    store = colonnade.open(address, init=False)
    assert repr(store) == "<Storage default=lancedb+s3://nosuchbucket/place>"
    assert "SECRET" not in repr(store.stores[0]) + str(store.stores[0])
    store.close()
