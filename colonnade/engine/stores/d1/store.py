"""``D1Store`` as the source documents construct it, in both colours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.exchange import AwaitedHttp, BlockingHttp, Exchange, Line
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.sqlite_served import setup
from colonnade.engine.sqlite_served.batches import Steps, carried
from colonnade.engine.sqlite_served.spelling import prefixed
from colonnade.engine.sqlite_served.steps import ABILITIES, Place
from colonnade.engine.store import AsyncStore, Store, named
from colonnade.engine.stores.d1 import address
from colonnade.engine.stores.d1.rest import Rest, line_headers
from colonnade.engine.stores.d1.spelling import D1Spelled


class _Made:
    """How both colours are made, and what they ask."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(
        self,
        account_id: str | None = None,
        database_id: str | None = None,
        api_token: str | None = None,
        table_prefix: str = "",
        api_url: str = address.API,
        ca: str | None = None,
        *,
        id: str = "d1",
    ) -> None:
        """What is not given comes from the environment; ``api_url`` names a Worker that offers a binding.

        ``ca`` names a file with certificates to trust, where your own authority signed that of ``api_url``.
        """
        self.id = named(type(self).__name__, id)
        self.place = address.place(account_id, database_id, api_token, table_prefix, api_url, ca)
        self.label = self.place.label
        self._rest = Rest(self.place)
        self._spelled = D1Spelled(prefixed(self.place.table_prefix))
        self._connect(Line(self.label, "d1", line_headers(self.place), ca=self.place.ca))

    def _connect(self, line: Line) -> None:
        raise NotImplementedError

    def _asked(self, steps: Steps[Any]) -> Exchange[Any]:
        return carried(steps, self._rest.send)

    def _setup(self) -> Exchange[None]:
        return self._asked(setup.steps(self.label, self._spelled.dialect))


class D1Store(_Made, Store):
    """``D1Store(account_id=..., database_id=..., api_token=..., table_prefix="dev_")``, for any number of threads."""

    def _connect(self, line: Line) -> None:
        self._http = BlockingHttp(line)

    def init(self) -> None:
        """Make the tables where they are missing."""
        self._http.run(self._setup())

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self._http.run(self._asked(self._spelled.steps_of(plan)))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan; page by page where any order will do."""
        if plan.complete_order:
            yield from self.execute(plan).to_batches()
            return
        spelled = self._spelled
        place: Place | None = Place(spelled.page_of(plan))
        while place is not None:
            page, place = self._http.run(self._asked(spelled.next_page(plan, place)))
            yield from page.to_batches()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


class AsyncD1Store(_Made, AsyncStore):
    """The same, natively async."""

    def _connect(self, line: Line) -> None:
        self._http = AwaitedHttp(line)

    async def init(self) -> None:
        """Make the tables where they are missing."""
        await self._http.run(self._setup())

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self._http.run(self._asked(self._spelled.steps_of(plan)))

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan; page by page where any order will do."""
        spelled = self._spelled
        place = None if plan.complete_order else Place(spelled.page_of(plan))
        if place is None:
            for batch in (await self.execute(plan)).to_batches():
                yield batch
        while place is not None:
            page, place = await self._http.run(self._asked(spelled.next_page(plan, place)))
            for batch in page.to_batches():
                yield batch

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()


def store_at(url: str, *, awaited: bool) -> Store | AsyncStore:
    """The store of an address, in the colour that is asked for."""
    place = address.place_at(url)
    given = (place.account_id, place.database_id, place.api_token, place.table_prefix, place.api_url, place.ca)
    return AsyncD1Store(*given) if awaited else D1Store(*given)
