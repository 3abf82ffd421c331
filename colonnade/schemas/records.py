"""Records in and out: dicts with the API's field names on one side, Arrow with the store's columns on the other.

``encode`` validates and reports every bad row at once, before anything is written. It works column by column: the usual
case is one pass over each column and one ``pa.array``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas.columns import plain_array, read_column
from colonnade.schemas.few import FewRows
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table, unknown_column
from colonnade.schemas.values import AWARE, parse_timestamp, speller

Record = dict[str, Any]


def encode(table: Table, records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Records (API field names) as an Arrow table of exactly the table's columns.

    Missing and ``None`` fields are null. ``InvalidRows`` lists every problem: unknown fields, nulls where there must be
    none, wrong kinds, naive datetimes, NaN in numbers, NUL in identifiers.
    """
    rows = list(records)
    columns, problems = gather(table, rows)
    return encode_columns(table, columns, len(rows), problems)


def gather(table: Table, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[Any]], list[Problem]]:
    """The fields that records give at all, each as the list of its values in all rows; and the fields that are unknown.

    ``InvalidInput`` where a row is no record.
    """
    known = table.by_api
    given: set[str] = set()
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise _no_record(table, position, row)
        given.update(row)
    problems = []
    if given - known.keys():
        for position, row in enumerate(rows):
            problems += _unknown(table, position, row)
    return {name: [row.get(name) for row in rows] for name in known if name in given}, problems


def _no_record(table: Table, position: int, row: object) -> InvalidInput:
    return InvalidInput(f"{table.name}: row {position} is a {type(row).__name__}, not a dict of fields")


def encode_columns(
    table: Table, columns: Mapping[str, list[Any] | pa.Array], count: int, problems: Iterable[Problem] = ()
) -> pa.Table:
    """Columns of ``count`` values each, by their API names, as an Arrow table; as ``encode`` has it.

    Columns that are missing are null. Those that are Arrow arrays are taken as they are. ``problems`` that are known
    already are reported with those found.
    """
    found = list(problems)
    arrays = []
    for column in table.columns.values():
        values = columns.get(column.api)
        if values is None:
            values = pa.nulls(count, column.kind.arrow) if column.nullable else [None] * count
        if isinstance(values, list):
            plain = plain_array(column, values)
            values = pa.array(_spelled(column, values, found), column.kind.arrow) if plain is None else plain
        arrays.append(values)
    if found:
        raise InvalidRows(table.name, sorted(found, key=lambda problem: problem.row))
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _unknown(table: Table, position: int, row: Mapping[str, Any]) -> list[Problem]:
    """A row's fields that are none of the table's."""
    names = sorted(row.keys() - table.by_api.keys(), key=str)
    said = [f"is unknown: {unknown_column(str(name), table.name, table.by_api)}" for name in names]
    return [Problem(position, str(name), message) for name, message in zip(names, said, strict=True)]


def encode_few(table: Table, records: Iterable[Mapping[str, Any]]) -> FewRows:
    """As ``encode``, without Arrow."""
    problems: list[Problem] = []
    rows = [_row(table, position, row, problems) for position, row in enumerate(records)]
    if problems:
        raise InvalidRows(table.name, sorted(problems, key=lambda problem: problem.row))
    return FewRows(table, table.names, rows)


def _row(table: Table, position: int, row: Mapping[str, Any], problems: list[Problem]) -> list[Any]:
    """A record's values as the table's columns hold them; what is wrong with any goes to the problems."""
    if not isinstance(row, Mapping):
        raise _no_record(table, position, row)
    if not row.keys() <= table.by_api.keys():
        problems += _unknown(table, position, row)
    spelled: list[Any] = []
    spellers = table.spellers
    for name, column in table.by_api.items():
        value = row.get(name)
        if value is not None:
            try:
                value = spellers[column.name](value)
            except (TypeError, ValueError) as error:
                problems.append(Problem(position, name, str(error)))
        elif not column.nullable:
            problems.append(Problem(position, name, "is required"))
        spelled.append(value)
    return spelled


def decode(table: Table, data: pa.Table | FewRows) -> list[Record]:
    """Rows as records: API field names, JSON decoded, timestamps as aware datetimes; null is ``None``.

    ``data`` may hold any of the table's columns.
    """
    if isinstance(data, FewRows):
        return data.records()
    known = table.columns
    columns = [known[name] if name in known else table.column(name) for name in data.schema.names]
    names = [column.api for column in columns]
    records: list[Record] = []
    for batch in data.combine_chunks().to_batches():
        values = map(read_column, columns, batch.columns)
        records += [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return records


def spell_value(table: Table, column: str, value: object) -> Any:
    """One value as the table's column holds it, for predicates and patches; ``InvalidInput`` where it cannot."""
    spell = table.spellers.get(column)
    if value is None or spell is None:
        table.column(column)  # which refuses what is not there
        return None
    try:
        return spell(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{table.name}: {table.column(column).api} {error}") from None


def _spelled(column: Column, values: list[Any], problems: list[Problem]) -> list[Any]:
    """Each value as the column holds it; what is wrong with any of them goes to the problems."""
    spell = speller(column)
    spelled: list[Any] = []
    for position, value in enumerate(values):
        if value is None:
            if not column.nullable:
                problems.append(Problem(position, column.api, "is required"))
            spelled.append(None)
            continue
        try:
            spelled.append(spell(value))
        except (TypeError, ValueError) as error:
            problems.append(Problem(position, column.api, str(error)))
            spelled.append(None)
    return spelled


__all__ = [
    "AWARE",
    "Record",
    "decode",
    "encode",
    "encode_columns",
    "encode_few",
    "gather",
    "parse_timestamp",
    "spell_value",
    "speller",
]
