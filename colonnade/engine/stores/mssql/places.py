"""Conditions about places in JSON, asked of OPENJSON: JSON_VALUE ends at 4,000 letters, and tells no 1 from "1".

What is looked into is put in brackets: a value that is neither an object nor a list is no JSON to SQL Server before
2022. A place is spelled out, of letters, digits and ``_``; values are bound, texts as bytes of UTF-16, of which SQL
Server has no opinion of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from colonnade.engine.plan import At
from colonnade.engine.stores.mssql.spelling import ident
from colonnade.schemas.payloads import escape_text

Bind = Callable[[Any], str]
"""Binds a value; its placeholder."""

_NULL: Final = 0
_STRING: Final = 1
_NUMBER: Final = 2
_BOOLEAN: Final = 3
_LIST: Final = 4
"""What OPENJSON says of a value."""


def is_null(place: At) -> str:
    """Whether there is nothing, or null."""
    return f"COALESCE({_at(place, '[type]')}, {_NULL}) = {_NULL}"


def has(place: At, text: str, bind: Bind) -> str:
    """Whether a list has a text; unknown where there is no list."""
    path = _path([_plain(step) for step in place.path])
    item = f"SELECT 1 FROM OPENJSON({_source(place)}, N'{path}') WHERE [type] = {_STRING} AND {_is_text(text, bind)}"
    kind = _at(place, "[type]")
    return f"CASE WHEN {kind} = {_LIST} THEN CASE WHEN EXISTS ({item}) THEN 1 ELSE 0 END END = 1"


def compare(place: At, op: str, value: Any, bind: Bind) -> str:
    """Typed equality: unknown where there is nothing, false where the type is another."""
    if isinstance(value, bool):
        kind, same = _BOOLEAN, f"[value] = N'{'true' if value else 'false'}'"
    elif isinstance(value, str):
        kind, same = _STRING, _is_text(value, bind)
    else:
        # As it is written too: from decimals, not every server makes the same float.
        kind = _NUMBER
        same = f"({_is_written(repr(value), bind)} OR TRY_CAST([value] AS FLOAT(53)) = {bind(float(value))})"
    found = f"CASE WHEN [type] = {kind} AND {same} THEN 1 ELSE 0 END"
    return f"{_at(place, found)} {'=' if op == '=' else '<>'} 1"


def _at(place: At, what: str) -> str:
    """Something of the value at a place; null where there is nothing."""
    steps = [_plain(step) for step in place.path]
    source = _source(place)
    if not steps:
        return f"(SELECT {what} FROM OPENJSON({source}) WHERE [key] = N'0')"
    *parents, last = steps
    path = _path(parents)
    text = f"(SELECT {what} FROM OPENJSON({source}, N'{path}')"
    text += f" WHERE CAST([key] AS VARBINARY(MAX)) = 0x{_utf16(last).hex()}"
    if last.isdecimal():  # it may be a place in a list, which a step is not
        text += f" AND LEFT(JSON_QUERY({source}, N'{path}'), 1) = N'{{'"
    return f"{text})"


def _source(place: At) -> str:
    return f"N'[' + {ident(place.column)} + N']'"


def _is_text(text: str, bind: Bind) -> str:
    return _is_written(escape_text(text), bind)


def _is_written(text: str, bind: Bind) -> str:
    return f"CAST([value] AS VARBINARY(MAX)) = {bind(_utf16(text))}"


def _path(steps: Sequence[str]) -> str:
    return "$[0]" + "".join(f'."{step}"' for step in steps)


def _plain(step: str | int) -> str:
    if not isinstance(step, str) or not step.replace("_", "a").isalnum() or not step.isascii():
        raise TypeError(f"{step!r} is no plain step of a path")  # abilities.can_push lets no other through
    return step


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le")
