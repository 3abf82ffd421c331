"""The store in both colours: ``clickhouse://`` for ``open`` and for ``aopen``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.store import AsyncStore, Store, named
from colonnade.engine.stores.clickhouse import setup
from colonnade.engine.stores.clickhouse.address import Place, place_of
from colonnade.engine.stores.clickhouse.client import AwaitedClient, BlockingClient
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE
from colonnade.engine.stores.clickhouse.steps import query_of, steps_of

ABILITIES: Final = Abilities(
    compare_and_set=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(CLICKHOUSE.functions or ()),
    patch=True,
    delete=True,
    nearest=True,
    search=True,
)


class ClickHouseStore(Store):
    """A database of a ClickHouse server or cluster, for any number of threads and processes."""

    abilities: ClassVar[Abilities] = ABILITIES
    newest_first: ClassVar[bool] = True

    def __init__(
        self,
        url: str | Place,
        username: str | None = None,
        password: str | None = None,
        *,
        id: str = "clickhouse",
        **options: Any,
    ) -> None:
        """``url`` is the server's, such as ``https://host:8443``; ``options`` are ``database`` and those of addresses.

        What is not given of ``username`` and ``password`` comes from ``CLICKHOUSE_USERNAME`` and ``_PASSWORD``.
        """
        self.id = named(type(self).__name__, id)
        self.place = url if isinstance(url, Place) else place_of(url, username, password, **options)
        self.label = self.place.label
        self._client = BlockingClient(self.place)

    def init(self) -> None:
        """Make the database and its tables where they are missing."""
        self._client.run(setup.steps(self.place))

    def execute(self, plan: Plan) -> Any:
        """Run one plan. Rows are of their newest copies; a write adds copies, or tombstones, as one."""
        return self._client.run(steps_of(plan, sharded=self.place.cluster is not None))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream."""
        for batch in self._client.stream(query_of(plan)):
            yield from pa.Table.from_batches([batch]).cast(plan.schema).to_batches()

    def optimize(self) -> str:
        """Merge each table into one part; old copies and tombstones go."""
        self._client.run(setup.merged(self.place))
        return f"{self.label}: tables were merged, and copies that no longer count are gone"

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class AsyncClickHouseStore(AsyncStore):
    """The same, natively async."""

    abilities: ClassVar[Abilities] = ABILITIES
    newest_first: ClassVar[bool] = True

    def __init__(
        self,
        url: str | Place,
        username: str | None = None,
        password: str | None = None,
        *,
        id: str = "clickhouse",
        **options: Any,
    ) -> None:
        """As ``ClickHouseStore``."""
        self.id = named(type(self).__name__, id)
        self.place = url if isinstance(url, Place) else place_of(url, username, password, **options)
        self.label = self.place.label
        self._client = AwaitedClient(self.place)

    async def init(self) -> None:
        """Make the database and its tables where they are missing."""
        await self._client.run(setup.steps(self.place))

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self._client.run(steps_of(plan, sharded=self.place.cluster is not None))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()
