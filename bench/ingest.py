"""How fast spans come in: as many as go, sealing included, from Arrow, from dicts and from OpenTelemetry.

Every run has a process and a store of its own; ours and the floors take turns. Spans are made before the clock starts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import colonnade
from bench import floors, kept, measure
from bench.findings import Finding, Run, at_least_times
from colonnade.engine.composite import Storage
from colonnade.engine.plan import Put
from colonnade.engine.stores.embedded.store import EmbeddedStore
from colonnade.schemas import SPANS
from colonnade.schemas.records import decode

BATCH: Final = 1_000
"""Spans in a put at full speed, each durable when it returns."""
SDK_ROWS: Final = "Arrow of the same rows"
EXPORTED: Final = 512
"""Spans in a call from Python: what OpenTelemetry's batch processor exports at once."""


def main(run: Run) -> None:
    """From Arrow, then from Python."""
    _sustained(run)
    _from_python(run)


def _sustained(run: Run) -> None:
    """From Arrow: ours, one plain DuckDB table, SQLite with indexes, a Parquet and an Arrow file."""
    file = kept.arrow_file(run, run.full, kept.FULL_SIZE)
    writers = {
        "ours": from_arrow,
        "DuckDB": into_duckdb,
        "SQLite": into_sqlite,
        "Parquet": into_parquet,
        "Arrow file": into_arrow,
    }
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in writers}
    with run.doing(f"writing {run.full:,} spans of {kept.FULL_SIZE:,} bytes at full speed, {run.repeats} times each"):
        for _ in range(run.repeats):
            for name, write in writers.items():
                seen[name].append(_into(run, write, file))
    rates = _rates(seen)
    what = f"sustained from Arrow, {kept.FULL_SIZE / 1000:g} KB spans, sealed"
    for other, target in (("DuckDB", at_least_times(0.5)), ("SQLite", at_least_times(3)), ("Parquet", None)):
        run.found(Finding("ingest", what, rates["ours"][0], "spans/s", rates[other][0], other, target, {"runs": seen}))
        run.found(Finding("ingest", f"{what}, per CPU-second", rates["ours"][1], "spans", rates[other][1], other))
    accepted = measure.median([each["rows"] / each["accepted"] for each in seen["ours"]])
    what = "the same until all are durable, before sealing ends"
    run.found(Finding("ingest", what, accepted, "spans/s", rates["Arrow file"][0], "Arrow file"))


def _into(run: Run, write: Callable[..., dict[str, float]], file: Path, **how: Any) -> dict[str, float]:
    place = run.scratch("written")
    try:
        seen: dict[str, float] = measure.in_fresh(write, file=str(file), path=str(place), **how)
        return seen
    finally:
        run.scratch("written")  # empty again


def _rates(seen: dict[str, list[dict[str, float]]]) -> dict[str, tuple[float, float]]:
    """Rows a second, and a second of CPU, the middle of the runs."""
    return {
        name: (
            measure.median([each["rows"] / each["wall"] for each in runs]),
            measure.median([each["rows"] / each["cpu"] for each in runs]),
        )
        for name, runs in seen.items()
    }


def from_arrow(file: str, path: str, batch: int = BATCH, rows: int | None = None) -> dict[str, float]:
    """Put the spans of a file into a new store, each put durable when it returns, and have all sealed."""
    done = 0
    embedded = EmbeddedStore(Path(path))
    with colonnade.open(embedded) as opened, measure.spent() as took:
        for part in _head(Path(file), batch, rows):
            opened.execute(Put(SPANS, part))
            done += part.num_rows
        durable = time.perf_counter()
        _seal(embedded)
        sealing = time.perf_counter() - durable
    return _result(path, done, took, sealing)


def into_duckdb(file: str, path: str) -> dict[str, float]:
    """One bulk insert of the same."""
    made = kept.read(Path(file))
    with measure.spent() as took:
        floors.duckdb_insert(Path(path), made)
    return _result(path, made.num_rows, took, 0)


def into_parquet(file: str, path: str) -> dict[str, float]:
    """A Parquet file of the same."""
    made = kept.read(Path(file))
    with measure.spent() as took:
        floors.parquet(Path(path), made.to_batches())
    return _result(path, made.num_rows, took, 0)


def into_arrow(file: str, path: str) -> dict[str, float]:
    """An uncompressed Arrow file of the same, in batches as large as our puts."""
    made = kept.read(Path(file))
    with measure.spent() as took, pa.ipc.new_file(path, SPANS.schema) as written:
        for start in range(0, made.num_rows, BATCH):
            written.write_table(made.slice(start, BATCH).combine_chunks())
    return _result(path, made.num_rows, took, 0)


def into_sqlite(file: str, path: str) -> dict[str, float]:
    """The same in transactions as large as our puts. What makes rows of Arrow is not counted."""
    rows = 0
    took = measure.Spent()
    connection = floors.sqlite_file(Path(path))
    for part in _head(Path(file), BATCH, None):
        made = floors.sqlite_rows(part)
        rows += len(made)
        with measure.spent() as this:
            floors.sqlite_insert(connection, made)
        took += this
    connection.close()
    return _result(path, rows, took, 0)


