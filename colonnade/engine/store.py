"""What a store is: a few methods below the waist, blocking or natively async, and how steps run on it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pyarrow as pa

from colonnade.engine.abilities import Abilities, Route, native_scan, perform
from colonnade.engine.driving import drive, drive_async
from colonnade.engine.operation import Call, Guard, Natives, Stream, Whole, expand
from colonnade.engine.plan import Delete, Nearest, Patch, Plan, Put, Scan, Search, Steps, Summarize
from colonnade.engine.running import Engine, Query
from colonnade.errors import Conflict, Unsupported
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    from colonnade.engine.retention import Progress, Pruned, Retention

R = TypeVar("R")

PATIENCE = 30.0
"""Seconds for which an atomic operation that keeps meeting others is run again, before ``Conflict`` is raised."""


class Store:
    """A store with a blocking driver. Plans arrive normalized, and only those that ``abilities`` promises.

    A store writes ``init``, ``close``, and for plans either ``scan``, ``put``, ``delete`` and whatever else it has the
    ability for, or ``execute``, where one way answers them all.
    """

    abilities: ClassVar[Abilities] = Abilities()
    few: ClassVar[bool] = False
    """Whether ``Put`` may bring ``FewRows``; a scan that says ``few`` may be answered so by any store."""
    newest_first: ClassVar[bool] = False
    """Whether ``search`` gives the newest rows that may hold the words, and not the best."""
    label: str = "store"

    def init(self) -> None:
        """Make what is missing (tables, indexes) and migrate what is older. Called once, by ``colonnade.open``."""

    def close(self) -> None:
        """Release the store. Closing twice does nothing."""

    def optimize(self) -> object | None:
        """Do now what is otherwise done in the background, and say what; ``None`` where there is nothing to do."""
        return None

    def stats(self) -> dict[str, int]:
        """What it has counted since it was opened, such as requests that are paid for; nothing where it counts none."""
        return {}

    def prune(
        self, retention: Retention, domains: Collection[str], *, dry_run: bool, progress: Progress
    ) -> Pruned | None:
        """Delete what is out of date in some domains by a way of its own; ``None`` where ``Delete`` is the only one."""
        return None

    def home(self, domain: str) -> Store:
        """The store within it that keeps a domain: itself, unless it is made of several."""
        return self

    def scan(self, plan: Scan) -> pa.Table:
        """The rows, in the plan's columns, in the schema's Arrow types."""
        raise NotImplementedError

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same rows as a stream, for results that do not fit into memory."""
        yield from self.execute(plan).to_batches()

    def put(self, plan: Put) -> int:
        """Upsert by the rules of ``Put``; the keys within ``data`` may repeat."""
        raise NotImplementedError

    def delete(self, plan: Delete) -> int:
        """Delete; without the ability, only by key."""
        raise NotImplementedError

    def patch(self, plan: Patch) -> int:
        """Set columns to constants."""
        raise Unsupported(f"{self} does not patch")

    def summarize(self, plan: Summarize) -> pa.Table:
        """Groups and measures, sorted by group."""
        raise Unsupported(f"{self} does not summarize")

    def nearest(self, plan: Nearest) -> pa.Table:
        """The ``neighbours.needed`` columns of the nearest rows, ``k`` at most, nearest first.

        They are compared and sorted again above the store, so an index that is only nearly right may give them.
        """
        raise Unsupported(f"{self} does not compare vectors")

    def search(self, plan: Search) -> pa.Table | None:
        """The ``searching.needed`` columns of rows that hold the words, best first, ``limit`` at most.

        They are looked at and ranked again above the store. So rows too many do no harm; but all rows are given, where
        they are fewer than ``limit``. A store that cannot rank gives them ``newest_first``, and is asked for all, page
        by page. ``None`` where its index is no help with this plan, which is answered by scans.
        """
        raise Unsupported(f"{self} does not search")

    def transaction(self) -> AbstractContextManager[Store]:
        """A session in which plans are one: committed at its end, undone on an error; ``Conflict`` if others won."""
        raise Unsupported(f"{self} has no transactions")

    def sql(self, query: Query) -> Engine | None:
        """What runs user SQL, checked already, over the logical tables; ``None`` where the store has no SQL engine."""
        return None

    def execute(self, plan: Plan) -> Any:
        """Run one native plan."""
        match plan:
            case Scan():
                return self.scan(plan)
            case Put():
                return self.put(plan)
            case Patch():
                return self.patch(plan)
            case Delete():
                return self.delete(plan)
            case Summarize():
                return self.summarize(plan)
            case Search():
                return self.search(plan)
            case Nearest():
                return self.nearest(plan)

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


