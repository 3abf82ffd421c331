"""The store in both colours: ``mongodb://`` for ``open`` and for ``aopen``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Delete, Nearest, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.mongodb import mastra, setup, summary, vectors
from colonnade.engine.stores.mongodb.address import Place, place_of, store_id
from colonnade.engine.stores.mongodb.client import AwaitedClient, BlockingClient
from colonnade.engine.stores.mongodb.documents import arrow_rows
from colonnade.engine.stores.mongodb.requests import scan_of
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


class MongoDBStore(Store):
    """A database of MongoDB, for any number of threads and processes."""

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
        self._client = BlockingClient(self.place)
        self._indexes = VectorIndexes()
        self._foreign: frozenset[str] | None = None  # the collections that are Mastra's, once it is known
        if self.place.transactions is False:
            _stand_alone(self)

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
            _stand_alone(self)
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

    def _run(self, plan: Plan) -> Any:
        alone = not self.abilities.transactions
        return self._client.run(steps_of(plan, self._indexes, alone=alone, foreign=self._known()))

    def scan(self, plan: Scan) -> pa.Table:
        """``find``, or ``aggregate`` where nulls are to be sorted."""
        found: pa.Table = self._run(plan)
        return found

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same as a stream."""
        if plan.limit != 0:
            foreign = self._known()
            for found in self._client.stream(mastra.read(scan_of(plan), foreign)):
                yield from arrow_rows(mastra.rows(plan.table, found, foreign), plan.table, plan.schema).to_batches()

    def summarize(self, plan: Summarize) -> pa.Table:
        """``$group``."""
        found: pa.Table = self._run(plan)
        return found

    def nearest(self, plan: Nearest) -> pa.Table:
        """``$vectorSearch`` where there is an index for it; else every vector is compared."""
        found: pa.Table = self._run(plan)
        return found

    def put(self, plan: Put) -> int:
        """``bulkWrite`` of upserts, in a transaction where it compares."""
        if plan.expect is None or not self.abilities.transactions:
            return int(self._run(plan))
        with self.transaction() as session:
            return session.put(plan)

    def patch(self, plan: Patch) -> int:
        """``updateMany``."""
        return int(self._run(plan))

    def delete(self, plan: Delete) -> int:
        """``deleteMany``."""
        return int(self._run(plan))

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

    def put(self, plan: Put) -> int:
        """``bulkWrite``, compared within the transaction."""
        return int(self.execute(plan))


class AsyncMongoDBStore(AsyncStore):
    """The same, natively async."""

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
        """As ``MongoDBStore``."""
        self.id = store_id(id)
        self.place = place or place_of(uri, db_name, options, url=url, transactions=transactions)
        self.label = self.place.label
        self._client = AwaitedClient(self.place)
        self._indexes = VectorIndexes()
        self._foreign: frozenset[str] | None = None  # the collections that are Mastra's, once it is known
        if self.place.transactions is False:
            _stand_alone(self)

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
            _stand_alone(self)
        self._foreign = await self._client.run(setup.steps(self.label))

    async def create_vector_index(self, dimensions: int) -> str:
        """As ``MongoDBStore.create_vector_index``."""
        return await self._client.run(vectors.create(dimensions, self._indexes, self.label))

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        if isinstance(plan, Put) and plan.expect is not None and self.abilities.transactions:
            async with self.transaction() as session:
                return await session.execute(plan)
        alone = not self.abilities.transactions
        return await self._client.run(steps_of(plan, self._indexes, alone=alone, foreign=await self._known()))

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


def _stand_alone(store: MongoDBStore | AsyncMongoDBStore) -> None:
    """What a store can depends on its server here, so this one's abilities are not those of its class."""
    vars(store)["abilities"] = ALONE
