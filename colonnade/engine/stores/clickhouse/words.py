r"""How ClickHouse finds rows that may hold words: by an index of texts in a normal form, which misses no row.

The server cuts texts at what is no letter and no digit of ASCII. So the index is of the text in lower case, with blanks
for all else that ends a word:

- what is written with an escape, by JSON (``\n``, ``\"``) and by us (NUL, in ``schemas.payloads``);
- every character beyond ASCII that is not ``KEPT``. These are letters of which Python and the server know the same
  lower case, whatever version of Unicode each of them has. The others may be letters to one of them only.

A word, as ``schemas.words`` cuts it, is then one token, or several where a letter is not kept. Every row that holds the
word has all of them, so they are asked for; rows that have them and not the word do no harm. A word without any letter
that is kept is looked for as a text within texts.
"""

from __future__ import annotations

import re
from typing import Final

from colonnade.schemas.payloads import ESCAPE

KEPT: Final = (
    # Latin without the dotted capital I, which has two letters for its lower case, and what was never paired yet.
    *("\xc0-\xd6", "\xd8-\xf6", "\xf8-\u012f", "\u0132-\u0137", "\u0139-\u0148", "\u014a-\u017e"),
    # Greek without sigma, whose lower case depends on its place in a word.
    *("\u0386", "\u0388-\u038a", "\u038c", "\u038e-\u03a1", "\u03a4-\u03c1", "\u03c4-\u03ce"),
    *("\u0400-\u045f", "\u05d0-\u05ea", "\u0620-\u064a"),  # Cyrillic, Hebrew, Arabic
    *("\u3041-\u3096", "\u30a1-\u30fa", "\u3400-\u4db5", "\u4e00-\u9fa5", "\uac00-\ud7a3"),  # kana, Han, Hangul
    *("\u03f4", "\u1e9e", "\u2126", "\u212a", "\u212b"),  # further capitals of letters above: theta, sharp s, ohm, ...
)
"""Ranges of letters beyond ASCII. With a letter all others are kept that have its lower case, or are it."""

_KEPT_AS: Final = "tokenizer = 'splitByNonAlpha', posting_list_codec = 'bitpacking'"
_TOKEN: Final = re.compile(f"[0-9A-Za-z{''.join(KEPT)}]+")
_ESCAPED: Final = rf"\x{{{ord(ESCAPE):x}}}[0-9a-f]{{4}}"
_JSON: Final = r"\\(?:u[0-9a-fA-F]{4}|[^u])"


def tokens(word: str) -> list[str]:
    """The parts of a word that are tokens of every row that holds it."""
    return _TOKEN.findall(word)


def normal(column: str, kind: str) -> str:
    """SQL for what an index of words is of; ``column`` is quoted."""
    text = _blanked(column, _ESCAPED)
    if kind == "json":
        text = _blanked(column, _JSON, _ESCAPED)
        # What is no JSON is searched as it stands; of what only one of the server and Python takes for JSON, either.
        text = f"if(isValidJSON({column}), {text}, concat({text}, ' ', {_blanked(column)}))"
    return f"lowerUTF8({text})"


def index(name: str, column: str, kind: str) -> str:
    """What is said of the index of a column's words when it is made; both names are quoted."""
    return f"{name} {normal(column, kind)} TYPE text({_KEPT_AS})"


def _blanked(column: str, *escapes: str) -> str:
    other = "".join(_spelled(each) for each in KEPT)
    pattern = "|".join([*escapes, rf"[^\x00-\x7f{other}]"])
    literal = pattern.replace("\\", "\\\\")  # it holds nothing else that is special within quotation marks
    return f"replaceRegexpAll({column}, '{literal}', ' ')"


def _spelled(letters: str) -> str:
    """A range for RE2, in ASCII."""
    return "-".join(rf"\x{{{ord(letter):x}}}" for letter in letters.split("-"))
