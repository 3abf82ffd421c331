"""A lock between processes, on a file: an ``flock``, so the end of a process by any means gives it back."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from colonnade.engine.forking import survives_forks


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
