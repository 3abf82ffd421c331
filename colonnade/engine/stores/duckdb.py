"""One plain DuckDB file, for one process: ``duckdb:///agent.db``.

Each plan runs on a cursor of its own thread. Writes of one process take turns, since DuckDB would otherwise let one of
two that meet fail, and since no index keeps keys unique (ADR 024): whoever writes looks first, and nobody else writes
in between.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from weakref import WeakValueDictionary

import duckdb
import pyarrow as pa

from colonnade.engine import fold, neighbours
from colonnade.engine.abilities import Abilities, patched
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import Delete, Nearest, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.running import Engine, Query
from colonnade.engine.statements import Statements
from colonnade.engine.store import Store
from colonnade.engine.stores import duckdb_file
from colonnade.engine.stores.duckdb_arrow import arrow_of
from colonnade.errors import Conflict, StoreClosed, StoreError, StoreReadOnly, Unsupported

R = TypeVar("R")

ABILITIES: Final = Abilities(
    transactions=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    nearest=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(DUCKDB.functions or ()),
    patch=True,
    delete=True,
)
INCOMING: Final = "incoming"
"""Name under which a put's rows are visible to its statements."""
BATCH: Final = 65_536
"""Rows in a batch of a stream."""
_STATEMENTS: Final = Statements(DUCKDB)
_TURNS: Final[WeakValueDictionary[str, threading.RLock]] = WeakValueDictionary()
_FINDING: Final = threading.Lock()