def _from_python(run: Run) -> None:
    """From dicts and from SDK spans, against the Arrow path with as many rows in batches as large."""
    file = kept.arrow_file(run, run.full, kept.FULL_SIZE)
    some = min(run.full, 61_440)
    paths = {
        "Arrow": from_arrow,
        "Python dicts": from_dicts,
        "Python dicts through a writer": from_writer,
        SDK_ROWS: from_rows_of_otel,
        "OpenTelemetry SDK spans": from_otel,
    }
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in paths}
    with run.doing(f"writing {some:,} spans from Python, {run.repeats} times each"):
        for _ in range(run.repeats):
            for name, path in paths.items():
                seen[name].append(_into(run, path, file, batch=EXPORTED, rows=some))
    rates = _rates(seen)
    for name in (each for each in paths if each not in ("Arrow", SDK_ROWS)):
        what = f"sustained from {name}, sealed"
        # SDK spans become larger rows: their attributes are kept whole beside the columns that are read from them.
        than = SDK_ROWS if paths[name] is from_otel else "Arrow"
        run.found(Finding("ingest", what, rates[name][0], "spans/s", rates[than][0], than))
        detail = {"runs": seen[name], "arrow": seen[than]}
        what = f"{what}, per CPU-second"
        run.found(Finding("ingest", what, rates[name][1], "spans", rates[than][1], than, at_least_times(0.5), detail))
        if than == SDK_ROWS:
            run.found(Finding("ingest", what, rates[name][1], "spans", rates["Arrow"][1], "Arrow of half the bytes"))


def from_dicts(file: str, path: str, batch: int, rows: int) -> dict[str, float]:
    """``batch_create_spans`` of dicts with the API's names, payloads as Python objects."""
    made = [decode(SPANS, part) for part in _head(Path(file), batch, rows)]

    def write(opened: Storage) -> None:
        for part in made:
            opened.observability.batch_create_spans(records=part)

    return _written(path, made, write)


def from_writer(file: str, path: str, batch: int, rows: int) -> dict[str, float]:
    """The same dicts, added one by one to a writer's queue, then flushed."""
    made = [decode(SPANS, part) for part in _head(Path(file), batch, rows)]

    def write(opened: Storage) -> None:
        with opened.writer() as writer:
            for part in made:
                for record in part:
                    writer.add(record)
            writer.flush()

    return _written(path, made, write)


def from_rows_of_otel(file: str, path: str, batch: int, rows: int) -> dict[str, float]:
    """The rows that ``from_otel`` makes of its spans, as Arrow that is there already."""
    from bench.otel import sdk_spans
    from colonnade.ingest.otel import spans_table

    made = [spans_table(sdk_spans(part), datetime.now(UTC)) for part in _head(Path(file), batch, rows)]

    def write(opened: Storage) -> None:
        for part in made:
            opened.execute(Put(SPANS, part))

    return _written(path, made, write)


def from_otel(file: str, path: str, batch: int, rows: int) -> dict[str, float]:
    """The exporter, called as OpenTelemetry's batch processor calls it."""
    from bench.otel import sdk_spans
    from colonnade.ingest.otel import ColonnadeSpanExporter

    made = [sdk_spans(part) for part in _head(Path(file), batch, rows)]

    def write(opened: Storage) -> None:
        exporter = ColonnadeSpanExporter(opened)
        for part in made:
            if exporter.export(part).name != "SUCCESS":
                raise RuntimeError("spans were not written; the log says why")
        exporter.force_flush()

    return _written(path, made, write)


def _written(path: str, made: Sequence[Sized], write: Callable[[Storage], None]) -> dict[str, float]:
    gc.collect()
    gc.freeze()  # they would have been gone long ago, had they not been made ahead
    embedded = EmbeddedStore(Path(path))
    with colonnade.open(embedded) as opened, measure.spent() as took:
        write(opened)
        durable = time.perf_counter()
        _seal(embedded)
        sealing = time.perf_counter() - durable
    gc.unfreeze()  # or DuckDB's bindings complain of leaks when the process ends
    return _result(path, sum(map(len, made)), took, sealing)


def _seal(embedded: EmbeddedStore) -> None:
    """Have everything sealed, now, and merged as far as is due."""
    embedded.optimize(merge=False)
    if left := [log.name for log in embedded.folder.logs.glob("*.log") if log.stat().st_size > 1_000_000]:
        raise RuntimeError(f"{len(left)} logs are not sealed")


def _result(path: str, rows: int, took: measure.Spent, sealing: float) -> dict[str, float]:
    """``accepted`` is when all were durable. Bytes are those of all files."""
    size = measure.folder_bytes(Path(path))
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu, "accepted": took.wall - sealing, "bytes": size}


def _head(file: Path, batch: int, rows: int | None) -> Iterator[pa.Table]:
    """The first spans of a file, so many at a time."""
    made = kept.read(file).slice(0, rows)
    for start in range(0, made.num_rows, batch):
        yield made.slice(start, batch)
