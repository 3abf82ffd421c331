"""A few rows as Python values: where Arrow would cost more than the rows are worth.

Making an Arrow array takes longer than SQLite takes for a row. What the memory and workflow domains read and write is
mostly one row, or some twenty, so there plans may carry such rows instead of a ``pa.Table``, between domains that deal
in records and stores whose drivers deal in Python values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from colonnade.schemas.kinds import Column
from colonnade.schemas.payloads import from_json, unescape_text
from colonnade.schemas.table import Table


class FewRows:
    """Rows of a table, some of its columns, each a list of values in stored form: JSON as text, times as datetimes."""

    __slots__ = ("columns", "num_rows", "table")

    def __init__(self, table: Table, columns: Mapping[str, Sequence[Any]], num_rows: int) -> None:
        """``columns`` by their names in the table, in the order in which they are wanted."""
        self.table = table
        self.columns = columns
        self.num_rows = num_rows

    def arrow(self) -> pa.Table:
        """The same rows, in the table's Arrow types."""
        schema = pa.schema([self.table.schema.field(name) for name in self.columns], self.table.schema.metadata)
        arrays = [pa.array(values, schema.field(name).type) for name, values in self.columns.items()]
        return pa.Table.from_arrays(arrays, schema=schema)

    def records(self) -> list[dict[str, Any]]:
        """The rows as records: API field names, JSON decoded."""
        known = self.table.columns
        names = [known[name].api for name in self.columns]
        values = [_read(known[name], values) for name, values in self.columns.items()]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _read(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    read = None if column.identifier else _READERS.get(column.kind.name)
    return values if read is None else [None if value is None else read(value) for value in values]


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {"json": from_json, "text": unescape_text}
"""What makes a record's value of a stored one, where they differ."""
