"""Operations run: both colours, transactions and compare-and-set, and what happens when others get in between."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count as count_from
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from colonnade.engine import execution
from colonnade.engine import operation as operations
from colonnade.engine.abilities import Abilities
from colonnade.engine.execution import run, run_async, stream
from colonnade.engine.operation import Async, C, Clock, Domain, Guard, Sync, atomic, clear_all, new_id, operation
from colonnade.engine.plan import TRUE, Delete, Is, OneOf, Patch, Put, Scan, Steps, Summarize, change, count, rows
from colonnade.engine.running import Query
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.duckdb import DuckDBStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.errors import Conflict, StoreClosed, Unsupported
from colonnade.schemas import MESSAGES, RESOURCES, SPANS, STORED, THREADS, TRACES, WORKFLOWS
from colonnade.schemas.records import decode, encode

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def thread(id: str, title: str = "", resource: str = "r") -> dict[str, Any]:
    return {
        "id": id,
        "resourceId": resource,
        "title": title,
        "metadata": None,
        "createdAt": NOON,
        "updatedAt": NOON,
    }


def put(*records: dict[str, Any]) -> Put:
    return Put(THREADS, encode(THREADS, records))


def titles(store: Store) -> dict[str, str]:
    return {row["id"]: row["title"] for row in decode(THREADS, store.execute(Scan(THREADS)))}


class Titles(Domain[C]):
    """A small domain."""

    name: ClassVar[str] = "memory"

    @operation
    def title_of(self, *, id: str) -> Steps[str | None]:
        """The title of a thread, or None."""
        found = yield from rows(Scan(THREADS, Is("id", "=", id)))
        return next((row["title"] for row in decode(THREADS, found)), None)

    @operation
    def how_many(self) -> Steps[int]:
        """How many threads there are."""
        return (yield from count(THREADS))

    @atomic
    def append(self, *, id: str, text: str = "!") -> Steps[str]:
        """Write text behind a title; a thread that is not there is made."""
        found = yield from rows(Scan(THREADS, Is("id", "=", id)))
        before = next((row["title"] for row in decode(THREADS, found)), "")
        yield from change(put(thread(id, before + text)))
        return before + text

    @atomic
    def write_and_fail(self, *, id: str, error: type[BaseException]) -> Steps[None]:
        """Write, then raise."""
        yield from change(put(thread(id, "half")))
        yield from change(Delete(THREADS, Is("id", "=", "kept")))
        raise error("on purpose")


class Blocking:
    """The runner of a sync storage over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        assert domain == "memory"
        return run(steps, lambda table: self.store, self.store, atomic=atomic)


class Awaiting:
    """The runner of an async storage over one store, of either colour."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        assert domain == "memory"
        return run_async(steps, lambda table: self.store, self.store, atomic=atomic)


class Native(AsyncStore):
    """A natively async store: a store in memory, behind an await."""

    label = "native"
    abilities: ClassVar[Abilities] = MemoryStore.abilities

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.loops: set[int] = set()

    async def execute(self, plan: Any) -> Any:
        self.loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return self.inner.execute(plan)


class Transactional(Native):
    """A natively async store with transactions: a session works on a copy, which replaces the tables at its end."""

    abilities: ClassVar[Abilities] = replace(MemoryStore.abilities, compare_and_set=False, transactions=True)

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.conflicts = 0
        self.outside: list[Any] = []

    async def execute(self, plan: Any) -> Any:
        self.outside.append(plan)
        return await super().execute(plan)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncStore]:
        self.begun += 1
        session = Native()
        session.inner._tables = dict(self.inner._tables)
        yield session
        await asyncio.sleep(0)
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("somebody else won")
        self.inner._tables = session.inner._tables


@pytest.fixture(params=["memory", "duckdb", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = {  # type: ignore[no-untyped-call]
        "memory": MemoryStore,
        "duckdb": lambda: DuckDBStore(None),
        "sqlite": lambda: SQLiteStore(tmp_path / "state.db"),
    }[request.param]()
    made.init()
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience for some four tries, on a clock that no busy machine can hurry."""
    looks = count_from(0.0, 0.005)
    monkeypatch.setattr(execution, "PATIENCE", 0.02)
    monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=lambda: next(looks), sleep=time.sleep))


