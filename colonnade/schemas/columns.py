"""Whole columns between Python values and Arrow: fast, where no value needs a closer look.

What most columns hold can be judged at once: values of one type, joined texts without a strange character, numbers
whose sum is finite. For all others ``plain_array`` gives None, and each value is spelled by itself (``values``), which
tells what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final

import orjson
import pyarrow as pa

from colonnade.schemas.kinds import Column
from colonnade.schemas.moments import moment_of
from colonnade.schemas.payloads import (
    ESCAPE,
    from_json,
    may_hold_huge_numbers,
    to_json,
    unescape_text,
    unescaped,
)

_STRING: Final = pa.string()
_BINARY: Final = pa.binary()
_INT64: Final = pa.int64()
_ESCAPE: Final = ESCAPE.encode()


def plain_array(column: Column, values: Sequence[Any]) -> pa.Array | None:
    """A column of an Arrow table from the values that records give it; None where they must be looked at singly."""
    types = set(map(type, values))
    if NoneType in types:
        if not column.nullable:
            return None
        types.remove(NoneType)
    if not types:
        return pa.nulls(len(values), column.kind.arrow)
    plain, make = _PLAIN.get(column.kind.name, _NEVER)
    if plain is not None and not types <= plain:
        return None
    try:
        return make(column, values)
    except (TypeError, ValueError, OverflowError):
        return None


def read_column(column: Column, array: pa.Array) -> list[Any]:
    """The values of a column as records have them."""
    if array.null_count == len(array):
        return [None] * len(array)
    match column.kind.name:
        case "json":
            return _read_json(array)
        case "text" if not column.identifier:
            values = array.to_pylist()
            strange = ESCAPE in "".join(filter(None, values))
            return [text and unescape_text(text) for text in values] if strange else values
        case "timestamp":
            return _read_times(array)
    return list(array.to_pylist())


def _texts(column: Column, values: Sequence[str | None]) -> pa.Array | None:
    whole = "".join(filter(None, values))
    if "\0" in whole or ("" in values if column.identifier else ESCAPE in whole):
        return None
    return pa.array(values, _STRING)  # refuses lone surrogates


def _json(column: Column, values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else to_json(value) for value in values], _STRING)


def _floats(column: Column, values: Sequence[float | None]) -> pa.Array | None:
    if not math.isfinite(sum(filter(None, values))):  # as it is if, and mostly only if, one of them is not
        return None
    return pa.array(values, column.kind.arrow)


def _times(column: Column, values: Sequence[datetime | None]) -> pa.Array | None:
    if any(time.tzinfo is not UTC for time in values if time is not None):
        return None
    first = values[0]
    if first is values[-1] and values.count(first) == len(values):  # the moment at which all of them were written
        return pa.repeat(pa.scalar(first, column.kind.arrow), len(values))
    return pa.array(values, column.kind.arrow)


def _as_they_are(column: Column, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, column.kind.arrow)  # refuses numbers out of range


def _never(column: Column, values: Sequence[Any]) -> None:
    return None


_Make = Callable[[Column, Sequence[Any]], pa.Array | None]
_NEVER: Final[tuple[None, _Make]] = (None, _never)
_PLAIN: Final[dict[str, tuple[frozenset[type] | None, _Make]]] = {
    "text": (frozenset({str}), _texts),
    "json": (None, _json),
    "integer": (frozenset({int}), _as_they_are),
    "bigint": (frozenset({int}), _as_they_are),
    "float": (frozenset({float, int}), _floats),
    "boolean": (frozenset({bool}), _as_they_are),
    "timestamp": (frozenset({datetime}), _times),
    "binary": (frozenset({bytes}), _as_they_are),
}
"""The exact types of values that need no closer look (None: any), and what makes a column of them."""


def _read_json(array: pa.Array) -> list[Any]:
    if array.type != _STRING:
        return [None if text is None else from_json(text) for text in array.to_pylist()]
    texts: list[bytes | None] = array.view(_BINARY).to_pylist()
    whole = b"".join(filter(None, texts))
    try:
        if not may_hold_huge_numbers(whole):
            values = [None if text is None else orjson.loads(text) for text in texts]
            return [unescaped(value) for value in values] if _is_escaped(whole) else values
    except orjson.JSONDecodeError:
        pass
    return [None if text is None else from_json(text.decode()) for text in texts]


def _is_escaped(json_text: bytes) -> bool:
    # The cheap questions first: single bytes are searched for ten times as fast as words.
    return (b"\\" in json_text and b"\\ufdd0" in json_text) or (not json_text.isascii() and _ESCAPE in json_text)


def _read_times(array: pa.Array) -> list[datetime | None]:
    if pa.types.is_timestamp(array.type) and array.type.unit == "us" and array.type.tz is not None:
        # Arrow looks the time zone up for each value, which takes ten times as long.
        counts = array.view(_INT64).to_pylist()
        return [None if count is None else moment_of(count) for count in counts]
    return [None if time is None else time.astimezone(UTC) for time in array.to_pylist()]
