"""How soon a few spans are safe: a put of Arrow, and a record that is added to a writer and flushed.

Flushes come at a pace, so that what is sealed in the background meets some of them, as it does in an agent.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

import colonnade
from bench import kept, measure
from bench.findings import Finding, Run, at_most
from colonnade.engine.plan import Put
from colonnade.engine.stores.embedded.store import EmbeddedStore
from colonnade.schemas import SPANS
from colonnade.schemas.records import decode

Durability = Literal["process", "power"]

FLUSHED: Final = (1, 20, 200)
P50: Final[dict[str, float]] = {"process": 1, "power": 2}
PACE: Final = 0.005
"""Seconds between flushes: with 200 spans each, 40,000 a second at most."""


def main(run: Run) -> None:
    """Each durability with one, some and many spans."""
    for durability, p50 in P50.items():
        than = "write + fdatasync" if durability == "power" else "write"
        for count in FLUSHED:
            with run.doing(f"flushing {count} spans at a time, {durability}-durable"):
                took = measure.in_fresh(
                    flushes, folder=str(run.scratch("flush")), durability=durability, count=count, times=2 * run.times
                )
            run.scratch("flush")
            ours, floor, writer = took["ours"], took["floor"], took["writer"]
            what = f"flush of {count} spans, {durability}-durable"
            run.found(Finding("flush", f"{what}, p50", ours["p50"], "ms", floor["p50"], than, at_most(p50), took))
            run.found(Finding("flush", f"{what}, p99", ours["p99"], "ms", floor["p99"], than, at_most(10), took))
            run.found(Finding("flush", "the same from dicts through a writer, p50", writer["p50"], "ms", detail=writer))


def flushes(folder: str, durability: Durability, count: int, times: int) -> dict[str, Any]:
    """Put so many spans, append the same to a plain file, add the same to a writer, in turn.

    Runs in a process of its own. The plain file gets each batch as Arrow and nothing else: no checksum, no schema.
    """
    rows = min(20_000, count * (times + 1))
    made = pa.Table.from_batches(kept.spans(rows, kept.FULL_SIZE))
    others = pa.Table.from_batches(kept.spans(min(8_000, rows), kept.FULL_SIZE, seed=1))
    records = decode(SPANS, others)
    place = Path(folder)
    place.mkdir()
    plain = os.open(place / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def part(turn: int) -> pa.Table:
        return made.slice(turn * count % max(1, rows - count), count)

    def write(turn: int) -> None:
        for batch in part(turn).combine_chunks().to_batches():
            os.write(plain, batch.serialize())
        if durability == "power":
            os.fdatasync(plain)

    def rest(turn: int) -> None:
        time.sleep(PACE)

    with (
        colonnade.open(EmbeddedStore(place / "agent", durability=durability)) as opened,
        opened.writer(latency=60) as writer,
    ):

        def add(turn: int) -> None:
            start = turn * count % max(1, len(records) - count)
            writer.extend(records[start : start + count])
            writer.flush()

        took = measure.turns(
            lambda turn: opened.execute(Put(SPANS, part(turn))), rest, write, rest, add, rest, times=times, seconds=20
        )
    os.close(plain)
    return {name: measure.summary(each) for name, each in zip(("ours", "floor", "writer"), took[::2], strict=True)}
