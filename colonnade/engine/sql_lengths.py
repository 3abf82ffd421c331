"""Lengths of time in what SQL gives: DuckDB's intervals as Arrow durations, which Polars, pandas and files can hold.

An interval is so many months, days and nanoseconds. What moments differ by has no months, and is exactly a duration.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from colonnade.errors import QueryError

_INTERVAL: Final = pa.month_day_nano_interval()
_LENGTH: Final = pa.duration("us")
_DAY: Final = pa.scalar(86_400_000_000, pa.int64())


def with_lengths(schema: pa.Schema) -> pa.Schema:
    """A schema with durations in the place of intervals."""
    return pa.schema([field.with_type(_LENGTH) if field.type == _INTERVAL else field for field in schema])


def lengths_of(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in the types of ``with_lengths``. ``QueryError`` for an interval that has months: they are of no fixed
    length.
    """
    if batch.schema.equals(schema):
        return batch
    columns = [
        _length(column, field.name) if column.type == _INTERVAL else column
        for field, column in zip(schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _length(column: pa.Array, name: str) -> pa.Array:
    import pyarrow.compute as pc  # a module that only intervals should pay for

    rows, values = len(column), column.buffers()[1]
    halves = pa.Array.from_buffers(pa.int32(), 4 * rows, [None, values], offset=4 * column.offset)
    whole = pa.Array.from_buffers(pa.int64(), 2 * rows, [None, values], offset=2 * column.offset)
    there = pc.is_valid(column)
    months, days = (_where(there, halves.take(pa.array(range(at, 4 * rows, 4), pa.int64()))) for at in (0, 1))
    nanoseconds = _where(there, whole.take(pa.array(range(1, 2 * rows, 2), pa.int64())))
    if pc.any(pc.not_equal(months, 0)).as_py():
        raise QueryError(
            f"{name} is an interval with months, which are of no fixed length: cast it to text, or count days with "
            "date_diff('day', ..., ...)"
        )
    try:
        length = pc.add_checked(pc.multiply_checked(days.cast(pa.int64()), _DAY), pc.divide(nanoseconds, 1000))
    except pa.ArrowInvalid:
        raise QueryError(f"{name} is an interval of more than 292,000 years: cast it to text") from None
    return length.cast(_LENGTH)


def _where(there: pa.Array, values: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(there, values, pa.scalar(None, values.type))
