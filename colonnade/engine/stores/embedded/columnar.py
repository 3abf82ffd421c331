"""What accumulates (spans, scores, evals): append-only logs over immutable segments, for any number of processes.

A write appends one frame to this process's own log and is then durable. A read sees one consistent picture: the
segments that the manifest names, and over them the rows of all logs that are in no segment yet. Nothing is changed in
place: an update is a later copy, a delete is an entry of its own, and ``reading`` settles which copy holds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final
from uuid import uuid4

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import TRUE, Delete, Put, Scan, Summarize
from colonnade.engine.store import Store
from colonnade.engine.stores.embedded.folder import Folder, Manifest
from colonnade.engine.stores.embedded.fresh import Fresh
from colonnade.engine.stores.embedded.log import TABLES, Change, Commit, LogReader, LogWriter, Verb
from colonnade.engine.stores.embedded.reading import Picture, traces_of
from colonnade.engine.stores.embedded.segments import Segments
from colonnade.errors import Conflict, StoreClosed, StoreError
from colonnade.schemas.table import Table

ROTATE_ROWS: Final = 61_440
"""A log with so many rows is closed, to be sealed, and the next one begun."""
ROTATE_BYTES: Final = 128 * 2**20


class ColumnarStore(Store):
    """The accumulating half of an embedded folder."""

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True,
        filters=True,
        json_equal=True,
        json_has=True,
        order=True,
        aggregates=frozenset(DUCKDB.functions or ()),
        delete=True,
    )

    def __init__(self, folder: Folder, *, power: bool = False) -> None:
        self.folder = folder
        self.label = str(folder.path)
        self._power = power
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """State of this process; a forked child begins anew and leaves its parent's files and threads alone."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._fresh = Fresh(TABLES.values())
        self._segments = Segments(self.folder.segments)
        self._readers: dict[str, LogReader] = {}
        self._manifest = Manifest()
        self._stamp: tuple[int, int] | None = None
        self._log: LogWriter | None = None

    def _check(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        if self._process != os.getpid():
            self._begin()

    def picture(self, table: Table, traces: tuple[str, ...] | None = None) -> Picture:
        """What is there now of a table, as one picture that later writes and seals do not change."""
        self._check()
        with self._lock:
            self._refresh()
            return Picture.of(table, traces, self._manifest, self._segments, self._fresh)

    def _refresh(self) -> None:
        while True:
            stamp = self.folder.stamp()
            if stamp != self._stamp:
                manifest = self.folder.manifest()
                try:
                    self._segments.attach(manifest.segments)
                except FileNotFoundError:
                    continue  # compacted since the manifest was read
                self._manifest, self._stamp = manifest, stamp
            self._follow_logs()
            if self.folder.stamp() == stamp:
                return

    def _follow_logs(self) -> None:
        own = self._log.path.name if self._log else None
        there = [name for name in self.folder.log_names() if name not in self._manifest.sealed]
        for name in there:
            if name == own:
                continue
            reader = self._readers.setdefault(name, LogReader(self.folder.logs / name))
            try:
                self._fresh.add(name, reader.read())
            except FileNotFoundError:
                return  # sealed since: the manifest has changed, and everything is looked at again
        gone = [name for name in self._fresh.logs if name not in there]
        self._fresh.forget(gone)
        for name in gone:
            self._readers.pop(name, None)

    def append(self, changes: Sequence[Change], *, alone: bool = False) -> None:
        """Commit changes; they then survive the end of this process. ``alone``: the caller holds the folder."""
        self._check()
        with self._lock:
            if not alone:
                with self.folder.changing(alone=False):
                    return self.append(changes, alone=True)
            version = max(time.time_ns() // 1000, self._fresh.newest + 1)
            log = self._writer()
            try:
                end = log.append(version, changes)
            except OSError as error:
                raise StoreError(f"{self.label}: nothing was written: {error.strerror}") from error
            self._fresh.add(log.path.name, [Commit(version, tuple(changes), end)])
            return None

    def _writer(self) -> LogWriter:
        if self._log and (self._log.rows >= ROTATE_ROWS or self._log.size >= ROTATE_BYTES):
            self._rotate()
        if self._log is None:
            name = f"{time.time_ns():020d}-{os.getpid()}-{uuid4().hex[:8]}.log"
            self._log = LogWriter(self.folder.logs / name, power=self._power)
        return self._log

    def _rotate(self) -> None:
        if self._log is not None:
            # What this process wrote it has already; only the position to go on from is needed.
            reader = LogReader(self._log.path)
            reader.position = self._log.size
            self._readers[self._log.path.name] = reader
            self._log.close()
            self._log = None

    def rotate(self) -> None:
        """Close this process's log, so that it can be sealed."""
        with self._lock:
            self._rotate()

    def put(self, plan: Put) -> int:
        """Append the rows; compared with ``expect`` while no other process writes."""
        if not plan.data.num_rows:
            return 0
        change = Change(plan.table, Verb.PUT, plan.data.combine_chunks().to_batches()[0])
        if plan.expect is None:
            self.append([change])
            return int(plan.data.num_rows)
        with self._lock, self.folder.changing(alone=True):
            found = self.scan(Scan(plan.table, by_key(plan.table, plan.data), columns=tuple(plan.expect.column_names)))
            if not fold.is_unchanged(plan, found):
                raise Conflict(f"rows of {plan.table.name} changed since they were read")
            self.append([change], alone=True)
        return int(plan.data.num_rows)

    def delete(self, plan: Delete) -> int:
        """Append the keys of what the filter holds for now."""
        with self._lock, self.folder.changing(alone=True):
            keys = self.scan(Scan(plan.table, plan.where, columns=plan.table.key))
            if not keys.num_rows:
                return 0
            if plan.where == TRUE:
                change = Change(plan.table, Verb.CLEAR)
            else:
                change = Change(plan.table, Verb.DELETE, keys.combine_chunks().to_batches()[0])
            self.append([change], alone=True)
        return int(keys.num_rows)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows as of now."""
        return self.picture(plan.table, traces_of(plan.where)).scan(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """Rows as of now, as a stream."""
        return self.picture(plan.table).batches(plan)

    def summarize(self, plan: Summarize) -> pa.Table:
        """Groups as of now."""
        return self.picture(plan.table, traces_of(plan.where)).summarize(plan)

    def close(self) -> None:
        """Let all files go; what was acknowledged is in them."""
        if not self._closed and self._process == os.getpid():
            with self._lock:
                self._rotate()
                self._segments.close()
        self._closed = True
