"""A statement with its values as one batch of T-SQL.

pymssql has no way to send values apart from the statement: it pastes them into its text. So that is done here, where it
can be seen to be right: the values are declared as typed variables, and ``sp_executesql`` gets a statement that is the
same for all values, whose plan the server keeps.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.values import parts_of
from colonnade.engine.stores.mssql.spelling import KEY, Key

MOST: Final = 2_000
"""Values that a statement declares; more stand in its text. The server takes 2,100."""
_GAP: Final = re.compile(r"@p(\d+)\b")

_CONTINUED: Final = re.compile(r"\\[\r\n]")
"""A backslash before the end of a line is no part of a literal text of T-SQL, and neither is the end of the line."""


def batch_of(statement: Statement) -> str:
    """The batch to send."""
    if not statement.parameters:
        return statement.sql
    typed = [typed_literal(value) for value in statement.parameters]
    if len(typed) > MOST:
        return _GAP.sub(lambda gap: "CAST({1} AS {0})".format(*typed[int(gap[1]) - 1]), statement.sql)
    names = [f"@p{number}" for number in range(1, len(typed) + 1)]
    given = ", ".join(f"{name} {kind} = {text}" for name, (kind, text) in zip(names, typed, strict=True))
    declared = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(names, typed, strict=True))
    sql = statement.sql.replace("'", "''")
    return f"DECLARE {given};\nEXEC sp_executesql N'{sql}', N'{declared}', {', '.join(names)}"


def typed_literal(value: Any) -> tuple[str, str]:
    """The type of a value and the value, as T-SQL."""
    match value:
        case bool():
            return "BIT", str(int(value))
        case int():
            return "BIGINT", str(value)
        case float():
            return "FLOAT(53)", _float(value)
        case str():
            return "NVARCHAR(MAX)", _text(value)
        case Key():
            return f"VARBINARY({KEY})", f"0x{value.hex()}"
        case bytes():
            return "VARBINARY(MAX)", f"0x{value.hex()}"
        case datetime():
            return "DATETIME2(6)", f"'{time_text(value)}'"
    raise TypeError(f"{type(value).__name__} is no value of T-SQL")


def time_text(moment: datetime) -> str:
    """A time as every server reads it, whatever its language."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _text(text: str) -> str:
    if _CONTINUED.search(text):
        return f"CAST(0x{text.encode('utf-16-le').hex()} AS NVARCHAR(MAX))"
    doubled = text.replace("'", "''")
    return f"N'{doubled}'"


def _float(number: float) -> str:
    """To the last bit: of decimals, not every server makes the same float."""
    if is_negative_zero(number):
        return "CAST(-1 AS FLOAT(53)) * 0E0"
    whole, twos = parts_of(number)
    return scaled(f"CAST({whole} AS BIGINT)", str(twos // 2), str(twos - twos // 2))


def scaled(whole: str, *twos: str) -> str:
    """A whole number times powers of two, of which none is so small that it would not be exact."""
    return " * ".join([f"CAST({whole} AS FLOAT(53))", *(f"POWER(CAST(2 AS FLOAT(53)), {each})" for each in twos)])


def is_negative_zero(number: float) -> bool:
    """Whether a number is -0.0."""
    return not number and math.copysign(1, number) < 0
