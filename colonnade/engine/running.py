"""A query at work in a thread of its own, so that it can be stopped: by its time, by Ctrl-C, or by another thread.

An engine that computes hears neither a signal nor a clock, and a caller that waits inside it neither. So whoever asked
waits here instead, where both are heard, and the engine is interrupted from outside.

Time is counted while the engine works: from the start until the first rows are there, and for each further batch. What
the reader does between batches is the reader's own time. So a query that is slow is stopped, and one whose rows are
read slowly is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypedDict, TypeVar

import pyarrow as pa

from colonnade.errors import QueryCancelled, QueryError, QueryTimeout
from colonnade.schemas.table import Table

R = TypeVar("R")

Parameters = list[Any] | tuple[Any, ...] | Mapping[str, Any] | None
"""Values of a query: for its question marks, or for its names."""


class Limits(TypedDict, total=False):
    """What a query may take.

    ``timeout``: how long it may work, in seconds or as text such as ``30s`` and ``5m``. ``memory``: bytes, or text such
    as ``512MB`` and ``2GiB``.
    """

    timeout: float | str | timedelta | None
    memory: int | str | None


_AGAIN: Final = 0.02
"""Seconds between interruptions: one that comes before the engine has begun is lost on it."""
_PATIENCE: Final = 2.0
"""Seconds for which whoever stops a query waits until it has stopped."""


@dataclass(frozen=True, slots=True)
class Query:
    """User SQL that was checked: its text and values, what it reads, and the bytes of memory that it may take.

    ``columns`` has the tables that it reads, each with the columns that it may need.
    """

    text: str
    parameters: Parameters
    columns: Mapping[Table, tuple[str, ...]]
    memory: int | None = None


class Engine(Protocol):
    """What runs one query. All but ``interrupt`` is called from one thread, one call at a time, in this order."""

    def bind(self) -> None:
        """Get ready; what is wrong with the SQL shows here."""

    def run(self) -> pa.Schema:
        """Begin; back when the first rows are there, with the columns that rows have."""

    def read(self) -> pa.RecordBatch | None:
        """The next rows; ``None`` after the last, and then everything is let go of."""

    def interrupt(self) -> None:
        """Have a call that another thread is in end soon, with an error."""

    def close(self) -> None:
        """Let go of everything. Twice is once."""


class Running:
    """The thread that an engine works in, and what stops it. After a failure, or the end, the engine is closed."""

    def __init__(self, engine: Engine, timeout: float | None, begun: float) -> None:
        self._engine = engine
        self._timeout = timeout
        self._left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
        self._lock = threading.RLock()  # a garbage collection may stop a query in the middle of anything
        self._over: Exception | None = None
        self._steps: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="colonnade-sql", daemon=True)
        self._thread.start()

    def begin(self, step: Callable[[], R]) -> Future[R]:
        """Have the thread take a step, after those that it was given before."""
        future: Future[R] = Future()
        with self._lock:
            if self._over is None:
                self._steps.put((step, future))
            else:
                future.set_exception(self._over)
        return future

    def wait(self, step: Future[R]) -> R:
        """The outcome of a step. Ctrl-C while it is waited for stops the query."""
        if not self._thread.is_alive() and not step.done():
            raise QueryCancelled("the query belongs to the process that this one was forked from: ask again")
        try:
            return step.result()
        except BaseException:
            if not step.done():
                self.stop(QueryCancelled("the query was interrupted"))
            raise

    def stop(self, why: Exception) -> None:
        """End the query, with ``why`` for everybody who waits for it or comes later; nothing once it is over."""
        if not self._thread.is_alive():
            return  # it is over, or another process's
        with self._lock:
            if self._over is None:
                self._over = why
                self._steps.put(None)
        until = time.monotonic() + _PATIENCE
        while self._thread.is_alive() and self._thread is not threading.current_thread():
            self._engine.interrupt()
            self._thread.join(_AGAIN)
            if time.monotonic() > until:
                return

    def _work(self) -> None:
        while (found := self._steps.get()) is not None:
            step, future = found
            try:
                future.set_result(self._timed(step))
            except BaseException as error:
                self._engine.close()
                self._fail(error, future)
        self._engine.close()

    def _timed(self, step: Callable[[], R]) -> R:
        if self._over is not None:
            raise self._over
        if self._timeout is None or self._left is None:
            return step()
        if not self._left:
            raise too_late(self._timeout)
        timer = threading.Timer(self._left, self.stop, (too_late(self._timeout),))
        timer.daemon = True
        timer.start()
        begun = time.monotonic()
        try:
            return step()
        finally:
            timer.cancel()
            self._left = max(0.0, self._left - (time.monotonic() - begun))

    def _fail(self, error: BaseException, future: Future[Any]) -> None:
        with self._lock:
            if self._over is None:
                self._over = error if isinstance(error, Exception) else QueryError(str(error))
                self._steps.put(None)
            future.set_exception(self._over)


def too_late(timeout: float) -> QueryTimeout:
    """The error for a query that took longer than so many seconds."""
    return QueryTimeout(
        f"the query was stopped after {timeout:g} seconds: narrow it, for instance by time, or give it longer "
        "with timeout="
    )
