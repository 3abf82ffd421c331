"""User SQL over an embedded folder: a database of its own that sees segments, fresh rows and state tables.

What it takes to make the database, and to attach the segments, is spent once for as long as the segments stay the same:
it is kept between queries, each on a connection of its own. Files are out of its reach once the segments are attached;
other segments are another database. The rows that change from query to query are brought along by each: fresh rows as
they are in memory, state tables as DuckDB asks for their columns.

All that accumulates is of one moment, all that changes is of one moment, and the two follow one another.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Final

import duckdb
import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import Scan
from colonnade.engine.relational import create_view
from colonnade.engine.running import Query
from colonnade.engine.stores.duckdb_database import MEMORY, Database, Read, Rows
from colonnade.engine.stores.duckdb_sql import DuckDBQuery
from colonnade.engine.stores.embedded.columnar import ColumnarStore
from colonnade.engine.stores.embedded.log import NUMBERS, TABLES
from colonnade.engine.stores.embedded.reading import Picture
from colonnade.engine.stores.sqlite import SQLiteStore, reading_address
from colonnade.engine.stores.sqlite_session import Session, translated
from colonnade.errors import QueryCancelled, QueryError, StoreError
from colonnade.schemas import READINGS, STORED, table_named
from colonnade.schemas.table import Table

_TRIES: Final = 10
"""How often pictures are taken anew because a segment was merged away before it was attached."""
_IDLE: Final = 256 * 2**20
"""A database that holds more bytes than this when no query runs is let go, with what it has in its cache."""
_BRIEF: Final = 0.1
"""A query of less seconds than this cannot have filled it, and is not made longer by looking."""


class EmbeddedSQL:
    """SQL over one folder, for all threads of this process."""

    def __init__(self, columnar: ColumnarStore, state: SQLiteStore) -> None:
        self._columnar = columnar
        self._state = state
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._kept: _Segments | None = None

    def query(self, query: Query) -> DuckDBQuery:
        """A query that was checked, ready to run."""
        advice = f"run: colonnade fsck {self._columnar.label}"
        return DuckDBQuery(query, lambda held: self._connect(query, held), advice=advice)

    def close(self) -> None:
        """Let the segments go, once no query reads them."""
        self._kept = None

    def _connect(self, query: Query, held: ExitStack) -> duckdb.DuckDBPyConnection:
        if self._process != os.getpid():
            self._begin()  # a forked child leaves its parent's database alone
        columns = _columns(query)
        state = [table for table in columns if table.name not in NUMBERS]
        snapshot = held.enter_context(closing(_Snapshot(self._state))) if state else None
        pictures, segments = self._pictured(
            {table: columns[table] for table in columns if table.name in NUMBERS}, query
        )
        held.callback(self._let_go, segments, time.monotonic())
        cursor = segments.database.cursor(held)
        for picture in pictures:
            for name, rows in _relations(picture).items():
                cursor.register(name, rows)
            view = _view(picture, segments.names)
            if view != segments.views[picture.table.name]:  # rows of segments were replaced since
                cursor.execute(f"CREATE TEMP VIEW {DUCKDB.ident(picture.table.name)} AS {view}")
        for table in state:
            assert snapshot is not None
            cursor.register(f"rows_{table.name}", Rows(table.schema, snapshot.read(table)))
        return cursor

    def _pictured(self, columns: Mapping[Table, tuple[str, ...]], query: Query) -> tuple[Sequence[Picture], _Segments]:
        """Pictures of the tables, and the database in which their segments are attached."""
        wanted = {table: columns.get(table, ()) for table in TABLES.values()}
        for _ in range(_TRIES):
            with self._lock:
                pictures = self._columnar.pictures(wanted)
                files = {each.file for picture in pictures for each in picture.attached}
                segments = self._kept
                if segments is None or not segments.fits(files) or query.memory is not None:
                    try:
                        segments = _Segments(self._columnar, pictures, sorted(files), query.memory or MEMORY)
                    except duckdb.IOException:
                        if all((self._columnar.folder.segments / file).exists() for file in files):
                            raise
                        continue
                    if query.memory is None:
                        self._kept = segments
                return [picture for picture in pictures if picture.table in columns], segments
        raise StoreError(f"{self._columnar.label}: segments are merged faster than a query can begin; ask again")

    def _let_go(self, segments: _Segments, begun: float) -> None:
        if time.monotonic() - begun < _BRIEF:
            return
        with self._lock:
            if self._kept is segments and not segments.database.queries and segments.database.held() > _IDLE:
                self._kept = None


class _Segments:
    """A database in which some segments are attached, and views over them and over what queries bring along."""

    def __init__(self, columnar: ColumnarStore, pictures: Sequence[Picture], files: Sequence[str], memory: int) -> None:
        self.names = {file: f"s{place}" for place, file in enumerate(files)}
        folder = columnar.folder.segments
        self.database = Database(memory, {name: folder / file for file, name in self.names.items()})
        self.views = {picture.table.name: _view(picture, self.names) for picture in pictures}
        for picture in pictures:
            name = picture.table.name
            self.database.create_view(name, self.views[name], _relations(picture))
        for table in STORED:
            if table.name not in NUMBERS:
                rows = f"rows_{table.name}"
                self.database.create_view(table.name, f"SELECT * FROM {rows}", {rows: table.schema.empty_table()})
        for reading in READINGS:
            self.database.execute(create_view(DUCKDB, reading))
        self.database.lock()

    def fits(self, files: set[str]) -> bool:
        """Whether it is open, with just these segments."""
        return set(self.names) == files and not self.database.closed


class _Snapshot:
    """The state tables at one moment: a read transaction on a connection of its own, as long as a query may read."""

    def __init__(self, store: SQLiteStore) -> None:
        self._label = store.label
        self._lock = threading.Lock()
        self._closed = False
        with translated(store.label):
            # DuckDB reads on whatever thread it has; the lock keeps them from meeting.
            self._connection = sqlite3.connect(
                reading_address(store.path), uri=True, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._session = Session(self._connection, store.label)

    def read(self, table: Table) -> Read:
        """How rows of a table are read: in batches, so that a query can be stopped between them."""

        def read(columns: tuple[str, ...]) -> pa.RecordBatchReader:
            plan = Scan(table, columns=columns)
            return pa.RecordBatchReader.from_batches(plan.schema, self._batches(plan))

        return read

    def _batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        batches = self._session.batches(plan)
        while True:
            with self._lock:
                if self._closed:
                    raise QueryCancelled("the query is over")
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def close(self) -> None:
        """End the transaction."""
        with self._lock:
            self._closed = True
            self._connection.close()


def _columns(query: Query) -> dict[Table, tuple[str, ...]]:
    """The stored tables that a query reads, with the columns that it may need."""
    found: dict[Table, tuple[str, ...]] = {}
    for table, columns in query.columns.items():
        if table.facts.reading_of:
            there = dict(table.facts.renames)
            columns = tuple(there.get(name, name) for name in columns)
            table = table_named(str(table.facts.reading_of))
            columns = (next(iter(table.columns)), *columns)  # by which DuckDB counts rows
        found[table] = tuple(dict.fromkeys((*found.get(table, ()), *columns)))
    return found


def _view(picture: Picture, names: Mapping[str, str]) -> str:
    table = picture.table
    columns = ", ".join(map(DUCKDB.ident, table.columns))
    sources = [*picture.sources(names, prefix=f"{table.name}_"), f"fresh_{table.name}"]
    return " UNION ALL ".join(f"SELECT {columns} FROM {source}" for source in sources)


def _relations(picture: Picture) -> dict[str, pa.Table | Rows]:
    """What the view of a picture reads beside segments, by name."""
    table, fresh = picture.table, picture.fresh

    def read(columns: tuple[str, ...]) -> pa.Table:
        if not set(columns) <= set(fresh.column_names):
            raise QueryError(f"name the columns of {table.name} that the query needs")
        return fresh.select(list(columns))

    relations = {f"{table.name}_{name}": rows for name, rows in picture.relations().items()}
    return {**relations, f"fresh_{table.name}": Rows(table.schema, read)}
