"""The embedded store as one: its two halves by domain, its upkeep, and SQL over both."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.forking import survives_forks
from colonnade.engine.plan import Scan
from colonnade.engine.retention import Progress, Pruned, Retention
from colonnade.engine.running import Engine, Query
from colonnade.engine.store import Store
from colonnade.engine.stores.embedded import reserve
from colonnade.engine.stores.embedded.columnar import ColumnarStore
from colonnade.engine.stores.embedded.folder import Folder, not_written
from colonnade.engine.stores.embedded.handover import hand_over, is_wanted
from colonnade.engine.stores.embedded.locks import LockFile
from colonnade.engine.stores.embedded.log import NUMBERS, TABLES
from colonnade.engine.stores.embedded.merging import compact
from colonnade.engine.stores.embedded.sealing import Sealed, seal
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.errors import ColonnadeError, StoreError, StoreReadOnly
from colonnade.schemas import SPANS, STORED

if TYPE_CHECKING:
    from colonnade.engine.stores.embedded.sql import EmbeddedSQL

_LOG: Final = logging.getLogger("colonnade")
_INTERVAL: Final = 0.5
"""Seconds between looks for something to seal."""
_NICENESS: Final = 10

Durability = Literal["process", "power"]


class EmbeddedStore(Store):
    """A folder that any number of threads and processes write and read at once; nothing runs beside them.

    ``durability`` is what a returned call survives: ``process`` (the default) the end of this process by any means,
    ``power`` the loss of power too.
    """

    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, path: Path, *, durability: Durability = "process") -> None:
        self.label = str(path)
        self.folder = Folder(path)
        self.folder.init()
        self._read_only = not os.access(path, os.W_OK)
        state = [table for table in STORED if table.name not in NUMBERS]
        self.state = SQLiteStore(self.folder.state, durability=durability, tables=state, read_only=self._read_only)
        self.columnar = ColumnarStore(self.folder, power=durability == "power")
        self._upkeep: _Upkeep | None = None
        self._sql: EmbeddedSQL | None = None

    def init(self) -> None:
        """Make or migrate the state tables, and begin the upkeep in the background; neither if it is only read."""
        self.state.init()
        if self._read_only:
            return
        self._upkeep = _Upkeep(self.folder)
        self.columnar.hurry = self._upkeep.hurry
        self._upkeep.hurry()

    def home(self, domain: str) -> Store:
        """Spans, scores and evals accumulate; the rest changes."""
        return self.columnar if domain in ("observability", "scores") else self.state

    def optimize(self, *, merge: bool = True) -> Sealed:
        """Seal all closed logs, this process's own included, and (``merge``) merge small segments, now.

        Nothing is done where another process has the lease: it does the same.
        """
        self.columnar.rotate()
        if self._upkeep is None:
            return Sealed()
        try:
            return self._upkeep.round(force=True, merge=merge)
        except OSError as error:
            raise StoreError(f"{self.label} could not be sealed, and nothing is lost: {error}") from error

    def prune(
        self, retention: Retention, domains: Collection[str], *, dry_run: bool, progress: Progress
    ) -> Pruned | None:
        """Delete what is out of date in some domains, and unlink whole segments where nothing of them stays.

        It takes the lease from the process that has it; ``StoreLocked`` where that does not let go of it.
        """
        from colonnade.engine.stores.embedded.pruning import foresee, prune  # they load what only pruning needs

        chosen = [table for table in TABLES.values() if table.domain in domains]
        tables = [table.name for table in chosen if table == SPANS or not retention.keep_scored]
        self.columnar.pictures({})  # StoreClosed where it is
        if dry_run:
            return foresee(self.folder, retention, tables, progress)
        if self._read_only:
            raise StoreReadOnly(f"{self.label} cannot be written; nothing was deleted")
        if self._upkeep is None:
            self.init()
        assert self._upkeep is not None
        self.columnar.rotate()
        try:
            with self._upkeep.turn() as stopped:
                pruned = prune(self.folder, retention, tables, stopped=stopped, let_go=self._let_go, progress=progress)
        except OSError as error:
            raise not_written(self.folder.path, error) from error
        return pruned

    def _let_go(self) -> None:
        """Close segments that do not count any more."""
        self.columnar.pictures({})
        if self._sql is not None:
            self._sql.close()

    def sql(self, query: Query) -> Engine:
        """Read-only SQL over segments, fresh rows and state tables."""
        if self._sql is None:
            from colonnade.engine.stores.embedded.sql import EmbeddedSQL  # it loads what only SQL needs

            self._sql = EmbeddedSQL(self.columnar, self.state)
        return self._sql.query(query)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows, from the half that keeps them."""
        return self.home(plan.table.domain).scan(plan)

    def close(self) -> None:
        """Stop the upkeep and let all files go."""
        if self._upkeep is not None:
            self._upkeep.stop()
        if self._sql is not None:
            self._sql.close()
        self.columnar.close()
        self.state.close()


