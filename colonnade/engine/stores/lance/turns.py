"""Whose turn it is to write: one at a time, of the threads of a process and, in a folder, of all processes.

Commits are safe without: Lance refuses one that was overtaken. But then its work was for nothing, and who writes much
would never let a slow one through.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from colonnade.engine.forking import survives_forks
from colonnade.engine.lock_file import LockFile
from colonnade.errors import StoreLocked

PATIENCE: Final = 60.0
_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.02


class Turns:
    """Turns of one store. ``folder`` is ``None`` where no file can be locked: in an object store."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._files: dict[str, LockFile] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Have the turn for a table; a thread that has it may take it again. ``StoreLocked`` where it does not come."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            file = self._files.get(name)
            if file is not None or self._folder is None:
                yield
                return
            file = self._files[name] = self._locked(self._folder / f".{name}.turn")
            try:
                yield
            finally:
                del self._files[name]
                file.close()

    @contextmanager
    def at_once(self, name: str) -> Iterator[bool]:
        """Have the turn if it is free now, and say whether."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.RLock())
        if not lock.acquire(blocking=False):
            yield False
            return
        file = None if self._folder is None else LockFile(self._folder / f".{name}.turn")
        try:
            yield file is None or file.try_lock(alone=True)
        finally:
            if file is not None:
                file.close()
            lock.release()

    def _locked(self, path: Path) -> LockFile:
        file = LockFile(path)
        until, pause = time.monotonic() + PATIENCE, _PAUSE
        while not file.try_lock(alone=True):
            if time.monotonic() > until:
                file.close()
                raise StoreLocked(
                    f"{path.parent} has been written to by another process for {PATIENCE:.0f} seconds, which may be "
                    "stopped: let it go on, or end it; nothing was written"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return file

    def before_fork(self) -> None:
        """Nothing: who has the turn keeps it."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Have no turn."""
        self._begin()
