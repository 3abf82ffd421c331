"""What a span of the OpenTelemetry SDK says, as a record.

Names inside events, links and ``other`` are those of OTLP JSON (``timeUnixNano``, ``droppedAttributesCount`` ...).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from colonnade.errors import InvalidInput, MissingExtra
from colonnade.ingest.conventions import typed_fields
from colonnade.schemas.moments import moment_of
from colonnade.schemas.records import Record

try:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import SpanContext, StatusCode, format_span_id, format_trace_id
except ImportError:
    raise MissingExtra("colonnade.ingest.otel", "otel") from None

_ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")


def span_record(span: ReadableSpan) -> Record:
    """A span of the SDK as a record for ``create_span`` and ``batch_create_spans``.

    Its attributes are kept whole and read by ``colonnade.ingest.conventions``, beneath them those that ``gen_ai.*``
    events carry. Times are exact nanoseconds (``startTime``, ``endTime``) and microseconds (``startedAt``,
    ``endedAt``). ``kind`` and ``status.code`` are the SDK's numbers. ``error`` is set where the status is ERROR, from
    the last recorded exception. The instrumentation scope is ``scope``, and the resource is kept in ``other``.
    ``InvalidInput`` for a span that was never started.
    """
    context = span.context
    if context is None or span.start_time is None:
        raise InvalidInput(f"span {span.name!r:.80} was never started")
    attributes, events, resource = attributes_of(span), span.events, attributes_of(span.resource)
    return {
        "spanType": "generic",
        "environment": environment_of(resource),
        **typed_of(attributes, events),
        "traceId": format_trace_id(context.trace_id),
        "spanId": format_span_id(context.span_id),
        "parentSpanId": None if span.parent is None else format_span_id(span.parent.span_id),
        "name": str(span.name),
        "scope": scope_of(span),
        "kind": span.kind.value,
        "isEvent": False,
        "startTime": span.start_time,
        "endTime": span.end_time,
        "startedAt": _moment(span.start_time),
        "endedAt": None if span.end_time is None else _moment(span.end_time),
        "status": status_of(span),
        "error": error_of(span, attributes, events),
        "serviceName": service_of(resource),
        "attributes": attributes,
        "events": events_of(events),
        "links": links_of(span),
        "other": other_of(span, context, resource),
    }


def attributes_of(said: Any) -> Record:
    """The attributes of a span, an event, a link, a scope or a resource, as a dict of their own."""
    attributes: Mapping[str, Any] | None = said.attributes
    if attributes is None:
        return {}
    # The SDK's own mapping copies itself in one call, where iterating takes several for each attribute.
    try:
        copied = attributes.copy()  # type: ignore[attr-defined]
    except AttributeError:
        copied = None
    return copied if type(copied) is dict else dict(attributes)


def typed_of(attributes: Record, events: Sequence[Event]) -> Record:
    """The typed fields: those of the attributes, and beneath them those of GenAI events.

    Some instrumentations record messages in such events instead of on the span.
    """
    told = {
        name: value
        for event in events
        if event.name.startswith("gen_ai.")
        for name, value in attributes_of(event).items()
        if name.startswith("gen_ai.")
    }
    return typed_fields({**told, **attributes} if told else attributes)


def environment_of(resource: Record) -> str | None:
    """The environment that the attributes of a resource name."""
    return next((str(resource[name]) for name in _ENVIRONMENT if name in resource), None)


def service_of(resource: Record) -> str | None:
    """The service that the attributes of a resource name."""
    return str(resource["service.name"]) if "service.name" in resource else None


def scope_of(span: ReadableSpan) -> Record | None:
    """The instrumentation scope, if there is one."""
    scope = span.instrumentation_scope
    if scope is None:
        return None
    return _said(
        {
            "name": scope.name,
            "version": scope.version or None,
            "schemaUrl": scope.schema_url or None,
            "attributes": attributes_of(scope),
        }
    )


def status_of(span: ReadableSpan) -> Record:
    """Code and message of the status."""
    return _said({"code": span.status.status_code.value, "message": span.status.description})


def error_of(span: ReadableSpan, attributes: Record, events: Sequence[Event]) -> Record | None:
    """What went wrong, where the status says that something did: the last exception that was recorded."""
    if span.status.status_code is not StatusCode.ERROR:
        return None
    told = next((event.attributes or {} for event in reversed(events) if event.name == "exception"), {})
    type_ = told.get("exception.type") or attributes.get("error.type")
    return _said(
        {
            "message": told.get("exception.message") or span.status.description or str(type_ or "error"),
            "name": type_,
            "stack": told.get("exception.stacktrace"),
        }
    )


def events_of(events: Sequence[Event]) -> list[Record] | None:
    """The events, if there are any."""
    return [
        _said(
            {
                "name": event.name,
                "timeUnixNano": event.timestamp,
                "attributes": attributes_of(event),
                "droppedAttributesCount": getattr(event, "dropped_attributes", 0),
            }
        )
        for event in events
    ] or None


def links_of(span: ReadableSpan) -> list[Record] | None:
    """The links to other spans, if there are any."""
    return [
        _said(
            {
                "traceId": format_trace_id(link.context.trace_id),
                "spanId": format_span_id(link.context.span_id),
                "traceState": link.context.trace_state.to_header() or None,
                "attributes": attributes_of(link),
            }
        )
        for link in span.links
    ] or None


def other_of(span: ReadableSpan, context: SpanContext, resource: Record) -> Record:
    """Flags, trace state, how much was dropped, and the resource."""
    return _said(
        {
            "flags": int(context.trace_flags),
            "traceState": context.trace_state.to_header() or None,
            "droppedAttributesCount": span.dropped_attributes,
            "droppedEventsCount": span.dropped_events,
            "droppedLinksCount": span.dropped_links,
            "resource": _said({"attributes": resource, "schemaUrl": span.resource.schema_url or None}),
        }
    )


def _moment(nanoseconds: int) -> datetime:
    return moment_of(nanoseconds // 1000)


def _said(fields: Record) -> Record:
    """Without what is not said: nulls, empty objects, and zero counts of what was dropped."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value != {} and (value or not name.startswith("dropped"))
    }
