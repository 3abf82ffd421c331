"""Moving between stores: every row of one storage into another, as a stream, and proof that it is there.

Each table is copied in ranges of time, each range as a stream. A range of which the target has as many rows as the
source is not written again: so a copy that was killed goes on where it was, from what the target holds and from nothing
else. Writing is by key, so a range that was half written holds nothing twice. Then all rows of the range are read back
and compared by digest (``checksum``); what is not the same is written once more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.address import Address, open
from colonnade.engine.checksum import BYTES, checksum, digests, pieces
from colonnade.engine.composite import Storage
from colonnade.engine.plan import TRUE, Bucket, Filter, Is, Measure, Put, Scan, Summarize, between
from colonnade.errors import InvalidInput
from colonnade.queries.times import parse_when, time_of
from colonnade.schemas import STORED, table_named
from colonnade.schemas.moments import MICROSECOND, moment_of
from colonnade.schemas.table import Table

RANGE: Final = 50_000
"""Rows in a range of a table that is small enough ..."""
RANGES: Final = 32
"""... to have no more than so many ranges; those of larger tables have more rows ..."""
LARGEST: Final = 500_000
"""... up to this many: the digests of a range are kept in memory while it is compared."""

_WIDTHS: Final = tuple(timedelta(seconds=seconds) for seconds in (86_400, 3_600, 60, 1))

Progress = Callable[[str, int, int], object]
"""Is told which table is being copied, how many rows of all tables are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """What became of a table: ``rows`` in the source, of which ``written`` were put into the target by this run.

    ``differing`` rows of the source are not so in the target, which then had a copy that holds against them: an ended
    span against one that runs, a ``createdAt`` that is kept. ``others`` are rows of the target that the source has not.
    The checksums are those of all rows within the copied time.
    """

    table: str
    rows: int = 0
    written: int = 0
    differing: int = 0
    others: int = 0
    checksum: str = ""
    target_checksum: str = ""

    def __str__(self) -> str:
        said = f"{self.table:<16}{self.rows:>12,} rows  {self.written:>12,} written  checksum {self.checksum}"
        problems = [f"{self.differing:,} DIFFER in the target"] if self.differing else []
        if self.others:
            problems.append(f"the target has {self.others:,} others (its checksum: {self.target_checksum})")
        return f"{said}  {'; '.join(problems) or 'the same in both'}"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, table by table."""

    tables: tuple[CopiedTable, ...]

    @property
    def verified(self) -> bool:
        """Whether every row of the source is in the target, value by value."""
        return not any(table.differing for table in self.tables)

    def __str__(self) -> str:
        return "\n".join(map(str, self.tables))


def copy(
    source: Address | Storage,
    target: Address | Storage,
    *,
    tables: Collection[str] | None = None,
    since: str | datetime | timedelta | None = None,
    progress: Progress | None = None,
) -> Copied:
    """Copy everything, or some ``tables``, or what began ``since`` a moment (``"7d"`` ago), from one store to another.

    Both are addresses or open storages. What the target has already stays, and rows of the same key are put over it, as
    always: a span that has ended stays ended. Rows are streamed. It may be stopped at any time, and run again: it goes
    on. Look at ``verified`` and the counts and checksums of each table afterwards.

    ``InvalidInput`` for a table that is not stored, and where source and target are one.
    """
    chosen = _chosen(tables)
    begin = None if since is None else parse_when(since)
    with ExitStack() as held:
        here, there = (
            each if isinstance(each, Storage) else held.enter_context(open(each)) for each in (source, target)
        )
        if {id(store) for store in here.stores} & {id(store) for store in there.stores} or source == target:
            raise InvalidInput("source and target are the same store; nothing was copied")
        ranges = {table: list(_ranges(here, table, begin)) for table in chosen}
        copying = _Copying(here, there, progress or (lambda what, done, total: None), ranges)
        return Copied(tuple(copying.table(table) for table in chosen))


def _chosen(tables: Collection[str] | None) -> tuple[Table, ...]:
    if tables is None:
        return STORED
    if isinstance(tables, str):
        raise InvalidInput(f"tables must be a list of names, such as [{tables!r}]")
    chosen = tuple(dict.fromkeys(map(table_named, tables)))
    if readings := [table for table in chosen if table not in STORED]:
        raise InvalidInput(
            "; ".join(f"{each.name} is a reading of {each.facts.reading_of}: copy that" for each in readings)
        )
    return chosen


@dataclass(frozen=True, slots=True)
class _Range:
    """A stretch of time of a table, and how many rows the source had in it."""

    where: Filter
    rows: int


class _Copying:
    """One run of a copy."""

    def __init__(self, source: Storage, target: Storage, progress: Progress, ranges: dict[Table, list[_Range]]) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._ranges = ranges
        self._done = 0
        self._total = sum(each.rows for found in ranges.values() for each in found)

    def table(self, table: Table) -> CopiedTable:
        """Copy a table, and compare."""
        rows = written = differing = there = ours = theirs = 0
        for part in self._ranges[table]:
            self._progress(f"copying {table.name}", self._done, self._total)
            found = self._target.execute(Summarize(table, where=part.where)).column("count")[0].as_py()
            write, wrote = found < part.rows, 0
            for _ in range(2):
                known, read = self._read(table, part, write=write)
                wrote = read if write else 0
                mine = checksum(known)
                left, count, its = self._compare(table, part.where, known)
                if not left:
                    break
                write = True  # as many rows, but not the same; or the source was written to meanwhile
            self._done += part.rows
            rows, written, differing, there = rows + read, written + wrote, differing + left, there + count
            ours, theirs = checksum((), ours + mine), checksum((), theirs + its)
        self._progress(f"copied {table.name}", self._done, self._total)
        others = max(0, there - rows)
        return CopiedTable(table.name, rows, written, differing, others, _hex(ours), _hex(theirs))

    def _read(self, table: Table, part: _Range, *, write: bool) -> tuple[set[bytes], int]:
        """The digests of the source's rows, which are put into the target on the way where that is asked for."""
        known: set[bytes] = set()
        rows = 0
        for piece in pieces(self._source.batches(Scan(table, part.where))):
            if write:
                self._target.execute(Put(table, piece))
            known.update(digests(table, piece))
            rows += piece.num_rows
            self._progress(f"copying {table.name}", self._done + min(rows, part.rows), self._total)
        return known, rows

    def _compare(self, table: Table, where: Filter, known: set[bytes]) -> tuple[int, int, int]:
        """How many of the known rows the target has not so, how many it has at all, and their checksum."""
        rows = total = 0
        self._progress(f"comparing {table.name}", self._done, self._total)
        for piece in pieces(self._target.batches(Scan(table, where))):
            found = digests(table, piece)
            known.difference_update(found)
            rows, total = rows + len(found), checksum(found, total)
        return len(known), rows, total


