"""Check Arrow data against a table's schema: the columnar twin of ``records.encode``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table, unknown_column

_ZERO: Final = pa.scalar(0, pa.int32())  # made once: making a scalar costs more than comparing with it


def check(table: Table, data: pa.Table) -> pa.Table:
    """The data in exactly the table's schema, in its column order; ``InvalidRows`` lists every bad row.

    Types are cast where nothing is lost (``large_string`` to ``string``, int32 to int64, another time zone to UTC).
    """
    if unknown := [name for name in data.column_names if name not in table.columns]:
        raise InvalidInput("; ".join(unknown_column(name, table.name, table.columns) for name in unknown))
    if missing := [name for name in table.columns if name not in data.column_names]:
        raise InvalidInput(f"{table.name}: columns are missing: {', '.join(missing)}")
    columns = []
    problems: list[Problem] = []
    for column in table.columns.values():
        array = _cast(table, column, data.column(column.name))
        problems.extend(_problems(column, array))
        columns.append(array)
    if problems:
        raise InvalidRows(table.name, sorted(problems, key=lambda problem: problem.row))
    return pa.Table.from_arrays(columns, schema=table.schema)


def _cast(table: Table, column: Column, array: pa.ChunkedArray) -> pa.ChunkedArray:
    if array.type == column.kind.arrow:
        return array
    if pa.types.is_timestamp(array.type) and array.type.tz is None and column.kind.name == "timestamp":
        raise InvalidInput(f"{table.name}: {column.name} has no time zone; cast it to {column.kind.arrow}")
    try:
        return array.cast(column.kind.arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInput(
            f"{table.name}: {column.name} is {array.type} and cannot become {column.kind.arrow}: {error}"
        ) from None


def _problems(column: Column, array: pa.ChunkedArray) -> Iterator[Problem]:
    import pyarrow.compute as pc

    bad: list[tuple[pa.ChunkedArray, str]] = []
    if not column.nullable and array.null_count:
        bad.append((array.is_null(), "is required"))
    if column.identifier:
        bad.append((pc.match_substring(array, "\0"), "holds a NUL, which no identifier may"))
        bad.append((pc.equal(pc.binary_length(array), _ZERO), "must not be empty"))
    if column.kind.name == "float":
        bad.append((pc.invert(pc.is_finite(array)), "must be a finite number"))
    for where, message in bad:
        places = pc.indices_nonzero(where)
        yield from (Problem(place, column.api, message) for place in places.to_pylist())
