"""Three ClickHouse servers as the shards of one store: where rows live, and what happens when one is gone."""

from __future__ import annotations

import asyncio
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Among, Is, Measure, Patch, Scan, Summarize, desc
from colonnade.errors import InvalidAddress, StoreError
from colonnade.schemas import SPANS, THREADS
from colonnade.testing.questions import QUESTIONS, ask, load
from tests.servers.clickhouse import Server, address_of, served

CLUSTER = "cluster=tested"
SCORE = {
    "scorerId": "politeness", "scorer": {}, "score": 0.1234567890123, "source": "TEST", "output": {}, "runId": "r",
    "entityId": "support", "entity": {}, "traceId": "trace-1",
}  # fmt: skip


def span(trace: int, name: str, **more: Any) -> dict[str, Any]:
    start = f"2026-01-31T12:{trace:02}:00Z"
    return {"traceId": f"trace-{trace}", "spanId": name, "name": name, "startedAt": start, **more}


def fill(store: Any) -> None:
    """Something in each domain: thirty traces of two spans, threads, messages, scores, runs, agents."""
    for trace in range(30):
        store.observability.batch_create_spans(
            records=[span(trace, "root"), span(trace, "tool", parentSpanId="root", endedAt="2026-01-31T13:00:00Z")]
        )
    for place in range(10):
        store.memory.save_thread(thread={"id": f"t{place}", "resourceId": "ada", "title": f"{place}"})
        message = {
            "id": f"m{place}",
            "threadId": f"t{place}",
            "resourceId": "ada",
            "role": "user",
            "content": {"metadata": {}},
        }
        store.memory.save_messages(messages=[message])
    store.scores.save_score(score=SCORE)
    store.agents.create_agent(agent={"id": "a", "name": "a", "instructions": "b", "model": {}})
    store.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r", snapshot={"status": "running"})


def check(store: Any) -> None:
    assert store.memory.list_threads(per_page=False)["total"] == 10
    assert store.memory.update_thread(id="t3", title="new")["title"] == "new"
    assert [found["id"] for found in store.memory.list_messages(thread_id="t7")["messages"]] == ["m7"]
    found = store.observability.get_trace(trace_id="trace-7")
    assert found is not None and [each["name"] for each in found["spans"]] == ["root", "tool"]
    page = store.execute(Scan(SPANS, Is("name", "=", "root"), (desc("startedAt"),), 3, columns=("traceId",)))
    assert page.column(0).to_pylist() == ["trace-29", "trace-28", "trace-27"]
    assert store.execute(Summarize(SPANS, ("name",), (Measure("count"),))).to_pylist() == [
        {"name": "root", "count": 30},
        {"name": "tool", "count": 30},
    ]
    among = Among("id", Scan(THREADS, Is("title", "=", "new")), "id")
    assert store.execute(Scan(THREADS, among, columns=("id",))).column(0).to_pylist() == ["t3"]
    assert store.execute(Patch(SPANS, Is("name", "=", "root"), {"source": "test"})) == 30
    assert store.execute(Patch(SPANS, Is("name", "=", "root"), {"startedAt": "2026-02-01T00:00:00Z"})) == 30
    assert store.scores.list_scores_by_run_id(run_id="r")["scores"][0]["score"] == SCORE["score"]
    assert store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r") == {"status": "running"}
    assert store.agents.get_agent_by_id(id="a") is not None
    store.observability.batch_delete_traces(trace_ids=["trace-7"])
    assert store.observability.get_trace(trace_id="trace-7") is None


def test_every_domain_on_three_shards(clickhouse_cluster: list[Server]) -> None:
    with colonnade.open(address_of(clickhouse_cluster, "domains", CLUSTER)) as store:
        fill(store)
        check(store)
        assert store.optimize()


def test_the_same_awaited(clickhouse_cluster: list[Server]) -> None:
    from colonnade.testing.colours import Awaited

    store = Awaited(colonnade.aopen(address_of(clickhouse_cluster, "awaited", CLUSTER)))
    fill(store)
    check(store)
    store.close()


