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

JSON is written and read by orjson, ten times as fast as the standard library, and by the standard library wherever
orjson would say something else: whole numbers beyond 64 bits, NaN, keys that are no text, what is strange or unknown.
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

import orjson

ESCAPE: Final = "\ufdd0"

_STRANGE: Final = re.compile("[\x00\ud800-\udfff\ufdd0]")
_ESCAPED: Final = re.compile(ESCAPE + "([0-9a-f]{4})")
_NUMBERS: Final = {ESCAPE + "NaN": math.nan, ESCAPE + "Infinity": math.inf, ESCAPE + "-Infinity": -math.inf}

# Subclasses, dates and dataclasses come to _plain(), which says what they are, or to the standard library.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_SCALARS: Final = frozenset({str, int, bool, type(None)})


def escape_text(text: str) -> str:
    """Text as every store accepts it; unchanged unless it holds NUL, lone surrogates or U+FDD0."""
    if text.isascii() and "\0" not in text:
        return text
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

    Dates, UUIDs, enums (their values), dataclasses, sets and bytes are written as JSON has them. ``TypeError`` names
    anything else; ``ValueError`` where a value contains itself or is nested deeper than Python can follow.
    """
    try:
        text = orjson.dumps(value, _plain, _OPTIONS).decode()
    except orjson.JSONEncodeError:
        return exact_json(value)
    # NUL is written as \\u0000, and numbers that are not finite as null.
    if "\\u0000" in text or ESCAPE in text or ("null" in text and not _is_finite(value)):
        return exact_json(value)
    return text


def from_json(text: str) -> Any:
    """The value that ``to_json`` was given (tuples come back as lists, dates as text)."""
    value = parse_json(text)
    return unescaped(value) if ESCAPE in text or "\\ufdd0" in text else value


def parse_json(text: str) -> Any:
    """The value of any JSON text, exactly as ``json.loads`` reads it; ``ValueError`` where it is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
    return json.loads(text) if may_hold_huge_numbers(text.encode()) else value


def may_hold_huge_numbers(json_text: bytes) -> bool:
    """Whether some run of digits is long enough for a whole number beyond 64 bits, which orjson reads as a float."""
    # Every fifth character acquits most texts, at a fifth of the price.
    if b"000" not in json_text[::5].translate(_DIGITS):
        return False
    digits = json_text.translate(_DIGITS)
    return b"0" * 20 in digits or b"-" + b"0" * 19 in digits


def _is_finite(value: object) -> bool:
    """Whether all numbers in a value are finite; False where it cannot be seen at a glance."""
    waiting: list[Any] = [value]
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if kind is dict:
            waiting.extend(each.values())
        elif kind is list or kind is tuple:
            waiting.extend(each)
        elif kind is float:
            if not math.isfinite(each):
                return False
        elif kind not in _SCALARS:
            return False
    return True


def exact_json(value: object) -> str:
    """As ``to_json``, by the standard library alone: slower, and what ``to_json`` must agree with."""
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


def unescaped(value: Any) -> Any:
    """What ``to_json`` escaped in a parsed value, as it was."""
    match value:
        case str():
            return _NUMBERS[value] if value in _NUMBERS else unescape_text(value)
        case dict():
            return {unescape_text(key): unescaped(item) for key, item in value.items()}
        case list():
            return [unescaped(item) for item in value]
    return value
