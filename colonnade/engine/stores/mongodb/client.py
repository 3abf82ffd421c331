"""The two clients, blocking and async: each runs the same requests, and tells the server's errors in our words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from colonnade.engine.driving import drive, drive_async
from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.mongodb.address import Place
from colonnade.engine.stores.mongodb.refusals import driver, opened, translated
from colonnade.engine.stores.mongodb.requests import Request, Steps
from colonnade.errors import ColonnadeError, StoreClosed

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient, MongoClient

R = TypeVar("R")

_ROWS: Final = 4_096
"""Documents that come at once, of those that are not too large for that."""


class BlockingClient:
    """Requests over ``MongoClient``, from any number of threads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._closed = False
        self._client: MongoClient[Any] | None = None
        with opened(place):
            self._client = driver().MongoClient(place.uri, **_options(place))
        survives_forks(self)

    def before_fork(self) -> None:
        """Nothing: the driver's own connections are not used by two processes."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Connect anew; the parent's connections stay as they are."""
        self._left, self._client = self._client, None

    @property
    def client(self) -> Any:
        """The driver's client."""
        if self._closed:
            raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.open()")
        if self._client is None:
            self._client = driver().MongoClient(self.place.uri, **_options(self.place))
        return self._client

    def run(self, steps: Steps[R], session: Any = None) -> R:
        """Run the requests of some steps; what they return. Errors come to them first, in our words."""

        def answer(request: Request) -> Any:
            with translated(self.place, inside=session is not None):
                found = _called(self.client, self.place, request, session)
                return found.to_list() if request.rows else found

        return drive(steps, answer, ColonnadeError)

    def stream(self, request: Request) -> Iterator[list[Any]]:
        """Documents as they come."""
        with translated(self.place), _called(self.client, self.place, request, None) as cursor:
            while found := cursor.to_list(_ROWS):
                yield found

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A session of the driver: committed at its end, undone on an error."""
        with (
            translated(self.place, inside=True),
            self.client.start_session() as session,
            session.start_transaction(**_transaction(self.client)),
        ):
            yield session

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        if self._client is not None:
            self._client.close()
            self._client = None


class AwaitedClient:
    """Requests over ``AsyncMongoClient``, on one event loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._closed = False
        self._client: AsyncMongoClient[Any] | None = None
        driver()

    @property
    def client(self) -> Any:
        """The driver's client."""
        if self._closed:
            raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.aopen()")
        if self._client is None:  # not before there is an event loop
            with opened(self.place):
                self._client = driver().AsyncMongoClient(self.place.uri, **_options(self.place))
        return self._client

    async def run(self, steps: Steps[R], session: Any = None) -> R:
        """Run the requests of some steps; what they return. Errors come to them first, in our words."""

        async def answer(request: Request) -> Any:
            with translated(self.place, inside=session is not None):
                found = _called(self.client, self.place, request, session)
                if isawaitable(found):
                    found = await found
                return await found.to_list() if request.rows else found

        return await drive_async(steps, answer, ColonnadeError)

    async def stream(self, request: Request) -> AsyncIterator[list[Any]]:
        """Documents as they come."""
        with translated(self.place):
            cursor = _called(self.client, self.place, request, None)
            async with await cursor if isawaitable(cursor) else cursor as documents:
                while found := await documents.to_list(_ROWS):
                    yield found

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A session of the driver: committed at its end, undone on an error."""
        with translated(self.place, inside=True):
            async with (
                self.client.start_session() as session,
                await session.start_transaction(**_transaction(self.client)),
            ):
                yield session

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        if self._client is not None:
            await self._client.close()
            self._client = None


def _called(client: Any, place: Place, request: Request, session: Any) -> Any:
    target = client[place.database]
    if request.collection is not None:
        target = target[request.collection]
    return getattr(target, request.method)(*request.arguments, **request.options, session=session)


def _transaction(client: Any) -> dict[str, Any]:
    """One state of the database to read, and what the address says of writes, if it says anything."""
    from pymongo import ReadPreference, WriteConcern
    from pymongo.read_concern import ReadConcern

    concern = client.write_concern
    return {
        "read_concern": ReadConcern("snapshot"),
        "write_concern": WriteConcern("majority") if concern.is_server_default else concern,
        "read_preference": ReadPreference.PRIMARY,
    }


def _options(place: Place) -> dict[str, Any]:
    # Dates as numbers of milliseconds: Python's own end with the years 1 and 9999, and are slower.
    name = {} if "appname=" in place.uri.lower() else {"appname": "colonnade"}
    return {**name, **place.options, "datetime_conversion": "DATETIME_MS", "tz_aware": True}
