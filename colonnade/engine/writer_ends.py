"""What becomes of writers when their process ends, and when it forks."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from colonnade.errors import InvalidRows
from colonnade.schemas.table import Table

_LOG: Final = logging.getLogger("colonnade")
_PATIENCE: Final = 5.0
"""Seconds for which a fork waits for a commit to come to its end."""


class Writes(Protocol):
    """A writer, as far as the end of its process concerns it."""

    table: Table
    committing: threading.RLock

    @property
    def counters(self) -> Any:
        """What it has done so far."""

    def flush(self) -> bool:
        """Write what waits."""

    def dismiss(self) -> None:
        """End the thread in the background."""

    def begin(self) -> None:
        """Begin anew, with nothing that waits."""


_writers: Final[WeakValueDictionary[int, Writes]] = WeakValueDictionary()
"""Those that are alive. One with rows that wait has a thread, which keeps it alive; the others may go."""
_held: Final[list[Writes]] = []
_forking = threading.RLock()  # held while the process forks
_is_ending = False
_watched: int | None = None


def watch(writer: Writes) -> None:
    """See to a writer's end."""
    _writers[id(writer)] = writer


def watch_process() -> None:
    """See to the end of a child of multiprocessing, which runs finalizers of its own and not those of ``atexit``."""
    global _watched
    if _watched != os.getpid() and (process := sys.modules.get("multiprocessing.process")):
        _watched = os.getpid()
        if process.parent_process() is not None:
            from multiprocessing.util import Finalize

            Finalize(None, end, exitpriority=10)


def is_ending() -> bool:
    """Whether the process ends: what is added now must be written at once, for no thread will come to it."""
    return _is_ending


def end() -> None:
    """Write what waits, in all writers. What cannot be written is logged: there is nobody left to raise it to."""
    global _is_ending
    _is_ending = True
    writers = _alive()  # from here on nothing else may hold them
    for writer in writers:
        writer.dismiss()  # a thread that outlives the interpreter keeps drivers from cleaning up
    failed = set()
    for writer in writers * 2:  # again, for writing to one store may add rows for another: spans of it
        try:
            if id(writer) not in failed:
                writer.flush()
        except InvalidRows as error:  # not what it says: it quotes the rows
            _LOG.error("%d rows were refused by %s", error.refused, error.table)
        except Exception as error:
            failed.add(id(writer))
            _LOG.error("%d rows were not written to %s: %s", writer.counters.waiting, writer.table.name, error)


def _alive() -> list[Writes]:
    # Of the references a list is made at once; other threads may add to them meanwhile.
    return [writer for each in _writers.valuerefs() if (writer := each()) is not None]


def give_way() -> None:
    """Let a fork go before the next commit: threads that write without a pause would never leave it a moment."""
    with _forking:
        pass


def _before_fork() -> None:
    """Fork between two commits: a child would wait for ever for the locks that a thread it does not have holds."""
    _forking.acquire()
    _held.extend(writer for writer in _alive() if writer.committing.acquire(timeout=_PATIENCE))


def _after_fork() -> None:
    while _held:
        _held.pop().committing.release()
    _forking.release()


def _in_child() -> None:
    global _forking
    _forking = threading.RLock()
    _held.clear()
    for writer in _alive():
        writer.begin()


atexit.register(end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
