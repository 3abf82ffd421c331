"""A stretch of time at a glance: volume, errors, latency, cost, what to look at, and how scores went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from colonnade.engine.plan import Measure, Null, Steps
from colonnade.errors import InvalidInput
from colonnade.queries.groups import Groups, latency
from colonnade.queries.pages import When
from colonnade.queries.score_trends import trends_of_scores
from colonnade.queries.shown import Shown
from colonnade.queries.slow import failing_traces, slowest_traces
from colonnade.queries.times import parse_when
from colonnade.queries.tools import failures_of_tools
from colonnade.queries.usage import errors_of_spans, usage_of_spans

WIDTHS: Final = ("1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "7d", "28d")
"""Widths of intervals that people read at a glance."""
_INTERVALS: Final = 40
"""Intervals that a chart shows, at most."""
_ROOT: Final = Null("parentSpanId")


@dataclass(frozen=True, slots=True)
class Report(Shown):
    """What a report tells of the time from ``since`` to ``until``, in intervals of ``every``.

    Tables are those of the questions of the same names; traces are counted by their roots.
    """

    since: datetime
    until: datetime
    every: str
    traces: pa.Table
    """Over time: ``startedAt``, ``traces``, ``failed`` (their root has an error), ``p50Ms`` and ``p95Ms``."""
    total: dict[str, float | None]
    """``traces``, ``failed``, ``running``, ``p50Ms``, ``p95Ms``, and ``calls``, ``inputTokens``, ``outputTokens`` and
    ``cost`` of models."""
    before: dict[str, float | None]
    """The same of the time before, as long as this one."""
    models: pa.Table
    cost: pa.Table
    """Usage by model over time."""
    errors: pa.Table
    """Errors by type of spans over time."""
    tools: pa.Table
    slowest: pa.Table
    failing: pa.Table
    scores: pa.Table
    """Scores by scorer."""
    score_trends: pa.Table
    """Scores by scorer over time."""


def report_of(*, since: When = "24h", until: When | None = None, limit: int = 10) -> Steps[Report]:
    """A stretch of time at a glance: volume, errors, latency and cost over time and compared with the time before it,
    models, tools, the ``limit`` slowest and the newest failing traces, and how scores went.

    ``since`` (inclusive) and ``until`` (exclusive, now unless given) are moments, or how long ago. A notebook shows the
    answer as a picture; ``colonnade report`` makes a page of it.
    """
    now = datetime.now(UTC)
    end = now if until is None else parse_when(until, now=now)
    start = parse_when(since, now=now)
    if start >= end:
        raise InvalidInput(f"a report ends after it begins; it would be from {start.isoformat()} to {end.isoformat()}")
    every = width_for(end - start)
    earlier = start - (end - start)
    traces = yield from _roots(every, start, end)
    return Report(
        start,
        end,
        every,
        traces=traces,
        total=(yield from _total(start, end)),
        before=(yield from _total(earlier, start)),
        models=(yield from usage_of_spans(since=start, until=end)),
        cost=(yield from usage_of_spans(every=every, since=start, until=end)),
        errors=(yield from errors_of_spans(by="spanType", every=every, since=start, until=end)),
        tools=(yield from failures_of_tools(since=start, until=end)),
        slowest=(yield from slowest_traces(limit=limit, since=start, until=end)),
        failing=(yield from failing_traces(limit=limit, since=start, until=end)),
        scores=(yield from trends_of_scores(since=start, until=end)),
        score_trends=(yield from trends_of_scores(every=every, since=start, until=end)),
    )


def width_for(length: timedelta) -> str:
    """The narrowest interval of which a stretch of time has few enough to be read."""
    units = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
    for width in WIDTHS:
        if length / (int(width[:-1]) * units[width[-1]]) <= _INTERVALS:
            return width
    return f"{-(-length // (_INTERVALS * timedelta(days=1)))}d"


def _roots(every: str | None, since: datetime, until: datetime) -> Steps[pa.Table]:
    groups = Groups.of(None, every, since, until)
    measures = (
        Measure("count", None, "traces"),
        Measure("count", "error", "failed"),
        Measure("count", "endTime", "ended"),
        latency("p50", "p50Ms"),
        latency("p95", "p95Ms"),
    )
    found = yield from groups.summary(measures, _ROOT)
    return groups.answer(found, most=(), zeros=("traces", "failed", "ended"))


def _total(since: datetime, until: datetime) -> Steps[dict[str, float | None]]:
    (roots,) = (yield from _roots(None, since, until)).to_pylist()
    (used,) = (yield from usage_of_spans(by=None, since=since, until=until)).to_pylist()
    names = ("calls", "inputTokens", "outputTokens", "cost")
    return {**roots, "running": roots["traces"] - roots["ended"], **{name: used[name] for name in names}}
