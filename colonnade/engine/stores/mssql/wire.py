"""Columns as they travel: what is selected of each and made into Arrow again, and rows on their way in, as JSON.

Out go texts as NVARCHAR, whatever a driver thinks of UTF-8, and times as microseconds since the epoch. In go the rows
of a put, or many values to compare with, as one JSON value, which OPENJSON takes apart: texts as they are, keys and
vectors in hexadecimal, and floats as whole numbers and powers of two.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.sqlite_served.values import parts_of
from colonnade.engine.sqlite_values import arrow_rows
from colonnade.engine.stores.mssql.batch import is_negative_zero, scaled, time_text
from colonnade.engine.stores.mssql.spelling import KEY as KEY_BYTES
from colonnade.engine.stores.mssql.spelling import ident, is_text, key_of
from colonnade.schemas.kinds import Column


def micros(column: str) -> str:
    """Microseconds since the epoch, of a quoted column of times."""
    return f"DATEDIFF_BIG(MICROSECOND, '19700101', {column})"


def read(column: Column) -> str:
    """What is selected of a column."""
    name = ident(column.name)
    if is_text(column):
        return f"CAST({name} AS NVARCHAR(MAX))"
    return micros(name) if column.kind.name == "timestamp" else name


def compared(column: Column) -> str:
    """What of a column is compared and ordered."""
    return f"CAST({ident(column.name)} AS VARBINARY(MAX))" if is_text(column) else ident(column.name)


@dataclass(frozen=True, slots=True)
class Form:
    """How a value stands in JSON: in one place, of a float in two."""

    types: tuple[str, ...]
    expression: str
    """What is made of the places, in the gaps ``{0}`` and ``{1}``."""
    give: Callable[[Any], tuple[Any, ...]]
    """What a value is in JSON."""

    def declared(self, place: int) -> str:
        """The columns of OPENJSON, from the place in the row on."""
        return ", ".join(f"[c{place + at}] {kind} '$[{place + at}]'" for at, kind in enumerate(self.types))

    def taken(self, place: int) -> str:
        """The value, of these columns."""
        return self.expression.format(*(f"[c{place + at}]" for at in range(len(self.types))))

    def given(self, value: Any) -> list[Any]:
        """A value as JSON has it."""
        return [None] * len(self.types) if value is None else list(self.give(value))


def _float(number: float) -> tuple[int, int | None]:
    return (-1, None) if is_negative_zero(number) else parts_of(number)


def vector(values: Sequence[float]) -> bytes:
    """A vector as it is stored."""
    return struct.pack(f"<{len(values)}f", *values)


_TWICE: Final = scaled("{0}", "{1} / 2", "{1} - {1} / 2")
_BYTES: Final = "CONVERT(VARBINARY(MAX), {0}, 2)"
KEY: Final = Form(
    (f"VARCHAR({2 * KEY_BYTES})",),
    f"CONVERT(VARBINARY({KEY_BYTES}), {{0}}, 2)",
    lambda text: (key_of(text).hex(),),
)
_TEXT: Final = Form(("NVARCHAR(MAX)",), "{0}", lambda text: (text,))
_TEXT_BYTES: Final = Form(("VARCHAR(MAX)",), _BYTES, lambda text: (text.encode().hex(),))
_FORMS: Final = {
    "integer": Form(("INT",), "{0}", lambda number: (number,)),
    "bigint": Form(("BIGINT",), "{0}", lambda number: (number,)),
    "boolean": Form(("BIT",), "{0}", lambda truth: (int(truth),)),
    "timestamp": Form(("DATETIME2(6)",), "{0}", lambda moment: (time_text(moment),)),
    "float": Form(
        ("BIGINT", "INT"),
        f"CASE WHEN {{1}} IS NULL THEN CAST({{0}} AS FLOAT(53)) * 0E0 ELSE {_TWICE} END",
        _float,
    ),
    "vector": Form(("VARCHAR(MAX)",), _BYTES, lambda values: (vector(values).hex(),)),
    "binary": Form(("VARCHAR(MAX)",), _BYTES, lambda raw: (raw.hex(),)),
}


def form_of(column: Column, *, compared: bool = False) -> Form:
    """How the values of a column stand in JSON: to be stored, or to be ``compared``."""
    if is_text(column):
        return _TEXT_BYTES if compared else _TEXT
    return _FORMS[column.kind.name]


def arrow_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as they came, as Arrow."""
    if not rows:
        return schema.empty_table()
    columns = [_plain(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
    return arrow_rows(list(zip(*columns, strict=True)), schema)


def _plain(values: Sequence[Any], kind: pa.DataType) -> Sequence[Any]:
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return [None if each is None else int(each) for each in values]
    if pa.types.is_floating(kind):
        return [float(each) if isinstance(each, (int, Decimal)) else each for each in values]
    return values
