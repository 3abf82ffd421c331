"""Sealing logs into segments, and merging segments: the work of whichever process holds the lease.

Every step leaves a store that is complete. A segment counts once the manifest names it, and the same manifest says
which logs are in it, so no row is lost or read twice wherever a crash falls. What cannot be sealed yet (spans still
running, deletes that may concern a log of another process) is carried over into a new log before the manifest changes;
rows in two logs at once are one row, since their versions are the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.relational import Statement
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment, is_alive
from colonnade.engine.stores.embedded.fresh import Fresh, FreshTable, wins
from colonnade.engine.stores.embedded.log import TABLES, Change, LogReader, LogWriter, Verb
from colonnade.engine.stores.embedded.reading import key_table
from colonnade.engine.stores.embedded.segments import VERSION_COLUMN, Segments, segment_schema, write_segment

SEAL_ROWS: Final = 61_440
"""Closed logs are sealed once they hold so many rows ..."""
SEAL_AGE: Final = 60.0
"""... or once the oldest has waited so many seconds."""
RUNNING: Final = timedelta(days=1)
"""A span that has not ended after so long is sealed as it is; its end, should it come, replaces it."""
SMALL: Final = 250_000
"""Segments with fewer rows are merged when there are several ..."""
LARGE: Final = 8_000_000
"""... as long as the merged one stays below this."""
MANY: Final = 4


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a round of sealing did."""

    logs: int = 0
    rows: int = 0
    merged: int = 0

    def __str__(self) -> str:
        return f"{self.logs:,} logs with {self.rows:,} rows were sealed, {self.merged:,} segments merged."


def seal(folder: Folder, *, force: bool = False) -> Sealed:
    """Seal what is due, or with ``force`` all closed logs. The caller holds the lease."""
    manifest = folder.manifest()
    there = folder.log_names()
    _unlink(folder, [name for name in there if name in manifest.sealed])
    closed = [name for name in there if name not in manifest.sealed and not is_alive(folder.logs / name)]
    if not closed:
        return Sealed()
    fresh = Fresh(TABLES.values())
    for name in closed:
        fresh.add(name, LogReader(folder.logs / name).read())
    tables = {table.name: fresh.table(table.name) for table in TABLES.values()}
    waiting = sum(len(table.rows) for table in tables.values())
    age = time.time() - int(closed[0].split("-")[0]) / 1e9
    if not force and waiting < SEAL_ROWS and age < SEAL_AGE:
        return Sealed()
    others = any(name not in closed and name not in manifest.sealed for name in there)
    segments = Segments(folder.segments)
    try:
        segments.attach(manifest.segments)
        plan = _Seal(folder, manifest, segments, fresh.newest)
        for table in tables.values():
            plan.take(table, others=others)
        return plan.commit(closed)
    finally:
        segments.close()


