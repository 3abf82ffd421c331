"""Spans of the OpenTelemetry SDK through a writer, and an exporter that does not wait."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanContext

import colonnade
from colonnade.engine.plan import Put
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, InvalidRows, StoreError
from colonnade.ingest.otel import ColonnadeSpanExporter, spans_table


class Kept(SpanProcessor):
    """The spans that ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Gate(MemoryStore):
    """A memory store that writes only while its gate is open, and fails while it is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.arrived = threading.Event()
        self.is_broken = False

    def put(self, plan: Put) -> int:
        self.arrived.set()
        assert self.open.wait(60)
        if self.is_broken:
            raise StoreError("no space left on device")
        return super().put(plan)


def spans(count: int) -> list[ReadableSpan]:
    kept = Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("my.agent")
    for number in range(count):
        tracer.start_span(f"chat {number}", attributes={"gen_ai.request.model": "small-1"}).end()
    return kept.spans


def names(store: colonnade.Storage) -> set[str]:
    return {row["name"] for row in store.sql("select name from spans").rows()}


def test_a_writer_takes_spans_of_the_sdk(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        with store.writer(encode=spans_table) as writer:
            writer.extend(spans(3))
        found = store.sql("select name, model from spans order by 1").rows()
    assert found == [{"name": f"chat {number}", "model": "small-1"} for number in range(3)]


def test_without_encode_it_says_how() -> None:
    with (
        colonnade.open(":memory:") as store,
        store.writer() as writer,
        pytest.raises(InvalidInput, match=r"colonnade\.ingest\.otel\.spans_table encodes spans"),
    ):
        writer.add(spans(1)[0])


def test_a_span_that_was_never_started_takes_no_others_with_it() -> None:
    with colonnade.open(":memory:") as store, store.writer(encode=spans_table, latency=1e6) as writer:
        writer.extend([*spans(2), ReadableSpan("never"), *spans(3)])
        with pytest.raises(InvalidRows, match=r"row 2: row cannot be encoded: span 'never' was never started"):
            writer.flush()
        assert names(store) == {"chat 0", "chat 1", "chat 2"}


def test_an_exporter_that_does_not_wait_does_not_hold_the_agent_up() -> None:
    gate = Gate()
    store = colonnade.open(gate)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(ColonnadeSpanExporter(store, wait=False)))
    for number in range(3):
        provider.get_tracer("t").start_span(f"chat {number}").end()  # while the store writes nothing
    assert names(store) == set()
    gate.open.set()
    provider.shutdown()
    assert names(store) == {"chat 0", "chat 1", "chat 2"}
    store.close()


def test_force_flush_is_false_until_the_spans_are_stored() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        exporter = ColonnadeSpanExporter(store, wait=False)
        assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
        assert gate.arrived.wait(60)  # the thread in the background is at it, and does not get on
        assert exporter.force_flush(timeout_millis=10) is False
        gate.open.set()
        assert exporter.force_flush() is True
        assert names(store) == {"chat 0"}


def test_what_a_store_fails_to_write_comes_with_the_next_spans(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.open.set()
    gate.is_broken = True
    with colonnade.open(gate) as store:
        exporter = ColonnadeSpanExporter(store)
        with caplog.at_level(logging.ERROR, "colonnade.ingest.otel"):
            assert exporter.export(spans(1)) is SpanExportResult.FAILURE
            assert exporter.force_flush() is False
        assert caplog.messages == [
            "1 spans were not written: no space left on device",
            "the last spans were not written: no space left on device",
        ]
        gate.is_broken = False
        assert exporter.export(spans(2)[1:]) is SpanExportResult.SUCCESS
        assert exporter.force_flush() is True
        assert names(store) == {"chat 0", "chat 1"}


def test_spans_that_are_refused_are_counted_and_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    far: Any = ReadableSpan("secret", SpanContext(1, 2, False), start_time=2**63 * 1000)  # beyond all calendars
    with colonnade.open(":memory:") as store:
        exporter = ColonnadeSpanExporter(store, wait=False)
        with caplog.at_level(logging.ERROR, "colonnade.ingest.otel"):
            assert exporter.export([far, *spans(2)]) is SpanExportResult.SUCCESS  # they are in the queue
            assert exporter.force_flush() is False
        assert caplog.messages == ["1 spans were not written: they were refused"]
        assert exporter.force_flush() is True
        assert names(store) == {"chat 0", "chat 1"}


def test_shutdown_writes_what_waits() -> None:
    with colonnade.open(":memory:") as store:
        exporter = ColonnadeSpanExporter(store, wait=False)
        exporter.export(spans(2))
        exporter.shutdown()
        assert names(store) == {"chat 0", "chat 1"}
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
