"""The store in both colours: ``mongodb://`` for ``open`` and for ``aopen``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Plan, Put, Scan
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.mongodb import mastra, setup, summary, vectors
from colonnade.engine.stores.mongodb.address import Place, place_of, store_id
from colonnade.engine.stores.mongodb.client import AwaitedClient, BlockingClient
from colonnade.engine.stores.mongodb.documents import arrow_rows
from colonnade.engine.stores.mongodb.requests import Steps, scan_of
from colonnade.engine.stores.mongodb.steps import steps_of
from colonnade.engine.stores.mongodb.vectors import VectorIndexes

ABILITIES: Final = Abilities(
    transactions=True,
    filters=True,
    order=True,
    aggregates=summary.FUNCTIONS,
    patch=True,
    delete=True,
    nearest=True,
)


ALONE: Final = replace(ABILITIES, transactions=False, compare_and_set=True)
"""Of a server without transactions."""


class _Made:
    """How both colours are made, and what they run."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(
        self,
        uri: str | None = None,
        db_name: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        id: str = "mongodb",
        url: str | None = None,
        transactions: bool | None = None,
        place: Place | None = None,
    ) -> None:
        """``options`` are those of pymongo's ``MongoClient``, in its own spelling or with underscores.

        What is not given is taken from the environment: ``MONGODB_URI``, ``MONGODB_DATABASE``, ``MONGODB_USERNAME`` and
        ``MONGODB_PASSWORD``. ``url`` is the deprecated name of ``uri``. ``transactions`` are used where the server has
        them, unless it is said.
        """
        self.id = store_id(id)
        self.place = place or place_of(uri, db_name, options, url=url, transactions=transactions)
        self.label = self.place.label
        self._indexes = VectorIndexes()
        self._foreign: frozenset[str] | None = None  # the collections that are Mastra's, once it is known
        if self.place.transactions is False:
            self._stand_alone()
        self._connect()

    def _connect(self) -> None:
        raise NotImplementedError

    def _stand_alone(self) -> None:
        """What a store can depends on its server here, so this one's abilities are not those of its class."""
        vars(self)["abilities"] = ALONE

    def _steps_of(self, plan: Plan, foreign: frozenset[str]) -> Steps[Any]:
        return steps_of(plan, self._indexes, alone=not self.abilities.transactions, foreign=foreign)

    def _compares(self, plan: Plan) -> bool:
        """Whether a plan is run within a transaction."""
        return isinstance(plan, Put) and plan.expect is not None and self.abilities.transactions


class MongoDBStore(_Made, Store):
    """A database of MongoDB, for any number of threads and processes."""

    def _connect(self) -> None:
        self._client = BlockingClient(self.place)

    @property
    def client(self) -> Any:
        """pymongo's ``MongoClient``, to do with it what one likes."""
        return self._client.client

    @property
    def db(self) -> Any:
        """The database, as pymongo has it."""
        return self.client[self.place.database]

    def init(self) -> None:
        """Make collections, validators and indexes where they are missing."""
        if self.place.transactions is None and self._client.run(setup.is_alone()):
            self._stand_alone()
        self._foreign = self._client.run(setup.steps(self.label))

    def create_vector_index(self, dimensions: int) -> str:
        """Have the server index embeddings of so many dimensions; its name. It takes the server a minute or so.

        ``Unsupported`` where it has no vector search: there vectors are compared exactly, without an index.
        """
        return self._client.run(vectors.create(dimensions, self._indexes, self.label))

    def _known(self) -> frozenset[str]:
        if self._foreign is None:
            self._foreign = self._client.run(setup.foreign())
        return self._foreign

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        if self._compares(plan):
            with self.transaction() as session:
                return session.execute(plan)
        return self._client.run(self._steps_of(plan, self._known()))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same as a stream."""
        if plan.limit != 0:
            foreign = self._known()
            for found in self._client.stream(mastra.read(scan_of(plan), foreign)):
                yield from arrow_rows(mastra.rows(plan.table, found, foreign), plan.table, plan.schema).to_batches()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction of the server, which sees one state of the database; ``Conflict`` where others write too."""
        foreign = self._known()
        with self._client.transaction() as session:
            yield Session(self, session, foreign)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class Session(Store):
    """Plans within one transaction."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, store: MongoDBStore, session: Any, foreign: frozenset[str]) -> None:
        self.label = store.label
        self._foreign = foreign
        self._client, self._session = store._client, session

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self._client.run(steps_of(plan, foreign=self._foreign), self._session)


class AsyncMongoDBStore(_Made, AsyncStore):
    """The same, natively async."""

    def _connect(self) -> None:
        self._client = AwaitedClient(self.place)

    @property
    def client(self) -> Any:
        """pymongo's ``AsyncMongoClient``."""
        return self._client.client

    @property
    def db(self) -> Any:
        """The database, as pymongo has it."""
        return self.client[self.place.database]

    async def init(self) -> None:
        """Make collections, validators and indexes where they are missing."""
        if self.place.transactions is None and await self._client.run(setup.is_alone()):
            self._stand_alone()
        self._foreign = await self._client.run(setup.steps(self.label))

    async def create_vector_index(self, dimensions: int) -> str:
        """As ``MongoDBStore.create_vector_index``."""
        return await self._client.run(vectors.create(dimensions, self._indexes, self.label))

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        if self._compares(plan):
            async with self.transaction() as session:
                return await session.execute(plan)
        return await self._client.run(self._steps_of(plan, await self._known()))

    async def _known(self) -> frozenset[str]:
        if self._foreign is None:
            self._foreign = await self._client.run(setup.foreign())
        return self._foreign

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan as a stream."""
        if plan.limit != 0:
            foreign = await self._known()
            async for found in self._client.stream(mastra.read(scan_of(plan), foreign)):
                rows = mastra.rows(plan.table, found, foreign)
                for batch in arrow_rows(rows, plan.table, plan.schema).to_batches():
                    yield batch

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction of the server."""
        foreign = await self._known()
        async with self._client.transaction() as session:
            yield AsyncSession(self, session, foreign)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()


class AsyncSession(AsyncStore):
    """Plans within one transaction, awaited."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, store: AsyncMongoDBStore, session: Any, foreign: frozenset[str]) -> None:
        self.label = store.label
        self._foreign = foreign
        self._client, self._session = store._client, session

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self._client.run(steps_of(plan, foreign=self._foreign), self._session)
