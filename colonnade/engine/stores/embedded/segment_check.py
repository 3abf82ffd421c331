"""A look at one segment: is it there, can every row of it be read, and does its index say where the rows are?"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.stores.embedded.findings import Finding, Remedy, Severity
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment
from colonnade.engine.stores.embedded.index import INDEXED, Index, index_path, write_index
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.segments import GROUP, TIME, VERSION_COLUMN, connect, duckdb_reading, quoted
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

_AT_ONCE: Final = 16 * GROUP
"""Rows that are read by one statement."""
_SAMPLE: Final = 256
"""Rows of each indexed column that are looked up."""
_UNREADABLE: Final = (duckdb.Error, pa.ArrowException, OSError)
Places = dict[str, dict[str, list[int]]]
"""By segment and table, some of its rows, in order."""


def examine(folder: Folder, segment: Segment, manifest: Manifest, *, full: bool) -> Iterator[Finding]:
    """What is wrong with a segment that counts. With ``full``, every row is looked up in the index, else a sample."""
    path = folder.segments / segment.file
    file = f"segments/{segment.file}"
    if not path.exists():
        yield Finding(Severity.ERROR, file, f"is missing, and {segment.size:,} rows with it", Remedy.FORGET)
        return
    try:
        with duckdb_reading(path) as connection:
            described = describe(connection, segment.file)
            unreadable, message = _unreadable(connection)
            if unreadable:
                what = f"{unreadable:,} of {described.size:,} rows cannot be read: {message}"
                yield Finding(Severity.ERROR, file, what, Remedy.REWRITE)
                return
            if described != segment:
                yield Finding(Severity.ERROR, file, _difference(segment, described), Remedy.CORRECT)
            for table, places in manifest.exceptions.get(segment.file, {}).items():
                if any(not 0 <= place < described.rows.get(table, 0) for place in places):
                    what = f"the manifest hides rows of {table} that it does not have"
                    yield Finding(Severity.ERROR, file, what, Remedy.CORRECT)
            if wrong := _index_fault(connection, index_path(path), described, full=full):
                yield Finding(Severity.ERROR, f"segments/{index_path(path).name}", wrong, Remedy.REINDEX)
    except FileNotFoundError:
        return  # it was merged away while it was read
    except (*_UNREADABLE, StoreError) as error:
        if path.exists():
            what = f"cannot be opened, and {segment.size:,} rows with it: {error}"
            yield Finding(Severity.ERROR, file, what, Remedy.REWRITE)


def describe(connection: duckdb.DuckDBPyConnection, file: str) -> Segment:
    """A segment as its own rows tell it."""
    rows, first, last = {}, {}, {}
    for name, time in TIME.items():
        ((count, begin, end),) = connection.execute(
            f'SELECT count(*), epoch_us(min("{time}")), epoch_us(max("{time}")) FROM "{name}"'
        ).fetchall()
        if count:
            rows[name], first[name], last[name] = count, begin, end
    return Segment(file, rows, first, last)


def _unreadable(connection: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """How many rows cannot be read, in whole row groups, and why the first of them cannot."""
    lost, why = 0, ""
    for (table,) in connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source'"
    ).fetchall():
        ((count,),) = connection.execute(f"SELECT count(*) FROM {DUCKDB.ident(table)}").fetchall()
        # A hash of every value: a count would not look at them.
        reading = f"SELECT bit_xor(hash(COLUMNS(*))) FROM {DUCKDB.ident(table)} WHERE rowid BETWEEN ? AND ?"
        for start in range(0, count, _AT_ONCE):
            try:
                connection.execute(reading, [start, start + _AT_ONCE - 1]).fetchall()
            except _UNREADABLE:
                for group in range(start, min(start + _AT_ONCE, count), GROUP):
                    try:
                        connection.execute(reading, [group, group + GROUP - 1]).fetchall()
                    except _UNREADABLE as error:
                        lost += min(GROUP, count - group)
                        why = why or str(error)
    return lost, why


def _difference(said: Segment, found: Segment) -> str:
    if said.rows == found.rows:
        return "the manifest has other times for it than it holds"
    return f"the manifest says that it has {_counted(said.rows)}, and it has {_counted(found.rows)}"


def _counted(rows: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {table}" for table, count in rows.items()) or "nothing"


def _index_fault(connection: duckdb.DuckDBPyConnection, path: Path, segment: Segment, *, full: bool) -> str:
    """What is wrong with an index; empty if nothing is."""
    if not path.exists():
        return "is missing"
    try:
        index = Index(path)
        if full:
            return _differs(connection, path)
        for table, columns in INDEXED.items():
            if table in segment.rows:
                if wrong := _hides(connection, index, table):
                    return wrong
                for column in columns:
                    for place, value in _sample(connection, table, column, segment.rows[table]):
                        if not any(first <= place <= last for first, last in index.ranges(table, column, [value])):
                            return f"does not know row {place:,} of {table} by its {column}"
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot be read: {error}"
    return ""


def _hides(connection: duckdb.DuckDBPyConnection, index: Index, table: str) -> str:
    """Whether columns are said to be empty and are not."""
    for column in sorted(index.empty[table]):
        ((count,),) = connection.execute(f"SELECT count({DUCKDB.ident(column)}) FROM {DUCKDB.ident(table)}").fetchall()
        if count:
            return f"says that {column} of {table} is empty, and it has {count:,} values"
    return ""


def _sample(connection: duckdb.DuckDBPyConnection, table: str, column: str, count: int) -> list[tuple[int, str]]:
    places = random.Random(count).sample(range(count), min(count, _SAMPLE))
    chosen = DUCKDB.ident(column)
    return connection.execute(
        f"SELECT rowid, {chosen} FROM {DUCKDB.ident(table)} "
        f"WHERE rowid IN (SELECT unnest($places)) AND {chosen} IS NOT NULL",
        {"places": places},
    ).fetchall()


def _differs(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Compare an index with one that is made of the segment now."""
    with tempfile.TemporaryDirectory() as folder:
        found = pa.ipc.open_file(pa.memory_map(str(path)))
        write_index(connection, "source", made := Path(folder) / path.name, found.schema.remove_metadata())
        right = pa.ipc.open_file(pa.memory_map(str(made)))
        if found.schema.metadata != right.schema.metadata or found.num_record_batches != right.num_record_batches:
            return "is of another segment, or of another kind"
        for place, (table, column) in enumerate((name, each) for name in INDEXED for each in INDEXED[name]):
            if not found.get_batch(place).equals(right.get_batch(place)):
                return f"is wrong about {column} of {table}"
    return ""


