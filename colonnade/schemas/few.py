"""A few rows as Python values: where Arrow would cost more than the rows are worth.

Making an Arrow array takes longer than SQLite takes for a row. What the memory and workflow domains read and write is
mostly one row, or some twenty, so there plans may carry such rows instead of a ``pa.Table``, between domains that deal
in records and stores whose drivers deal in Python values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from colonnade.schemas.payloads import from_json, unescape_text
from colonnade.schemas.table import Table

Change = tuple[int, Callable[[Any], Any]]
"""The place of a column, and what makes another value of each that is not null there."""
Read = tuple[str, Callable[[Any], Any]]
"""The name of a column in records, and what makes their value of each that is not null there."""


class FewRows:
    """Rows of a table, some of its columns, in stored form: JSON as text, times as datetimes."""

    __slots__ = ("names", "rows", "table")

    def __init__(self, table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """``names`` are those of the columns in the table, and each row has a value for each, in that order."""
        self.table = table
        self.names = names
        self.rows = rows

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return len(self.rows)

    def arrow(self) -> pa.Table:
        """The same rows, in the table's Arrow types."""
        schema = self.table.schema_of(self.names)
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.names)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def records(self) -> list[dict[str, Any]]:
        """The rows as records: API field names, JSON decoded."""
        names, reads = _reading(self.table, self.names)
        records = [dict(zip(names, row, strict=True)) for row in self.rows]
        for name, read in reads:
            for record in records:
                if (value := record[name]) is not None:
                    record[name] = read(value)
        return records


def changed(rows: Sequence[Sequence[Any]], changes: Sequence[Change]) -> Sequence[Sequence[Any]]:
    """Rows with some of their values made anew."""
    return [_changed(row, changes) for row in rows] if changes else rows


def _changed(row: Sequence[Any], changes: Sequence[Change]) -> list[Any]:
    values = list(row)
    for place, change in changes:
        if (value := values[place]) is not None:
            values[place] = change(value)
    return values


def changes(table: Table, names: Sequence[str], by_kind: Mapping[str, Callable[[Any], Any]]) -> tuple[Change, ...]:
    """What is to be done with columns of some kinds, at their places among ``names``."""
    kinds = [table.columns[name].kind.name for name in names]
    return tuple((place, by_kind[kind]) for place, kind in enumerate(kinds) if kind in by_kind)


@lru_cache(maxsize=256)
def _reading(table: Table, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Read, ...]]:
    """The names that records give to columns, and how the values of some of them are read."""
    columns = [table.columns[name] for name in names]
    reads = [(each.api, _READERS.get(each.kind.name)) for each in columns if not each.identifier]
    return tuple(each.api for each in columns), tuple((name, read) for name, read in reads if read is not None)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {"json": from_json, "text": unescape_text}
"""What makes a record's value of a stored one, where they differ."""
