"""Spans of the SDK as rows at once: to the letter what their records are, errors included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from colonnade.errors import InvalidInput, InvalidRows
from colonnade.ingest.conventions import SOURCES
from colonnade.ingest.otel_columns import spans_table
from colonnade.ingest.otel_spans import span_record
from colonnade.schemas import SPANS
from colonnade.schemas.span_rows import encode_spans

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
START = 1_715_785_200_123_456_789


class Attributes(Mapping[str, Any]):
    """A mapping of attributes that cannot copy itself."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def __getitem__(self, name: str) -> Any:
        return self._said[name]

    def __iter__(self) -> Any:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)


def outcome(encoding: Any, spans: Sequence[ReadableSpan]) -> Any:
    try:
        data = encoding(spans)
    except InvalidRows as error:
        return error.problems
    except Exception as error:
        return type(error), str(error)
    data.validate(full=True)
    return data


def agree(spans: Sequence[ReadableSpan]) -> Any:
    """What the spans are at once, which is what they are through their records."""
    expected = outcome(lambda spans: encode_spans([span_record(span) for span in spans], NOW), spans)
    found = outcome(lambda spans: spans_table(spans, NOW), spans)
    assert type(found) is type(expected)
    if isinstance(found, pa.Table):
        assert found.schema.equals(SPANS.schema, check_metadata=True)
        assert found.to_pylist() == expected.to_pylist()
        assert found.equals(expected)
    else:
        assert found == expected
    return found


names = st.sampled_from(
    [
        *(name for sources in SOURCES.values() for name, _ in sources),
        *("gen_ai.prompt.0.content", "gen_ai.tool.name", "colonnade.metadata.a", "error.type", "service.name", "other"),
        *("exception.type", "exception.message", "deployment.environment", "deployment.environment.name"),
    ]
)
simple = st.sampled_from(["chat", "7", "", 7, 0.5, True, "\0", "\ud83d", '{"a":[1,null]}', "[", ("a", "b"), b"\xff"])
strange = st.sampled_from([math.nan, 10**30, None, {"a": {"b": "\0"}}, '{"n":12345678901234567890123}'])
said = st.dictionaries(names, simple | strange, max_size=5)
attributes = st.one_of(
    st.none(),
    said,
    said.map(Attributes),
    said.map(MappingProxyType),
    st.builds(
        lambda said, limit: BoundedAttributes(limit, said), st.dictionaries(names, simple), st.sampled_from([1, 9])
    ),
)
ids = st.sampled_from([1, 0xAB, 2**64 - 1])
contexts = st.builds(
    SpanContext,
    ids,
    ids,
    st.just(False),
    st.sampled_from([None, TraceFlags(0), TraceFlags(1)]),
    st.sampled_from([None, TraceState([("vendor", "x")]), TraceState()]),
)
RESOURCES = [
    Resource({}),
    Resource({"service.name": "finder", "deployment.environment.name": "staging"}, "https://schema/1"),
    Resource({"service.name": 5, "deployment.environment": "test", "list": (1, 2)}),
]
SCOPES = [
    None,
    *(InstrumentationScope("my.agent", "1.2", "https://schema/2", said) for said in ({"note": 1}, {"note": 2}, None)),
    *(InstrumentationScope("my.agent", version, url) for version in (None, "", "1") for url in (None, "u")),
    InstrumentationScope(""),
    InstrumentationScope(None),  # type: ignore[arg-type]
]
events = st.builds(
    Event,
    st.sampled_from(["exception", "gen_ai.content.prompt", "first token", "\0"]),
    attributes,
    st.sampled_from([START, 0, None]),
)
times = st.sampled_from([START, START + 999, 0, -1, 2**62])
odd_times = st.sampled_from([None, 2**63, 2**62 * 1000, 2**63 * 1000, -(2**80), 1.0, True, "soon"])


def spans_of(**more: Any) -> st.SearchStrategy[ReadableSpan]:
    drawn: dict[str, Any] = {
        "name": st.sampled_from(["chat", "", "\0", "cut \ud83d"]),
        "context": contexts,
        "parent": st.none() | contexts,
        "resource": st.sampled_from(RESOURCES),
        "attributes": attributes,
        "events": st.lists(events, max_size=2).map(tuple)
        | st.lists(events, max_size=3).map(lambda each: BoundedList.from_seq(1, each)),
        "links": st.lists(st.builds(Link, contexts, attributes), max_size=2),
        "kind": st.sampled_from(SpanKind),
        "status": st.builds(Status, st.sampled_from(StatusCode))
        | st.builds(Status, st.just(StatusCode.ERROR), st.sampled_from([None, "", "it failed", "\0"])),
        "start_time": times,
        "end_time": st.none() | times,
        "instrumentation_scope": st.sampled_from(SCOPES),
    }
    return st.builds(ReadableSpan, **drawn | more)


