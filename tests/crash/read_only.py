"""A look at stores that may not be written, in a process of its own. Run by test_disk.py.

``python read_only.py FOLDER`` where the folder of the stores is mounted to be read; with ``nobody`` after it, the
process becomes a user who may read it and nothing more.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.errors import StoreReadOnly

WHEN = "2026-01-01T00:00:00Z"
NOBODY = 65534
SPAN = {"traceId": "t207", "spanId": "7", "name": "new", "startedAt": WHEN}
MESSAGE = {"id": "new", "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
WRITES: dict[str, Callable[[Any], object]] = {
    "a span": lambda store: store.observability.create_span(span=SPAN),
    "an update": lambda store: store.observability.update_span(
        trace_id="t207", span_id="1", updates={"name": "another"}
    ),
    "a delete": lambda store: store.observability.batch_delete_traces(trace_ids=["t207"]),
    "a message": lambda store: store.memory.save_messages(messages=[MESSAGE]),
    "a thread": lambda store: store.memory.save_thread(thread={"id": "new", "resourceId": "r"}),
}


def look(path: Path, *, writable: bool) -> None:
    """Read in every way, and try to write in every way."""
    with colonnade.open(path) as store:
        for _ in range(2):
            (count,) = store.sql("select count(*) as n from spans").rows()
            assert count["n"] == 471, count
            trace = store.observability.get_trace(trace_id="t207")
            assert trace is not None and len(trace["spans"]) == 3
            assert store.observability.list_traces(pagination={"page": 0, "perPage": 5})["spans"]
            assert len(store.memory.list_messages(thread_id="t", per_page=False)["messages"]) == 100
            assert store.sql("select count(*) as n from messages").rows() == [{"n": 100}]
            if not writable:
                for write in WRITES.values():
                    with pytest.raises(StoreReadOnly, match="cannot be written"):
                        write(store)
        store.optimize()
    assert colonnade.fsck(path).clean


def main(folder: Path, user: str | None) -> None:
    """Rehearse on a copy, which loads all that is needed, and then look at what cannot be written."""
    with tempfile.TemporaryDirectory() as aside:
        for path in sorted(folder.iterdir()):
            copy = Path(shutil.copytree(path, Path(aside) / path.name))
            look(copy, writable=True)
            with colonnade.open(copy) as store:
                for write in WRITES.values():
                    write(store)
    if user is not None:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    for path in sorted(folder.iterdir()):
        before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
        look(path, writable=False)
        assert {each: each.read_bytes() for each in path.rglob("*") if each.is_file()} == before
        sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
