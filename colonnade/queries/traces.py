"""Traces: all rows of one, and the latest ones by their root spans."""

from __future__ import annotations

import pyarrow as pa

from colonnade.engine.plan import Is, Null, Scan, Steps, asc, desc, rows
from colonnade.queries.pages import Page, When, page_of
from colonnade.schemas import SPANS


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
