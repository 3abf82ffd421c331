"""Sealing logs into segments: the work of whichever process holds the lease.

Every step leaves a store that is complete. A segment counts once the manifest names it, and the same manifest says
which logs are in it, so no row is lost or read twice wherever a crash falls. What cannot be sealed yet (spans still
running, deletes that may concern a log of another process) is carried over into a new log before the manifest changes;
rows in two logs at once are one row, since their versions are the same.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.stores.embedded.copies import Copies, key_table
from colonnade.engine.stores.embedded.folder import Folder, Manifest, sync_folder
from colonnade.engine.stores.embedded.fresh import wins
from colonnade.engine.stores.embedded.locks import is_locked
from colonnade.engine.stores.embedded.log import TABLES, Change, Commit, LogReader, LogWriter, Verb
from colonnade.engine.stores.embedded.salvage import mend
from colonnade.engine.stores.embedded.segment_writer import write_segments
from colonnade.engine.stores.embedded.segments import GROUP, VERSION_COLUMN, Attached, Segments
from colonnade.engine.stores.embedded.settling import Removals, Settled
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

SEAL_BYTES: Final = 16 * 2**20
"""Closed logs are sealed once they hold so much ..."""
SEAL_AGE: Final = 60.0
"""... or once the oldest has waited so many seconds ..."""
AT_ONCE: Final = 192 * 2**20
"""... of not much more than so many bytes at once, for each segment that is written."""
LOGS: Final = 8
"""... and of no more than so many logs: rows that are small are many, and settling takes memory by the row."""
PARTS: Final = 2
"""So many segments are written at the same time where somebody waits for it ..."""
PART_ROWS: Final = GROUP
"""... if each has so many rows of one table at least."""
RUNNING: Final = timedelta(days=1)
"""A span that has not ended after so long is sealed as it is; its end, should it come, replaces it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a round of sealing did."""

    logs: int = 0
    rows: int = 0
    merged: int = 0

    def __str__(self) -> str:
        logs = "1 log" if self.logs == 1 else f"{self.logs:,} logs"
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"Sealed {logs} with {rows}, merged {self.merged:,} segments."

    def __add__(self, other: Sealed) -> Sealed:
        return Sealed(self.logs + other.logs, self.rows + other.rows, self.merged + other.merged)


def seal(folder: Folder, *, force: bool = False, stopped: Callable[[], bool] = lambda: False) -> Sealed:
    """Seal what is due, or with ``force`` all closed logs, until ``stopped``. The caller holds the lease.

    With ``force`` somebody waits, and it takes two cores where there are so many; otherwise one: the agent has work.
    """
    parts = min(PARTS, os.cpu_count() or 1) if force else 1
    done = Sealed()
    while not stopped() and (logs := _due(folder, parts, force=force)):
        done += _seal(folder, logs, parts)
    return done


def _due(folder: Folder, parts: int, *, force: bool) -> list[str]:
    """The logs to seal next, oldest first."""
    manifest = folder.manifest()
    there = folder.log_names()
    _unlink(folder, [name for name in there if name in manifest.sealed])
    closed = [name for name in there if name not in manifest.sealed and not is_locked(folder.logs / name)]
    sizes = {name: (folder.logs / name).stat().st_size for name in closed}
    # What was carried over is sealed with what comes next: by itself it would be carried over again and again.
    new = [name for name in closed if "carried" not in name]
    if not new:
        return []
    # A log from the future was begun before the clock was set back.
    if not force and sum(sizes.values()) < SEAL_BYTES and 0 <= time.time() - _born(new[0]) < SEAL_AGE:
        return []
    logs: list[str] = []
    total = 0
    for name in closed:
        if logs and (total + sizes[name] > parts * AT_ONCE or len(logs) == parts * LOGS):
            break
        logs.append(name)
        total += sizes[name]
    return logs


def _seal(folder: Folder, logs: Sequence[str], parts: int) -> Sealed:
    read = dict(_read(folder, name) for name in logs)
    commits = sorted((commit for commits in read.values() for commit in commits), key=lambda each: each.version)
    logs = list(read)
    manifest = folder.manifest()
    others = [name for name in folder.log_names() if name not in logs and name not in manifest.sealed]
    removed = cache(lambda: _removals(folder, others))
    segments = Segments(folder.segments)
    try:
        plan = _Seal(folder, manifest, segments, segments.attach(manifest.segments), removed)
        for table in TABLES.values():
            plan.take(Settled.of(table, commits, removed), others=bool(others))
        return plan.commit(logs, parts)
    finally:
        segments.close()
        del read, commits
        pa.default_memory_pool().release_unused()


def _read(folder: Folder, log: str) -> tuple[str, list[Commit]]:
    """The commits of a closed log, and its name; of what took its place, where it is damaged."""
    reader = LogReader(folder.logs / log)
    try:
        commits = reader.read()
    except StoreError:  # damaged at its beginning
        commits = []
    if not reader.unread or (mended := mend(folder, log)) is None:
        return log, commits
    return mended.log, LogReader(folder.logs / mended.log).read()


def _removals(folder: Folder, logs: Sequence[str]) -> Removals:
    removals = Removals()
    for name in logs:
        with suppress(FileNotFoundError):
            for commit in LogReader(folder.logs / name).read():
                for change in commit.changes:
                    removals.take(commit.version, change)
    return removals


class _Seal:
    """One seal: what goes into the new segment, what is carried over, what older segments lose."""

    def __init__(
        self,
        folder: Folder,
        manifest: Manifest,
        segments: Segments,
        attached: tuple[Attached, ...],
        elsewhere: Callable[[], Removals],
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._segments = segments
        self._attached = attached
        self._elsewhere = elsewhere
        self._rows: dict[str, pa.Table] = {}
        self._carried: list[tuple[int, Change]] = []
        self._exceptions: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for file, tables in manifest.exceptions.items():
            for table, places in tables.items():
                self._exceptions[file][table].update(places)
        self._cleared = dict(manifest.cleared)

    def take(self, settled: Settled, *, others: bool) -> None:
        """Take in one table: older segments lose what is replaced, and what they outlive is left out."""
        table = settled.table
        if settled.cleared:
            self._cleared[table.name] = max(settled.cleared, self._cleared.get(table.name, 0))
            if others:
                self._carried.append((settled.cleared, Change(table, Verb.CLEAR)))
        if settled.deleted and others:
            for version in sorted(set(settled.deleted.values())):
                keys = key_table(table, [key for key, at in settled.deleted.items() if at == version])
                self._carried.append((version, Change(table, Verb.DELETE, _batch(keys))))
        rows = settled.without(self._replace(settled))
        if table.facts.final and rows.num_rows:
            since = datetime.now(UTC) - RUNNING
            running = pc.and_(rows.column("endedAt").is_null(), pc.greater(rows.column("startedAt"), pa.scalar(since)))
            if pc.any(running).as_py():
                self._carry(table, rows.filter(running))
                rows = rows.filter(pc.invert(running))
        if rows.num_rows:
            self._rows[table.name] = rows

    def _carry(self, table: Table, rows: pa.Table) -> None:
        for version in rows.column(VERSION_COLUMN).unique().to_pylist():
            these = rows.filter(pc.equal(rows.column(VERSION_COLUMN), version)).drop_columns([VERSION_COLUMN])
            self._carried.append((version, Change(table, Verb.PUT, _batch(these))))

    def _replace(self, settled: Settled) -> set[Any]:
        """Mark what older segments lose; the keys that they outlive."""
        name = settled.table.name
        copies = [
            copy
            for copy in Copies(settled.table, self._segments).of(settled, self._attached)
            if copy.version > self._cleared.get(name, 0) and copy.place not in self._exceptions[copy.file][name]
        ]
        if not copies:
            return set()
        single = len(settled.table.key) == 1
        rows = settled.among({copy.key if single else copy.key[0] for copy in copies})
        outlived = set()
        for copy in copies:
            row = rows.get(copy.key)
            gone = settled.deleted.get(copy.key, 0) > copy.version
            if row is not None and copy.final and not row[1] and row[0] > copy.version:
                # It came later, and is outlived unless a log that is not sealed yet removes the sealed one.
                gone = gone or self._elsewhere().of(settled.table, copy.key) > copy.version
            later = row is not None and row[1] and not copy.final and row[0] < copy.version
            if later and row is not None and self._elsewhere().of(settled.table, copy.key) > row[0]:
                # The mirror image: the sealed one came later, and the final one was removed before.
                outlived.add(copy.key)
                continue
            if gone or (row is not None and wins(row[1], row[0], copy.final, copy.version)):
                self._exceptions[copy.file][name].add(copy.place)
            elif row is not None:
                outlived.add(copy.key)
        return outlived

    def commit(self, logs: Sequence[str], parts: int) -> Sealed:
        """Write the segments and what is carried over, then the manifest that counts all, then unlink the logs.

        Rows go into ``parts`` segments if they are many.
        """
        segments = list(self._manifest.segments)
        rows = sum(data.num_rows for data in self._rows.values())
        if rows:
            many = max(1, max(data.num_rows for data in self._rows.values()) // PART_ROWS)
            names = [f"{self._manifest.generation + 1:08d}-{uuid4().hex[:8]}.duckdb" for _ in range(min(parts, many))]
            segments += write_segments([self._folder.segments / name for name in names], self._rows)
        if self._carried:
            log = LogWriter(self._folder.logs / f"{time.time_ns():020d}-carried-{uuid4().hex[:8]}.log")
            for version, change in sorted(self._carried, key=lambda each: each[0]):
                log.append(version, [change])
            log.sync()
            log.close()
            sync_folder(self._folder.logs)
        still = set(self._folder.log_names())
        self._folder.install(
            self._manifest.next(
                segments=tuple(segments),
                sealed=(*(name for name in self._manifest.sealed if name in still), *logs),
                cleared=self._cleared,
                exceptions={
                    file: {table: sorted(places) for table, places in tables.items() if places}
                    for file, tables in self._exceptions.items()
                    if any(tables.values())
                },
            )
        )
        _unlink(self._folder, logs)
        return Sealed(logs=len(logs), rows=rows)


def _born(log: str) -> float:
    """When a log was begun, in seconds since the epoch: its name says so."""
    return int(log.split("-")[0]) / 1e9


def _batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


def _unlink(folder: Folder, logs: Sequence[str]) -> None:
    for name in logs:
        (folder.logs / name).unlink(missing_ok=True)
