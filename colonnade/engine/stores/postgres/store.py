"""The store in both colours: ``postgresql://`` for ``open`` and for ``aopen``, or made of its options."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, Final, Self, TypedDict, Unpack

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.store import AsyncStore, Store
from colonnade.engine.stores.postgres.address import Place, place_of
from colonnade.engine.stores.postgres.awaited import AwaitedClient
from colonnade.engine.stores.postgres.client import BlockingClient
from colonnade.engine.stores.postgres.database import AsyncDatabase, Database
from colonnade.engine.stores.postgres.indexes import Index
from colonnade.engine.stores.postgres.layout import Layout
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.engine.stores.postgres.steps import is_long, query_of, steps_of
from colonnade.engine.stores.postgres.values import arrow_rows
from colonnade.errors import InvalidInput

ABILITIES: Final = Abilities(
    transactions=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(POSTGRES.functions or ()),
    patch=True,
    delete=True,
    nearest=True,
)
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Options(TypedDict, total=False):
    """What a store is made of besides a connection string: parts instead of one, and the options of its address."""

    host: str
    port: int
    database: str
    user: str
    password: str
    schema_name: str
    ssl: bool | str | Mapping[str, Any]
    skip_default_indexes: bool
    indexes: Sequence[Index | Mapping[str, Any]]
    pool_size: int
    prepare: bool


class _Made:
    """How both colours are made."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(
        self, connection_string: str | None = None, *, id: str = "postgres", **options: Unpack[Options]
    ) -> None:
        self._use(place_of(connection_string, **options), id)

    @classmethod
    def at(cls, place: Place) -> Self:
        """The store at a place."""
        store = cls.__new__(cls)
        store._use(place, "postgres")
        return store

    def _use(self, place: Place, id: str) -> None:
        if not isinstance(id, str) or not id.strip():
            raise InvalidInput("PostgresStore: id must be provided and cannot be empty.")
        self.id, self.place, self.label = id, place, place.label
        self._connect()

    def _connect(self) -> None:
        raise NotImplementedError


class PostgresStore(_Made, Store):
    """A schema of a PostgreSQL database, for any number of threads and processes.

    ``PostgresStore("postgresql://user:password@host/database", schema_name="agent")``, or with ``host``, ``port``,
    ``database``, ``user`` and ``password`` by themselves. ``id`` is for those who tell stores apart.
    """

    def _connect(self) -> None:
        self._client = BlockingClient(self.place)

    @property
    def pool(self) -> Any:
        """The ``psycopg_pool.ConnectionPool``, which all stores of this process at this address share.

        What is done with it goes past the store: you see to transactions and connections yourself.
        """
        return self._client.pool

    @property
    def db(self) -> Database:
        """SQL of your own, one statement at a time."""
        return Database(self._client)

    def init(self) -> None:
        """Make the schema, tables and indexes where they are missing."""
        self._client.init()

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        client = self._client
        with client.connection() as connection:
            steps = steps_of(plan, client.layout(connection))
            if not is_long(plan):
                return client.steps(steps, connection)
            with client.transaction(connection):
                return client.steps(steps, connection)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream, of one picture of the table."""
        client = self._client
        with client.connection() as connection, client.transaction(connection, _READ):
            for rows in client.stream(query_of(plan, client.layout(connection)), connection):
                yield from arrow_rows(rows, plan.schema).to_batches()

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """A session on one connection."""
        with self._client.connection() as connection, self._client.transaction(connection):
            yield Session(self._client, connection)

    def optimize(self) -> str:
        """Tell the planner what the tables hold by now, and let go of dead rows."""
        with self._client.connection() as connection:
            self._client.optimize(connection)
        return f"{self.label}: tables were vacuumed and analyzed"

    def close(self) -> None:
        """Let go of the connections; those of a pool that others use stay."""
        self._client.close()


class Session(Store):
    """Plans within a transaction."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(self, client: BlockingClient, connection: Any) -> None:
        self._client = client
        self._connection = connection
        self.label = client.place.label

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        steps = steps_of(plan, self._client.layout(self._connection), locking=True)
        return self._client.steps(steps, self._connection)


class AsyncPostgresStore(_Made, AsyncStore):
    """The same, natively async."""

    def _connect(self) -> None:
        self._client = AwaitedClient(self.place)

    @property
    def pool(self) -> Any:
        """The ``psycopg_pool.AsyncConnectionPool`` of this event loop."""
        return self._client.pool

    @property
    def db(self) -> AsyncDatabase:
        """SQL of your own, one statement at a time."""
        return AsyncDatabase(self._client)

    async def init(self) -> None:
        """Make the schema, tables and indexes where they are missing."""
        await self._client.init()

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        client = self._client
        async with client.connection() as connection:
            steps = steps_of(plan, await client.layout(connection))
            if not is_long(plan):
                return await client.steps(steps, connection)
            async with client.transaction(connection):
                return await client.steps(steps, connection)

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """``SELECT`` as a stream, of one picture of the table."""
        client = self._client
        async with client.connection() as connection, client.transaction(connection, _READ):
            async for rows in client.stream(query_of(plan, await client.layout(connection)), connection):
                for batch in arrow_rows(rows, plan.schema).to_batches():
                    yield batch

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncStore]:
        """A session on one connection."""
        async with self._client.connection() as connection, self._client.transaction(connection):
            yield AsyncSession(self._client, connection)

    async def close(self) -> None:
        """Let go of the connections; those of a pool that others use stay."""
        await self._client.close()


class AsyncSession(AsyncStore):
    """Plans within a transaction."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(self, client: AwaitedClient, connection: Any) -> None:
        self._client = client
        self._connection = connection
        self.label = client.place.label

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        layout: Layout = await self._client.layout(self._connection)
        return await self._client.steps(steps_of(plan, layout, locking=True), self._connection)
