"""Writing a segment: rows in order, compressed column by column, with its index and its small table of root spans."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.relational import create_table
from colonnade.engine.stores.embedded.folder import Segment, sync_folder
from colonnade.engine.stores.embedded.index import index_path, write_index
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.segments import (
    GROUP,
    PLACE,
    ROOTS,
    TIME,
    VERSION_COLUMN,
    connect,
    quoted,
    translated,
)
from colonnade.errors import StoreError
from colonnade.schemas import SPANS, table_named
from colonnade.schemas.table import Table

BLOCK_SIZE: Final = 65_536
"""Bytes of a block. DuckDB's own 256 KiB leave half of many blocks empty where a row group is this small, and whoever
reads a row for the first time reads a block of each column."""
MEMORY: Final = "512MB"
"""What DuckDB may take while it writes: some row groups; blocks of segments that were copied are let go beyond that."""
_COPIED: Final = 4 * GROUP
"""Rows that are copied from one segment to another at once."""
_TAKEN: Final = 4_096
"""Rows that are put in order at once: memory that is used again is several times faster than new memory ..."""
_SCATTERED: Final = 8
"""... unless they lie scattered among more than so many times their number."""
_ROOTS: Final = (
    f"CREATE TABLE segment.{ROOTS} AS SELECT {', '.join(map(DUCKDB.ident, SPANS.light))}, {VERSION_COLUMN}, "
    f'rowid AS {PLACE} FROM segment.spans WHERE "parentSpanId" IS NULL'
)


def places_in_order(table: Table, rows: pa.Table, parts: int) -> list[pa.Array]:
    """Where the rows are that a segment has first, second ...: in the order of time, but the spans of a trace together,
    at the time at which it began. For some segments, as even ``parts`` as can be, of which none shares a trace.

    Only the columns that say so are sorted; DuckDB's own sort carries the payloads along and takes twice the time.
    """
    time = TIME[table.name]
    if table.name == "spans":
        traces = rows.column("traceId").combine_chunks().dictionary_encode()
        started = pa.table({"trace": traces.indices, time: rows.column(time)})
        begun = started.group_by("trace").aggregate([(time, "min")]).sort_by("trace").column(f"{time}_min")
        keys = started.append_column("begun", begun.take(traces.indices)).append_column("id", rows.column("spanId"))
        by = ["begun", "trace", time, "id"]
    else:
        keys, by = rows.select([time, "id"]), [time, "id"]
    places = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in by]).cast(pa.int64())
    ends = [len(places) * part // parts for part in range(1, parts)]
    if table.name == "spans" and ends:
        of = traces.indices.take(places)
        ends = [_end_of(of, end) for end in ends]
    return [places.slice(start, end - start) for start, end in pairwise([0, *ends, len(places)])]


def _end_of(groups: pa.Array, place: int) -> int:
    """Where the group that a place lies in ends."""
    beyond = pc.index(pc.not_equal(groups.slice(place), groups[place]), True).as_py()
    return len(groups) if beyond < 0 else place + int(beyond)


def _taken(rows: pa.Table, places: pa.Array) -> Iterator[pa.RecordBatch]:
    """Rows at some places, a few at a time. Spans come nearly in order, so those of one time lie near one another."""
    for start in range(0, len(places), _TAKEN):
        some = places.slice(start, _TAKEN)
        ends = pc.min_max(some).as_py()
        first, among = ends["min"], ends["max"] - ends["min"] + 1
        if among > _SCATTERED * len(some):
            rows = rows.combine_chunks()  # once: what is one chunk already is not copied
            yield from rows.take(some).to_batches()
        else:
            near = rows.slice(first, among).combine_chunks()
            yield from near.take(pc.subtract(some, first)).to_batches()


class SegmentWriter:
    """Writes one segment, whole or not at all: ``with SegmentWriter(path) as writer: ...; writer.finish()``."""

    def __init__(self, path: Path, empty: Mapping[str, Collection[str]] | None = None) -> None:
        """``empty`` names, by table, columns that will hold nothing: zstd would take four bytes a row for them."""
        self.path = path
        self._empty = empty or {}
        self._sources = 0
        self.rows = dict.fromkeys(TIME, 0)
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> SegmentWriter:
        self._unfinished.unlink(missing_ok=True)
        self._connection = connect()
        try:
            with self._written():
                self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        # One thread keeps the rows in order and the row groups full, and leaves the other cores to the agent.
        self._connection.execute("SET threads = 1")
        self._connection.execute(f"SET memory_limit = '{MEMORY}'")
        options = f"ROW_GROUP_SIZE {GROUP}, BLOCK_SIZE {BLOCK_SIZE}"
        self._connection.execute(f"ATTACH '{quoted(self._unfinished)}' AS segment ({options})")
        self._connection.execute("BEGIN TRANSACTION")
        for table in TABLES.values():
            besides = [f"{VERSION_COLUMN} BIGINT NOT NULL"]
            ddl = create_table(DUCKDB, table, self._empty.get(table.name, ()), besides)
            self._connection.execute(ddl.replace(f'"{table.name}" (', f'segment."{table.name}" (', 1))

    def insert(self, table: Table, rows: pa.Table) -> None:
        """Add rows in their order."""
        self._add(table, rows, rows.num_rows)

    def _add(self, table: Table, rows: pa.Table | pa.RecordBatchReader, count: int) -> None:
        with self._written():
            # What is registered by a name within a transaction would stay in memory until its end.
            self._connection.from_arrow(rows).insert_into(f"segment.{table.name}")
        self.rows[table.name] += count

    def take(self, table: Table, rows: pa.Table, places: pa.Array) -> None:
        """Add the rows at some places, in this order."""
        self._add(table, pa.RecordBatchReader.from_batches(rows.schema, _taken(rows, places)), len(places))

    def copy(self, source: Path, conditions: Mapping[str, str]) -> Iterator[None]:
        """Add the rows of another segment for which a table's condition holds; a step at a time, to be paused."""
        run = self._connection.execute
        with translated(source.name):
            run(f"ATTACH '{quoted(source)}' AS source{self._sources} (READ_ONLY)")  # until the transaction ends
        for table in TABLES.values():
            rows = f'source{self._sources}."{table.name}"'
            count = int(run(f"SELECT count(*) FROM {rows}").fetchall()[0][0])
            for start in range(0, count, _COPIED):
                where = f"rowid BETWEEN {start} AND {start + _COPIED - 1} AND {conditions.get(table.name, 'TRUE')}"
                with self._written():
                    copied = run(f'INSERT INTO segment."{table.name}" SELECT * FROM {rows} WHERE {where}').fetchall()
                self.rows[table.name] += int(copied[0][0])
                yield
        self._sources += 1

    def finish(self) -> Segment:
        """Make it durable, with its index, under its name."""
        index = self._unfinished.with_suffix(".unindexed")
        with self._written():
            self._connection.execute("COMMIT")
            self._connection.execute(_ROOTS)
            segment = _described(self._connection, self.path.name)
            write_index(self._connection, "segment", index)
            self._connection.execute("CHECKPOINT segment")
            self._connection.execute("DETACH segment")
            self._connection.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        index.rename(index_path(self.path))
        self._unfinished.rename(self.path)
        sync_folder(self.path.parent)
        return segment

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise StoreError(f"{self.path} could not be written, and nothing is lost: {error}") from error

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        for left in (self._unfinished, Path(f"{self._unfinished}.wal"), self._unfinished.with_suffix(".unindexed")):
            left.unlink(missing_ok=True)


