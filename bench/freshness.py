"""How soon another process sees what one has flushed: from the return of the put to the first read that has it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

import pyarrow as pa

import colonnade
from bench import kept, measure
from bench.findings import Finding, Run, at_most
from bench.reads import named
from bench.spans import START, light
from colonnade.engine.plan import Put
from colonnade.schemas import SPANS

PAUSE: Final = 0.02
PATIENCE: Final = 10.0


def main(run: Run) -> None:
    """A writer and a reader over a store of the smallest size."""
    copy = kept.clone(kept.store(run, run.sizes[0]), run.cache / "freshness.clone")
    try:
        with run.doing("writing in one process and reading in another"):
            took = measure.in_fresh(seen, store=str(copy), times=run.times)
    finally:
        kept.remove(copy)
    what = f"until another process sees a flush, over {named(run.sizes[0])}"
    run.found(Finding("freshness", f"{what}, p50", took["p50"], "ms", target=at_most(200), detail=took))
    run.found(Finding("freshness", f"{what}, p99", took["p99"], "ms", target=at_most(200), detail=took))


def seen(store: str, times: int) -> dict[str, float]:
    """Read until each span is there. Runs in a process of its own, and starts the one that writes."""
    command = [sys.executable, "-m", "bench.freshness", store, str(times + 1)]
    took = []
    with (
        colonnade.open(store) as opened,
        subprocess.Popen(command, cwd=measure.ROOT, stdout=subprocess.PIPE, text=True) as writer,
    ):
        assert writer.stdout is not None
        for line in writer.stdout:
            trace, span, returned = line.split()
            until = time.monotonic() + PATIENCE
            while opened.observability.get_span(trace_id=trace, span_id=span) is None:
                if time.monotonic() > until:
                    raise TimeoutError(f"a span that was flushed is not seen after {PATIENCE:.0f} seconds")
            took.append((time.monotonic_ns() - int(returned)) / 1e9)
    if writer.returncode:
        raise RuntimeError("the writer failed; its error is above")
    return measure.summary(measure.Times(took[1:], took[1:]))


def write(store: str, times: int) -> None:
    """Put spans one by one, and say when each was durable. The clock is that of the machine, not of a process."""
    made = pa.Table.from_batches(light(times, seed=2, start=START.replace(year=2027)))
    with colonnade.open(store) as opened:
        for place in range(times):
            time.sleep(PAUSE)
            span = made.slice(place, 1)
            opened.execute(Put(SPANS, span))
            returned = time.monotonic_ns()
            print(span.column("traceId")[0], span.column("spanId")[0], returned, flush=True)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
