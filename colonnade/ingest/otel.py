"""Spans of the OpenTelemetry SDK, into a storage of the same process.

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
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, Protocol

from colonnade.errors import InvalidInput, InvalidRows, MissingExtra, QueueFull, StoreError
from colonnade.ingest.otel_columns import spans_table
from colonnade.ingest.otel_spans import span_record

try:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
except ImportError:
    raise MissingExtra("colonnade.ingest.otel", "otel") from None

_log: Final = logging.getLogger(__name__)
_SOON: Final = 0.05
_NEVER: Final = 3600.0
"""Seconds after which the queue writes by itself: each export does that."""


class Queue(Protocol):
    """A queue of spans in front of a storage, as far as exporting needs it: what ``store.writer()`` gives."""

    def extend(self, rows: Iterable[Any]) -> None:
        """Take spans."""

    def flush(self, timeout: float | None = None) -> bool:
        """Return when they are durable, or after so many seconds: whether they are."""

    def close(self) -> None:
        """Flush, and take no more."""


class Storage(Protocol):
    """A storage with blocking methods, as far as exporting needs it: what ``colonnade.open`` gives."""

    def writer(self, *, encode: Any, latency: float, on_full: Literal["raise"]) -> Queue:
        """A queue in front of its spans."""

    def close(self) -> None:
        """Release it."""


class ColonnadeSpanExporter(SpanExporter):
    """Writes finished spans into a storage of this process; give it to a ``BatchSpanProcessor``.

    The storage must have blocking methods (``colonnade.open``), for OpenTelemetry calls exporters from a thread of its
    own. ``export`` returns when the spans are stored; without ``wait``, when they are in the queue of a writer, which
    stores them in the background: a ``SimpleSpanProcessor`` then does not hold the agent up at every span.

    Nothing is raised into the application: what cannot be written is logged and answered with ``FAILURE``, without
    what the spans say. One span that is refused does not take the others with it. What a store fails to write is tried
    again with the next spans. ``shutdown`` leaves the storage open unless ``close_storage``.
    """

    def __init__(self, storage: Storage, *, wait: bool = True, close_storage: bool = False) -> None:
        if inspect.iscoroutinefunction(getattr(storage, "execute", None)):
            raise InvalidInput(
                "this storage is awaited, and OpenTelemetry's exporters block: open it with colonnade.open()"
            )
        latency = _NEVER if wait else _SOON
        self._queue = storage.writer(encode=spans_table, latency=latency, on_full="raise")
        self._storage = storage
        self._wait = wait
        self._close_storage = close_storage
        self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans: ``SUCCESS`` where all of them are stored, or, without ``wait``, in the queue."""
        if self._is_shut_down:
            _log.warning("%d spans came after shutdown and were not written", len(spans))
            return SpanExportResult.FAILURE
        try:
            self._queue.extend(spans)
            if self._wait:
                self._queue.flush()
        except Exception as error:
            _log.error(*_said(error, len(spans)))
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all that was exported is stored, within this time; a write that has begun is not broken off."""
        try:
            return self._queue.flush(timeout_millis / 1000)
        except Exception as error:
            _log.error(*_said(error))
        return False

    def shutdown(self) -> None:
        """Write what waits, and take no more spans. Twice is once."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        try:
            self._queue.close()
        except Exception as error:
            _log.error(*_said(error))
        try:
            if self._close_storage:
                self._storage.close()
        except Exception as error:
            _log.error("the storage was not closed: %s", type(error).__name__)


def _said(error: Exception, spans: int | None = None) -> tuple[Any, ...]:
    """What to log of an error: never what spans say, which refused rows quote. A store's words hold no secret."""
    if isinstance(error, InvalidRows):
        of = "" if spans is None else f" of {spans}"
        return "%d%s spans were not written: %s", error.refused, of, "they were refused"
    if isinstance(error, QueueFull):
        return "not all of %s spans are in the queue: %s", spans, error
    words = error if isinstance(error, StoreError) else type(error).__name__
    return "%s spans were not written: %s", "the last" if spans is None else spans, words


__all__ = ["ColonnadeSpanExporter", "Queue", "Storage", "span_record", "spans_table"]
