"""What a trace waited for, and where time went: critical path, self time, and the profile of many traces."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from colonnade.engine.plan import TRUE, Filter, Is, Scan, Steps, asc, is_equal, rows
from colonnade.queries.groups import TIME, Groups
from colonnade.queries.intervals import critical_path, parents_of, self_times
from colonnade.queries.pages import When
from colonnade.schemas import SPANS

_TREE: Final = ("traceId", "spanId", "parentSpanId", "startTime", "endTime", "isEvent")
_NAMED: Final = (*_TREE, "name", "spanType")
_FOREVER: Final = 2**63 - 1


def critical_path_of_trace(*, trace_id: str) -> Steps[pa.Table]:
    """What a trace waited for, from its root's start to its end: one row a stretch of time, in order, without gaps.

    Each stretch is spent in one span itself, not in a child of it. Walking back from the root's end, the child that
    finished last is what was waited for; what ran beside it is not on the path, and only what makes a span on the path
    shorter can make the trace shorter. Children count only while their parent ran (clocks may disagree, and not every
    child is waited for); a span that still runs does so as long as anything is known of the trace; spans whose parent
    is missing are not on the path.

    Columns: ``spanId``, ``parentSpanId``, ``name``, ``spanType``; ``startTime`` and ``endTime``, nanoseconds since the
    Unix epoch; ``durationMs``, milliseconds; ``share`` of the whole, from 0 to 1. No rows where there is no such trace.
    """
    found = yield from rows(Scan(SPANS, Is("traceId", "=", trace_id), (asc(TIME),), columns=_NAMED))
    starts, ends = _times(found)
    path = critical_path(starts, ends, parents_of(found))
    whole = sum(segment.end - segment.start for segment in path)
    named = found.take(pa.array([segment.row for segment in path], pa.int64()))
    lengths = [segment.end - segment.start for segment in path]
    return pa.table(
        {
            **{name: named.column(name) for name in ("spanId", "parentSpanId", "name", "spanType")},
            "startTime": pa.array([segment.start for segment in path], pa.int64()),
            "endTime": pa.array([segment.end for segment in path], pa.int64()),
            "durationMs": pa.array([length / 1e6 for length in lengths], pa.float64()),
            "share": pa.array([length / whole for length in lengths], pa.float64()),
        }
    )


def self_times_of_trace(*, trace_id: str) -> Steps[pa.Table]:
    """How long each span of a trace worked itself, those that did so longest first, then by start.

    A span's self time is how long it ran while none of its children did. Columns: ``spanId``, ``parentSpanId``,
    ``name``, ``spanType``; ``startTime``, nanoseconds since the Unix epoch; ``durationMs``, ``selfMs`` and
    ``criticalMs``, how much of the critical path is the span's own, in milliseconds; ``running``, whether it has no end
    yet, and counts as long as anything is known of the trace. Children count only while their parent ran.
    """
    import pyarrow.compute as pc

    found = yield from rows(Scan(SPANS, Is("traceId", "=", trace_id), (asc(TIME),), columns=_NAMED))
    starts, ends = _times(found)
    parents = parents_of(found)
    critical = [0] * found.num_rows
    for segment in critical_path(starts, ends, parents):
        critical[segment.row] += segment.end - segment.start
    lengths = [max(0, end - start) for start, end in zip(starts, ends, strict=True)]
    columns = {name: found.column(name) for name in ("spanId", "parentSpanId", "name", "spanType", "startTime")}
    for name, values in (
        ("durationMs", lengths),
        ("selfMs", self_times(starts, ends, parents)),
        ("criticalMs", critical),
    ):
        columns[name] = pa.array([value / 1e6 for value in values], pa.float64())
    columns["running"] = pc.and_(found.column("endTime").is_null(), pc.invert(found.column("isEvent")))
    return pa.table(columns).sort_by([("selfMs", "descending"), ("startTime", "ascending"), ("spanId", "ascending")])


def profile_of_spans(
    *,
    by: str = "name",
    trace_id: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """Where time went in many traces, by a text column of spans (``name``, ``spanType`` ...), most self time first.

    One row a value; spans without one are left out, but hold their parents' time all the same. Columns: the value;
    ``calls``, how many spans have ended, and ``running``, how many have not, which no other number counts;
    ``totalMs``, how long they took together, and ``selfMs``, how long while none of their children ran, in
    milliseconds; ``share``, of the self time of all, from 0 to 1.

    Spans began from ``since`` (inclusive) to ``until`` (exclusive), moments or how long ago: ``"24h"``. Each span is
    looked at, in a few narrow columns: some seconds for a million.
    """
    groups = Groups.of(by, None, since, until)
    # Children count that began when their parents' time was up: so nothing is left out that is too late.
    where: Filter = TRUE if groups.since is None else Is(TIME, ">=", groups.since)
    columns = tuple(dict.fromkeys((*_TREE, TIME, by)))
    found = yield from rows(Scan(SPANS, is_equal(traceId=trace_id) & where, columns=columns))
    return _profile(found, groups)


def _profile(found: pa.Table, groups: Groups) -> pa.Table:
    import pyarrow.compute as pc

    by = str(groups.by)
    starts, ends = _times(found, _FOREVER)
    own = self_times(starts, ends, parents_of(found))
    ended = pc.or_(found.column("endTime").is_valid(), found.column("isEvent"))
    lengths = [max(0, end - start) for start, end in zip(starts, ends, strict=True)]
    spans = pa.table(
        {
            by: found.column(by),
            "calls": pc.cast(ended, pa.int64()),
            "running": pc.cast(pc.invert(ended), pa.int64()),
            "totalMs": _milliseconds(lengths, ended),
            "selfMs": _milliseconds(own, ended),
        }
    )
    kept = found.column(by).is_valid()
    if groups.until is not None:
        kept = pc.and_(kept, pc.less(found.column(TIME), pa.scalar(groups.until, found.schema.field(TIME).type)))
    names = ("calls", "running", "totalMs", "selfMs")
    summed = spans.filter(kept).group_by(by, use_threads=False).aggregate([(name, "sum") for name in names])
    columns = {by: summed.column(by)} | {name: summed.column(f"{name}_sum") for name in names}
    whole = pc.sum(columns["selfMs"]).as_py() or None
    columns["share"] = pc.divide(columns["selfMs"], pa.scalar(whole, pa.float64()))
    return groups.answer(columns, most=("selfMs", "calls"), zeros=())


def _milliseconds(nanoseconds: list[int], ended: pa.ChunkedArray) -> pa.Array:
    known = zip(nanoseconds, ended.to_pylist(), strict=True)
    return pa.array([length / 1e6 if is_known else 0.0 for length, is_known in known], pa.float64())


def _times(found: pa.Table, unknown: int | None = None) -> tuple[list[int], list[int]]:
    """Starts and ends; of spans without an end, ``unknown``, or the last moment that is told of."""
    import pyarrow.compute as pc

    starts, ends = found.column("startTime"), found.column("endTime")
    if unknown is None and found.num_rows:
        unknown = max(pc.max(starts).as_py(), pc.max(ends).as_py() or 0)
    ends = pc.coalesce(ends, pc.if_else(found.column("isEvent"), starts, pa.scalar(unknown, pa.int64())))
    return starts.to_pylist(), ends.to_pylist()
