"""What aggregates share: what rows are grouped by, the latency of spans, and intervals of time without gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import Bucket, Filter, Function, Measure, Not, Null, Steps, Summarize, between, rows
from colonnade.errors import InvalidInput
from colonnade.queries.pages import When
from colonnade.queries.times import parse_when, time_of
from colonnade.schemas import SPANS
from colonnade.schemas.table import Table

TIME: Final = "startedAt"
"""When spans began."""
_EXAMPLES: Final = {"spans": "model or name", "scores": "scorerId or batchId"}
MOST: Final = 100_000
"""Rows of an answer, at most, where empty intervals are among them."""


def latency(function: Function, name: str) -> Measure:
    """A measure of how long spans took, in nanoseconds; spans that still run are left out."""
    return Measure(function, "endTime", name, minus="startTime")


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows of a stretch of time, grouped by a text column, by intervals, by both or not at all.

    An interval is a multiple of its width since 1970, in UTC, under the name of the column of times.
    """

    by: str | None
    every: Bucket | None
    since: datetime | None
    until: datetime | None
    table: Table = SPANS

    @classmethod
    def of(
        cls, by: str | None, every: str | None, since: When | None, until: When | None, table: Table = SPANS
    ) -> Groups:
        """As people write it; ``InvalidInput`` for what is no text column, no width or no moment."""
        if by is not None and ((column := table.column(by)).kind.name != "text" or column.payload):
            such = _EXAMPLES.get(table.name, table.key[0])
            raise InvalidInput(f"{table.name} are grouped by a text column, such as {such}; {by} is {column.kind}")
        return cls(
            by,
            None if every is None else Bucket.of(time_of(table), every),
            None if since is None else parse_when(since),
            None if until is None else parse_when(until),
            table,
        )

    @property
    def time(self) -> str:
        """The column of times."""
        return time_of(self.table)

    def summary(self, measures: Sequence[Measure], where: Filter) -> Steps[dict[str, pa.ChunkedArray]]:
        """The columns: the interval, the value, and the measures, those whose names end in Ms in milliseconds.

        One plan. Rows without a value are left out, as those are that are not from between ``since`` and ``until``.
        """
        import pyarrow.compute as pc  # not before it is used: it is half of what `import colonnade` may cost

        terms = [term for term in (self.every, self.by) if term is not None]
        if self.by is not None:
            where &= Not(Null(self.by))
        where &= between(self.time, self.since, self.until, end_exclusive=True)
        found = yield from rows(Summarize(self.table, tuple(terms), tuple(measures), where))
        return {
            name: pc.divide(column, 1e6) if name.endswith("Ms") else column
            for name, column in zip(found.column_names, found.columns, strict=True)
        }

    def answer(self, columns: Mapping[str, pa.ChunkedArray], *, most: Sequence[str], zeros: Sequence[str]) -> pa.Table:
        """Rows by interval, then by value; without intervals those with ``most`` of something first, then by value.

        Intervals have no gaps: in those in which there is nothing the columns ``zeros`` are 0, and all others null.
        """
        found = pa.table(dict(columns))
        value = [(self.by, "ascending")] if self.by else []
        if self.every is None:
            return _sorted(found, [*((name, "descending") for name in most), *value])
        return _sorted(self._without_gaps(found, zeros), [(self.time, "ascending"), *value])

    def _without_gaps(self, found: pa.Table, zeros: Sequence[str]) -> pa.Table:
        times = found.column(self.time).to_pylist()
        values = found.column(self.by).to_pylist() if self.by else [None] * len(times)
        known, groups = set(zip(times, values, strict=True)), dict.fromkeys(values if self.by else [None])
        intervals = self._intervals(times, len(groups))
        gaps = [(time, value) for time in intervals for value in groups if (time, value) not in known]
        added: dict[str, list[Any]] = {name: [0 if name in zeros else None] * len(gaps) for name in found.column_names}
        added[self.time] = [time for time, _ in gaps]
        if self.by:
            added[self.by] = [value for _, value in gaps]
        more = pa.table({field.name: pa.array(added[field.name], field.type) for field in found.schema})
        return pa.concat_tables([found, more])

    def _intervals(self, times: Sequence[datetime], groups: int) -> list[datetime]:
        """From ``since`` to ``until``, or to now; without ``since`` from the first to the last that holds something."""
        assert self.every is not None
        width, moment = self.every.width, timedelta(microseconds=1)
        first = self.since if self.since is not None else min(times, default=None)
        last = self.until - moment if self.until is not None else max(times, default=None)
        if self.until is None and self.since is not None:
            last = max(datetime.now(UTC), *times) if times else datetime.now(UTC)
        if first is None or last is None or not groups:
            return []
        first, last = _cut_down(first, width), _cut_down(last, width)
        count = max(0, (last - first) // width + 1)
        if count * groups > MOST:
            raise InvalidInput(
                f"{count:,} intervals for each of {groups:,} values are more than {MOST:,} rows: give a wider interval "
                "or a shorter time, with since and until"
            )
        return [first + place * width for place in range(count)]


def share(part: pa.ChunkedArray, whole: pa.ChunkedArray) -> pa.ChunkedArray:
    """What share of a whole a part is, from 0 to 1; null of nothing."""
    import pyarrow.compute as pc

    some = pc.if_else(pc.equal(whole, 0), pa.scalar(None, pa.int64()), whole)
    return pc.divide(pc.cast(part, pa.float64()), pc.cast(some, pa.float64()))


def _sorted(found: pa.Table, keys: Sequence[tuple[str, str]]) -> pa.Table:
    return found.sort_by(list(keys)) if keys and found.num_rows > 1 else found


def _cut_down(moment: datetime, width: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // width * width