def test_every_question_on_three_shards(clickhouse_cluster: list[Server]) -> None:
    with colonnade.open(address_of(clickhouse_cluster, "questions", CLUSTER)) as store:
        load(store)
        for question in QUESTIONS:
            ask(store, question)


def test_each_shard_keeps_its_own_and_a_trace_is_kept_whole(clickhouse_cluster: list[Server]) -> None:
    with colonnade.open(address_of(clickhouse_cluster, "spread", CLUSTER)) as store:
        fill(store)
    kept = [
        server.command("SELECT DISTINCT traceId FROM spread.mastra_ai_spans_local").split("\n")
        for server in clickhouse_cluster
    ]
    assert all(len(each) > 1 for each in kept)
    assert sorted(chain(*kept)) == sorted(f"trace-{trace}" for trace in range(30))


def test_numbers_come_back_as_they_went_in(clickhouse_cluster: list[Server]) -> None:
    with colonnade.open(address_of(clickhouse_cluster, "numbers", CLUSTER)) as store:
        whole = {"inputTokens": 9223372036854775807, "outputTokens": -9223372036854775808, "cost": 0.1234567890123}
        store.observability.batch_create_spans(records=[span(trace, "n", **whole) for trace in range(5)])
        for place in range(5):
            store.scores.save_score(score={**SCORE, "entityId": f"e{place}"})
        found = store.execute(Scan(SPANS, columns=tuple(whole))).to_pylist()
        assert found == 5 * [whole]
        assert store.execute(Scan(SPANS, Is("inputTokens", "=", whole["inputTokens"]))).num_rows == 5
        scores = store.scores.list_scores_by_run_id(run_id="r")["scores"]
        assert [each["score"] for each in scores] == 5 * [0.1234567890123]


def test_hosts_that_are_missing_or_in_another_order_are_refused(clickhouse_cluster: list[Server]) -> None:
    first, second, third = clickhouse_cluster
    for servers in ([first], [first, third, second], [second, third]):
        with pytest.raises(InvalidAddress, match="3 shards and no Keeper"):
            colonnade.open(address_of(servers, "hosts", CLUSTER))
    with pytest.raises(InvalidAddress, match="knows no cluster 'nosuch'"):
        colonnade.open(address_of(clickhouse_cluster, "hosts", "cluster=nosuch"))


def test_tables_that_were_made_for_other_shards_are_refused(clickhouse_cluster: list[Server]) -> None:
    address = address_of(clickhouse_cluster, "grown", CLUSTER)
    colonnade.open(address).close()
    for server in clickhouse_cluster:
        server.command("ALTER TABLE grown.mastra_ai_spans MODIFY COMMENT 'colonnade 1 over 2 shards'")
    with pytest.raises(InvalidAddress, match="made for 2 shards, and now there are 3"):
        colonnade.open(address)


def test_without_one_shard_there_is_an_error_and_never_a_part_of_an_answer(tmp_path: Path) -> None:
    with served(tmp_path, 3) as servers:
        address = address_of(servers, "broken", CLUSTER)
        with colonnade.open(address) as store:
            fill(store)
            servers[2].kill()
            questions = (
                lambda: store.memory.list_threads(),
                lambda: store.execute(Scan(SPANS)),
                lambda: list(store.batches(Scan(SPANS))),
                lambda: store.execute(Summarize(SPANS)),
                lambda: store.execute(Patch(SPANS, Is("name", "=", "root"), {"source": "x"})),
            )
            for question in questions:
                with pytest.raises(StoreError, match="a shard of cluster 'tested' cannot be reached"):
                    question()

            async def main(*, init: bool, said: str) -> None:
                opened = colonnade.aopen(address, init=init)
                try:
                    with pytest.raises(StoreError, match=said):
                        await opened.memory.list_threads()
                finally:
                    await opened.close()

            asyncio.run(main(init=False, said="a shard of cluster 'tested' cannot be reached"))
            asyncio.run(main(init=True, said="cannot be reached"))  # it looks for the tables of every shard
            servers[2].start()
            servers[2].wait()
            assert store.memory.list_threads()["total"] == 10
            assert store.execute(Scan(SPANS)).num_rows == 60
