"""T-SQL's functions of texts, for the TDS double."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tests.servers.tds_double_values import error, units


def length(value: Any) -> int | None:
    return None if value is None else units(str(value).rstrip(" "))


def size(value: Any, kind: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode()) if kind == "varchar" else 2 * units(value)
    return 4 if kind in ("int", "") and isinstance(value, int) and -(2**31) <= value < 2**31 else 8


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


def like(value: Any, pattern: Any, escape: str, by: str) -> int | None:
    if value is None or pattern is None:
        return None
    if units(str(pattern)) > 4000:
        raise error(8152, "String or binary data would be truncated: a pattern of LIKE has at most 8000 bytes.")
    return int(_pattern(str(pattern), escape or "", by).fullmatch(str(value)) is not None)


def place(needle: Any, hay: Any, start: Any, by: str) -> int | None:
    """CHARINDEX."""
    if needle is None or hay is None:
        return None
    needle, hay = str(needle), str(hay)
    if by == "any_case":
        needle, hay = needle.lower(), hay.lower()
    return hay.find(needle, max((start or 1) - 1, 0)) + 1 if needle else 0


def replaced(text: Any, old: Any, new: Any, by: str) -> str | None:
    if text is None or old is None or new is None:
        return None
    if by != "any_case":
        return str(text).replace(str(old), str(new))
    return re.sub(re.escape(str(old)), lambda _: str(new), str(text), flags=re.I)


def translated(text: Any, old: Any, new: Any) -> str | None:
    if text is None or old is None or new is None:
        return None
    if units(old) != units(new):
        raise error(
            9828, "The second and third arguments of the TRANSLATE built-in function must contain an equal number."
        )
    return str(text).translate(dict(zip(map(ord, reversed(old)), reversed(new), strict=True)))


def cased(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """LOWER and UPPER: letter by letter, none becomes two."""

    def changed(text: Any) -> Any:
        letters = (change(letter) for letter in str(text))
        return (
            None if text is None else "".join(n if len(n) == 1 else o for n, o in zip(letters, str(text), strict=True))
        )

    return changed


def part(text: Any, start: Any, length: Any) -> Any:
    if text is None or start is None or length is None:
        return None
    if length < 0:
        raise error(537, "Invalid length parameter passed to the LEFT or SUBSTRING function.")
    return text[max(start - 1, 0) : max(start - 1 + length, 0)]
