"""Check Arrow data against a table's schema: the columnar twin of ``records.encode``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Final

import pyarrow as pa

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table, unknown_column


@cache
def _zero() -> pa.Scalar:
    # Made once, since making a scalar costs more than comparing with it; and late, since pyarrow's first scalar loads
    # pandas where it is installed.
    return pa.scalar(0, pa.int32())


_FEW: Final = 256  # so many values are looked at sooner in Python than by a kernel, which must be found and called
_CHECKED: Final = frozenset({"float", "uuid", "vector"})
_UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_EXAMPLE: Final = "550e8400-e29b-41d4-a716-446655440000"


def check(table: Table, data: pa.Table) -> pa.Table:
    """The data in exactly the table's schema, in its column order; ``InvalidRows`` lists every bad row.

    Types are cast where nothing is lost (``large_string`` to ``string``, int32 to int64, another time zone to UTC).
    """
    if not data.schema.equals(table.schema, check_metadata=True):
        data = _fitted(table, data)
    problems: list[Problem] = []
    for place, column in enumerate(table.columns.values()):
        if not column.nullable or column.identifier or column.kind.name in _CHECKED:
            problems.extend(_problems(column, data.column(place)))
    if problems:
        raise InvalidRows(table.name, sorted(problems, key=lambda problem: problem.row))
    return data


def _fitted(table: Table, data: pa.Table) -> pa.Table:
    names = data.column_names
    if unknown := [name for name in names if name not in table.columns]:
        raise InvalidInput("; ".join(unknown_column(name, table.name, table.columns) for name in unknown))
    if missing := [name for name in table.columns if name not in names]:
        raise InvalidInput(f"{table.name}: columns are missing: {', '.join(missing)}")
    columns = [_cast(table, column, data.column(column.name)) for column in table.columns.values()]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _cast(table: Table, column: Column, array: pa.ChunkedArray) -> pa.ChunkedArray:
    if array.type == column.kind.arrow:
        return array
    if pa.types.is_timestamp(array.type) and array.type.tz is None and column.kind.name == "timestamp":
        raise InvalidInput(f"{table.name}: {column.name} has no time zone; cast it to {column.kind.arrow}")
    cannot = f"{table.name}: {column.name} is {array.type} and cannot become {column.kind.arrow}"
    if not _is_alike(array.type, column):
        raise InvalidInput(cannot)
    try:
        return array.cast(column.kind.arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInput(f"{cannot}: {error}") from None


def _is_alike(given: pa.DataType, column: Column) -> bool:
    """Whether a type says the same sort of thing: Arrow would also cast 7 to true and "7" to a number."""
    types = pa.types
    if types.is_dictionary(given):
        return _is_alike(given.value_type, column)
    if types.is_null(given):
        return True
    match column.kind.name:
        case "text" | "uuid" | "json":
            return bool(types.is_string(given) or types.is_large_string(given) or types.is_string_view(given))
        case "integer" | "bigint" | "float":
            return bool(types.is_integer(given) or types.is_floating(given))
        case "timestamp":
            return bool(types.is_timestamp(given))
        case "binary":
            return bool(types.is_binary(given) or types.is_large_binary(given) or types.is_fixed_size_binary(given))
        case "vector":
            lists = types.is_list(given) or types.is_large_list(given) or types.is_fixed_size_list(given)
            return bool(lists and types.is_floating(given.value_type))
    return False


def _problems(column: Column, array: pa.ChunkedArray) -> Iterator[Problem]:
    if _is_plain(column, array):
        return
    import pyarrow.compute as pc

    bad: list[tuple[pa.ChunkedArray, str]] = []
    if not column.nullable and array.null_count:
        bad.append((array.is_null(), "is required"))
    if column.identifier:
        bad.append((pc.match_substring(array, "\0"), "holds a NUL, which no identifier may"))
        bad.append((pc.equal(pc.binary_length(array), _zero()), "must not be empty"))
    if column.kind.name == "float":
        bad.append((pc.invert(pc.is_finite(array)), "must be a finite number"))
    if column.kind.name == "uuid":
        bad.append(
            (pc.invert(pc.match_substring_regex(array, _UUID)), f"must be a UUID like {_EXAMPLE}, in lower case")
        )
    if column.kind.name == "vector":
        finite = pc.fill_null(pc.is_finite(pc.list_flatten(array)), False)
        rows = pc.list_parent_indices(array).filter(pc.invert(finite)).unique()
        yield from (Problem(row, column.api, "must hold finite numbers only") for row in rows.to_pylist())
        bad.append((pc.equal(pc.list_value_length(array), _zero()), "must have at least one dimension"))
    for where, message in bad:
        places = pc.indices_nonzero(where)
        yield from (Problem(place, column.api, message) for place in places.to_pylist())


def _is_plain(column: Column, array: pa.ChunkedArray) -> bool:
    """Whether it is plain that nothing is wrong with a column: a fraction of the price of looking at each value."""
    nulls = array.null_count
    if nulls and not column.nullable:
        return False
    if nulls == len(array):
        return True
    if column.identifier:
        return all(map(_are_proper, array.chunks))
    if column.kind.name == "float" and len(array) <= _FEW:
        return math.isfinite(sum(filter(None, array.to_pylist())))
    return column.kind.name not in _CHECKED


def _are_proper(identifiers: pa.Array) -> bool:
    """Whether none is empty and none holds a NUL; False too where a NUL lies beneath a null."""
    if len(identifiers) <= _FEW:
        texts = identifiers.to_pylist()
        return "" not in texts and "\0" not in "".join(filter(None, texts))
    import pyarrow.compute as pc

    _, offsets, data = identifiers.buffers()
    first, last = identifiers.offset, identifiers.offset + len(identifiers)
    ends = memoryview(offsets)[4 * first : 4 * (last + 1)].cast("i")
    if data is not None and b"\0" in data.slice(ends[0], ends[-1] - ends[0]).to_pybytes():
        return False
    return not pc.any(pc.equal(pc.binary_length(identifiers), _zero())).as_py()
