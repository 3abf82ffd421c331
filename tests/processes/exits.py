"""A program that writes to a store and ends without closing it.

Run by test_lifecycles.py: ``python exits.py WAY FOLDER``. It prints how many spans were acknowledged.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import colonnade
from colonnade.testing.processes import SEAL_OFTEN
from colonnade.testing.served import set_constants

WHEN = "2026-01-01T00:00:00Z"


def write(store: Any, name: str) -> None:
    """One span."""
    store.observability.create_span(
        span={"traceId": name, "spanId": "s", "name": "n", "startedAt": WHEN, "endedAt": WHEN}
    )


def main(way: str, folder: Path) -> None:
    """Write, and end."""
    set_constants(SEAL_OFTEN)
    store: Any = colonnade.open(folder)
    written = 0
    until = time.monotonic() + random.uniform(0.1, 0.8)  # so that it ends in the middle of sealing, or of merging
    while time.monotonic() < until:
        write(store, f"{os.getpid()}-{written}")
        written += 1
    sys.stdout.write(f"{written}\n")
    sys.stdout.flush()
    match way:
        case "last line":
            return
        case "sys.exit":
            sys.exit(0)
        case "os._exit":
            os._exit(0)
        case "exception":
            raise RuntimeError("a mistake")
        case "daemon threads":
            for number in range(3):
                threading.Thread(target=forever, args=(store, f"{os.getpid()}-{number}"), daemon=True).start()
            time.sleep(0.2)


def forever(store: Any, name: str) -> None:
    """Write until the process ends."""
    number = 0
    while True:
        number += 1
        write(store, f"extra-{name}-{number}")
        time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
