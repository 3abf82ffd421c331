"""Arrow columns as SQLite holds them, and back: it knows texts, whole numbers, floats and bytes.

Times are microseconds since the epoch, booleans 0 and 1, vectors the bytes of their 32-bit floats, little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa


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
