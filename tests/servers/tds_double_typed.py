"""What the TDS double knows of an expression, and how it refuses one."""

from __future__ import annotations

from dataclasses import dataclass

from pysqlbridge.tds.result import QueryError

from tests.servers.tds_double_types import TEXTS


@dataclass(frozen=True)
class Typed:
    """An expression of SQLite, with its type in T-SQL; of a parameter that is not known."""

    sql: str
    kind: str | None = None
    size: int = -1
    collation: str | None = None
    explicit: bool = False
    """Whether COLLATE says so."""
    name: str = ""
    """What a column of a result is called."""

    @property
    def is_text(self) -> bool:
        """Whether it can be compared as text."""
        return self.kind is None or self.kind in TEXTS


Scope = dict[str, dict[str, Typed]]
"""Alias -> column -> how it is read. Both in lower case."""


def refuse(what: str) -> QueryError:
    """The double's own limit."""
    return QueryError(f"The TDS double does not know {what[:300]}.", number=50000)


def syntax(near: str) -> QueryError:
    """Error 102."""
    return QueryError(f"Incorrect syntax near '{near[:80]}'.", number=102, severity=15)
