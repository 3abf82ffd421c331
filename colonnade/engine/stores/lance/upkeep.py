"""Upkeep: what keeps reads fast, done in the background and by ``optimize``.

Small fragments are compacted, rows that no index knows yet are added to the indexes, and versions that nobody reads any
more are deleted. Compaction has the turn of its table, so that it cannot be overtaken for ever; indexes are made beside
all writes.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import random
from typing import Any, Final, Literal

import lance

from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.lance import vectors, words
from colonnade.engine.stores.lance.commits import FRAGMENT_ROWS
from colonnade.engine.stores.lance.tables import Datasets, indexes, is_overtaken
from colonnade.engine.stores.lance.turns import Turns
from colonnade.errors import ColonnadeError
from colonnade.schemas.table import Table

_LOG: Final = logging.getLogger("colonnade")
_TIMES: Final = 64
"""So many turns at most for the compaction of a table."""
_INTERVAL: Final = 2.0
"""Seconds at least between two looks for something to do."""
UNINDEXED: Final = 65_536
"""So many rows are searched without an index before they are added to it."""
FRAGMENTS: Final = 24
"""So many fragments that are not full are left alone."""
Kind = Literal["BTREE", "BITMAP", "INVERTED"]
WORDS: Final = "INVERTED"
"""The kind of index that knows words."""
_PARTS: Final = 16
"""So many parts of an index of words are not joined yet."""
DELETED: Final = 0.1
"""The part of a fragment's rows that may be deleted before it is written anew."""
VERSIONS: Final = 200
"""Old versions are deleted about once in so many writes."""
KEPT: Final = timedelta(minutes=10)
"""For so long a version is kept, for those who read it."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was done: fragments that were compacted, rows that were added to indexes, versions that were deleted."""

    compacted: int = 0
    indexed: int = 0
    versions: int = 0

    def __add__(self, other: Tidied) -> Tidied:
        return Tidied(self.compacted + other.compacted, self.indexed + other.indexed, self.versions + other.versions)

    def __str__(self) -> str:
        return (
            f"Compacted {self.compacted:,} fragments, indexed {self.indexed:,} rows, "
            f"deleted {self.versions:,} old versions."
        )


