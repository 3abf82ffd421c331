"""libSQL: how it is addressed and constructed, what it refuses, exact values, many writers, a server that is killed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import TRUE, Contains, Delete, Is, Measure, Or, Put, Scan, Summarize, desc
from colonnade.engine.sqlite_served.spelling import SERVED, ServedRenderer
from colonnade.engine.stores.libsql import AsyncLibSQLStore, LibSQLStore
from colonnade.engine.stores.libsql import server as served_store
from colonnade.engine.stores.libsql.address import place_at
from colonnade.errors import InvalidAddress, InvalidInput, MissingExtra, SchemaTooNew, StoreError, StoreReadOnly
from colonnade.schemas import MESSAGES, RESOURCES, SCORES, SPANS, STORED
from colonnade.schemas.records import encode
from colonnade.testing.machine import clear
from tests.at_once import together
from tests.servers.process import free_port
from tests.servers.sqld import Server, served

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WRITERS = 8


@pytest.fixture
def store(sqld: Server) -> Any:
    with colonnade.open(sqld.address()) as opened:
        yield opened
        clear(opened, STORED)


def resources(*ids: str, memory: str | None = None) -> pa.Table:
    rows = [{"id": id, "workingMemory": memory, "metadata": None, "createdAt": NOON, "updatedAt": NOON} for id in ids]
    return encode(RESOURCES, rows)


# Addresses and constructors.


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("file:storage.db", "storage.db"),
        ("file:./agent.db", "agent.db"),
        ("file:/srv/storage.db", "/srv/storage.db"),
        ("file:///srv/storage.db", "/srv/storage.db"),
        ("libsql:///srv/storage.db", "srv/storage.db"),
        ("libsql:////srv/storage.db", "/srv/storage.db"),
        (":memory:", "libsql :memory:"),
        ("libsql://db-me.turso.io", "https://db-me.turso.io"),
        ("libsql://127.0.0.1:8080?tls=0", "http://127.0.0.1:8080"),
        ("https://db-me.turso.io/", "https://db-me.turso.io"),
        ("wss://db-me.turso.io", "https://db-me.turso.io"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_a_url_names_a_place(url: str, label: str) -> None:
    assert place_at(url).label == label


@pytest.mark.parametrize(
    "url", ["mysql://x", "libsql://", "storage.db", "file:", "file://host/x.db", "libsql://h?x=1", "libsql://u:p@h"]
)
def test_what_names_no_place_says_how_it_is_written(url: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        place_at(url)
    assert "libsql" in str(refused.value).lower() or "file:" in str(refused.value)


def test_the_token_comes_from_the_call_the_address_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURSO_AUTH_TOKEN", "turso")
    assert place_at("libsql://h").token == "turso"
    monkeypatch.setenv("LIBSQL_AUTH_TOKEN", "environment")
    assert place_at("libsql://h").token == "environment"
    assert place_at("libsql://h?authToken=address").token == "address"
    assert place_at("libsql://h?auth_token=address", "call").token == "call"
    assert "call" not in repr(place_at("libsql://h", "call"))
    with pytest.raises(InvalidAddress, match="token") as refused:
        place_at("libsql://h", "half a\ntoken")
    assert "half" not in str(refused.value)


@pytest.mark.parametrize("url", ["file:{folder}/storage.db", ":memory:", "{server}"])
def test_the_constructor_of_the_source_documents(url: str, tmp_path: Path, sqld: Server) -> None:
    where = url.format(folder=tmp_path, server=sqld.url)
    made = LibSQLStore(id="libsql-storage", url=where, auth_token=sqld.token)
    with colonnade.open(default=made) as storage:
        assert made.id == "libsql-storage"
        storage.memory.save_resource(resource={"id": "constructed", "workingMemory": "yes"})
        found = storage.memory.get_resource_by_id(resource_id="constructed")
        assert found is not None and found["workingMemory"] == "yes"
        assert sqld.token not in f"{storage!r} {storage.stores[0]!r}"
        clear(storage, STORED)


def test_the_constructor_awaited(sqld: Server) -> None:
    async def work() -> str:
        async with colonnade.aopen(default=AsyncLibSQLStore(url=sqld.url, auth_token=sqld.token)) as storage:
            await storage.memory.save_resource(resource={"id": "awaited", "workingMemory": "yes"})
            found = await storage.memory.get_resource_by_id(resource_id="awaited")
            await storage.execute(Delete(RESOURCES, TRUE))
            assert found is not None
            return str(found["workingMemory"])

    assert asyncio.run(work()) == "yes"
    assert AsyncLibSQLStore(id="libsql-storage", url=sqld.url).id == "libsql-storage"
    with pytest.raises(InvalidInput, match="LibSQLStore: id must be provided and cannot be empty"):
        LibSQLStore(id=" ", url=":memory:")
    with pytest.raises(InvalidAddress, match="no server"):
        AsyncLibSQLStore(":memory:")


def test_each_memory_is_its_own_and_outlives_the_thread_that_wrote_it() -> None:
    with colonnade.open(LibSQLStore(":memory:")) as one, colonnade.open(LibSQLStore(":memory:")) as other:
        written = threading.Thread(target=lambda: one.execute(Put(RESOURCES, resources("a"))))
        written.start()
        written.join()
        assert one.execute(Summarize(RESOURCES)).column("count").to_pylist() == [1]
        assert other.execute(Summarize(RESOURCES)).column("count").to_pylist() == [0]


# Refusals.


def test_a_bad_token_is_refused_without_showing_it(sqld: Server) -> None:
    for token in ("not.a.token", sqld.token[:-9] + "AAAAAAAAA"):
        with pytest.raises(StoreError, match="refuses the token") as refused:
            colonnade.open(sqld.address(token))
        assert token not in str(refused.value)


def test_a_read_only_token_reads_and_does_not_write(store: Any, sqld: Server) -> None:
    store.execute(Put(RESOURCES, resources("a")))
    with colonnade.open(sqld.address(sqld.read_token)) as reader:
        assert reader.memory.get_resource_by_id(resource_id="a") is not None
        for write in (
            lambda: reader.memory.update_resource(resource_id="a", metadata={"x": 1}),
            lambda: reader.execute(Put(RESOURCES, resources("b"))),
            lambda: reader.execute(Delete(RESOURCES, TRUE)),
        ):
            with pytest.raises(StoreReadOnly, match="may only read"):
                write()
    assert store.execute(Summarize(RESOURCES)).column("count").to_pylist() == [1]


def test_a_read_only_token_cannot_make_tables(tmp_path: Path, sqld: Server) -> None:
    with served(tmp_path / "new") as server, pytest.raises(StoreReadOnly, match="open it once where it can be written"):
        colonnade.open(server.address(server.read_token))


def test_a_host_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as refused:
        colonnade.open(f"libsql://127.0.0.1:{free_port()}?tls=0&auth_token=secret")
    assert "secret" not in str(refused.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[libsql\]'"):
        colonnade.open("libsql://127.0.0.1:1?tls=0")


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    colonnade.open(f"file:{path}").close()
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO colonnade_schema VALUES (99)")
    other.close()
    with pytest.raises(SchemaTooNew):
        colonnade.open(f"file:{path}")


# Values, and pages.


def test_floats_are_exact_over_json(store: Any) -> None:
    numbers = [0.1 + 0.2, 5e-324, 1.7976931348623155e308, -2.4888262460239603e-197, 1 / 3, -0.0, 6.452283883604628e19]
    score = {"scorerId": "s", "runId": "r", "scorer": {}, "output": {}, "source": "TEST", "entityId": "e", "entity": {}}
    for place, number in enumerate(numbers):
        store.scores.save_score(score=score | {"id": f"n{place}", "score": number})
    found = {row["id"]: row["score"] for row in store.execute(Scan(SCORES, columns=("id", "score"))).to_pylist()}
    assert [repr(found[f"n{place}"]) for place in range(len(numbers))] == list(map(repr, numbers))
    for number in numbers:
        assert store.execute(Scan(SCORES, Is("score", "=", number))).num_rows == 1


def test_more_than_a_server_may_answer_at_once_comes_in_pages(store: Any) -> None:
    wide = "x" * 1_500_000  # ten megabytes are the most that sqld answers with
    for at in range(12):
        store.execute(Put(RESOURCES, resources(f"r{at:02}", memory=wide)))
    expected = [f"r{at:02}" for at in range(12)]
    newest = Scan(RESOURCES, order=(desc("id"),))
    assert store.execute(newest).column("id").to_pylist() == expected[::-1]
    cut = newest.but(limit=9, offset=2)
    assert store.execute(cut).column("id").to_pylist() == expected[::-1][2:11]
    assert sorted(id for each in store.batches(Scan(RESOURCES)) for id in each.column("id").to_pylist()) == expected


def test_a_stream_has_every_row_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_store, "STREAMED", 7)
    store.execute(Put(RESOURCES, resources(*(f"r{at}" for at in range(50)))))
    found = [id for each in store.batches(Scan(RESOURCES, columns=("id",))) for id in each.column("id").to_pylist()]
    assert sorted(found) == sorted(f"r{at}" for at in range(50))


def test_a_stream_is_awaited_page_by_page(store: Any, sqld: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_store, "STREAMED", 7)
    store.execute(Put(RESOURCES, resources(*(f"r{at:02}" for at in range(20)))))

    async def streamed(plan: Scan) -> list[list[str]]:
        async with colonnade.aopen(sqld.address()) as storage:
            return [batch.column("id").to_pylist() async for batch in storage.batches(plan)]

    expected = [f"r{at:02}" for at in range(20)]
    pages = asyncio.run(streamed(Scan(RESOURCES, columns=("id",))))
    assert pages == [expected[:7], expected[7:14], expected[14:]]
    (whole,) = asyncio.run(streamed(Scan(RESOURCES, order=(desc("id"),))))
    assert whole == expected[::-1]


def test_texts_are_found_with_letters_of_either_case(store: Any) -> None:
    many = "".join(chr(point) for point in range(0x0410, 0x0430)) + "".join(chr(p) for p in range(0x0531, 0x0557))
    store.execute(Put(RESOURCES, resources("kelvin", memory="30 \u212a \u0130x \u00c9T\u00c9 100%")))
    store.execute(Put(RESOURCES, resources("many", memory=many)))
    for text in ("30 k", "30 K", "\u00e9t\u00e9", "\u0130x", "100%"):
        found = store.execute(Scan(RESOURCES, Contains("workingMemory", text), columns=("id",)))
        assert "kelvin" in found.column("id").to_pylist(), text
    for text in (many, many.lower()):  # more letters with two cases than an expression may have
        found = store.execute(Scan(RESOURCES, Contains("workingMemory", text), columns=("id",)))
        assert found.column("id").to_pylist() == ["many"]
    assert store.execute(Delete(RESOURCES, Contains("workingMemory", many))) == 1


def test_a_sum_beyond_64_bits_is_refused_or_folded_within_a_transaction_too(store: Any) -> None:
    for place, number in enumerate((2**63 - 1, 5, -10)):
        span = {"traceId": "t", "spanId": f"s{place}", "name": "n", "startedAt": NOON, "inputTokens": number}
        store.observability.create_span(span=span)
    total = Summarize(SPANS, measures=(Measure("sum", "inputTokens"),))
    with store.stores[0].transaction() as session:
        assert session.execute(total).column(0).to_pylist() == [2**63 - 6]
        session.execute(Put(RESOURCES, resources("after")))
    assert store.memory.get_resource_by_id(resource_id="after") is not None


def test_a_transaction_that_fails_leaves_nothing(store: Any) -> None:
    def fail() -> None:
        with store.stores[0].transaction() as session:
            session.execute(Put(RESOURCES, resources("undone")))
            assert session.execute(Scan(RESOURCES, Is("id", "=", "undone"))).num_rows == 1
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert store.memory.get_resource_by_id(resource_id="undone") is None


def test_many_rows_are_one_put(store: Any) -> None:
    assert store.execute(Put(RESOURCES, resources(*(f"r{at}" for at in range(20_000))))) == 20_000
    assert store.execute(Summarize(RESOURCES)).column(0).to_pylist() == [20_000]
    each = tuple(Is("id", "=", f"r{at}") & Is("createdAt", "=", NOON) for at in range(5_000))
    assert store.execute(Delete(RESOURCES, Or(each))) == 5_000


def test_several_that_open_a_new_database_make_it_once(tmp_path: Path) -> None:
    with served(tmp_path / "together") as server, ThreadPoolExecutor(4) as threads:

        def opened(_: int) -> int:
            with colonnade.open(server.address()) as storage:
                return int(storage.execute(Summarize(RESOURCES)).column(0)[0].as_py())

        assert list(threads.map(opened, range(4))) == [0] * 4


# Many at once.


@pytest.mark.parametrize("where", ["file:{folder}/storage.db", "libsql:///:memory:", "sqld"])
def test_eight_writers_on_one_thread_and_one_run_lose_nothing(where: str, tmp_path: Path, sqld: Server) -> None:
    address = sqld.address() if where == "sqld" else where.format(folder=tmp_path)
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "", "metadata": {}})

        def work(writer: int) -> None:
            for turn in range(3):
                name = f"{writer}-{turn}"
                store.memory.update_thread(id="t", title=name, metadata={name: True})
                store.workflows.update_workflow_results(
                    workflow_name="w", run_id="r", step_id=name, result={"status": "success"}, request_context={}
                )

        together(work, WRITERS)
        names = {f"{writer}-{turn}" for writer in range(WRITERS) for turn in range(3)}
        thread = store.memory.get_thread_by_id(thread_id="t")
        assert thread is not None and set(thread["metadata"]) == names
        run = store.workflows.get_workflow_run_by_id(run_id="r", workflow_name="w")
        assert run is not None and names <= set(run["snapshot"]["context"])
        clear(store, STORED)


def test_a_server_that_is_killed_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    with served(tmp_path / "killed") as server:
        acknowledged: set[str] = set()
        failed: list[StoreError] = []
        with colonnade.open(server.address()) as store:
            begun = threading.Event()

            def write(writer: int) -> None:
                for turn in range(1000):
                    name = f"{writer}-{turn}"
                    try:
                        store.memory.update_resource(resource_id=f"r{writer}", metadata={name: True})
                    except StoreError as error:
                        failed.append(error)
                        return
                    acknowledged.add(name)
                    if turn == 5:
                        begun.set()

            with ThreadPoolExecutor(4) as threads:
                several = [threads.submit(write, writer) for writer in range(4)]
                assert begun.wait(60)
                server.kill()
                for each in several:
                    each.result()
            assert len(failed) == 4
            for error in failed:
                assert "cannot be reached" in str(error) or "broke off" in str(error)
                assert server.token not in str(error)
            server.start()
            rows = store.execute(Scan(RESOURCES)).to_pylist()  # the same store goes on
        kept = {name for row in rows for name in json.loads(row["metadata"])}
        assert acknowledged <= kept
        assert len(kept - acknowledged) <= 4


def test_messages_of_a_thread_are_found_by_their_index(tmp_path: Path) -> None:
    store = LibSQLStore(f"file:{tmp_path / 'storage.db'}")
    with colonnade.open(store), store.transaction() as session:
        plan = Scan(MESSAGES, Is("thread_id", "=", "t") & Is("createdAt", "<", NOON), (desc("createdAt"),), 20)
        asked = ServedRenderer(SERVED).scan(plan)
        connection: Any = session.connection  # type: ignore[attr-defined]
        told = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked.sql}", asked.parameters))
        assert "INDEX mastra_messages_thread_id_createdat_idx (thread_id=? AND <expr><?)" in told
