"""One of several clients of one store: ``client.py ADDRESS NAME SECONDS BOOK``.

It writes under keys of its own and under keys that all share, and notes in its book, line by line, what was
acknowledged. Where the server does not answer, it tries the same again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import colonnade
from colonnade.errors import StoreError

SHARED = 8
TURNS = 4
"""So often at least, however slow the machine is."""
_START = datetime(2026, 1, 31, tzinfo=UTC)


def span(trace: str, name: str, at: int) -> dict[str, Any]:
    """A span; each time that it is written it begins at another time, so that it moves."""
    return {
        "traceId": trace,
        "spanId": "s",
        "name": name,
        "spanType": "generic",
        "isEvent": False,
        "startedAt": _START + timedelta(seconds=at),
    }


def main(address: str, name: str, seconds: float, book: Path) -> None:
    with colonnade.open(address) as store, book.open("w") as acknowledged:
        until = time.monotonic() + seconds
        turn = 0
        while turn < TURNS or time.monotonic() < until:
            mine, shared = f"{name}-{turn}", f"shared-{turn % SHARED}"
            steps: dict[str, Callable[[], object]] = {
                "span": partial(store.observability.create_span, span=span(mine, name, turn)),
                "shared span": partial(store.observability.create_span, span=span(shared, name, turn * 7 % 5)),
                "metadata": partial(store.memory.update_resource, resource_id=shared, metadata={mine: True}),
            }
            for kind, step in steps.items():
                while True:
                    try:
                        step()
                    except StoreError:
                        if time.monotonic() > until + 120:
                            raise
                        time.sleep(0.05)
                    else:
                        break
                acknowledged.write(json.dumps([kind, mine, shared]) + "\n")
                acknowledged.flush()
            turn += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))
