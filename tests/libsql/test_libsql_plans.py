"""How SQLite goes about what is asked of it: look-ups and pages begin within an index, and read no table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import colonnade
from colonnade.engine.normalize import normalize
from colonnade.engine.plan import Is, Null, OneOf, Scan, after, asc, desc
from colonnade.engine.sqlite_served.spelling import SERVED, ServedRenderer
from colonnade.schemas import MESSAGES, SCORES, SPANS, THREADS

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NEWEST = (desc("startedAt"), asc("traceId"), asc("spanId"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("plans") / "storage.db"
    colonnade.open(f"file:{path}").close()
    connection = sqlite3.connect(Path(path))
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("scan", "index"),
    [
        (Scan(SPANS, order=NEWEST, limit=50), "mastra_ai_spans_startedat_idx"),
        (
            Scan(SPANS, Is("startedAt", "<=", NOON) & after(NEWEST, (NOON, "t", "s")), NEWEST, limit=50),
            "mastra_ai_spans_startedat_idx",
        ),
        (Scan(SPANS, Is("startedAt", ">=", NOON)), "mastra_ai_spans_startedat_idx"),
        (Scan(SPANS, Is("name", "=", "n"), NEWEST, limit=50), "mastra_ai_spans_name_startedat_idx"),
        (Scan(SPANS, Is("scope", "=", "s"), NEWEST, limit=50), "mastra_ai_spans_scope_startedat_idx"),
        (Scan(SPANS, Null("parentSpanId"), NEWEST, limit=50), "mastra_ai_spans_parentspanid_startedat_idx"),
        (Scan(SPANS, OneOf("traceId", ("a", "b"))), "mastra_ai_spans"),
        (Scan(MESSAGES, Is("thread_id", "=", "t"), (desc("createdAt"),), limit=20), "mastra_messages_thread_id_"),
        (Scan(THREADS, Is("resourceId", "=", "r"), (desc("createdAt"),), limit=20), "mastra_threads_resourceid_"),
        (
            Scan(SCORES, Is("traceId", "=", "t") & Is("spanId", "=", "s"), (desc("createdAt"),), limit=20),
            "mastra_scorers_traceid_",
        ),
    ],
)
def test_look_ups_and_pages_begin_within_an_index(file: sqlite3.Connection, scan: Scan, index: str) -> None:
    plan = normalize(scan)
    assert isinstance(plan, Scan)
    statement = ServedRenderer(SERVED).scan(plan)
    steps = [step for *_, step in file.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters)]
    assert index in steps[0] and "INDEX" in steps[0], steps
    assert not any("USE TEMP B-TREE FOR ORDER BY" in step for step in steps), "it sorts all that it found"
