"""Rows as COPY reads them: CSV, which Arrow writes many times faster than rows could be made of Python's values.

Texts are in quotation marks, and nothing at all is null, so that an empty text stays one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_ROWS: Final = 4_096
"""Rows that are written at a time."""


def csv(data: pa.Table) -> Iterator[bytes]:
    """The rows as CSV, in pieces."""
    from pyarrow import csv as arrow_csv

    options = arrow_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    for at in range(0, data.num_rows, _ROWS):
        piece = data.slice(at, _ROWS)
        plain = pa.table([_plain(column) for column in piece.columns], names=piece.column_names)
        sink = pa.BufferOutputStream()
        arrow_csv.write_csv(plain, sink, options)
        yield sink.getvalue().to_pybytes()


def is_cut_short(data: pa.Table) -> bool:
    """Whether a server before 18 would take a line of a text (one that begins with ``\\.``) for the end of all rows."""
    texts = [column for column in data.columns if pa.types.is_string(column.type)]
    return any(pc.any(pc.match_substring_regex(column, r"[\r\n]\\\.")).as_py() for column in texts)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as CSV can be made of it."""
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        numbers = column.cast(pa.list_(pa.string()))
        return pc.binary_join_element_wise("{", pc.binary_join(numbers, ","), "}", "")
    if pa.types.is_binary(column.type):
        raw = [None if value is None else "\\x" + value.hex() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(raw, pa.string())])
    return column
