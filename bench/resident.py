"""How much memory a process holds at most that takes in spans as fast as it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import colonnade
from bench import kept, measure
from bench.findings import Finding, Run, at_most
from bench.ingest import BATCH
from bench.reads import named
from bench.spans import light
from colonnade.engine.plan import Put
from colonnade.engine.stores.embedded.store import EmbeddedStore
from colonnade.schemas import SPANS

MIB: Final = 2**20
AT_ONCE: Final = 10_240
"""Light spans that are made at once: few, for what makes them is in the same process."""


def main(run: Run) -> None:
    """The most light spans of this run, and the full ones."""
    most = run.sizes[-1]
    file = kept.arrow_file(run, run.full, kept.FULL_SIZE)
    for what, bound, how in (
        (f"{named(most)} light spans", 1.3, {"rows": most}),
        (f"{named(run.full)} spans of 3 KB", 2.0, {"rows": run.full, "file": str(file)}),
    ):
        with run.doing(f"taking in {what} at full speed"):
            seen = measure.in_fresh(ingest, store=str(run.scratch("resident")), **how)
        run.scratch("resident")
        rate = {"spans_per_second": seen["rows"] / seen["wall"], "spans_per_cpu_second": seen["rows"] / seen["cpu"]}
        what = f"peak RSS while {what} come in"
        run.found(Finding("resident", what, seen["peak_rss"] / MIB, "MiB", target=at_most(bound * 1024), detail=rate))


def ingest(store: str, rows: int, file: str | None = None) -> dict[str, Any]:
    """Put them as fast as they are accepted and have them sealed; see ``measure.in_fresh`` for the memory."""
    batches = light(rows, batch=AT_ONCE) if file is None else kept.stream(Path(file))
    embedded = EmbeddedStore(Path(store))
    with colonnade.open(embedded) as opened, measure.spent() as took:
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                opened.execute(Put(SPANS, pa.Table.from_batches([batch.slice(start, BATCH)])))
        embedded.optimize(merge=False)
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}
