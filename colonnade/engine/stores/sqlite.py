"""SQLite in WAL mode: what changes (threads, messages, resources, workflow runs, agents), for several processes.

Measured against DuckDB it is 7 to 39 times faster at upserts and point reads, and any number of processes may open the
file. Each thread of each process has a connection of its own; writers take turns through SQLite's own lock, for which
they wait, and an atomic operation is one immediate transaction.

SQLite keeps a whole float as an integer, and so loses the sign of -0.0. What the embedded folder keeps here has no
floats; scores and spans, which have, are in segments.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote
from weakref import WeakSet

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.dialect import SQLITE
from colonnade.engine.forking import survives_forks
from colonnade.engine.plan import Plan, Put, Scan
from colonnade.engine.relational import ddl
from colonnade.engine.store import Store
from colonnade.engine.stores.sqlite_session import ABILITIES, Session, translated, translation
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreClosed, StoreReadOnly
from colonnade.schemas import READINGS, STORED, VERSION
from colonnade.schemas.table import Table
from colonnade.schemas.words import lower

Durability = Literal["process", "power"]
"""What an acknowledged write survives: the end of the process by any means, or the loss of power too."""

_APPLICATION: Final = 0x436F6C6F
"""Marks a database as ours in its header ("Colo")."""
_BUSY: Final = 30_000
"""Milliseconds for which a writer waits for its turn."""


class _Connection(sqlite3.Connection):
    """A connection that weak references may refer to, and that is not closed while its thread uses it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.turn = threading.RLock()
        self.users = 0


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which SQLite refuses at once, without waiting, while another process does it."""
    until = time.monotonic() + _BUSY / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


class _Turn:
    """A session for the time of a ``with``, in which its connection is not closed: at most by its own end.

    Entered once a plan, it is no generator: that would take as long as SQLite does to find a row.
    """

    __slots__ = ("_connection", "_store")

    def __init__(self, store: SQLiteStore, connection: _Connection) -> None:
        self._store = store
        self._connection = connection

    def __enter__(self) -> Store:
        connection, store = self._connection, self._store
        connection.turn.acquire()
        if store.closed and not connection.users:
            connection.turn.release()
            raise StoreClosed(f"{store.label} is closed; open it again with colonnade.open()")
        connection.users += 1
        return store.session_on(connection)

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        connection = self._connection
        connection.users -= 1
        try:
            if self._store.closed and not connection.users:
                connection.close()
        finally:
            connection.turn.release()


class _Transaction(_Turn):
    """A turn whose plans are committed as one at its end, and undone on an error."""

    __slots__ = ()

    def __enter__(self) -> Store:
        session = super().__enter__()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            super().__exit__()
            if isinstance(error, sqlite3.DatabaseError):
                raise translation(error, session.label) from error
            raise
        return session

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        connection = self._connection
        try:
            if kind is None:
                connection.execute("COMMIT")
            elif connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            raise translation(error, self._store.label) from error
        finally:
            super().__exit__()


class SQLiteStore(Store):
    """One SQLite file, for any number of threads and processes."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability = "process",
        tables: Sequence[Table] = STORED,
        read_only: bool = False,
    ) -> None:
        if path.is_dir():
            raise NotAStore(f"{path} is a folder; a SQLite store is one file")
        if not path.parent.is_dir():
            raise InvalidAddress(f"{path.parent} is no folder; make it first, then open {path.name} in it")
        self.path = path
        self.label = str(path)
        self._tables = tables
        self._durability = durability
        self._read_only = read_only
        self.closed = False
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self._local = threading.local()
        self._open: WeakSet[_Connection] = WeakSet()  # a thread that ends takes its connection along

    def session_on(self, connection: sqlite3.Connection) -> Store:
        """What runs plans on a connection."""
        return Session(connection, self.label)

    def equip(self, connection: sqlite3.Connection) -> None:
        """Give a connection the functions that statements call."""
        connection.create_function("contains_alike", 2, _contains, deterministic=True)

    def _address(self) -> tuple[str, bool]:
        """What SQLite opens, and whether it is a URI."""
        return (reading_address(self.path), True) if self._read_only else (str(self.path), False)

    def _connection(self) -> _Connection:
        if self.closed:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        connection: _Connection | None = getattr(self._local, "connection", None)
        address, uri = self._address()
        if connection is None or self._local.address != address:
            with translated(self.label):
                connection = sqlite3.connect(
                    address,
                    uri=uri,
                    isolation_level=None,
                    check_same_thread=False,
                    timeout=_BUSY / 1000,
                    factory=_Connection,
                )
                if not self._read_only:
                    _use_wal(connection)
                self.equip(connection)
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._durability == 'power' else 'NORMAL'}")
            self._local.connection, self._local.address = connection, address
            self._open.add(connection)
        return connection

    def before_fork(self) -> None:
        """Keep what the child must not close."""
        self._kept = list(self._open)

    def after_fork_in_parent(self) -> None:
        """Nothing changed here."""
        self._kept = []

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections as they are, for ever: SQLite allows neither to use nor to close them here."""
        for connection in self._kept:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._begin()

    def _session(self) -> _Turn:
        """A session on this thread's connection, which ``close`` leaves alone meanwhile: SQLite would crash."""
        return _Turn(self, self._connection())

    def init(self) -> None:
        """Make tables and indexes, or bring an older file to this version, in one transaction."""
        connection = self._connection()
        with translated(self.label):
            if self._version(connection) == VERSION:
                return
            if self._read_only:
                found = self._version(connection)
                raise StoreReadOnly(
                    f"{self.label} has the older schema version {found}; open it once where it can be written"
                )
            with self.transaction():
                found = self._version(connection)  # another process may have been faster
                if found == VERSION:
                    return
                for table in self._tables:
                    for statement in ddl(SQLITE, table):
                        connection.execute(statement)
                    _add_columns(connection, table)
                for reading in READINGS:
                    if reading.domain in {table.domain for table in self._tables}:
                        connection.execute(f"DROP VIEW IF EXISTS {SQLITE.table(reading)}")
                        connection.execute(ddl(SQLITE, reading)[0])
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """The version of its schema; 0 of an empty file. What is not ours is refused."""
        # Tables first: another process may make them, and our mark with them, between these statements.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        ours = connection.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION
        if tables and not ours:
            raise NotAStore(f"{self.label} is a database of another program; give colonnade a file of its own")
        if found > VERSION:
            raise SchemaTooNew(self.label, found, VERSION)
        return found

    def close(self) -> None:
        """Close every connection of this process; one that another thread is using is closed at the end of its use."""
        self.closed = True
        for connection in list(self._open):
            if connection.turn.acquire(blocking=False):
                try:
                    if not connection.users:
                        connection.close()
                except sqlite3.Error:
                    pass  # there is nothing left to do with it
                finally:
                    connection.turn.release()

    def execute(self, plan: Plan) -> Any:
        """Run one plan, as of now; what it writes is committed."""
        with self.transaction() if isinstance(plan, Put) else self._session() as session:
            return session.execute(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """Rows as of now, as a stream."""
        with self._session() as session:
            batches = session.batches(plan)
            batch = next(batches, None)
        while batch is not None:
            yield batch
            with self._session():
                batch = next(batches, None)

    def transaction(self) -> _Transaction:
        """A session whose plans are committed as one; it has the file's write lock from its beginning."""
        return _Transaction(self, self._connection())


def reading_address(path: Path) -> str:
    """What SQLite opens to read a file and never to write it.

    A file without a write-ahead log could not be opened where none can be made, unless SQLite is told that nobody
    changes it: so it is another address once somebody does.
    """
    nobody = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"file:{quote(str(path))}?mode=ro{'&immutable=1' if nobody else ''}"


def _contains(stored: str | None, text: str) -> bool | None:
    return None if stored is None else text in lower(stored)


def _add_columns(connection: sqlite3.Connection, table: Table) -> None:
    known = {row[1] for row in connection.execute(f"PRAGMA table_info({SQLITE.table(table)})")}
    for column in table.columns.values():
        if column.name not in known:
            kind = SQLITE.type_of(column)
            connection.execute(f"ALTER TABLE {SQLITE.table(table)} ADD COLUMN {SQLITE.ident(column.name)} {kind}")
