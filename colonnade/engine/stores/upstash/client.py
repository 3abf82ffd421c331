"""The two clients, blocking and async: both post what the talk says, over httpx."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from colonnade.engine.certificates import mistrusted, trusted
from colonnade.engine.driving import drive, drive_async
from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.upstash.address import Place
from colonnade.engine.stores.upstash.requests import Steps
from colonnade.engine.stores.upstash.talking import Counter, Post, Reply, talk
from colonnade.errors import MissingExtra, StoreClosed

if TYPE_CHECKING:
    from httpx import AsyncClient, Client, Response

R = TypeVar("R")

_CONNECTIONS: Final = 20
_SYNC: Final = "Upstash-Sync-Token"


class BlockingClient:
    """Talks with the server from any number of threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.counter = Counter()
        self._closed = False
        self.http: Client = _driver().Client(**_options(place))
        survives_forks(self)

    def before_fork(self) -> None:
        """Nothing: a connection that is idle may be copied, as long as only one side uses it."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Connect anew; the parent's connections stay as they are."""
        self._left = self.http
        self.counter = self.counter.copy()
        self.http = _driver().Client(**_options(self._place))

    def run(self, steps: Steps[R]) -> R:
        """What steps return."""
        _open(self._closed, self._place, "open")
        return drive(talk(steps, self._place, self.counter), self._answer)

    def _answer(self, post: Post) -> Reply:
        time.sleep(post.pause)
        try:
            return _reply(self.http, self.http.post(post.path, content=post.body))
        except _driver().TransportError as error:
            return _broken(error)

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        self.http.close()


class AwaitedClient:
    """Talks with the server on one event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.counter = Counter()
        self._closed = False
        self.http: AsyncClient = _driver().AsyncClient(**_options(place))

    async def run(self, steps: Steps[R]) -> R:
        """What steps return."""
        _open(self._closed, self._place, "aopen")
        return await drive_async(talk(steps, self._place, self.counter), self._answer)

    async def _answer(self, post: Post) -> Reply:
        if post.pause:
            await asyncio.sleep(post.pause)
        try:
            return _reply(self.http, await self.http.post(post.path, content=post.body))
        except _driver().TransportError as error:
            return _broken(error)

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        await self.http.aclose()


def _open(closed: bool, place: Place, how: str) -> None:
    if closed:
        raise StoreClosed(f"{place.label} is closed; open it again with colonnade.{how}()")


def _driver() -> Any:
    try:
        import httpx
    except ImportError:
        raise MissingExtra("an Upstash store", "upstash") from None
    return httpx


def _options(place: Place) -> dict[str, Any]:
    limits: Callable[..., Any] = _driver().Limits
    return {
        "base_url": place.url,
        "headers": {
            "Authorization": f"Bearer {place.token}",
            "Content-Type": "application/json",
            "Upstash-Encoding": "base64",  # else what is no UTF-8 would come back as question marks
        },
        "timeout": place.timeout,
        "verify": place.url.startswith("https:")
        and trusted(place.ca),  # certificates that nobody asks for take long to load
        "limits": limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
    }


def _reply(http: Client | AsyncClient, response: Response) -> Reply:
    if seen := response.headers.get(_SYNC):
        http.headers[_SYNC] = seen  # whichever replica is asked next, it first catches up with what was seen here
    return Reply(response.status_code, response.content, response.headers.get("Retry-After", ""))


def _broken(error: Exception) -> Reply:
    httpx = _driver()
    never = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    if told := mistrusted(str(error), "ca"):
        return Reply(failure=told, arrived=False, lasting=True)
    said = str(error) or "no answer in time"
    return Reply(failure=f"{type(error).__name__}: {said}", arrived=not isinstance(error, never))