class Session(Store):
    """Plans on one cursor: a thread's own, or that of a transaction."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, cursor: duckdb.DuckDBPyConnection, label: str) -> None:
        self.cursor = cursor
        self.label = label

    def query(self, statement: Statement) -> pa.Table:
        """Rows of a statement, in DuckDB's own types."""
        with translated(self.label):
            return arrow_of(self.cursor, statement)

    def change(self, statement: Statement) -> int:
        """Run a statement that changes rows; how many."""
        with translated(self.label):
            done = self.cursor.execute(statement.sql, list(statement.parameters)).fetchone()
        return int(done[0]) if done else 0

    def scan(self, plan: Scan) -> pa.Table:
        """``SELECT``, into Arrow without a copy."""
        return self.query(_STATEMENTS.of(plan)).cast(plan.schema)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream, on a cursor of its own: an open result owns its connection."""
        statement = _STATEMENTS.of(plan)
        cursor = self.cursor.cursor()
        try:
            with translated(self.label):
                reader = cursor.sql(statement.sql, params=list(statement.parameters)).to_arrow_reader(BATCH)
            for batch in reader:
                yield batch.cast(plan.schema)
        finally:
            cursor.close()

    def summarize(self, plan: Summarize) -> pa.Table:
        """``SELECT`` with ``GROUP BY``."""
        return fold.typed_summary(plan, self.query(Renderer(DUCKDB).summarize(plan)))

    def nearest(self, plan: Nearest) -> pa.Table:
        """``SELECT`` in the order of the cosine, of every vector: exact."""
        columns = neighbours.needed(plan)
        return self.query(Renderer(DUCKDB).nearest(plan, columns)).cast(Scan(plan.table, columns=columns).schema)

    def put(self, plan: Put) -> int:
        """Insert from Arrow, within a transaction; rows that are stored are read, merged, deleted and inserted anew.

        DuckDB's own upsert rewrites every column of a row in place, which took 300 ms for 100 spans that were stored
        already; this takes 16.
        """
        table, data = plan.table, fold.collapse(plan.table, plan.data)
        with self._incoming(data):
            known = self._stored(plan, data)
        if plan.expect is not None and not fold.is_unchanged(plan, known):
            raise Conflict(f"rows of {table.name} changed since they were read")
        if known.num_rows:
            data = fold.merged(table, known, data)
        with self._incoming(data):
            if known.num_rows:
                self.change(Renderer(DUCKDB).delete_matching(table, INCOMING, _leads(plan)))
            self.change(Renderer(DUCKDB).insert_from(table, INCOMING))
        return int(plan.data.num_rows)

    def _stored(self, plan: Put, data: pa.Table) -> pa.Table:
        """What the merge, or a comparison, needs of the rows that are stored under the incoming keys."""
        needed = {*plan.table.key, *plan.table.once, *filter(None, [plan.table.facts.final])}
        needed |= set(plan.expect.column_names) if plan.expect is not None else set()
        columns = tuple(name for name in plan.table.columns if name in needed)
        found = self.query(Renderer(DUCKDB).matching(plan.table, columns, INCOMING, _leads(plan)))
        return found.cast(plan.table.schema_of(columns))

    @contextmanager
    def _incoming(self, data: pa.Table) -> Iterator[None]:
        self.cursor.register(INCOMING, data)
        try:
            yield
        finally:
            self.cursor.unregister(INCOMING)

    def patch(self, plan: Patch) -> int:
        """``UPDATE``; where a value is a zero, rows are put anew: DuckDB would leave a zero of the other sign there."""
        if any(isinstance(value, float) and not value for value in plan.values.values()):
            found = self.scan(Scan(plan.table, plan.where))
            return self.put(Put(plan.table, patched(found, plan))) if found.num_rows else 0
        return self.change(_STATEMENTS.of(plan))

    def delete(self, plan: Delete) -> int:
        """``DELETE``."""
        return self.change(_STATEMENTS.of(plan))


class DuckDBStore(Store):
    """One DuckDB file, or a database in memory where ``path`` is ``None``."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(
        self, path: Path | None, *, read_only: bool = False, memory_limit: str | None = None, threads: int | None = None
    ) -> None:
        self.path = path
        self.label = "duckdb::memory:" if path is None else str(path)
        self.read_only = read_only
        self._root = duckdb_file.connect(path, read_only=read_only, memory_limit=memory_limit, threads=threads)
        self._local = threading.local()
        self._writing = _turns(path)
        self._closed = False

    def init(self) -> None:
        """Make tables and indexes, or bring an older file to this version; nothing where it is up to date."""
        with self._writing, translated(self.label):
            duckdb_file.migrate(self._root, self.label, read_only=self.read_only)

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        if not self._closed:
            self._closed = True
            self._root.close()

    def _session(self) -> Session:
        if self._closed:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = Session(self._root.cursor(), self.label)
        return session

    def execute(self, plan: Plan) -> Any:
        """Run one plan, as of now; what it writes is committed."""
        match plan:
            case Put() | Patch():
                with self.transaction() as session:
                    return session.execute(plan)
            case Delete():
                with self._turn():
                    return self._session().execute(plan)
        return self._session().execute(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """Rows as of now, as a stream."""
        return self._session().batches(plan)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The turn of one who writes."""
        if self.read_only:
            raise StoreReadOnly(f"{self.label} was opened for reading only")
        with self._writing:
            yield

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose plans are committed as one, or not at all."""
        with self._turn():
            cursor = self._session().cursor.cursor()
            try:
                with translated(self.label):
                    cursor.execute("BEGIN TRANSACTION")
                try:
                    yield Session(cursor, self.label)
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
                with translated(self.label):
                    cursor.execute("COMMIT")
            finally:
                cursor.close()

    def sql(self, query: Query) -> Engine:
        """User SQL on a cursor of its own, in a read-only transaction; the engine itself refuses writes and files."""
        from colonnade.engine.stores.duckdb_sql import DuckDBQuery

        if query.memory is not None:
            raise Unsupported(
                f"{self.label} gives all queries the memory of the file: open it with duckdb:///...?memory_limit=2GB"
            )
        cursor = self._session().cursor.cursor()
        return DuckDBQuery(query, lambda _: cursor)


def _turns(path: Path | None) -> threading.RLock:
    """What writers of a file take turns by, however often this process has opened it: it keeps keys unique."""
    if path is None:
        return threading.RLock()
    with _FINDING:
        return _TURNS.setdefault(str(path.resolve()), threading.RLock())


def _leads(plan: Put) -> list[str]:
    return list(plan.data.column(plan.table.key[0]).unique().to_pylist())


@contextmanager
def translated(label: str) -> Iterator[None]:
    """DuckDB's errors as ours: a lost race is ``Conflict``, the rest ``StoreError`` with the store's name."""
    try:
        yield
    except duckdb.TransactionException as error:
        raise Conflict(f"{label}: {error}") from error
    except duckdb.ConstraintException as error:
        raise Conflict(f"{label}: {error}") from error
    except duckdb.Error as error:
        raise StoreError(f"{label}: {error}") from error
