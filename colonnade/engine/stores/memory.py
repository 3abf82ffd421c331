"""The reference store: Arrow tables in memory, with ``fold`` as its brain.

It has no transactions but compares and sets, so every atomic operation takes the road that stores without transactions
take. Its tables are immutable values, swapped under a lock: a scan sees one state, whatever is written meanwhile.
"""

from __future__ import annotations

import threading
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold, neighbours
from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import TRUE, Delete, Nearest, Put, Scan, Summarize
from colonnade.engine.store import Store
from colonnade.errors import Conflict, StoreClosed
from colonnade.schemas import STORED
from colonnade.schemas.table import Table

_CHUNKS: Final = 64
"""After so many puts the pieces of a table are joined, so that reads do not pay for every small write."""


class MemoryStore(Store):
    """Everything in this process's memory, gone when it is closed."""

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True,
        filters=True,
        json_equal=True,
        json_has=True,
        contains=True,
        nearest=True,
        order=True,
        aggregates=frozenset({"count", "sum", "min", "max", "mean", "p50", "p95", "p99"}),
        delete=True,
    )

    def __init__(self) -> None:
        self.label = ":memory:"
        self._lock = threading.RLock()
        self._tables = {table.name: table.schema.empty_table() for table in STORED}

    def _rows(self, table: Table) -> pa.Table:
        try:
            return self._tables[table.name]
        except KeyError:
            raise StoreClosed("this in-memory store is closed, and what it held is gone") from None

    def scan(self, plan: Scan) -> pa.Table:
        """Fold the table as it is now."""
        return fold.scan(plan, self._rows(plan.table))

    def summarize(self, plan: Summarize) -> pa.Table:
        """Fold the table as it is now."""
        return fold.summarize(plan, self._rows(plan.table))

    def nearest(self, plan: Nearest) -> pa.Table:
        """Compare with every row that there is now."""
        scan = Scan(plan.table, plan.where, columns=neighbours.needed(plan))
        rows = fold.scan(scan, self._rows(plan.table))
        return neighbours.best(plan, neighbours.compared(plan, rows)).drop_columns(["similarity"])

    def put(self, plan: Put) -> int:
        """Swap in the table with the rows merged; compared with ``expect`` under the same lock."""
        with self._lock:
            stored = self._rows(plan.table)
            if plan.expect is not None and not fold.is_unchanged(plan, stored):
                raise Conflict(f"rows of {plan.table.name} changed since they were read")
            merged = fold.upsert(plan.table, stored, plan.data)
            many = merged.num_columns and merged.column(0).num_chunks > _CHUNKS
            self._tables[plan.table.name] = merged.combine_chunks() if many else merged
        return int(plan.data.num_rows)

    def delete(self, plan: Delete) -> int:
        """Keep what the filter does not hold for."""
        with self._lock:
            stored = self._rows(plan.table)
            if plan.where == TRUE:
                self._tables[plan.table.name] = stored.slice(0, 0)
                return int(stored.num_rows)
            gone = pc.fill_null(fold.mask(plan.where, stored), False)
            kept = stored.filter(pc.invert(gone))
            self._tables[plan.table.name] = kept
            return int(stored.num_rows - kept.num_rows)

    def close(self) -> None:
        """Forget everything."""
        self._tables.clear()