class AsyncStore:
    """A store whose driver is natively async: the same few methods, awaited."""

    abilities: ClassVar[Abilities] = Abilities()
    few: ClassVar[bool] = False
    """Whether ``Put`` may bring ``FewRows``; a scan that says ``few`` may be answered so by any store."""
    newest_first: ClassVar[bool] = False
    """Whether ``search`` gives the newest rows that may hold the words, and not the best."""
    label: str = "store"

    async def init(self) -> None:
        """Make what is missing and migrate what is older."""

    async def close(self) -> None:
        """Release the store."""

    def stats(self) -> dict[str, int]:
        """What it has counted since it was opened; nothing where it counts none."""
        return {}

    async def execute(self, plan: Plan) -> Any:
        """Run one native plan."""
        raise NotImplementedError

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan as a stream, for results that do not fit into memory."""
        for batch in (await self.execute(plan)).to_batches():
            yield batch

    def transaction(self) -> AbstractAsyncContextManager[AsyncStore]:
        """A session in which plans are one."""
        raise Unsupported(f"{self} has no transactions")

    def __str__(self) -> str:
        return self.label


AnyStore = Store | AsyncStore


def run(steps: Callable[[], Steps[R]], route: Route, keeper: Store | None, *, atomic: bool = False) -> R:
    """Run an operation on blocking stores.

    ``keeper`` is the store whose domain it belongs to: an atomic operation is one transaction of it, or guarded by
    compare-and-set, and runs again from its start on ``Conflict``.
    """

    def whole(inner: Callable[[], Steps[Any]]) -> Any:
        return run(inner, route, keeper, atomic=True)

    tries: Iterator[float | None] | None = None
    begun = time.monotonic()
    while True:
        try:
            if atomic and keeper is not None and keeper.abilities.transactions:
                with keeper.transaction() as session:
                    return _drive(expand(steps(), _instead(route, keeper, session)))
            return _drive(expand(steps(), route, Guard() if atomic else None), whole)
        except Conflict:
            tries = tries or pauses(begun)
            if (pause := next(tries)) is None:
                raise
            time.sleep(pause)


async def run_async(steps: Callable[[], Steps[R]], route: Route, keeper: AnyStore | None, *, atomic: bool = False) -> R:
    """Run an operation without blocking the event loop: awaited natively, or in a thread, once for the operation."""
    import asyncio  # not before it is used: `import colonnade` is to cost little more than `import pyarrow`

    if isinstance(keeper, Store):
        return await asyncio.to_thread(run, steps, route, keeper, atomic=atomic)

    async def whole(inner: Callable[[], Steps[Any]]) -> Any:
        return await run_async(inner, route, keeper, atomic=True)

    tries: Iterator[float | None] | None = None
    begun = time.monotonic()
    while True:
        try:
            if atomic and keeper is not None and keeper.abilities.transactions:
                async with keeper.transaction() as session:
                    return await _drive_async(expand(steps(), _instead(route, keeper, session)))
            return await _drive_async(expand(steps(), route, Guard() if atomic else None), whole)
        except Conflict:
            tries = tries or pauses(begun)
            if (pause := next(tries)) is None:
                raise
            await asyncio.sleep(pause)


def stream(plan: Scan, route: Route) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a scan as a stream where its store can, at once where something must be folded first."""
    direct = native_scan(plan, route)
    if direct is None:
        yield from _drive(perform(plan, route)).to_batches()
    else:
        store, scan = direct
        yield from store.batches(scan)


async def stream_async(plan: Scan, route: Route) -> AsyncGenerator[pa.RecordBatch, None]:
    """As ``stream``, without blocking the event loop: a thread of its own reads where the driver is blocking."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    direct = native_scan(plan, route)
    if direct is None:
        for batch in (await _drive_async(perform(plan, route))).to_batches():
            yield batch
        return
    store, scan = direct
    if not isinstance(store, Store):
        async for batch in store.batches(scan):
            yield batch
        return
    loop = asyncio.get_running_loop()
    batches = stream(plan, route)
    thread = ThreadPoolExecutor(1, "colonnade-read")  # one for all batches: some drivers ask for it
    try:
        while (found := await loop.run_in_executor(thread, next, batches, None)) is not None:
            yield found
    finally:
        await loop.run_in_executor(thread, batches.close)
        thread.shutdown(wait=False)


async def _drain_async(asked: Stream, store: AnyStore) -> int:
    import asyncio

    if isinstance(store, Store):
        return await asyncio.to_thread(lambda: asked.drain(store.batches(asked.plan)))
    rows = 0
    with asked.into as take:
        async for batch in store.batches(asked.plan):
            take(batch)
            rows += batch.num_rows
    return rows


def pauses(begun: float | None = None) -> Iterator[float | None]:
    """Seconds to wait between tries: short, growing, random; ``None`` when patience, since ``begun``, is at its end."""
    from random import uniform  # with hashlib and more behind it, and only needed where stores meet

    begun = time.monotonic() if begun is None else begun
    step = 0.001
    while time.monotonic() - begun < PATIENCE:
        yield uniform(0, step)
        step = min(step * 2, 0.25)
    yield None


def _instead(route: Route, keeper: Any, session: Any) -> Route:
    def within(table: Table) -> Any:
        store = route(table)
        return session if store is keeper else store

    return within


def _drive(natives: Natives[R], whole: Callable[[Callable[[], Steps[Any]]], Any] | None = None) -> R:
    def answer(native: tuple[Any, Any]) -> Any:
        store, plan = native
        if isinstance(plan, Stream):
            return plan.drain(store.batches(plan.plan))
        if store is not None:
            return store.execute(plan)
        if isinstance(plan, Whole) and whole is not None:
            return whole(plan.steps)
        return plan.function()

    return drive(natives, answer)


async def _drive_async(natives: Natives[R], whole: Callable[[Callable[[], Steps[Any]]], Any] | None = None) -> R:
    import asyncio

    async def answer(native: tuple[Any, Any]) -> Any:
        store, plan = native
        if isinstance(plan, Whole) and whole is not None:
            return await whole(plan.steps)
        if isinstance(plan, Call):
            return await asyncio.to_thread(plan.function)
        if isinstance(plan, Stream):
            return await _drain_async(plan, store)
        if isinstance(store, Store):
            return await asyncio.to_thread(store.execute, plan)
        return await store.execute(plan)

    return await drive_async(natives, answer)
