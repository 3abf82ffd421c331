"""Immutable DuckDB files: writing one, and reading all that count through one connection.

A segment holds the tables that accumulate, without keys or indexes of DuckDB's, in an order in which a trace's rows lie
together and time runs through the file; each row has the version of its commit. Beside it lies its ``index``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakSet

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.forking import FORK_PATIENCE, survives_forks
from colonnade.engine.relational import Statement, create_table
from colonnade.engine.stores.duckdb_arrow import arrow_of
from colonnade.engine.stores.embedded.folder import Segment, sync_folder
from colonnade.engine.stores.embedded.index import Index, index_path, write_index
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.errors import StoreError
from colonnade.schemas import SPANS
from colonnade.schemas.table import Table

VERSION_COLUMN: Final = "_version"
TIME: Final[Mapping[str, str]] = {"spans": "startedAt", "scores": "createdAt", "evals": "created_at"}
"""The column of each table that time is told by."""
GROUP: Final = 30_720
"""Rows in a row group: small enough to prune well, large enough to compress well."""
_COPIED: Final = 4 * GROUP
"""Rows that are copied from one segment to another at once."""
_STREAMED: Final = 122_880
SUFFIX: Final = ".duckdb"
ROOTS: Final = "roots"
"""A table in each segment: the root spans again, without payloads; ``_place`` is the row id of the span itself."""
PLACE: Final = "_place"
_ROOTS: Final = (
    f"CREATE TABLE segment.{ROOTS} AS SELECT {', '.join(map(DUCKDB.ident, SPANS.light))}, {VERSION_COLUMN}, "
    f'rowid AS {PLACE} FROM segment.spans WHERE "parentSpanId" IS NULL'
)
_DAMAGE: Final = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)


def segment_schema(table: Table) -> pa.Schema:
    """The rows of a table as a segment holds them."""
    return table.schema.append(pa.field(VERSION_COLUMN, pa.int64(), nullable=False))


def in_order(table: Table, rows: pa.Table) -> pa.Table:
    """Rows as a segment has them: by time, but the spans of a trace together, at the time at which it began.

    Only the columns that say so are sorted; DuckDB's own sort carries the payloads along and takes twice the time.
    """
    time = TIME[table.name]
    if table.name == "spans":
        traces = rows.column("traceId").combine_chunks().dictionary_encode()
        started = pa.table({"trace": traces.indices, time: rows.column(time)})
        begun = started.group_by("trace").aggregate([(time, "min")]).sort_by("trace").column(f"{time}_min")
        keys = started.append_column("begun", begun.take(traces.indices)).append_column("id", rows.column("spanId"))
        by = ["begun", "trace", time, "id"]
    else:
        keys, by = rows.select([time, "id"]), [time, "id"]
    return rows.combine_chunks().take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in by]))


class SegmentWriter:
    """Writes one segment, whole or not at all: ``with SegmentWriter(path) as writer: ...; writer.finish()``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = dict.fromkeys(TIME, 0)
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> SegmentWriter:
        self._unfinished.unlink(missing_ok=True)
        self._connection = connect()
        try:
            with self._written():
                self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        # One thread keeps the rows in order and the row groups full, and leaves the other cores to the agent.
        self._connection.execute("SET threads = 1")
        self._connection.execute(f"ATTACH '{quoted(self._unfinished)}' AS segment (ROW_GROUP_SIZE {GROUP})")
        self._connection.execute("BEGIN TRANSACTION")
        for table in TABLES.values():
            ddl = create_table(DUCKDB, table).replace(f'"{table.name}" (', f'segment."{table.name}" (', 1)
            key = ", ".join(map(DUCKDB.ident, table.key))
            self._connection.execute(ddl.replace(f"PRIMARY KEY ({key})", f"{VERSION_COLUMN} BIGINT NOT NULL"))

    def insert(self, table: Table, rows: pa.Table) -> None:
        """Add rows in their order."""
        with self._written():
            # What is registered by a name within a transaction would stay in memory until its end.
            self._connection.from_arrow(rows).insert_into(f"segment.{table.name}")
        self.rows[table.name] += rows.num_rows

    def copy(self, source: Path, conditions: Mapping[str, str]) -> Iterator[None]:
        """Add the rows of another segment for which a table's condition holds; a step at a time, to be paused."""
        with duckdb_reading(source) as segment:
            for table in TABLES.values():
                count = int(segment.sql(f'SELECT count(*) FROM "{table.name}"').fetchall()[0][0])
                where = conditions.get(table.name, "TRUE")
                for start in range(0, count, _COPIED):
                    within = f"rowid BETWEEN {start} AND {start + _COPIED - 1}"
                    self.insert(
                        table, segment.sql(f'SELECT * FROM "{table.name}" WHERE {within} AND {where}').to_arrow_table()
                    )
                    yield

    def finish(self) -> Segment:
        """Make it durable, with its index, under its name."""
        index = self._unfinished.with_suffix(".unindexed")
        with self._written():
            self._connection.execute("COMMIT")
            self._connection.execute(_ROOTS)
            segment = _described(self._connection, self.path.name)
            write_index(self._connection, "segment", index)
            self._connection.execute("CHECKPOINT segment")
            self._connection.execute("DETACH segment")
            self._connection.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        index.rename(index_path(self.path))
        self._unfinished.rename(self.path)
        sync_folder(self.path.parent)
        return segment

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise StoreError(f"{self.path} could not be written, and nothing is lost: {error}") from error

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        for left in (self._unfinished, Path(f"{self._unfinished}.wal"), self._unfinished.with_suffix(".unindexed")):
            left.unlink(missing_ok=True)


