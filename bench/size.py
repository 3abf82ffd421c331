"""How many bytes a span takes on disk, against Parquet (zstd, level 3) of the same rows, and whether that grows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench import floors, kept, measure
from bench.findings import Finding, Run, at_most_times
from bench.reads import named

WHAT: Final = {0: "light spans", kept.SMALL_SIZE: "1.7 KB spans", kept.FULL_SIZE: "3 KB spans"}


def main(run: Run) -> None:
    """Light spans, shorter and longer full ones; then the largest store against the smallest."""
    for size, what in WHAT.items():
        rows = run.full if size else run.rows
        store = _store_bytes(kept.store(run, rows, size))
        path = run.scratch("size.parquet")
        with run.doing(f"writing {rows:,} {what} to Parquet"):
            measure.in_fresh(write_parquet, path=str(path), rows=rows, size=size)
        parquet = measure.folder_bytes(path) / rows
        run.scratch("size.parquet")
        made = measure.folder_bytes(kept.plain_duckdb(run, rows, size)) / rows
        detail = {"rows": rows, "plain_duckdb": made, "folder": store}
        what = f"bytes a span, {what}"
        run.found(Finding("size", what, store / rows, "B", parquet, "Parquet", at_most_times(1.15), detail))
    least, most = run.sizes[0], run.sizes[-1]
    if most > least:
        ours, other = (_store_bytes(kept.store(run, rows)) / rows for rows in (most, least))
        what = f"bytes a span, {named(most)} against {named(least)}"
        run.found(Finding("size", what, ours, "B", other, f"at {named(least)}", at_most_times(1.15)))


def write_parquet(path: str, rows: int, size: int) -> None:
    """Runs in a process of its own, for the memory it takes."""
    floors.parquet(Path(path), kept.spans(rows, size))


def _store_bytes(path: Path) -> int:
    return measure.folder_bytes(path / "agent")
