"""Pruning a store whose disk is full, in a process of its own: ``python prune_full_disk.py FOLDER``, a small disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.plan import Scan
from colonnade.errors import StoreError
from colonnade.schemas import SPANS

CUTOFF = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLD, YOUNG = CUTOFF - timedelta(hours=9), CUTOFF + timedelta(hours=1)
LEFT = 64 * 1024


def spans(names: range, start: datetime) -> list[dict[str, Any]]:
    """Traces of one span, each with twenty kilobytes that do not get smaller."""
    return [
        {
            "traceId": f"t{number}",
            "spanId": "1",
            "name": "n",
            "startedAt": start,
            "endedAt": start,
            "input": os.urandom(10_000).hex(),
        }
        for number in names
    ]


def free(folder: Path) -> int:
    """Bytes that can still be written."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def main(folder: Path) -> None:
    """Fill the disk, prune, and look whether what is young is there and the room is back."""
    path = folder / "agent"
    store: Any = colonnade.open(path)
    for parts in ([spans(range(600), OLD)], [spans(range(600, 700), OLD), spans(range(700, 800), YOUNG)]):
        for part in parts:
            store.observability.batch_create_spans(records=part)
        store.stores[0].optimize(merge=False)
    store.observability.batch_create_spans(records=spans(range(800, 820), OLD) + spans(range(820, 840), YOUNG))
    with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while free(folder) > LEFT:
            ballast.write(bytes(4096))
    try:
        store.observability.batch_create_spans(records=spans(range(900, 990), YOUNG))
    except StoreError:
        pass
    else:
        raise AssertionError("the disk is not full")
    before = free(folder)
    pruned = store.prune(older_than=CUTOFF)
    assert pruned.traces == 720, pruned
    expected = {f"t{number}" for number in (*range(700, 800), *range(820, 840))}
    assert set(store.execute(Scan(SPANS, columns=("traceId",))).column(0).to_pylist()) == expected
    given = free(folder) - before
    assert given > 600 * 10_000, (given, pruned)
    store.close()
    with colonnade.open(path) as again:
        again.optimize()
        assert set(again.execute(Scan(SPANS, columns=("traceId",))).column(0).to_pylist()) == expected
    assert colonnade.fsck(path, full=True).clean


if __name__ == "__main__":
    main(Path(sys.argv[1]))
