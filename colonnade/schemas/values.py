"""One value of a record, as its column holds it: what each kind of column accepts, and in which words it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from colonnade.schemas.kinds import Column
from colonnade.schemas.payloads import ESCAPE, escape_text, is_strange, to_json

AWARE: Final = "datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc) or '2026-01-31T12:00:00Z'"
_INT32: Final = 2**31
_INT64: Final = 2**63
_FLOAT32: Final = (2 - 2**-23) * 2.0**127


def parse_timestamp(value: object) -> datetime:
    """An aware datetime in UTC, from one or from ISO 8601 text with an offset or ``Z``."""
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"is no ISO 8601 time: {value!r}; write {AWARE}") from None
    if not isinstance(value, datetime):
        raise TypeError(f"must be a datetime or ISO 8601 text, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"is a naive datetime, which could mean any time zone; write {AWARE}")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"is out of range: {value} is not within the years 1 to 9999 in UTC") from None


def speller(column: Column) -> Callable[[Any], Any]:
    """The function that checks one non-null value of a column and gives it as Arrow takes it."""
    match column.kind.name:
        case "text":
            return _identifier if column.identifier else _text
        case "vector":
            return lambda value: _vector(value, column.kind.size)
        case name:
            return _SPELLERS[name]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {type(value).__name__}")
    return escape_text(value if type(value) is str else str.__str__(value))


def _identifier(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {type(value).__name__}")
    if type(value) is str and value and value.isascii() and "\0" not in value:
        return value
    if is_strange(value.replace(ESCAPE, "")):  # which is plain text where nothing is escaped
        raise ValueError(f"holds a NUL or a lone surrogate, which no identifier may: {value!r:.80}")
    if not value:
        raise ValueError("must not be empty")
    return value if type(value) is str else str.__str__(value)


def _uuid(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"must be a UUID, not {type(value).__name__}")
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError(f"must be a UUID like 550e8400-e29b-41d4-a716-446655440000, not {value!r:.80}") from None


def _integer(limit: int) -> Callable[[Any], int]:
    def spell(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"must be a whole number, not {type(value).__name__}")
        if not -limit <= value < limit:
            raise ValueError(f"is out of range: {value} is not between {-limit} and {limit - 1}")
        return int(value)

    return spell


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is out of range: it is larger than any 64-bit floating-point number") from None
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, not {number}; leave it out (None) where there is none")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {type(value).__name__}")
    return value


def _binary(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"must be bytes, not {type(value).__name__}")
    return bytes(value)


def _vector(value: Sequence[float], size: int | None) -> list[float]:
    values = [_float(item) for item in value]
    if not values:
        raise ValueError("must have at least one dimension")
    if size is not None and len(values) != size:
        raise ValueError(f"must have {size} dimensions, not {len(values)}")
    if any(abs(item) > _FLOAT32 for item in values):
        raise ValueError("holds a number that is out of range for 32-bit floating-point numbers")
    return values


_SPELLERS: Final[dict[str, Callable[[Any], Any]]] = {
    "json": to_json,
    "uuid": _uuid,
    "integer": _integer(_INT32),
    "bigint": _integer(_INT64),
    "float": _float,
    "boolean": _boolean,
    "timestamp": parse_timestamp,
    "binary": _binary,
}
