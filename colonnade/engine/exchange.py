"""Requests over HTTP as generators: a protocol is written once, and run by a blocking and by an async client.

An exchange yields what is to be posted, is sent what came back, and is thrown ``Unanswered`` where nothing did.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from colonnade.engine.certificates import mistrusted, trusted
from colonnade.engine.driving import drive, drive_async
from colonnade.engine.forking import survives_forks
from colonnade.errors import MissingExtra, StoreClosed

if TYPE_CHECKING:
    import httpx

R = TypeVar("R")

_CONNECT: Final = 10.0
"""Seconds in which a connection has to be made."""


@dataclass(frozen=True, slots=True)
class Post:
    """A body to be posted to an address."""

    url: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unanswered(Exception):
    """No reply. ``sent`` says whether the request may have arrived all the same, ``lasting`` that the next will not."""

    def __init__(self, said: str, *, sent: bool, lasting: bool = False) -> None:
        super().__init__(said)
        self.sent = sent
        self.lasting = lasting


Exchange = Generator[Post | Pause, Any, R]


@dataclass(frozen=True, slots=True)
class Line:
    """How to speak with a server: for whom, with which headers, which are secret, and how patiently."""

    label: str
    extra: str
    headers: Mapping[str, str]
    timeout: float = 60.0
    ca: str | None = None
    """A file of certificates to trust, instead of those that httpx comes with."""

    def __repr__(self) -> str:
        return f"<Line {self.label}>"


class BlockingHttp:
    """Runs exchanges from any number of threads."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._closed = False
        _driver(line)
        self._verify = trusted(line.ca)
        survives_forks(self)

    def before_fork(self) -> None:
        """Nothing: a connection that is idle may be copied, as long as only one side uses it."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Connect anew; the parent's connections stay as they are."""
        self._left = self._client
        self._client, self._lock = None, threading.Lock()

    def _opened(self) -> httpx.Client:
        if self._closed:
            raise StoreClosed(f"{self._line.label} is closed; open it again with colonnade.open()")
        with self._lock:
            if self._client is None:
                self._client = _driver(self._line).Client(**_options(self._line), verify=self._verify)
            return self._client

    def run(self, exchange: Exchange[R]) -> R:
        """What an exchange returns."""
        return drive(exchange, self._answer, Unanswered)

    def _answer(self, asked: Post | Pause) -> Reply | None:
        if isinstance(asked, Pause):
            time.sleep(asked.seconds)
            return None
        client = self._opened()
        with _unanswered(self._line):
            return _reply(client.post(asked.url, content=asked.body))

    def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        if self._client is not None:
            self._client.close()


class AwaitedHttp:
    """Runs exchanges on one event loop."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        _driver(line)
        self._verify = trusted(line.ca)

    def _opened(self) -> httpx.AsyncClient:
        if self._closed:
            raise StoreClosed(f"{self._line.label} is closed; open it again with colonnade.aopen()")
        if self._client is None:
            self._client = _driver(self._line).AsyncClient(**_options(self._line), verify=self._verify)
        return self._client

    async def run(self, exchange: Exchange[R]) -> R:
        """What an exchange returns."""
        return await drive_async(exchange, self._answer, Unanswered)

    async def _answer(self, asked: Post | Pause) -> Reply | None:
        if isinstance(asked, Pause):
            await asyncio.sleep(asked.seconds)
            return None
        client = self._opened()
        with _unanswered(self._line):
            return _reply(await client.post(asked.url, content=asked.body))

    async def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()


def _driver(line: Line) -> Any:
    try:
        import httpx
    except ImportError:
        raise MissingExtra(f"a store at {line.label}", line.extra) from None
    return httpx


def _options(line: Line) -> dict[str, Any]:
    timeout = _driver(line).Timeout(line.timeout, connect=_CONNECT)
    return {"headers": dict(line.headers), "timeout": timeout}


@contextmanager
def _unanswered(line: Line) -> Iterator[None]:
    httpx = _driver(line)
    try:
        yield
    except httpx.HTTPError as error:
        if told := mistrusted(str(error), "ca"):
            raise Unanswered(told, sent=False, lasting=True) from None
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        raise Unanswered(f"{type(error).__name__}: {error}".rstrip(": "), sent=sent) from None


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)
