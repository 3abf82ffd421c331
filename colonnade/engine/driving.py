"""How steps are run: generators that yield what they need, are sent what came of it, and return an answer at the end.

Whatever has steps is written once; who runs them has an answer to each of their requests, and blocks for it, awaits it,
or needs steps of its own. An error that steps may do without is ``thrown`` into them; any other ends them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Asked = TypeVar("Asked")
Wanted = TypeVar("Wanted")
R = TypeVar("R")


def drive(steps: Generator[Asked, Any, R], answer: Callable[[Asked], Any], *thrown: type[Exception]) -> R:
    """What steps return, each request of theirs answered by a call."""
    found: Any = None
    refused: Exception | None = None
    while True:
        try:
            asked = steps.send(found) if refused is None else steps.throw(refused)
        except StopIteration as stop:
            result: R = stop.value
            return result
        found = refused = None
        try:
            found = answer(asked)
        except thrown as error:
            refused = error


async def drive_async(
    steps: Generator[Asked, Any, R], answer: Callable[[Asked], Awaitable[Any]], *thrown: type[Exception]
) -> R:
    """As ``drive``, awaited."""
    found: Any = None
    refused: Exception | None = None
    while True:
        try:
            asked = steps.send(found) if refused is None else steps.throw(refused)
        except StopIteration as stop:
            result: R = stop.value
            return result
        found = refused = None
        try:
            found = await answer(asked)
        except thrown as error:
            refused = error


def drive_by(
    steps: Generator[Asked, Any, R], answer: Callable[[Asked], Generator[Wanted, Any, Any]], *thrown: type[Exception]
) -> Generator[Wanted, Any, R]:
    """As ``drive``, where an answer takes steps too: steps of one kind made of another."""
    found: Any = None
    refused: Exception | None = None
    while True:
        try:
            asked = steps.send(found) if refused is None else steps.throw(refused)
        except StopIteration as stop:
            result: R = stop.value
            return result
        found = refused = None
        try:
            found = yield from answer(asked)
        except thrown as error:
            refused = error
