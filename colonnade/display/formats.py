"""How numbers, times and strange text are written for people; no colours, no width of a terminal."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

ABSENT: Final = "–"  # noqa: RUF001 - a dash as wide as a digit
"""What stands where there is no value; 0 is a value and is written as 0."""

# Whole sequences go, so that their parameters do not stay behind as text: CSI, then the strings that OSC, DCS, SOS, PM
# and APC open (a title, a hyperlink, a clipboard), then the two-character ones.
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = "\u200d\u200c"  # they shape emoji and scripts, and reorder nothing


def safe(value: object, limit: int | None = None) -> str:
    """One line of text that cannot steer a terminal: whitespace folded, escape sequences and control characters gone.

    Characters that reorder what is read (bidirectional controls) go too; lone surrogates, which cannot be printed,
    become U+FFFD. Text longer than ``limit`` characters is cut and ends in an ellipsis.
    """
    text = value if isinstance(value, str) else str(value)
    if limit is not None:
        text = text[: 8 * limit + 1024]  # payloads may be megabytes; what is cut off below need not be cleaned
    if not (text.isascii() and text.isprintable()):
        text = _ESCAPES.sub("", text)
        text = "".join(_printable(character) for character in text)
    text = " ".join(text.split())
    if limit is not None and len(text) > limit:
        text = text[: max(limit - 1, 0)].rstrip() + "…"
    return text


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if character.isspace():
        return " "
    return "" if category in _HIDDEN else character


def payload(value: Any, limit: int | None = None) -> str:
    """A value on one line: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return safe(value, limit)
    return safe(json.dumps(value, ensure_ascii=False, default=str), limit)


def duration(nanoseconds: float | None) -> str:
    """A stretch of time with its unit, in three digits: ``842 ms``, ``3.21 s``, ``2 m 05 s``, ``1 h 02 m``."""
    if nanoseconds is None:
        return ABSENT
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    for size, unit, end in ((1, "ns", 1000), (1e3, "µs", 1000), (1e6, "ms", 1000), (1e9, "s", 60)):
        value = nanoseconds / size
        text = f"{value:.0f}" if unit == "ns" else f"{value:#.3g}".rstrip(".")
        if "e" not in text and float(text) < end:
            return f"{text} {unit}"
    seconds = round(nanoseconds / 1e9)
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} m"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24:02} h"


def decimals_for(values: Iterable[float | None], *, least: int = 0, most: int = 6, digits: int = 2) -> int:
    """How many decimals show the smallest number of a column with ``digits`` significant ones, within bounds.

    One number of decimals for all of a column keeps its decimal points under each other.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return least
    return min(most, max(least, digits - 1 - math.floor(math.log10(min(sizes)))))


def money(dollars: float | None, decimals: int | None = None) -> str:
    """US dollars: ``$12.30``, ``$0.0042``; two decimals, or as many more as small amounts need."""
    if dollars is None:
        return ABSENT
    if decimals is None:
        decimals = decimals_for([dollars], least=2, digits=3)
    sign = "-" if dollars < 0 else ""
    return f"{sign}${abs(dollars):,.{decimals}f}"


def moneys(column: Sequence[float | None]) -> list[str]:
    """A column of US dollars with its decimal points under each other."""
    decimals = decimals_for(column, least=2)
    return [money(value, decimals) for value in column]


def number(value: float | None) -> str:
    """A count (of tokens, calls, rows) in full: ``12,345``."""
    return ABSENT if value is None else f"{value:,.0f}"


def moment(time: datetime | None, *, date: bool = True, fraction: bool = False) -> str:
    """A time in UTC, without saying so: the heading above must. ``2026-01-31 12:00:00``, with ``fraction`` ``.123``."""
    if time is None:
        return ABSENT
    utc = time.astimezone(UTC)
    text = utc.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
    return f"{text}.{utc.microsecond // 1000:03}" if fraction else text


def plural(count: int, noun: str) -> str:
    """``1 span``, ``3 spans``, ``2,104 spans``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
