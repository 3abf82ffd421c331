"""Spans of the real OpenTelemetry SDK, as records and in a storage."""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

import colonnade
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.ingest.otel import ColonnadeSpanExporter, span_record

START = 1_715_785_200_123_456_789
END = START + 1_000_000_001
RESOURCE = Resource.create({"service.name": "finder", "deployment.environment.name": "staging"}, "https://schema/1")
PROCESSORS = {"simple": SimpleSpanProcessor, "batch": BatchSpanProcessor}


class Kept(SpanProcessor):
    """The spans that ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def provider(processor: SpanProcessor, **more: Any) -> TracerProvider:
    made = TracerProvider(resource=RESOURCE, shutdown_on_exit=False, **more)
    made.add_span_processor(processor)
    return made


def ended(begin: Callable[[Any], Any], **more: Any) -> ReadableSpan:
    """The span that ``begin`` starts on a tracer, ended."""
    kept = Kept()
    begin(provider(kept, **more).get_tracer("my.agent", "1.2", "https://schema/2", {"scope.note": 1})).end(END)
    return kept.spans[-1]


def record(**arguments: Any) -> dict[str, Any]:
    return span_record(ended(lambda tracer: tracer.start_span("chat", start_time=START, **arguments)))


@pytest.fixture(params=["memory", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[colonnade.Storage]:
    with colonnade.open(":memory:" if request.param == "memory" else tmp_path / "spans.duckdb") as opened:
        yield opened


# --- the record of a span ---


def test_times_are_exact_in_nanoseconds_and_cut_to_microseconds() -> None:
    found = record()
    assert (found["startTime"], found["endTime"]) == (START, END)
    assert found["startedAt"] == datetime(2024, 5, 15, 15, 0, 0, 123456, UTC)
    assert found["endedAt"] == datetime(2024, 5, 15, 15, 0, 1, 123456, UTC)


def test_ids_are_hexadecimal_with_their_leading_zeros() -> None:
    context = SpanContext(0xAB, 0xCD, is_remote=False)
    parent = SpanContext(0xAB, 0x1, is_remote=True)
    found = span_record(ReadableSpan("chat", context, parent, RESOURCE, start_time=START))
    assert found["traceId"] == "000000000000000000000000000000ab"
    assert found["spanId"] == "00000000000000cd"
    assert found["parentSpanId"] == "0000000000000001"


@pytest.mark.parametrize("kind", SpanKind)
def test_kind_is_the_number_of_the_sdk(kind: SpanKind) -> None:
    assert (
        record(kind=kind)["kind"] == {"INTERNAL": 0, "SERVER": 1, "CLIENT": 2, "PRODUCER": 3, "CONSUMER": 4}[kind.name]
    )


def test_resource_and_scope_say_where_it_comes_from() -> None:
    found = record()
    assert (found["serviceName"], found["environment"]) == ("finder", "staging")
    assert found["scope"] == {
        "name": "my.agent",
        "version": "1.2",
        "schemaUrl": "https://schema/2",
        "attributes": {"scope.note": 1},
    }
    assert found["other"]["resource"]["attributes"] == dict(RESOURCE.attributes)
    assert found["other"]["resource"]["schemaUrl"] == "https://schema/1"


def test_the_older_name_of_the_environment_is_read_too() -> None:
    context = SpanContext(1, 2, is_remote=False)
    resource = Resource({"deployment.environment": "test"})
    found = span_record(ReadableSpan("chat", context, None, resource, start_time=START))
    assert (found["environment"], found["serviceName"], found["scope"]) == ("test", None, None)


def test_attributes_are_kept_whole_and_read() -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "colonnade.cost": 0.5, "n": [1, 2]}
    found = record(attributes=attributes)
    assert found["attributes"] == {**attributes, "n": (1, 2)}
    assert (found["spanType"], found["model"], found["cost"]) == ("model_generation", "gpt-4o", 0.5)
    assert record()["spanType"] == "generic"


def test_status_and_error_come_from_an_exception() -> None:
    def fail(tracer: Any) -> Any:
        span = tracer.start_span("chat", start_time=START)
        span.record_exception(ValueError("first"))
        span.record_exception(KeyError("second"))
        span.set_status(Status(StatusCode.ERROR, "it failed"))
        return span

    found = span_record(ended(fail))
    assert found["status"] == {"code": 2, "message": "it failed"}
    assert (found["error"]["message"], found["error"]["name"]) == ("'second'", "KeyError")
    assert "KeyError" in found["error"]["stack"]


def test_an_error_without_an_exception_says_what_the_status_says() -> None:
    def fail(tracer: Any) -> Any:
        span = tracer.start_span("chat", start_time=START, attributes={"error.type": "timeout"})
        span.set_status(Status(StatusCode.ERROR, "too slow"))
        return span

    assert span_record(ended(fail))["error"] == {"message": "too slow", "name": "timeout"}


def test_an_exception_that_was_handled_is_no_error() -> None:
    def recover(tracer: Any) -> Any:
        span = tracer.start_span("chat", start_time=START)
        span.record_exception(ValueError("handled"))
        return span

    found = span_record(ended(recover))
    assert (found["error"], found["status"]) == (None, {"code": 0})
    assert found["events"][0]["name"] == "exception"


def test_events_and_links_keep_their_attributes_and_exact_times() -> None:
    linked = SpanContext(0xA, 0xB, is_remote=True, trace_state=TraceState([("vendor", "x")]))

    def note(tracer: Any) -> Any:
        span = tracer.start_span("chat", start_time=START, links=[Link(linked, {"why": "cause"})])
        span.add_event("first token", {"n": 1}, timestamp=START + 7)
        return span

    found = span_record(ended(note))
    assert found["events"] == [{"name": "first token", "timeUnixNano": START + 7, "attributes": {"n": 1}}]
    assert found["links"] == [
        {"traceId": f"{0xA:032x}", "spanId": f"{0xB:016x}", "traceState": "vendor=x", "attributes": {"why": "cause"}}
    ]


def test_messages_in_genai_events_are_read_beneath_the_spans_own() -> None:
    def tell(tracer: Any) -> Any:
        span = tracer.start_span("chat", start_time=START, attributes={"gen_ai.completion": "mine"})
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "Hi", "gen_ai.completion": "theirs"})
        return span

    found = span_record(ended(tell))
    assert (found["input"], found["output"]) == ("Hi", "mine")
    assert found["attributes"] == {"gen_ai.completion": "mine"}


def test_dropped_counts_flags_and_trace_state_are_in_other() -> None:
    remote = SpanContext(1, 2, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("vendor", "x")]))

    def much(tracer: Any) -> Any:
        parent = set_span_in_context(NonRecordingSpan(remote))
        span = tracer.start_span(
            "chat", parent, start_time=START, attributes={"a": 1, "b": 2}, links=[Link(remote)] * 3
        )
        for _ in range(4):
            span.add_event("again")
        return span

    found = span_record(ended(much, span_limits=SpanLimits(max_attributes=1, max_events=1, max_links=1)))
    other = {name: value for name, value in found["other"].items() if name not in ("resource", "flags")}
    assert other == {
        "traceState": "vendor=x",
        "droppedAttributesCount": 1,
        "droppedEventsCount": 3,
        "droppedLinksCount": 2,
    }
    assert found["other"]["flags"] & TraceFlags.SAMPLED
    assert found["parentSpanId"] == f"{2:016x}"


def test_a_span_that_was_never_started_is_refused() -> None:
    with pytest.raises(InvalidInput, match="never started"):
        span_record(ReadableSpan("chat"))


# --- the exporter ---


@pytest.mark.parametrize("kind", PROCESSORS)
def test_spans_of_an_application_arrive_as_a_trace(store: colonnade.Storage, kind: str) -> None:
    tracing = provider(PROCESSORS[kind](ColonnadeSpanExporter(store)))
    tracer = tracing.get_tracer("my.agent", "1.2")
    with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("invoke_agent Finder") as root:  # noqa: SIM117
        with tracer.start_as_current_span("execute_tool divide", attributes={"gen_ai.tool.name": "divide"}):
            1 / 0  # noqa: B018
    assert tracing.force_flush()
    tracing.shutdown()

    trace_id = f"{root.get_span_context().trace_id:032x}"
    trace = store.observability.get_trace(trace_id=trace_id)
    assert trace is not None
    agent, tool = trace["spans"]
    assert (agent["name"], agent["parentSpanId"]) == ("invoke_agent Finder", None)
    assert (tool["entityName"], tool["spanType"], tool["parentSpanId"]) == ("divide", "tool_call", agent["spanId"])
    assert tool["error"]["name"] == "ZeroDivisionError"
    assert tool["scope"] == {"name": "my.agent", "version": "1.2"}
    assert agent["startTime"] <= tool["startTime"] <= tool["endTime"] <= agent["endTime"]
    assert agent["startTime"] // 1000 == round(agent["startedAt"].timestamp() * 1_000_000)


def test_the_same_spans_again_change_nothing(store: colonnade.Storage) -> None:
    exporter = ColonnadeSpanExporter(store)
    span = ended(lambda tracer: tracer.start_span("chat", start_time=START))
    assert exporter.export([span]) is SpanExportResult.SUCCESS
    assert exporter.export([span, span]) is SpanExportResult.SUCCESS
    assert store.observability.list_traces()["pagination"]["total"] == 1


def test_payloads_are_not_refused_for_what_they_say(store: colonnade.Storage) -> None:
    strange = {"text": "NUL \0", "emoji": "\ud83d", "number": float("nan"), "bytes": b"\x00\xff", "map": {"a": [1, {}]}}
    span = ended(lambda tracer: tracer.start_span("chat \0", start_time=START, attributes=strange))
    assert ColonnadeSpanExporter(store).export([span]) is SpanExportResult.SUCCESS
    (found,) = store.observability.list_traces()["spans"]
    assert found["name"] == "chat \0"
    assert found["attributes"]["text"] == "NUL \0"


def test_no_spans_are_a_success(store: colonnade.Storage) -> None:
    assert ColonnadeSpanExporter(store).export([]) is SpanExportResult.SUCCESS


def test_one_span_that_is_refused_does_not_take_the_others_with_it(
    store: colonnade.Storage, caplog: pytest.LogCaptureFixture
) -> None:
    good = ended(lambda tracer: tracer.start_span("good", start_time=START))
    far = ReadableSpan("far", SpanContext(1, 2, False), start_time=2**63 * 1000)  # beyond all calendars
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    deep = ReadableSpan("deep", SpanContext(1, 3, False), attributes={"secret": nested}, start_time=START)
    never = ReadableSpan("never")

    with caplog.at_level(logging.ERROR, "colonnade.ingest.otel"):
        assert ColonnadeSpanExporter(store).export([far, good, deep, never]) is SpanExportResult.FAILURE
    assert [span["name"] for span in store.observability.list_traces()["spans"]] == ["good"]
    assert "3 of 4 spans were not written" in caplog.text
    assert "secret" not in caplog.text


def test_a_store_that_fails_is_logged_and_never_raised(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    store = colonnade.open(tmp_path / "spans.duckdb")
    tracing = provider(SimpleSpanProcessor(ColonnadeSpanExporter(store)))
    store.close()
    with caplog.at_level(logging.ERROR, "colonnade.ingest.otel"):
        tracing.get_tracer("t").start_span("chat").end()
    assert "1 spans were not written" in caplog.text


def test_after_shutdown_nothing_is_written_and_the_storage_is_still_open(store: colonnade.Storage) -> None:
    exporter = ColonnadeSpanExporter(store)
    exporter.shutdown()
    exporter.shutdown()
    span = ended(lambda tracer: tracer.start_span("chat"))
    assert exporter.export([span]) is SpanExportResult.FAILURE
    assert store.observability.list_traces()["spans"] == []


def test_shutdown_closes_the_storage_where_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "spans.duckdb"
    tracing = provider(BatchSpanProcessor(ColonnadeSpanExporter(colonnade.open(path), close_storage=True)))
    tracing.get_tracer("t").start_span("chat").end()
    tracing.shutdown()
    with colonnade.open(path) as again:
        assert again.observability.list_traces()["pagination"]["total"] == 1


def test_an_awaited_storage_is_refused_in_words() -> None:
    store: Any = colonnade.aopen(":memory:")
    with pytest.raises(InvalidInput, match=r"open it with colonnade\.open\(\)"):
        ColonnadeSpanExporter(store)


def test_without_the_sdk_the_extra_is_named_and_the_rest_of_ingest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "colonnade.ingest.otel")
    assert importlib.reload(importlib.import_module("colonnade.ingest"))
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[otel\]'"):
        importlib.import_module("colonnade.ingest.otel")
