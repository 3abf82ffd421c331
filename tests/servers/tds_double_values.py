"""Values of the TDS double: what SQL Server's types take and refuse, and how its collations compare."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from pysqlbridge.tds.result import QueryError

_MOMENT: Final = re.compile(
    r"\s*(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?)?\s*(?:Z|\+00:00)?\s*"
)
_INTEGERS: Final = {"bigint": 63, "int": 31, "smallint": 15}
EPOCH: Final = datetime(1900, 1, 1)


def error(number: int, message: str) -> QueryError:
    """An error with SQL Server's number."""
    return QueryError(message, number=number, severity=14 if number in (2601, 2627) else 16)


def convert(value: Any, kind: str, size: int = -1, strict: bool = False, style: int = 0) -> Any:
    """A value as a type; ``strict`` where a column takes it, which refuses what CAST cuts off. -1 is MAX."""
    if value is None:
        return None
    try:
        return _CONVERSIONS[kind](value, size, strict, style)
    except KeyError:
        raise error(243, f"Type {kind} is not a defined system type.") from None
    except (ValueError, TypeError):
        raise error(8114, f"Error converting data type {type(value).__name__} to {kind}.") from None


def units(text: str) -> int:
    """Its length in UTF-16 units, as SQL Server counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _text(value: Any, size: int, strict: bool, style: int) -> str:
    if isinstance(value, bytes):
        text = value.hex().upper() if style == 2 else value.decode("utf-16-le", "surrogatepass")
    elif isinstance(value, float):
        text = f"{value:.16e}" if style == 3 else f"{value:.6g}"
        text = re.sub(r"e([+-])(\d\d)$", r"e\g<1>0\2", text)
    elif style in (126, 127) and isinstance(value, str) and _MOMENT.fullmatch(value):
        text = value[:10] + "T" + value[11:]
    else:
        text = str(value)
    if size >= 0 and units(text) > size:
        if strict:
            raise error(2628, "String or binary data would be truncated.")
        text = text.encode("utf-16-le")[: 2 * size].decode("utf-16-le", "ignore")
    return text


def _bytes_text(value: Any, size: int, strict: bool, style: int) -> str:
    if isinstance(value, bytes) and style != 2:
        text = value.decode("utf-8", "replace")
    else:
        text = _text(value, -1, strict, style)
    raw = text.encode()
    if size >= 0 and len(raw) > size:
        if strict:
            raise error(2628, "String or binary data would be truncated.")
        text = raw[:size].decode("utf-8", "ignore")
    return text


def _integer(kind: str) -> Callable[..., int]:
    def converted(value: Any, *_: Any) -> int:
        if isinstance(value, str):
            if not re.fullmatch(r"\s*[+-]?\d*\s*", value):
                raise error(245, f"Conversion failed when converting the nvarchar value to data type {kind}.")
            number = int(value.strip() or 0)
        elif isinstance(value, bytes):
            number = int.from_bytes(value, "big", signed=len(value) >= 8)
        else:
            number = int(value)
        low, high = (0, 255) if kind == "tinyint" else (-(2 ** _INTEGERS[kind]), 2 ** _INTEGERS[kind] - 1)
        if not low <= number <= high:
            raise error(8115, f"Arithmetic overflow error converting expression to data type {kind}.")
        return number

    return converted


def _float(value: Any, *_: Any) -> float:
    if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", value, re.I):
        raise ValueError(value)
    number = float(value)
    if math.isinf(number) or math.isnan(number):
        raise error(8115, "Arithmetic overflow error converting expression to data type float.")
    return number


def _decimal(value: Any, size: int, *_: Any) -> int | float:
    number = float(value) if isinstance(value, str) and not value.strip().lstrip("+-").isdigit() else value
    return number if size else int(number)


def _bit(value: Any, *_: Any) -> int:
    if isinstance(value, str):
        known = {"true": 1, "false": 0}.get(value.strip().lower())
        return known if known is not None else int(int(value) != 0)
    return int(value != 0)


def moment(value: Any, size: int = 7, *_: Any) -> str:
    """A DATETIME2 as the double keeps it: ``2026-11-26 12:00:00.0000000``, rounded to its precision."""
    if isinstance(value, int | float):
        raise error(206, "Operand type clash: int is incompatible with datetime2")
    found = _MOMENT.fullmatch(str(value))
    if found is None:
        raise error(241, "Conversion failed when converting date and/or time from character string.")
    year, month, day, hour, minute, second, part = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        raise error(241, "Conversion failed when converting date and/or time from character string.") from None
    ticks = int((part or "0").ljust(7, "0"))
    unit = 10 ** (7 - (size if 0 <= size <= 7 else 7))
    ticks = (ticks + unit // 2) // unit * unit
    if ticks >= 10**7:
        at, ticks = at + timedelta(seconds=1), 0
    return f"{at:%Y-%m-%d %H:%M:%S}.{ticks:07}".rjust(27, "0")


def _binary(value: Any, size: int, strict: bool, style: int) -> bytes:
    if isinstance(value, str) and style in (1, 2):
        raw = bytes.fromhex(value.removeprefix("0x") if style == 1 else value)
    elif isinstance(value, str):
        raw = value.encode("utf-16-le", "surrogatepass")
    elif isinstance(value, int):
        raw = value.to_bytes(8 if abs(value) >= 2**31 else 4, "big", signed=True)
    else:
        raw = bytes(value)
    if 0 <= size < len(raw):
        if strict:
            raise error(2628, "String or binary data would be truncated.")
        raw = raw[:size]
    return raw


_CONVERSIONS: Final[dict[str, Callable[..., Any]]] = {
    "nvarchar": _text,
    "nchar": _text,
    "sysname": _text,
    "varchar": _bytes_text,
    "char": _bytes_text,
    "bigint": _integer("bigint"),
    "int": _integer("int"),
    "smallint": _integer("smallint"),
    "tinyint": _integer("tinyint"),
    "float": _float,
    "real": _float,
    "decimal": _decimal,
    "bit": _bit,
    "datetime2": moment,
    "datetime": lambda value, *_: moment(value, 3),
    "date": lambda value, *_: moment(value, 0)[:10],
    "varbinary": _binary,
    "binary": _binary,
}


def parsed(text: str) -> tuple[date, int]:
    """A day and the ten-millionths of a second in it, of what ``moment`` writes."""
    at = datetime.fromisoformat(text[:19])
    return at.date(), (at.hour * 3600 + at.minute * 60 + at.second) * 10**7 + int(text[20:27].ljust(7, "0"))


def code_points(left: str, right: str) -> int:
    """VARCHAR in a BIN2_UTF8 collation: by code point, the shorter text padded with spaces."""
    if left == right:
        return 0
    left, right = left.ljust(len(right)), right.ljust(len(left))
    return (left > right) - (left < right)


def code_units(left: str, right: str) -> int:
    """NVARCHAR in a BIN2 collation: by UTF-16 unit, so that an emoji is less than a letter of U+E000 and above."""
    if left.isascii() or right.isascii():
        return code_points(left, right)
    left, right = left.ljust(len(right)), right.ljust(len(left))
    first, second = (each.encode("utf-16-be", "surrogatepass") for each in (left, right))
    return (first > second) - (first < second)


def any_case(left: str, right: str) -> int:
    """The collation of a database that names none: it knows no case."""
    return code_points(left.casefold(), right.casefold())


COLLATIONS: Final = {"code_points": code_points, "code_units": code_units, "any_case": any_case}


def collation(name: str | None, kind: str) -> str:
    """Which of them is meant by the name of a collation."""
    if not name or name.lower() == "database_default" or "_BIN" not in name.upper():
        return "any_case" if not name or "_CS_" not in name.upper() else "code_points"
    if name.upper().endswith("_BIN"):
        raise error(448, f"The TDS double does not know the collation '{name}'.")
    return "code_points" if name.upper().endswith("_UTF8") and "n" not in kind[:1] else "code_units"


def is_same(left: str, right: str, by: str) -> bool:
    """Whether two texts are equal in a collation."""
    return COLLATIONS[by](left, right) == 0
