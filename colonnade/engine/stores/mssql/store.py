"""``MSSQLStore`` as the source documents construct it. Its driver blocks; ``aopen`` runs each operation in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypedDict, Unpack

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Delete, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.store import Store
from colonnade.engine.stores.mssql import setup
from colonnade.engine.stores.mssql.address import Place, place_of
from colonnade.engine.stores.mssql.client import Client
from colonnade.engine.stores.mssql.pool import Pool
from colonnade.engine.stores.mssql.session import ABILITIES, Session
from colonnade.engine.stores.mssql.writing import is_one
from colonnade.errors import InvalidInput


class Options(TypedDict, total=False):
    """What a store is made of besides a connection string: parts instead of one, and the options of its address."""

    server: str
    port: int
    database: str
    user: str
    password: str
    schema_name: str
    pool_size: int
    options: Mapping[str, Any]


class MSSQLStore(Store):
    """A schema of an SQL Server database, for any number of threads and processes.

    ``MSSQLStore("Server=localhost,1433;Database=agent;User Id=sa;Password=...", schema_name="agent")``, an address
    ``mssql://user:password@host:1433/database``, or ``server``, ``port``, ``database``, ``user`` and ``password`` by
    themselves, with ``options`` such as ``encrypt``. ``id`` is for those who tell stores apart.
    """

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, connection_string: str | None = None, *, id: str = "mssql", **options: Unpack[Options]) -> None:
        if not isinstance(id, str) or not id.strip():
            raise InvalidInput("MSSQLStore: id must be provided and cannot be empty.")
        self.id = id
        self.place: Place = place_of(connection_string, **options)
        self.label = self.place.label
        self._client = Client(self.place)

    @property
    def pool(self) -> Pool:
        """The connections: ``with store.pool.connection() as connection`` gives one of pymssql's, in autocommit.

        What is done with it goes past the store: you see to transactions yourself, and end them.
        """
        return self._client.pool

    def init(self) -> None:
        """Make the schema, tables and indexes where they are missing."""
        setup.init(self._client)

    def execute(self, plan: Plan) -> Any:
        """Run one plan: as one statement, or where it takes several, as a transaction."""
        if isinstance(plan, Put) and (plan.expect is not None or not is_one(plan.data)):
            with self.transaction() as session:
                return session.execute(plan)
        with self._client.pool.connection() as connection:
            return Session(self._client, connection, locking=False).execute(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream, of one picture of the table."""
        with self._client.pool.connection() as connection:
            yield from Session(self._client, connection, locking=False).batches(plan)

    def scan(self, plan: Scan) -> pa.Table:
        """``SELECT``."""
        found: pa.Table = self.execute(plan)
        return found

    def summarize(self, plan: Summarize) -> pa.Table:
        """``SELECT`` with ``GROUP BY``."""
        found: pa.Table = self.execute(plan)
        return found

    def put(self, plan: Put) -> int:
        """``MERGE``."""
        return int(self.execute(plan))

    def patch(self, plan: Patch) -> int:
        """``UPDATE``."""
        return int(self.execute(plan))

    def delete(self, plan: Delete) -> int:
        """``DELETE``."""
        return int(self.execute(plan))

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """A session on one connection."""
        with self._client.transaction() as connection:
            yield Session(self._client, connection, locking=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
