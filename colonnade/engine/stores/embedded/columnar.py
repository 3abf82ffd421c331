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
from contextlib import AbstractContextManager
from typing import ClassVar, Final
from uuid import uuid4

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.forking import FORK_PATIENCE, survives_forks
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, Delete, Filter, Put, Scan, Summarize
from colonnade.engine.store import Store
from colonnade.engine.stores.embedded.copies import Copies
from colonnade.engine.stores.embedded.folder import Folder, Manifest, not_written
from colonnade.engine.stores.embedded.fresh import Fresh
from colonnade.engine.stores.embedded.locks import Gate
from colonnade.engine.stores.embedded.log import TABLES, Change, LogReader, LogWriter, TooLong, Verb
from colonnade.engine.stores.embedded.narrowing import scanned, summarized, values_of
from colonnade.engine.stores.embedded.reading import Picture
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
ONE_COMMIT: Final = 2 * ROTATE_ROWS
"""A put of more rows than this, or of more bytes than a commit can have, is several commits."""

_LOOKS: Final = 100
_LOG: Final = logging.getLogger("colonnade")


class ColumnarStore(Store):
    """The accumulating half of an embedded folder. ``hurry`` is told whenever a log is ready to be sealed."""

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True,
        filters=True,
        json_equal=True,
        json_has=True,
        contains=True,
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
        survives_forks(self, rank=0)  # before its segments: who has its lock may be about to query them

    def _begin(self) -> None:
        """State of this process; a forked child begins anew."""
        self._lock = threading.RLock()
        self._gate: Gate | None = None
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
                self._attached = ()  # who lets go here first, lets go of the files of what counts no more
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
        there, sizes = self._cut()
        gone = [name for name in self._readers if name not in there]
        if not self._fresh.forget(gone):
            self._forget_all()
            there, sizes = self._cut()
        for name in gone:
            self._readers.pop(name, None)
        for name, size in zip(there, sizes, strict=True):
            self._fresh.add(name, self._readers[name].read(size))

    def _cut(self) -> tuple[list[str], list[int]]:
        """The logs and how long they are, all at one moment: what a commit led to is never seen without it.

        They are looked at until nothing changed between two looks; a look takes microseconds.
        """
        seen = self._look()
        for _ in range(_LOOKS):
            again = self._look()
            if again == seen:
                break
            seen = again
        return seen

    def _look(self) -> tuple[list[str], list[int]]:
        sealed = set(self._manifest.sealed)
        there, sizes = [], []
        for name in self.folder.log_names():
            if name in sealed:
                continue
            if name not in self._readers:
                self._readers[name] = LogReader(self.folder.logs / name, trusted=name in self._own)
            try:
                sizes.append(self._readers[name].size())
            except FileNotFoundError:  # sealed since: the manifest has changed, and everything is looked at again
                del self._readers[name]
                continue
            there.append(name)
        return there, sizes

    def append(self, changes: Sequence[Change], *, alone: bool = False) -> None:
        """Commit changes; they then survive the end of this process. ``alone``: the caller holds the folder."""
        self._check()
        with self._lock:
            if not alone:
                with self._changing(alone=False):
                    return self.append(changes, alone=True)
            try:
                self._version = self._passing().version(max(self._version, self._fresh.newest))
                self._log = self._log or self._new_log()
                self._log.append(self._version, changes)
            except OSError as error:
                self._rotate()
                raise not_written(self.folder.path, error) from error
            if self._log.rows >= ROTATE_ROWS or self._log.size >= ROTATE_BYTES:
                self._rotate()
            return None

    def _changing(self, *, alone: bool) -> AbstractContextManager[None]:
        return self._passing().passed(alone=alone)

    def _passing(self) -> Gate:
        self._check()  # again: another thread may have closed it since
        if self._gate is None:
            try:
                self._gate = Gate(self.folder.path)
            except OSError as error:
                raise not_written(self.folder.path, error) from error
        return self._gate

    def _new_log(self) -> LogWriter:
        name = f"{time.time_ns():020d}-{os.getpid()}-{uuid4().hex[:8]}.log"
        self._own.add(name)
        self.hurry()
        return LogWriter(self.folder.logs / name, power=self._power)

    def _rotate(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
            self.hurry()

    def rotate(self) -> None:
        """Close this process's log, so that it can be sealed."""
        with self._lock:
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

        They are one commit, unless there are very many (``ONE_COMMIT``): then several, in their order.
        """
        self._check()
        data = plan.data
        if not data.num_rows:
            return 0
        if plan.expect is None:
            step = data.num_rows if data.num_rows <= ONE_COMMIT else ROTATE_ROWS
            for start in range(0, data.num_rows, step):
                self._put_piece(plan.table, data.slice(start, step))
            return int(data.num_rows)
        with self._lock, self._changing(alone=True):
            found = self.scan(Scan(plan.table, by_key(plan.table, data), columns=tuple(plan.expect.column_names)))
            if not fold.is_unchanged(plan, found):
                raise Conflict(f"rows of {plan.table.name} changed since they were read")
            self.append([_put(plan.table, data)], alone=True)
        return int(data.num_rows)

    def _put_piece(self, table: Table, data: pa.Table) -> None:
        if self._log is None:
            self._wait_for_sealing()
        try:
            self.append([_put(table, data)])
        except TooLong:
            if data.num_rows == 1:
                raise
            half = data.num_rows // 2
            self._put_piece(table, data.slice(0, half))
            self._put_piece(table, data.slice(half))

    def delete(self, plan: Delete) -> int:
        """Append the keys of what the filter holds for now."""
        with self._lock, self._changing(alone=True):
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
        with self._lock:
            if not self._closed:
                self._closed = True
                self._rotate()
                self._segments.close()
                if self._gate is not None:
                    self._gate.close()

    def before_fork(self) -> None:
        """Let no thread be in the middle of something."""
        self._held = self._lock.acquire(timeout=FORK_PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew, with a log of its own."""
        self._begin()


def _put(table: Table, rows: pa.Table) -> Change:
    return Change(table, Verb.PUT, rows.combine_chunks().to_batches()[0])
