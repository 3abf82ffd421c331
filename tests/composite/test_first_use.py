"""An async storage without ``async with``: whoever uses it first makes its stores, once, whoever is cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import colonnade
from colonnade.engine.plan import Scan
from colonnade.engine.store import AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import StoreClosed, StoreError, Unsupported
from colonnade.schemas import SPANS, THREADS

KINDS = ("memory", "duckdb", "embedded", "lance", "libsql")
SERVED = ("sqld", "d1", "postgres", "clickhouse", "mongodb", "upstash", "mssql")
SPAN = {"traceId": "t", "spanId": "s", "name": "chat", "startedAt": "2026-01-01T00:00:00Z"}


@pytest.fixture(params=(*KINDS, *SERVED))
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet (on sqld, which has one database, there may be tables)."""
    kind = request.param
    files = {
        "memory": ":memory:",
        "duckdb": f"duckdb:///{tmp_path / 'store.duckdb'}",
        "embedded": str(tmp_path / "agent"),
        "lance": f"lancedb:///{tmp_path / 'lance'}",
        "libsql": f"file:{tmp_path / 'storage.db'}",
    }
    if kind in files:
        return files[kind]
    server = request.getfixturevalue("workerd" if kind == "d1" else kind)
    return str(server.address() if kind == "sqld" else server.address(f"first_{uuid4().hex[:8]}_"))


def thread(id: str) -> dict[str, Any]:
    return {"id": id, "resourceId": f"first use of {id}"}


def count_makings(store: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each time from now on that a store is made."""
    made = []
    for each in store.stores:

        def init(each: Any = each, init: Any = each.init) -> Any:
            made.append(each)
            return init()

        monkeypatch.setattr(each, "init", init)
    return made


def test_tasks_that_begin_at_once_find_it_made_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        store = colonnade.aopen(address)
        made = count_makings(store, monkeypatch)

        async def stream() -> int:
            return sum([batch.num_rows async for batch in store.batches(Scan(SPANS))])

        try:
            _, _, threads, rows, spans, sql, *_ = await asyncio.gather(
                store.memory.save_thread(thread=thread("a")),
                store.memory.save_thread(thread=thread("b")),
                store.memory.list_threads_by_resource_id(resource_id="nobody"),
                store.execute(Scan(SPANS)),
                stream(),
                store.sql("select count(*) as n from spans"),
                store.queries.slowest(),
                store.prune(older_than="30d", dry_run=True),
            )
            assert (threads["total"], rows.num_rows, spans, sql.rows()) == (0, 0, 0, [{"n": 0}])
            assert len(made) == 1
            for id in "ab":
                found = await store.memory.get_thread_by_id(thread_id=id)
                assert found is not None and found["resourceId"] == f"first use of {id}"
                await store.memory.delete_thread(thread_id=id)
            async with store:  # afterwards it is as good
                assert len(made) == 1
        finally:
            await store.close()

    asyncio.run(work())


@pytest.mark.parametrize("turns", [0, 1, 3, 30])
def test_who_is_cancelled_leaves_it_to_who_comes_next(
    address: str, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        store = colonnade.aopen(address)
        made = count_makings(store, monkeypatch)
        try:
            first = asyncio.create_task(store.memory.list_threads())
            for _ in range(turns):
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            await store.memory.save_thread(thread=thread("a"))
            assert await store.memory.get_thread_by_id(thread_id="a") is not None
            assert len(made) == 1
            await store.memory.delete_thread(thread_id="a")
        finally:
            await store.close()

    asyncio.run(work())


def test_closing_ends_what_is_being_made_and_it_opens_again(address: str) -> None:
    async def work() -> None:
        for turns in (0, 1, 5):
            store = colonnade.aopen(address)
            waiting = asyncio.create_task(store.memory.list_threads())
            for _ in range(turns):
                await asyncio.sleep(0)
            await store.close()
            await asyncio.wait([waiting])
            assert isinstance(waiting.exception(), StoreClosed | StoreError | None)
        async with colonnade.aopen(address) as again:
            await again.memory.save_thread(thread=thread("a"))
            await again.memory.delete_thread(thread_id="a")

    asyncio.run(work())


class Slow(AsyncStore):
    """Made when it is told to; so many times that it fails first."""

    label = "slow"

    def __init__(self, failures: int = 0) -> None:
        self.go, self.failures, self.begun, self.closed = asyncio.Event(), failures, 0, 0

    async def init(self) -> None:
        self.begun += 1
        await self.go.wait()
        if self.begun <= self.failures:
            raise StoreError("slow: not today")

    async def execute(self, plan: Any) -> Any:
        return THREADS.schema.empty_table()

    async def close(self) -> None:
        self.closed += 1


def test_what_fails_fails_all_who_wait_and_is_tried_again_by_the_next() -> None:
    async def work() -> None:
        slow = Slow(failures=1)
        store = colonnade.aopen(slow)
        waiting = [asyncio.create_task(store.memory.list_threads()) for _ in range(3)]
        await asyncio.sleep(0.01)
        slow.go.set()
        await asyncio.wait(waiting)
        assert [str(each.exception()) for each in waiting] == ["slow: not today"] * 3
        assert (await store.memory.list_threads())["total"] == 0
        await store.init()
        assert slow.begun == 2

    asyncio.run(work())


def test_closing_does_not_wait_for_a_server_that_does_not_answer() -> None:
    async def work() -> None:
        slow = Slow()
        store = colonnade.aopen(slow, scores=MemoryStore())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), store:
                raise AssertionError("it is not made")
        assert (slow.begun, slow.closed) == (1, 1)

        other = colonnade.aopen(again := Slow())
        waiting = asyncio.create_task(other.memory.list_threads())
        await asyncio.sleep(0.01)
        await other.close()
        with pytest.raises(StoreClosed, match="closed before it was made"):
            await waiting
        assert again.closed == 1

    asyncio.run(work())


def test_a_making_that_ended_with_its_loop_begins_again_on_the_next() -> None:
    slow = Slow()
    store = colonnade.aopen(slow)

    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await store.init()

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())

    async def patient() -> None:
        slow.go = asyncio.Event()
        slow.go.set()
        await store.memory.list_threads()

    asyncio.run(patient())
    assert slow.begun == 2


def test_without_init_nothing_is_made_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with colonnade.aopen(MemoryStore(), init=False) as store:
            made = count_makings(store, monkeypatch)
            await store.memory.list_threads()
            assert not made
            await store.init()
            await store.init()
            assert len(made) == 1

    asyncio.run(work())


def test_a_writer_finds_it_made_and_who_cannot_await_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        store = colonnade.aopen(tmp_path / "store.duckdb")
        with pytest.raises(Unsupported, match=r"await store\.init\(\) first"):
            store.blocking(Scan(SPANS))
        async with store.writer() as writer:
            await writer.add(SPAN)
        assert sum(batch.num_rows for batch in store.blocking(Scan(SPANS))) == 1
        await store.close()

    asyncio.run(work())
