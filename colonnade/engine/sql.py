"""User SQL: read-only, over the logical tables of any storage.

Where all tables that a query reads live in one store with a SQL engine, it runs there. Otherwise DuckDB runs over Arrow
that is scanned out of the stores: of the tables that are read, the columns that are named, in the rows that what stands
in a WHERE keeps, as far as a store can be told (``engine.sql_filters``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Protocol
from weakref import WeakSet

import pyarrow as pa

from colonnade.engine.execution import stream
from colonnade.engine.plan import TRUE, Filter, Plan, Scan
from colonnade.engine.running import Engine, Limits, Parameters, Query, too_late
from colonnade.engine.sql_check import check
from colonnade.engine.sql_filters import filters
from colonnade.engine.sql_result import SqlResult
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import InvalidInput
from colonnade.queries.sizes import size_of
from colonnade.queries.times import parse_duration
from colonnade.schemas import TABLES
from colonnade.schemas.table import Table

LEAST_MEMORY: Final = 32 * 10**6
"""With less than this a query is not tried: DuckDB needs as much to begin."""

Read = Callable[[tuple[str, ...]], pa.Table]
"""The rows of a table, in some of its columns."""


class _Storage(Protocol):
    results: WeakSet[SqlResult]
    """What is stopped when the storage is closed."""

    @property
    def stores(self) -> tuple[AnyStore, ...]: ...
    def store_of(self, domain: str) -> AnyStore: ...
    def route(self, table: Table) -> AnyStore: ...


class _AsyncStorage(_Storage, Protocol):
    async def execute(self, plan: Plan) -> Any: ...


class Asked:
    """What a caller asks, checked: the query with what it reads, and the time it may take."""

    def __init__(self, query: str, parameters: Parameters, limits: Limits) -> None:
        self.begun = time.monotonic()
        if unknown := sorted(set(limits) - set(Limits.__annotations__)):
            raise TypeError(f"sql() got an unexpected keyword argument {unknown[0]!r}")
        timeout, memory = limits.get("timeout"), limits.get("memory")
        self.timeout = None if timeout is None else parse_duration(timeout)
        limit = None if memory is None else parse_size(memory)
        if not isinstance(parameters, list | tuple | Mapping | None):
            raise InvalidInput("parameters are a list, for question marks, or a dict, for names such as $name")
        reads = check(query)
        self._reads, self._parameters = reads, parameters
        self.query = Query(query, parameters, {table: reads.columns(table) for table in reads.tables}, limit)

    @cached_property
    def filters(self) -> Mapping[Table, Filter]:
        """The rows of tables that the query can use; of others, all."""
        return filters(self._reads.statement, self._parameters)

    def scan(self, table: Table, columns: tuple[str, ...]) -> Scan:
        """What is asked of a store for a table."""
        return Scan(table, self.filters.get(table, TRUE), columns=columns)

    def in_time(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches, while there is time."""
        for batch in batches:
            if self.timeout is not None and time.monotonic() > self.begun + self.timeout:
                raise too_late(self.timeout)
            yield batch

    def result(self, engine: Engine, storage: _Storage) -> SqlResult:
        """The result of the query, which begins to run, and ends with its storage."""
        result = SqlResult(engine, self.timeout, self.begun)
        storage.results.add(result)
        return result


def ask(storage: _Storage, query: str, parameters: Parameters, limits: Limits) -> SqlResult:
    """Check a query and begin it; ``QueryError`` says why it was refused."""
    return _begun(storage, Asked(query, parameters, limits)).bound()


async def ask_async(storage: _AsyncStorage, query: str, parameters: Parameters, limits: Limits) -> SqlResult:
    """The same without blocking the event loop, all rows read. A task that is cancelled stops the query."""
    import asyncio

    asked = await asyncio.to_thread(Asked, query, parameters, limits)
    if _home(storage, asked) is None and not all(isinstance(each, Store) for each in storage.stores):
        tables = tuple(asked.query.columns)
        read = await asyncio.gather(*(_rows_of_async(storage, asked, table) for table in tables))
        reads = {table.name: rows for table, rows in zip(tables, read, strict=True)}
        result = asked.result(_over_arrow(asked, reads), storage)
    else:
        result = await asyncio.to_thread(_begun, storage, asked)
    try:
        await asyncio.to_thread(result.arrow)
    except asyncio.CancelledError:
        await asyncio.to_thread(result.cancel)
        raise
    return result


def parse_size(given: int | str) -> int:
    """Bytes of memory for a query: a number of them, or text such as ``512MB`` or ``2GiB``."""
    size = size_of(given)
    if size is None or not LEAST_MEMORY <= size < 2**63:
        raise InvalidInput(
            f"{given!r} is no memory to work with: write bytes or text, such as 512MB; 32MB is the least"
        )
    return size


def _begun(storage: _Storage, asked: Asked) -> SqlResult:
    home = _home(storage, asked)
    engine = home.sql(asked.query) if home is not None else None
    if engine is None:
        engine = _over_arrow(asked, {table.name: _rows_of(storage, asked, table) for table in asked.query.columns})
    return asked.result(engine, storage)


def _home(storage: _Storage, asked: Asked) -> Store | None:
    """The one store that keeps all that is read, if it blocks."""
    homes = {id(store): store for store in (storage.store_of(table.domain) for table in asked.query.columns)}
    home = next(iter(homes.values()), storage.stores[0])
    return home if isinstance(home, Store) and len(homes) <= 1 else None


def _rows_of(storage: _Storage, asked: Asked, table: Table) -> Read:
    """The rows of a table as they are now: read out of its store once, so that each scan of the query sees the same."""

    def load(columns: tuple[str, ...]) -> pa.Table:
        plan = asked.scan(table, columns)
        return pa.Table.from_batches(asked.in_time(stream(plan, storage.route)), plan.schema)

    return _once(table, load, load(asked.query.columns[table]))


async def _rows_of_async(storage: _AsyncStorage, asked: Asked, table: Table) -> Read:
    """The same; what is read later, by the query's thread, is read by the event loop that waits for it."""
    import asyncio

    loop = asyncio.get_running_loop()

    def load(columns: tuple[str, ...]) -> pa.Table:
        return asyncio.run_coroutine_threadsafe(storage.execute(asked.scan(table, columns)), loop).result()

    return _once(table, load, await storage.execute(asked.scan(table, asked.query.columns[table])))


def _once(table: Table, load: Read, kept: pa.Table) -> Read:
    def read(columns: tuple[str, ...]) -> pa.Table:
        nonlocal kept
        if not set(columns) <= set(kept.column_names):
            kept = load(tuple(table.columns))  # columns that are meant but not named: select messages from messages
        return kept.select(list(columns))

    return read


def _over_arrow(asked: Asked, reads: Mapping[str, Read]) -> Engine:
    from colonnade.engine.stores.duckdb_database import Rows, over_arrow

    rows = {name: Rows(TABLES[name].schema, read) for name, read in reads.items()}
    return over_arrow(asked.query, {table.name: table.schema for table in TABLES.values()}, rows)
