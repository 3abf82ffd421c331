"""Rows as documents, and back.

A document has a field for each column that is not null, under the column's name. A time is a BSON date, which any tool
of MongoDB shows, sorts and expires, and keeps milliseconds; what is left of the microsecond, if anything, is a number
in a field beside it (``createdAtMicros``). JSON is the text that it is everywhere, so no key of a payload ever becomes
a field's name. A vector is BSON's own, of 32-bit floats.

What Mastra itself wrote is read too: JSON as objects, whole numbers as doubles.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.sqlite_values import stored_values
from colonnade.schemas.kinds import Column
from colonnade.schemas.moments import micros_of, moment_of
from colonnade.schemas.payloads import to_json
from colonnade.schemas.table import Table
from colonnade.schemas.values import parse_timestamp

Document = dict[str, Any]

_FLOATS: Final = b"\x27\x00"
"""What a vector of 32-bit floats begins with: its type, and that no bits are left over."""
_VECTOR: Final = 9
"""The subtype of binary that vectors are."""


def micros_field(name: str) -> str:
    """Where the microseconds of a time are that its date has no room for; missing where there are none."""
    return f"{name}Micros"


def fields_of(column: Column) -> tuple[str, ...]:
    """The fields that hold a column."""
    return (column.name, micros_field(column.name)) if column.kind.name == "timestamp" else (column.name,)


def id_of(table: Table, row: Mapping[str, Any]) -> Any:
    """The ``_id`` of a row's document: its key, or the parts of it in their order."""
    return row[table.key[0]] if len(table.key) == 1 else {name: row[name] for name in table.key}


def date_of(micros: int) -> tuple[Any, int]:
    """A time as a BSON date and the microseconds that are left."""
    from bson.datetime_ms import DatetimeMS

    millis, left = divmod(micros, 1000)
    return DatetimeMS(millis), left


def value_of(column: Column, value: Any) -> Any:
    """A value that is not null and no time, as documents hold it."""
    if column.kind.name == "bigint":
        from bson.int64 import Int64

        return Int64(value)
    return vector_of(value) if column.kind.name == "vector" else value


def vector_of(numbers: Sequence[float]) -> Any:
    """A vector as BSON has it."""
    from bson.binary import Binary

    return Binary(_FLOATS + struct.pack(f"<{len(numbers)}f", *numbers), _VECTOR)


def fields_for(table: Table, values: Mapping[str, Any]) -> Document:
    """Fields for values of some columns, ``None`` for those that a document then has not."""
    document: Document = {}
    for name, value in values.items():
        column = table.columns[name]
        if column.kind.name == "timestamp":
            date, left = (None, 0) if value is None else date_of(micros_of(value))
            document |= {name: date, micros_field(name): left or None}
        else:
            document[name] = None if value is None else value_of(column, value)
    return document


def documents(table: Table, data: pa.Table) -> list[Document]:
    """Rows as documents, without ``_id``; a null is no field."""
    from bson.binary import Binary
    from bson.int64 import Int64

    names: list[str] = []
    values: list[Sequence[Any]] = []
    stored = stored_values(data)
    for name, column in table.columns.items():
        found = stored.column(name).to_pylist()
        names.append(name)
        match column.kind.name:
            case "timestamp":
                parts = [(None, None) if each is None else date_of(each) for each in found]
                values.append([date for date, _ in parts])
                names.append(micros_field(name))
                found = [left or None for _, left in parts]
            case "bigint":
                found = [None if each is None else Int64(each) for each in found]
            case "boolean":
                found = [None if each is None else bool(each) for each in found]
            case "vector":
                found = [None if each is None else Binary(_FLOATS + each, _VECTOR) for each in found]
        values.append(found)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*values, strict=True)
    ]


def arrow_rows(found: Sequence[Mapping[str, Any]], table: Table, schema: pa.Schema) -> pa.Table:
    """Documents as rows, column by column."""
    if not found:
        return schema.empty_table()
    arrays = [_array(found, table.columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(found: Sequence[Mapping[str, Any]], column: Column, kind: pa.DataType) -> pa.Array:
    values = [document.get(column.name) for document in found]
    match column.kind.name:
        case "timestamp":
            left = micros_field(column.name)
            micros = [
                None if value is None else _micros(value) + document.get(left, 0)
                for value, document in zip(values, found, strict=True)
            ]
            return pa.array(micros, pa.int64()).cast(kind)
        case "vector":
            return _vectors(values, kind)
        case "json":
            return pa.array([value if value is None or type(value) is str else _json(value) for value in values], kind)
    read = _READERS.get(column.kind.name)
    return pa.array([None if value is None else read(value) for value in values] if read else values, kind)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {"integer": int, "bigint": int, "float": float}
"""What makes a column's value of any number: JavaScript knows doubles only."""


def _micros(value: Any) -> int:
    return micros_of(parse_timestamp(value)) if isinstance(value, str) else int(value) * 1000


def _json(value: Any) -> str:
    return to_json(_plain(value))


def _plain(value: Any) -> Any:
    """What Mastra kept as an object, as JSON has it."""
    from bson.datetime_ms import DatetimeMS
    from bson.objectid import ObjectId

    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case DatetimeMS():
            return moment_of(int(value) * 1000).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case ObjectId():
            return str(value)
    return value


def _vectors(values: Sequence[Any], kind: pa.ListType) -> pa.Array:
    raw = [None if value is None else _floats(value) for value in values]
    whole = b"".join(value for value in raw if value is not None)
    numbers = pa.Array.from_buffers(pa.float32(), len(whole) // 4, [None, pa.py_buffer(whole)])
    ends = pa.array([0, *accumulate(len(value or b"") // 4 for value in raw)], pa.int32())
    return pa.ListArray.from_arrays(ends, numbers, kind, mask=pa.array([value is None for value in raw], pa.bool_()))


def _floats(value: Any) -> bytes:
    """The bytes of a vector: of BSON's own, or of a list of numbers, as others write it."""
    if isinstance(value, bytes):
        return bytes(value[2:])
    return struct.pack(f"<{len(value)}f", *value)