@given(st.lists(spans_of(), max_size=5))
def test_any_spans_are_the_rows_of_their_records(spans: list[ReadableSpan]) -> None:
    agree(spans)


wrong = st.one_of(
    spans_of(start_time=odd_times),
    spans_of(end_time=odd_times),
    spans_of(context=st.none()),
    spans_of(name=st.sampled_from([None, 5])),
    spans_of(attributes=st.sampled_from([{"a": object()}, {5: 6}, {"gen_ai.prompt": object()}])),
    spans_of(instrumentation_scope=st.just(InstrumentationScope(5, [1]))),  # type: ignore[arg-type]
    spans_of(kind=st.just("internal")),
)


@given(st.lists(spans_of() | wrong, min_size=1, max_size=4))
@example([ReadableSpan("never")])
def test_spans_that_cannot_be_rows_say_what_their_records_say(spans: list[ReadableSpan]) -> None:
    agree(spans)


def test_a_time_beyond_all_calendars_and_a_span_that_never_started_are_told_as_before() -> None:
    good = ReadableSpan("good", SpanContext(1, 2, False), start_time=START, resource=RESOURCES[0])
    for late in (2**62 * 1000, 2**63 * 1000):  # the first is a number of microseconds that 64 bits hold
        far = ReadableSpan("far", SpanContext(1, 2, False), start_time=late, resource=RESOURCES[0])
        with pytest.raises(OverflowError):
            spans_table([good, far], NOW)
    for context in (None, SpanContext(1, 2, False)):
        with pytest.raises(InvalidInput, match="never started"):
            spans_table([good, ReadableSpan("never", context, resource=RESOURCES[0])], NOW)


def test_spans_do_not_lend_each_other_anything() -> None:
    def span(**more: Any) -> ReadableSpan:
        return ReadableSpan("s", SpanContext(1, 2, False), start_time=START, **{"resource": RESOURCES[0], **more})

    data = agree(
        [
            span(attributes={"gen_ai.operation.name": "chat", "colonnade.environment": "mine"}, resource=RESOURCES[1]),
            span(resource=RESOURCES[1], instrumentation_scope=SCOPES[1], status=Status(StatusCode.ERROR, "no")),
            span(resource=RESOURCES[2], instrumentation_scope=SCOPES[2]),
            span(resource=Resource({"service.name": "finder"})),
        ]
    )
    assert data.column("environment").to_pylist() == ["mine", "staging", "test", None]
    assert data.column("serviceName").to_pylist() == ["finder", "finder", "5", "finder"]
    assert data.column("spanType").to_pylist() == ["model_generation", "generic", "generic", "generic"]
    assert data.column("scope").to_pylist() == [None, "my.agent", "my.agent", None]
    assert data.column("status").to_pylist() == ['{"code":0}', '{"code":2,"message":"no"}', '{"code":0}', '{"code":0}']
    assert set(data.column("createdAt").to_pylist()) == {NOW} == set(data.column("updatedAt").to_pylist())


def test_no_spans_are_no_rows() -> None:
    assert agree([]).num_rows == 0


class Kept(SpanProcessor):
    """The spans that ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def test_a_trace_as_the_sdk_records_it() -> None:
    kept = Kept()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "finder"}),
        span_limits=SpanLimits(max_attributes=6, max_events=2),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("my.agent", "1.2", "https://schema/2")
    with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.agent.name": "Finder"}) as root:
        for turn in range(3):
            with tracer.start_as_current_span(
                "chat", kind=SpanKind.CLIENT, links=[Link(root.get_span_context())]
            ) as chat:
                chat.set_attributes({f"gen_ai.prompt.{turn}.role": "user", "gen_ai.usage.input_tokens": 7, "n": [1, 2]})
                chat.set_attribute("gen_ai.output.messages", '[{"role":"assistant","content":null}]')
                chat.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "Hi"})
        with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("execute_tool"):
            1 / 0  # noqa: B018
    data = agree(kept.spans)
    assert data.num_rows == 5
    assert data.column("inputTokens").to_pylist() == [7, 7, 7, None, None]
    assert "ZeroDivisionError" in data.column("error")[3].as_py()
