"""Where in a segment the rows of an id lie: sorted hashes in a memory-mapped file beside it.

A look-up by trace, by parent or by key is a few steps of bisection and needs no query: it gives ranges of row ids,
which a query then reads, and tells at once which segments have nothing. The file is an Arrow IPC file with one record
batch for each indexed column: ``hash`` of a value (half of its bits), sorted, the ``first`` row, and the ``count`` of
rows from the first to the last that have it. A range never crosses a multiple of ``BLOCK`` rows: ids that occur all
over stay cheap. Hashes may collide and ranges may hold other rows: whoever reads them compares the ids themselves.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from pathlib import Path
from typing import Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

INDEXED: Final[Mapping[str, tuple[str, ...]]] = {
    "spans": ("traceId", "parentSpanId"),
    "scores": ("id", "traceId"),
    "evals": ("id",),
}
"""The columns of each table by which rows are looked up; the first narrows its key."""
SUFFIX: Final = ".index"
BLOCK: Final = 4096

SCHEMA: Final = pa.schema([("hash", pa.uint32()), ("first", pa.uint32()), ("count", pa.uint16())])
_META: Final = b"colonnade"
_KINDS: Final[Mapping[pa.DataType, Literal["Q", "I", "H"]]] = {
    pa.uint64(): "Q",
    pa.uint32(): "I",
    pa.uint16(): "H",
}
_BITS: Final = 64
_FEW: Final = 32

Range = tuple[int, int]
"""The first and the last row of a range, both within it."""


def index_path(segment: Path) -> Path:
    """The index of a segment."""
    return segment.with_suffix(SUFFIX)


def hash_of(value: str) -> int:
    """The hash of an id, as DuckDB's ``md5_number_lower`` has it."""
    return int.from_bytes(md5(value.encode(), usedforsecurity=False).digest()[8:], "little")


def write_index(connection: duckdb.DuckDBPyConnection, database: str, path: Path, schema: pa.Schema = SCHEMA) -> None:
    """Index the tables of an attached segment, and note which of their columns hold nothing at all.

    A ``schema`` with wider hashes is that of older files.
    """
    shift = _BITS - schema.field("hash").type.bit_width
    batches, said = [], []
    empty: dict[str, list[str]] = {}
    for table, columns in INDEXED.items():
        source = f'{database}."{table}"'
        for column in columns:
            found = connection.sql(
                f'SELECT md5_number_lower("{column}")::UBIGINT >> {shift} AS hash, min(rowid)::UINTEGER AS first, '
                f"(max(rowid) - min(rowid) + 1)::UINTEGER AS count FROM {source} "
                f'WHERE "{column}" IS NOT NULL GROUP BY "{column}", rowid // {BLOCK} ORDER BY hash, first'
            ).to_arrow_table()
            batches.append(
                pa.record_batch(
                    [_whole(column).cast(kind) for column, kind in zip(found.columns, schema.types, strict=True)],
                    schema=schema,
                )
            )
            said.append([table, column])
        names = [name for name, *_ in connection.sql(f"DESCRIBE {source}").fetchall()]
        counting = ", ".join(f'count("{name}")' for name in names)
        counts = connection.sql(f"SELECT {counting} FROM {source}").fetchall()
        empty[table] = [name for name, count in zip(names, counts[0], strict=True) if not count]
    meta = {_META: json.dumps({"columns": said, "empty": empty}).encode()}
    with path.open("wb") as file:
        with pa.ipc.new_file(file, schema.with_metadata(meta)) as writer:
            for batch in batches:
                writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def empty_columns(indexes: Iterable[Path]) -> Mapping[str, frozenset[str]]:
    """By table, the columns that are null in every row of all segments that have these indexes."""
    empty = [Index(path).empty for path in indexes]
    return {table: frozenset.intersection(*(each[table] for each in empty)) for table in INDEXED} if empty else {}


class Index:
    """The index of one segment."""

    def __init__(self, path: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        said = json.loads(reader.schema.metadata[_META])
        self.empty = {table: frozenset(columns) for table, columns in said["empty"].items()}
        """By table, the columns that are null in every row."""
        self._columns = {
            (table, column): _Hashes(reader.get_batch(place)) for place, (table, column) in enumerate(said["columns"])
        }

    def ranges(self, table: str, column: str, values: Iterable[str]) -> list[Range]:
        """Where rows with these values may be: ranges of rows, in order, apart from one another."""
        hashes = self._columns[table, column]
        found = sorted(each for value in values for each in hashes.ranges(hash_of(value)))
        joined: list[Range] = []
        for first, last in found:
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        return joined

    def among(self, table: str, column: str, hashes: Sequence[int]) -> set[int]:
        """Which of these hashes it knows."""
        return self._columns[table, column].among(hashes)


class _Hashes:
    """One indexed column."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch  # which the views below look into
        self._hashes, self._first, self._count = (_view(column, _KINDS[column.type]) for column in batch.columns)
        self._shift = _BITS - batch.column("hash").type.bit_width

    def ranges(self, hash: int) -> list[Range]:
        hash >>= self._shift
        start = bisect_left(self._hashes, hash)
        if start == len(self._hashes) or self._hashes[start] != hash:
            return []
        end = bisect_right(self._hashes, hash, start)
        return [(self._first[at], self._first[at] + self._count[at] - 1) for at in range(start, end)]

    def among(self, hashes: Sequence[int]) -> set[int]:
        if len(hashes) <= _FEW:
            return {hash for hash in hashes if self.ranges(hash)}
        kept = pa.array([hash >> self._shift for hash in hashes], self._batch.column("hash").type)
        known = pc.is_in(kept, self._batch.column("hash")).to_pylist()
        return {hash for hash, is_known in zip(hashes, known, strict=True) if is_known}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def _view(column: pa.Array, kind: Literal["Q", "I", "H"]) -> memoryview[int]:
    data = column.buffers()[1]
    width = column.type.bit_width // 8
    if data is None or not len(column):
        return memoryview(b"").cast(kind)
    return memoryview(data).cast("B")[column.offset * width : (column.offset + len(column)) * width].cast(kind)
