"""Handing the lease from one process to another: who wants it says so with a lock, who has it looks and lets go.

The lease stays with the process that seals for as long as its store is open, which may be for weeks. Whoever must have
it (to prune) holds the file ``wanted``; the upkeep of every process leaves the lease alone meanwhile.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Final

from colonnade.engine.stores.embedded.folder import Folder
from colonnade.engine.stores.embedded.locks import LockFile, holders, is_locked
from colonnade.errors import StoreLocked

PATIENCE: Final = 60.0
"""Seconds to wait for a lease that another process has: it may be in the middle of a large segment."""
_WANTED: Final = "wanted"
_PAUSE: Final = 0.02


def is_wanted(folder: Folder) -> bool:
    """Whether a process waits for the lease."""
    return is_locked(folder.path / _WANTED)


def hand_over(folder: Folder) -> LockFile:
    """The lease, from whoever has it. ``StoreLocked`` where it is not given away."""
    until = time.monotonic() + PATIENCE
    with closing(LockFile(folder.path / _WANTED)) as wanted:
        while not wanted.try_lock(alone=True) or (lease := folder.lease()) is None:
            if time.monotonic() > until:
                raise StoreLocked(
                    f"{folder.path} is being tidied up by {holders(folder.path / 'lease')}, which did not let go of it "
                    f"within {PATIENCE:.0f} seconds; try again later, or end that process; nothing was deleted"
                )
            time.sleep(_PAUSE)
    return lease
