"""A ``storage.db`` that Mastra made is read and written, and Mastra reads and writes it still."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.exchange import BlockingHttp, Line
from colonnade.engine.plan import At, Contains, Is, Put, Scan, asc
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.batches import Batch
from colonnade.engine.stores.libsql.hrana import Hrana
from colonnade.errors import NotAStore
from colonnade.schemas import EVALS, MESSAGES, SPANS, THREADS
from tests.libsql import mastra
from tests.servers.sqld import Server, served

FIRST = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "storage.db"
    mastra.make(path)
    return path


def test_what_mastra_wrote_is_read(path: Path) -> None:
    with colonnade.open(f"file:{path}") as store:
        thread = store.memory.get_thread_by_id(thread_id="t1")
        assert thread is not None
        assert (thread["metadata"], thread["createdAt"]) == ({"plan": "pro"}, FIRST)
        found = store.memory.list_messages(thread_id="t1")["messages"]
        assert [each["id"] for each in found] == ["m1", "m2"]
        run = store.workflows.get_workflow_run_by_id(run_id="r1", workflow_name="w")
        assert run is not None and run["snapshot"]["status"] == "running"
        trace = store.observability.get_trace(trace_id="tr")
        assert trace is not None
        (span,) = trace["spans"]
        assert (span["startedAt"], span["input"], span["isEvent"]) == (FIRST, {"n": 1}, False)
        score = store.scores.get_score_by_id(id="c1")
        assert score is not None and score["score"] == 1.0
        (row,) = store.execute(Scan(EVALS)).to_pylist()
        assert row["run_id"] == mastra.RUN and row["id"]


def test_spans_have_the_nanoseconds_of_their_times(path: Path) -> None:
    with colonnade.open(f"file:{path}") as store, sqlite3.connect(path) as other:
        mastra.span(other, "s0", "2026-01-31T11:00:00.000Z")
        other.commit()
        start = 1_769_860_800_123_000_000
        rows = store.execute(Scan(SPANS, order=(asc("startTime"),), columns=("spanId", "startTime", "endTime", "kind")))
        assert rows.to_pylist() == [
            {"spanId": "s0", "startTime": start - 3600_123_000_000, "endTime": start + 1_000_000, "kind": 0},
            {"spanId": "s1", "startTime": start, "endTime": start + 1_000_000, "kind": 0},
        ]
        assert store.execute(Scan(SPANS, Is("startTime", "=", start), columns=("spanId",))).to_pylist() == [
            {"spanId": "s1"}
        ]
    other.close()


ATTRIBUTES = {"model": "gpt-5", "provider": "openai", "usage": {"inputTokens": 10, "inputDetails": {"cacheRead": 7}}}
SCOPE = {"name": "core", "version": "1"}
DEEP = "[" * 2_500 + "]" * 2_500


@pytest.fixture(params=["file", "server"])
def theirs(request: pytest.FixtureRequest, sqld: Server, tmp_path: Path) -> Iterator[Storage]:
    """A store where Mastra wrote a span with all that it says, and a message of an older version."""
    statements = [
        *mastra.TABLES.split(";"),
        "INSERT INTO mastra_ai_spans (traceId, spanId, name, spanType, isEvent, startedAt, createdAt, attributes, "
        f"scope) VALUES ('tr', 's', 'llm', 'model_generation', 0, '{mastra.FIRST}', '{mastra.FIRST}',"
        f" '{json.dumps(ATTRIBUTES)}', '{json.dumps(SCOPE)}')",
        f"INSERT INTO mastra_messages VALUES ('m', 't', '[note] plain text', 'user', 'text', '{mastra.FIRST}', 'ada'), "
        f"('deep', 'other', '{DEEP}', 'user', 'v2', '{mastra.FIRST}', 'ada')",
    ]
    made = [Statement(each) for each in statements if each.strip()]
    with ExitStack() as stack:
        if request.param == "file":
            address = f"file:{tmp_path / 'theirs.db'}"
            with sqlite3.connect(tmp_path / "theirs.db") as other:
                for each in made:
                    other.execute(each.sql)
            other.close()
        else:
            server = stack.enter_context(served(tmp_path / "theirs"))
            address = server.address()
            http = BlockingHttp(Line("mastra", "libsql", {"authorization": f"Bearer {server.token}"}))
            http.run(Hrana(server.url, "mastra").send(Batch(tuple(made))))
            http.close()
        yield stack.enter_context(colonnade.open(address))


def test_model_tokens_and_scope_of_a_span_are_told_by_what_mastra_wrote(theirs: Storage) -> None:
    found = theirs.observability.get_span(trace_id="tr", span_id="s")
    assert found is not None
    span = found["span"]
    assert (span["model"], span["provider"], span["inputTokens"], span["cachedTokens"]) == ("gpt-5", "openai", 10, 7)
    assert (span["outputTokens"], span["scope"], span["attributes"]) == (None, SCOPE, ATTRIBUTES)
    assert theirs.execute(Scan(SPANS, Is("inputTokens", ">", 9) & Is("model", "=", "gpt-5"))).num_rows == 1
    for scope, count in (({"name": "core"}, 1), ({"version": "2"}, 0)):
        assert theirs.observability.list_traces(filters={"scope": scope})["pagination"]["total"] == count
    (row,) = theirs.queries.usage(by="model").to_pylist()
    assert (row["model"], row["calls"], row["inputTokens"]) == ("gpt-5", 1, 10)
    theirs.observability.update_span(trace_id="tr", span_id="s", updates={"inputTokens": 11, "scope": {"name": "new"}})
    again = theirs.observability.get_span(trace_id="tr", span_id="s")
    assert again is not None
    assert (again["span"]["inputTokens"], again["span"]["cachedTokens"]) == (11, 7), "what is written since counts"
    assert again["span"]["scope"] == {"name": "new"}
    theirs.observability.update_span(trace_id="tr", span_id="s", updates={"scope": None})
    wiped = theirs.observability.get_span(trace_id="tr", span_id="s")
    assert wiped is not None and wiped["span"]["scope"] is None


def test_the_content_of_an_old_message_may_be_plain_text(theirs: Storage) -> None:
    found = theirs.memory.list_messages(thread_id="t")["messages"]
    assert [each["content"] for each in found] == ["[note] plain text"]
    assert theirs.memory.list_messages(thread_id="t", filter={"metadata": {"seen": True}})["total"] == 0
    theirs.memory.update_messages(messages=[{"id": "m", "content": {"metadata": {"seen": True}}}])
    assert theirs.memory.list_messages(thread_id="t", filter={"metadata": {"seen": True}})["total"] == 1
    deep = Scan(MESSAGES, Is("id", "=", "deep"), columns=("content",))
    assert theirs.execute(deep).to_pylist() == [{"content": DEEP}], "though SQLite takes it for no JSON"


def test_what_is_written_is_what_mastra_reads_and_it_goes_on_writing(path: Path) -> None:
    late = FIRST + timedelta(microseconds=500)  # between two of Mastra's milliseconds
    with colonnade.open(f"file:{path}") as store, sqlite3.connect(path) as other:
        content = {"format": 2, "parts": []}
        message = {"id": "m3", "threadId": "t1", "resourceId": "ada", "role": "user", "content": content}
        store.memory.save_messages(messages=[message | {"createdAt": late}])
        store.memory.update_thread(id="t1", title="Rows", metadata={"more": True})
        mastra.message(other, "m4", "2026-01-31T12:00:00.125Z")
        other.commit()

        found = store.memory.list_messages(thread_id="t1")["messages"]
        assert [each["id"] for each in found] == ["m1", "m3", "m2", "m4"]
        assert found[1]["createdAt"] == late
        title, metadata, updated = other.execute("SELECT title, metadata, updatedAt FROM mastra_threads").fetchone()
        assert (title, json.loads(metadata)) == ("Rows", {"plan": "pro", "more": True})
        assert datetime.fromisoformat(updated) > FIRST and updated.endswith("Z")
        kept = dict(other.execute("SELECT id, createdAt FROM mastra_messages"))
        assert kept["m3"] == "2026-01-31T12:00:00.123500Z"
    other.close()


def test_opening_it_takes_nothing_away_and_twice_is_once(path: Path) -> None:
    with sqlite3.connect(path) as other:
        before = dict(other.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        for _ in range(2):
            colonnade.open(f"file:{path}").close()
        after = dict(other.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        assert set(before) <= set(after)
        assert after["mastra_threads"] == before["mastra_threads"]
        assert after["memory_messages"] == before["memory_messages"], "Mastra's own index of vectors"
        assert after["mastra_traces"] == before["mastra_traces"]
    other.close()


def test_libsqls_own_client_opens_what_we_wrote(path: Path) -> None:
    libsql = pytest.importorskip("libsql")
    with colonnade.open(f"file:{path}") as store:
        store.memory.update_thread(id="t1", title="Rows", metadata={})
    other = libsql.connect(str(path))
    assert other.execute("SELECT title FROM mastra_threads").fetchall() == [("Rows",)]
    other.execute("UPDATE mastra_threads SET title = 'Columns again'")
    other.commit()
    other.close()
    with colonnade.open(f"file:{path}") as store:
        thread = store.memory.get_thread_by_id(thread_id="t1")
        assert thread is not None and thread["title"] == "Columns again"


def test_vectors_of_ours_and_of_mastra_live_beside_one_another(path: Path) -> None:
    with colonnade.open(f"file:{path}") as store:
        embedded = store.memory.embed_messages(embedder=lambda texts: [[1.0, 2.0] for _ in texts], thread_id="t1")
        assert embedded == 2
        assert store.memory.recall(thread_id="t1", resource_id="ada", vector=[1.0, 2.0])


def test_binary_json_is_read_searched_and_replaced(sqld: Server, tmp_path: Path) -> None:
    """As Mastra writes it to columns of JSON, by a newer SQLite than Python may have."""
    said = {"plan": "pro", "n": 1.5, "tags": ["a", "\u00e9", None, True], "deep": {"x" * 300: -7}}
    with served(tmp_path / "mastra") as server:
        hrana = Hrana(server.url, "mastra")
        http = BlockingHttp(Line("mastra", "libsql", {"authorization": f"Bearer {server.token}"}))
        tables = [Statement(each) for each in mastra.TABLES.split(";") if each.strip()]
        row = Statement(
            "INSERT INTO mastra_threads VALUES ('t1', 'ada', '', jsonb(?), ?, ?)",
            (json.dumps(said), mastra.FIRST, mastra.FIRST),
        )
        http.run(hrana.send(Batch((*tables, row))))
        ((blob,),) = http.run(hrana.send(Batch((Statement("SELECT metadata FROM mastra_threads"),))))[0].rows
        http.close()
        with colonnade.open(server.address()) as store:
            _reads_and_changes(store, said)

    path = tmp_path / "storage.db"
    mastra.make(path)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE mastra_threads SET metadata = ?", (blob,))
        other.execute("UPDATE mastra_ai_spans SET scope = ?", (blob,))
    other.close()
    with colonnade.open(f"file:{path}") as store:
        trace = store.observability.get_trace(trace_id="tr")
        assert trace is not None and trace["spans"][0]["scope"] == said
        _reads_and_changes(store, said)


def _reads_and_changes(store: Storage, said: dict[str, Any]) -> None:
    thread = store.memory.get_thread_by_id(thread_id="t1")
    assert thread is not None and thread["metadata"] == said
    for where in (Is(At("metadata", ("plan",)), "=", "pro"), Is(At("metadata", ("tags",)), "has", "\u00e9")):
        assert store.execute(Scan(THREADS, where, columns=("id",))).num_rows == 1
    assert store.execute(Scan(THREADS, Contains("metadata", '"PLAN"'))).num_rows == 1
    changed = store.memory.update_thread(id="t1", metadata={"more": True})
    assert changed["metadata"] == said | {"more": True}
    read = store.execute(Scan(THREADS))
    assert store.execute(Put(THREADS, read, expect=read)) == 1


def test_a_table_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE mastra_workflow_snapshot (a, b)")
    other.close()
    with pytest.raises(NotAStore, match="mastra_workflow_snapshot without workflow_name, run_id"):
        colonnade.open(f"file:{tmp_path / 'other.db'}")
