"""A query at work in DuckDB, for all stores.

The engine's own guard, which holds without the parser's (``engine.sql_check``): DuckDB's parser must find one statement
that reads; its transaction is read-only; and the databases that queries run on (``duckdb_database``, or a file's own)
have no way to files, extensions and Python variables, and their settings are locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

import duckdb
import pyarrow as pa

from colonnade.engine.forking import survives_forks
from colonnade.engine.running import Query
from colonnade.errors import QueryError, QueryOutOfMemory

BATCH: Final = 65_536
"""Rows in a batch of a result."""
_READING: Final = ("SELECT", "EXPLAIN")


class Forked:
    """What forked children get of their parents' queries and databases: kept, for closing waits for absent threads."""

    def __init__(self) -> None:
        self.live: WeakSet[Any] = WeakSet()
        self._kept: list[object] = []
        survives_forks(self)

    def before_fork(self) -> None:
        """Have those that are idle close what they have, so that there is nothing to be kept."""
        with suppress(RuntimeError):  # another thread made one meanwhile: then they are kept
            for each in tuple(self.live):
                each.rest()

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Have all of them leave what they have."""
        self._kept += [each.leave() for each in self.live]


FORKED: Final = Forked()


class DuckDBQuery:
    """A query on a connection that ``connect`` makes for it; what that enters into the stack ends with the query.

    ``advice`` is what to do about a file that is damaged.
    """

    def __init__(
        self, query: Query, connect: Callable[[ExitStack], duckdb.DuckDBPyConnection], *, advice: str = ""
    ) -> None:
        self._query = query
        self._connect = connect
        self._advice = advice
        self._held = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._relation: duckdb.DuckDBPyRelation | None = None
        self._reader: pa.RecordBatchReader | None = None
        FORKED.live.add(self)

    def bind(self) -> None:
        """Connect, and have DuckDB look at the statement."""
        with self._translated():
            self._connection = self._connect(self._held)
            statement = _reading(self._connection, self._query.text)
            self._connection.execute("BEGIN TRANSACTION READ ONLY")
            given = self._query.parameters
            parameters = list(given) if isinstance(given, tuple) else given
            self._relation = self._connection.sql(statement, params=parameters or None)

    def run(self) -> pa.Schema:
        """Begin to stream."""
        assert self._relation is not None
        with self._translated():
            self._reader = self._relation.to_arrow_reader(BATCH)
            return self._reader.schema

    def read(self) -> pa.RecordBatch | None:
        """The next batch."""
        if self._reader is None:
            return None
        with self._translated():
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                self.close()
                return None

    def interrupt(self) -> None:
        """DuckDB's own interruption, which it looks for between vectors."""
        if (connection := self._connection) is not None:
            with suppress(duckdb.Error):
                connection.interrupt()

    def close(self) -> None:
        """Let the connection go, and what was held for it."""
        reader, self._reader, self._relation = self._reader, None, None
        if reader is not None:
            with suppress(pa.ArrowException, OSError):
                reader.close()
        if self._connection is not None:
            with suppress(duckdb.Error):
                self._connection.close()
        self._held.close()

    def rest(self) -> None:
        """Go on: the query is the parent's."""

    def leave(self) -> object:
        """What a forked child must not close."""
        left = (self._connection, self._relation, self._reader, self._held)
        self._connection, self._relation, self._reader, self._held = None, None, None, ExitStack()
        return left

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The errors of DuckDB, and of the stream that it gives, as ours."""
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError, ValueError, RuntimeError) as error:
            said = str(error)
            if "Out of Memory Error" in said:
                raise QueryOutOfMemory(_too_large(self._query.memory)) from None
            is_damage = "Corrupt database file" in said or isinstance(error, duckdb.IOException)
            raise QueryError(f"{said}; {self._advice}" if is_damage and self._advice else said) from None


def _reading(connection: duckdb.DuckDBPyConnection, text: str) -> duckdb.Statement:
    """The one statement that DuckDB's own parser finds, if it only reads."""
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, not {len(statements)}")
    kind = statements[0].type.name
    if kind == "MULTI":
        raise QueryError("pivot needs to be told its values: pivot ... on name in ('chat', 'tool') using count(*)")
    if kind not in _READING:
        raise QueryError(f"only reading is allowed here, and this is {kind.lower().replace('_', ' ')}")
    return statements[0]


def _too_large(memory: int | None) -> str:
    allowed = "than it may take" if memory is None else f"than the {memory / 10**6:,.0f} MB that it may take"
    return (
        f"the query needs more memory {allowed}, beside what it can set aside on disk. Give it more "
        '(memory="4GB"), or have it need less: fewer columns, a shorter time, a limit, approx_quantile in place of '
        "quantile, count(distinct ...) in place of list(...)"
    )
