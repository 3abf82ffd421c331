"""Immutable DuckDB files: writing one, and reading all that count through one connection.

A segment holds the tables that accumulate, without keys or indexes, sorted so that a trace's rows lie together and time
runs through the file; each row has the version of its commit. Beside them ``trace_index`` says where in time each trace
lies, ordered by a hash of its id: a look-up by trace becomes a range scan over a few row groups.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.relational import Statement, create_table
from colonnade.engine.stores.embedded.folder import Segment, sync_folder
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

VERSION_COLUMN: Final = "_version"
TIME: Final[Mapping[str, str]] = {"spans": "startedAt", "scores": "createdAt", "evals": "created_at"}
"""The column of each table that time is told by."""
GROUP: Final = 30_720
"""Rows in a row group: small enough to prune well, large enough to compress well."""

_ORDER: Final = {
    "spans": '(min("startedAt") OVER (PARTITION BY "traceId")), "traceId", "startedAt", "spanId"',
    "scores": '"createdAt", "id"',
    "evals": '"created_at", "id"',
}
_TRACE_INDEX: Final = """
    CREATE TABLE segment.trace_index AS
    SELECT md5_number_lower("traceId") AS hash, "traceId", min("startedAt") AS first, max("startedAt") AS last
    FROM segment.spans GROUP BY "traceId" ORDER BY hash
"""


def segment_schema(table: Table) -> pa.Schema:
    """The rows of a table as a segment holds them."""
    return table.schema.append(pa.field(VERSION_COLUMN, pa.int64(), nullable=False))


def write_segment(path: Path, tables: Mapping[str, pa.Table | str], attached: Iterable[Path] = ()) -> Segment:
    """Write a segment, whole or not at all. Rows come as Arrow, or as SQL over ``attached`` segments (``s0`` ...)."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    connection = connect()
    try:
        for place, source in enumerate(attached):
            connection.execute(f"ATTACH '{quoted(source)}' AS s{place} (READ_ONLY)")
        connection.execute(f"ATTACH '{quoted(unfinished)}' AS segment (ROW_GROUP_SIZE {GROUP})")
        for table in TABLES.values():
            ddl = create_table(DUCKDB, table).replace(f'"{table.name}" (', f'segment."{table.name}" (', 1)
            key = ", ".join(map(DUCKDB.ident, table.key))
            connection.execute(ddl.replace(f"PRIMARY KEY ({key})", f"{VERSION_COLUMN} BIGINT NOT NULL"))
            rows = tables.get(table.name)
            if rows is None:
                continue
            if isinstance(rows, pa.Table):
                connection.register("incoming", rows)
                rows = "SELECT * FROM incoming"
            connection.execute(f'INSERT INTO segment."{table.name}" {rows} ORDER BY {_ORDER[table.name]}')
        connection.execute(_TRACE_INDEX)
        segment = _described(connection, path.name)
        connection.execute("CHECKPOINT segment")
        connection.execute("DETACH segment")
    finally:
        connection.close()
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)
    return segment


def _described(connection: duckdb.DuckDBPyConnection, file: str) -> Segment:
    rows: dict[str, int] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for name, time in TIME.items():
        found = connection.execute(
            f'SELECT count(*), epoch_us(min("{time}")), epoch_us(max("{time}")) FROM segment."{name}"'
        ).fetchone()
        if found and found[0]:
            rows[name], first[name], last[name] = found
    return Segment(file, rows, first, last)


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory that segments are attached to."""
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false", "memory_limit": "1GB"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def quoted(path: Path) -> str:
    """A path within a single-quoted SQL text. Only ATTACH needs it, which takes no parameters."""
    return str(path).replace("'", "''")


class Segments:
    """The segments that count, attached to one connection; a cursor for each thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = connect()
        self._local = threading.local()
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._next = 0

    def attach(self, segments: Sequence[Segment]) -> None:
        """Attach what is new. ``FileNotFoundError`` where a file is gone: the manifest was replaced meanwhile."""
        with self._lock:
            for segment in segments:
                if segment.file in self._names:
                    continue
                path = self._folder / segment.file
                if not path.exists():
                    raise FileNotFoundError(path)
                name = f"s{self._next}"
                self._next += 1
                with translated(segment.file):
                    self._root.execute(f"ATTACH '{quoted(path)}' AS {name} (READ_ONLY)")
                self._names[segment.file] = name

    def name(self, segment: Segment) -> str:
        """The name under which SQL knows a segment."""
        return self._names[segment.file]

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._root.cursor()
        return cursor

    def query(self, statement: Statement, relations: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Rows of a statement over segments, and over Arrow tables by name."""
        cursor = self.cursor()
        for name, data in (relations or {}).items():
            cursor.register(name, data)
        try:
            with translated("segments"):
                return cursor.sql(statement.sql, params=list(statement.parameters)).to_arrow_table()
        finally:
            for name in relations or {}:
                cursor.unregister(name)

    def traces(self, segments: Sequence[Segment], ids: Sequence[str]) -> dict[str, tuple[Any, Any]]:
        """For each segment (by file) that has some of these traces, the first and last start of their spans."""
        if not segments or not ids:
            return {}
        marks = ", ".join("?" for _ in ids)
        parts = [
            f"SELECT {place} AS place, min(first) AS first, max(last) AS last FROM {self.name(segment)}.trace_index "
            f'WHERE hash IN ({", ".join("md5_number_lower(?)" for _ in ids)}) AND "traceId" IN ({marks})'
            for place, segment in enumerate(segments)
        ]
        parameters = [value for _ in segments for value in (*ids, *ids)]
        found = self.query(Statement(" UNION ALL ".join(parts), tuple(parameters))).to_pylist()
        return {segments[row["place"]].file: (row["first"], row["last"]) for row in found if row["first"] is not None}

    def close(self) -> None:
        """Let all files go."""
        self._root.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """DuckDB's errors as ours."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(f"{what}: {error}") from error
