"""Mending one segment of an embedded folder, and what the manifest says of it. The caller has the lease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.stores.embedded.findings import Finding
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment, sync_folder
from colonnade.engine.stores.embedded.index import index_path, write_index
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.salvage import set_aside
from colonnade.engine.stores.embedded.segment_check import copies_found, describe
from colonnade.engine.stores.embedded.segment_writer import SegmentWriter
from colonnade.engine.stores.embedded.segments import GROUP, duckdb_reading
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

_VECTOR: Final = 2_048
"""Rows that DuckDB compresses as one: what a damaged block takes with it, at least."""
_UNREADABLE: Final = (duckdb.Error, pa.ArrowException, OSError)


def forget(folder: Folder, finding: Finding) -> str:
    manifest = folder.manifest()
    segment = _named(manifest, finding)
    folder.install(_with(manifest, segment, None, {}))
    return f"left out; {segment.size:,} rows are lost"


def correct(folder: Folder, finding: Finding) -> str:
    manifest = folder.manifest()
    segment = _named(manifest, finding)
    with duckdb_reading(folder.segments / segment.file) as connection:
        found = describe(connection, segment.file)
    hidden = {
        table: [place for place in places if 0 <= place < found.rows.get(table, 0)]
        for table, places in manifest.exceptions.get(segment.file, {}).items()
    }
    folder.install(_with(manifest, segment, found, hidden))
    return f"the manifest says now what it holds, {found.size:,} rows"


def reindex(folder: Folder, finding: Finding) -> str:
    path = (folder.path / finding.file).with_suffix(".duckdb")
    made = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    with duckdb_reading(path) as connection:
        write_index(connection, "source", made)
    made.rename(index_path(path))
    sync_folder(path.parent)
    return "built anew"


def settle(folder: Folder, finding: Finding) -> str:
    manifest = folder.manifest()
    segment = _named(manifest, finding)
    copies = copies_found(folder, manifest).get(segment.file, {})
    known = manifest.exceptions.get(segment.file, {})
    hidden = {table: sorted({*known.get(table, ()), *copies.get(table, ())}) for table in known.keys() | copies.keys()}
    if _count(hidden) == segment.size:  # merged, and not yet removed when a process was stopped
        folder.install(_with(manifest, segment, None, {}))
        return "left out, for all its rows are in other segments"
    folder.install(_with(manifest, segment, segment, hidden))
    return f"{_count(copies):,} copies are hidden"


def rewrite(folder: Folder, finding: Finding) -> str:
    """Copy what can be read and is not hidden into a new segment."""
    manifest = folder.manifest()
    segment = _named(manifest, finding)
    path = folder.segments / segment.file
    hidden = manifest.exceptions.get(segment.file, {})
    written = None
    with SegmentWriter(folder.segments / f"{manifest.generation + 1:08d}-{uuid4().hex[:8]}.duckdb") as writer:
        with suppress(*_UNREADABLE, StoreError), duckdb_reading(path) as connection:
            for table in TABLES.values():
                for rows in _rows(connection, table):
                    places = pa.array(hidden.get(table.name, ()), pa.int64())
                    held = rows.filter(pc.invert(pc.is_in(rows.column("rowid"), places)))
                    writer.insert(table, held.drop_columns(["rowid"]))
        if any(writer.rows.values()):
            written = writer.finish()
    folder.install(_with(manifest, segment, written, {}))
    for each in (path, index_path(path)):
        if each.exists():
            set_aside(folder, each)
    saved, held = (written.size if written else 0), segment.size - _count(hidden)
    return f"{saved:,} of {held:,} rows are in a new segment, the damaged one is in damaged/"


def _rows(connection: duckdb.DuckDBPyConnection, table: Table) -> Iterator[pa.Table]:
    """The rows that can be read, with their row ids: whole row groups, and of damaged ones what is left."""
    ((count,),) = connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchall()

    def read(start: int, many: int) -> pa.Table:
        where = f"rowid BETWEEN {start} AND {start + many - 1}"
        return connection.sql(f'SELECT rowid, * FROM "{table.name}" WHERE {where}').to_arrow_table()

    for group in range(0, count, GROUP):
        try:
            yield read(group, GROUP)
        except _UNREADABLE:
            for start in range(group, min(group + GROUP, count), _VECTOR):
                with suppress(*_UNREADABLE):
                    yield read(start, min(_VECTOR, group + GROUP - start))


def _named(manifest: Manifest, finding: Finding) -> Segment:
    name = Path(finding.file).name
    return next(segment for segment in manifest.segments if segment.file == name)


def _with(manifest: Manifest, segment: Segment, instead: Segment | None, hidden: Mapping[str, list[int]]) -> Manifest:
    """The manifest with another segment in place of one, or none, of which some rows are hidden."""
    exceptions = {file: tables for file, tables in manifest.exceptions.items() if file != segment.file}
    if instead is not None and (there := {table: places for table, places in hidden.items() if places}):
        exceptions[instead.file] = there
    segments = [each if each.file != segment.file else instead for each in manifest.segments]
    return manifest.next(segments=tuple(each for each in segments if each is not None), exceptions=exceptions)


def _count(tables: Mapping[str, list[int]]) -> int:
    return sum(map(len, tables.values()))
