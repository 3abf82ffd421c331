"""A libSQL server's database in both colours: single plans, and transactions, which are streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.exchange import AwaitedHttp, BlockingHttp, Exchange, Line
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.sqlite_served import setup
from colonnade.engine.sqlite_served.batches import Batch, Result, Steps, carried
from colonnade.engine.sqlite_served.spelling import SERVED, ServedRenderer
from colonnade.engine.sqlite_served.steps import ABILITIES as SERVED_ABILITIES
from colonnade.engine.sqlite_served.steps import STREAMED, Place, Spelled
from colonnade.engine.sqlite_served.values import is_short, parts_of
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.libsql import address
from colonnade.engine.stores.libsql.hrana import Hrana, Stream

ABILITIES: Final = replace(SERVED_ABILITIES, transactions=True, compare_and_set=False)


class ServerRenderer(ServedRenderer):
    """Renders one statement for a server, which reads decimals from JSON almost right: 1 ulp beside, one in six."""

    def _bind(self, value: Any) -> str:
        if not isinstance(value, float) or is_short(value):
            return super()._bind(value)
        return f"({' * pow(2, '.join(map(super()._bind, parts_of(value)))}))"


_SPELLED: Final = Spelled(SERVED, ServerRenderer)


def _line(place: address.Place) -> Line:
    secret = {"authorization": f"Bearer {place.token}"} if place.token else {}
    return Line(place.label, "libsql", {"content-type": "application/json"} | secret, ca=place.ca)


class Session(Store):
    """Plans within one transaction."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, server: LibSQLServer, stream: Stream) -> None:
        self.label = server.label
        self._server = server
        self._stream = stream

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self._server.http.run(within(self._server.hrana, self._stream, _SPELLED.steps_of(plan)))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan, of the one moment of the transaction."""
        yield from self.execute(plan).to_batches()


class LibSQLServer(Store):
    """A server's database, for any number of threads and processes."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, place: address.Place) -> None:
        self.label = place.label
        self.hrana = Hrana(str(place.url), self.label)
        self.http = BlockingHttp(_line(place))

    def init(self) -> None:
        """Make what is missing of Mastra's tables and ours."""
        self.http.run(carried(setup.steps(self.label, SERVED), self.hrana.send))

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self.http.run(carried(_SPELLED.steps_of(plan), self.hrana.send))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan; page by page where any order will do."""
        if plan.complete_order:
            yield from self.execute(plan).to_batches()
            return
        place: Place | None = Place(STREAMED)
        while place is not None:
            steps = _SPELLED.next_page(plan, place)
            page, place = self.http.run(carried(steps, self.hrana.send))
            yield from page.to_batches()

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """A stream whose plans are committed as one."""
        stream = Stream(self.hrana.url)
        try:
            yield Session(self, stream)
        except BaseException:
            self.http.run(self.hrana.end(stream, commit=False))
            raise
        self.http.run(self.hrana.end(stream, commit=True))

    def close(self) -> None:
        """Let go of the connections."""
        self.http.close()


class AsyncSession(AsyncStore):
    """Plans within one transaction, awaited."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, server: AsyncLibSQLServer, stream: Stream) -> None:
        self.label = server.label
        self._server = server
        self._stream = stream

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self._server.http.run(within(self._server.hrana, self._stream, _SPELLED.steps_of(plan)))


class AsyncLibSQLServer(AsyncStore):
    """The same, natively async."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, place: address.Place) -> None:
        self.label = place.label
        self.hrana = Hrana(str(place.url), self.label)
        self.http = AwaitedHttp(_line(place))

    async def init(self) -> None:
        """Make what is missing of Mastra's tables and ours."""
        await self.http.run(carried(setup.steps(self.label, SERVED), self.hrana.send))

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self.http.run(carried(_SPELLED.steps_of(plan), self.hrana.send))

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan; page by page where any order will do."""
        place = None if plan.complete_order else Place(STREAMED)
        if place is None:
            for batch in (await self.execute(plan)).to_batches():
                yield batch
        while place is not None:
            steps = _SPELLED.next_page(plan, place)
            page, place = await self.http.run(carried(steps, self.hrana.send))
            for batch in page.to_batches():
                yield batch

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncStore]:
        """A stream whose plans are committed as one."""
        stream = Stream(self.hrana.url)
        try:
            yield AsyncSession(self, stream)
        except BaseException:
            await self.http.run(self.hrana.end(stream, commit=False))
            raise
        await self.http.run(self.hrana.end(stream, commit=True))

    async def close(self) -> None:
        """Let go of the connections."""
        await self.http.close()


def within(hrana: Hrana, stream: Stream, steps: Steps[Any]) -> Exchange[Any]:
    """Steps within a transaction."""

    def send(batch: Batch) -> Exchange[list[Result]]:
        return hrana.within(stream, batch)

    return carried(steps, send)
