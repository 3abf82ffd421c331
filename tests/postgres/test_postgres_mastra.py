"""A database that Mastra made opens, is read and written, and stays readable by Mastra."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import colonnade
from colonnade.engine.plan import Scan
from colonnade.errors import StoreReadOnly
from colonnade.schemas import EVALS, SPANS
from colonnade.testing.colours import Awaited
from tests.servers.postgres import Server

SQL = (Path(__file__).parent / "mastra.sql").read_text()
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 1, 8, 30, 0, 123456, UTC)


@pytest.fixture
def schema(postgres: Server) -> str:
    name = f"mastra_{uuid4().hex}"
    postgres.command(f"CREATE SCHEMA {name}", f"SET search_path = {name}; {SQL}")
    return name


@pytest.fixture(params=["sync", "async"])
def store(request: pytest.FixtureRequest, postgres: Server, schema: str) -> Iterator[Any]:
    address = postgres.address(schema)
    opened = colonnade.open(address) if request.param == "sync" else Awaited(colonnade.aopen(address))
    yield opened
    opened.close()


def test_what_mastra_wrote_is_read(store: Any) -> None:
    threads = {each["id"]: each for each in store.memory.list_threads()["threads"]}
    assert threads["t1"]["metadata"] == {"plan": "pro", "n": 1}
    assert threads["t1"]["createdAt"] == NOON.replace(microsecond=123000)
    assert threads["t2"]["createdAt"] == datetime(2026, 1, 11, 12, tzinfo=UTC), "the shadow counts"
    assert threads["t3"]["createdAt"] == datetime(2025, 6, 1, 8, tzinfo=UTC), "unless there is none"
    assert [each["id"] for each in store.memory.list_threads(filter={"metadata": {"n": 1}})["threads"]] == ["t1"]
    first, second = store.memory.list_messages(thread_id="t1")["messages"]
    assert first["content"]["parts"] == [{"type": "text", "text": "Hello Wörld"}]
    assert first["createdAt"] == NOON.replace(microsecond=500000)
    assert second["content"] == "plain text of an older version"
    assert store.memory.get_resource_by_id(resource_id="ann")["metadata"] == {"likes": ["tea"]}
    assert store.workflows.load_workflow_snapshot(workflow_name="wf", run_id="r1")["status"] == "suspended"
    assert store.workflows.list_workflow_runs(status="suspended")["total"] == 1
    score = store.scores.get_score_by_id(id="s1")
    assert (score["score"], score["input"], score["output"]) == (0.1, "in", {"out": [1, 2.5]})
    assert store.agents.get_agent_by_id(id="ag")["model"] == {"provider": "openai"}


def test_spans_of_mastra_are_read_with_what_follows_from_them(store: Any) -> None:
    root, call = store.observability.get_trace(trace_id="tr1")["spans"]
    assert root["scope"] == {"name": "core", "version": "1"}
    assert (root["startedAt"], root["startTime"]) == (NOON.replace(microsecond=123456), 1768046400123456000)
    assert root["endTime"] == 1768046402000000000
    assert call["endedAt"] is None and call["endTime"] is None, "its shadow was given a time by default"
    assert (call["model"], call["provider"], call["inputTokens"], call["cachedTokens"]) == ("gpt-5", "openai", 100, 7)
    for filters in ({"scope": {"name": "core"}}, {"metadata": {"team": "red"}}, {"tags": ["prod"]}, {"userId": None}):
        found = store.observability.list_traces(filters=filters)
        assert [each["spanId"] for each in found["spans"]] == ["a"]
    assert store.execute(Scan(SPANS, columns=("scope",))).to_pylist() == [{"scope": "core"}, {"scope": None}]
    store.observability.update_span(trace_id="tr1", span_id="b", updates={"model": "ours", "inputTokens": 5})
    call = store.observability.get_span(trace_id="tr1", span_id="b")["span"]
    assert (call["model"], call["inputTokens"], call["outputTokens"]) == ("ours", 5, 20), "what is written since counts"


def test_a_scope_without_a_name_that_is_text_has_none(store: Any) -> None:
    for at, scope in enumerate(({"name": 3}, {"name": None}, {}, {"name": "lib"}, "plain")):
        span = {"traceId": "named", "spanId": str(at), "name": "n", "startedAt": NOON, "scope": scope}
        store.observability.create_span(span=span)
        assert store.observability.get_span(trace_id="named", span_id=str(at))["span"]["scope"] == scope
    names = store.queries.trace(trace_id="named").column("scope").to_pylist()
    assert names == [None, None, None, "lib", "plain"]


def test_results_of_mastra_get_identifiers_that_last(store: Any) -> None:
    (first,) = store.execute(Scan(EVALS)).to_pylist()
    (again,) = store.execute(Scan(EVALS)).to_pylist()
    assert first["id"] == again["id"] and first["agent_name"] == "agent" and first["created_at"] == NOON
    assert first["run_id"] == "550e8400-e29b-41d4-a716-446655440001"


def test_what_is_written_here_mastra_reads(store: Any, postgres: Server, schema: str) -> None:
    def there(sql: str) -> list[Any]:
        return postgres.command(f"SET search_path = {schema}; SET TimeZone = 'UTC'", f"SELECT {sql}")

    def said(columns: str, table: str, where: str) -> tuple[Any, ...]:
        (row,) = there(f"{columns} FROM {schema}.{table} WHERE {where}")
        return tuple(row)

    message = {
        "id": "m9", "threadId": "t9", "resourceId": "eve", "role": "user", "type": "v2", "createdAt": LATER,
        "content": {"format": 2, "parts": [{"type": "text", "text": "NUL \0 here"}]},
    }  # fmt: skip
    store.memory.save_thread(
        thread={"id": "t9", "resourceId": "eve", "title": "New", "metadata": {"a": 1.5}, "createdAt": LATER}
    )
    store.memory.save_messages(messages=[message])
    assert store.memory.list_messages(thread_id="t9")["messages"][0]["content"] == message["content"]
    naive = LATER.replace(tzinfo=None)
    columns = "metadata::jsonb -> 'a' = '1.5', \"createdAt\", \"createdAtZ\" = '2026-02-01 08:30:00.123456+00'"
    assert said(columns, "mastra_threads", "id = 't9'") == (True, naive, True)
    assert said(columns.partition(", ")[2], "mastra_messages", "id = 'm9'") == (naive, True)

    store.memory.update_thread(id="t1", title="Renamed", metadata={"more": True})
    title = 'title, metadata::jsonb = \'{"plan": "pro", "n": 1, "more": true}\', "updatedAt" = '
    title += "\"updatedAtZ\" AT TIME ZONE 'UTC', \"createdAtZ\" = '2026-01-10 12:00:00.123+00'"
    assert said(title, "mastra_threads", "id = 't1'") == ("Renamed", True, True, True)

    update = store.workflows.update_workflow_results
    update(workflow_name="wf", run_id="r1", step_id="b", result={"status": "success"}, request_context={})
    context = "snapshot #>> '{context,b,status}', snapshot #>> '{context,a,output}', pg_typeof(snapshot)::text"
    assert said(context, "mastra_workflow_snapshot", "run_id = 'r1'") == ("success", "1", "jsonb")

    span = {
        "traceId": "tr9", "spanId": "s", "name": "n", "spanType": "generic", "isEvent": False, "startedAt": LATER,
        "scope": {"name": "lib", "deep": [1]}, "metadata": {"k": "v"}, "tags": ["x"],
    }  # fmt: skip
    store.observability.create_span(span=span)
    store.observability.update_span(trace_id="tr9", span_id="s", updates={"endedAt": LATER, "output": {"ok": 1}})
    columns = 'scope = \'{"name": "lib", "deep": [1]}\', metadata @> \'{"k": "v"}\', tags ? \'x\', output ->> \'ok\', '
    columns += '"startedAt" = "startedAtZ" AT TIME ZONE \'UTC\', "endedAt", "endedAtZ" IS NOT NULL'
    assert said(columns, "mastra_ai_spans", "\"traceId\" = 'tr9'") == (True, True, True, "1", True, naive, True)
    kept = store.observability.get_span(trace_id="tr9", span_id="s")["span"]
    assert kept["scope"] == span["scope"] and kept["output"] == {"ok": 1}
    many = [{**span, "spanId": f"s{place}", "scope": "lib"} for place in range(100)]
    store.observability.batch_create_spans(records=many)
    store.observability.batch_create_spans(records=many[:60])
    assert said("count(*), min(scope #>> '{}')", "mastra_ai_spans", "\"spanId\" LIKE 's_%'") == (100, "lib")

    store.scores.save_score(
        score={
            "scorerId": "x", "runId": "r", "scorer": {}, "score": 0.30000000000000004, "output": 1, "source": "TEST",
            "entity": {"id": "e"}, "entityId": "e",
        }
    )  # fmt: skip
    assert said("score, input, output", "mastra_scorers", "\"scorerId\" = 'x'") == (0.30000000000000004, None, 1)
    assert store.scores.list_scores_by_run_id(run_id="r")["scores"][0]["input"] is None

    store.memory.delete_thread(thread_id="t1")
    assert there(f"count(*) FROM {schema}.mastra_messages WHERE thread_id = 't1'") == [(0,)]
    store.observability.batch_delete_traces(trace_ids=["tr1"])
    assert there(f"count(*) FROM {schema}.mastra_ai_spans WHERE \"traceId\" = 'tr1'") == [(0,)]


def test_its_own_indexes_and_tables_are_left_alone(store: Any, postgres: Server, schema: str) -> None:
    made = postgres.command(f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}'")
    names = {name for (name,) in made}
    assert {"mastra_threads_resourceid_createdat_idx", "mastra_ai_spans_metadata_gin_idx"} <= names
    assert not any("spantype" in name for name in names)
    kinds = postgres.command(
        "SELECT column_name, data_type FROM information_schema.columns "
        f"WHERE table_schema = '{schema}' AND table_name = 'mastra_ai_spans' AND column_name IN ('scope', 'startedAt')"
    )
    assert dict(kinds) == {"scope": "jsonb", "startedAt": "timestamp without time zone"}
    # Vectors of @mastra/pg lie in a table of the name that ours has otherwise.
    tables = {name for (name,) in postgres.command(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")}
    assert {"memory_messages", "colonnade_memory_messages"} <= tables


def test_a_user_who_may_only_read_reads_it(postgres: Server, schema: str) -> None:
    postgres.command(
        f"CREATE ROLE r_{schema} LOGIN PASSWORD 'r3ader'",
        f"GRANT USAGE ON SCHEMA {schema} TO r_{schema}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO r_{schema}",
    )
    address = f"postgresql://r_{schema}:r3ader@127.0.0.1:{postgres.port}/postgres?schema_name={schema}"
    with colonnade.open(address) as store:
        trace = store.observability.get_trace(trace_id="tr1")
        assert trace is not None
        assert [each["model"] for each in trace["spans"]] == [None, "gpt-5"]
        assert store.memory.list_threads()["total"] == 3
        with pytest.raises(StoreReadOnly):
            store.memory.update_thread(id="t1", title="New", metadata={})
