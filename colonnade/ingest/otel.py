"""Spans of the OpenTelemetry SDK, straight into a storage of the same process.

>>> from opentelemetry.sdk.trace import TracerProvider
>>> from opentelemetry.sdk.trace.export import BatchSpanProcessor
>>> import colonnade
>>> from colonnade.ingest.otel import ColonnadeSpanExporter
>>> store = colonnade.open(":memory:")
>>> provider = TracerProvider()
>>> provider.add_span_processor(BatchSpanProcessor(ColonnadeSpanExporter(store)))
>>> with provider.get_tracer("my.agent").start_as_current_span("chat"):
...     pass
>>> provider.shutdown()
>>> store.close()

Names inside events, links and ``other`` are those of OTLP JSON (``timeUnixNano``, ``droppedAttributesCount`` ...).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from colonnade.errors import InvalidInput, MissingExtra, StoreError
from colonnade.ingest.conventions import typed_fields
from colonnade.schemas.records import Record

try:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import SpanContext, StatusCode, format_span_id, format_trace_id
except ImportError:
    raise MissingExtra("colonnade.ingest.otel", "otel") from None

_log: Final = logging.getLogger(__name__)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")


class Storage(Protocol):
    """A storage with blocking methods, as far as exporting needs it: what ``colonnade.open`` gives."""

    @property
    def observability(self) -> Any:
        """The domain that keeps spans."""

    def close(self) -> None:
        """Release it."""


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
    attributes = dict(span.attributes or {})
    resource = dict(span.resource.attributes)
    return {
        "spanType": "generic",
        "environment": next((str(resource[name]) for name in _ENVIRONMENT if name in resource), None),
        **typed_fields({**_told_by_events(span), **attributes}),
        "traceId": format_trace_id(context.trace_id),
        "spanId": format_span_id(context.span_id),
        "parentSpanId": None if span.parent is None else format_span_id(span.parent.span_id),
        "name": str(span.name),
        "scope": _scope(span),
        "kind": span.kind.value,
        "isEvent": False,
        "startTime": span.start_time,
        "endTime": span.end_time,
        "startedAt": _moment(span.start_time),
        "endedAt": None if span.end_time is None else _moment(span.end_time),
        "status": _said({"code": span.status.status_code.value, "message": span.status.description}),
        "error": _error(span),
        "serviceName": str(resource["service.name"]) if "service.name" in resource else None,
        "attributes": attributes,
        "events": [
            _said(
                {
                    "name": event.name,
                    "timeUnixNano": event.timestamp,
                    "attributes": dict(event.attributes or {}),
                    "droppedAttributesCount": getattr(event, "dropped_attributes", 0),
                }
            )
            for event in span.events
        ]
        or None,
        "links": [_link(link.context, link.attributes) for link in span.links] or None,
        "other": _other(span, context, resource),
    }


class ColonnadeSpanExporter(SpanExporter):
    """Writes finished spans into a storage of this process; give it to a ``BatchSpanProcessor``.

    The storage must have blocking methods (``colonnade.open``), for OpenTelemetry calls exporters from a thread of its
    own. Nothing is raised into the application: what cannot be written is logged and answered with ``FAILURE``, without
    what the spans say. One span that is refused does not take the others with it. ``shutdown`` leaves the storage open
    unless ``close_storage``.
    """

    def __init__(self, storage: Storage, *, close_storage: bool = False) -> None:
        if inspect.iscoroutinefunction(getattr(storage, "execute", None)):
            raise InvalidInput(
                "this storage is awaited, and OpenTelemetry's exporters block: open it with colonnade.open()"
            )
        self._storage = storage
        self._close_storage = close_storage
        self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans: ``SUCCESS`` where all of them are stored."""
        if self._is_shut_down:
            _log.warning("%d spans came after shutdown and were not written", len(spans))
            return SpanExportResult.FAILURE
        records: list[Record] = []
        reasons: list[Exception] = []
        for span in spans:
            try:
                records.append(span_record(span))
            except Exception as error:  # the application must not fail for its telemetry
                reasons.append(error)
        try:
            reasons.extend(self._write(records))
        except StoreError as error:  # the store's own words never hold a secret
            _log.error("%d spans were not written: %s", len(records), error)
            return SpanExportResult.FAILURE
        if reasons:
            kinds = ", ".join(sorted({type(reason).__name__ for reason in reasons}))
            _log.error("%d of %d spans were not written: %s", len(reasons), len(spans), kinds)
        return SpanExportResult.FAILURE if reasons else SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: a span is stored when ``export`` returns, so there is nothing to wait for."""
        return True

    def shutdown(self) -> None:
        """Take no more spans. Twice is once."""
        if not self._is_shut_down and self._close_storage:
            try:
                self._storage.close()
            except Exception as error:
                _log.error("the storage was not closed: %s", type(error).__name__)
        self._is_shut_down = True

    def _write(self, records: list[Record]) -> list[Exception]:
        """Write records, each by itself if they are refused together; gives why some were not."""
        try:
            self._storage.observability.batch_create_spans(records=records)
        except StoreError:
            raise
        except Exception as error:
            if len(records) == 1:
                return [error]
            return [reason for record in records for reason in self._write([record])]
        return []


def _moment(nanoseconds: int) -> datetime:
    return _UNIX + timedelta(microseconds=nanoseconds // 1000)


def _said(fields: Record) -> Record:
    """Without what is not said: nulls, empty objects, and zero counts of what was dropped."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value != {} and not (name.startswith("dropped") and not value)
    }


def _told_by_events(span: ReadableSpan) -> Record:
    """Attributes of GenAI events: messages that some instrumentations record there instead of on the span."""
    return {
        name: value
        for event in span.events
        if event.name.startswith("gen_ai.")
        for name, value in (event.attributes or {}).items()
        if name.startswith("gen_ai.")
    }


def _scope(span: ReadableSpan) -> Record | None:
    scope = span.instrumentation_scope
    if scope is None:
        return None
    return _said(
        {
            "name": scope.name,
            "version": scope.version or None,
            "schemaUrl": scope.schema_url or None,
            "attributes": dict(scope.attributes or {}),
        }
    )


def _error(span: ReadableSpan) -> Record | None:
    if span.status.status_code is not StatusCode.ERROR:
        return None
    told = next((event.attributes or {} for event in reversed(span.events) if event.name == "exception"), {})
    type_ = told.get("exception.type") or (span.attributes or {}).get("error.type")
    return _said(
        {
            "message": told.get("exception.message") or span.status.description or str(type_ or "error"),
            "name": type_,
            "stack": told.get("exception.stacktrace"),
        }
    )


def _link(context: SpanContext, attributes: Mapping[str, Any] | None) -> Record:
    return _said(
        {
            "traceId": format_trace_id(context.trace_id),
            "spanId": format_span_id(context.span_id),
            "traceState": context.trace_state.to_header() or None,
            "attributes": dict(attributes or {}),
        }
    )


def _other(span: ReadableSpan, context: SpanContext, resource: Record) -> Record:
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
