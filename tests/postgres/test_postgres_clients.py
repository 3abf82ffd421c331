"""Several clients on one PostgreSQL server: no update is lost, and what was acknowledged outlives the server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Delete, Is, Patch, Put, Scan
from colonnade.engine.stores.postgres.store import PostgresStore
from colonnade.errors import Conflict, StoreError
from colonnade.schemas import RESOURCES, SPANS, THREADS
from tests.servers.postgres import Server, served

WRITERS = 8
START = datetime(2026, 1, 31, tzinfo=UTC)


def span(trace: str, name: str = "n", **fields: Any) -> dict[str, Any]:
    moment = {"startedAt": START, **fields}
    return {"traceId": trace, "spanId": "s", "name": name, "spanType": "generic", "isEvent": False, **moment}


def update(address: str, worker: int, turns: int) -> None:
    """What one process does: steps of a run, messages of a thread, and metadata of a resource, which all share."""
    with colonnade.open(address) as store:
        for turn in range(turns):
            name = f"{worker}-{turn}"
            store.workflows.update_workflow_results(
                workflow_name="w", run_id="r", step_id=name, result={"output": turn}, request_context={name: 1}
            )
            message = {
                "id": name, "threadId": "t", "resourceId": "r", "role": "user", "type": "v2",
                "content": {"format": 2, "parts": []}, "createdAt": START + timedelta(seconds=turn),
            }  # fmt: skip
            store.memory.save_messages(messages=[message])
            store.memory.update_resource(resource_id="r", metadata={name: True})


def test_eight_processes_on_one_thread_one_run_and_one_resource_lose_no_update(postgres: Server) -> None:
    address = postgres.address("writers")
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
        context = get_context("spawn")
        workers = [context.Process(target=update, args=(address, worker, 4)) for worker in range(WRITERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * WRITERS
        names = {f"{worker}-{turn}" for worker in range(WRITERS) for turn in range(4)}
        snapshot = store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r")
        assert snapshot is not None
        assert snapshot["context"].keys() == snapshot["requestContext"].keys() == names
        assert store.memory.list_messages(thread_id="t", per_page=False)["total"] == len(names)
        resource = store.memory.get_resource_by_id(resource_id="r")
        assert resource is not None and resource["metadata"].keys() == names


def test_of_guarded_puts_that_expect_the_same_exactly_one_wins(postgres: Server) -> None:
    stores = [PostgresStore(postgres.address("guarded")) for _ in range(4)]
    with colonnade.open(default=stores[0]) as storage:
        for turn in range(6):
            storage.memory.update_resource(resource_id=f"{turn}", working_memory="first")
            read = storage.execute(Scan(RESOURCES, Is("id", "=", f"{turn}")))

            def put(place: int, read: Any = read) -> bool:
                try:
                    stores[place].execute(Put(RESOURCES, read, expect=read))  # not by the storage, which tries again
                    changed = {"workingMemory": f"by {place}"}
                    return bool(stores[place].execute(Patch(RESOURCES, Is("workingMemory", "=", "first"), changed)))
                except Conflict:
                    return False

            with ThreadPoolExecutor(4) as threads:
                won = list(threads.map(put, range(4)))
            assert sum(won) == 1
    for store in stores[1:]:
        store.close()


def test_what_meets_in_one_put_of_many_rows_is_merged_and_none_waits_for_ever(postgres: Server) -> None:
    """Spans that several clients write in opposite orders, by parameters and by COPY."""
    address = postgres.address("meeting")
    with colonnade.open(address) as store:

        def write(place: int) -> None:
            for count in (20, 120):
                rows = [span(f"t{number}", name=f"by {place}") for number in range(count)]
                if place % 2:
                    rows.reverse()
                for _ in range(3):
                    store.observability.batch_create_spans(records=rows)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(4)))
        found = store.execute(Scan(SPANS, columns=("traceId", "name"))).to_pylist()
        assert len({each["traceId"] for each in found}) == len(found) == 120


def test_a_transaction_that_fails_leaves_nothing_behind(postgres: Server) -> None:
    store = PostgresStore(postgres.address("undone"))
    with colonnade.open(default=store) as storage:
        storage.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})

        def rename() -> None:
            with store.transaction() as session:
                assert session.execute(Patch(THREADS, Is("id", "=", "t"), {"title": "New"})) == 1
                assert session.execute(Scan(THREADS)).column("title").to_pylist() == ["New"], "it sees its own writes"
                assert storage.execute(Scan(THREADS)).column("title").to_pylist() == ["T"], "nobody else does"
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            rename()
        assert storage.execute(Scan(THREADS)).column("title").to_pylist() == ["T"]


def test_what_is_deleted_while_it_is_changed_does_not_come_back(postgres: Server) -> None:
    store = PostgresStore(postgres.address("deleted"))
    thread = Is("id", "=", "t")
    with colonnade.open(default=store) as storage, ThreadPoolExecutor(1) as threads:
        storage.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
        with store.transaction() as session:
            read = session.execute(Scan(THREADS, thread))
            deletion = threads.submit(
                storage.execute, Delete(THREADS, thread)
            )  # it waits for what was read to be written
            time.sleep(0.1)
            session.execute(Put(THREADS, read))
            assert not deletion.done()
        assert deletion.result() == 1
        assert not storage.execute(Scan(THREADS)).num_rows

        storage.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
        with store.transaction() as session:
            session.execute(Scan(RESOURCES))  # from here on it sees one picture, in which the thread is
            storage.execute(Delete(THREADS, thread))
            with pytest.raises(Conflict):
                session.execute(Scan(THREADS, thread))
        assert not storage.execute(Scan(THREADS)).num_rows


def test_a_server_killed_mid_write_keeps_what_it_acknowledged(postgres: Server) -> None:
    with served() as server:
        address = server.address("kept")
        with colonnade.open(address) as store:
            acknowledged: list[str] = []
            failed: list[StoreError] = []
            stop = threading.Event()

            def write(place: int) -> None:
                turn = 0
                while not stop.is_set():
                    name = f"{place}-{turn}"
                    many = [span(name, spanId=f"{each}") for each in range(1 + 60 * (place % 2))]
                    try:
                        store.observability.batch_create_spans(records=many)
                    except StoreError as error:
                        failed.append(error)
                        time.sleep(0.02)  # and the same again
                    else:
                        acknowledged.append(name)
                        turn += 1

            with ThreadPoolExecutor(4) as threads:
                tasks = [threads.submit(write, place) for place in range(4)]
                while len(acknowledged) < 20:
                    time.sleep(0.01)
                server.kill()
                before = len(acknowledged)
                while len(failed) < 4:
                    time.sleep(0.01)
                server.start()
                until = time.monotonic() + 60
                while len(acknowledged) < before + 20 and time.monotonic() < until:
                    time.sleep(0.01)
                stop.set()
                for task in tasks:
                    task.result()
            assert len(acknowledged) >= before + 20, "it does not find back to the server"
            assert all("cannot be reached" in str(error) for error in failed)
            found = store.execute(Scan(SPANS, columns=("traceId",))).column(0).to_pylist()
            for name in acknowledged:
                assert found.count(name) == 1 + 60 * (int(name[0]) % 2), name


FORKS = """
import os, sys
import colonnade
span = {"traceId": "t", "name": "n", "startedAt": "2026-01-31T00:00:00Z", "spanType": "generic", "isEvent": False}
store = colonnade.open(sys.argv[1])
store.observability.create_span(span=span | {"spanId": "parent"})
child = os.fork()
if not child:
    code = 1
    try:
        store.observability.create_span(span=span | {"spanId": "child"})
        store.close()
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.observability.create_span(span=span | {"spanId": "parent again"})
"""
"""In an interpreter of its own: this one has run the tests of other stores, whose libraries have threads or warn."""


def test_a_child_that_is_forked_off_has_connections_of_its_own(postgres: Server) -> None:
    address = postgres.address("forked")
    python = [sys.executable, "-c", FORKS, address]
    ran = subprocess.run(python, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    with colonnade.open(address) as store:
        assert store.execute(Scan(SPANS)).num_rows == 3


def test_more_threads_than_connections_take_turns(postgres: Server) -> None:
    with colonnade.open(postgres.address("turns", "pool_size=2")) as store:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: store.observability.create_span(span=span(f"{number}")), range(40)))
        assert store.execute(Scan(SPANS)).num_rows == 40


def test_a_task_that_is_cancelled_gives_its_connection_back(postgres: Server) -> None:
    async def main() -> int:
        async with colonnade.aopen(postgres.address("cancelled", "pool_size=1")) as store:
            many = [span(f"{number}") for number in range(2_000)]
            for pause in (0.0, 0.001, 0.01, 0.03):
                task = asyncio.create_task(store.observability.batch_create_spans(records=many))
                await asyncio.sleep(pause)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled() or not task.exception(), "it is cancelled, or was done already"
            await store.observability.create_span(span=span("last"))
            return int((await store.execute(Scan(SPANS))).num_rows)

    assert asyncio.run(main()) in (1, 2_001)
