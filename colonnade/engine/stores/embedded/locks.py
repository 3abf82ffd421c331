"""Locks between processes, on files: the lease of the one that seals, and the gate that all writers pass.

They are ``flock``s, so the end of a process by any means gives them back.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from colonnade.engine.forking import survives_forks
from colonnade.errors import StoreLocked

PATIENCE: Final = 30.0
"""Seconds to wait for the gate."""
_PAUSE: Final = 0.0005


class LockFile:
    """An open file to be locked; children do not keep its lock alive."""

    def __init__(self, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
        survives_forks(self)

    def try_lock(self, *, alone: bool) -> bool:
        """Lock it, alone or shared; ``False`` where others are in the way."""
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give the lock back."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the lock back and close the file."""
        if self.descriptor >= 0:
            self.unlock()
            self._let_go()

    def _let_go(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            self._let_go()

    def before_fork(self) -> None:
        """Nothing: the lock stays."""

    def after_fork_in_parent(self) -> None:
        """Nothing: the lock stays."""

    def after_fork_in_child(self) -> None:
        """Close the child's copy, which leaves the parent its lock."""
        with suppress(OSError):
            self._let_go()


class Gate:
    """Many may write at once, or one alone that reads and writes as one. One thread of a process at a time.

    Who wants to be alone is not kept waiting for ever by the others: they pass a turnstile, which it holds meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "changing"
        self._door = LockFile(self._path)
        self._turnstile = LockFile(folder / "waiting")

    @contextmanager
    def passed(self, *, alone: bool) -> Iterator[None]:
        """Be within. ``StoreLocked`` where others did not leave in half a minute: one of them is stopped."""
        until = time.monotonic() + PATIENCE
        self._wait(self._turnstile, until, alone=alone)
        try:
            if not alone:
                self._turnstile.unlock()
            self._wait(self._door, until, alone=alone)
        finally:
            self._turnstile.unlock()
        try:
            yield
        finally:
            self._door.unlock()

    def _wait(self, file: LockFile, until: float, *, alone: bool) -> None:
        while not file.try_lock(alone=alone):
            if time.monotonic() > until:
                raise StoreLocked(
                    f"{self._path.parent} has been held for {PATIENCE:.0f} seconds by {_holders(self._path)}, which "
                    "may be stopped: let it go on, or end it; nothing was written"
                )
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Close its files."""
        self._door.close()
        self._turnstile.close()


def _holders(path: Path) -> str:
    """Who has a lock on a file, in words."""
    with suppress(OSError):
        inode = path.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        found = sorted({int(parts[4]) for parts in lines if parts[5].endswith(f":{inode}")} - {os.getpid()})
        if found:
            return f"process {', '.join(map(str, found))}"
    return "another process"


def is_locked(path: Path) -> bool:
    """Whether a process has a file locked; not if there is no file."""
    try:
        file = LockFile(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not file.try_lock(alone=False)
    finally:
        file.close()
