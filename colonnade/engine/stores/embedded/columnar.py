"""What accumulates (spans, scores, evals): append-only logs over immutable segments, for any number of processes.

A write appends one frame to this process's own log and is then durable. A read sees one consistent picture: the
segments that the manifest names, and over them the rows of all logs that are in no segment yet. Nothing is changed in
place: an update is a later copy, a delete is an entry of its own, and ``reading`` settles which copy holds.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Final
from uuid import uuid4

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, Delete, Filter, Put, Scan, Summarize
from colonnade.engine.store import Store
from colonnade.engine.stores.embedded.copies import Copies
from colonnade.engine.stores.embedded.folder import Folder, Manifest
from colonnade.engine.stores.embedded.fresh import Fresh
from colonnade.engine.stores.embedded.log import TABLES, Change, LogReader, LogWriter, Verb
from colonnade.engine.stores.embedded.reading import Picture, scanned, summarized, values_of
from colonnade.engine.stores.embedded.segments import Attached, Segments
from colonnade.errors import Conflict, StoreClosed, StoreError
from colonnade.schemas.table import Table

ROTATE_ROWS: Final = 61_440
"""A log with so many rows is closed, to be sealed, and the next one begun."""
ROTATE_BYTES: Final = 128 * 2**20
BACKLOG: Final = 4 * ROTATE_BYTES
"""While closed logs of more bytes than this wait to be sealed, writers wait too ..."""
BACKLOG_PATIENCE: Final = 30.0
"""... for so many seconds at most: what is written is safe in a log, only reading it takes memory."""
ONE_COMMIT: Final = 2**28
"""A put of more bytes than this is several commits."""

_INHERITED: Final[list[Segments]] = []
"""What forked children got from their parents. It is kept: closing it would wait for threads that are not there."""
_LOG: Final = logging.getLogger("colonnade")


class ColumnarStore(Store):
    """The accumulating half of an embedded folder. ``hurry`` is told whenever a log is ready to be sealed."""

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
        self.hurry: Callable[[], None] = lambda: None
        self._power = power
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """State of this process; a forked child begins anew and leaves its parent's files and threads alone."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._segments = Segments(self.folder.segments)
        self._attached: tuple[Attached, ...] = ()
        self._manifest = Manifest()
        self._stamp: tuple[int, int] | None = None
        self._log: LogWriter | None = None
        self._version = 0
        self._own: set[str] = set()
        self._forget_all()

    def _forget_all(self) -> None:
        self._fresh = Fresh(TABLES.values())
        self._readers: dict[str, LogReader] = {}
        self._copies = {table.name: Copies(table, self._segments) for table in TABLES.values()}

    def _check(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        if self._process != os.getpid():
            _INHERITED.append(self._segments)
            self._begin()

    def picture(
        self, table: Table, traces: tuple[str, ...] | None = None, columns: tuple[str, ...] | None = None
    ) -> Picture:
        """What is there now of a table, as one picture that later writes and seals do not change.

        ``traces`` and ``columns`` say what will be looked at, all unless given.
        """
        return self.pictures({table: columns}, traces)[0]

    def pictures(
        self, tables: Mapping[Table, tuple[str, ...] | None], traces: tuple[str, ...] | None = None
    ) -> list[Picture]:
        """Pictures of several tables, each with the columns that will be looked at, all of one moment."""
        self._check()
        with self._lock:
            self._refresh()
            return [
                Picture.of(
                    table,
                    tuple(table.columns) if columns is None else columns,
                    traces,
                    self._manifest,
                    self._segments,
                    self._attached,
                    self._fresh.table(table.name),
                    self._copies[table.name],
                )
                for table, columns in tables.items()
            ]

    def _refresh(self) -> None:
        while True:
            stamp = self.folder.stamp()
            if stamp != self._stamp:
                manifest = self.folder.manifest()
                try:
                    self._attached = self._segments.attach(manifest.segments)
                except FileNotFoundError as error:
                    if self.folder.stamp() == stamp:
                        raise StoreError(
                            f"{self.label}: {error.filename or error} is missing, and rows with it; "
                            f"run: colonnade fsck {self.label}"
                        ) from error
                    continue  # compacted since the manifest was read
                self._manifest, self._stamp = manifest, stamp
            self._follow_logs()
            if self.folder.stamp() == stamp:
                return

    def _follow_logs(self) -> None:
        sealed = set(self._manifest.sealed)
        there = [name for name in self.folder.log_names() if name not in sealed]
        gone = [name for name in self._readers if name not in there]
        if not self._fresh.forget(gone):
            self._forget_all()
        for name in gone:
            self._readers.pop(name, None)
        for name in there:
            reader = self._readers.get(name)
            if reader is None:
                reader = LogReader(self.folder.logs / name, trusted=name in self._own)
                self._readers[name] = reader
            try:
                self._fresh.add(name, reader.read())
            except FileNotFoundError:
                return  # sealed since: the manifest has changed, and everything is looked at again

    def append(self, changes: Sequence[Change], *, alone: bool = False) -> None:
        """Commit changes; they then survive the end of this process. ``alone``: the caller holds the folder."""
        self._check()
        with self._lock:
            if not alone:
                with self.folder.changing(alone=False):
                    return self.append(changes, alone=True)
            self._version = max(time.time_ns() // 1000, self._version + 1, self._fresh.newest + 1)
            try:
                self._log = self._log or self._new_log()
                self._log.append(self._version, changes)
            except OSError as error:
                self._rotate()
                raise StoreError(f"{self.label}: nothing was written: {error.strerror}") from error
            if self._log.rows >= ROTATE_ROWS or self._log.size >= ROTATE_BYTES:
                self._rotate()
            return None

    def _new_log(self) -> LogWriter:
        name = f"{time.time_ns():020d}-{os.getpid()}-{uuid4().hex[:8]}.log"
        self._own.add(name)
        return LogWriter(self.folder.logs / name, power=self._power)

    def _rotate(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
            self.hurry()

    def rotate(self) -> None:
        """Close this process's log, so that it can be sealed."""
        with self._lock:
            if self._process == os.getpid():
                self._rotate()

    def _wait_for_sealing(self) -> None:
        """Let sealing catch up, so that what readers hold in memory has a bound. No lock is held meanwhile."""
        until = time.monotonic() + BACKLOG_PATIENCE
        while self.folder.unsealed_bytes() > BACKLOG:
            self.hurry()
            if time.monotonic() > until:
                _LOG.warning("%s: sealing does not keep up; what is written is safe, and reads get slower", self.label)
                return
            time.sleep(0.02)

    def put(self, plan: Put) -> int:
        """Append the rows; compared with ``expect`` while no other process writes.

        They are one commit, unless they take more than ``ONE_COMMIT`` bytes: then several, in their order.
        """
        self._check()
        data = plan.data
        if not data.num_rows:
            return 0
        if plan.expect is None:
            pieces = -(-data.nbytes // ONE_COMMIT)
            rows = -(-data.num_rows // pieces)
            for start in range(0, data.num_rows, rows):
                if self._log is None:
                    self._wait_for_sealing()
                self.append([_put(plan.table, data.slice(start, rows))])
            return int(data.num_rows)
        with self._lock, self.folder.changing(alone=True):
            found = self.scan(Scan(plan.table, by_key(plan.table, data), columns=tuple(plan.expect.column_names)))
            if not fold.is_unchanged(plan, found):
                raise Conflict(f"rows of {plan.table.name} changed since they were read")
            self.append([_put(plan.table, data)], alone=True)
        return int(data.num_rows)

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
        return self._of(plan.table, plan.where, scanned(plan)).scan(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """Rows as of now, as a stream."""
        return self._of(plan.table, plan.where, scanned(plan)).batches(plan)

    def summarize(self, plan: Summarize) -> pa.Table:
        """Groups as of now."""
        return self._of(plan.table, plan.where, summarized(plan)).summarize(plan)

    def _of(self, table: Table, where: Filter, columns: tuple[str, ...]) -> Picture:
        named = named_columns(where).difference(columns)
        return self.picture(table, values_of(where, "traceId"), (*columns, *named))

    def close(self) -> None:
        """Let all files go; what was acknowledged is in them."""
        if not self._closed and self._process == os.getpid():
            with self._lock:
                self._rotate()
                self._segments.close()
        self._closed = True


def _put(table: Table, rows: pa.Table) -> Change:
    return Change(table, Verb.PUT, rows.combine_chunks().to_batches()[0])
