"""Many spans of the OpenTelemetry SDK at once, as rows of the ``spans`` table.

The rows are those of their records, to the letter; but what spans share (their resource, their scope, their status) is
read and written as JSON once, and what has no record's form on the way (times) has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final

import pyarrow as pa

from colonnade.errors import MissingExtra
from colonnade.ingest.otel_spans import (
    attributes_of,
    environment_of,
    error_of,
    events_of,
    links_of,
    other_of,
    scope_of,
    service_of,
    span_record,
    status_of,
    typed_of,
)
from colonnade.schemas import SPANS
from colonnade.schemas.moments import micros_of
from colonnade.schemas.payloads import to_json
from colonnade.schemas.records import encode_columns
from colonnade.schemas.span_rows import add_defaults, encode_spans

try:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, format_span_id, format_trace_id
except ImportError:
    raise MissingExtra("colonnade.ingest.otel", "otel") from None

_FIRST: Final = micros_of(datetime.min.replace(tzinfo=UTC))
_LAST: Final = micros_of(datetime.max.replace(tzinfo=UTC))
_TIMESTAMP: Final = SPANS.schema.field("startedAt").type

Columns = dict[str, Any]
Shared = tuple[str | None, str | None]


def spans_table(spans: Sequence[ReadableSpan], now: datetime) -> pa.Table:
    """Spans of the SDK as rows: exactly what ``encode_spans`` makes of their records, in a third of the time.

    ``createdAt`` and ``updatedAt`` are ``now``. It raises what ``span_record`` and ``encode_spans`` raise:
    ``InvalidInput`` for a span that was never started, ``OverflowError`` for a time beyond all calendars,
    ``InvalidRows`` with every problem of every other row.
    """
    try:
        columns = _columns(spans)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return encode_spans([span_record(span) for span in spans], now)  # which says what it is
    add_defaults(columns, len(spans), now)
    return encode_columns(SPANS, columns, len(spans))


def _columns(spans: Sequence[ReadableSpan]) -> Columns:
    contexts = [span.context for span in spans]
    attributes = [attributes_of(span) for span in spans]
    events = [span.events for span in spans]
    starts = [span.start_time for span in spans]
    ends = [span.end_time for span in spans]
    typed = list(map(typed_of, attributes, events))
    columns: Columns = {name: [fields.get(name) for fields in typed] for name in set().union(*typed)}

    shared = _Shared()
    scopes = [shared.scope(span) for span in spans]
    origins = [shared.origin(span) for span in spans]
    environments = columns.get("environment") or [None] * len(spans)
    return columns | {
        "traceId": [format_trace_id(context.trace_id) for context in contexts],
        "spanId": [format_span_id(context.span_id) for context in contexts],
        "parentSpanId": [None if span.parent is None else format_span_id(span.parent.span_id) for span in spans],
        "name": [str(span.name) for span in spans],
        "scope": [name for name, _ in scopes],
        "instrumentationScope": pa.array([text for _, text in scopes], pa.string()),
        "kind": [span.kind.value for span in spans],
        "startTime": starts,
        "endTime": ends,
        "startedAt": _moments(starts, required=True),
        "endedAt": _moments(ends),
        "status": pa.array([shared.status(span) for span in spans], pa.string()),
        "error": list(map(error_of, spans, attributes, events)),
        "environment": [said or of for said, (of, _) in zip(environments, origins, strict=True)],
        "serviceName": [service for _, service in origins],
        "attributes": attributes,
        "events": list(map(events_of, events)),
        "links": list(map(links_of, spans)),
        "other": pa.array(list(map(shared.other, spans, contexts)), pa.string()),
    }


def _moments(times: Sequence[int | None], *, required: bool = False) -> pa.Array:
    """Times in nanoseconds as moments; an error where the record of one of them would have none."""
    if not set(map(type, times)) <= ({int} if required else {int, NoneType}):
        raise TypeError("a time that is no whole number of nanoseconds")
    counts = [None if time is None else time // 1000 for time in times]
    if any(count is not None and not _FIRST <= count <= _LAST for count in counts):
        raise OverflowError("a time beyond all calendars")
    return pa.array(counts, _TIMESTAMP)


class _Shared:
    """What many spans share, made once."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, ...], Shared] = {}
        self._origins: dict[int, Shared] = {}
        self._statuses: dict[tuple[Any, str | None], str] = {}
        self._others: dict[tuple[int, int], str] = {}
        self._resources: list[Resource] = []  # kept, so that each is known by its identity

    def scope(self, span: ReadableSpan) -> Shared:
        """Name of the instrumentation scope, and the whole of it as JSON."""
        scope = span.instrumentation_scope
        if scope is None:
            return None, None
        if scope.attributes:
            return _scope(span)
        key = (scope.name, scope.version or "", scope.schema_url or "")
        if key not in self._scopes:
            self._scopes[key] = _scope(span)
        return self._scopes[key]

    def origin(self, span: ReadableSpan) -> Shared:
        """The environment and the service that the resource names."""
        key = id(span.resource)
        if key not in self._origins:
            self._resources.append(span.resource)
            resource = attributes_of(span.resource)
            self._origins[key] = environment_of(resource), service_of(resource)
        return self._origins[key]

    def status(self, span: ReadableSpan) -> str:
        """The status as JSON."""
        key = span.status.status_code, span.status.description
        if key not in self._statuses:
            self._statuses[key] = to_json(status_of(span))
        return self._statuses[key]

    def other(self, span: ReadableSpan, context: SpanContext) -> str:
        """The further fields as JSON; of most spans these are the flags and the resource, and nothing else."""
        if context.trace_state or span.dropped_attributes or span.dropped_events or span.dropped_links:
            return to_json(other_of(span, context, attributes_of(span.resource)))
        key = id(span.resource), int(context.trace_flags)
        if key not in self._others:
            self._others[key] = to_json(other_of(span, context, attributes_of(span.resource)))
        return self._others[key]


def _scope(span: ReadableSpan) -> Shared:
    scope = scope_of(span) or {}
    name = scope.get("name")
    return name if isinstance(name, str) else None, to_json(scope)
