"""The queue of a writer: what waits between the threads that add rows and the one that writes them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from colonnade.engine.writer_rows import GROUP_BYTES, GROUP_ROWS, Group, Refused, Rows
from colonnade.errors import QueueFull, StoreClosed, StoreReadOnly

_LOG: Final = logging.getLogger("colonnade")
_IDLE: Final = 5.0
"""Seconds after which a thread that has nothing to write ends; the next row starts another."""
_RETRY: Final = (0.1, 5.0)
"""Seconds to wait after the first failure of a store, and at most; each wait is twice as long as the last."""
_LASTING: Final = (StoreClosed, StoreReadOnly)
"""Errors that go on until somebody does something: nobody should wait for room then, or add more."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What a writer has done so far, in this process. ``added`` is ``written`` + ``refused`` + ``waiting``."""

    added: int
    """Rows that were taken."""
    written: int
    """Rows that are durable; a copy that a later one in the same commit replaced counts as well."""
    refused: int
    """Rows that the schema or the store refused, each by itself."""
    waiting: int
    """Rows in the queue, those that are being written now included."""
    commits: int
    """Groups that were written."""
    bytes: int
    """Bytes of Arrow data that were written."""
    failures: int
    """How often the store failed to write a group; it is tried again."""
    blocked: float
    """Seconds for which ``add`` waited for room, summed over all threads."""


