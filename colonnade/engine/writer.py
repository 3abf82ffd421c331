"""The ingest path: a bounded queue of rows, written in groups by a thread in the background.

``add`` takes a row and returns at once. What any number of threads add is gathered, and a group of rows is one ``Put``:
when it is full, when its first row has waited for ``latency`` seconds, or when somebody calls ``flush``. A flush writes
in the thread that calls it, and with its rows all that others have added meanwhile; so it works at the end of a program
too, where no thread can be started.

Nothing is dropped in silence. A full queue makes ``add`` wait or raise. What a store fails to write keeps its place in
the queue and is tried again. Rows that are refused are raised by the next ``flush``. What waits when the program ends
is written then. A forked child begins with an empty queue: what waits is its parent's.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self, TypedDict

import pyarrow as pa

from colonnade.engine import writer_ends
from colonnade.engine.operation import Clock, Domain
from colonnade.engine.plan import Plan, Put
from colonnade.engine.writer_queue import Counters, Queue
from colonnade.engine.writer_rows import Encode, Group, Intake, Refused, Rows
from colonnade.errors import InvalidInput, InvalidRows, QueueFull
from colonnade.schemas.table import Table

OnFull = Literal["block", "raise"]


class WriterOptions(TypedDict, total=False):
    """What ``Storage.writer`` may be told."""

    encode: Encode | None
    """Makes rows of objects that are no dicts and no Arrow data."""
    max_rows: int
    """The queue is full with so many rows; 32,768 unless given."""
    max_bytes: int
    """The queue is full with about so many bytes; 64 MiB unless given."""
    latency: float
    """Seconds after which a row is written without a flush; 0.05 unless given."""
    on_full: OnFull
    """Whether ``add`` waits for room, which it does unless told otherwise, or raises ``QueueFull``."""
    timeout: float | None
    """Seconds for which ``add`` waits before it raises ``QueueFull``; as long as it takes unless given."""


_PATIENCE: Final = 5.0
"""Seconds to wait for a thread that was told to end."""


class Writer:
    """Takes rows of one table from any number of threads and writes them in groups. Made by ``Storage.writer``."""

    def __init__(
        self,
        table: Table,
        domain: Domain[Any],
        clock: Clock,
        execute: Callable[[Plan], Any],
        *,
        encode: Encode | None = None,
        max_rows: int = 32_768,
        max_bytes: int = 64 * 2**20,
        latency: float = 0.05,
        on_full: OnFull = "block",
        timeout: float | None = None,
    ) -> None:
        if max_rows < 1 or max_bytes < 1 or not latency >= 0 or (timeout is not None and not timeout >= 0):
            raise InvalidInput("max_rows and max_bytes must be at least 1, latency and timeout at least 0 seconds")
        if on_full not in ("block", "raise"):
            raise InvalidInput(f"on_full is 'block' or 'raise', not {on_full!r:.80}")
        self.table = table
        self.patience = 0.0 if on_full == "raise" else timeout and min(timeout, threading.TIMEOUT_MAX)
        """Seconds for which ``add`` waits for room; None is as long as it takes."""
        self._intake = Intake(table, domain, clock, encode)
        self._execute = execute
        self._queue = Queue(table.name, max_rows, max_bytes, latency)
        self._committer: int | None = None
        self.committing = threading.RLock()
        """Held by the one thread that writes."""
        self._thread: threading.Thread | None = None
        # Arrow loads pandas, where there is one, at its first conversion: too late when the interpreter ends.
        pa.array([0])
        writer_ends.watch(self)

    def begin(self) -> None:
        """Begin anew, with nothing in the queue: what a forked child does."""
        self._queue = self._queue.anew()
        self._committer = self._thread = None
        self.committing = threading.RLock()

    def add(self, row: Any) -> None:
        """Take a record, Arrow data (a batch, a table, a Polars frame), or an object that ``encode`` makes a row of.

        A record is kept as it is now. Arrow data needs the columns that may not be null. ``InvalidInput`` where it is
        nothing of the sort, ``QueueFull`` where there is no room (in time), ``StoreClosed`` after ``close``: then
        nothing was added.
        """
        self.enter(*self._intake.rows(row), patience=self.patience)

    def extend(self, rows: Iterable[Any]) -> None:
        """Add several, one after the other; where one of them raises, those before it are added."""
        for row in rows:
            self.add(row)

    def enter(self, entries: list[Rows], refused: Refused, *, patience: float | None) -> None:
        """Add what is read already; ``patience`` is how long to wait for room."""
        alone = not self._is_served()
        within = self._committer == threading.get_ident()  # a store that is traced may add spans while it writes
        self._queue.enter(entries, refused, 0.0 if alone or within else patience)  # nobody else would make room
        if (alone or not self._is_served()) and not within:
            while self._turn() and self._queue.waiting:
                pass

    def flush(self, timeout: float | None = None) -> bool:
        """Return when all that was added before is durable: True, or False where ``timeout`` seconds were too few.

        ``InvalidRows`` names the rows that were refused since the last flush, once all others are written. What the
        store raises is raised, and what waits keeps waiting. A write that has begun is not broken off by the timeout.
        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        target = self._queue.added
        while self._queue.oldest() < target:
            self._give_way()
            left = until - time.monotonic()
            if left <= 0 or not self.committing.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
                return False
            try:
                if self._queue.oldest() < target:  # else another flush has written it meanwhile
                    self._commit()
            finally:
                self.committing.release()
        refused = self._queue.take_refused()
        if refused.count:
            others = "all others are written"
            raise InvalidRows(self.table.name, refused.problems, refused=refused.count, others=others)
        return True

    def close(self) -> None:
        """Take no more rows, and flush. What the store fails to write stays; closing again tries again."""
        self._queue.close()
        self.flush()

    def dismiss(self) -> None:
        """End the thread in the background: what is added from now on must be flushed."""
        self._queue.dismiss()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    @property
    def counters(self) -> Counters:
        """What it has done so far, in this process."""
        return self._queue.counters

    def _is_served(self) -> bool:
        """Whether a thread writes what is due, started now if need be; False where there can be none."""
        if writer_ends.is_ending():
            return False
        if self._queue.has_reader:  # it does not end while anything waits
            return True
        with self._queue.lock:
            if not self._queue.has_reader:
                writer_ends.watch_process()
                name = f"colonnade-writer-{self.table.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    self._thread = None
                    return False
                self._queue.has_reader = True
            return True

    def _run(self) -> None:
        while self._queue.wait():
            self._turn()

    def _turn(self) -> bool:
        """Write a group; False where it could not be, which is noted, and raised by the flush that meets it again."""
        self._give_way()
        with self.committing:
            try:
                self._commit()
            except Exception:
                return False
            return True

    def _give_way(self) -> None:
        if self._committer != threading.get_ident():  # else the fork waits for this commit
            writer_ends.give_way()

    def _commit(self) -> None:
        """Write the next group, as one ``Put``. Where it raises, all rows are where they were."""
        outer, self._committer = self._committer, threading.get_ident()
        try:
            group = self._queue.group or self._gather()
            if group is None:
                return
            refused = Refused()
            if group.data.num_rows:
                self._put(group.data, group.first, refused)
            self._queue.settle(group, refused)
        except Exception as error:
            self._queue.failed(error)
            raise
        finally:
            self._committer = outer

    def _gather(self) -> Group | None:
        waiting = self._queue.next()
        # What is made for its rows, such as ids, stays when the group is tried again.
        return self._queue.take(waiting, self._intake.group(waiting)) if waiting else None

    def _put(self, data: pa.Table, first: int, refused: Refused) -> None:
        try:
            self._execute(Put(self.table, data))
        except InvalidInput as error:  # the store refuses a row that the schema does not: find it
            if data.num_rows == 1:
                (record,) = data.select(list(self.table.key)).to_pylist()
                refused.add(1, [self._intake.problem(first, "row", f"is refused by the store: {error}", record)])
                return
            middle = data.num_rows // 2
            self._put(data.slice(0, middle), first, refused)
            self._put(data.slice(middle), first + middle, refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Writer {self.table.name}, {self._queue.waiting} waiting>"


class AsyncWriter:
    """A writer whose methods are awaited, so that no event loop waits. Made by ``AsyncStorage.writer``."""

    def __init__(self, writer: Writer, ready: Callable[[], Awaitable[None]]) -> None:
        self._writer = writer
        self._ready: Callable[[], Awaitable[None]] | None = ready

    async def add(self, row: Any) -> None:
        """As ``Writer.add``."""
        if self._ready is not None:
            await self._ready()
            self._ready = None
        entries, refused = self._writer._intake.rows(row)
        try:
            self._writer.enter(entries, refused, patience=0.0)
        except QueueFull:
            if self._writer.patience == 0.0:
                raise
            import asyncio

            await asyncio.to_thread(self._writer.enter, entries, refused, patience=self._writer.patience)

    async def extend(self, rows: Iterable[Any]) -> None:
        """As ``Writer.extend``."""
        for row in rows:
            await self.add(row)

    async def flush(self, timeout: float | None = None) -> bool:
        """As ``Writer.flush``."""
        import asyncio

        return await asyncio.to_thread(self._writer.flush, timeout)

    async def close(self) -> None:
        """As ``Writer.close``."""
        import asyncio

        await asyncio.to_thread(self._writer.close)

    @property
    def counters(self) -> Counters:
        """What it has done so far, in this process."""
        return self._writer.counters

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
