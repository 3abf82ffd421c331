"""How rows lie in Redis, and what must hold of them: order at equal moments, moments beyond doubles, strange texts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

import colonnade
from colonnade.engine.plan import Delete, Is, OneOf, Patch, Scan, asc, desc
from colonnade.engine.stores.upstash import reading
from colonnade.schemas import MESSAGES, SPANS
from tests.servers.upstash import Server

START = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def store(upstash: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    with colonnade.open(upstash.address(f"rows-{request.node.name}")) as store:
        yield store


def ask(store: Any, *words: str) -> Any:
    client: httpx.Client = store.stores[0].client
    prefix = store.stores[0].place.prefix
    found = client.post("/", json=[words[0], prefix + words[1], *words[2:]]).json()["result"]

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return base64.b64decode(value).decode() if isinstance(value, str) else value

    return plain(found)


def message(id: str, at: datetime = START, **more: Any) -> dict[str, Any]:
    return {"id": id, "threadId": "t1", "resourceId": "ada", "role": "user", "content": "Hi", "createdAt": at, **more}


def span(trace: str, id: str, at: datetime = START, **more: Any) -> dict[str, Any]:
    return {"traceId": trace, "spanId": id, "name": "chat", "startedAt": at, **more}


def test_the_keys_of_the_source_documents(store: Any) -> None:
    store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Hello", "createdAt": START})
    store.memory.save_messages(messages=[message("m1")])
    store.memory.update_resource(resource_id="ada", working_memory="# Ada")
    assert ask(store, "HGET", "thread:t1", "title") == "Hello"
    assert ask(store, "HMGET", "message:m1", "content", "createdAt") == ['"Hi"', "2026-01-31T00:00:00.000000Z"]
    assert ask(store, "HGET", "metadata:ada", "workingMemory") == "# Ada"
    assert ask(store, "ZRANGE", "index:messages:thread_id:t1", "0", "-1", "WITHSCORES") == ["m1", "1769817600000000"]


def test_a_row_that_moves_leaves_no_trace_in_the_sets_that_it_was_in(store: Any) -> None:
    store.memory.save_messages(messages=[message("m1"), message("m2")])
    store.memory.update_messages(messages=[{"id": "m1", "threadId": "t2"}])
    assert ask(store, "ZRANGE", "index:messages:thread_id:t1", "0", "-1") == ["m2"]
    assert ask(store, "ZRANGE", "index:messages:thread_id:t2", "0", "-1") == ["m1"]
    store.memory.delete_messages(["m1", "m2"])
    for key in ("index:messages", "index:messages:thread_id:t1", "index:messages:thread_id:t2", "message:m1"):
        assert ask(store, "EXISTS", key) == 0


def test_deleting_everything_leaves_nothing_but_the_version(store: Any, upstash: Server) -> None:
    store.observability.batch_create_spans(records=[span("t", f"s{n}", parentSpanId="s0") for n in range(30)])
    store.memory.save_messages(messages=[message("m1")])
    store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": ""})
    for domain in (store.observability, store.memory):
        domain.dangerously_clear_all()
    found = json.loads(upstash.command(json.dumps(["KEYS", store.stores[0].place.prefix + "*"])))["result"]
    assert found == [store.stores[0].place.prefix + "schema"]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("ties", [asc, desc])
@pytest.mark.parametrize("time", [asc, desc])
def test_rows_of_one_moment_have_an_order_in_every_page(store: Any, time: Any, ties: Any, page: int) -> None:
    records = [span(f"t{n % 3}", f"s{n:02}", START + timedelta(seconds=n // 7)) for n in range(40)]
    store.observability.batch_create_spans(records=records)
    order = (time("startedAt"), ties("traceId"), ties("spanId"))
    keys = sorted(((r["traceId"], r["spanId"]) for r in records), reverse=ties is desc)
    moments = {(r["traceId"], r["spanId"]): r["startedAt"] for r in records}
    expected = sorted(keys, key=moments.__getitem__)
    if time is desc:
        expected = [k for at in sorted(set(moments.values()), reverse=True) for k in keys if moments[k] == at]
    found: list[Any] = []
    for offset in range(0, 40, page):
        rows = store.execute(Scan(SPANS, order=order, limit=page, offset=offset, columns=("traceId", "spanId")))
        found += [(row["traceId"], row["spanId"]) for row in rows.to_pylist()]
    assert found == expected


def test_answers_that_end_early_go_on_where_they_ended(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.memory.save_messages(messages=[message(f"m{n:02}", content="x" * 50) for n in range(30)])
    monkeypatch.setattr(reading, "BYTES", 300)
    for order in ((asc("createdAt"), asc("id")), (desc("createdAt"), desc("id")), (desc("createdAt"), asc("id"))):
        rows = store.execute(Scan(MESSAGES, Is("thread_id", "=", "t1"), order, limit=20)).column("id").to_pylist()
        assert rows == sorted((f"m{n:02}" for n in range(30)), reverse=order[1].descending)[:20]


def test_moments_beyond_what_a_score_tells_apart_are_in_order_all_the_same(store: Any) -> None:
    far = datetime(2260, 1, 1, tzinfo=UTC)  # doubles are exact to the microsecond until 2255
    records = [span("t", f"s{n}", far + timedelta(microseconds=(n * 7) % 10)) for n in range(10)]
    records.append(span("t", "early", datetime(1680, 1, 1, tzinfo=UTC)))
    store.observability.batch_create_spans(records=records)
    newest = Scan(SPANS, order=(desc("startedAt"),), limit=4, columns=("startedAt",))
    assert [row["startedAt"].microsecond for row in store.execute(newest).to_pylist()] == [9, 8, 7, 6]
    since = Is("startedAt", ">=", far + timedelta(microseconds=8))
    assert store.execute(Scan(SPANS, since)).num_rows == 2
    assert store.execute(Delete(SPANS, since)) == 2
    assert store.execute(Scan(SPANS)).num_rows == 9


def test_a_filter_that_no_set_knows_stops_where_the_page_is_full(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        span("t", f"s{n:03}", START + timedelta(seconds=n), model="gpt-5" if n % 2 else None) for n in range(300)
    ]
    store.observability.batch_create_spans(records=records)
    before = store.stats()["requests"]
    wanted = Scan(SPANS, Is("model", "=", "gpt-5"), (desc("startedAt"),), limit=10, columns=("spanId",))
    assert store.execute(wanted).column(0).to_pylist() == [f"s{n:03}" for n in range(299, 279, -2)]
    assert store.stats()["requests"] - before <= 2  # one page of 100; the first time the script is sent as well


def test_a_patch_by_what_rows_hold_changes_those_and_counts_them_once(store: Any) -> None:
    store.observability.batch_create_spans(records=[span("t", f"s{n}", model=f"m{n % 2}") for n in range(10)])
    assert store.execute(Patch(SPANS, Is("model", "=", "m1"), {"model": "m0"})) == 5
    assert store.execute(Patch(SPANS, Is("model", "=", "m1"), {"model": "m0"})) == 0
    assert store.execute(Delete(SPANS, OneOf("model", ("m0",)))) == 10


def test_rows_come_as_a_stream_a_page_a_request(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.observability.batch_create_spans(records=[span("t", f"s{n:02}", model=f"m{n % 2}") for n in range(25)])
    monkeypatch.setattr(reading, "PAGE_ROWS", 10)
    stream = store.batches(Scan(SPANS, Is("model", "=", "m1"), columns=("spanId",)))
    next(stream)
    before = store.stats()["requests"]
    rest = [batch.num_rows for batch in stream]
    assert (sum(rest), store.stats()["requests"] - before) == (12 - 5, 2)


def test_awaited_rows_come_as_a_stream_too(upstash: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 10)

    async def main() -> tuple[int, int]:
        async with colonnade.aopen(upstash.address("streamed")) as store:
            await store.observability.batch_create_spans(records=[span("t", f"s{n:02}") for n in range(25)])
            before = store.stats()["requests"]
            rows = [batch.num_rows async for batch in store.batches(Scan(SPANS, columns=("spanId",)))]
            return sum(rows), store.stats()["requests"] - before

    rows, requests = asyncio.run(main())
    assert rows == 25
    assert requests in (3, 4)  # one more where the script is not known yet


def test_a_store_is_copied_and_pruned(store: Any, upstash: Server) -> None:
    store.memory.save_messages(messages=[message(f"m{n}") for n in range(5)])
    store.observability.batch_create_spans(records=[span("t", f"s{n}", endedAt=START) for n in range(5)])
    with colonnade.open(":memory:") as other:
        colonnade.copy(store, other)
        assert other.memory.list_messages(thread_id="t1") == store.memory.list_messages(thread_id="t1")
        store.prune(older_than=START + timedelta(days=1))
        assert store.observability.get_trace(trace_id="t") is None
        colonnade.copy(other, store)
        assert store.observability.get_trace(trace_id="t") == other.observability.get_trace(trace_id="t")


STRANGE = [
    "it's", '"quoted"', "100%", "a_b", "back\\slash", "$where", '{"$gt": ""}', "*", "thread:t1", "a:b", "\r\n$3\r\nFOO",
    "redis.call('FLUSHALL')", "']] return 1 --", "🙂", "שלום", "\u202eabc", "ﷰ", "x" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_strange_texts_are_texts(store: Any, text: str) -> None:
    thread = {"id": text, "resourceId": text, "title": text, "metadata": {text: text}}
    store.memory.save_thread(thread=thread)
    store.memory.save_messages(messages=[message(f"{text}-m", threadId=text, content={"metadata": {text: text}})])
    (found,) = store.memory.list_threads_by_resource_id(resource_id=text)["threads"]
    assert {name: found[name] for name in thread} == thread
    (said,) = store.memory.list_messages(thread_id=text)["messages"]
    assert said["content"] == {"metadata": {text: text}}
    store.memory.delete_thread(thread_id=text)
    assert store.memory.list_threads()["total"] == 0
    assert store.memory.list_messages(thread_id=text)["messages"] == []
