"""Rows that are in logs and not yet in a segment, as one process holds them: resolved by key, found by trace.

Changes are taken in as they come and looked into only when somebody reads, so a process that only writes pays nothing
for them. What each log holds is kept apart, so that a log that has been sealed is forgotten without a look at the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.stores.embedded.log import Change, Commit, Verb
from colonnade.engine.stores.embedded.segments import TIME
from colonnade.schemas.table import Table

Key = Any
"""The value of a key of one column, a tuple of the values of a longer one."""

_JOINED: Final = 8
"""So many batches of about one size are joined into one ..."""
_LARGE: Final = 16_384
"""... unless it would have more rows than this: then copying costs more than it saves."""
_APART: Final = 16
"""Rows are copied along with those between them if these are not more than so many times their number."""
_EPOCHS: Final = count(1)


class Chunk:
    """Some rows of a log. It remembers the columns that it was asked for last: choosing them takes as long as a row."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._last: tuple[tuple[str, ...] | None, pa.RecordBatch] = (None, batch)

    def of(self, names: tuple[str, ...]) -> pa.RecordBatch:
        """Its rows, of some columns."""
        last, chosen = self._last
        if last != names:
            chosen = self.batch.select(list(names))
            self._last = (names, chosen)
        return chosen

    def taken(self, places: Sequence[int], names: tuple[str, ...]) -> pa.RecordBatch:
        """Its rows at some places, each once, in this order."""
        first, many = places[0], len(places)
        if list(places) == list(range(first, first + many)):
            return self.of(names).slice(first, many)
        return self.of(names).take(pa.array(places, pa.int64()))


class LogRows:
    """What one log holds of one table, in order of arrival; some of it is dead."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._chunks: list[Chunk] = []
        self._starts: list[int] = []
        self.count = 0
        self.dead: set[int] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows; small batches are joined as they come together."""
        self._starts.append(self.count)
        self._chunks.append(Chunk(batch))
        self.count += batch.num_rows
        while len(self._chunks) >= _JOINED:
            last = [chunk.batch for chunk in self._chunks[-_JOINED:]]
            rows = self.count - self._starts[-_JOINED]
            if rows > _LARGE or _tier(last[0]) > _tier(last[-1]):
                return
            joined = pa.Table.from_batches(last, self._table.schema).combine_chunks().to_batches()
            if len(joined) != 1:  # text beyond what one array can hold
                return
            del self._chunks[-_JOINED:], self._starts[-_JOINED + 1 :]
            self._chunks += map(Chunk, joined)

    def live(self, columns: tuple[str, ...], without: Collection[int]) -> list[pa.RecordBatch]:
        """The rows that hold, in these columns, ``without`` some."""
        batches = [chunk.of(columns) for chunk in self._chunks]
        if not self.dead and not without:
            return batches
        mask = bytearray(b"\1") * self.count
        for place in (*self.dead, *without):
            mask[place] = 0
        holds = pa.array(mask, pa.uint8()).cast(pa.bool_())
        return [
            batch.filter(holds.slice(start, batch.num_rows)) for batch, start in zip(batches, self._starts, strict=True)
        ]

    def at(self, ordinal: int) -> tuple[Chunk, int]:
        """Where a row is: a chunk, and its place there."""
        chunk = bisect_right(self._starts, ordinal) - 1
        return self._chunks[chunk], ordinal - self._starts[chunk]


Place = tuple[int, int, LogRows]
"""Of a row: its time, its ordinal in the log, and the log."""


@dataclass(slots=True)
class Row:
    """The newest copy of a row: where it is, how old it is, and whether it is final."""

    log: LogRows
    ordinal: int
    version: int
    final: bool


