"""One storage over several real servers: the examples and use cases of the source documents, failures, SQL across."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import colonnade
from colonnade.engine.plan import Delete, Is, Scan, Summarize
from colonnade.engine.stores.clickhouse.store import AsyncClickHouseStore, ClickHouseStore
from colonnade.engine.stores.libsql import LibSQLStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.engine.stores.postgres.store import PostgresStore
from colonnade.errors import InvalidInput, StoreError, Unsupported
from colonnade.schemas import STORED
from colonnade.schemas.table import Table
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import clear
from tests.servers.clickhouse import Server as ClickHouse
from tests.servers.clickhouse_node import PASSWORD, USER
from tests.servers.postgres import Server as Postgres
from tests.servers.process import free_port
from tests.servers.sqld import Server as Sqld
from tests.servers.sqld import served

THREAD = {"id": "t1", "resourceId": "ada", "title": "Refund", "metadata": {"plan": "pro"}}
SCORE: dict[str, Any] = {
    "id": "n1",
    "scorerId": "s",
    "runId": "r1",
    "scorer": {},
    "output": {},
    "source": "TEST",
    "entityId": "e",
}
SCORE |= {"entity": {}, "score": 0.5, "traceId": "a", "spanId": "b"}
SPAN = {"traceId": "a", "spanId": "b", "name": "chat", "threadId": "t1", "startedAt": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Places:
    """Where the servers are, one database of each."""

    libsql: str
    postgres: str
    clickhouse: str


@pytest.fixture
def places(sqld: Sqld, postgres: Postgres, clickhouse: ClickHouse) -> Iterator[Places]:
    yield Places(sqld.address(), postgres.address("composed"), clickhouse.address("composed"))
    with colonnade.open(sqld.address()) as store:
        clear(store, STORED)
    if postgres.command("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'composed'"):
        postgres.empty("composed")
    if "composed" in clickhouse.command("SHOW DATABASES"):
        clickhouse.command("TRUNCATE ALL TABLES FROM composed")


@pytest.fixture
def database_url(postgres: Postgres, places: Places, monkeypatch: pytest.MonkeyPatch) -> str:
    """``process.env.DATABASE_URL``."""
    monkeypatch.setenv("DATABASE_URL", places.postgres)
    return places.postgres


def fill(store: Any) -> None:
    """A row in each domain that is kept."""
    if store.get_store("memory"):
        store.memory.save_thread(thread=THREAD)
    if store.get_store("workflows"):
        store.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r1", snapshot={"runId": "r1"})
    if store.get_store("scores"):
        store.scores.save_score(score=SCORE)
    if store.get_store("observability"):
        store.observability.create_span(span=SPAN)


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_basic_composition(database_url: str, tmp_path: Path, colour: str) -> None:
    given = {"memory": f"file:{tmp_path}/local.db", "workflows": database_url, "scores": database_url}
    opened: Any = colonnade.open if colour == "blocking" else lambda **each: Awaited(colonnade.aopen(**each))
    store = opened(id="composite", **given)
    fill(store)
    assert len(store.stores) == 2, "one address is opened once"
    assert store.get_store("observability") is None
    assert store.get_store("agents") is None
    with pytest.raises(Unsupported, match="no store keeps 'observability' here, only memory, scores, workflows"):
        _ = store.observability
    assert store.memory.get_thread_by_id(thread_id="t1")["title"] == "Refund"
    assert store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r1") == {"runId": "r1"}
    assert store.scores.get_score_by_id(id="n1")["score"] == 0.5
    store.close()
    with colonnade.open(f"file:{tmp_path}/local.db") as alone:
        assert alone.memory.get_thread_by_id(thread_id="t1") is not None
        assert alone.scores.get_score_by_id(id="n1") is None
    with colonnade.open(database_url) as alone:
        assert alone.memory.get_thread_by_id(thread_id="t1") is None
        assert alone.scores.get_score_by_id(id="n1") is not None


def test_basic_composition_of_stores_as_they_are_constructed(database_url: str, tmp_path: Path) -> None:
    with colonnade.open(
        id="composite",
        memory=LibSQLStore(url=f"file:{tmp_path}/local.db"),
        workflows=PostgresStore(database_url),
        scores=PostgresStore(database_url),  # another one for the same tables, which both make at once
    ) as store:
        assert store.id == "composite"
        assert len(store.stores) == 3
        fill(store)
        assert store.scores.get_score_by_id(id="n1") is not None
        assert store.workflows.get_workflow_run_by_id(run_id="r1", workflow_name="w") is not None


def test_with_a_default_storage(database_url: str, tmp_path: Path) -> None:
    default = PostgresStore(database_url, id="pg")
    with colonnade.open(id="composite", default=default, memory=f"file:{tmp_path}/local.db") as store:
        fill(store)
        store.agents.create_agent(
            agent={"id": "helper", "name": "Helper", "instructions": "Help.", "model": {"name": "m"}}
        )
        kept = {domain: store.store_of(domain) for domain in ("workflows", "scores", "observability", "agents")}
        assert set(kept.values()) == {default}
    with colonnade.open(database_url) as alone:
        counted = [Summarize(_table(name)) for name in ("threads", "spans", "agents")]
        assert [alone.execute(each).column(0)[0].as_py() for each in counted] == [0, 1, 1]


@pytest.mark.parametrize("explicit", [False, True])
def test_initialization(database_url: str, explicit: bool) -> None:
    """Example 3: by itself, or where it is called; and then a domain by name."""
    store = colonnade.open(id="composite", init=not explicit, memory=PostgresStore(database_url))
    with store:
        store.init()
        memory = store.get_store("memory")
        assert memory is not None
        assert memory.get_thread_by_id(thread_id="...") is None


@pytest.mark.parametrize("environment", ["development", "production"])
def test_separate_databases_for_different_workloads(database_url: str, tmp_path: Path, environment: str) -> None:
    memory = f"file:{tmp_path}/dev.db" if environment == "development" else database_url
    with colonnade.open(id="composite", memory=memory, workflows=database_url, scores=database_url) as store:
        fill(store)
        assert store.memory.get_thread_by_id(thread_id="t1") is not None
        assert len(store.stores) == (2 if environment == "development" else 1)


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
@pytest.mark.parametrize("constructed", [False, True])
def test_specialized_storage_for_observability(
    database_url: str, clickhouse: ClickHouse, colour: str, constructed: bool
) -> None:
    given = {"memory": database_url, "workflows": database_url, "scores": database_url}
    opened: Any = colonnade.open if colour == "blocking" else lambda **each: Awaited(colonnade.aopen(**each))
    if constructed:  # as the document has it: url, username and password by themselves
        kind = ClickHouseStore if colour == "blocking" else AsyncClickHouseStore
        where: Any = kind(f"http://127.0.0.1:{clickhouse.http}", USER, PASSWORD, database="composed", id="ch")
        assert (where.id, str(where)) == ("ch", f"clickhouse://127.0.0.1:{clickhouse.http}/composed")
    else:
        login = f"username={USER}&password={quote(PASSWORD, safe='')}"
        where = f"clickhouse://127.0.0.1:{clickhouse.http}/composed?{login}"
    store = opened(id="composite", **given, observability=where)
    fill(store)
    assert store.observability.get_trace(trace_id="a")["spans"][0]["name"] == "chat"
    trace = store.trace("a")
    assert [score["id"] for score in store.scores.list_scores_by_span(trace_id="a", span_id="b")["scores"]] == ["n1"]
    assert "chat" in str(trace)
    store.close()


# All of it at once, and what is asked of each.


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_sql_and_questions_across_three_servers(places: Places, colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"memory": places.libsql, "workflows": places.postgres, "scores": places.postgres}
    opened: Any = colonnade.open if colour == "blocking" else lambda **each: Awaited(colonnade.aopen(**each))
    store = opened(id="composite", **given, observability=places.clickhouse)
    try:
        fill(store)
        store.memory.save_thread(thread=THREAD | {"id": "t2", "title": "Another"})
        store.observability.create_span(span=SPAN | {"spanId": "c", "name": "tool"})
        asked = _listen(store, monkeypatch)
        found = store.sql(
            'select t.title, s.name, n.score from spans s join threads t on t.id = s."threadId" '
            'left join scores n on n."spanId" = s."spanId" and n."traceId" = s."traceId" '
            "where s.name = ? and t.id in (?, ?)",
            ["chat", "t1", "t3"],
        )
        assert found.rows() == [{"title": "Refund", "name": "chat", "score": 0.5}]
        by_table = {plan.table.name: plan for _, plan in asked}
        assert by_table["spans"].where == Is("name", "=", "chat")
        assert str(by_table["threads"].where) == "OneOf(column='id', values=('t1', 't3'))"
        assert by_table["scores"].where == Scan(by_table["scores"].table).where
        assert set(by_table["threads"].columns or ()) < set(by_table["threads"].table.columns)
        labels = {plan.table.name: label for label, plan in asked}
        assert labels["spans"].startswith("clickhouse://")
        assert labels["scores"].startswith("postgresql://")
        assert labels["threads"].startswith("http://")
        assert len(asked) == 3, "each table is read once"
        usage = store.queries.usage(by="name")
        assert sorted(usage.column("name").to_pylist()) == ["chat", "tool"]
    finally:
        store.close()


def _listen(store: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Scan]]:
    """Each scan from now on, with the store that is asked."""
    asked: list[tuple[str, Scan]] = []
    for each in store.stores:
        for name in ("batches", "execute"):
            kept = getattr(each, name)

            def heard(plan: Any, kept: Any = kept, label: str = str(each)) -> Any:
                if isinstance(plan, Scan):
                    asked.append((label, plan))
                return kept(plan)

            monkeypatch.setattr(each, name, heard, raising=False)
    return asked


# Failures.


def test_a_bad_address_names_its_store_and_what_was_opened_is_closed(places: Places, tmp_path: Path) -> None:
    nowhere = f"postgresql://somebody:hidden@127.0.0.1:{free_port()}/db?connect_timeout=2"
    with pytest.raises(StoreError, match=r"^postgresql://127\.0\.0\.1:\d+/db cannot be reached") as refused:
        colonnade.open(memory=f"file:{tmp_path}/local.db", scores=nowhere, observability=places.clickhouse)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_all_that_fail_are_told(tmp_path: Path, colour: str) -> None:
    ports = free_port(), free_port()
    given: dict[str, Any] = {
        "memory": f"file:{tmp_path}/local.db",
        "scores": f"postgresql://somebody:hidden@127.0.0.1:{ports[0]}/db?connect_timeout=2",
        "observability": f"clickhouse://somebody:hidden@127.0.0.1:{ports[1]}/db",
    }

    async def awaited() -> None:
        async with colonnade.aopen(**given):
            pass

    opening = (lambda: colonnade.open(**given)) if colour == "blocking" else (lambda: asyncio.run(awaited()))
    with pytest.raises(StoreError, match=r"^2 stores cannot be opened: ") as refused:
        opening()
    said = str(refused.value)
    assert f"postgresql://127.0.0.1:{ports[0]}/db cannot be reached" in said
    assert f"clickhouse://127.0.0.1:{ports[1]}/db cannot be reached" in said
    assert "hidden" not in said
    assert isinstance(refused.value.__cause__, ExceptionGroup)


def test_a_server_that_is_gone_fails_its_domain_and_no_other(tmp_path: Path, postgres: Postgres) -> None:
    with (
        served(tmp_path / "gone") as server,
        colonnade.open(memory=server.address(), scores=postgres.address("left")) as store,
    ):
        fill(store)
        server.kill()
        with pytest.raises(StoreError, match=rf"127\.0\.0\.1:{server.port}"):
            store.memory.get_thread_by_id(thread_id="t1")
        with pytest.raises(StoreError, match=rf"127\.0\.0\.1:{server.port}"):
            store.sql("select 1 from threads join scores on true").rows()
        assert store.scores.get_score_by_id(id="n1") is not None
        assert store.sql("select id from scores").rows() == [{"id": "n1"}]
        store.execute(Delete(_table("scores"), Is("id", "=", "n1")))


def _table(name: str) -> Table:
    return next(table for table in STORED if table.name == name)


class Waits(MemoryStore):
    """It is made when all others are being made too."""

    made = closed = 0
    together = threading.Barrier(3, timeout=60)

    def init(self) -> None:
        self.together.wait()
        self.made += 1

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_stores_are_made_at_once_and_closed_once(colour: str) -> None:
    one, two, three = Waits(), Waits(), Waits()
    if colour == "blocking":
        with colonnade.open(one, memory=two, scores=three, agents=three) as store:
            store.init()
    else:

        async def work() -> None:
            async with colonnade.aopen(one, memory=two, scores=three, agents=three) as store:
                await store.init()

        asyncio.run(work())
    assert [each.made for each in (one, two, three)] == [1, 1, 1]
    assert [each.closed for each in (one, two, three)] == [1, 1, 1]


class Fails(MemoryStore):
    """It cannot be made."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.label = "failing"

    def init(self) -> None:
        raise self.error


