"""T-SQL's functions in SQLite, for the TDS double."""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from tests.servers import tds_double_json as json
from tests.servers import tds_double_texts as texts
from tests.servers.tds_double_aggregates import Percentile, Sum
from tests.servers.tds_double_values import COLLATIONS, convert, error, moment, parsed


class Refusals:
    """The last error that a function raised: SQLite passes on only that there was one."""

    def __init__(self) -> None:
        self.last: Exception | None = None

    def noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that notes its error."""

        def called(*given: Any) -> Any:
            try:
                return function(*given)
            except Exception as refused:
                self.last = refused
                raise

        return called


def install(connection: sqlite3.Connection, refusals: Refusals) -> None:
    """Give a connection all functions and collations."""
    for name, compare in COLLATIONS.items():
        connection.create_collation(name, compare)
    for name, function in FUNCTIONS.items():
        connection.create_function(name, -1, refusals.noting(function), deterministic=True)
    connection.create_aggregate("sum_", 1, Sum)
    connection.create_window_function("percentile_", 2, Percentile)  # type: ignore[arg-type]


def key_size(*values: Any) -> int:
    """How many bytes an entry of an index takes; each value is followed by its type."""
    return sum(texts.size(value, kind) or 0 for value, kind in zip(values[::2], values[1::2], strict=True))


_UNITS: Final = {"microsecond": 10, "millisecond": 10**4, "second": 10**7, "minute": 6 * 10**8, "hour": 36 * 10**9}
_DAY: Final = 864 * 10**9


def _ticks(value: Any) -> int:
    day, ticks = parsed(moment(value))
    return (day - date.min).days * _DAY + ticks


def _difference(unit: str, start: Any, end: Any, wide: int) -> int | None:
    """DATEDIFF(_BIG): how many borders of a unit lie between."""
    if start is None or end is None:
        return None
    size = {**_UNITS, "day": _DAY}[unit.lower()]
    found = _ticks(end) // size - _ticks(start) // size
    if not wide and not -(2**31) <= found < 2**31:
        raise error(
            535, "The datediff function resulted in an overflow. Try to use datediff with a less precise datepart."
        )
    return found


def _added(unit: str, count: Any, to: Any) -> str | None:
    """DATEADD, whose number is an INT."""
    if count is None or to is None:
        return None
    ticks = _ticks(to) + convert(count, "int") * {**_UNITS, "day": _DAY}[unit.lower()]
    days, rest = divmod(ticks, _DAY)
    try:
        day = date.min + timedelta(days=days)
    except OverflowError:
        raise error(517, "Adding a value to a 'datetime2' column caused an overflow.") from None
    seconds, part = divmod(rest, 10**7)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{part:07}"
    return f"{day.isoformat()} {clock}"


def _tried(value: Any, kind: str, size: int = -1, strict: int = 0, style: int = 0) -> Any:
    try:
        return convert(value, kind, size, bool(strict), style)
    except Exception:
        return None


def _less(left: Any, right: Any) -> int | float | None:
    """A difference of decimals: exact, then a float where 64 bits are too few for it."""
    if left is None or right is None:
        return None
    found = left - right
    return found if not isinstance(found, int) or -(2**63) <= found < 2**63 else float(found)


def _guarded(name: str, function: Callable[[float], float]) -> Callable[[Any], Any]:
    def called(value: Any) -> Any:
        if value is None:
            return None
        try:
            return function(float(value))
        except (ValueError, OverflowError):
            raise error(3623, f"An invalid floating point operation occurred in {name}.") from None

    return called


def _power(base: Any, to: Any) -> Any:
    if base is None or to is None:
        return None
    try:
        found = base**to
    except (OverflowError, ZeroDivisionError):
        raise error(8115, "Arithmetic overflow error converting expression to data type float.") from None
    return convert(found, "int") if isinstance(base, int) else found  # of a whole number, POWER makes one again


def _digest(value: Any, kind: str) -> bytes | None:
    if value is None:
        return None
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8" if kind == "varchar" else "utf-16-le")
    return hashlib.sha256(raw).digest()


def _nonzero(value: Any) -> Any:
    if value == 0:
        raise error(8134, "Divide by zero error encountered.")
    return value


def _known_schema(number: Any, name: str) -> int:
    if number is None:
        raise error(2760, f"The specified schema name '{name}' either does not exist or you do not have permission.")
    return int(number)


def _object_name(name: Any) -> str:
    """``schema.table`` in lower case, of what OBJECT_ID is given."""
    parts = re.findall(r'\[((?:[^\]]|\]\])*)\]|"([^"]*)"|([^.\s\[\]"]+)', str(name))
    plain = [(a.replace("]]", "]") or b or c) for a, b, c in parts]
    return ".".join(["dbo", *plain][-2:]).lower()


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "as_type": convert,
    "try_as_type": _tried,
    "len_": texts.length,
    "datalength_": texts.size,
    "key_size": key_size,
    "datediff_": _difference,
    "dateadd_": _added,
    "like_": texts.like,
    "charindex_": texts.place,
    "replace_": texts.replaced,
    "translate_": texts.translated,
    "lower_": texts.cased(str.lower),
    "upper_": texts.cased(str.upper),
    "substring_": texts.part,
    "left_": lambda text, length: texts.part(text, 1, length),
    "right_": lambda text, length: None if text is None else text[-length:] if length else text[:0],
    "reverse_": lambda text: None if text is None else text[::-1],
    "concat_": lambda *parts: "".join(convert(part, "nvarchar") or "" for part in parts),
    "less_": _less,
    "sqrt_": _guarded("SQRT", math.sqrt),
    "floor_": lambda value: (
        None if value is None else math.floor(value) if isinstance(value, int) else float(math.floor(value))
    ),
    "ceiling_": lambda value: (
        None if value is None else math.ceil(value) if isinstance(value, int) else float(math.ceil(value))
    ),
    "power_": _power,
    "unicode_": lambda text: ord(text[0]) if text else None,
    "nchar_": lambda number: None if number is None else chr(number),
    "json_value_": json.json_value,
    "json_query_": json.json_query,
    "isjson_": json.is_json,
    "json_path_exists_": json.json_exists,
    "open_json": json.open_json,
    "open_json_as": json.open_json_as,
    "object_name_": _object_name,
    "bytes_": lambda one, other: None if one is None or other is None else one + other,
    "filled_": lambda raw: raw.rstrip(b"\0") if isinstance(raw, bytes) else raw,
    "utf8_": lambda text: None if text is None else str(text).encode(),
    "digest_": _digest,
    "nonzero_": _nonzero,
    "server_property": lambda name: {"productmajorversion": "16", "engineedition": 3}.get(str(name).lower()),
    "known_schema": _known_schema,
    "unhex_": lambda text: None if text is None else bytes.fromhex(text),
}