@dataclass(slots=True)
class FreshTable:
    """The fresh rows of one table.

    ``touched`` has, in order of arrival, what every key that came is looked up by (its trace, or itself); ``epoch``
    is another one whenever that begins anew.
    """

    table: Table
    rows: dict[Key, Row] = field(default_factory=dict)
    deleted: dict[Key, int] = field(default_factory=dict)
    cleared: int = 0
    touched: list[str] = field(default_factory=list)
    epoch: int = field(default_factory=lambda: next(_EPOCHS))
    _logs: dict[str, LogRows] = field(default_factory=dict)
    _by_trace: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    _seen: set[str] = field(default_factory=set)
    _losers: dict[Key, Row] = field(default_factory=dict)

    def apply(self, log: str, version: int, change: Change) -> None:
        """Take in one change. Changes may come in any order; versions decide."""
        if change.verb == Verb.CLEAR:
            self.cleared = max(self.cleared, version)
            self._drop([key for key, row in self.rows.items() if row.version < version], version)
        elif change.rows is not None and change.verb == Verb.DELETE:
            for key in keys_of(self.table, change.rows):
                self.deleted[key] = max(self.deleted.get(key, 0), version)
                self._touch(key if isinstance(key, str) else key[0])
                if key in self.rows and self.rows[key].version < version:
                    self._drop([key], version)
        elif change.rows is not None:
            self._put(log, version, change.rows)

    def _put(self, name: str, version: int, batch: pa.RecordBatch) -> None:
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = LogRows(self.table)
        final = self.table.facts.final
        ended = batch.column(final).is_valid().to_pylist() if final else [True] * batch.num_rows
        rows, dead = self.rows, log.dead
        ordinal = log.count
        for key, is_final in zip(keys_of(self.table, batch), ended, strict=True):
            new = Row(log, ordinal, version, is_final)
            if version < self.cleared or (self.deleted and version < self.deleted.get(key, 0)):
                dead.add(ordinal)
            elif (old := rows.get(key)) is None:
                rows[key] = new
            elif wins(is_final, version, old.final, old.version):
                old.log.dead.add(old.ordinal)
                rows[key] = new
                if old.version > version:
                    self._lose(key, old)
            else:
                dead.add(ordinal)
                if version > old.version:
                    self._lose(key, new)
            ordinal += 1
        for value in batch.column(self.table.key[0]).to_pylist():
            self._touch(value)
        if "traceId" in self.table.columns:
            times = batch.column(TIME[self.table.name]).cast(pa.int64()).to_pylist()
            for place, (trace, time) in enumerate(
                zip(batch.column("traceId").to_pylist(), times, strict=True), log.count
            ):
                if trace is not None:
                    self._by_trace[trace].append((time, place, log))
        log.add(batch)

    def _touch(self, value: str) -> None:
        if value not in self._seen:
            self._seen.add(value)
            self.touched.append(value)

    def _lose(self, key: Key, row: Row) -> None:
        """Remember a running row that is later than the final one that beat it: what removes that may spare this."""
        known = self._losers.get(key)
        if known is None or known.version <= row.version:
            self._losers[key] = row

    def _drop(self, keys: Iterable[Key], version: int) -> None:
        for key in keys:
            row = self.rows.pop(key)
            row.log.dead.add(row.ordinal)
            spared = self._losers.pop(key, None)
            if spared is not None and spared.version > version:
                spared.log.dead.discard(spared.ordinal)
                self.rows[key] = spared

    def forget(self, logs: Iterable[str]) -> None:
        """Drop the rows of logs that put rows and did nothing else."""
        gone = {id(log) for name in logs if (log := self._logs.pop(name, None)) is not None}
        if not gone:
            return
        self.rows = {key: row for key, row in self.rows.items() if id(row.log) not in gone}
        self._losers = {key: row for key, row in self._losers.items() if id(row.log) not in gone}
        traces: dict[str, list[Place]] = defaultdict(list)
        for trace, places in self._by_trace.items():
            if left := [place for place in places if id(place[2]) not in gone]:
                traces[trace] = left
        self._by_trace = traces
        keys = [*self.rows, *self.deleted]
        self.touched = list(dict.fromkeys(keys if len(self.table.key) == 1 else (key[0] for key in keys)))
        self._seen = set(self.touched)
        self.epoch = next(_EPOCHS)

    def live(
        self, columns: tuple[str, ...], traces: Iterable[str] | None = None, without: Iterable[Key] = ()
    ) -> pa.Table:
        """The rows that hold, in these columns: all of them, or those of some traces, ``without`` some keys.

        Those of traces come in the order of time, which is the one that is mostly asked for.
        """
        left: dict[int, set[int]] = defaultdict(set)
        for key in without:
            left[id(self.rows[key].log)].add(self.rows[key].ordinal)
        if traces is None:
            batches = [batch for log in self._logs.values() for batch in log.live(columns, left[id(log)])]
            return pa.Table.from_batches(batches, self.table.schema_of(columns))
        places = [
            (time, ordinal, log)
            for trace in traces
            for time, ordinal, log in self._by_trace.get(trace, ())
            if ordinal not in log.dead and ordinal not in left[id(log)]
        ]
        places.sort(key=itemgetter(0))
        return _gathered([log.at(ordinal) for _, ordinal, log in places], columns, self.table.schema_of(columns))


