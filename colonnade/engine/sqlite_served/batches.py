"""Batches of statements: what steps yield, and what carries them, at once or as requests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from colonnade.engine.driving import drive, drive_by
from colonnade.engine.relational import Statement
from colonnade.errors import ColonnadeError, StoreError

R = TypeVar("R")


class TooMuch(StoreError):
    """The server has more to answer than it may at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Statements that are run in their order; several are one transaction, all or nothing."""

    statements: tuple[Statement, ...]
    writes: bool = True
    """Whether they change anything: if not, they may be asked again."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement gave."""

    rows: list[tuple[Any, ...]]
    changed: int = 0


Steps = Generator[Batch, list[Result], R]
"""Yields batches, is sent a result for each of their statements, or is thrown the error of the whole."""


def ask(*statements: Statement) -> Steps[list[Result]]:
    """Read."""
    found = yield Batch(statements, writes=False)
    return found


def carried(steps: Steps[R], send: Callable[[Batch], Generator[Any, Any, list[Result]]]) -> Generator[Any, Any, R]:
    """Steps as one generator of what it takes to have each batch run, which ``send`` says."""
    return drive_by(steps, send, ColonnadeError)


def at_once(steps: Steps[R], run: Callable[[Batch], list[Result]]) -> R:
    """Run steps where a batch is a call."""
    return drive(steps, run, ColonnadeError)
