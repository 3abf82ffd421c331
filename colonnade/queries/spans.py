"""Spans by what they are looked up by, and the scores given to one; newest first."""

from __future__ import annotations

from colonnade.engine.plan import Is, Steps, desc, is_equal
from colonnade.queries.pages import Page, When, page_of
from colonnade.schemas import SCORES, SPANS


def find_spans(
    *,
    name: str | None = None,
    scope: str | None = None,
    span_type: str | None = None,
    trace_id: str | None = None,
    parent_span_id: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int = 50,
    after: str | None = None,
    payloads: bool = False,
) -> Steps[Page]:
    """Spans that have all the given properties, newest ``startedAt`` first, then by traceId and spanId.

    ``scope`` is the name of the instrumentation library. ``since`` (inclusive) and ``until`` (exclusive) are moments,
    or how long ago: ``"24h"``. ``limit`` rows a page; ``after`` is the cursor of the page before. Input, output and
    other wide columns are given with ``payloads=True`` only.
    """
    where = is_equal(name=name, scope=scope, spanType=span_type, traceId=trace_id, parentSpanId=parent_span_id)
    newest = desc("startedAt")
    return (
        yield from page_of(SPANS, where, newest, since=since, until=until, limit=limit, cursor=after, payloads=payloads)
    )


def scores_of_span(
    *,
    trace_id: str,
    span_id: str,
    since: When | None = None,
    until: When | None = None,
    limit: int = 50,
    after: str | None = None,
    payloads: bool = False,
) -> Steps[Page]:
    """Scores given to a span, newest ``createdAt`` first, then by id. The other arguments are those of ``spans``."""
    where = Is("traceId", "=", trace_id) & Is("spanId", "=", span_id)
    newest = desc("createdAt")
    return (
        yield from page_of(
            SCORES, where, newest, since=since, until=until, limit=limit, cursor=after, payloads=payloads
        )
    )
