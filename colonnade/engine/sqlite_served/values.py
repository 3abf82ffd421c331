"""Arrow columns as Mastra's SQLite tables hold them, and back: times as texts, the rest as SQLite has it.

A time is ``2026-01-31T12:00:00.123Z``, and with six digits where milliseconds do not say it: what JavaScript writes and
reads. Without the Z such texts are in the order of time, whatever their digits, and equal where the times are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from colonnade.engine.relational import rows_of
from colonnade.engine.sqlite_values import arrow_rows, stored_values
from colonnade.schemas.moments import micros_of


def written(moment: datetime) -> str:
    """A time as it is stored."""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds' if moment.microsecond % 1000 else 'milliseconds')}Z"


def compared(value: Any) -> Any:
    """A value to compare with: of a time what stands before the Z."""
    return written(value)[:-1] if isinstance(value, datetime) else value


def bound(value: Any) -> Any:
    """A value as SQLite holds it; several to compare with as JSON."""
    match value:
        case datetime():
            return written(value)
        case bool():
            return int(value)
        case list():
            return json.dumps([bound(item) for item in value], ensure_ascii=False)
    return value


def tuples(data: pa.Table, spelled: Callable[[datetime], str] = written) -> list[tuple[Any, ...]]:
    """Rows as they are bound: to be stored, or with ``compared`` for times, to be compared."""
    return rows_of(
        pa.Table.from_arrays(
            [_texts(each, spelled) if pa.types.is_timestamp(each.type) else _stored(each) for each in data.columns],
            names=data.column_names,
        )
    )


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return stored_values(pa.Table.from_arrays([column], names=["stored"])).column(0)


def _texts(column: pa.ChunkedArray, spelled: Callable[[datetime], str]) -> pa.Array:
    return pa.array([None if each is None else spelled(each) for each in column.to_pylist()], pa.string())


def arrow_of(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as a server gave them. Whole numbers may come as texts, and bytes in hexadecimal."""
    if not rows:
        return schema.empty_table()
    columns = zip(*rows, strict=True)
    return arrow_rows(list(zip(*map(_plain, columns, schema.types), strict=True)), schema)


def _plain(values: Sequence[Any], kind: pa.DataType) -> Sequence[Any]:
    if pa.types.is_timestamp(kind):
        return [None if each is None else _micros(each) for each in values]
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return [None if each is None else int(each) for each in values]
    if pa.types.is_floating(kind):
        return [None if each is None else float(each) for each in values]
    if pa.types.is_list(kind) or pa.types.is_binary(kind):
        return [bytes.fromhex(each) if isinstance(each, str) else each for each in values]
    return values


def _micros(stored: Any) -> int:
    """Microseconds since the epoch: of a text of a time, or of what a bucket begins with."""
    if isinstance(stored, int) or "T" not in stored:
        return int(stored)
    moment = datetime.fromisoformat(stored)
    return micros_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def parts_of(number: float) -> tuple[int, int]:
    """A finite number as ``m * 2**e``: two whole numbers, of which any reader of JSON makes the same number again."""
    over, under = number.as_integer_ratio()
    twos = (over & -over).bit_length() - 1 if over else 0
    return over >> twos, twos - (under.bit_length() - 1)


def is_short(number: float) -> bool:
    """Whether every reader of decimals gets a number right: few digits, and a small power of ten."""
    _, digits, exponent = Decimal(repr(number)).as_tuple()
    return len(digits) <= 15 and isinstance(exponent, int) and abs(exponent) <= 22
