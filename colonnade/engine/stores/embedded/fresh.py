"""Rows that are in logs and not yet in a segment, as one process holds them: resolved by key, found by trace.

Changes are taken in as they come and looked into only when somebody reads, so a process that only writes pays nothing
for them. Rows have ordinals, in order of arrival; joining small batches into larger ones keeps them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.stores.embedded.log import Change, Commit, Verb
from colonnade.schemas.table import Table

Key = Any
"""The value of a key of one column, a tuple of the values of a longer one."""

_PIECES: Final = 16
"""More batches than this are joined into one."""


@dataclass(slots=True)
class Row:
    """The newest copy of a row: where it is, how old it is, and whether it is final."""

    ordinal: int
    version: int
    final: bool


@dataclass(slots=True)
class FreshTable:
    """The fresh rows of one table."""

    table: Table
    rows: dict[Key, Row] = field(default_factory=dict)
    deleted: dict[Key, int] = field(default_factory=dict)
    cleared: int = 0
    dead: set[int] = field(default_factory=set)
    by_trace: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _data: pa.Table | None = None

    def apply(self, version: int, change: Change) -> None:
        """Take in one change. Changes may come in any order; versions decide."""
        if change.verb == Verb.CLEAR:
            self.cleared = max(self.cleared, version)
            self._drop(key for key, row in list(self.rows.items()) if row.version < version)
        elif change.rows is not None and change.verb == Verb.DELETE:
            for key in keys_of(self.table, change.rows):
                self.deleted[key] = max(self.deleted.get(key, 0), version)
                if key in self.rows and self.rows[key].version < version:
                    self._drop([key])
        elif change.rows is not None:
            self._put(version, change.rows)

    def _put(self, version: int, batch: pa.RecordBatch) -> None:
        final = self.table.facts.final
        ended = batch.column(final).is_valid().to_pylist() if final else [True] * batch.num_rows
        ordinal = self.count
        for key, is_final in zip(keys_of(self.table, batch), ended, strict=True):
            new = Row(ordinal, version, is_final)
            if version < max(self.cleared, self.deleted.get(key, 0)):
                self.dead.add(ordinal)
            elif (old := self.rows.get(key)) is None:
                self.rows[key] = new
            elif wins(new.final, new.version, old.final, old.version):
                self.dead.add(old.ordinal)
                self.rows[key] = new
            else:
                self.dead.add(ordinal)
            ordinal += 1
        if "traceId" in self.table.columns:
            for place, trace in enumerate(batch.column("traceId").to_pylist(), self.count):
                if trace is not None:
                    self.by_trace[trace].append(place)
        self.count += batch.num_rows
        self._batches.append(batch)
        self._data = None

    def _drop(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.dead.add(self.rows.pop(key).ordinal)

    def all(self) -> pa.Table:
        """Every row that came, by ordinal, dead ones included."""
        if self._data is None:
            if len(self._batches) > _PIECES:
                joined = pa.Table.from_batches(self._batches, self.table.schema).combine_chunks()
                self._batches = joined.to_batches()
            self._data = pa.Table.from_batches(self._batches, self.table.schema)
        return self._data

    def live(self, traces: Iterable[str] | None = None) -> pa.Table:
        """The rows that hold: all of them, or those of some traces."""
        if traces is not None:
            places = [at for trace in traces for at in self.by_trace.get(trace, ()) if at not in self.dead]
            return self.all().take(pa.array(places, pa.int64()))
        if not self.dead:
            return self.all()
        mask = bytearray(b"\1") * self.count
        for place in self.dead:
            mask[place] = 0
        return self.all().filter(pa.array(mask, pa.uint8()).cast(pa.bool_()))


class Fresh:
    """The fresh rows of all tables, with the logs that they came from."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._names = {table.name: table for table in tables}
        self._commits: dict[str, list[Commit]] = {}
        self._waiting: list[Commit] = []
        self._tables = {table.name: FreshTable(table) for table in self._names.values()}
        self.newest = 0

    def add(self, log: str, commits: Iterable[Commit]) -> None:
        """Take in what was read from a log, or written to this process's own."""
        for commit in commits:
            self._commits.setdefault(log, []).append(commit)
            self._waiting.append(commit)
            self.newest = max(self.newest, commit.version)

    def forget(self, logs: Iterable[str]) -> None:
        """Drop the rows of logs that are in segments now."""
        gone = [log for log in logs if self._commits.pop(log, None) is not None]
        if gone:
            self._tables = {table.name: FreshTable(table) for table in self._names.values()}
            self._waiting = [commit for commits in self._commits.values() for commit in commits]

    @property
    def logs(self) -> list[str]:
        """The logs that it holds rows of."""
        return list(self._commits)

    def table(self, name: str) -> FreshTable:
        """The fresh rows of a table, everything taken in."""
        waiting, self._waiting = self._waiting, []
        for commit in waiting:
            for change in commit.changes:
                self._tables[change.table.name].apply(commit.version, change)
        return self._tables[name]


def wins(new_final: bool, new_version: int, old_final: bool, old_version: int) -> bool:
    """Whether a copy of a row replaces another: a final one beats one that is not, otherwise the later one wins."""
    if new_final != old_final:
        return new_final
    return new_version >= old_version


def keys_of(table: Table, batch: pa.RecordBatch | pa.Table) -> Iterator[Key]:
    """The key of each row."""
    columns = [batch.column(name).to_pylist() for name in table.key]
    return iter(columns[0]) if len(columns) == 1 else zip(*columns, strict=True)