class Queue:
    """Rows that wait, in their order, with bounds. Its methods are safe to call from any thread.

    Its lock may be taken again by the thread that has it: a signal handler, or the end of an object, may add a row
    while its thread is adding another.
    """

    def __init__(self, table: str, max_rows: int, max_bytes: int, latency: float) -> None:
        self.lock = threading.RLock()  # never held while rows are encoded or written
        self.added = 0
        self.waiting = 0
        """Rows that are neither written nor refused."""
        self.group: Group | None = None
        """Taken out of the rows, and not written yet."""
        self.is_closed = False
        self.has_reader = False
        """Whether a thread waits for what is due. It is for that thread to say that it ends, in ``wait``."""
        self._is_deserted = False
        self._table = table
        self._max_rows, self._max_bytes, self._latency = max_rows, max_bytes, latency
        self._plenty = min(GROUP_ROWS, max_rows), min(GROUP_BYTES, max_bytes)
        self._due = threading.Condition(self.lock)
        self._room = threading.Condition(self.lock)
        self._rows: deque[Rows] = deque()
        self._size = 0
        self._written = self._refused = self._commits = self._bytes = self._failures = 0
        self._blocked = 0.0
        self._problems = Refused()
        self._error: Exception | None = None
        self._again = self._pause = 0.0

    def anew(self) -> Queue:
        """An empty queue like it."""
        queue = Queue(self._table, self._max_rows, self._max_bytes, self._latency)
        queue.is_closed = self.is_closed
        return queue

    def enter(self, entries: Sequence[Rows], refused: Refused, patience: float | None) -> None:
        """Let rows in: all of them, or none and an error. ``patience`` is how long to wait for room, in seconds."""
        with self.lock:
            self._check()
            if self._is_full():
                self._wait_for_room(patience)
            was_empty = not self._rows
            now = time.monotonic()
            for rows in entries:
                rows.first, rows.since = self.added, now
                self._size += rows.size
                self.waiting += rows.count
            self._rows.extend(entries)
            if refused.count:
                self._set_aside(refused, shift=self.added)
            self.added = self._written + self._refused + self.waiting
            if was_empty or self._is_plenty():
                self._due.notify()

    def _check(self) -> None:
        if self.is_closed:
            raise StoreClosed(f"this writer of {self._table} is closed; make another one with store.writer()")
        if isinstance(self._error, _LASTING):
            raise type(self._error)(*self._error.args) from self._error

    def _is_full(self) -> bool:
        # Rows are let in while there is room, not only where they fit: a large one would never come to its turn.
        return self.waiting >= self._max_rows or self._size >= self._max_bytes

    def _is_plenty(self) -> bool:
        """Whether there is enough for a commit, however short it has waited."""
        return self.waiting >= self._plenty[0] or self._size >= self._plenty[1]

    def _wait_for_room(self, patience: float | None) -> None:
        begun = time.monotonic()
        self._due.notify()
        self._room.wait_for(
            lambda: not self._is_full() or self.is_closed or isinstance(self._error, _LASTING), patience
        )
        self._blocked += time.monotonic() - begun
        self._check()
        if self._is_full():
            why = f"; the store says: {self._error}" if self._error else ""
            raise QueueFull(
                f"{self.waiting} rows ({self._size} bytes) wait to be written to {self._table}, and there is room for "
                f"{self._max_rows} ({self._max_bytes} bytes){why}"
            ) from self._error

    def wait(self) -> bool:
        """Wait until a group is due; False where there is nothing to wait for any longer."""
        with self.lock:
            idle = time.monotonic() + _IDLE
            while not (self.is_closed or self._is_deserted):
                left = (self._when_due() if self.waiting else idle) - time.monotonic()
                if left > 0:
                    self._due.wait(min(left, _IDLE))
                elif self.waiting:
                    return True
                else:
                    break
            self.has_reader = False
            return False

    def _when_due(self) -> float:
        if self._error is not None:
            return self._again
        if self._is_plenty() or not self._rows:
            return 0.0
        return self._rows[0].since + self._latency

    def oldest(self) -> int:
        """The place of the first row that waits; behind the last one where none does."""
        with self.lock:
            if self.group is not None:
                return self.group.first
            return self._rows[0].first if self._rows else self.added

    def next(self) -> list[Rows]:
        """The first rows, as many as one commit may have. They stay where they are until ``take``."""
        found: list[Rows] = []
        with self.lock:
            count = size = 0
            for rows in self._rows:
                count, size = count + rows.count, size + rows.size
                if found and (count > GROUP_ROWS or size > GROUP_BYTES):
                    break
                found.append(rows)
        return found

    def take(self, rows: Sequence[Rows], group: Group) -> Group | None:
        """Put a group in the place of the rows that it is made of: it is what is tried until it is written.

        None where the rows are gone: a signal handler may flush while its thread is about to.
        """
        with self.lock:
            if self.group is not None or not self._rows or self._rows[0] is not rows[0]:
                return None
            self.group = group
            for _ in rows:
                self._rows.popleft()
            self.waiting -= group.refused.count
            self._set_aside(group.refused)
            return group

    def settle(self, group: Group, refused: Refused) -> None:
        """A group is written, without some of its rows."""
        with self.lock:
            if self.group is not group:
                return  # as in take()
            self.group = None
            self._size -= group.size
            self.waiting -= group.rows
            self._written += group.rows - refused.count
            self._set_aside(refused)
            if group.data.num_rows:
                self._commits += 1
                self._bytes += group.data.nbytes
            if self._error is not None:
                _LOG.warning("%s are written again; nothing is lost", self._table)
            self._error, self._pause = None, 0.0
            self._room.notify_all()

    def failed(self, error: Exception) -> None:
        """The group could not be written: it is due again after a while."""
        with self.lock:
            if self._error is None:
                _LOG.warning("%d %s wait and are tried again; the store failed: %s", self.waiting, self._table, error)
            self._error = error
            self._failures += 1
            self._pause = min(max(2 * self._pause, _RETRY[0]), _RETRY[1])
            self._again = time.monotonic() + self._pause
            if isinstance(error, _LASTING):
                self._room.notify_all()

    def _set_aside(self, refused: Refused, shift: int = 0) -> None:
        self._refused += refused.count
        self._problems.take(refused, shift)

    def take_refused(self) -> Refused:
        """What was refused since this was last asked."""
        with self.lock:
            refused, self._problems = self._problems, Refused()
            return refused

    def dismiss(self) -> None:
        """Have the thread that waits end, whatever is there."""
        with self.lock:
            self._is_deserted = True
            self._due.notify_all()

    def close(self) -> None:
        """Let nothing in any more."""
        with self.lock:
            self.is_closed = True
            self._due.notify_all()
            self._room.notify_all()

    @property
    def counters(self) -> Counters:
        """What has gone through it."""
        with self.lock:
            return Counters(
                added=self.added,
                written=self._written,
                refused=self._refused,
                waiting=self.waiting,
                commits=self._commits,
                bytes=self._bytes,
                failures=self._failures,
                blocked=self._blocked,
            )
