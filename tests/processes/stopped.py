"""A program that holds a lock of a store and is stopped there.

Run by test_lifecycles.py: ``python stopped.py LOCK FOLDER``.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.stores.embedded.folder import Folder
from colonnade.engine.stores.embedded.locks import Gate


def stop() -> None:
    """Tell that the lock is held, and stop; goes on at SIGCONT."""
    sys.stdout.write("held\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSTOP)


def main(lock: str, folder: Path) -> None:
    """Take a lock as the engine does, but in a moment that lasts."""
    if lock == "state":
        connection = sqlite3.connect(folder / "state.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        stop()
        connection.execute("COMMIT")
        return
    store: Any = colonnade.open(folder)
    if lock == "lease":
        while Folder(folder).lease() is not None:  # nobody else has it; give it back and try to be the one
            store.optimize()
        stop()
        store.optimize()
    else:
        gate = Gate(folder)
        with gate.passed(alone=lock == "alone"):
            stop()
        gate.close()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
