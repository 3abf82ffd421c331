"""Exports: the rows of a scan or a query into one file, as a stream, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import TRUE, Filter, Scan, between
from colonnade.errors import InvalidInput
from colonnade.queries.lines import flat, flat_schema
from colonnade.queries.times import time_of
from colonnade.schemas.table import Table

FORMATS: Final = ("parquet", "arrow", "csv", "jsonl")
"""Formats by the file's ending; ``.arrow`` is the Arrow IPC file format (Feather)."""


def export_plan(
    table: Table,
    *,
    columns: Iterable[str] | None = None,
    light: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Scan:
    """The scan behind an export: all rows, or those from ``since`` (inclusive) to ``until`` (exclusive).

    ``InvalidInput`` for a column that is not there.
    """
    named = None if columns is None else tuple(table.column(name).name for name in columns)
    chosen = table.light if named is None and light else named
    when = time_of(table)
    where: Filter = TRUE if since is None and until is None else between(when, since, until, end_exclusive=True)
    return Scan(table, where, columns=chosen)


def format_of(path: Path) -> str:
    """The format that a file's ending names; ``InvalidInput`` lists the endings there are."""
    ending = path.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise InvalidInput(f"{path.name} names no format; end it in {', '.join('.' + name for name in FORMATS)}")
    return ending


def write(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    path: Path,
    *,
    progress: Callable[[int], None] = lambda rows: None,
) -> int:
    """Write batches into a file of the format that its name says; how many rows.

    The file appears whole, by rename, or not at all. ``progress`` is told the rows written so far. Parquet is
    compressed with zstd; timestamps stay microseconds in UTC.
    """
    rows = 0
    with writing(path, schema, format_of(path)) as put:
        for batch in batches:
            put(batch)
            rows += batch.num_rows
            progress(rows)
    return rows


@contextmanager
def writing(path: Path, schema: pa.Schema, kind: str) -> Iterator[Callable[[pa.RecordBatch], Any]]:
    """What puts batches into a file of a format, which appears whole when the block ends, or not at all."""
    with _whole(path) as unfinished, _writer(kind, unfinished, schema) as put:
        yield put


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent} is no folder; make it first, then export {path.name} into it")
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _writer(kind: str, path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], Any]]:
    # Each of these modules costs an import that only exports should pay.
    match kind:
        case "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
                yield parquet.write_batch
        case "arrow":
            with pa.ipc.new_file(path, schema) as file:
                yield file.write_batch
        case "csv":
            import pyarrow.csv as csv

            with csv.CSVWriter(path, flat_schema(schema)) as table:
                yield lambda batch: table.write_batch(flat(batch))
        case _:
            with path.open("w", encoding="utf-8") as lines:
                yield lambda batch: lines.writelines(_json_lines(batch))


def _json_lines(batch: pa.RecordBatch) -> Iterator[str]:
    from colonnade.schemas.payloads import to_json

    for row in batch.to_pylist():
        yield to_json(row) + "\n"