def write_segment(path: Path, tables: Mapping[str, pa.Table]) -> Segment:
    """Write a segment of rows, in any order."""
    with SegmentWriter(path) as writer:
        for table in TABLES.values():
            if table.name in tables:
                writer.insert(table, in_order(table, tables[table.name]))
        return writer.finish()


def _described(connection: duckdb.DuckDBPyConnection, file: str) -> Segment:
    rows: dict[str, int] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for name, time in TIME.items():
        ((count, *ends),) = connection.execute(
            f'SELECT count(*), epoch_us(min("{time}")), epoch_us(max("{time}")) FROM segment."{name}"'
        ).fetchall()
        if count:
            rows[name], (first[name], last[name]) = count, ends
    return Segment(file, rows, first, last)


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory that segments are attached to."""
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false", "memory_limit": "1GB"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


@contextmanager
def duckdb_reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose tables are those of one segment."""
    connection = connect()
    try:
        with translated(path.name):
            connection.execute(f"ATTACH '{quoted(path)}' AS source (READ_ONLY)")
        connection.execute("USE source")
        yield connection
    finally:
        connection.close()


def quoted(path: Path) -> str:
    """A path within a single-quoted SQL text. Only ATTACH needs it, which takes no parameters."""
    return str(path).replace("'", "''")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Attached:
    """A segment that can be read: SQL knows it by ``name``. It stays attached as long as somebody has this."""

    segment: Segment
    name: str
    index: Index

    @property
    def file(self) -> str:
        """The segment's file."""
        return self.segment.file


