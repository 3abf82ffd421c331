"""The floors: what a careful person builds in an afternoon, tuned by what was measured, without a library on top.

They hold the same rows under the same names. They do less: no check of what comes in, no copies resolved, one process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from colonnade.schemas import SPANS

ROW_GROUP: Final = 30_720
INDEXED: Final = ("traceId", "parentSpanId", "name", "scope")
"""The columns that the source documents index on spans, each with the newest start first."""

_DUCKDB: Final = {"string": "VARCHAR", "int32": "INTEGER", "int64": "BIGINT", "bool": "BOOLEAN", "double": "DOUBLE"}
_SQLITE: Final = {"string": "TEXT", "double": "REAL"}


def duckdb_file(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to a plain file: one table, small row groups, zstd for payloads, neither key nor index."""
    connection = duckdb.connect(config={"python_enable_replacements": "false"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    options = "READ_ONLY" if read_only else f"ROW_GROUP_SIZE {ROW_GROUP}"
    connection.execute(f"ATTACH '{path}' AS plain ({options})")
    connection.execute("USE plain")
    if not read_only:
        columns = ", ".join(f'"{name}" {_duckdb_type(name)}' for name in SPANS.columns)
        connection.execute(f"CREATE TABLE IF NOT EXISTS spans ({columns})")
    return connection


def _duckdb_type(name: str) -> str:
    kind = _DUCKDB.get(str(SPANS.schema.field(name).type), "TIMESTAMPTZ")
    return f"{kind} USING COMPRESSION zstd" if SPANS.columns[name].payload else kind


def duckdb_insert(path: Path, rows: pa.Table | pa.RecordBatchReader) -> None:
    """One bulk insert, and a checkpoint: all rows are in the file then."""
    connection = duckdb_file(path)
    connection.register("incoming", rows)
    connection.execute("INSERT INTO spans SELECT * FROM incoming")
    connection.execute("CHECKPOINT plain")
    connection.close()


def sqlite_file(path: Path) -> sqlite3.Connection:
    """A connection to a file in WAL mode with one table and the indexes of the source documents."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -262144", "mmap_size = 268435456"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    types = {name: str(SPANS.schema.field(name).type) for name in SPANS.columns}
    columns = ", ".join(f'"{name}" {_SQLITE.get(kind, "INTEGER")}' for name, kind in types.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS spans ({columns})")
    for name in INDEXED:
        connection.execute(f'CREATE INDEX IF NOT EXISTS "spans_{name}" ON spans ("{name}", "startedAt" DESC)')
    return connection


def sqlite_insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Rows as one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO spans VALUES ({', '.join('?' * len(SPANS.columns))})", rows)
    connection.execute("COMMIT")


def sqlite_rows(batch: pa.RecordBatch | pa.Table) -> list[tuple[Any, ...]]:
    """Rows as SQLite takes them, times as microseconds."""
    columns = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns)
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def micros(moment: datetime) -> int:
    """A moment as SQLite holds it here."""
    return int(pa.scalar(moment, pa.timestamp("us", "UTC")).value)


def parquet(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """A Parquet file, zstd at level 3."""
    with pq.ParquetWriter(path, SPANS.schema, compression="zstd", compression_level=3) as file:
        for table in _tables(batches):
            file.write_table(table)


def _tables(batches: Iterable[pa.RecordBatch], rows: int = 2 * 61_440) -> Iterator[pa.Table]:
    """Batches put together, so that a row group is of the size that DuckDB and Polars write."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
