"""Values between plans and SQLite, which knows neither times nor booleans nor arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import Scan
from colonnade.engine.relational import rows_of
from colonnade.schemas.columns import EPOCH, MICROSECOND
from colonnade.schemas.few import FewRows

_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timestamp": lambda micros: EPOCH + micros * MICROSECOND,
    "boolean": bool,
}
"""What makes a value of one that SQLite holds, where they differ."""


def bound(value: Any) -> Any:
    """A value as SQLite holds it: a time as microseconds since the epoch, an array as JSON."""
    match value:
        case datetime():
            return (value - EPOCH) // MICROSECOND
        case bool():
            return int(value)
        case list():
            return json.dumps([bound(item) for item in value], ensure_ascii=False)
    return value


def tuples(data: pa.Table | FewRows) -> Iterable[tuple[Any, ...]]:
    """Rows as SQLite binds them."""
    if isinstance(data, FewRows):
        return zip(*([bound(value) for value in values] for values in data.columns.values()), strict=True)
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type) else column
        for column in data.columns
    ]
    return rows_of(pa.Table.from_arrays(columns, names=data.column_names))


def few(rows: list[tuple[Any, ...]], plan: Scan) -> FewRows:
    """What a scan fetched, as Python values."""
    names, columns = plan.projection, plan.table.columns
    values: dict[str, tuple[Any, ...]] = dict.fromkeys(names, ())
    if rows:
        values = dict(zip(names, zip(*rows, strict=True), strict=True))
    for name in names:
        if read := _READERS.get(columns[name].kind.name):
            values[name] = tuple(None if value is None else read(value) for value in values[name])
    return FewRows(plan.table, values, len(rows))


def arrow(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """What was fetched, as Arrow."""
    if not rows:
        return schema.empty_table()
    arrays = []
    for values, declared in zip(zip(*rows, strict=True), schema, strict=True):
        through = pa.types.is_timestamp(declared.type) or pa.types.is_boolean(declared.type)
        array = pa.array(values, pa.int64() if through else declared.type)
        arrays.append(array.cast(declared.type) if through else array)
    return pa.Table.from_arrays(arrays, schema=schema)
