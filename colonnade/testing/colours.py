"""One test for two colours: an async storage behind a blocking face, for tests only.

``Awaited(colonnade.aopen(...))`` has the methods of ``colonnade.open(...)``, each awaited on an event loop of its own,
so a domain suite is written once, in plain calls, and run in both colours.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from colonnade.engine.composite import AsyncStorage
from colonnade.engine.operation import Bound


class Awaited:
    """The blocking face of an async storage or of one of its domains."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._inner = inner
        self._loop = loop or asyncio.new_event_loop()
        if isinstance(inner, AsyncStorage):
            self._loop.run_until_complete(inner.init())

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if isinstance(found, Bound):
            return Awaited(found, self._loop)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            if isinstance(answer, Bound):
                return Awaited(answer, self._loop)
            if isinstance(answer, AsyncIterator):
                return self._each(answer)
            return self._loop.run_until_complete(answer) if inspect.isawaitable(answer) else answer

        return call

    def _each(self, answers: AsyncIterator[Any]) -> Iterator[Any]:
        end = object()

        async def following() -> Any:
            return await anext(answers, end)

        while (answer := self._loop.run_until_complete(following())) is not end:
            yield answer

    def close(self) -> None:
        """Close the storage and its event loop."""
        self._loop.run_until_complete(self._inner.close())
        self._loop.close()