def _hex(number: int) -> str:
    return number.to_bytes(BYTES, "big").hex()


def _ranges(source: Storage, table: Table, since: datetime | None) -> Iterator[_Range]:
    """A table cut by time, from the oldest row to the newest that is there now: none without rows."""
    when = time_of(table)
    within = TRUE if since is None else Is(when, ">=", since)
    newest = source.execute(Summarize(table, measures=(Measure("max", when),), where=within)).column(0)[0].as_py()
    if newest is None:
        return
    counts = _counts(source, table, within & Is(when, "<=", newest), _WIDTHS)
    size = min(max(RANGE, sum(n for _, n in counts) // RANGES), LARGEST)
    begin, rows = since, 0
    counts = _refined(source, table, counts, newest, size)
    for place, (start, n) in enumerate(counts):
        if rows and rows + n > size:
            yield _Range(between(when, begin, start, end_exclusive=True), rows)
            begin, rows = start, 0
        rows += n
        if place == len(counts) - 1:
            yield _Range(between(when, begin, newest), rows)


def _counts(source: Storage, table: Table, where: Filter, widths: tuple[timedelta, ...]) -> list[tuple[Any, int]]:
    """How many rows there are in each stretch of time: the moment at which it begins, and the rows."""
    found = source.execute(Summarize(table, (Bucket(time_of(table), widths[0]),), where=where))
    starts = found.column(0).cast(pa.int64()).to_pylist()
    return [(_moment(start), count) for start, count in zip(starts, found.column("count").to_pylist(), strict=True)]


def _refined(
    source: Storage, table: Table, counts: list[tuple[Any, int]], newest: datetime, size: int, level: int = 0
) -> list[tuple[Any, int]]:
    """The same, with stretches that hold too many rows cut into finer ones, down to a second."""
    refined: list[tuple[Any, int]] = []
    for start, n in counts:
        if n <= size or level + 1 == len(_WIDTHS):
            refined.append((start, n))
            continue
        end = min(newest, start + _WIDTHS[level] - MICROSECOND)
        finer = _counts(source, table, between(time_of(table), start, end), _WIDTHS[level + 1 :])
        refined += _refined(source, table, finer, newest, size, level + 1)
    return refined


def _moment(microseconds: int) -> datetime:
    try:
        return moment_of(microseconds)
    except OverflowError:  # the bucket of the first days of the year 1 begins before them
        return datetime.min.replace(tzinfo=UTC)
