"""What operations do besides plans: steps that run as one, and functions of the user's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import colonnade
from colonnade.engine.execution import run, run_async
from colonnade.engine.operation import Async, C, Clock, Domain, Sync, as_one, called, operation
from colonnade.engine.plan import Delete, Is, Put, Scan, Steps, change, rows
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.duckdb import DuckDBStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.schemas import RESOURCES
from colonnade.schemas.records import encode

WHEN = "2026-01-31T12:00:00Z"


def put(id: str) -> Put:
    return Put(RESOURCES, encode(RESOURCES, [{"id": id, "createdAt": WHEN, "updatedAt": WHEN}]))


class Errands(Domain[C]):
    """A small domain."""

    name: ClassVar[str] = "memory"

    @operation
    def write_ask_write(self, *, ask: Callable[[], str]) -> Steps[str]:
        """Write as one, then ask the user, then write what was said."""
        first = yield from as_one(lambda: self._first())
        said = yield from called(ask)
        yield from change(put(said))
        return f"{first} {said}"

    def _first(self, error: Exception | None = None) -> Steps[str]:
        yield from change(put("first"))
        yield from rows(Scan(RESOURCES, Is("id", "=", "first")))
        if error is not None:
            raise error
        return "first"

    @operation
    def fail_as_one(self) -> Steps[None]:
        """Write, then fail within what is one."""
        yield from change(put("before"))
        yield from as_one(lambda: self._first(ValueError("on purpose")))


class Native(AsyncStore):
    """A natively async store: a store in memory, behind an await."""

    label = "native"
    abilities = MemoryStore.abilities

    def __init__(self) -> None:
        self.inner = MemoryStore()

    async def execute(self, plan: Any) -> Any:
        await asyncio.sleep(0)
        return self.inner.execute(plan)


class Runner:
    """Runs steps on one store, in a colour."""

    def __init__(self, store: Any, run: Any) -> None:
        self._store, self._run = store, run

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        return self._run(steps, lambda table: self._store, self._store, atomic=atomic)


def ids(store: Any) -> list[str]:
    return sorted(store.execute(Scan(RESOURCES, columns=("id",))).column("id").to_pylist())


@pytest.fixture(params=["memory", "duckdb", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made: Store = MemoryStore()
    if request.param == "duckdb":
        made = DuckDBStore(None)
    elif request.param == "sqlite":
        made = SQLiteStore(tmp_path / "state.sqlite")
    made.init()
    yield made
    made.close()


def test_a_blocking_operation_asks_between_what_is_one_and_the_rest(store: Any) -> None:
    domain = Errands[Sync](Runner(store, run), Clock())

    def ask() -> str:
        if store.abilities.transactions:
            other = threading.Thread(target=lambda: store.execute(put("other")))  # no transaction holds it up
            other.start()
            other.join(60)
            assert not other.is_alive()
        assert "first" in ids(store)
        return "said"

    assert domain.write_ask_write(ask=ask) == "first said"
    assert {"first", "said"} <= set(ids(store))


@pytest.mark.parametrize("kind", ["native", "thread"])
def test_an_awaited_operation_asks_in_another_thread(kind: str) -> None:
    made: Any = Native() if kind == "native" else MemoryStore()
    domain = Errands[Async](Runner(made, run_async), Clock())
    asked: list[int] = []

    def ask() -> str:
        asked.append(threading.get_ident())
        return "said"

    async def main() -> str:
        return await domain.write_ask_write(ask=ask)

    assert asyncio.run(main()) == "first said"
    assert asked and asked[0] != threading.get_ident()
    assert ids(made.inner if kind == "native" else made) == ["first", "said"]


def test_what_is_one_is_undone_as_one_and_what_was_before_stays(store: Any) -> None:
    domain = Errands[Sync](Runner(store, run), Clock())
    with pytest.raises(ValueError, match="on purpose"):
        domain.fail_as_one()
    assert ids(store) == (["before"] if store.abilities.transactions else ["before", "first"])


def test_messages_are_embedded_outside_of_the_transaction_that_saves_them(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as storage, colonnade.open(tmp_path / "agent") as other:

        def embedder(texts: list[str]) -> list[list[float]]:
            other.memory.save_thread(thread={"id": "t", "resourceId": "ada"})  # would wait for a transaction's end
            other.execute(Delete(RESOURCES, Is("id", "=", "nobody")))
            return [[1.0] for _ in texts]

        message = {"id": "m", "threadId": "t", "resourceId": "ada", "role": "user", "content": "hello"}
        storage.memory.save_messages(messages=[message], embedder=embedder)
        hits = storage.memory.recall(thread_id="t", resource_id="ada", vector=[2.0])["hits"]
        assert [hit["message"]["id"] for hit in hits] == ["m"]
