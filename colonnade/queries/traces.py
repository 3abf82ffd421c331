"""Traces: all rows of one, and the latest ones by their root spans."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from colonnade.engine.plan import Is, Null, Scan, Steps, asc, desc, rows
from colonnade.errors import NotFound
from colonnade.queries.pages import Page, When, page_of
from colonnade.queries.shown import Shown
from colonnade.schemas import SCORES, SPANS


@dataclass(frozen=True, repr=False)
class Trace(Shown):
    """A trace that shows itself: as a waterfall in a notebook, as a tree where it is printed."""

    trace_id: str
    spans: pa.Table
    """Its spans, first started first; without rows where there is no such trace."""
    scores: pa.Table
    """Scores of the trace and of its spans, in the order they were given."""
    top: str | None = None
    """The span that it begins with, where it is a part of a trace."""

    def below(self, span_id: str) -> Trace:
        """The part of it that a span caused, the span first: its picture has a scale of its own.

        ``NotFound`` where it has no such span.
        """
        ids, parents = (self.spans[name].to_pylist() for name in ("spanId", "parentSpanId"))
        if span_id not in ids:
            raise NotFound(f"trace {self.trace_id} has no span {span_id!r:.80}")
        children: dict[str | None, list[str]] = {}
        for id, parent in zip(ids, parents, strict=True):
            children.setdefault(parent, []).append(id)
        kept, waiting = {span_id}, [span_id]
        while waiting:
            found = [id for id in children.get(waiting.pop(), ()) if id not in kept]
            kept.update(found)
            waiting.extend(found)
        scored = [id in kept for id in self.scores["spanId"].to_pylist()]
        spans = self.spans.filter(pa.array([id in kept for id in ids], pa.bool_()))
        return Trace(self.trace_id, spans, self.scores.filter(pa.array(scored, pa.bool_())), span_id)

    def __repr__(self) -> str:
        count = self.spans.num_rows
        return f"<Trace {self.trace_id}: {count:,} {'span' if count == 1 else 'spans'}>"


def whole_trace(trace_id: str, *, payloads: bool = True, scores: bool = True) -> Steps[Trace]:
    """A trace with its scores, to look at: ``store.trace("id")``.

    Without ``payloads``, input, output and other wide columns are not read: for a trace that is too large to hold.
    """
    spans = yield from spans_of_trace(trace_id=trace_id, payloads=payloads)
    if not scores:
        return Trace(trace_id, spans, SCORES.schema.empty_table())
    plan = Scan(SCORES, Is("traceId", "=", trace_id), (asc("createdAt"),), columns=SCORES.light)
    return Trace(trace_id, spans, (yield from rows(plan)))


def spans_of_trace(*, trace_id: str, payloads: bool = False) -> Steps[pa.Table]:
    """Every span of a trace, first started first, then by spanId; ``parentSpanId`` makes them a tree.

    An Arrow table with the stored columns, without rows where there is no such trace. Input, output and other wide
    columns are given with ``payloads=True`` only.
    """
    columns = None if payloads else SPANS.light
    return (yield from rows(Scan(SPANS, Is("traceId", "=", trace_id), (asc("startedAt"),), columns=columns)))


def root_spans(
    *,
    since: When | None = None,
    until: When | None = None,
    limit: int = 50,
    after: str | None = None,
    payloads: bool = False,
) -> Steps[Page]:
    """The latest traces, as their root spans: newest ``startedAt`` first, then by traceId and spanId.

    ``since`` (inclusive) and ``until`` (exclusive) are moments, or how long ago: ``"24h"``. ``limit`` rows a page;
    ``after`` is the cursor of the page before.
    """
    root, newest = Null("parentSpanId"), desc("startedAt")
    return (
        yield from page_of(SPANS, root, newest, since=since, until=until, limit=limit, cursor=after, payloads=payloads)
    )