class _Upkeep:
    """Seals and merges while this process has the lease, in a background thread that dies with its process."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._begin()
        survives_forks(self)
        # A daemon thread is cut off in the middle when the interpreter ends, which takes the process down with it.
        atexit.register(_stop, weakref.ref(self))

    def _begin(self) -> None:
        self._stopped = False
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waits = 0
        self._lease: LockFile | None = None
        self._thread: threading.Thread | None = None

    def hurry(self) -> None:
        """There is something to seal, or soon will be."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="colonnade-upkeep", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        said = None
        if sys.platform == "linux":
            # What the agent does comes first; on Linux a thread has a priority of its own.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._stopped:
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            try:
                self.round()
                said = None
            # A full disk, a damaged file: reported once, tried again and again, and never the agent's end.
            except Exception as error:
                if said != str(error):
                    said = str(error)
                    trouble = isinstance(error, (ColonnadeError, OSError))
                    what = "upkeep of %s, to be tried again: %s"
                    _LOG.warning(what, self._folder.path, error, exc_info=None if trouble else error)

    def round(self, *, force: bool = False, merge: bool = True) -> Sealed:
        """Seal and (``merge``) compact what is due, or with ``force`` everything; nothing without the lease.

        With ``force`` somebody waits: sealing in the background then comes to the end of its step, and goes no further.
        """
        with self._waiting() if force else nullcontext(), self._turn:
            if not self._has_lease(keep=force):
                return Sealed()

            def stopped() -> bool:
                return not force and (self._stopped or is_wanted(self._folder))

            def yielding() -> bool:  # not so a merge that has begun: it would have to begin anew
                return stopped() or (not force and self._waits > 0)

            sealed = [seal(self._folder, force=force, stopped=yielding)]

            def between() -> None:
                sealed.append(seal(self._folder, stopped=stopped))
                if stopped():
                    raise _Stopped

            try:
                merged = 0 if yielding() else compact(self._folder, force=force and merge, between=between)
            except _Stopped:
                merged = 0
            return sum(sealed, Sealed(merged=merged))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        with self._counting:
            self._waits += 1
        try:
            yield
        finally:
            with self._counting:
                self._waits -= 1

    def _has_lease(self, *, keep: bool) -> bool:
        if not keep and is_wanted(self._folder):
            self._give_back()
            return False
        if self._lease is None:
            self._lease = self._folder.lease()
            if self._lease is not None:
                self._tidy()
        return self._lease is not None

    def _tidy(self) -> None:
        self._folder.tidy()
        reserve.keep(self._folder)

    def _give_back(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    @contextmanager
    def turn(self) -> Iterator[Callable[[], bool]]:
        """Be the one who tidies up, instead of the upkeep of any process; it says whether the store is being closed."""
        with self._turn:
            if self._lease is None:
                self._lease = hand_over(self._folder)
                self._tidy()
            yield lambda: self._stopped
            reserve.keep(self._folder)

    def stop(self) -> None:
        """Let the step that runs come to its end, and give the lease back."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._turn:  # who prunes looks between two steps whether to stop
            self._give_back()

    def before_fork(self) -> None:
        """Nothing: what the thread has open stays with the parent."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Begin anew, without the lease."""
        self._begin()


def _stop(upkeep: weakref.ref[_Upkeep]) -> None:
    if (alive := upkeep()) is not None:
        alive.stop()


class _Stopped(Exception):
    """The store is closed while segments are merged: that can wait."""