class Upkeep:
    """The upkeep of one store, in a background thread that begins with the first write."""

    def __init__(self, datasets: Datasets, turns: Turns) -> None:
        self._datasets = datasets
        self._turns = turns
        self._begin()
        survives_forks(self)
        atexit.register(_stop, weakref.ref(self))  # a daemon thread that is cut off takes the process down with it

    def _begin(self) -> None:
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._written: Counter[Table] = Counter()
        self._thread: threading.Thread | None = None

    def hurry(self, table: Table) -> None:
        """A table was written to."""
        self._written[table] += 1
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="colonnade-upkeep", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        said = None
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            written, self._written = self._written, Counter()
            try:
                self._due(written)
                said = None
            except Exception as error:  # reported once, tried again with the next write, and never the agent's end
                if said != str(error):
                    said = str(error)
                    known = isinstance(error, (ColonnadeError, OSError, ValueError))
                    what = "upkeep of %s, to be tried again: %s"
                    _LOG.warning(what, self._datasets.label, error, exc_info=None if known else error)
            self._stopped.wait(_INTERVAL)

    def round(self, tables: Iterable[Table]) -> Tidied:
        """Do whatever can be done for some tables, also where little is due."""
        done = Tidied()
        for table in tables:
            with self._turns.of(f"{table.name}.upkeep"):
                done += self._tidy(table, writes=VERSIONS, force=True)
        return done

    def _due(self, written: Counter[Table]) -> None:
        for table, writes in written.items():
            with self._turns.at_once(f"{table.name}.upkeep") as mine:  # else another process is at it
                if mine and not self._stopped.is_set():
                    self._tidy(table, writes=writes, force=False)

    def _tidy(self, table: Table, *, writes: int, force: bool) -> Tidied:
        compacted = self._compact(table, force=force)
        indexed = max(self._index(table, force=force), self._follow(table, force=force))
        return Tidied(compacted, indexed, self._clean(table, writes))

    def _compact(self, table: Table, *, force: bool) -> int:
        """Have the turn for some fragments at a time, so that nobody waits for long."""
        removed = 0
        for _ in range(_TIMES):
            fragments = [each.metadata for each in self._datasets.latest(table).get_fragments()]
            small = sum(each.physical_rows < FRAGMENT_ROWS // 2 for each in fragments)
            holed = sum(each.num_deletions > DELETED * each.physical_rows for each in fragments)
            if small + holed < (2 if force else FRAGMENTS) and not (force and holed):
                break
            with self._turns.of(table.name):
                try:
                    metrics = self._datasets.changing(table).optimize.compact_files(
                        target_rows_per_fragment=FRAGMENT_ROWS,
                        materialize_deletions_threshold=DELETED,
                        max_source_rows=4 * FRAGMENT_ROWS,
                    )
                except OSError as error:
                    if not is_overtaken(error):
                        raise
                    break  # in an object store others do not wait for their turn: another time
            if not metrics.fragments_removed:
                break
            removed += int(metrics.fragments_removed)
        return removed

    def _index(self, table: Table, *, force: bool) -> int:
        """Add what an index does not know. Writes go on meanwhile."""
        dataset = self._datasets.changing(table)
        known = {_slot(index): index for index in dataset.describe_indices()}
        fragments = {each.fragment_id: each.count_rows() for each in dataset.get_fragments()}
        wanted: list[tuple[str, Kind]] = [*indexes(table).items(), *((name, WORDS) for name in words.indexed(table))]
        most = 0
        for column, kind in wanted:
            if self._stopped.is_set() and not force:
                return most  # who closes the store waits for one index and not for all
            index = known.get((column, kind == WORDS))
            covered = {each for part in index.segments for each in part.fragment_ids} if index else set()
            rows = sum(count for number, count in fragments.items() if number not in covered)
            if rows < (1 if force else UNINDEXED):
                continue
            most = max(most, rows)
            try:
                if index is None:
                    _make(dataset, column, kind)
                    continue
                parts = dataset.stats.index_stats(index.name)["num_indexed_rows_per_delta"]
                # Joining parts of an index of words takes nearly as long as making them, and some more do no harm.
                joined = 0 if kind == WORDS and len(parts) < _PARTS else _to_merge(parts, rows)
                dataset.optimize.optimize_indices(index_names=[index.name], num_indices_to_merge=joined)
            except OSError as error:
                if not is_overtaken(error):
                    raise
                dataset = self._datasets.changing(table)  # somebody else made it
        if words.indexed(table):
            try:
                words.mark(self._datasets.changing(table), table)
            except OSError as error:
                if not is_overtaken(error):
                    raise  # otherwise somebody else has marked them
        return most

    def _follow(self, table: Table, *, force: bool) -> int:
        """Have the companions for vectors take over what they do not know."""
        try:
            return vectors.follow(self._datasets, table, least=1 if force else UNINDEXED, kept=KEPT)
        except OSError as error:
            if not is_overtaken(error):
                raise
            return 0  # another time

    def _clean(self, table: Table, writes: int) -> int:
        """Delete old versions, once in so many writes, whoever makes them: processes may come and go."""
        if random() * VERSIONS >= writes:
            return 0
        return int(self._datasets.changing(table).cleanup_old_versions(older_than=KEPT).old_versions)

    def stop(self) -> None:
        """Let the step that runs come to its end."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def before_fork(self) -> None:
        """Nothing: the thread stays with the parent."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._begin()


def _slot(index: Any) -> tuple[str, bool]:
    """What an index is for: the values of a column, or its words."""
    return index.field_names[0], index.index_type == "Inverted"


def _make(dataset: lance.LanceDataset, column: str, kind: Kind) -> None:
    if kind == WORDS:
        dataset.create_scalar_index(column, kind, name=words.index_name(column), replace=False, **words.OPTIONS)
    else:
        dataset.create_scalar_index(column, kind, name=f"{column}_idx", replace=False)


def _to_merge(deltas: list[int], rows: int) -> int:
    """How many of the last parts of an index are joined with what is added: those that are not much larger."""
    joined = 0
    for part in reversed(deltas):
        if part > 2 * rows:
            break
        rows += part
        joined += 1
    return joined


def _stop(upkeep: weakref.ref[Upkeep]) -> None:
    if (alive := upkeep()) is not None:
        alive.stop()
