"""JSONB, SQLite's binary JSON, as text: Mastra writes it since 2026, and SQLite before 3.45 cannot read it.

https://sqlite.org/jsonb.html: each element is a header, of its type and how many bytes follow, and those bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

_PLAIN: Final = {0: "null", 1: "true", 2: "false"}
_ARRAY, _OBJECT = 11, 12
_ESCAPES: Final = {"'": "'", "v": "\\u000b", "0": "\\u0000", "\n": "", "\r": "", "\u2028": "", "\u2029": ""}
"""What JSON5 escapes and JSON does not, as JSON has it."""


def text_of(blob: bytes) -> str:
    """The JSON text of a blob; ``ValueError`` where it is none."""
    text, end = _element(blob, 0)
    if end != len(blob):
        raise ValueError("bytes follow the end of the JSON")
    return text


def _element(blob: bytes, at: int) -> tuple[str, int]:
    kind, start, end = _header(blob, at)
    if kind in _PLAIN:
        return _PLAIN[kind], end
    if kind == _ARRAY:
        return f"[{','.join(_elements(blob, start, end))}]", end
    if kind == _OBJECT:
        parts = list(_elements(blob, start, end))
        return "{" + ",".join(f"{name}:{value}" for name, value in zip(parts[::2], parts[1::2], strict=True)) + "}", end
    return _scalar(kind, blob[start:end].decode()), end


def _elements(blob: bytes, at: int, end: int) -> Iterator[str]:
    while at < end:
        text, at = _element(blob, at)
        yield text
    if at != end:
        raise ValueError("an element is longer than what it is in")


def _header(blob: bytes, at: int) -> tuple[int, int, int]:
    """The type of the element at a place, where its bytes begin, and where they end."""
    if at >= len(blob):
        raise ValueError("the JSON breaks off")
    size, more = blob[at] >> 4, 0
    if size > 11:
        more = 1 << (size - 12)
        size = int.from_bytes(blob[at + 1 : at + 1 + more], "big")
    start = at + 1 + more
    if start + size > len(blob):
        raise ValueError("the JSON breaks off")
    return blob[at] & 15, start, start + size


def _scalar(kind: int, text: str) -> str:
    match kind:
        case 3 | 5:  # numbers as JSON writes them
            return text
        case 4:  # in hexadecimal
            return str(int(text, 16))
        case 6:  # such as .5 and 5.
            return repr(float(text))
        case 7 | 8:  # a text as JSON writes it
            return f'"{text}"'
        case 9:  # as JSON5 does
            return '"' + re.sub(r"\\(x..|.)", _escape, text, flags=re.DOTALL) + '"'
        case 10:  # as it is
            return json.dumps(text, ensure_ascii=False)
    raise ValueError(f"there is no JSONB of type {kind}")


def _escape(found: re.Match[str]) -> str:
    said = found[1]
    return f"\\u00{said[1:]}" if len(said) == 3 else _ESCAPES.get(said, found[0])
