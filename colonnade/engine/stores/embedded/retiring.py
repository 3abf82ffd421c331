"""Retiring rows: what becomes of each segment, and the manifest from which on it counts.

A segment nothing of which stays is unlinked, which takes no time. One of which some stays is written anew without the
rest, unless the rest is a few rows: those become exceptions. Rows in logs, which other processes may still write to,
are deleted by an entry in a log of their own. All of it counts from one moment on, at which one manifest replaces
another: a trace is there as a whole or not at all, for every reader and wherever a crash falls.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa

from colonnade.engine.retention import Progress, Pruned, Retention
from colonnade.engine.stores.embedded import reserve
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment, not_written, sync_folder
from colonnade.engine.stores.embedded.index import empty_columns, index_path
from colonnade.engine.stores.embedded.judging import Judge, Rows
from colonnade.engine.stores.embedded.locks import Gate
from colonnade.engine.stores.embedded.log import TABLES, Change, LogWriter, Verb
from colonnade.engine.stores.embedded.logged import Logs
from colonnade.engine.stores.embedded.segment_writer import SegmentWriter
from colonnade.errors import StoreError
from colonnade.schemas.table import Table

FEW: Final = 1_000
"""At most so many rows of a segment ..."""
PART: Final = 0.05
"""... and no more than this part of it become exceptions. For more it is written anew.

