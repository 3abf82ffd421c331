"""Rows of any query as text for other programs: a JSON object a line, and columns that CSV can hold.

A query may give what JSON and CSV have no word for: lengths of time are seconds, exact decimals are numbers where a
float holds them and text where none does, NaN and infinities are null, bytes are hexadecimal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import pyarrow as pa


def json_line(value: object) -> str:
    """A row, or what is in one, as JSON without a line break."""
    import orjson

    try:
        return orjson.dumps(value, default=_word, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # whole numbers beyond 64 bits
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """The types of columns in CSV: lists and the like are JSON text, lengths of time seconds."""
    return pa.schema([field.with_type(_flat_type(field.type)) for field in schema])


def flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch as ``flat_schema`` has it."""
    return pa.RecordBatch.from_arrays([_flat(column) for column in batch.columns], schema=flat_schema(batch.schema))


def _flat_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_nested(kind):
        return pa.string()
    return pa.float64() if pa.types.is_duration(kind) else kind


def _flat(column: pa.Array) -> pa.Array:
    if pa.types.is_nested(column.type):
        texts = [None if each is None else json_line(each) for each in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_duration(column.type):
        import pyarrow.compute as pc

        return pc.divide(column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    return column


def _word(value: object) -> Any:
    """What JSON has for a value that it does not know."""
    match value:
        case Decimal() if not value.is_finite():
            return None
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case Decimal():
            return float(value) if Decimal(repr(float(value))) == value else str(value)
        case timedelta():
            return value.total_seconds()
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
    return str(value)


def _plain(value: object) -> Any:
    match value:
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float():
            return value if isfinite(value) else None
        case str() | bool() | int() | None:
            return value
        case Decimal():
            return _plain(_word(value))
    return _word(value)
