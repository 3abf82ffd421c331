"""The making of an async storage's stores: begun by whoever uses it first, waited for by all who do, and once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from colonnade.engine.routing import all_made
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import StoreClosed

if TYPE_CHECKING:
    import asyncio


class Making:
    """Makes stores, all at once.

    The work belongs to no task that waits for it: one that is cancelled goes, and leaves nothing half made to those
    that wait on or come later. What failed is tried again by whoever comes next.
    """

    def __init__(self, stores: Sequence[AnyStore]) -> None:
        self._stores = stores
        self._work: dict[AnyStore, asyncio.Task[None]] = {}
        self._stopped = False
        self.done = False

    async def wait(self) -> None:
        """Return when all stores are made; raise what kept them from it."""
        import asyncio

        if self.done:
            return
        self._check()
        loop = asyncio.get_running_loop()
        for store in self._stores:
            if (task := self._work.get(store)) is None or not _goes_well(task, loop):
                self._work[store] = task = loop.create_task(_make(store))
                task.add_done_callback(_outcome)  # looked at, even where all who waited have gone
        work = dict(self._work)
        if going := [task for task in work.values() if not task.done()]:
            await asyncio.wait(going)
        self._check()
        all_made({store: _outcome(task) for store, task in work.items()})
        self.done = True

    def _check(self) -> None:
        if self._stopped:
            raise StoreClosed("the storage was closed before it was made; open it again with colonnade.aopen()")

    async def stop(self) -> None:
        """Give up what is not done yet, and return when nothing is going on any more."""
        import asyncio

        self._stopped = True
        loop = asyncio.get_running_loop()
        work = {store: task for store, task in self._work.items() if task.get_loop() is loop and not task.done()}
        for store, task in work.items():
            if not isinstance(store, Store):  # a thread cannot be stopped, and must not be left with a closed store
                task.cancel()
        if work:
            await asyncio.wait(work.values())


async def _make(store: AnyStore) -> None:
    import asyncio

    if isinstance(store, Store):
        await asyncio.to_thread(store.init)
    else:
        await store.init()


def _goes_well(task: asyncio.Task[None], loop: asyncio.AbstractEventLoop) -> bool:
    return _outcome(task) is None if task.done() else task.get_loop() is loop


def _outcome(task: asyncio.Task[None]) -> BaseException | None:
    import asyncio

    return asyncio.CancelledError() if task.cancelled() else task.exception()