def test_an_operation_blocks_on_a_sync_store(store: Store) -> None:
    domain = Titles[Sync](Blocking(store), Clock())
    assert domain.title_of(id="a") is None
    assert domain.append(id="a") == "!"
    assert domain.append(id="a", text="?") == "!?"
    assert domain.title_of(id="a") == "!?"
    assert domain.how_many() == 1


@pytest.mark.parametrize("kind", ["native", "transactional", "thread"])
def test_an_operation_is_awaited_on_an_async_store(kind: str) -> None:
    made = {"native": Native, "transactional": Transactional, "thread": MemoryStore}[kind]()
    domain = Titles[Async](Awaiting(made), Clock())

    async def main() -> None:
        waiting = domain.title_of(id="a")
        assert inspect.isawaitable(waiting)
        assert await waiting is None
        assert await domain.append(id="a") == "!"
        assert await domain.append(id="a", text="?") == "!?"
        assert await domain.title_of(id="a") == "!?"
        assert await domain.how_many() == 1

    asyncio.run(main())


def test_a_bound_operation_documents_itself_like_its_steps() -> None:
    for owner in (Titles[Sync](Blocking(MemoryStore()), Clock()), Titles[Async](Awaiting(Native()), Clock())):
        bound = owner.append
        assert bound.__name__ == "append" and bound.__doc__ == Titles.append.steps.__doc__
        parameters = inspect.signature(bound, follow_wrapped=True).parameters
        assert parameters["id"].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters["text"].default == "!"
        assert "Write text behind a title" in pydoc.render_doc(bound, renderer=pydoc.plaintext)  # type: ignore[attr-defined]


def test_the_signature_of_a_bound_operation_has_no_self() -> None:
    bound = Titles[Sync](Blocking(MemoryStore()), Clock()).append
    assert list(inspect.signature(bound).parameters) == ["id", "text"]


def test_an_operation_of_the_class_is_itself() -> None:
    assert isinstance(Titles.append, operation) and Titles.append.atomic
    assert isinstance(Titles.title_of, operation) and not Titles.title_of.atomic
    assert Titles.append.__doc__ == "Write text behind a title; a thread that is not there is made."


def test_wrong_arguments_are_an_error_of_python() -> None:
    domain = Titles[Sync](Blocking(MemoryStore()), Clock())
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        domain.append(id="a", nope=1)  # type: ignore[call-arg]


class Stopped(BaseException):
    """Such as KeyboardInterrupt."""


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_an_exception_inside_an_operation_undoes_it(store: Store, error: type[BaseException]) -> None:
    store.execute(put(thread("kept", "as it was")))
    domain = Titles[Sync](Blocking(store), Clock())
    with pytest.raises(error, match="on purpose"):
        domain.write_and_fail(id="new", error=error)
    if store.abilities.transactions:
        assert titles(store) == {"kept": "as it was"}
    else:
        assert titles(store) == {"new": "half"}
    assert domain.append(id="next") == "!"  # the store works on


def test_an_exception_inside_an_operation_undoes_it_on_an_async_store() -> None:
    made = Transactional()
    made.inner.put(put(thread("kept", "as it was")))
    domain = Titles[Async](Awaiting(made), Clock())
    with pytest.raises(ValueError, match="on purpose"):
        asyncio.run(domain.write_and_fail(id="new", error=ValueError))
    assert titles(made.inner) == {"kept": "as it was"}
    assert made.begun == 1


def test_an_atomic_operation_of_an_async_store_is_one_transaction_and_runs_again_when_others_won() -> None:
    made = Transactional()
    made.conflicts = 2
    assert asyncio.run(Titles[Async](Awaiting(made), Clock()).append(id="a")) == "!"
    assert made.begun == 3
    assert made.outside == []  # every plan ran in the session
    assert titles(made.inner) == {"a": "!"}
    asyncio.run(Titles[Async](Awaiting(made), Clock()).title_of(id="a"))
    assert made.begun == 3 and len(made.outside) == 1  # what is not atomic needs no transaction