class Segments:
    """The segments that count, attached to one connection; a cursor for each thread.

    The connection is made at the first query. A fork waits until no query runs and closes it, for a child could do
    neither; each side then makes its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._attached: dict[str, Attached] = {}
        self._alive: WeakSet[Attached] = WeakSet()
        self._let_go: deque[str] = deque()
        self._next = 0
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self._root: duckdb.DuckDBPyConnection | None = None
        self._local = threading.local()
        self._turn = threading.Condition()
        self._running = 0
        self._forking = False

    def attach(self, segments: Sequence[Segment]) -> tuple[Attached, ...]:
        """Attach what is new, and let go of what counts no more once nobody reads it.

        ``FileNotFoundError`` where a file is gone: the manifest was replaced meanwhile.
        """
        with self._turn:
            counts = {segment.file for segment in segments}
            for segment in segments:
                if segment.file not in self._attached:
                    self._attached[segment.file] = self._attach(segment)
            for file in [file for file in self._attached if file not in counts]:
                del self._attached[file]
            while self._let_go:
                name = self._let_go.popleft()
                if self._root is not None:
                    self._root.execute(f"DETACH DATABASE IF EXISTS {name}")
            return tuple(self._attached[segment.file] for segment in segments)

    def _attach(self, segment: Segment) -> Attached:
        path = self._folder / segment.file
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, "there is no such segment", str(path))
        attached = Attached(segment, f"s{self._next}", self._index(path))
        self._next += 1
        if self._root is not None:
            self._attach_to(self._root, attached)
        self._alive.add(attached)
        # Not detached at once: the last reader may let go on any thread, in the middle of anything.
        weakref.finalize(attached, self._let_go.append, attached.name).atexit = False
        return attached

    def _index(self, path: Path) -> Index:
        try:
            return Index(index_path(path))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            advice = f"run: colonnade fsck --repair {self._folder.parent}"
            raise StoreError(f"{index_path(path).name} is damaged: {error}; {advice}") from error

    def _attach_to(self, root: duckdb.DuckDBPyConnection, attached: Attached) -> None:
        with translated(attached.file):
            root.execute(f"ATTACH '{quoted(self._folder / attached.file)}' AS {attached.name} (READ_ONLY)")

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            if self._root is None:
                root = connect()
                for attached in list(self._alive):
                    if attached.file in self._attached or (self._folder / attached.file).exists():
                        self._attach_to(root, attached)
                self._root = root
            cursor = self._local.cursor = self._root.cursor()
        return cursor

    def query(self, statement: Statement, relations: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Rows of a statement over segments, and over Arrow tables by name."""
        with self._turn:
            self._turn.wait_for(lambda: not self._forking)
            cursor = self._cursor()
            self._running += 1
        try:
            for name, data in (relations or {}).items():
                cursor.register(name, data)
            with translated("segments"):
                return arrow_of(cursor, statement)
        finally:
            for name in relations or {}:
                cursor.unregister(name)
            with self._turn:
                self._running -= 1
                self._turn.notify_all()

    def stream(self, statement: Statement, relations: Mapping[str, pa.Table]) -> Iterator[pa.RecordBatch]:
        """The same as it comes, on a connection of its own."""
        with self._turn:
            self._turn.wait_for(lambda: not self._forking)
            self._cursor()
            assert self._root is not None  # the cursor has made it
            cursor = self._root.cursor()
        for name, data in relations.items():
            cursor.register(name, data)
        try:
            with translated("segments"):
                yield from cursor.sql(statement.sql, params=list(statement.parameters)).to_arrow_reader(_STREAMED)
        finally:
            cursor.close()

    def close(self) -> None:
        """Let all files go."""
        self._attached.clear()
        if self._root is not None:
            self._root.close()
            self._root = None
        self._local = threading.local()

    def before_fork(self) -> None:
        """Wait for the queries that run, and close the connection."""
        self._turn.acquire()
        self._forking = True
        if self._turn.wait_for(lambda: not self._running, FORK_PATIENCE) and self._root is not None:
            self._root.close()
            self._root = None
            self._local = threading.local()

    def after_fork_in_parent(self) -> None:
        """Let queries run again."""
        self._forking = False
        self._turn.notify_all()
        self._turn.release()

    def after_fork_in_child(self) -> None:
        """Begin anew; a connection that a query of the parent still had is left as it is, for ever."""
        if self._root is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._root))
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._local))
        self._begin()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """DuckDB's errors as ours."""
    try:
        yield
    except duckdb.Error as error:
        # The checksums of blocks fail as a plain error, headers and lengths as others.
        is_damage = isinstance(error, _DAMAGE) or "Corrupt" in str(error)
        raise StoreError(f"{what}: {error}{'; run: colonnade fsck' if is_damage else ''}") from error
