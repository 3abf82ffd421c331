"""Exports: rows a second into Arrow and Polars beside DuckDB's own, beside what the peers give to pandas, and the
memory that a large Parquet file takes while it is written.

The floor is ``to_arrow_table`` of one plain DuckDB file of the same rows, for Polars too: making a frame of the Arrow
is not counted for the floor, only for ours. What it takes DuckDB has a row of its own (``.pl()``). Each runs in a
process of its own, in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import colonnade
from bench import floors, kept, measure
from bench.findings import Finding, Run, Target, at_least_times, at_most
from bench.peers import PEERS, measured
from bench.reads import LIGHT, named
from colonnade.engine.plan import Put
from colonnade.schemas import SPANS

FLOOR: Final = at_least_times(0.8)
PEER: Final = at_least_times(100)
MIB: Final = 2**20
PEER_SPANS: Final = 10_000
TURNS: Final = 3
"""Each run is so many turns: an export takes half a second, and two threads of it are not always on two cores."""
PARQUET_TIMES: Final = 5
"""The Parquet file has so many times the rows of this run."""
SELECTED: Final = {"light": LIGHT, "all": "*"}


def main(run: Run) -> None:
    """Frames of light spans and of full ones, a Parquet file, and the peers."""
    _frames(run, "light", run.rows)
    _frames(run, "all", run.rows)
    if run.full:
        _frames(run, "all", run.full, kept.FULL_SIZE)
    _parquet(run, run.rows * PARQUET_TIMES)
    if run.peers:
        _peers(run)
    else:
        run.skip("exports of Phoenix and MLflow (--quick and --no-peers leave them out)")


def _frames(run: Run, columns: str, rows: int, size: int = 0) -> None:
    store, plain = kept.store(run, rows, size) / "agent", kept.plain_duckdb(run, rows, size)
    seen: dict[str, list[dict[str, float]]] = {"Arrow": [], "Polars": [], "DuckDB": [], "DuckDB .pl()": []}
    of = f"{named(rows)} spans" + (f" of {size / 1000:g} KB" if size else "")
    with run.doing(f"exporting {columns} columns of {of}"):
        measure.warm(store, plain)
        for _ in range(TURNS * run.repeats):
            for form in ("Arrow", "Polars"):
                seen[form].append(measure.in_fresh(ours, store=str(store), form=form, columns=columns))
            seen["DuckDB"].append(measure.in_fresh(duckdb, plain=str(plain), columns=columns))
            seen["DuckDB .pl()"].append(measure.in_fresh(duckdb, plain=str(plain), columns=columns, polars=True))
    for form in ("Arrow", "Polars"):
        _rate(run, f"to {form}, {columns} columns, {of}", rows, seen, form, FLOOR)
    beside = [measure.median([rows / each["wall"] for each in seen[name]]) for name in ("Polars", "DuckDB .pl()")]
    what = f"to Polars, {columns} columns, {of}, beside a frame of DuckDB's"
    run.found(Finding("export", what, beside[0], "rows/s", beside[1], "DuckDB .pl()"))


def _rate(run: Run, what: str, rows: int, seen: dict[str, list[dict[str, float]]], form: str, target: Target) -> None:
    for by, unit, aim in (("wall", "rows/s", target), ("cpu", "rows/s a core", None)):
        rates = {name: measure.median([rows / each[by] for each in took]) for name, took in seen.items()}
        detail = {"runs": {name: seen[name] for name in (form, "DuckDB")}}
        run.found(Finding("export", what, rates[form], unit, rates["DuckDB"], "DuckDB to_arrow_table", aim, detail))


def ours(store: str, form: str, columns: str) -> dict[str, float]:
    """One read of all spans, warmed by a glance at the store."""
    with colonnade.open(store) as opened:
        chosen = opened.spans if columns == "light" else opened.spans.with_payloads()
        read: dict[str, Any] = {
            "Arrow": lambda of: of.to_arrow(max_bytes=None).num_rows,
            "Polars": lambda of: of.to_polars(max_bytes=None).height,
        }
        read[form](chosen.limit(1))
        with measure.spent() as took:
            rows = read[form](chosen)
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}


def duckdb(plain: str, columns: str, polars: bool = False) -> dict[str, float]:
    """The same of one plain table."""
    connection = floors.duckdb_file(Path(plain), read_only=True)
    statement = f"SELECT {SELECTED[columns]} FROM spans"
    read: Any = (lambda sql: connection.sql(sql).pl().height) if polars else _to_arrow(connection)
    read(f"{statement} LIMIT 1")
    with measure.spent() as took:
        rows = read(statement)
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}


def _to_arrow(connection: Any) -> Any:
    return lambda sql: connection.sql(sql).to_arrow_table().num_rows


def _parquet(run: Run, rows: int) -> None:
    store, path = kept.store(run, rows) / "agent", run.scratch("export.parquet")
    with run.doing(f"writing {named(rows)} spans into a Parquet file"):
        seen = measure.in_fresh(parquet, store=str(store), path=str(path))
    run.scratch("export.parquet")
    detail = {"rows_per_second": rows / seen["wall"], "bytes": seen["bytes"]}
    what = f"peak RSS of to_parquet, light columns, {named(rows)} spans"
    run.found(Finding("export", what, seen["peak_rss"] / MIB, "MiB", target=at_most(1024), detail=detail))
    run.found(Finding("export", f"to_parquet, light columns, {named(rows)} spans", rows / seen["wall"], "rows/s"))


def parquet(store: str, path: str) -> dict[str, float]:
    """All light columns into one file."""
    with colonnade.open(store) as opened, measure.spent() as took:
        rows = opened.spans.to_parquet(path)
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu, "bytes": Path(path).stat().st_size}


def _peers(run: Run) -> None:
    file = kept.arrow_file(run, PEER_SPANS, kept.SMALL_SIZE)
    place = run.scratch("export-store")
    with run.doing(f"exporting {PEER_SPANS:,} spans of {kept.SMALL_SIZE:,} bytes"):
        measure.in_fresh(fill, store=str(place), file=str(file))
        turns = max(3, run.repeats)
        seen = {
            columns: [measure.in_fresh(ours, store=str(place), form="Polars", columns=columns) for _ in range(turns)]
            for columns in SELECTED
        }
    run.scratch("export-store")
    for peer, (name, _) in PEERS.items():
        if (theirs := measured(run, peer, name, file, PEER_SPANS)) is None:
            continue
        export = theirs["export"]
        for columns, took in seen.items():
            what = f"to a frame, {columns} columns of {PEER_SPANS:,} spans of {kept.SMALL_SIZE / 1000:g} KB"
            rate = measure.median([PEER_SPANS / each["wall"] for each in took])
            detail = {"ours": took, name: export}
            other = export["rows"] / export["wall"]
            run.found(Finding("export", what, rate, "spans/s", other, f"{name} to pandas", PEER, detail))


def fill(store: str, file: str) -> dict[str, float]:
    """A folder with the spans that the peers are given."""
    with colonnade.open(store) as opened:
        for batch in kept.stream(Path(file)):
            opened.execute(Put(SPANS, pa.Table.from_batches([batch])))
        opened.optimize()
    return {"rows": PEER_SPANS}
