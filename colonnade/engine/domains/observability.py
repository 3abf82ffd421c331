"""The observability domain: spans, and the traces that they make up.

A span is one row, identified by its trace's id and its own. It may be written at its start, at its end, or both, in any
order and any number of times: a copy that has ended is never replaced by one that is still running, otherwise the later
one wins. How records map to rows is told in ``span_records``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from colonnade.engine.domains.arguments import ids_of, listed
from colonnade.engine.domains.pages import nested, paged
from colonnade.engine.domains.span_records import (
    decode_spans,
    encode_spans,
    overwrite,
    read_updates,
    span_keys,
    span_of,
)
from colonnade.engine.domains.trace_filters import ROOT, trace_filter, trace_order, trace_page, trace_status
from colonnade.engine.operation import C, Domain, atomic, clear_all, operation
from colonnade.engine.plan import Delete, Filter, Is, Null, OneOf, Patch, Put, Scan, Steps, asc, change, count, rows
from colonnade.errors import NotFound
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record


class Observability(Domain[C]):
    """Spans and traces. A span's record has the columns of the ``spans`` table; its ``scope`` is text or an object."""

    name: ClassVar[str] = "observability"

    @property
    def tracing_strategy(self) -> dict[str, Any]:
        """How an exporter may write: ``{preferred, supported}``. A plain property, in both colours."""
        return {
            "preferred": "batch-with-updates",
            "supported": ["realtime", "batch-with-updates", "insert-only"],
        }

    @operation
    def init(self) -> Steps[None]:
        """Nothing: opening the storage has made the tables."""
        yield from ()

    @atomic
    def dangerously_clear_all(self) -> Steps[None]:
        """Delete every span."""
        yield from clear_all(self.name)

    @operation
    def create_span(self, *, span: Mapping[str, Any]) -> Steps[None]:
        """Keep a span, new or known: ``traceId``, ``spanId``, ``name`` and a start are required.

        ``InvalidRows`` lists everything that is wrong with it.
        """
        yield from change(Put(SPANS, encode_spans([span], self._clock.now())))

    @operation
    def batch_create_spans(self, *, records: Collection[Mapping[str, Any]]) -> Steps[None]:
        """Keep several spans, all or none: the last copy of a span, or the last that has ended."""
        yield from change(Put(SPANS, encode_spans(listed(records, "records"), self._clock.now())))

    @operation
    def update_span(self, *, trace_id: str, span_id: str, updates: Mapping[str, Any]) -> Steps[None]:
        """Overwrite some fields of a span, ``None`` included; the others stay. ``updatedAt`` is now.

        An update that says that the span is still running (``endedAt`` is ``None``) changes nothing once it has ended.
        ``NotFound`` where there is no such span.
        """
        record = {"traceId": trace_id, "spanId": span_id, "updates": updates}
        (update,) = read_updates([record], self._clock.now())
        span = _span(trace_id, span_id)
        where, values = span, dict(update.values)
        if update.is_running:
            # It is for spans without an end only, so it has none to take away.
            where &= Null("endedAt")
            del values["endedAt"]
        if (yield from change(Patch(SPANS, where, values))):
            return
        if not update.is_running or not (yield from count(SPANS, span)):
            raise NotFound(f"there is no span {span_id!r} in trace {trace_id!r}; nothing was written")

    @atomic
    def batch_update_spans(self, *, records: Collection[Mapping[str, Any]]) -> Steps[None]:
        """Update several spans, ``{traceId, spanId, updates}`` each, in their order, all or none; see ``update_span``.

        ``NotFound`` names the spans that are not there.
        """
        updates = read_updates(listed(records, "records"), self._clock.now())
        if not updates:
            return
        traces, spans = zip(*(update.key for update in updates), strict=True)
        found = yield from rows(Scan(SPANS, OneOf("traceId", _unique(traces)) & OneOf("spanId", _unique(spans))))
        known = set(span_keys(found))
        if missing := _unique(update.key for update in updates if update.key not in known):
            named = ", ".join(f"{span!r} in trace {trace!r}" for trace, span in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise NotFound(f"there is no span {named}{more}; nothing was written")
        yield from change(Put(SPANS, overwrite(found, updates)))

    @operation
    def batch_delete_traces(self, *, trace_ids: Collection[str]) -> Steps[None]:
        """Delete all spans of some traces; those that are not there are ignored."""
        yield from change(Delete(SPANS, OneOf("traceId", ids_of(trace_ids, "trace_ids"))))

    @operation
    def get_span(self, *, trace_id: str, span_id: str) -> Steps[Record | None]:
        """A span as ``{span}``, or None."""
        found = yield from rows(Scan(SPANS, _span(trace_id, span_id)))
        return _only(decode_spans(found))

    @operation
    def get_root_span(self, *, trace_id: str) -> Steps[Record | None]:
        """The span of a trace that has no parent, as ``{span}``, or None; of several, the first that started."""
        found = yield from rows(Scan(SPANS, _trace(trace_id) & ROOT, (asc("startedAt"),), limit=1))
        return _only(decode_spans(found))

    @operation
    def get_trace(self, *, trace_id: str) -> Steps[Record | None]:
        """All spans of a trace as ``{traceId, spans}``, first started first, then by ``spanId``; None without any."""
        return (yield from _whole_trace(trace_id))

    @operation
    def get_trace_light(self, *, trace_id: str) -> Steps[Record | None]:
        """As ``get_trace``, without what may be wide: input, output, attributes, events, links and other."""
        return (yield from _whole_trace(trace_id, SPANS.light))

    @operation
    def get_spans(self, *, trace_id: str, span_ids: Collection[str]) -> Steps[Record]:
        """Some spans of a trace as ``{traceId, spans}``, first started first; those that are not there are left out."""
        where = _trace(trace_id) & OneOf("spanId", ids_of(span_ids, "span_ids"))
        found = yield from rows(Scan(SPANS, where, (asc("startedAt"),)))
        return {"traceId": trace_id, "spans": decode_spans(found)}

    @operation
    def list_traces(
        self,
        *,
        filters: Mapping[str, Any] | None = None,
        pagination: Mapping[str, Any] | None = None,
        order_by: Mapping[str, Any] | None = None,
    ) -> Steps[Record]:
        """Traces as ``{spans, pagination: {total, page, perPage, hasMore}}``: the root span of each.

        Each also has ``traceStatus``: ``error``, ``running`` or ``success``. (``status`` is the OpenTelemetry column.)

        All ``filters`` must hold: ``startedAt`` and ``endedAt``, each ``{start?, end?, startExclusive?,
        endExclusive?}``; the columns ``spanType``, ``entityType``, ``entityId``, ``entityName``, ``userId``,
        ``organizationId``, ``resourceId``, ``runId``, ``sessionId``, ``threadId``, ``requestId``, ``environment``,
        ``source`` and ``serviceName``; ``scope`` (its name or an object) and ``metadata`` (an object), where each given
        key must hold an equal value; ``tags``, of which all must be there; ``status``, as in ``traceStatus``; and
        ``hasChildError``: whether any span of the trace, the root included, has an error.

        ``pagination`` is ``{page = 0, perPage = 10}`` with 1 to 100 traces a page. ``order_by`` is ``{field,
        direction}``, by ``startedAt`` or ``endedAt``, ``ASC`` or ``DESC``; newest start first unless given. By
        ``endedAt``, running traces come first in descending and last in ascending order.
        """
        return (yield from _list(filters, pagination, order_by))

    @operation
    def list_traces_light(
        self,
        *,
        filters: Mapping[str, Any] | None = None,
        pagination: Mapping[str, Any] | None = None,
        order_by: Mapping[str, Any] | None = None,
    ) -> Steps[Record]:
        """As ``list_traces``, without what may be wide: input, output, attributes, events, links and other."""
        return (yield from _list(filters, pagination, order_by, SPANS.light))


def _trace(trace_id: str) -> Filter:
    return Is("traceId", "=", trace_id)


def _span(trace_id: str, span_id: str) -> Filter:
    return _trace(trace_id) & Is("spanId", "=", span_id)


def _only(spans: list[Record]) -> Record | None:
    return {"span": spans[0]} if spans else None


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _whole_trace(trace_id: str, columns: tuple[str, ...] | None = None) -> Steps[Record | None]:
    found = yield from rows(Scan(SPANS, _trace(trace_id), (asc("startedAt"),), columns=columns))
    return {"traceId": trace_id, "spans": decode_spans(found)} if found.num_rows else None


def _list(
    filters: Mapping[str, Any] | None,
    pagination: Mapping[str, Any] | None,
    order_by: Mapping[str, Any] | None,
    columns: tuple[str, ...] | None = None,
) -> Steps[Record]:
    page = trace_page(pagination)
    found, total = yield from paged(SPANS, ROOT & trace_filter(filters), trace_order(order_by), page, columns)
    spans = [{**span_of(row), "traceStatus": trace_status(row)} for row in found]
    return nested("spans", spans, total, page)
