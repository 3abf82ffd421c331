"""Locks between processes, on files: the lease of the one that seals, and the gate that all writers pass.

They are ``flock``s, so the end of a process by any means gives them back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from colonnade.engine.lock_file import LockFile
from colonnade.errors import StoreLocked

__all__ = ["Gate", "LockFile", "holders", "is_locked", "locked_by"]

PATIENCE: Final = 30.0
"""Seconds to wait for the gate."""
_PAUSE: Final = 0.0005
_VERSION_BYTES: Final = 8
_NO_VERSION: Final = 2**62
"""What is at least this is no time that any clock has shown: the file is damaged."""


class Gate:
    """Many may write at once, or one alone that reads and writes as one. One thread of a process at a time.

    Who wants to be alone is not kept waiting for ever by the others: they pass a turnstile, which it holds meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "changing"
        self._door = LockFile(self._path)
        self._turnstile = LockFile(folder / "waiting")
        self._clock = LockFile(folder / "clock")

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

    def version(self, least: int) -> int:
        """A version for the commit that is about to be written, by whoever is within.

        It is the time in microseconds since the epoch, but later than ``least`` and than every version that any process
        was given before: clocks are set back now and then, and the last write wins all the same.
        """
        self._wait(self._clock, time.monotonic() + PATIENCE, alone=True)
        try:
            last = int.from_bytes(os.pread(self._clock.descriptor, _VERSION_BYTES, 0), "little")
            last = last if last < _NO_VERSION else 0
            version = max(time.time_ns() // 1000, least + 1, last + 1)
            os.pwrite(self._clock.descriptor, version.to_bytes(_VERSION_BYTES, "little"), 0)
            return version
        finally:
            self._clock.unlock()

    def _wait(self, file: LockFile, until: float, *, alone: bool) -> None:
        while not file.try_lock(alone=alone):
            if time.monotonic() > until:
                raise StoreLocked(
                    f"{self._path.parent} has been held for {PATIENCE:.0f} seconds by {holders(self._path)}, which "
                    "may be stopped: let it go on, or end it; nothing was written"
                )
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Close its files."""
        self._door.close()
        self._turnstile.close()
        self._clock.close()


def holders(path: Path) -> str:
    """Who has a lock on a file, in words; Linux alone says which process it is."""
    found = locked_by(path)
    if os.getpid() in found:
        return "this process"
    return f"process {', '.join(map(str, sorted(found)))}" if found else "another process"


def locked_by(path: Path) -> set[int]:
    """The processes that have locks of any kind on a file, as far as the system tells: Linux alone does."""
    with suppress(OSError):
        inode = path.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        # One that waits is listed too, with an arrow: "1: -> FLOCK ADVISORY ...".
        return {int(parts[4]) for parts in lines if parts[1] != "->" and parts[5].endswith(f":{inode}")}
    return set()


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