class _Seal:
    """One seal: what goes into the new segment, what is carried over, what older segments lose."""

    def __init__(self, folder: Folder, manifest: Manifest, segments: Segments, newest: int) -> None:
        self._folder = folder
        self._manifest = manifest
        self._segments = segments
        self._newest = newest
        self._rows: dict[str, pa.Table] = {}
        self._carried: list[tuple[int, Change]] = []
        self._exceptions = {
            file: {n: set(places) for n, places in t.items()} for file, t in manifest.exceptions.items()
        }
        self._cleared = dict(manifest.cleared)

    def take(self, fresh: FreshTable, *, others: bool) -> None:
        """Settle the rows of one table: older segments lose what is replaced, and what they outlive is left out."""
        table = fresh.table
        if fresh.cleared:
            self._cleared[table.name] = max(fresh.cleared, self._cleared.get(table.name, 0))
            if others:
                self._carried.append((fresh.cleared, Change(table, Verb.CLEAR)))
        if fresh.deleted and others:
            for version in sorted(set(fresh.deleted.values())):
                keys = key_table(table, [key for key, at in fresh.deleted.items() if at == version])
                self._carried.append((version, Change(table, Verb.DELETE, _batch(keys))))
        outlived = self._replace(fresh)
        keys = [key for key in fresh.rows if key not in outlived]
        places = pa.array([fresh.rows[key].ordinal for key in keys], pa.int64())
        versions = pa.array([fresh.rows[key].version for key in keys], pa.int64())
        rows = fresh.all().take(places)
        if table.facts.final and rows.num_rows:
            since = datetime.now(UTC) - RUNNING
            running = pc.and_(rows.column("endedAt").is_null(), pc.greater(rows.column("startedAt"), pa.scalar(since)))
            self._carry(rows.filter(running), versions.filter(running.combine_chunks()), fresh)
            rows, versions = rows.filter(pc.invert(running)), versions.filter(pc.invert(running.combine_chunks()))
        if rows.num_rows:
            self._rows[table.name] = rows.append_column(
                segment_schema(table).field(VERSION_COLUMN), pa.chunked_array([versions])
            )

    def _carry(self, rows: pa.Table, versions: pa.Array, fresh: FreshTable) -> None:
        for version in versions.unique().to_pylist():
            these = rows.filter(pc.equal(versions, version))
            self._carried.append((version, Change(fresh.table, Verb.PUT, _batch(these))))

    def _replace(self, fresh: FreshTable) -> set[Any]:
        """Mark what older segments lose; the fresh keys that they outlive."""
        outlived = set()
        for segment, place, key, version, final in self._sealed_copies(fresh):
            if place in self._exceptions.get(segment.file, {}).get(fresh.table.name, ()):
                continue
            if version <= self._cleared.get(fresh.table.name, 0):
                continue
            row = fresh.rows.get(key)
            gone = fresh.deleted.get(key, 0) > version
            if gone or (row is not None and wins(row.final, row.version, final, version)):
                self._exceptions.setdefault(segment.file, {}).setdefault(fresh.table.name, set()).add(place)
            elif row is not None:
                outlived.add(key)
        return outlived

    def _sealed_copies(self, fresh: FreshTable) -> list[tuple[Segment, int, Any, int, bool]]:
        table = fresh.table
        keys = list({**fresh.rows, **fresh.deleted})
        if not keys:
            return []
        candidates = {"candidates": key_table(table, keys)}
        final = f"held.{DUCKDB.ident(table.facts.final)} IS NOT NULL" if table.facts.final else "TRUE"
        same = " AND ".join(f"held.{name} = candidates.{name}" for name in map(DUCKDB.ident, table.key))
        chosen = ", ".join(f"held.{DUCKDB.ident(name)}" for name in table.key)
        copies = []
        for segment in self._manifest.segments:
            if table.name not in segment.rows:
                continue
            held = f"{self._segments.name(segment)}.{DUCKDB.ident(table.name)}"
            found = self._segments.query(
                Statement(
                    f"SELECT held.rowid, {chosen}, held.{VERSION_COLUMN}, {final} FROM {held} AS held, candidates "
                    f"WHERE {same}"
                ),
                candidates,
            )
            for place, *key, version, is_final in zip(*(column.to_pylist() for column in found.columns), strict=True):
                copies.append((segment, place, key[0] if len(key) == 1 else tuple(key), version, is_final))
        return copies

    def commit(self, closed: Sequence[str]) -> Sealed:
        """Write the segment and what is carried over, then the manifest that counts both, then unlink the logs."""
        segments = list(self._manifest.segments)
        rows = sum(data.num_rows for data in self._rows.values())
        if rows:
            name = f"{self._manifest.generation + 1:08d}-{uuid4().hex[:8]}.duckdb"
            segments.append(write_segment(self._folder.segments / name, self._rows))
        if self._carried:
            log = LogWriter(self._folder.logs / f"{time.time_ns():020d}-carried-{uuid4().hex[:8]}.log", power=True)
            for version, change in sorted(self._carried, key=lambda each: each[0]):
                log.append(version, [change])
            log.close()
        still = set(self._folder.log_names())
        self._folder.install(
            self._manifest.next(
                segments=tuple(segments),
                sealed=(*(name for name in self._manifest.sealed if name in still), *closed),
                cleared=self._cleared,
                exceptions={
                    file: {table: sorted(places) for table, places in tables.items()}
                    for file, tables in self._exceptions.items()
                },
            )
        )
        _unlink(self._folder, closed)
        return Sealed(logs=len(closed), rows=rows)


def compact(folder: Folder, *, force: bool = False) -> int:
    """Merge small segments that follow one another, and fold in exceptions; how many. The caller holds the lease."""
    manifest = folder.manifest()
    small = [each for each in manifest.segments if force or each.size < SMALL]
    touched = bool(manifest.exceptions or manifest.cleared)
    if len(small) < (1 if force and touched else 2 if force else MANY) or sum(each.size for each in small) > LARGE:
        return 0
    parts: dict[str, str] = {}
    for table in TABLES.values():
        branches = [
            f"SELECT * FROM s{place}.{DUCKDB.ident(table.name)} AS held{_holds(manifest, segment, table.name)}"
            for place, segment in enumerate(small)
        ]
        parts[table.name] = f"SELECT * FROM ({' UNION ALL '.join(branches)})"
    name = f"{manifest.generation + 1:08d}-{uuid4().hex[:8]}.duckdb"
    merged = write_segment(folder.segments / name, parts, [folder.segments / each.file for each in small])
    files = {each.file for each in small}
    kept = [each for each in manifest.segments if each.file not in files]
    folder.install(
        manifest.next(
            segments=(*kept, *([merged] if merged.size else [])),
            exceptions={file: tables for file, tables in manifest.exceptions.items() if file not in files},
            cleared=manifest.cleared if kept else {},
        )
    )
    for file in files:
        (folder.segments / file).unlink(missing_ok=True)
    if not merged.size:
        (folder.segments / name).unlink(missing_ok=True)
    return len(small)


def _holds(manifest: Manifest, segment: Segment, table: str) -> str:
    conditions = []
    if places := manifest.exceptions.get(segment.file, {}).get(table):
        conditions.append(f"rowid NOT IN ({', '.join(map(str, map(int, places)))})")
    if cleared := manifest.cleared.get(table):
        conditions.append(f"{VERSION_COLUMN} > {int(cleared)}")
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


def _unlink(folder: Folder, logs: Sequence[str]) -> None:
    for name in logs:
        (folder.logs / name).unlink(missing_ok=True)
