"""T-SQL's functions in SQLite, for the TDS double."""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
from bisect import insort
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from tests.servers import tds_double_json as json
from tests.servers.tds_double_values import COLLATIONS, convert, error, moment, parsed, units


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


def _length(value: Any) -> int | None:
    return None if value is None else units(str(value).rstrip(" "))


def _bytes(value: Any, kind: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode()) if kind == "varchar" else 2 * units(value)
    return 4 if kind in ("int", "") and isinstance(value, int) and -(2**31) <= value < 2**31 else 8


def key_size(*values: Any) -> int:
    """How many bytes an entry of an index takes; each value is followed by its type."""
    return sum(_bytes(value, kind) or 0 for value, kind in zip(values[::2], values[1::2], strict=True))


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


@lru_cache(maxsize=512)
def _pattern(text: str, escape: str, by: str) -> re.Pattern[str]:
    made, at = "", 0
    while at < len(text):
        letter = text[at]
        end = text.find("]", at + 1) if letter == "[" else -1
        if escape and letter == escape and at + 1 < len(text):
            at += 1
            made += re.escape(text[at])
        elif end > at:
            inner = text[at + 1 : end]
            sign, inner = ("^", inner[1:]) if inner.startswith("^") else ("", inner)
            made += f"[{sign}{inner.replace(chr(92), chr(92) * 2).replace('[', chr(92) + '[')}]" if inner else "(?!)"
            at = end
        else:
            made += {"%": ".*", "_": "."}.get(letter, re.escape(letter))
        at += 1
    return re.compile(made, re.S | (re.I if by == "any_case" else re.NOFLAG))


def _like(value: Any, pattern: Any, escape: str, by: str) -> int | None:
    if value is None or pattern is None:
        return None
    if units(str(pattern)) > 4000:
        raise error(8152, "String or binary data would be truncated: a pattern of LIKE has at most 8000 bytes.")
    return int(_pattern(str(pattern), escape or "", by).fullmatch(str(value)) is not None)


def _place(needle: Any, hay: Any, start: Any, by: str) -> int | None:
    """CHARINDEX."""
    if needle is None or hay is None:
        return None
    needle, hay = str(needle), str(hay)
    if by == "any_case":
        needle, hay = needle.lower(), hay.lower()
    return hay.find(needle, max((start or 1) - 1, 0)) + 1 if needle else 0


def _replaced(text: Any, old: Any, new: Any, by: str) -> str | None:
    if text is None or old is None or new is None:
        return None
    if by != "any_case":
        return str(text).replace(str(old), str(new))
    return re.sub(re.escape(str(old)), lambda _: str(new), str(text), flags=re.I)


def _translated(text: Any, old: Any, new: Any) -> str | None:
    if text is None or old is None or new is None:
        return None
    if units(old) != units(new):
        raise error(
            9828, "The second and third arguments of the TRANSLATE built-in function must contain an equal number."
        )
    return str(text).translate(dict(zip(map(ord, reversed(old)), reversed(new), strict=True)))


def _cased(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """LOWER and UPPER: letter by letter, none becomes two."""

    def changed(text: Any) -> Any:
        letters = (change(letter) for letter in str(text))
        return (
            None if text is None else "".join(n if len(n) == 1 else o for n, o in zip(letters, str(text), strict=True))
        )

    return changed


def _part(text: Any, start: Any, length: Any) -> Any:
    if text is None or start is None or length is None:
        return None
    if length < 0:
        raise error(537, "Invalid length parameter passed to the LEFT or SUBSTRING function.")
    return text[max(start - 1, 0) : max(start - 1 + length, 0)]


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


class Sum:
    """SUM of whole numbers, which is exact, and refuses what its type does not take."""

    def __init__(self) -> None:
        self._found: int | float | None = None

    def step(self, value: Any) -> None:
        """One more."""
        if value is not None:
            self._found = (self._found or 0) + (int(value) if isinstance(value, str) else value)

    def finalize(self) -> Any:
        """The sum; as text where SQLite has no whole number for it."""
        big = isinstance(self._found, int) and not -(2**63) <= self._found < 2**63
        return str(self._found) if big else self._found


class Percentile:
    """PERCENTILE_CONT over all rows of a window."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._at = 0.0

    def step(self, value: Any, at: float) -> None:
        """One more."""
        self._at = at
        if value is not None:
            insort(self._values, value)

    def inverse(self, value: Any, _: float) -> None:
        """One less."""
        if value is not None:
            self._values.remove(value)

    def value(self) -> float | None:
        """What lies there, between the two values that are nearest."""
        if not self._values:
            return None
        place = self._at * (len(self._values) - 1)
        low, high = self._values[math.floor(place)], self._values[math.ceil(place)]
        return float(low + (high - low) * (place - math.floor(place)))

    finalize = value


def _object_name(name: Any) -> str:
    """``schema.table`` in lower case, of what OBJECT_ID is given."""
    parts = re.findall(r'\[((?:[^\]]|\]\])*)\]|"([^"]*)"|([^.\s\[\]"]+)', str(name))
    plain = [(a.replace("]]", "]") or b or c) for a, b, c in parts]
    return ".".join(["dbo", *plain][-2:]).lower()


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "as_type": convert,
    "try_as_type": _tried,
    "len_": _length,
    "datalength_": _bytes,
    "key_size": key_size,
    "datediff_": _difference,
    "dateadd_": _added,
    "like_": _like,
    "charindex_": _place,
    "replace_": _replaced,
    "translate_": _translated,
    "lower_": _cased(str.lower),
    "upper_": _cased(str.upper),
    "substring_": _part,
    "left_": lambda text, length: _part(text, 1, length),
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
    "new_index": lambda number, name: number,
    "unhex_": lambda text: None if text is None else bytes.fromhex(text),
}