@pytest.mark.usefixtures("impatient")
def test_conflicts_without_end_surface_on_an_async_store() -> None:
    made = Transactional()
    made.conflicts = 10**9
    with pytest.raises(Conflict, match="somebody else won"):
        asyncio.run(Titles[Async](Awaiting(made), Clock()).append(id="a"))
    assert made.begun > 1
    assert titles(made.inner) == {}


def test_an_async_store_promises_nothing_by_itself() -> None:
    bare = AsyncStore()
    bare.label = "nothing"
    assert str(bare) == "nothing" and bare.abilities == Abilities()
    with pytest.raises(Unsupported, match="nothing has no transactions"):
        bare.transaction()

    async def main() -> None:
        assert await bare.init() is None  # type: ignore[func-returns-value]
        assert await bare.close() is None  # type: ignore[func-returns-value]
        with pytest.raises(NotImplementedError):
            await bare.execute(Scan(THREADS))

    asyncio.run(main())


def test_a_store_promises_nothing_by_itself() -> None:
    bare = Store()
    bare.label = "nothing"
    assert str(bare) == "nothing" and repr(bare) == "<Store nothing>" and bare.abilities == Abilities()
    assert bare.home("memory") is bare
    assert bare.sql(Query("select 1", None, {})) is None
    assert bare.init() is None and bare.close() is None  # type: ignore[func-returns-value]
    for plan in (Scan(THREADS), put(), Delete(THREADS, TRUE)):
        with pytest.raises(NotImplementedError):
            bare.execute(plan)
    with pytest.raises(Unsupported, match="nothing does not patch"):
        bare.execute(Patch(THREADS, TRUE, {"title": "x"}))
    with pytest.raises(Unsupported, match="nothing does not summarize"):
        bare.execute(Summarize(THREADS))
    with pytest.raises(Unsupported, match="nothing has no transactions"):
        bare.transaction()


class Crowded(MemoryStore):
    """Somebody else changes a thread between what an operation reads and what it writes, some times."""

    def __init__(self, times: int, meddle: Callable[[MemoryStore], None]) -> None:
        super().__init__()
        self.times, self.meddle = times, meddle
        self.scans = 0

    def scan(self, plan: Scan) -> pa.Table:
        found = super().scan(plan)
        self.scans += 1
        if self.times:
            self.times -= 1
            self.meddle(self)
        return found


def somebody_appends(store: MemoryStore) -> None:
    found = fold_titles(store)
    MemoryStore.put(store, put(thread("a", found.get("a", "") + "x")))


def fold_titles(store: MemoryStore) -> dict[str, str]:
    return {row["id"]: row["title"] for row in decode(THREADS, MemoryStore.scan(store, Scan(THREADS)))}


