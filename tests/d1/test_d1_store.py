"""D1: how it is addressed, its limits, exact values, many writers, and what is asked again when it is turned away."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.exchange import Pause, Post, Reply, Unanswered
from colonnade.engine.plan import TRUE, Contains, Delete, Is, OneOf, Or, Patch, Put, Scan, Summarize, asc, desc
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.batches import Batch, Result
from colonnade.engine.stores.d1 import AsyncD1Store, D1Store, rest
from colonnade.engine.stores.d1.address import API, place, place_at
from colonnade.engine.stores.d1.spelling import D1Spelled
from colonnade.errors import Conflict, InvalidAddress, InvalidInput, MissingExtra, StoreError
from colonnade.schemas import RESOURCES, SCORES, SPANS, STORED
from colonnade.schemas.records import encode
from colonnade.testing.machine import clear, impatient
from tests.servers.process import free_port
from tests.servers.workerd import TOKEN, Server, served

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WRITERS = 8


@pytest.fixture
def store(workerd: Server) -> Iterator[Storage]:
    with colonnade.open(workerd.address("store_")) as opened:
        yield opened
        clear(opened, STORED)


def resources(*ids: str, memory: str | None = None) -> pa.Table:
    rows = [{"id": id, "workingMemory": memory, "metadata": None, "createdAt": NOON, "updatedAt": NOON} for id in ids]
    return encode(RESOURCES, rows)


def ids(found: pa.Table) -> list[str]:
    return [str(each) for each in found.column("id").to_pylist()]


# Addresses and constructors.


def test_the_options_of_the_source_document(workerd: Server) -> None:
    given = {"account_id": "worker", "database_id": "DB", "api_token": TOKEN, "table_prefix": "dev_"}
    made = D1Store(id="d1-storage", **given, api_url=workerd.url)
    with colonnade.open(default=made) as storage:
        assert made.id == "d1-storage"
        storage.execute(Put(RESOURCES, resources("dev")))
    with colonnade.open(workerd.address("prod_")) as other:
        assert other.execute(Summarize(RESOURCES)).column("count").to_pylist() == [0]

    async def again() -> list[str]:
        async with colonnade.aopen(default=AsyncD1Store(**given, api_url=workerd.url)) as storage:
            found = ids(await storage.execute(Scan(RESOURCES)))
            await storage.execute(Delete(RESOURCES, TRUE))
            return found

    assert asyncio.run(again()) == ["dev"]
    with pytest.raises(InvalidInput, match="D1Store: id must be provided and cannot be empty"):
        D1Store(id="", **given)


def test_what_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"ACCOUNT_ID": "acc", "D1_DATABASE_ID": "db", "API_TOKEN": "secret"}
    for name in names:
        monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
    with pytest.raises(InvalidAddress, match="account_id and database_id and api_token"):
        place()
    for name, value in names.items():
        monkeypatch.setenv(f"CLOUDFLARE_{name}", value)
    found = place_at("d1://?table_prefix=dev_")
    assert (found.label, found.table_prefix, found.api_token) == ("d1://acc/db", "dev_", "secret")
    assert found.url == f"{API}/accounts/acc/d1/database/db/query"
    assert "secret" not in f"{found!r} {D1Store()!r}"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("d1://a/b?api_token=t&x=1", "knows no option 'x'"),
        ("d1://a/b?api_token=t&table_prefix=a-b", "table_prefix is letters"),
        ("d1://a/b?api_token=t&api_url=ftp://x", "api_url is an address"),
        ("d1://a/b/c?api_token=t", "database_id is letters"),
        ("d1://u:hidden@a/b?api_token=t", "has no user"),
        ("d1://a/b?api_token=half%0Ahidden", "letters that no token has"),
    ],
)
def test_what_names_no_database_is_refused(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as refused:
        colonnade.open(address)
    assert "hidden" not in str(refused.value)


def test_a_wrong_token_a_database_and_a_host_that_are_not_there(workerd: Server) -> None:
    for address, said in (
        (workerd.address(token="hidden"), "refuses the API token"),
        (workerd.address(database="OTHER"), "no such database"),
        (f"d1://a/b?api_token=hidden&api_url=http://127.0.0.1:{free_port()}", "cannot be reached"),
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(rest, "_LEAST", 0.001)
            with pytest.raises(StoreError, match=said) as refused:
                colonnade.open(address)
        assert "hidden" not in str(refused.value) and TOKEN not in str(refused.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[d1\]'"):
        colonnade.open("d1://a/b?api_token=t")


# Limits, and exact values.


def test_whole_numbers_and_floats_and_times_are_exact(store: Storage) -> None:
    whole = [2**53 + 1, 2**63 - 1, -(2**63), 9_007_199_254_740_993]
    for at, number in enumerate(whole):
        span = {"traceId": "t", "spanId": f"s{at}", "name": "n", "startedAt": NOON, "inputTokens": number}
        store.observability.create_span(span=span)
    found = store.execute(Scan(SPANS, order=(asc("spanId"),), columns=("inputTokens",)))
    assert found.column(0).to_pylist() == whole
    for at, number in enumerate(whole[1:], 1):
        where = Is("inputTokens", "=", number)
        assert f"s{at}" in store.execute(Scan(SPANS, where, columns=("spanId",))).column(0).to_pylist()
    assert store.execute(Scan(SPANS, Is("inputTokens", "=", 2**53))).num_rows == 0
    by_size = store.execute(Scan(SPANS, order=(asc("inputTokens"), asc("spanId")), columns=("inputTokens",)))
    assert by_size.column(0).to_pylist() == sorted(whole)
    numbers = [0.1 + 0.2, 5e-324, 1.7976931348623155e308, -2.4888262460239603e-197, 1 / 3, -0.0, 0.0, 1.0]
    score = {"scorerId": "s", "runId": "r", "scorer": {}, "output": {}, "source": "TEST", "entityId": "e", "entity": {}}
    for at, fraction in enumerate(numbers):
        store.scores.save_score(score=score | {"id": f"n{at}", "score": fraction})
    again = store.execute(Scan(SCORES, order=(asc("id"),), columns=("score",))).column(0).to_pylist()
    assert list(map(repr, again)) == list(map(repr, numbers))


def test_more_values_than_a_statement_may_bind(store: Storage) -> None:
    store.execute(Put(RESOURCES, resources(*(f"r{at}" for at in range(500)))))
    some = [f"r{at}" for at in range(0, 500, 2)]
    assert sorted(ids(store.execute(Scan(RESOURCES, OneOf("id", tuple(some)))))) == sorted(some)
    either = Or(tuple(Is("id", "=", id) & Is("createdAt", "=", NOON) for id in some[:90]))
    assert sorted(ids(store.execute(Scan(RESOURCES, either)))) == sorted(some[:90])
    assert store.execute(Patch(RESOURCES, either, {"workingMemory": "it's ? and ?1"})) == 90
    assert store.execute(Summarize(RESOURCES, where=Contains("workingMemory", "IT'S ?"))).column(0).to_pylist() == [90]


def test_conditions_may_be_many_but_not_endless(store: Storage) -> None:
    spans = [{"traceId": f"t{at}", "spanId": "s", "name": "n", "startedAt": NOON} for at in range(600)]
    store.observability.batch_create_spans(records=spans)
    each = [Is("traceId", "=", f"t{at}") & Is("spanId", "=", "s") for at in range(600)]
    assert store.execute(Delete(SPANS, Or(tuple(each[:500])))) == 500
    with pytest.raises(InvalidInput, match="longer than the 100 KB"):
        store.execute(Scan(SPANS, Or(tuple(each * 5))))


def test_several_that_open_a_new_database_make_it_once(workerd: Server) -> None:
    def opened(_: int) -> int:
        with colonnade.open(workerd.address("together_")) as storage:
            return int(storage.execute(Summarize(RESOURCES)).column(0)[0].as_py())

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(opened, range(4))) == [0] * 4


def test_a_put_of_many_rows_is_few_statements(store: Storage) -> None:
    data = resources(*(f"r{at}" for at in range(5000)))
    spelled = D1Spelled(store.stores[0]._spelled.dialect)  # type: ignore[union-attr]
    (statements,) = spelled.batches(RESOURCES, data, whole=False)
    assert len(statements) == 1 and len(statements[0].parameters) == 1
    assert store.execute(Put(RESOURCES, data)) == 5000
    assert store.execute(Summarize(RESOURCES)).column(0).to_pylist() == [5000]
    found = [id for each in store.batches(Scan(RESOURCES, columns=("id",))) for id in each.column(0).to_pylist()]
    assert sorted(found) == sorted(f"r{at}" for at in range(5000))
    newest = store.execute(Scan(RESOURCES, order=(desc("id"),), columns=("id",)))
    assert ids(newest) == sorted(found, reverse=True)


def test_a_stream_is_awaited_page_by_page(store: Storage, workerd: Server) -> None:
    expected = [f"r{at:04}" for at in range(4500)]
    store.execute(Put(RESOURCES, resources(*expected)))

    async def streamed(plan: Scan) -> list[list[str]]:
        async with colonnade.aopen(workerd.address("store_")) as storage:
            return [batch.column("id").to_pylist() async for batch in storage.batches(plan)]

    pages = asyncio.run(streamed(Scan(RESOURCES, columns=("id",))))
    assert pages == [expected[:2000], expected[2000:4000], expected[4000:]]
    newest = asyncio.run(streamed(Scan(RESOURCES, order=(desc("id"),), limit=3)))
    assert newest == [expected[:-4:-1]]


def test_values_up_to_two_megabytes(store: Storage) -> None:
    wide = '"\\' * 900_000  # in JSON it is twice as long
    several = [resources(f"r{at}", memory=wide if at % 2 else "short") for at in range(6)]
    assert store.execute(Put(RESOURCES, pa.concat_tables(several))) == 6
    found = store.execute(Scan(RESOURCES, order=(asc("id"),)))
    assert found.column("workingMemory").to_pylist() == ["short", wide] * 3
    too_wide = pa.concat_tables([resources("small"), resources("large", memory="é" * 1_000_001)])
    with pytest.raises(InvalidInput, match=r"row 1 of resources: workingMemory has 2,000,002 bytes"):
        store.execute(Put(RESOURCES, too_wide))
    assert store.execute(Scan(RESOURCES, Is("id", "=", "small"))).num_rows == 0


def test_a_guarded_put_is_one_batch_all_or_nothing(store: Storage) -> None:
    store.execute(Put(RESOURCES, resources("a", "b", memory="as it was")))
    read = store.execute(Scan(RESOURCES, OneOf("id", ("a", "b"))))
    store.execute(Patch(RESOURCES, Is("id", "=", "b"), {"workingMemory": "changed"}))
    with impatient(), pytest.raises(Conflict):
        store.execute(Put(RESOURCES, resources("a", "b", "c", memory="new"), expect=read))
    kept = store.execute(Scan(RESOURCES, order=(asc("id"),), columns=("id", "workingMemory"))).to_pylist()
    assert kept == [{"id": "a", "workingMemory": "as it was"}, {"id": "b", "workingMemory": "changed"}]
    read = store.execute(Scan(RESOURCES))
    assert store.execute(Put(RESOURCES, resources("a", "b", "c", memory="new"), expect=read)) == 3


# Many at once, and a runtime that is killed.


def test_eight_writers_on_one_thread_and_one_run_lose_nothing(store: Storage) -> None:
    store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "", "metadata": {}})
    start = threading.Barrier(WRITERS)

    def work(writer: int) -> None:
        start.wait()
        for turn in range(2):
            name = f"{writer}-{turn}"
            store.memory.update_thread(id="t", title=name, metadata={name: True})
            store.workflows.update_workflow_results(
                workflow_name="w", run_id="r", step_id=name, result={"status": "success"}, request_context={}
            )

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(work, range(WRITERS)))
    names = {f"{writer}-{turn}" for writer in range(WRITERS) for turn in range(2)}
    thread = store.memory.get_thread_by_id(thread_id="t")
    assert thread is not None and set(thread["metadata"]) == names
    run = store.workflows.get_workflow_run_by_id(run_id="r", workflow_name="w")
    assert run is not None and names <= set(run["snapshot"]["context"])


def test_a_runtime_that_is_killed_keeps_what_it_acknowledged(
    workerd: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "TRIES", 1)
    with served(tmp_path / "killed") as server, colonnade.open(server.address()) as store:
        acknowledged: list[str] = []
        begun = threading.Event()

        def write() -> StoreError | None:
            for turn in range(1000):
                try:
                    store.memory.update_resource(resource_id="r", metadata={f"m{turn}": True})
                except StoreError as error:
                    return error
                acknowledged.append(f"m{turn}")
                if turn == 5:
                    begun.set()
            return None

        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write)
            assert begun.wait(60)
            server.kill()
            error = writing.result()
        assert error is not None and ("cannot be reached" in str(error) or "broke off" in str(error))
        server.start()
        (row,) = store.execute(Scan(RESOURCES)).to_pylist()
    kept = set(json.loads(row["metadata"]))
    assert set(acknowledged) <= kept and len(kept) <= len(acknowledged) + 1


# What is asked again. The replies here are made up; nothing is sent.

READ, WRITE = (Batch((Statement("SELECT 1"),), writes=writes) for writes in (False, True))
GOOD = Reply(200, {}, b'{"success":true,"result":[{"results":[{"a":1}],"success":true,"meta":{"changes":2}}]}')


def answered(batch: Batch, *replies: Reply | Unanswered) -> tuple[list[Result] | StoreError, list[float]]:
    """What comes of a batch that is answered so, and how long was waited in between."""
    exchange = rest.Rest(place("a", "b", "hidden")).send(batch)
    waited: list[float] = []
    given = iter(replies)
    asked: Post | Pause = next(exchange)
    try:
        while True:
            if isinstance(asked, Pause):
                waited.append(asked.seconds)
                asked = exchange.send(None)
                continue
            reply = next(given)
            asked = exchange.throw(reply) if isinstance(reply, Unanswered) else exchange.send(reply)
    except StopIteration as stop:
        return stop.value, waited
    except StoreError as error:
        return error, waited


def failing(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Reply:
    body = {"success": False, "result": None, "errors": [{"code": 7500, "message": message}], "messages": []}
    return Reply(status, headers or {}, json.dumps(body).encode())


def test_what_is_turned_away_is_asked_again_after_as_long_as_it_says() -> None:
    for batch in (READ, WRITE):
        found, waited = answered(batch, failing(429, headers={"retry-after": "7"}), failing(429), GOOD)
        assert found == [Result([(1,)], 2)]
        assert waited[0] == 7.0 and 0 < waited[1] <= 0.2
        assert answered(batch, failing(500, "D1 DB is overloaded"), GOOD)[0] == [Result([(1,)], 2)]
        assert answered(batch, Unanswered("refused", sent=False), GOOD)[0] == [Result([(1,)], 2)]


def test_only_what_reads_is_asked_again_after_a_failure() -> None:
    for failure in (failing(502), Reply(503, {}, b"<html>gone</html>"), Unanswered("broken", sent=True)):
        assert answered(READ, failure, GOOD)[0] == [Result([(1,)], 2)]
        found, waited = answered(WRITE, failure, GOOD)
        assert isinstance(found, StoreError) and "may have arrived, or not" in str(found)
        assert waited == []


def test_patience_has_an_end() -> None:
    found, waited = answered(WRITE, *[failing(429)] * rest.TRIES)
    assert isinstance(found, StoreError) and "more than it takes" in str(found)
    assert "hidden" not in str(found)
    assert len(waited) == rest.TRIES - 1
