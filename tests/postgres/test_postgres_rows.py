"""What a PostgreSQL store keeps, exactly: by parameters and by COPY; and how it finds it again."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import (
    TRUE,
    Among,
    At,
    Contains,
    Delete,
    Is,
    Nearest,
    Null,
    OneOf,
    Put,
    Scan,
    Summarize,
    asc,
    desc,
)
from colonnade.engine.stores.postgres import bulk, steps, wide
from colonnade.engine.stores.postgres.store import AsyncPostgresStore, PostgresStore
from colonnade.errors import InvalidInput
from colonnade.schemas import MESSAGES, SCORES, SPANS, STORED, THREADS, VECTORS
from colonnade.schemas.few import FewRows
from colonnade.schemas.span_rows import encode_spans
from colonnade.testing.colours import Awaited
from colonnade.testing.strategies import crowd
from tests.servers.postgres import Server

START = datetime(2026, 1, 31, tzinfo=UTC)
STRANGE = [
    "'; DROP TABLE mastra_threads; --", '"', "%s %(x)s $1", "_%", "back\\slash", "\\.", "a\n\\.\nb", "\r\n", "$where",
    '{"$gt": ""}', "NUL \0 here", "😀\ud83d", "שלום‮", "\ufdd0", "{}", "NULL", "\\N", "\t", ",", "x" * 1_000_000,
]  # fmt: skip


@pytest.fixture(scope="module")
def store(postgres: Server) -> Any:
    postgres.command("CREATE EXTENSION IF NOT EXISTS vector")
    kept = PostgresStore(postgres.address("rows"))
    with colonnade.open(default=kept) as storage:
        yield storage


def kept(store: Any) -> PostgresStore:
    found = store.stores[0]
    assert isinstance(found, PostgresStore)
    return found


@pytest.mark.parametrize("singly", [40, 0], ids=["by parameters", "by COPY"])
def test_strange_texts_come_back_as_they_were(store: Any, singly: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SINGLY", singly)
    threads = [
        {"id": f"t{place}", "resourceId": "r", "title": text, "metadata": {text: [text, {"deep": text}]}}
        for place, text in enumerate(STRANGE)
    ]
    for thread in threads:
        store.memory.save_thread(thread=thread)
    spans = [
        {
            "traceId": f"t{place}", "spanId": "s", "name": text, "spanType": "g", "isEvent": False,
            "startedAt": START, "input": text, "metadata": {"m": text}, "tags": [text],
        }
        for place, text in enumerate(STRANGE)
    ]  # fmt: skip
    store.observability.batch_create_spans(records=spans)
    for thread, span in zip(threads, spans, strict=True):
        found = store.memory.get_thread_by_id(thread_id=thread["id"])
        assert (found["title"], found["metadata"]) == (thread["title"], thread["metadata"])
        (read,) = store.observability.get_trace(trace_id=span["traceId"])["spans"]
        assert (read["name"], read["input"], read["tags"]) == (span["name"], span["input"], span["tags"])
        for filters in ({"metadata": span["metadata"]}, {"tags": span["tags"]}):
            found = store.observability.list_traces(filters=filters)
            assert [each["traceId"] for each in found["spans"]] == [span["traceId"]]
    for text in ("'; DROP TABLE", "%s %(x)s", "back\\slash", '{"$gt"', "$WHERE"):
        found = store.execute(Scan(SPANS, Contains("name", text), columns=("name",))).column(0).to_pylist()
        assert found == [each for each in STRANGE if text.lower() in each.lower()]
    store.execute(Delete(THREADS, Is("resourceId", "=", "r")))
    store.execute(Delete(SPANS, OneOf("traceId", tuple(span["traceId"] for span in spans))))


@pytest.mark.parametrize("table", STORED, ids=str)
def test_what_copy_is_sent_is_what_parameters_are(store: Any, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        rows = crowd(table, seed)
        answers = []
        for singly in (1_000, 0, 0):  # the last time by way of a table aside, since all rows are there
            monkeypatch.setattr(steps, "SINGLY", singly)
            store.execute(Put(table, rows))
            answers.append(store.execute(Scan(table, order=tuple(map(asc, table.key)))))
            if not singly and len(answers) == 2:
                continue
            store.execute(Delete(table, TRUE))
        assert answers[0].equals(answers[1]) and answers[1].equals(answers[2])
        assert answers[0].num_rows


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_megabyte_in_identifiers_and_in_all_that_is_indexed(postgres: Server, colour: str) -> None:
    address = postgres.address(f"wide_{colour}")
    older = colonnade.open(address)  # opened before, it finds out
    store: Any = colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))
    try:
        dice = random.Random(1)
        long = ["".join(chr(dice.randrange(0x20, 0x2FFF)) for _ in range(300_000)) for _ in range(2)]
        long += [long[0] + "x", "é" * 300, "short"]
        spans = [
            {
                "traceId": text, "spanId": text, "name": text, "scope": text, "spanType": "generic",
                "isEvent": False, "startedAt": START, "metadata": {"m": text},
            }
            for text in long
        ]  # fmt: skip
        store.observability.batch_create_spans(records=spans)
        store.observability.batch_create_spans(records=spans)
        older.observability.batch_create_spans(records=spans)
        assert store.execute(Scan(SPANS)).num_rows == len(long)
        for text in long:
            (found,) = store.observability.get_trace(trace_id=text)["spans"]
            assert (found["spanId"], found["name"], found["metadata"]) == (text, text, {"m": text})
            assert store.execute(Scan(SPANS, OneOf("name", (text, "none")), columns=("name",))).num_rows == 1
        ordered = store.execute(Scan(SPANS, order=(asc("traceId"),), columns=("traceId",))).column(0).to_pylist()
        assert ordered == sorted(long)
        store.memory.save_thread(thread={"id": long[0], "resourceId": long[1], "title": long[0]})
        store.memory.update_thread(id=long[0], title="new", metadata={})
        message = {"id": long[0], "threadId": long[0], "resourceId": long[1], "role": "user", "content": {"format": 2}}
        store.memory.save_messages(messages=[message])
        assert store.memory.list_messages(thread_id=long[0])["total"] == 1
        run = {"workflow_name": long[0], "run_id": long[1]}
        store.workflows.update_workflow_results(**run, step_id="s", result={}, request_context={})
        assert store.workflows.load_workflow_snapshot(**run)["context"] == {"s": {}}
        plan = plan_of(older, Scan(SPANS, Is("traceId", "=", "short")))
        assert "Index Cond" in plan, "short ones are still found by an index"
        assert store.execute(Delete(SPANS, Is("name", "=", long[2]))) == 1
    finally:
        older.close()
        store.close()


def test_few_rows_are_read_without_arrow(store: Any) -> None:
    store.memory.save_thread(thread={"id": "few", "resourceId": "f", "title": "T", "createdAt": START})
    found = kept(store).execute(Scan(THREADS, Is("id", "=", "few"), few=True))
    assert isinstance(found, FewRows)
    (row,) = found.records()
    assert row["createdAt"] == START and row["createdAt"].tzinfo is UTC


def test_text_is_in_the_order_of_code_points_and_has_it_indexed(store: Any) -> None:
    names = ["a", "B", "é", "z", "😀", "\uffff", "Z", "a b", "ab"]
    store.observability.batch_create_spans(
        records=[
            {"traceId": f"o{n}", "spanId": "s", "name": name, "spanType": "order", "isEvent": False, "startedAt": START}
            for n, name in enumerate(names)
        ]
    )
    mine = Is("spanType", "=", "order")
    found = store.execute(Scan(SPANS, mine, (asc("name"),), columns=("name",))).column(0).to_pylist()
    assert found == sorted(names)
    found = store.execute(Scan(SPANS, mine & Is("name", ">", "z"), columns=("name",))).column(0).to_pylist()
    assert set(found) == {"é", "😀", "\uffff"}


def plan_of(store: Any, scan: Scan) -> str:
    """How the server goes about a scan."""
    with kept(store).pool.connection() as connection:
        request = steps.query_of(scan, kept(store)._client.layout(connection))
        connection.execute("SET enable_seqscan = off")
        from colonnade.engine.stores.postgres.pools import cursor_of

        found = cursor_of(connection).execute(f"EXPLAIN {request.sql}", request.values).fetchall()
        connection.execute("RESET enable_seqscan")
    return "\n".join(line for (line,) in found)


def test_pages_and_look_ups_are_found_by_the_default_indexes(postgres: Server) -> None:
    with colonnade.open(postgres.address("plans")) as store:
        for table, different in ((SPANS, 200), (MESSAGES, 10), (SCORES, 200)):
            (one,) = crowd(table, 1).slice(0, 1).to_pylist()
            rows = []
            for n in range(4_000):
                looked_up = {name: f"{name}{n % different}" for name in wide.columns_of(table)}
                newest = {table.facts.indexes[0].newest: START + timedelta(seconds=n)}
                rows.append(one | looked_up | newest | {table.key[-1]: f"k{n}"})
            store.execute(Put(table, pa.Table.from_pylist(rows, table.schema)))
        store.optimize()
        check_plans(store)


def check_plans(store: Any) -> None:
    newest = (desc("createdAt"),)
    thread = plan_of(store, Scan(MESSAGES, Is("thread_id", "=", "thread_id1"), newest, limit=20))
    assert "mastra_messages_thread_id_createdat_idx" in thread and "Incremental Sort" in thread
    assert 'Presorted Key: "createdAt"' in thread
    page = Is("createdAt", "<=", START) & Is("thread_id", "=", "thread_id1")
    assert "mastra_messages_thread_id_createdat_idx" in plan_of(store, Scan(MESSAGES, page, newest, limit=20))
    named = Scan(SPANS, Is("name", "=", "name1"), (desc("startedAt"),), limit=10)
    assert "mastra_ai_spans_name_startedat_idx" in plan_of(store, named)
    assert "mastra_ai_spans_startedat_idx" in plan_of(store, Scan(SPANS, order=(desc("startedAt"),), limit=10))
    roots = plan_of(store, Scan(SPANS, Null("parentSpanId"), (desc("startedAt"),), limit=10))
    assert "mastra_ai_spans_parentspanid_startedat_idx" in roots
    several = plan_of(store, Scan(SPANS, OneOf("traceId", ("a", "b", "c"))))
    assert "mastra_ai_spans" in several and "ANY" in several
    score = plan_of(
        store, Scan(SCORES, Is("traceId", "=", "traceId1") & Is("spanId", "=", "spanId1"), newest, limit=10)
    )
    assert "mastra_scores_trace_id_span_id_created_at_idx" in score


def test_a_filter_on_metadata_is_served_by_an_index_on_the_same_expression(postgres: Server) -> None:
    own = [{"name": "by_type", "table": "mastra_threads", "columns": ["metadata->>'type'"]}]
    with colonnade.open(default=PostgresStore(postgres.address("served"), indexes=own)) as store:
        plan = plan_of(store, Scan(THREADS, Is(At("metadata", ("type",)), "=", "support")))
        assert "served_by_type" in plan
        assert "Index Cond: ((metadata ->> 'type'::text) = 'support'::text)" in plan


def embeddings(count: int, size: int = 8, name: str = "v") -> pa.Table:
    rows = [
        {
            "id": f"{name}{place}", "message_id": "m", "thread_id": "t", "piece": place, "model": "m",
            "resourceId": None, "createdAt": START,
            "embedding": [float((place * 7 + at * 3) % 11 - 5) for at in range(size)],
        }
        for place in range(count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, VECTORS.schema)


def test_neighbours_are_the_same_with_pgvector_and_without(postgres: Server) -> None:
    server = f"{postgres.address().rpartition('/')[0]}/without"
    postgres.command("CREATE DATABASE without")
    asked = Nearest(VECTORS, "embedding", (1.0, -2.0, 3.0, 0.0, 0.0, 5.0, 1.0, 1.0), k=12, columns=("id",))
    found = []
    for address in (server, postgres.address("with")):
        with colonnade.open(address) as store:
            store.execute(Put(VECTORS, embeddings(500)))
            store.execute(
                Put(
                    VECTORS,
                    embeddings(20, size=3, name="o"),
                )
            )
            found.append(store.execute(asked).to_pylist())
            assert (kept(store)._client._layout.vectors is None) == (address == server)  # type: ignore[union-attr]
    assert found[0] == found[1] and len(found[0]) == 12


def test_too_many_neighbours_at_the_same_distance_are_compared_page_by_page(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_NEAR", 5)
    same = embeddings(60)
    at = same.schema.get_field_index("embedding")
    same = same.set_column(at, same.schema.field(at), pa.array([[1.0, 0.0]] * 60, same.schema.field(at).type))
    store.execute(Put(VECTORS, same))
    found = store.execute(Nearest(VECTORS, "embedding", (1.0, 0.0), k=3, columns=("id",))).to_pylist()
    assert found == [{"id": name, "similarity": 1.0} for name in sorted(f"v{n}" for n in range(60))[:3]]
    store.execute(Delete(VECTORS, TRUE))


def test_rows_come_as_a_stream(store: Any) -> None:
    records = [
        {
            "traceId": f"s{place}", "spanId": "s", "name": "stream", "spanType": "g", "isEvent": False,
            "startedAt": START + timedelta(seconds=place),
        }
        for place in range(5_000)
    ]  # fmt: skip
    data = encode_spans(records, START)
    assert store.execute(Put(SPANS, data)) == 5_000
    batches = list(kept(store).batches(Scan(SPANS, Is("name", "=", "stream"), (asc("startedAt"),))))
    assert len(batches) > 1
    assert pa.Table.from_batches(batches).column("traceId").to_pylist() == data.column("traceId").to_pylist()
    stream: Any = kept(store).batches(Scan(SPANS, Is("name", "=", "stream")))
    next(stream)
    stream.close()  # half read, it gives its connection back
    counted = store.execute(Summarize(SPANS, ("name",), where=Is("name", "=", "stream")))
    assert counted.column("count").to_pylist() == [5_000]
    inner = Scan(SPANS, Is("traceId", "=", "s7"), columns=("name",))
    assert store.execute(Scan(SPANS, Among("name", inner, "name"))).num_rows == 5_000


def test_rows_come_as_a_stream_that_is_awaited(postgres: Server) -> None:
    async def main() -> list[int]:
        async with colonnade.aopen(postgres.address("rows")) as opened:
            await opened.init()
            awaited = opened.stores[0]
            assert isinstance(awaited, AsyncPostgresStore)
            async for batch in awaited.batches(Scan(SPANS, Is("name", "=", "stream"))):
                assert batch.num_rows
                break  # half read
            rows = Scan(SPANS, Is("name", "=", "stream"), (asc("startedAt"),))
            return [batch.num_rows async for batch in awaited.batches(rows)]

    counts = asyncio.run(main())
    assert sum(counts) == 5_000 and len(counts) > 1


def test_text_that_is_no_json_is_refused_and_nothing_is_written(store: Any) -> None:
    data = encode_spans(
        [{"traceId": "bad", "spanId": "s", "name": "n", "spanType": "g", "isEvent": False, "startedAt": START}], START
    )
    at = data.schema.get_field_index("metadata")
    with pytest.raises(InvalidInput, match="invalid input syntax for type json"):
        store.execute(Put(SPANS, data.set_column(at, data.schema.field(at), pa.array(["{oops"]))))
    assert not store.execute(Scan(SPANS, Is("traceId", "=", "bad"))).num_rows


def test_rows_become_csv_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_ROWS", 2)
    data = pa.table(
        {"text": ["", None, 'a"b'], "numbers": pa.array([[0.1, -2.0], None, [3.0]], pa.list_(pa.float32()))}
    )
    assert list(bulk.csv(data)) == [b'"","{0.1,-2}"\n,\n', b'"a""b","{3}"\n']


def test_a_line_that_older_servers_would_take_for_the_end_is_not_copied() -> None:
    def rows(text: str) -> pa.Table:
        return pa.table({"id": ["a"], "text": [text]})

    assert bulk.is_cut_short(rows("a\n\\.\nb")) and bulk.is_cut_short(rows("a\r\\.b"))
    assert not bulk.is_cut_short(rows("\\.")) and not bulk.is_cut_short(rows("a\n.b\\n"))
