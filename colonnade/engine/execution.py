"""How the steps of an operation run on stores: as one transaction or guarded, again on a conflict, in both colours."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any, TypeVar

import pyarrow as pa

from colonnade.engine.abilities import Route, native_scan, perform
from colonnade.engine.driving import drive, drive_async
from colonnade.engine.operation import Call, Guard, Natives, Stream, Whole, expand
from colonnade.engine.plan import Scan, Steps
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import Conflict
from colonnade.schemas.table import Table

R = TypeVar("R")

PATIENCE = 30.0
"""Seconds for which an atomic operation that keeps meeting others is run again, before ``Conflict`` is raised."""


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


async def stream_async(plan: Scan, route: Route) -> AsyncGenerator[pa.RecordBatch]:
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
