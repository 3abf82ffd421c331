"""Words: what search looks for, defined once, so that every store finds the same.

- The text of a JSON value is all texts within it (not the names of its fields), in their order; of a text, itself.
- A word is a longest run of letters and digits (Unicode's), in lower case. All else separates words, ``_`` too.
- Two letters are alike if they have the same lower case, one letter for one: ``E`` and ``e``, ``É`` and ``é``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from colonnade.schemas.payloads import from_json, unescape_text

SEARCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "spans": ("input", "output", "error", "name"),
    "messages": ("content",),
    "threads": ("title",),
    "resources": ("workingMemory",),
    "scores": ("reason", "input", "output"),
    "evals": ("input", "output"),
}
"""The columns of each table that search looks into unless it is told where."""

WORD: Final = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    return WORD.findall(lower(text))


def lower(text: str) -> str:
    """A text in lower case, letter for letter: of the same length."""
    lowered = text.lower()
    if text.isascii() or (len(lowered) == len(text) and "Σ" not in text):  # which Python writes by its place in a word
        return lowered
    return "".join(map(_lower, text))


def _lower(letter: str) -> str:
    lowered = letter.lower()
    return lowered if len(lowered) == 1 else letter


def text_of(kind: str, stored: str) -> str:
    """The text of a stored value of a column of some kind, as people wrote it; lines between the texts of JSON."""
    if kind != "json":
        return unescape_text(stored)
    try:
        return "\n".join(_texts(from_json(stored)))
    except ValueError:
        return stored


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as fields:
                waiting.extend(reversed(fields.values()))
            case list() as items:
                waiting.extend(reversed(items))


def pattern(text: str) -> str:
    """A regular expression that finds a text with letters that are alike: of RE2, which Rust and others read too."""
    return "".join(_alike(letter) for letter in text)


def alike(letter: str) -> tuple[str, ...]:
    """All letters that are alike, itself among them, by code point."""
    return tuple(sorted({letter, *_by_lower_case().get(_lower(letter), ())}))


@cache
def _alike(letter: str) -> str:
    same = alike(letter)
    spelled = [each if each.isascii() and each.isalnum() else f"\\x{{{ord(each):x}}}" for each in same]
    return spelled[0] if len(same) == 1 else f"[{''.join(spelled)}]"


@cache
def two_cases() -> tuple[str, str]:
    """All letters that have a lower case, and beside them what it is."""
    pairs = [(letter, lowered) for lowered, same in _by_lower_case().items() for letter in same if letter != lowered]
    return "".join(letter for letter, _ in pairs), "".join(lowered for _, lowered in pairs)


@cache
def _by_lower_case() -> Mapping[str, tuple[str, ...]]:
    """Every letter that has a lower case, under that, and the lower case itself."""
    found: dict[str, tuple[str, ...]] = {}
    for point in range(0x20000):  # no letter beyond has another case
        letter = chr(point)
        if (lowered := _lower(letter)) != letter:
            found[lowered] = (*found.get(lowered, (lowered,)), letter)
    return found