def copies_found(folder: Folder, manifest: Manifest) -> Places:
    """Rows of segments that hold although another one of the same key does, which is final or later or the same."""
    with tempfile.TemporaryDirectory() as aside:
        connection = connect()
        try:
            connection.execute(f"SET temp_directory = '{quoted(Path(aside))}'")
            for place, segment in enumerate(manifest.segments):
                connection.execute(f"ATTACH '{quoted(folder.segments / segment.file)}' AS s{place} (READ_ONLY)")
            found: Places = defaultdict(lambda: defaultdict(list))
            for table in TABLES.values():
                for file, row in _copies(connection, table, manifest):
                    found[file][table.name].append(row)
            return {file: {table: sorted(rows) for table, rows in tables.items()} for file, tables in found.items()}
        finally:
            connection.close()


def _copies(connection: duckdb.DuckDBPyConnection, table: Table, manifest: Manifest) -> Sequence[Any]:
    key = ", ".join(map(DUCKDB.ident, table.key))
    final = f"{DUCKDB.ident(table.facts.final)} IS NOT NULL" if table.facts.final else "TRUE"
    hidden = pa.table(
        [
            pa.array([each.file for each in manifest.segments for _ in _hidden(manifest, each, table)], pa.string()),
            pa.array([row for each in manifest.segments for row in _hidden(manifest, each, table)], pa.int64()),
        ],
        names=["file", "place"],
    )
    parts = [
        f"SELECT '{segment.file}' AS file, rowid AS place, {VERSION_COLUMN} AS version, {final} AS final, {key} "
        f'FROM s{place}."{table.name}" WHERE {VERSION_COLUMN} > {manifest.cleared.get(table.name, 0)} '
        f"AND rowid NOT IN (SELECT place FROM hidden WHERE file = '{segment.file}')"
        for place, segment in enumerate(manifest.segments)
        if table.name in segment.rows
    ]
    if not parts:
        return []
    connection.register("hidden", hidden)
    every = " UNION ALL ".join(parts)
    return connection.execute(
        f"WITH every AS ({every}), repeated AS (SELECT {key} FROM every GROUP BY {key} HAVING count(*) > 1) "
        f"SELECT file, place FROM every SEMI JOIN repeated USING ({key}) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY final DESC, version DESC, file DESC, place DESC) > 1"
    ).fetchall()


def _hidden(manifest: Manifest, segment: Segment, table: Table) -> Sequence[int]:
    return manifest.exceptions.get(segment.file, {}).get(table.name, ())