class Fresh:
    """The fresh rows of all tables, with the logs that they came from."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._tables = {table.name: FreshTable(table) for table in tables}
        self._waiting: list[tuple[str, Commit]] = []
        self._logs: set[str] = set()
        self._removing: set[str] = set()
        self.newest = 0

    def add(self, log: str, commits: Iterable[Commit]) -> None:
        """Take in what was read from a log."""
        for commit in commits:
            self._logs.add(log)
            self._waiting.append((log, commit))
            self.newest = max(self.newest, commit.version)
            if any(change.verb != Verb.PUT for change in commit.changes):
                self._removing.add(log)

    def forget(self, logs: Iterable[str]) -> bool:
        """Drop the rows of logs that are in segments now; ``False`` where all logs must be read again instead."""
        gone = self._logs.intersection(logs)
        if not gone:
            return True
        if gone & self._removing:
            return False
        self._logs -= gone
        self._waiting = [(log, commit) for log, commit in self._waiting if log not in gone]
        for table in self._tables.values():
            table.forget(gone)
        return True

    @property
    def logs(self) -> list[str]:
        """The logs that it holds rows of."""
        return list(self._logs)

    def table(self, name: str) -> FreshTable:
        """The fresh rows of a table, everything taken in."""
        waiting, self._waiting = self._waiting, []
        for log, commit in waiting:
            for change in commit.changes:
                self._tables[change.table.name].apply(log, commit.version, change)
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


def _gathered(places: Sequence[tuple[Chunk, int]], names: tuple[str, ...], schema: pa.Schema) -> pa.Table:
    """Rows at some places of some chunks, in this order."""
    wanted: dict[int, tuple[Chunk, list[int]]] = {}
    for chunk, place in places:
        wanted.setdefault(id(chunk), (chunk, []))[1].append(place)
    if len(wanted) == 1:
        ((chunk, found),) = wanted.values()
        return pa.Table.from_batches([chunk.taken(found, names)], schema)
    pieces: list[pa.RecordBatch] = []
    now: dict[tuple[int, int], int] = {}
    start = 0
    for chunk, found in wanted.values():
        found.sort()
        first, among = found[0], found[-1] - found[0] + 1
        if among <= _APART * len(found):  # near one another, and so copied once, below
            pieces.append(chunk.of(names).slice(first, among))
            now |= {(id(chunk), place): start + place - first for place in found}
        else:
            pieces.append(chunk.taken(found, names))
            now |= {(id(chunk), place): start + rank for rank, place in enumerate(found)}
        start += pieces[-1].num_rows
    rows = pa.Table.from_batches(pieces, schema)
    order = [now[id(chunk), place] for chunk, place in places]
    return rows if order == list(range(start)) else rows.combine_chunks().take(pa.array(order, pa.int64()))


def _tier(batch: pa.RecordBatch) -> int:
    return int(batch.num_rows).bit_length() // 3
