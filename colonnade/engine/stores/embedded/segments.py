"""Immutable DuckDB files: reading all that count through one connection.

A segment holds the tables that accumulate, without keys or indexes of DuckDB's, in an order in which a trace's rows lie
together and time runs through the file; each row has the version of its commit. Beside it lies its ``index``.
``segment_writer`` writes it.
"""

from __future__ import annotations

import ctypes
import errno
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from weakref import WeakSet

import duckdb
import pyarrow as pa

from colonnade.engine.forking import FORK_PATIENCE, survives_forks
from colonnade.engine.relational import Statement
from colonnade.engine.stores.duckdb_arrow import arrow_of
from colonnade.engine.stores.embedded.counting import Counts
from colonnade.engine.stores.embedded.folder import Segment
from colonnade.engine.stores.embedded.index import Index, index_path
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

VERSION_COLUMN: Final = "_version"
TIME: Final[Mapping[str, str]] = {"spans": "startedAt", "scores": "createdAt", "evals": "created_at"}
"""The column of each table that time is told by."""
GROUP: Final = 30_720
"""Rows in a row group: small enough to prune well, large enough to compress well."""
_STREAMED: Final = 122_880
SUFFIX: Final = ".duckdb"
ROOTS: Final = "roots"
"""A table in each segment: the root spans again, without payloads; ``_place`` is the row id of the span itself."""
PLACE: Final = "_place"
_DAMAGE: Final = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)


def segment_schema(table: Table) -> pa.Schema:
    """The rows of a table as a segment holds them."""
    return table.schema.append(pa.field(VERSION_COLUMN, pa.int64(), nullable=False))


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
    counts: Counts = field(default_factory=Counts)

    @property
    def file(self) -> str:
        """The segment's file."""
        return self.segment.file


class Segments:
    """The segments that count, attached to one connection; a cursor for each thread.

    The connection is made when the first segment is attached. A fork waits until no query runs and closes it, for a
    child could do neither; each side then makes its own.
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
            for file in [file for file in self._attached if file not in counts]:
                del self._attached[file]
            for segment in segments:
                if segment.file not in self._attached:
                    self._attached[segment.file] = self._attach(segment)
            if segments and self._root is None:
                self._root = self._opened()  # now, while they are there: a file that is open may be unlinked
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
        path = self._folder / attached.file
        try:
            with translated(attached.file):
                root.execute(f"ATTACH '{quoted(path)}' AS {attached.name} (READ_ONLY)")
        except StoreError as error:
            if path.exists():
                raise
            raise FileNotFoundError(errno.ENOENT, "there is no such segment", str(path)) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """A connection to every segment that somebody reads."""
        root = connect()
        try:
            for attached in list(self._alive):
                if attached.file in self._attached or (self._folder / attached.file).exists():
                    self._attach_to(root, attached)
        except BaseException:
            root.close()
            raise
        return root

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            if self._root is None:
                self._root = self._opened()
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