@pytest.mark.parametrize("start", [{}, {"a": "0"}], ids=["absent", "present"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_compare_and_set_runs_an_operation_again_from_its_start(times: int, start: dict[str, str]) -> None:
    crowded = Crowded(times, somebody_appends)
    for id, title in start.items():
        MemoryStore.put(crowded, put(thread(id, title)))
    answer = Titles[Sync](Blocking(crowded), Clock()).append(id="a")
    assert answer == start.get("a", "") + "x" * times + "!"
    assert fold_titles(crowded) == {"a": answer}
    assert crowded.scans == times + 1


def test_compare_and_set_sees_a_row_that_vanished() -> None:
    crowded = Crowded(1, lambda store: store._tables.update(threads=THREADS.schema.empty_table()))
    MemoryStore.put(crowded, put(thread("a", "0")))
    assert Titles[Sync](Blocking(crowded), Clock()).append(id="a") == "!"
    assert crowded.scans == 2


def test_compare_and_set_lets_others_change_other_rows() -> None:
    crowded = Crowded(5, lambda store: MemoryStore.put(store, put(thread("b", "x"))) and None)  # type: ignore[arg-type]
    assert Titles[Sync](Blocking(crowded), Clock()).append(id="a") == "!"
    assert crowded.scans == 1


@pytest.mark.usefixtures("impatient")
def test_conflict_surfaces_when_patience_is_at_its_end() -> None:
    crowded = Crowded(10**9, somebody_appends)
    with pytest.raises(Conflict, match="rows of threads changed since they were read"):
        Titles[Sync](Blocking(crowded), Clock()).append(id="a")
    assert crowded.scans > 1
    assert "!" not in fold_titles(crowded)["a"]


@pytest.mark.usefixtures("impatient")
def test_conflict_surfaces_when_patience_is_at_its_end_on_an_async_store() -> None:
    made = Native()
    made.inner = Crowded(10**9, somebody_appends)
    with pytest.raises(Conflict):
        asyncio.run(Titles[Async](Awaiting(made), Clock()).append(id="a"))
    assert made.inner.scans > 1


def test_writes_that_are_not_atomic_are_not_compared() -> None:
    crowded = Crowded(1, somebody_appends)

    def steps() -> Steps[int]:
        yield from rows(Scan(THREADS, Is("id", "=", "a")))
        return (yield from change(put(thread("a", "mine"))))

    assert run(steps, lambda table: crowded, crowded) == 1
    assert fold_titles(crowded) == {"a": "mine"}


@pytest.mark.parametrize("atomically", [False, True])
def test_an_error_of_the_store_reaches_the_caller_and_not_a_second_try(atomically: bool) -> None:
    closed = MemoryStore()
    closed.close()
    tries = []

    def steps() -> Steps[Any]:
        tries.append(1)
        return (yield Scan(THREADS))

    with pytest.raises(StoreClosed):
        run(steps, lambda table: closed, closed, atomic=atomically)
    with pytest.raises(StoreClosed):
        asyncio.run(run_async(steps, lambda table: closed, None, atomic=atomically))
    assert len(tries) == 2


def test_an_operation_without_a_keeper_is_guarded() -> None:
    crowded = Crowded(1, somebody_appends)
    domain = Titles[Sync](Blocking(crowded), Clock())
    answer = run(lambda: Titles.append.steps(domain, id="a"), lambda table: crowded, None, atomic=True)
    assert answer == "x!"
    crowded.times = 1
    answer = asyncio.run(
        run_async(lambda: Titles.append.steps(domain, id="a"), lambda table: crowded, None, atomic=True)
    )
    assert answer == "x!x!"


def test_a_transaction_holds_for_its_own_store_and_others_keep_theirs(tmp_path: Path) -> None:
    keeper, other = SQLiteStore(tmp_path / "state.db"), MemoryStore()
    keeper.init()
    moment = {"createdAt": NOON, "updatedAt": NOON}
    run_record = {"workflowName": "w", "runId": "r", "snapshot": {}, **moment}

    def steps() -> Steps[None]:
        yield put(thread("a"))
        yield Put(WORKFLOWS, encode(WORKFLOWS, [run_record]))
        raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        run(steps, lambda table: keeper if table.domain == "memory" else other, keeper, atomic=True)
    assert titles(keeper) == {}
    assert other.execute(Scan(WORKFLOWS)).num_rows == 1
    keeper.close()


def test_sync_and_async_stores_serve_one_async_operation() -> None:
    waiting, blocking = Native(), MemoryStore()
    blocking.put(put(thread("a", "x")))

    def steps() -> Steps[tuple[int, int]]:
        first = yield from count(RESOURCES)
        second = yield from count(THREADS)
        return first, second

    answer = asyncio.run(run_async(steps, lambda table: blocking if table == THREADS else waiting, waiting))
    assert answer == (0, 1)
    assert waiting.loops


def test_a_stream_gives_the_rows_of_a_scan(store: Store) -> None:
    store.execute(put(*(thread(f"{n:03}") for n in range(100))))
    batches = list(stream(Scan(THREADS, order=(), limit=30), lambda table: store))
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert [id for batch in batches for id in batch.column("id").to_pylist()] == [f"{n:03}" for n in range(30)]


@pytest.mark.usefixtures("impatient")
def test_pauses_grow_and_end() -> None:
    pauses = list(execution.pauses())
    assert pauses[-1] is None
    assert all(pause is not None and 0 <= pause <= 0.25 for pause in pauses[:-1])


# --- the guard ---------------------------------------------------------------------------------------------------


def expected(guard: Guard, plan: Put | None = None) -> list[str] | None:
    """The keys that a put may rely on; ``None`` where it is not guarded."""
    guarded = guard.before(plan or put(thread("a")))
    return None if guarded.expect is None else sorted(guarded.expect.column("id").to_pylist())  # type: ignore[union-attr]


def read(guard: Guard, plan: Scan, *found: dict[str, Any]) -> None:
    guard.after(plan, encode(THREADS, found).select(list(plan.projection)))


def test_a_guard_expects_what_was_read_by_key_and_nothing_else() -> None:
    guard = Guard()
    assert expected(guard) is None
    read(guard, Scan(THREADS, Is("resourceId", "=", "r")), thread("b"))
    read(guard, Scan(THREADS), thread("b"))
    read(guard, Scan(THREADS, Is("id", "=", "b") & Is("title", "=", "")), thread("b"))
    read(guard, Scan(THREADS, Is("id", "=", "b"), columns=("title",)), thread("b"))
    guard.after(Summarize(THREADS, where=Is("id", "=", "b")), pa.table({"count": [1]}))
    guard.after(put(thread("b")), 1)
    assert expected(guard) is None
    read(guard, Scan(THREADS, OneOf("id", ("a", "b"))), thread("b"))
    assert expected(guard) == ["b"]


def test_a_guard_expects_what_was_not_found_to_be_missing() -> None:
    guard = Guard()
    read(guard, Scan(THREADS, Is("id", "=", "a")))
    assert expected(guard) == []


def test_a_guard_joins_several_reads_over_the_columns_that_all_have() -> None:
    guard = Guard()
    read(guard, Scan(THREADS, Is("id", "=", "a")), thread("a"))
    read(guard, Scan(THREADS, Is("id", "=", "b"), columns=("title", "id")), thread("b"))
    assert expected(guard) == ["a", "b"]
    assert set(guard.before(put()).expect.column_names) == {"id", "title"}  # type: ignore[union-attr]


def test_a_guard_leaves_other_plans_and_what_expects_already_alone() -> None:
    guard = Guard()
    read(guard, Scan(THREADS, Is("id", "=", "a")), thread("a"))
    given = put(thread("a"))
    mine = replace(given, expect=given.data)
    for plan in (Delete(THREADS, TRUE), Put(RESOURCES, encode(RESOURCES, [])), mine):
        assert guard.before(plan) is plan


def test_a_guard_does_not_take_a_reading_for_a_table() -> None:
    guard = Guard()
    guard.after(Scan(TRACES, Is("id", "=", "a") & Is("traceId", "=", "t")), TRACES.schema.empty_table())
    spans = Put(SPANS, SPANS.schema.empty_table())
    assert guard.before(spans) is spans


@pytest.mark.usefixtures("impatient")
def test_a_row_may_be_read_twice_before_it_is_written() -> None:
    store = MemoryStore()
    store.execute(put(thread("a", "0"), thread("b", "0")))

    def steps() -> Steps[int]:
        yield from rows(Scan(THREADS, Is("id", "=", "a")))
        yield from rows(Scan(THREADS, OneOf("id", ("a", "b", "c"))))
        return (yield from change(put(thread("a", "1"), thread("b", "1"), thread("c", "1"))))

    assert run(steps, lambda table: store, store, atomic=True) == 3
    assert titles(store) == {"a": "1", "b": "1", "c": "1"}


# --- small things ------------------------------------------------------------------------------------------------


def test_a_clock_never_gives_a_time_twice_or_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(set(times))
    assert all(time.utcoffset() == timedelta(0) for time in times)
    later = times[-1]

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Frozen:
            return cls(2000, 1, 1, tzinfo=tz)

    monkeypatch.setattr(operations, "datetime", Frozen)
    assert clock.now() == later + timedelta(microseconds=1)


def test_new_ids_differ() -> None:
    assert len({new_id() for _ in range(100)}) == 100


def test_clear_all_empties_a_domain_and_no_other() -> None:
    plans = list(clear_all("memory"))
    assert [plan.table.name for plan in plans] == ["threads", "messages", "resources", "memory_messages"]
    assert all(isinstance(plan, Delete) and plan.where == TRUE for plan in plans)
    assert {plan.table for table in STORED for plan in clear_all(table.domain)} == set(STORED)
    assert MESSAGES in {plan.table for plan in plans}