def write_segments(paths: Sequence[Path], tables: Mapping[str, pa.Table]) -> list[Segment]:
    """Write segments of rows that come in any order, all at the same time, or none: each takes about one core.

    They may become fewer, for the rows of a trace stay together.
    """
    empty = {
        name: [column for column in rows.column_names if rows.column(column).null_count == rows.num_rows]
        for name, rows in tables.items()
    }
    places = {name: places_in_order(table_named(name), rows, len(paths)) for name, rows in tables.items()}

    def write(part: int) -> Segment:
        with SegmentWriter(paths[part], empty) as writer:
            for table in TABLES.values():
                if table.name in tables:
                    writer.take(table, tables[table.name], places[table.name][part])
            return writer.finish()

    parts = [part for part in range(len(paths)) if any(len(of[part]) for of in places.values())]
    if len(parts) == 1:
        return [write(parts[0])]
    with ThreadPoolExecutor(len(parts), "colonnade-seal") as pool:
        written = [pool.submit(write, part) for part in parts]
    try:
        return [each.result() for each in written]
    except BaseException:
        for path in paths:
            for left in (path, index_path(path)):
                left.unlink(missing_ok=True)
        raise


def _described(connection: duckdb.DuckDBPyConnection, file: str) -> Segment:
    rows: dict[str, int] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for name, time in TIME.items():
        ((count, *ends),) = connection.execute(
            f'SELECT count(*), epoch_us(min("{time}")), epoch_us(max("{time}")) FROM segment."{name}"'
        ).fetchall()
        if count:
            rows[name], (first[name], last[name]) = count, ends
    return Segment(file, rows, first, last)
