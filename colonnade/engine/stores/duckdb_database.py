"""Databases in memory that user SQL runs on: out of reach of files once they are locked, and kept between queries.

What a query reads is there as views: over attached files, which stay, and over Arrow that each query brings along and
registers on a connection of its own.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.running import Query
from colonnade.engine.stores.duckdb_sql import FORKED, DuckDBQuery

MEMORY: Final = 10**9
"""Bytes that a query may take unless it is told otherwise: what it sorts, groups and joins, and its cache."""
_SPILL: Final = 4
"""A query may set aside on disk so many times the memory that it may take."""

Read = Callable[[tuple[str, ...]], pa.Table | pa.RecordBatchReader]
"""The rows of a table, in some of its columns."""


class Database:
    """A database in memory with views over ``attached`` files and over tables that each query brings along."""

    def __init__(self, memory: int, attached: Mapping[str, Path] | None = None) -> None:
        self.queries = 0
        self.closed = False
        self._lock = threading.Lock()
        FORKED.live.add(self)
        self._root = duckdb.connect(
            config={
                "python_enable_replacements": "false",
                "memory_limit": f"{memory}B",
                "temp_directory": _spill_folder(),
                "max_temp_directory_size": f"{_SPILL * memory}B",
            }
        )
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        for name, path in (attached or {}).items():
            self._root.execute(f"ATTACH {_quoted(str(path))} AS {DUCKDB.ident(name)} (READ_ONLY)")

    def create_view(self, name: str, sql: str, over: Mapping[str, Any]) -> None:
        """A view for all queries, over relations that each of them registers; here are some for their types."""
        for relation, data in over.items():
            self._root.register(relation, data)
        self._root.execute(f"CREATE VIEW {DUCKDB.ident(name)} AS {sql}")

    def execute(self, sql: str) -> None:
        """Run a statement of ours, before the database is locked."""
        self._root.execute(sql)

    def lock(self) -> Database:
        """Put files, extensions and settings out of reach, for good."""
        self._root.execute("SET enable_external_access = false")
        self._root.execute("SET lock_configuration = true")
        return self

    def cursor(self, held: ExitStack) -> duckdb.DuckDBPyConnection:
        """A connection for one query, whose stack keeps the database; what the query registers is its own."""
        with self._lock:
            self.queries += 1
            held.callback(self._done)
            return self._root.cursor()

    def _done(self) -> None:
        with self._lock:
            self.queries -= 1

    def held(self) -> int:
        """Bytes of memory that it has now, in use and as a cache."""
        with self._lock:
            if self.closed:
                return 0
            return int(self._root.sql("SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").fetchall()[0][0])

    def rest(self) -> None:
        """Close where no query runs: another one is soon made, and a forked child could not close this one."""
        with self._lock:
            if not self.queries:
                self._root.close()
                self.closed = True

    def leave(self) -> object:
        """What a forked child must not close."""
        return self._root


class Rows(pyarrow.dataset.InMemoryDataset):  # type: ignore[misc]  # pyarrow ships no types
    """A table of which ``read`` gives rows when DuckDB asks for them: a table or a stream, of the columns it needs."""

    def __init__(self, schema: pa.Schema, read: Read) -> None:
        super().__init__(schema.empty_table())
        self._read = read

    def scanner(
        self, columns: Sequence[str] | None = None, filter: pyarrow.dataset.Expression | None = None, **options: Any
    ) -> pyarrow.dataset.Scanner:
        """The rows as DuckDB wants them; a column that only the filter names is read for it."""
        names = [name for name in self.schema.names if columns is None or name in columns or self._tests(filter, name)]
        rows = self._read(tuple(names))
        if isinstance(rows, pa.Table):
            return pyarrow.dataset.InMemoryDataset(rows).scanner(columns=columns, filter=filter, **options)
        return pyarrow.dataset.Scanner.from_batches(rows, columns=columns, filter=filter, **options)

    def _tests(self, filter: pyarrow.dataset.Expression | None, name: str) -> bool:
        """Whether a filter is about a column: without it, it means nothing.

        Its text alone does not tell: ``inputTokens`` has ``input`` in it, and values may have any name.
        """
        if filter is None or name not in str(filter):
            return False
        others = pa.schema([each for each in self.schema if each.name != name])
        try:
            pyarrow.dataset.InMemoryDataset(others.empty_table()).scanner(filter=filter)
        except pa.ArrowInvalid:
            return True
        return False


class _Shared:
    """One database of a process for queries over Arrow: to make it takes longer than most of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database: Database | None = None

    def get(self, tables: Mapping[str, pa.Schema]) -> Database:
        """The database, with a view for each table."""
        with self._lock:
            if self._database is None or self._database.closed:
                self._database = _over(tables, MEMORY)
            return self._database


_SHARED: dict[int, _Shared] = {}


def over_arrow(query: Query, tables: Mapping[str, pa.Schema], rows: Mapping[str, Rows]) -> DuckDBQuery:
    """A query over tables that are there as Arrow. All that are known are views; those that it reads have rows."""

    def connect(held: ExitStack) -> duckdb.DuckDBPyConnection:
        database = (
            _SHARED.setdefault(os.getpid(), _Shared()).get(tables)
            if query.memory is None
            else _over(tables, query.memory)
        )
        cursor = database.cursor(held)
        for name, each in rows.items():
            cursor.register(f"rows_{name}", each)
        return cursor

    return DuckDBQuery(query, connect)


def _over(tables: Mapping[str, pa.Schema], memory: int) -> Database:
    database = Database(memory)
    for name, schema in tables.items():
        relation = f"rows_{name}"
        database.create_view(name, f"SELECT * FROM {relation}", {relation: schema.empty_table()})
    return database.lock()


def _spill_folder() -> str:
    """Where DuckDB sets aside what does not fit into memory, as private as the store; empty where there is no place.

    All processes of a user share it: DuckDB removes there what killed ones have left.
    """
    try:
        folder = Path(tempfile.gettempdir(), f"colonnade-{os.getuid()}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return str(folder)
        return tempfile.mkdtemp(prefix="colonnade-")  # somebody else has made a folder of that name
    except (OSError, AttributeError):  # no place for what is temporary, or a system without users
        return ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
