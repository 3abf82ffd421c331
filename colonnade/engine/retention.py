"""Retention: what is older than a cutoff goes, on any store.

A trace goes as a whole, and only once all of it is over: every span of it started and ended before the cutoff. A span
that still runs keeps its trace, however long ago it began; an event, which has no end, is over where it started. Scores
and evals go by the time at which they were given. Memory, workflow state and agents are never touched.

``keep_scored`` keeps all scores and evals, and the traces that scores point at (``traceId``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from colonnade.engine.plan import (
    Among,
    And,
    Delete,
    Filter,
    Is,
    Null,
    OneOf,
    Or,
    Scan,
    Steps,
    asc,
    change,
    count,
    rows,
)
from colonnade.errors import InvalidInput
from colonnade.queries.times import parse_when
from colonnade.schemas import EVALS, SCORES, SPANS
from colonnade.schemas.table import Table

DOMAINS: Final = ("observability", "scores")
"""The domains whose rows grow old."""
TIME: Final = {SPANS.name: "startedAt", SCORES.name: "createdAt", EVALS.name: "created_at"}
PAGE: Final = 20_000
"""Rows that are looked at, or deleted, at once where a store has no faster way."""

Progress = Callable[[str, int, int | None], object]
"""Is told what is being done, how much of it is done, and how much there is, where that is known."""


def quiet(what: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is to go: what is older than ``cutoff``, and whether what was scored stays."""

    cutoff: datetime
    keep_scored: bool = False

    @classmethod
    def of(cls, older_than: str | timedelta | datetime, *, keep_scored: bool = False) -> Retention:
        """``older_than``: ``"30d"`` or a timedelta is so long ago; an aware datetime, or its ISO 8601 text, a moment.

        ``InvalidInput`` where it is none of these, or lies in the future.
        """
        now = datetime.now(UTC)
        try:
            cutoff = parse_when(older_than, now=now)
        except OverflowError:
            raise InvalidInput(f"{older_than!r} is longer ago than there are dates; nothing is that old") from None
        if cutoff > now:
            raise InvalidInput(
                f"{older_than!r} lies in the future ({cutoff:%Y-%m-%d %H:%M:%S} UTC); nothing was deleted"
            )
        return cls(cutoff, keep_scored)

    def over(self, table: Table) -> Filter:
        """The rows of a table that are over: a trace goes if all of its spans are, a score or an eval by itself."""
        begun = Is(TIME[table.name], "<", self.cutoff)
        if table != SPANS:
            return begun
        moment = And((Null("endedAt"), Is("isEvent", "=", True)))
        return And((begun, Or((Is("endedAt", "<", self.cutoff), moment))))

    def keeps(self, table: Table) -> Filter:
        """The rows of a table that keep all of their trace, or themselves: those that are not over."""
        begun = Is(TIME[table.name], ">=", self.cutoff)
        if table != SPANS:
            return begun
        running = And((Null("endedAt"), Is("isEvent", "=", False)))
        return Or((begun, Is("endedAt", ">=", self.cutoff), running))


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted because it was older than ``cutoff``; with ``dry_run`` what would be, and nothing was.

    ``bytes`` are those that the disk got back at once: where segments of an embedded folder could be unlinked. In a dry
    run they are an estimate, exact where segments go as a whole. Other stores keep the room for rows to come.
    """

    cutoff: datetime
    traces: int = 0
    spans: int = 0
    scores: int = 0
    evals: int = 0
    bytes: int = 0
    dry_run: bool = False

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            self.cutoff,
            self.traces + other.traces,
            self.spans + other.spans,
            self.scores + other.scores,
            self.evals + other.evals,
            self.bytes + other.bytes,
            self.dry_run,
        )

    def __str__(self) -> str:
        would, about = ("would be", "about ") if self.dry_run else ("were", "")
        traces, spans, scores, evals = (
            f"{count:,} {what}{'' if count == 1 else 's'}"
            for count, what in zip(
                (self.traces, self.spans, self.scores, self.evals), ("trace", "span", "score", "eval"), strict=True
            )
        )
        said = (
            f"{traces} with {spans}, {scores} and {evals} from before "
            f"{self.cutoff.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {would} deleted"
        )
        return f"{said}; {about}{self.bytes:,} bytes {would} given back." if self.bytes else f"{said}."


def prune(retention: Retention, domains: Collection[str], *, dry_run: bool, progress: Progress) -> Steps[Pruned]:
    """Delete page by page, on any store. Each page is right by itself, so it may be stopped and begun again."""
    pruned = Pruned(retention.cutoff, dry_run=dry_run)
    if "observability" in domains:
        pruned += yield from _traces(retention, pruned, progress)
    if "scores" in domains and not retention.keep_scored:
        scores = yield from _rows(SCORES, retention, dry_run, progress)
        evals = yield from _rows(EVALS, retention, dry_run, progress)
        pruned += Pruned(retention.cutoff, scores=scores, evals=evals)
    return pruned


def _traces(retention: Retention, pruned: Pruned, progress: Progress) -> Steps[Pruned]:
    """Go through the traces that began before the cutoff, in the order of their ids; each is met once."""
    begun: Filter = Is("startedAt", "<", retention.cutoff)
    where = begun
    while True:
        progress("deleting traces", pruned.traces, None)
        found = yield from rows(Scan(SPANS, where, (asc("traceId"),), PAGE, columns=("traceId",)))
        if not found.num_rows:
            return pruned
        page = dict.fromkeys(found.column("traceId").to_pylist())
        where = begun & Is("traceId", ">", next(reversed(page)))
        keeping = [Scan(SPANS, OneOf("traceId", tuple(page)) & retention.keeps(SPANS), columns=("traceId",))]
        if retention.keep_scored:
            keeping.append(Scan(SCORES, OneOf("traceId", tuple(page)), columns=("traceId",)))
        for scan in keeping:
            kept = yield from rows(scan)
            for trace in kept.column("traceId").unique().to_pylist():
                page.pop(trace, None)
        old = OneOf("traceId", tuple(page))
        if pruned.dry_run:
            spans = yield from count(SPANS, old)
        elif page:
            # What was written to one of them since keeps it, where the store can tell in the same statement.
            since = Scan(SPANS, old & retention.keeps(SPANS), columns=("traceId",))
            spans = yield from change(Delete(SPANS, old & ~Among("traceId", since, "traceId")))
        else:
            spans = 0
        pruned += Pruned(retention.cutoff, traces=len(page), spans=spans)


def _rows(table: Table, retention: Retention, dry_run: bool, progress: Progress) -> Steps[int]:
    over = retention.over(table)
    if dry_run:
        return (yield from count(table, over))
    done = 0
    while True:
        progress(f"deleting {table.name}", done, None)
        found = yield from rows(Scan(table, over, (asc(TIME[table.name]),), PAGE, columns=("id",)))
        if not found.num_rows:
            return done
        done += yield from change(Delete(table, over & OneOf("id", tuple(found.column("id").to_pylist()))))
