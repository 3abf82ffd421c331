"""T-SQL text of the TDS double, before it is parsed: literals are taken out, and a batch is cut into statements.

pymssql writes values into its statements, so each text is another. Without the literals they are few, and each is
parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pysqlbridge.tds.result import QueryError

_TYPES: Final = "n?varchar|n?char|varbinary|binary|datetime2|datetimeoffset|decimal|numeric|float|time"
_TOKEN: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r'|(?P<name>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")'
    rf"|(?P<type>\b(?:{_TYPES})\s*\(\s*(?:max|\d+)(?:\s*,\s*\d+)?\s*\)|\bTOP\s*\(?\s*\d+)"
    r"|(?P<path>(?<=[\w)] )N?'\$[\w.\"$\[\]]{0,200}'|'SHA2_\d+')"
    r"|(?P<string>N?'[^']*(?:''[^']*)*')"
    r"|(?P<binary>\b0x[0-9a-f]*)"
    r"|(?P<null>(?<=[(,])\s*\bNULL\b(?=\s*[,)]))"
    r"|(?P<number>(?:(?<=[(,=<>])|(?<=[(,=<>] ))-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.])"
    r"|(?<![\w@#$.\]])(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.]))",
    re.I | re.S,
)
_CONTINUED: Final = re.compile(r"\\\r?\n")
"""A backslash before a line end goes with it, and the text goes on in the next line."""
_BEGINS: Final = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "EXEC", "EXECUTE"),
        *("SET", "DECLARE", "IF", "BEGIN", "COMMIT", "ROLLBACK", "SAVE", "THROW", "PRINT", "RETURN", "WAITFOR", "WITH"),
    )
)
"""What a statement begins with."""
_WORD: Final = re.compile(r"\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|N?'[^']*(?:''[^']*)*'|@*\w+|[();]", re.S)


def shape(sql: str) -> tuple[str, dict[str, Any]]:
    """A text with ``@_0``, ``@_1`` ... for its literals, and what those are. Numbers of one or two digits stay."""
    values: dict[str, Any] = {}
    rows = "VALUES" in sql.upper()

    def taken(found: re.Match[str]) -> str:
        text = found.group()
        match found.lastgroup:
            case "comment":
                return " "
            case "name" | "type" | "path":
                return text
            case "number" if len(text) <= 2 and text.isdigit() and not rows:
                return text
            case "string":
                value: Any = _CONTINUED.sub("", text[text.index("'") + 1 : -1].replace("''", "'"))
            case "binary":
                value = bytes.fromhex("0" * (len(text) % 2) + text[2:])
            case "null":
                value = None
            case _:
                value = _number(text)
        name = f"_{len(values)}"
        values[name] = value
        return f" @{name}" if found.lastgroup == "null" else f"@{name}"

    return _TOKEN.sub(taken, sql), values


def _number(text: str) -> int | float:
    if not text.lstrip("-").isdigit():
        return float(text)
    number = int(text)
    return number if -(2**63) <= number < 2**63 else float(number)


@dataclass(frozen=True)
class Conditional:
    """IF."""

    condition: str
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True)
class Tried:
    """BEGIN TRY and its CATCH."""

    body: tuple[Step, ...]
    catch: tuple[Step, ...]


Step = str | Conditional | Tried


def steps(shaped: str) -> tuple[Step, ...]:
    """The statements of a batch. Each ends with a semicolon, or with the batch or block that it stands in."""
    return _Cutter(shaped).all()


class _Cutter:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words = [(found.group().upper(), found.start(), found.end()) for found in _WORD.finditer(text)]
        self._at = 0

    def all(self) -> tuple[Step, ...]:
        """Every step."""
        return tuple(self._until(()))

    def _word(self, ahead: int = 0) -> str:
        return self._words[self._at + ahead][0] if self._at + ahead < len(self._words) else ""

    def _until(self, end: tuple[str, ...]) -> Iterator[Step]:
        while self._at < len(self._words):
            if self._word() == ";":
                self._at += 1
            elif end and self._word() == end[0]:
                if len(end) > 1 and self._word(1) != end[1]:
                    raise QueryError(f"Incorrect syntax near '{self._word(1)}'.", number=102, severity=15)
                self._at += len(end)
                return
            else:
                yield self._one()
        if end:
            raise QueryError(f"Incorrect syntax: {' '.join(end)} is missing.", number=102, severity=15)

    def _one(self) -> Step:
        if self._word() == "IF":
            self._at += 1
            condition = self._condition()
            then = self._branch()
            while self._word() == ";" and self._word(1) == "ELSE":
                self._at += 1
            otherwise: tuple[Step, ...] = ()
            if self._word() == "ELSE":
                self._at += 1
                otherwise = self._branch()
            return Conditional(condition, then, otherwise)
        if self._word() == "BEGIN" and self._word(1) == "TRY":
            self._at += 2
            body = tuple(self._until(("END", "TRY")))
            while self._word() == ";":
                self._at += 1
            if (self._word(), self._word(1)) != ("BEGIN", "CATCH"):
                raise QueryError("Incorrect syntax near 'TRY'.", number=102, severity=15)
            self._at += 2
            return Tried(body, tuple(self._until(("END", "CATCH"))))
        return self._plain()

    def _condition(self) -> str:
        start = self._words[self._at][1] if self._at < len(self._words) else 0
        depth = 0
        while self._at < len(self._words):
            word, place, _ = self._words[self._at]
            if depth == 0 and word in _BEGINS:
                return self._text[start:place].strip()
            depth += {"(": 1, ")": -1}.get(word, 0)
            self._at += 1
        raise QueryError("Incorrect syntax near 'IF'.", number=102, severity=15)

    def _branch(self) -> tuple[Step, ...]:
        if self._word() == "BEGIN" and self._word(1) not in ("TRAN", "TRANSACTION", "TRY"):
            self._at += 1
            return tuple(self._until(("END",)))
        return (self._one(),)

    def _plain(self) -> str:
        start, depth, cases = self._words[self._at][1], 0, 0
        last = start
        while self._at < len(self._words):
            word, _, end = self._words[self._at]
            if depth == 0 and (word == ";" or (cases == 0 and word in ("END", "ELSE") and last > start)):
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            cases += {"CASE": 1, "END": -1}.get(word, 0) if depth == 0 else 0
            last = end
            self._at += 1
        end_of = self._words[self._at][1] if self._at < len(self._words) else len(self._text)
        return self._text[start:end_of].strip()
