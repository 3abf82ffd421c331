"""Every error that colonnade raises on purpose.

::

    ColonnadeError
    ├── InvalidInput (also ValueError)       what was passed cannot be used; nothing was written
    │   ├── InvalidRows                      rows refused by a schema, all of them listed
    │   └── InvalidAddress                   a URL or path that names no store
    ├── NotFound (also LookupError)          the thing to change is not there; nothing was written
    ├── AlreadyExists                        the thing to create is there; nothing was written
    ├── Conflict                             others kept changing the same rows; safe to try again
    ├── TooLarge                             an answer takes more memory than it may; narrow it, or stream it
    ├── QueueFull                            a writer has no room, and was told not to wait for it any longer
    ├── Unsupported                          this store cannot do it, and it would be wrong to guess
    ├── MissingExtra (also ImportError)      an optional package is not installed
    └── StoreError                           the store itself said no
        ├── StoreClosed                      used after close()
        ├── StoreLocked                      another process holds it
        ├── StoreReadOnly                    it cannot be written, or was opened for reading only
        ├── NotAStore                        there is a file, but it is no database of this kind
        ├── SchemaTooNew                     written by a newer colonnade
        └── QueryError                       user SQL that was refused or failed
            ├── QueryTimeout                 it took longer than it may
            ├── QueryOutOfMemory             it needs more memory than it may have
            └── QueryCancelled               it was cancelled, or its result closed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class ColonnadeError(Exception):
    """The root: ``except colonnade.ColonnadeError`` catches everything this library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is, not made anew from a message alone: process pools hand errors on as pickles.
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[ColonnadeError], args: tuple[Any, ...]) -> ColonnadeError:
    return kind.__new__(kind, *args)


class InvalidInput(ColonnadeError, ValueError):
    """What was passed cannot be used. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one row: its position (0-based), its field, and what to do about it."""

    row: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.field} {self.message}"


class InvalidRows(InvalidInput):
    """Rows that a table's schema refuses. All problems are in ``problems``; nothing was written.

    Where a writer raises it, ``problems`` are the first of them, ``refused`` counts the rows, and all others that it
    was given are written.
    """

    SHOWN = 20

    def __init__(
        self,
        table: str,
        problems: Sequence[Problem],
        *,
        refused: int | None = None,
        others: str = "nothing was written",
    ) -> None:
        self.table = table
        self.problems = tuple(problems)
        self.refused = rows = len({problem.row for problem in self.problems}) if refused is None else refused
        lines = [f"  {problem}" for problem in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            lines.append(f"  ... and {len(self.problems) - self.SHOWN} more")
        plural = "" if rows == 1 else "s"
        super().__init__(f"{rows} row{plural} refused by {table}; {others}:\n" + "\n".join(lines))


class InvalidAddress(InvalidInput):
    """A URL or path that names no store."""


class NotFound(ColonnadeError, LookupError):
    """The thing to change is not there. Nothing was written."""


class AlreadyExists(ColonnadeError):
    """The thing to create is there already. Nothing was written."""


class Conflict(ColonnadeError):
    """Others changed the same rows in the meantime. Raised to a caller only after many tries."""


class TooLarge(ColonnadeError):
    """The rows of an answer take more memory than a read may hold; none are given, so that none are missed."""


class QueueFull(ColonnadeError):
    """A writer's queue has no room: what was to be added is not in it, and all that was added before still is."""


class Unsupported(ColonnadeError):
    """The store cannot do this, and an approximate answer would be mistaken for the whole one."""


class MissingExtra(ColonnadeError, ImportError):
    """An optional package is not installed; the message names the extra to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'colonnade[{extra}]'")


class StoreError(ColonnadeError):
    """The store itself said no. The message names the store and never holds a secret."""


class StoreClosed(StoreError):
    """The store was used after ``close()``."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StoreReadOnly(StoreError):
    """The store cannot be written: the place is read-only, or it was opened for reading only."""


class NotAStore(StoreError):
    """There is something at that address, but it is not a database of this kind."""


class SchemaTooNew(StoreError):
    """The store was written by a newer colonnade."""

    def __init__(self, where: str, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"{where} has schema version {found}; this colonnade knows versions up to {known}. "
            "Upgrade colonnade to open it; nothing was changed."
        )


class QueryError(StoreError):
    """SQL given by the user that was refused (it would write, or reach outside the store) or that failed."""


class QueryTimeout(QueryError):
    """A query that took longer than its ``timeout``. It was stopped, and what it held is free again."""


class QueryOutOfMemory(QueryError):
    """A query that needs more memory than it may have, beside what it may set aside on disk."""


class QueryCancelled(QueryError):
    """A query that was cancelled or interrupted, or whose result was closed before its rows were read."""
