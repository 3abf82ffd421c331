"""Several clients of one database, which is killed in the middle: what was acknowledged is there, nothing is lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Is, OneOf, Patch, Put, Scan, asc
from colonnade.engine.stores.upstash.store import UpstashStore
from colonnade.errors import Conflict, StoreError
from colonnade.schemas import RESOURCES, SPANS
from tests.servers.upstash import Server, served

CLIENTS = 4


def span(trace: str, **more: Any) -> dict[str, Any]:
    return {"traceId": trace, "spanId": "s", "name": "n", "startedAt": "2026-01-31T12:00:00Z", **more}


def test_a_server_that_is_killed_keeps_what_it_acknowledged(tmp_path: Path, upstash: Server) -> None:
    with served(tmp_path / "killed") as server:
        colonnade.open(server.address("many")).close()
        kept: list[str] = []
        failed: list[str] = []
        stop = threading.Event()

        def write(name: int) -> None:
            with colonnade.open(server.address("many") + "&retries=0&timeout=5", init=False) as store:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    try:
                        store.observability.create_span(span=span(f"{name}-{turn}"))
                        store.memory.update_resource(resource_id="shared", metadata={f"{name}-{turn}": True})
                        kept.append(f"{name}-{turn}")
                    except StoreError as error:
                        failed.append(str(error))
                        time.sleep(0.05)

        with ThreadPoolExecutor(CLIENTS) as threads:
            writing = [threads.submit(write, name) for name in range(CLIENTS)]
            while len(kept) < 60:
                time.sleep(0.02)
            server.kill()
            while not failed:
                time.sleep(0.02)
            before = len(kept)
            server.start()
            while len(kept) < before + 20:
                time.sleep(0.02)
            stop.set()
            for each in writing:
                each.result()
        assert all("cannot be reached" in said or "broke off" in said for said in failed)
        with colonnade.open(server.address("many")) as store:
            spans = store.execute(Scan(SPANS, columns=("traceId",))).column(0).to_pylist()
            assert set(kept) <= set(spans)
            assert len(spans) == len(set(spans))
            resource = store.memory.get_resource_by_id(resource_id="shared")
            assert resource is not None
            assert set(kept) <= set(resource["metadata"])
            for trace in spans:  # rows and sets agree: each write is whole
                assert store.observability.get_trace(trace_id=trace) is not None


def test_of_guarded_puts_that_expect_the_same_exactly_one_wins(upstash: Server) -> None:
    stores = [colonnade.open(upstash.address("guarded")) for _ in range(CLIENTS)]
    try:
        for turn in range(6):
            keys = [f"{turn}-a", f"{turn}-b"]
            for key in keys:
                stores[0].memory.update_resource(resource_id=key, working_memory="first")
            read = stores[0].execute(Scan(RESOURCES, OneOf("id", tuple(keys)), (asc("id"),)))

            def put(place: int, read: Any = read) -> bool:
                mine = read.take([1, 0]) if place % 2 else read
                at = mine.schema.get_field_index("workingMemory")
                changed = mine.set_column(at, mine.schema.field(at), [[f"by {place}"] * mine.num_rows])
                store = stores[place].stores[0]
                assert isinstance(store, UpstashStore)
                try:
                    store.execute(Put(RESOURCES, changed, expect=mine))  # not by the storage, which would try again
                except Conflict:
                    return False
                return True

            with ThreadPoolExecutor(CLIENTS) as threads:
                won = list(threads.map(put, range(CLIENTS)))
            assert sum(won) == 1
            found = stores[0].execute(Scan(RESOURCES, OneOf("id", tuple(keys))))
            assert found.column("workingMemory").to_pylist() == [f"by {won.index(True)}"] * 2
    finally:
        for store in stores:
            store.close()


def test_patches_of_several_clients_and_of_several_columns_all_hold(upstash: Server) -> None:
    columns = ["provider", "model", "environment", "source"]
    with colonnade.open(upstash.address("patched")) as first:
        first.observability.create_span(span=span("t"))

        def patch(column: str) -> None:
            with colonnade.open(upstash.address("patched")) as store:
                for turn in range(5):
                    assert store.execute(Patch(SPANS, Is("traceId", "=", "t"), {column: f"{column} {turn}"})) == 1

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(patch, columns))
        found = first.execute(Scan(SPANS, columns=tuple(columns))).to_pylist()
        assert found == [{column: f"{column} 4" for column in columns}]


@pytest.mark.parametrize("others", [8])
def test_messages_saved_at_once_are_all_there(upstash: Server, others: int) -> None:
    with colonnade.open(upstash.address("at-once")) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": ""})

        def save(writer: int) -> None:
            for turn in range(5):
                said = {"id": f"{writer}-{turn}", "threadId": "t1", "resourceId": "ada", "role": "user", "content": "x"}
                store.memory.save_messages(messages=[said])

        with ThreadPoolExecutor(others) as threads:
            list(threads.map(save, range(others)))
        assert store.memory.list_messages(thread_id="t1", per_page=False)["total"] == others * 5
