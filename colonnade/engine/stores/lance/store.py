"""The Lance store: ``lancedb:///folder``, or a place in an object store, ``lancedb+s3://bucket/path``.

Each table is a dataset, where LanceDB would look for it. Any number of processes may read and write at once: a read
sees one version of a table, a write is one commit that counts only if no other came in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import lance
import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.execution import pauses
from colonnade.engine.plan import Delete, Measure, Nearest, Put, Scan, Search, Summarize
from colonnade.engine.store import Store
from colonnade.engine.stores.duckdb_summary import FUNCTIONS, summarize
from colonnade.engine.stores.lance import vectors, words
from colonnade.engine.stores.lance.commits import delete_keys, put
from colonnade.engine.stores.lance.filters import expression, keys_in
from colonnade.engine.stores.lance.management import Tables
from colonnade.engine.stores.lance.pages import page
from colonnade.engine.stores.lance.tables import Datasets, is_overtaken
from colonnade.engine.stores.lance.turns import Turns
from colonnade.engine.stores.lance.upkeep import Tidied, Upkeep
from colonnade.errors import StoreClosed
from colonnade.schemas import STORED
from colonnade.schemas.table import Table

R = TypeVar("R")

_COUNT: Final = (Measure("count"),)


class LanceStore(Store):
    """Lance datasets below a root: a folder, or an object store with its options (which are never shown)."""

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True,
        filters=True,
        contains=True,
        longest=1_000,  # of far more it makes no regular expression
        order=True,
        search=True,
        nearest=True,
        aggregates=FUNCTIONS,
        delete=True,
    )

    def __init__(
        self, root: str, *, folder: Path | None = None, label: str = "", options: Mapping[str, str] | None = None
    ) -> None:
        """``folder`` is the root where it is one."""
        self.label = label or root
        self._datasets = Datasets(root, options or {}, self.label)
        self._turns = Turns(folder)
        self._upkeep = Upkeep(self._datasets, self._turns)
        self.tables = Tables(self, self._datasets, self._turns)
        """Tables by hand: create, drop, clear, load by key, insert."""
        self._closed = False

    def init(self) -> None:
        """Make tables and indexes that are missing, and bring older ones to this version."""
        with self._datasets.translated():
            for table in STORED:
                # What is as it should be can also be opened where it is read only.
                if not self._datasets.is_current(table):
                    with self._turns.of(table.name):
                        self._datasets.make(table)

    def close(self) -> None:
        """Stop the upkeep and let go of everything."""
        if not self._closed:
            self._closed = True
            self._upkeep.stop()
            self._datasets.close()

    def _latest(self, table: Table) -> lance.LanceDataset:
        if self._closed:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        return self._datasets.latest(table)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows as of now."""
        with self._datasets.translated():
            dataset = self._latest(plan.table)
            return page(dataset, plan) if plan.complete_order else _scanner(dataset, plan).to_table().cast(plan.schema)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """Rows as of now, as a stream where they need no order."""
        if plan.complete_order:
            yield from self.scan(plan).to_batches()
            return
        with self._datasets.translated():
            for batch in _scanner(self._latest(plan.table), plan).to_batches():
                yield batch.cast(plan.schema)

    def summarize(self, plan: Summarize) -> pa.Table:
        """Counted by Lance, or filtered by Lance and added up by DuckDB."""
        with self._datasets.translated():
            dataset = self._latest(plan.table)
            where = expression(plan.where, plan.table)
            if not plan.by and plan.measures == _COUNT:
                return pa.table({"count": pa.array([dataset.scanner(filter=where).count_rows()], pa.int64())})

            def read(columns: tuple[str, ...]) -> pa.RecordBatchReader:
                some = list(columns or plan.table.key[:1])
                return dataset.scanner(columns=some, filter=where).to_reader()

            return summarize(plan, read)

    def search(self, plan: Search) -> pa.Table | None:
        """The best rows, by the index of words; ``None`` where it knows too few rows, or the words are in too many."""
        with self._datasets.translated():
            return words.search(self._latest(plan.table), plan)

    def nearest(self, plan: Nearest) -> pa.Table:
        """The nearest rows: of few vectors exactly, of many nearly always, by an index."""
        with self._datasets.translated():
            return vectors.nearest(self._datasets, self._latest(plan.table), plan)

    def put(self, plan: Put) -> int:
        """Upsert, committed."""
        self._write(plan.table, lambda: put(self._datasets, plan))
        return int(plan.data.num_rows)

    def delete(self, plan: Delete) -> int:
        """Delete, committed."""

        keys = keys_in(plan.where, plan.table)

        def delete() -> int:
            if keys is not None:
                return delete_keys(self._datasets, plan.table, keys)
            dataset, where = self._datasets.changing(plan.table), expression(plan.where, plan.table)
            found: int = dataset.scanner(filter=where).count_rows()
            if found:
                dataset.delete("true" if where is None else where, conflict_retries=0)
            return found

        return self._write(plan.table, delete)

    def _write(self, table: Table, change: Callable[[], R]) -> R:
        """Have the turn, change a table, and again where others were faster all the same."""
        self._latest(table)  # StoreClosed where it is
        with self._datasets.translated(), self._turns.of(table.name):
            for pause in pauses():
                try:
                    changed = change()
                    break
                except OSError as error:
                    if not is_overtaken(error) or pause is None:
                        raise
                    time.sleep(pause)
        self._upkeep.hurry(table)
        return changed

    def optimize(self) -> Tidied:
        """Compact small fragments, bring indexes up to date, and delete versions that nobody reads, now."""
        with self._datasets.translated():
            return self._upkeep.round(STORED)


def _scanner(dataset: lance.LanceDataset, plan: Scan) -> lance.LanceScanner:
    return dataset.scanner(columns=list(plan.projection), filter=expression(plan.where, plan.table))
