"""Several clients of one MongoDB, and a server that is killed: no update is lost, and nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.errors import StoreError
from tests.servers.mongodb import REAL, Server

CLIENTS = 8
WAYS = ("", "transactions=false")
THREAD = {"id": "t", "resourceId": "ada", "title": "Hello"}


def address(server: Server, database: str, way: str) -> str:
    return server.address(f"{database}_{'alone' if way else 'set'}", way)


@pytest.mark.parametrize("way", WAYS, ids=["replica set", "alone"])
def test_eight_writers_of_one_thread_and_of_one_run_lose_no_update(mongodb: Server, way: str) -> None:
    where = address(mongodb, "writers", way)
    steps = [f"step-{place}" for place in range(CLIENTS)]
    with colonnade.open(where) as first:
        first.memory.save_thread(thread=THREAD)
        snapshot = {"runId": "r", "status": "running", "context": {}}
        first.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r", snapshot=snapshot)

    def write(step: str) -> None:
        with colonnade.open(where, init=way != "") as store:
            store.memory.update_thread(id="t", metadata={step: True})
            result = {"status": "success", "output": step}
            store.workflows.update_workflow_results(
                workflow_name="w", run_id="r", step_id=step, result=result, request_context={}
            )

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(write, steps))
    with colonnade.open(where) as store:
        thread = store.memory.get_thread_by_id(thread_id="t")
        assert thread is not None
        assert sorted(thread["metadata"]) == steps
        run = store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r")
        assert run is not None
        assert sorted(run["context"]) == steps


def test_eight_awaited_writers_of_one_thread_lose_no_update(mongodb: Server) -> None:
    async def main() -> Any:
        async with colonnade.aopen(mongodb.address("awaited_writers")) as store:
            await store.memory.save_thread(thread=THREAD)
            writes = [store.memory.update_thread(id="t", metadata={f"m{place}": True}) for place in range(CLIENTS)]
            await asyncio.gather(*writes)
            return await store.memory.get_thread_by_id(thread_id="t")

    assert sorted(asyncio.run(main())["metadata"]) == [f"m{place}" for place in range(CLIENTS)]


def test_clients_that_write_one_new_key_at_once_write_one_row(mongodb: Server) -> None:
    where = mongodb.address("new_keys")
    colonnade.open(where).close()
    begin = threading.Barrier(CLIENTS)

    def write(place: int) -> None:
        with colonnade.open(where, init=False) as store:
            begin.wait()
            for key in range(5):
                store.memory.save_thread(thread={**THREAD, "id": f"t{key}", "title": str(place)})

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(write, range(CLIENTS)))
    with colonnade.open(where) as store:
        assert store.memory.list_threads()["total"] == 5
    assert mongodb.there("new_keys")["mastra_threads"].count_documents({}) == 5


@pytest.mark.skipif(REAL is not None, reason="a server that is not ours is not killed")
def test_a_server_killed_in_the_middle_keeps_what_it_acknowledged(mongodb: Server, tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start("sync")
    acknowledged: list[str] = []
    failed: list[str] = []

    def write() -> None:
        options = "serverSelectionTimeoutMS=300&retryWrites=false"
        with colonnade.open(server.address("killed", options)) as store:
            for turn in range(10_000):
                try:
                    store.memory.save_thread(thread={**THREAD, "id": f"t{turn}"})
                except StoreError as error:
                    failed.append(str(error))
                    return
                acknowledged.append(f"t{turn}")

    writer = threading.Thread(target=write)
    try:
        writer.start()
        while len(acknowledged) < 40:
            assert writer.is_alive()
        server.kill()
        writer.join()
        assert ["cannot be reached" in said for said in failed] == [True], "what was not acknowledged is an error"
        server.start("sync")
        with colonnade.open(server.address("killed")) as store:
            found = {thread["id"] for thread in store.memory.list_threads(per_page=False)["threads"]}
        assert set(acknowledged) <= found <= {*acknowledged, f"t{len(acknowledged)}"}
    finally:
        server.kill()
        writer.join()
