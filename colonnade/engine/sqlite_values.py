"""Arrow columns as SQLite holds them, and back: it knows texts, whole numbers, floats and bytes.

Times are microseconds since the epoch, booleans 0 and 1, vectors the bytes of their 32-bit floats, little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import Scan
from colonnade.engine.relational import rows_of
from colonnade.schemas.few import Change, FewRows, changed, changes
from colonnade.schemas.moments import micros_of, moment_of
from colonnade.schemas.table import Table

_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timestamp": moment_of,
    "boolean": bool,
    "vector": lambda raw: list(struct.unpack(f"<{len(raw) // 4}f", raw)),
}
"""What makes a value of one that SQLite holds, where they differ."""
_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timestamp": micros_of,
    "boolean": int,
    "vector": lambda values: struct.pack(f"<{len(values)}f", *values),
}
"""And the other way round."""


def bound(value: Any) -> Any:
    """A value as SQLite holds it; several to compare with as JSON."""
    match value:
        case str():
            return value
        case datetime():
            return micros_of(value)
        case bool():
            return int(value)
        case list():
            return json.dumps([bound(item) for item in value], ensure_ascii=False)
    return value


def tuples(data: pa.Table | FewRows) -> Iterable[Sequence[Any]]:
    """Rows as SQLite binds them."""
    if isinstance(data, FewRows):
        return changed(data.rows, _writing(data.table, data.names))
    return rows_of(stored_values(data))


def few_rows(rows: list[tuple[Any, ...]], plan: Scan) -> FewRows:
    """Rows as SQLite gave them, as Python values."""
    names = plan.projection
    return FewRows(plan.table, names, changed(rows, _reading(plan.table, names)))


@lru_cache(maxsize=256)
def _reading(table: Table, names: tuple[str, ...]) -> tuple[Change, ...]:
    return changes(table, names, _READERS)


@lru_cache(maxsize=256)
def _writing(table: Table, names: tuple[str, ...]) -> tuple[Change, ...]:
    return changes(table, names, _WRITERS)


def stored_values(data: pa.Table) -> pa.Table:
    """The rows in types whose Python values SQLite takes as they are."""
    return pa.Table.from_arrays([_stored(column) for column in data.columns], names=data.column_names)


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type):
        return column.cast(pa.int64())
    return _as_bytes(column) if pa.types.is_list(column.type) else column


def arrow_rows(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as SQLite gave them, column by column."""
    if not rows:
        return schema.empty_table()
    arrays = [_array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind) or pa.types.is_boolean(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return _of_bytes(values, kind) if pa.types.is_list(kind) else pa.array(values, kind)


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([_bytes(chunk) for chunk in column.chunks], pa.binary())


def _bytes(vectors: pa.ListArray) -> pa.Array:
    numbers = memoryview(vectors.values.buffers()[1] or b"")[4 * vectors.values.offset :]
    ends = vectors.offsets.to_pylist()
    return pa.array(
        [
            bytes(numbers[4 * start : 4 * end]) if there else None
            for start, end, there in zip(ends, ends[1:], vectors.is_valid().to_pylist(), strict=False)
        ],
        pa.binary(),
    )


def _of_bytes(values: Sequence[bytes | None], kind: pa.ListType) -> pa.Array:
    whole = b"".join(value for value in values if value is not None)
    numbers = pa.Array.from_buffers(pa.float32(), len(whole) // 4, [None, pa.py_buffer(whole)])
    ends = pa.array([0, *accumulate(len(value or b"") // 4 for value in values)], pa.int32())
    nothing = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(ends, numbers, kind, mask=nothing)