def test_one_failure_is_raised_as_it_is_and_init_may_be_tried_again() -> None:
    bad = Fails(StoreError("failing: no room"))
    store = colonnade.open(":memory:", memory=bad, init=False)
    with pytest.raises(StoreError, match=r"^failing: no room$"):
        store.init()
    with pytest.raises(StoreError, match=r"^failing: no room$"):
        store.init()
    both = colonnade.open(bad, memory=Fails(ValueError("what")), init=False)
    with pytest.raises(StoreError, match=r"^2 stores cannot be opened: failing: no room; failing: what$"):
        both.init()
    stopped = colonnade.open(bad, memory=Fails(KeyboardInterrupt()), init=False)
    with pytest.raises(KeyboardInterrupt):
        stopped.init()


# Options.


def test_what_no_storage_can_be_made_of_says_so() -> None:
    with pytest.raises(InvalidInput, match="requires at least one storage source"):
        colonnade.open()
    with pytest.raises(InvalidInput, match="id must be provided and cannot be empty"):
        colonnade.open(":memory:", id=" ")
    with pytest.raises(InvalidInput, match="no such domain: telemetry; the domains are memory"):
        colonnade.open(":memory:", telemetry=":memory:")
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match="no such domain: 'telemetry'"):
        store.get_store("telemetry")


def test_the_stores_show_themselves_without_secrets(places: Places, clickhouse: ClickHouse) -> None:
    with colonnade.open(places.postgres, observability=places.clickhouse) as store:
        assert isinstance(store.store_of("observability"), ClickHouseStore)
        assert "default=postgresql://127.0.0.1" in repr(store)
        assert "observability=clickhouse://127.0.0.1" in repr(store)
        assert "p:a" not in repr(store)
