"""What ``import colonnade`` costs over ``import pyarrow``, in fresh interpreters; by itself: ``bench/imports.py``."""

from __future__ import annotations

import tempfile

from bench import measure
from bench.findings import Finding, Run, at_most_times
from bench.imports import FLOOR, MEASURED, TARGET, import_seconds


def main(run: Run) -> None:
    """Both in turn, so that a slow moment falls on both."""
    runs: dict[str, list[float]] = {FLOOR: [], MEASURED: []}
    with run.doing("importing in new processes"), tempfile.TemporaryDirectory() as elsewhere:
        for module in runs:
            import_seconds(module, elsewhere)  # not counted: writes bytecode, fills the disk cache
        for _ in range(5 * run.repeats):
            for module, seconds in runs.items():
                seconds.append(import_seconds(module, elsewhere))
    ours, floor = (measure.median(runs[module]) * 1000 for module in (MEASURED, FLOOR))
    what = f"import {MEASURED}"
    run.found(Finding("loading", what, ours, "ms", floor, FLOOR, at_most_times(TARGET), {"seconds": runs}))