The first exception costs a reader most; a thousand cost the same, ten thousand begin to show (docs/adr/011).
"""
_COPIED: Final = 122_880
"""Rows that are copied at once."""
_DELETED: Final = 100_000
"""Keys in one commit of deletes."""


class Retiring:
    """One try: what becomes of each segment, and the manifest that says so."""

    def __init__(self, folder: Folder, retention: Retention, judge: Judge, logs: Logs) -> None:
        self._folder = folder
        self._retention = retention
        self._judge = judge
        self._logs = logs
        self._before = folder.manifest()
        self._rows: dict[str, dict[str, Rows]] = {}
        self._gone: set[str] = set()
        self._worn: list[Segment] = []
        self._written: dict[str, Segment] = {}
        self._installed = False
        self.postponed: list[Segment] = []
        judge.attach(self._before.segments)
        for segment in self._before.segments:
            self._look_at(segment, self._before)

    def _look_at(self, segment: Segment, manifest: Manifest) -> None:
        tables = _tables(segment)
        if not any(self._judge.may_lose(segment, table) for table in tables):
            return
        rows = {table.name: self._judge.rows(segment, table, manifest) for table in tables}
        stay = sum(each.stay.true_count for each in rows.values())
        if not stay:
            self._gone.add(segment.file)
        elif segment.size - stay > min(FEW, PART * segment.size):
            self._worn.append(segment)
        self._rows[segment.file] = rows

    def foreseen(self) -> Pruned:
        """What would be deleted."""
        sizes = {segment.file: self._size(segment.file) for segment in self._before.segments}
        given = sum(sizes[file] for file in self._gone)
        for segment in self._worn:
            lost = sum(each.lost for each in self._rows[segment.file].values())
            given += sizes[segment.file] * lost // segment.size
        return self._pruned(given, dry_run=True)

    def _pruned(self, given: int, *, dry_run: bool = False) -> Pruned:
        (traces, spans), (scores, _), (evals, _) = map(self._judge.counts, ("spans", "scores", "evals"))
        return Pruned(self._retention.cutoff, traces, spans, scores, evals, given, dry_run)

    def _size(self, file: str) -> int:
        path = self._folder.segments / file
        return path.stat().st_size + index_path(path).stat().st_size

    def rewrite(self, between: Callable[[], object], progress: Progress) -> None:
        """Write the segments of which some stays anew, without the rest."""
        self._judge.limit("200MB")
        total = sum(segment.size for segment in self._worn)
        done = 0
        for segment in self._worn:
            try:
                empty = empty_columns([index_path(self._folder.segments / segment.file)])
                with SegmentWriter(self._new_path(), empty) as writer:
                    for read in self._copy(segment, writer):
                        progress("writing segments anew", done + read, total)
                        between()
                    self._written[segment.file] = writer.finish()
            except (OSError, StoreError) as error:
                if not is_full(error):
                    raise
                self.postponed.append(segment)
            done += segment.size
        self._judge.limit("1GB")
        if self.postponed:
            self._postpone()

    def _postpone(self) -> None:
        """Leave what lies in segments alone that there is no room to write anew; the rest of them is a few rows."""
        others = [segment for segment in self._before.segments if segment not in self.postponed]
        self._judge.spare(self.postponed, others, self._logs.everything())
        for segment in self.postponed:
            self._look_at(segment, self._before)

    def _new_path(self) -> Path:
        return self._folder.segments / f"{self._before.generation + 1:08d}-{uuid4().hex[:8]}.duckdb"

    def _copy(self, segment: Segment, writer: SegmentWriter) -> Iterator[int]:
        done = 0
        for table in _tables(segment):
            stay = self._rows[segment.file][table.name].stay
            for start in range(0, len(stay), _COPIED):
                some = stay.slice(start, _COPIED)
                if some.true_count:
                    rows = self._judge.read(segment, table, start, start + len(some) - 1)
                    writer.insert(table, rows.filter(some))
                yield done + start + len(some)
            done += len(stay)

    def commit(self) -> Pruned | None:
        """Make it count, and unlink what does not any more; ``None`` where something is to be kept after all."""
        now = self._folder.manifest()
        known = {segment.file for segment in self._before.segments}
        for segment in now.segments:
            if segment.file not in known:  # sealed meanwhile
                self._judge.attach([segment])
                names = {table: self._judge.name_of(segment, table) for table in _tables(segment)}
                if any(self._judge.contradict(table, name) for table, name in names.items()):
                    return None
                self._look_at(segment, now)
        changed = self._followed(now)
        with closing(Gate(self._folder.path)) as gate, gate.passed(alone=True):
            later = self._logs.read()
            if any(self._judge.contradict(table, later[table.name]) for table in TABLES.values()):
                return None
            logged = self._logs.everything()
            deleted = {table: self._judge.keys(table, logged[table.name]) for table in TABLES.values()}
            deleted = {table: keys for table, keys in deleted.items() if keys.num_rows}
            try:
                self._install(now, changed, deleted, gate)
            except OSError as error:
                if not is_full(error) or not reserve.give_up(self._folder):
                    raise not_written(self._folder.path, error) from error
                self._install(now, changed, deleted, gate)
        self._installed = True
        replaced = [*self._gone, *self._written]
        given = sum(map(self._size, replaced)) - sum(self._size(each.file) for each in self._written.values())
        unlink(self._folder, replaced)
        return self._pruned(max(given, 0))

    def _followed(self, now: Manifest) -> Manifest:
        """The manifest after this one."""
        exceptions = {file: dict(tables) for file, tables in now.exceptions.items() if file not in self._gone}
        for file, written in self._written.items():
            left_out = self._before.exceptions.get(file, {})
            moved = {}
            for table, places in exceptions.pop(file, {}).items():
                rows = self._rows[file][table]
                since = sorted(set(places).difference(left_out.get(table, ())))
                moved[table] = [place for place in map(rows.place_of, since) if place is not None]
            exceptions[written.file] = moved
        for file, rows_of in self._rows.items():
            if file not in self._gone and file not in self._written:
                tables = exceptions.setdefault(file, {})
                for table, rows in rows_of.items():
                    if rows.lost:
                        tables[table] = sorted({*tables.get(table, ()), *rows.places})
        kept = {
            file: {table: places for table, places in tables.items() if places} for file, tables in exceptions.items()
        }
        return now.next(
            segments=tuple(self._written.get(each.file, each) for each in now.segments if each.file not in self._gone),
            exceptions={file: tables for file, tables in kept.items() if tables},
        )

    def _install(self, now: Manifest, changed: Manifest, deleted: Mapping[Table, pa.Table], gate: Gate) -> None:
        if not deleted:
            if (changed.segments, changed.exceptions) != (now.segments, now.exceptions):
                self._folder.install(changed)
            return
        # The manifest says that this log does not count while it is written, so that it begins to along with the rest.
        name = f"{time.time_ns():020d}-carried-{uuid4().hex[:8]}.log"
        announced = now.next(sealed=(*now.sealed, name))
        self._folder.install(announced)
        path = self._folder.logs / name
        try:
            with closing(LogWriter(path)) as log:
                for table, keys in deleted.items():
                    for batch in keys.combine_chunks().to_batches(max_chunksize=_DELETED):
                        log.append(gate.version(self._logs.newest), [Change(table, Verb.DELETE, batch)])
                log.sync()
            sync_folder(self._folder.logs)
            self._folder.install(replace(changed, generation=announced.generation + 1))
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def clean_up(self) -> None:
        """Unlink what was written and does not count."""
        if not self._installed:
            unlink(self._folder, [written.file for written in self._written.values()])


def _tables(segment: Segment) -> list[Table]:
    return [table for table in TABLES.values() if table.name in segment.rows]


def unlink(folder: Folder, files: Iterable[str]) -> None:
    """Unlink segments, with their indexes."""
    for file in files:
        for path in (folder.segments / file, index_path(folder.segments / file)):
            path.unlink(missing_ok=True)


def is_full(error: Exception) -> bool:
    """Whether the disk is: DuckDB says so in words only."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return full or os.strerror(errno.ENOSPC) in str(error)
