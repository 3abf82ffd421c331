"""Rows on ClickHouse: exact values, spans that move in time, the rules of a put, tombstones, what look-ups read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.plan import TRUE, Delete, Is, Null, OneOf, Patch, Put, Scan, Summarize, asc, desc
from colonnade.engine.stores.clickhouse.maps import derived
from colonnade.engine.stores.clickhouse.steps import query_of
from colonnade.schemas import MESSAGES, RESOURCES, SCORES, SPANS, STORED, THREADS
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table
from tests.servers.clickhouse import Server

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Storage]:
    with colonnade.open(clickhouse.address("rows")) as opened:
        yield opened
    clickhouse.command("TRUNCATE ALL TABLES FROM rows")


def row(table: Table, **values: Any) -> dict[str, Any]:
    """A record with the least that a table asks for."""
    plain: dict[str, Any] = {
        "text": "x", "uuid": "550e8400-e29b-41d4-a716-446655440000", "json": {}, "integer": 0, "bigint": 0,
        "float": 0.0, "boolean": False, "timestamp": NOON,
    }  # fmt: skip
    return {
        column.api: values.get(column.api, None if column.nullable else plain[column.kind.name])
        for column in table.columns.values()
    }


def rows(table: Table, *several: dict[str, Any]) -> pa.Table:
    return encode(table, [row(table, **each) for each in several])


def spans(store: Storage, *columns: str) -> list[tuple[Any, ...]]:
    found = store.execute(Scan(SPANS, order=(asc("traceId"), asc("spanId")), columns=columns)).to_pylist()
    return [tuple(each.values()) for each in found]


def test_numbers_and_times_come_back_as_they_went_in(store: Storage) -> None:
    number, whole = 0.1234567890123, 2**63 - 1
    moment = datetime(2026, 1, 31, 23, 59, 59, 123457, tzinfo=UTC)
    store.execute(Put(SCORES, rows(SCORES, {"id": "s", "score": number, "createdAt": moment})))
    store.execute(Put(SPANS, rows(SPANS, {"inputTokens": whole, "outputTokens": -(2**63), "cost": number})))
    assert store.execute(Scan(SCORES, columns=("score", "createdAt"))).to_pylist() == [
        {"score": number, "createdAt": moment}
    ]
    assert spans(store, "inputTokens", "outputTokens", "cost") == [(whole, -(2**63), number)]
    assert store.execute(Scan(SCORES, Is("createdAt", "=", moment))).num_rows == 1
    assert store.execute(Scan(SCORES, Is("createdAt", "<", moment))).num_rows == 0


def test_a_span_that_moves_in_time_is_there_once_and_where_it_moved_to(store: Storage, clickhouse: Server) -> None:
    for hours in (0, 5, -5, 0):
        store.execute(
            Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "startedAt": NOON + timedelta(hours=hours)}))
        )
        assert spans(store, "startedAt") == [(NOON + timedelta(hours=hours),)]
    assert store.execute(Patch(SPANS, Is("traceId", "=", "t"), {"startedAt": NOON - timedelta(days=1)})) == 1
    assert spans(store, "startedAt") == [(NOON - timedelta(days=1),)]
    assert store.execute(Delete(SPANS, Is("startedAt", "<", NOON))) == 1
    assert spans(store, "startedAt") == []
    store.optimize()
    assert spans(store, "startedAt") == []
    assert clickhouse.command("SELECT count() FROM rows.mastra_ai_spans") == "0", "tombstones are left"


def test_a_span_that_ended_is_never_replaced_by_one_that_runs(store: Storage) -> None:
    for name, ended in (("ended", NOON), ("running", None)):
        store.execute(Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "name": name, "endedAt": ended})))
    assert spans(store, "name") == [("ended",)]
    store.execute(Delete(SPANS, TRUE))
    store.execute(Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "name": "again"})))
    assert spans(store, "name") == [("again",)]


def test_a_span_that_runs_can_begin_again_after_it_was_deleted(store: Storage) -> None:
    store.execute(Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "name": "ended", "endedAt": NOON})))
    assert store.execute(Delete(SPANS, Is("traceId", "=", "t"))) == 1
    store.execute(Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "name": "running"})))
    assert spans(store, "name") == [("running",)]


def test_what_is_written_once_keeps_its_first_value_when_the_row_moves(store: Storage) -> None:
    for thread, hours in (("a", 0), ("b", 1)):
        moved = {"id": "m", "threadId": thread, "createdAt": NOON + timedelta(hours=hours)}
        store.execute(Put(MESSAGES, rows(MESSAGES, moved)))
    found = store.execute(Scan(MESSAGES, columns=("thread_id", "createdAt"))).to_pylist()
    assert found == [{"thread_id": "b", "createdAt": NOON}]


def test_one_write_is_one_part(store: Storage, clickhouse: Server) -> None:
    several = [{"traceId": f"t{n}", "spanId": "s", "startedAt": NOON - timedelta(days=n)} for n in range(3000)]
    store.execute(Put(SPANS, rows(SPANS, *several)))
    parts = "SELECT count() FROM system.parts WHERE database = 'rows' AND table = 'mastra_ai_spans' AND active"
    assert clickhouse.command(parts) == "1"
    assert store.execute(Summarize(SPANS)).column("count").to_pylist() == [3000]


def test_a_put_of_very_many_bytes_comes_in_pieces(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    from colonnade.engine.stores.clickhouse import steps

    monkeypatch.setattr(steps, "_ROWS", 100)
    several = [{"traceId": f"t{n}", "spanId": "s"} for n in range(250)]
    assert store.execute(Put(SPANS, rows(SPANS, *several))) == 250
    assert store.execute(Summarize(SPANS)).column("count").to_pylist() == [250]


def test_a_stream_gives_what_a_scan_gives(store: Storage) -> None:
    several = [{"traceId": f"t{n}", "spanId": "s"} for n in range(500)]
    store.execute(Put(SPANS, rows(SPANS, *several)))
    found = pa.Table.from_batches(store.batches(Scan(SPANS, order=(asc("traceId"),))))
    assert found.equals(store.execute(Scan(SPANS, order=(asc("traceId"),))))


def test_a_writer_in_front_of_it(store: Storage) -> None:
    with store.writer() as writer:
        for n in range(300):
            writer.add(row(SPANS, traceId=f"t{n}", spanId="s"))
    assert store.execute(Summarize(SPANS)).column("count").to_pylist() == [300]


def test_user_sql_over_it(store: Storage) -> None:
    store.execute(Put(SPANS, rows(SPANS, {"traceId": "t", "spanId": "s", "name": "chat", "cost": 0.5})))
    asked = store.sql("select name, sum(cost) as cost from spans where traceId = ? group by 1", ["t"], memory="256MB")
    assert asked.rows() == [{"name": "chat", "cost": 0.5}]


def test_very_many_and_very_long_values_are_compared(store: Storage) -> None:
    long = "x" * 200_000
    store.execute(Put(SPANS, rows(SPANS, {"traceId": "t9999", "spanId": "s", "name": long})))
    many = tuple(f"t{n}" for n in range(10_000))
    for where in (
        OneOf("traceId", many),
        OneOf("traceId", (*many, long)),
        OneOf("name", ("y", long)),
        Is("name", "=", long),
        ~OneOf("traceId", many[:-1]),
    ):
        assert store.execute(Scan(SPANS, where, columns=("traceId",))).num_rows == 1
    several = rows(RESOURCES, *({"id": id} for id in many))
    assert store.execute(Put(RESOURCES, several, expect=several.slice(0, 0).select(["id"]))) == 10_000
    assert store.execute(Delete(SPANS, OneOf("traceId", many))) == 1


LOOKUPS = {
    "a trace": Scan(SPANS, Is("traceId", "=", "t500"), (desc("startedAt"),)),
    "a parent": Scan(SPANS, Is("parentSpanId", "=", "p500"), (desc("startedAt"),), 50),
    "a name": Scan(SPANS, Is("name", "=", "name-5"), (desc("startedAt"),), 20),
    "a scope": Scan(SPANS, Is("scope", "=", "scope-5"), (desc("startedAt"),), 20),
    "newest roots": Scan(SPANS, Null("parentSpanId"), (desc("startedAt"),), 20),
    "a few traces": Scan(SPANS, OneOf("traceId", ("t1", "t9000"))),
    "messages of a thread": Scan(MESSAGES, Is("thread_id", "=", "t50"), (desc("createdAt"),), 10),
    "a message": Scan(MESSAGES, Is("id", "=", "m5000")),
}


@pytest.fixture(scope="module")
def filled(clickhouse: Server) -> Iterator[Server]:
    """Thirty granules of spans and ten of messages."""
    with colonnade.open(clickhouse.address("filled")) as store:
        several = [
            {
                "traceId": f"t{n // 3}", "spanId": f"s{n}", "parentSpanId": f"p{n // 3}" if n % 3 else None,
                "name": f"name-{n // 1000}", "scope": f"scope-{n // 1000}", "startedAt": NOON + timedelta(seconds=n),
            }
            for n in range(30_000)
        ]  # fmt: skip
        store.execute(Put(SPANS, rows(SPANS, *several)))
        store.execute(
            Put(MESSAGES, rows(MESSAGES, *({"id": f"m{n}", "threadId": f"t{n // 100}"} for n in range(10_000))))
        )
        yield clickhouse


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookup_reads_a_few_granules_and_not_the_table(filled: Server, name: str) -> None:
    asked = query_of(LOOKUPS[name])
    block = asked.block or 65_409
    # By one thread: how far others read ahead is a matter of luck.
    read = filled.counted(asked.sql, asked.values, database="filled", max_block_size=block, max_threads=1)
    assert 0 < read <= 10 * 1024, f"{read} rows were read, of 30,000"


def test_all_tables_have_the_columns_of_their_schema(filled: Server) -> None:
    for table in STORED:
        sql = f"SELECT name FROM system.columns WHERE database = 'filled' AND table = '{table.facts.mastra}'"
        assert {*filled.command(sql).split("\n")} == {*table.columns, *derived(table), "_version", "_deleted"}


def test_a_command_may_hold_values_longer_than_an_address(store: Storage) -> None:
    long = "\xe9'\\%" * 210_000
    store.memory.save_thread(thread={"id": long, "resourceId": long, "title": "T"})
    store.memory.save_thread(thread={"id": "short", "resourceId": long, "title": "T"})
    assert store.execute(Patch(THREADS, Is("id", "=", long), {"title": long})) == 1
    assert store.execute(Scan(THREADS, Is("title", "=", long), columns=("id",))).column(0).to_pylist() == [long]
    assert store.execute(Delete(THREADS, OneOf("id", (long, long + "!")))) == 1
    assert store.execute(Scan(THREADS, columns=("id",))).column(0).to_pylist() == ["short"]
