"""Commands that look at traces and spans."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

import colonnade
from colonnade.cli_shared import After, Limit, Pager, Since, Store, reading, show, when
from colonnade.errors import InvalidInput, NotFound


def traces(
    store: Store, /, *, limit: Limit = 20, since: Since = None, after: After = None, pager: Pager = True
) -> None:
    """List traces, newest first: their root spans, and what their spans add up to."""
    from colonnade.display.terminal import traces_table

    with reading(store) as opened:
        page = opened.queries.roots(since=when(since), limit=limit, after=after)
        ids = dict.fromkeys(page.rows.column("traceId").to_pylist())
        totals = opened.queries.trace_totals(trace_ids=list(ids))
    show(traces_table(page.rows, totals), cursor=page.cursor, pager=pager)


def trace(
    store: Store,
    trace_id: str,
    /,
    *,
    critical: Annotated[bool, Parameter(negative="")] = False,
    pager: Pager = True,
) -> None:
    """Show one trace as a tree.

    Parameters
    ----------
    trace_id
        Its identifier, or as many letters of it as no other trace begins with.
    critical
        Show what it waited for instead: its critical path, from beginning to end.
    """
    from colonnade.display.terminal import figures_table, trace_tree

    with reading(store) as opened:
        found = opened.observability.get_trace_light(trace_id=trace_id)
        if found is None:
            trace_id = _whole(opened, store, trace_id)
            found = opened.observability.get_trace_light(trace_id=trace_id) or {"spans": []}
        if critical:
            path = opened.queries.critical_path(trace_id=trace_id).drop_columns(["parentSpanId"])
            picture = figures_table(path, nothing="This trace took no time.")
        else:
            picture = trace_tree(found["spans"])
    show(picture, pager=pager)


def _whole(opened: colonnade.Storage, store: str, beginning: str) -> str:
    """The identifier of the one trace that begins so."""
    ids = opened.queries.trace_ids(prefix=beginning, limit=4) if beginning and beginning.isascii() else []
    if not ids:
        raise NotFound(f"{store} has no trace {beginning!r}; `colonnade traces {store}` lists what there is")
    if len(ids) > 1:
        raise InvalidInput(f"several traces begin with {beginning!r}: {', '.join(ids[:3])}{' ...' if ids[3:] else ''}")
    return ids[0]


def spans(
    store: Store,
    /,
    *,
    name: str | None = None,
    scope: str | None = None,
    span_type: str | None = None,
    trace: str | None = None,
    parent: str | None = None,
    since: Since = None,
    limit: Limit = 20,
    after: After = None,
    pager: Pager = True,
) -> None:
    """List spans, newest first: all, or those of a name, scope, type, trace or parent."""
    from colonnade.display.terminal import spans_table

    with reading(store) as opened:
        page = opened.queries.spans(
            name=name,
            scope=scope,
            span_type=span_type,
            trace_id=trace,
            parent_span_id=parent,
            since=when(since),
            limit=limit,
            after=after,
        )
    show(spans_table(page.rows), cursor=page.cursor, pager=pager)
