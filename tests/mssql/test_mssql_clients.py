"""Several clients on one SQL Server: no update is lost. (On the double, which lets one transaction in at a time, this
shows that the steps are right; whether the server's locks hold is shown where MSSQL_DSN names one.)"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Delete, Is, Patch, Put, Scan
from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql import writing
from colonnade.engine.stores.mssql.client import Client
from colonnade.engine.stores.mssql.store import MSSQLStore
from colonnade.errors import Conflict, StoreError
from colonnade.schemas import RESOURCES, SPANS, THREADS
from tests.servers.tds_double import served

WRITERS = 8
START = datetime(2026, 1, 31, tzinfo=UTC)


def span(trace: str, name: str = "n", **fields: Any) -> dict[str, Any]:
    moment = {"startedAt": START, **fields}
    return {"traceId": trace, "spanId": "s", "name": name, "spanType": "generic", "isEvent": False, **moment}


def update(address: str, worker: int, turns: int) -> None:
    """What one client does: steps of a run, messages of a thread, and metadata of a resource, which all share."""
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


def test_eight_clients_on_one_thread_one_run_and_one_resource_lose_no_update(server: Any) -> None:
    address = server.address("writers")
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
        with ThreadPoolExecutor(WRITERS) as threads:
            for task in [threads.submit(update, address, worker, 3) for worker in range(WRITERS)]:
                task.result()
        names = {f"{worker}-{turn}" for worker in range(WRITERS) for turn in range(3)}
        snapshot = store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r")
        assert snapshot is not None
        assert snapshot["context"].keys() == snapshot["requestContext"].keys() == names
        assert store.memory.list_messages(thread_id="t", per_page=False)["total"] == len(names)
        resource = store.memory.get_resource_by_id(resource_id="r")
        assert resource is not None and resource["metadata"].keys() == names


def test_of_guarded_puts_that_expect_the_same_exactly_one_wins(server: Any) -> None:
    stores = [MSSQLStore(server.address("guarded")) for _ in range(4)]
    with colonnade.open(default=stores[0]) as storage:
        for turn in range(3):
            storage.memory.update_resource(resource_id=f"{turn}", working_memory="first")
            read = storage.execute(Scan(RESOURCES, Is("id", "=", f"{turn}")))

            def put(place: int, read: Any = read) -> bool:
                try:
                    stores[place].put(Put(RESOURCES, read, expect=read))  # not through the storage, which tries again
                    changed = {"workingMemory": f"by {place}"}
                    return stores[place].patch(Patch(RESOURCES, Is("workingMemory", "=", "first"), changed)) == 1
                except Conflict:
                    return False

            with ThreadPoolExecutor(4) as threads:
                won = list(threads.map(put, range(4)))
            assert sum(won) == 1
    for store in stores[1:]:
        store.close()


def test_what_meets_in_one_put_of_many_rows_is_merged_and_none_waits_for_ever(server: Any) -> None:
    with colonnade.open(server.address("meeting")) as store:

        def write(place: int) -> None:
            rows = [span(f"t{number}", name=f"by {place}") for number in range(60)]
            if place % 2:
                rows.reverse()
            for _ in range(2):
                store.observability.batch_create_spans(records=rows)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(4)))
        found = store.execute(Scan(SPANS, columns=("traceId", "name"))).to_pylist()
        assert len({each["traceId"] for each in found}) == len(found) == 60


def test_a_transaction_that_fails_leaves_nothing_behind(server: Any) -> None:
    store = MSSQLStore(server.address("undone"))
    with colonnade.open(default=store) as storage:
        storage.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})

        def rename() -> None:
            with store.transaction() as session:
                assert session.execute(Patch(THREADS, Is("id", "=", "t"), {"title": "New"})) == 1
                assert session.scan(Scan(THREADS)).column("title").to_pylist() == ["New"], "it sees its own writes"
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            rename()
        assert storage.execute(Scan(THREADS)).column("title").to_pylist() == ["T"]


def test_what_is_deleted_while_it_is_changed_does_not_come_back(server: Any) -> None:
    store = MSSQLStore(server.address("deleted"))
    thread = Is("id", "=", "t")
    with colonnade.open(default=store) as storage, ThreadPoolExecutor(1) as threads:
        storage.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
        with store.transaction() as session:
            read = session.scan(Scan(THREADS, thread))
            deletion = threads.submit(storage.execute, Delete(THREADS, thread))
            time.sleep(0.1)
            session.put(Put(THREADS, read))
            assert not deletion.done(), "it waits for what was read to be written"
        assert deletion.result() == 1
        assert not storage.execute(Scan(THREADS)).num_rows


def test_what_takes_several_statements_is_one_all_the_same(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MSSQLStore(server.address("several"))
    run, merged = Client.run, iter(range(3))

    def stops(self: Client, connection: Any, statement: Statement) -> Any:
        if statement.sql.startswith("MERGE") and next(merged, None) is None:
            raise StoreError("stopped")
        return run(self, connection, statement)

    with colonnade.open(default=store) as storage:
        monkeypatch.setattr(writing, "LETTERS", 500_000)
        rows = [span(f"t{number}", input="x" * 200_000) for number in range(12)]
        with monkeypatch.context() as patched:
            patched.setattr(Client, "run", stops)
            with pytest.raises(StoreError, match="stopped"):
                storage.observability.batch_create_spans(records=rows)
        assert storage.execute(Scan(SPANS)).num_rows == 0
        storage.observability.batch_create_spans(records=rows)
        assert storage.execute(Scan(SPANS)).num_rows == 12


def test_a_server_killed_mid_write_keeps_what_it_acknowledged() -> None:
    """Of the double, it is about the client: what fails has not been acknowledged, and it finds back to the server."""
    with served() as server, colonnade.open(server.address("kept", "connect_timeout=2")) as store:
        acknowledged: list[str] = []
        failed: list[StoreError] = []
        stop = threading.Event()

        def write(place: int) -> None:
            turn = 0
            while not stop.is_set():
                name = f"{place}-{turn}"
                many = [span(name, spanId=f"{each}") for each in range(1 + 20 * (place % 2))]
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
            while len(acknowledged) < 12:
                time.sleep(0.01)
            server.kill()
            before = len(acknowledged)
            while len(failed) < 4:
                time.sleep(0.01)
            server.start()
            until = time.monotonic() + 60
            while len(acknowledged) < before + 12 and time.monotonic() < until:
                time.sleep(0.01)
            stop.set()
            for task in tasks:
                task.result()
        assert len(acknowledged) >= before + 12, "it does not find back to the server"
        others = {str(error) for error in failed if "cannot be reached" not in str(error)}
        assert not others
        found = store.execute(Scan(SPANS, columns=("traceId",))).column(0).to_pylist()
        for name in acknowledged:
            assert found.count(name) == 1 + 20 * (int(name[0]) % 2), name


def test_more_threads_than_connections_take_turns(server: Any) -> None:
    with colonnade.open(server.address("turns", "pool_size=2")) as store:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: store.observability.create_span(span=span(f"{number}")), range(24)))
        assert store.execute(Scan(SPANS)).num_rows == 24


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


def test_a_child_that_is_forked_off_has_connections_of_its_own(server: Any) -> None:
    address = server.address("forked")
    python = [sys.executable, "-c", FORKS, address]
    ran = subprocess.run(python, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    with colonnade.open(address) as store:
        assert store.execute(Scan(SPANS)).num_rows == 3


def test_those_who_open_at_the_same_time_make_the_tables_once(server: Any) -> None:
    address = server.address("opened_at_once")
    begin = threading.Barrier(4)

    def opened(_: int) -> int:
        begin.wait()
        with colonnade.open(address) as store:
            return int(store.memory.list_threads()["total"])

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(opened, range(4))) == [0] * 4
