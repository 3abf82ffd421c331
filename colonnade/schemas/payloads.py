"""How payloads become text that every store accepts, and how they come back unchanged.

Payloads are never refused for what they say. Three things that a payload may hold are not accepted by every store: the
NUL character, lone surrogates (half an emoji, from text that was cut) and the numbers NaN, Infinity and -Infinity. They
are written with one escape character, U+FDD0, a code point that Unicode reserves for a program's own use:

    ==================  =============================================
    in the payload      as stored
    ==================  =============================================
    NUL                 U+FDD0 ``0000``
    lone surrogate      U+FDD0 and its four hexadecimal digits
    U+FDD0 itself       U+FDD0 ``fdd0``
    NaN                 the string U+FDD0 ``NaN``
    Infinity            the string U+FDD0 ``Infinity``
    -Infinity           the string U+FDD0 ``-Infinity``
    ==================  =============================================

All other payloads are plain JSON, so a store's own JSON functions work on them.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

ESCAPE: Final = "\ufdd0"

_STRANGE: Final = re.compile("[\x00\ud800-\udfff\ufdd0]")
_ESCAPED: Final = re.compile(ESCAPE + "([0-9a-f]{4})")
_NUMBERS: Final = {ESCAPE + "NaN": math.nan, ESCAPE + "Infinity": math.inf, ESCAPE + "-Infinity": -math.inf}


def escape_text(text: str) -> str:
    """Text as every store accepts it; unchanged unless it holds NUL, lone surrogates or U+FDD0."""
    return _STRANGE.sub(lambda match: f"{ESCAPE}{ord(match[0]):04x}", text)


def unescape_text(text: str) -> str:
    """The inverse of ``escape_text``."""
    if ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def is_strange(text: str) -> bool:
    """Whether text holds what not every store accepts; identifiers must not."""
    return _STRANGE.search(text) is not None


def to_json(value: object) -> str:
    """JSON text of a value, compact, keys in their order, escaped as the module says.

    Dates, UUIDs, enums, dataclasses, sets and bytes are written as JSON has them. ``TypeError`` names anything else;
    ``ValueError`` where a value contains itself or is nested deeper than Python can follow.
    """
    try:
        return _to_json(value)
    except RecursionError:
        raise ValueError("contains itself, or is nested too deeply to be written as JSON") from None


def _to_json(value: object) -> str:
    try:
        text = _dump(value)
    except ValueError as error:  # NaN or an infinity; a circular reference too
        if "Circular" in str(error):
            raise
        return _dump(_escaped(value))
    # dumps() writes NUL as \\u0000; the other strange characters stand for themselves.
    if "\\u0000" in text or ESCAPE in text or not _encodable(text):
        return _dump(_escaped(value))
    return text


def from_json(text: str) -> Any:
    """The value that ``to_json`` was given (tuples come back as lists, dates as text)."""
    value = json.loads(text)
    return _unescaped(value) if ESCAPE in text or "\\ufdd0" in text else value


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: object) -> object:
    """What JSON has for a Python object that it does not know."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=repr)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form; pass a dict, list, text, number, boolean or None")


def _escaped(value: object) -> object:
    match value:
        case str():
            return escape_text(value)
        case float() if not math.isfinite(value):
            return ESCAPE + ("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
        case None | bool() | int() | float():
            return value
        case dict():
            return {_escaped_key(key): _escaped(item) for key, item in value.items()}
        case list() | tuple():
            return [_escaped(item) for item in value]
    return _escaped(_plain(value))


def _escaped_key(key: Any) -> Any:
    match key:
        case str():
            return escape_text(key)
        case float() if not math.isfinite(key):  # as dumps() names it where it may
            return json.dumps(key)
    return key


def _unescaped(value: Any) -> Any:
    match value:
        case str():
            return _NUMBERS[value] if value in _NUMBERS else unescape_text(value)
        case dict():
            return {unescape_text(key): _unescaped(item) for key, item in value.items()}
        case list():
            return [_unescaped(item) for item in value]
    return value
