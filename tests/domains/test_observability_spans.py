"""Spans as they are written and read: their records, and the traces that they make up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import InvalidInput, InvalidRows
from colonnade.schemas import SPANS

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NOON_NS = 1_769_860_800_000_000_000
WIDE = {"input", "output", "attributes", "events", "links", "other"}


def span(span_id: str = "root", trace_id: str = "t1", **more: Any) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": span_id, "name": "chat", "startedAt": NOON, **more}


def keep(storage: Any, *spans: dict[str, Any]) -> None:
    storage.observability.batch_create_spans(records=spans)


def read(storage: Any, span_id: str = "root", trace_id: str = "t1") -> Any:
    return storage.observability.get_span(trace_id=trace_id, span_id=span_id)["span"]


FULL: dict[str, Any] = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "parentSpanId": "00f067aa0ba902b7",
    "name": "chat gpt-5",
    "scope": {"name": "openinference", "version": "1.2", "attributes": {"deep": [1, 2.5, None]}},
    "spanType": "model_generation",
    "kind": 2,
    "isEvent": False,
    "startedAt": NOON,
    "endedAt": NOON + timedelta(microseconds=1_500_001),
    "startTime": NOON_NS + 7,
    "endTime": NOON_NS + 1_500_001_999,
    "status": {"code": 1, "message": "fine"},
    "error": {"message": "rate limit", "code": 429},
    "provider": "openai",
    "model": "gpt-5",
    "inputTokens": 2**53 + 1,
    "outputTokens": 12,
    "cachedTokens": 3,
    "reasoningTokens": 4,
    "cost": 0.1,
    "entityType": "agent",
    "entityId": "weather-agent",
    "entityName": "Weather",
    "userId": "ada",
    "organizationId": "acme",
    "resourceId": "ada",
    "runId": "run-1",
    "sessionId": "session-1",
    "threadId": "thread-1",
    "requestId": "request-1",
    "environment": "production",
    "source": "cloud",
    "serviceName": "api",
    "tags": ["a", "b"],
    "metadata": {"plan": "pro", "n": 1},
    "attributes": {"gen_ai.request.temperature": 0.2},
    "events": [{"name": "first token", "time": 3}],
    "links": [{"traceId": "x", "spanId": "y"}],
    "other": {"droppedAttributesCount": 1},
    "input": "just text",
    "output": [{"role": "assistant", "content": "Grüße \0 \ud800"}],
    "createdAt": NOON - timedelta(days=1),
    "updatedAt": NOON - timedelta(hours=1),
}


def test_what_was_written_is_what_is_read(storage: Any) -> None:
    storage.observability.create_span(span=FULL)

    found = storage.observability.get_span(trace_id=FULL["traceId"], span_id=FULL["spanId"])

    assert found == {"span": FULL}
    assert FULL.keys() == SPANS.columns.keys() - {"instrumentationScope"}  # FULL has every field


def test_a_record_that_was_read_can_be_written_again(storage: Any) -> None:
    storage.observability.create_span(span=span(scope={"version": 2}))
    before = read(storage)

    storage.observability.create_span(span=before)

    assert read(storage) == before


def test_defaults_of_a_new_span(storage: Any) -> None:
    before = datetime.now(UTC)
    storage.observability.create_span(span=span())

    found = read(storage)

    given = {"traceId", "spanId", "name", "startedAt", "startTime"}
    defaults = {"kind": 0, "isEvent": False, "spanType": "generic"}
    assert {name: found[name] for name in defaults} == defaults
    assert before - timedelta(seconds=1) <= found["createdAt"] == found["updatedAt"] <= datetime.now(UTC)
    rest = found.keys() - given - defaults.keys() - {"createdAt", "updatedAt"}
    assert {found[name] for name in rest} == {None}


def test_None_is_as_if_a_field_were_not_given(storage: Any) -> None:
    nothing: dict[str, Any] = {
        "kind": None,
        "isEvent": None,
        "spanType": None,
        "createdAt": None,
        "updatedAt": None,
        "endedAt": None,
    }

    storage.observability.create_span(span=span(**nothing))

    found = read(storage)
    assert (found["kind"], found["isEvent"], found["spanType"], found["endedAt"]) == (0, False, "generic", None)
    assert found["createdAt"] is not None


@pytest.mark.parametrize("value", ["text", 7, 2.5, True, None, [1, None], {"a": {"b": []}}])
def test_input_and_output_are_any_json_scalars_too(storage: Any, value: Any) -> None:
    storage.observability.create_span(span=span(input=value, output=value, error=value))

    found = read(storage)
    assert (found["input"], found["output"], found["error"]) == (value, value, value)
    assert type(found["input"]) is type(value)


@pytest.mark.parametrize("trace_id", ["t", "an id with 'quotes\" and ; drop", "ß/?", "x" * 500])
def test_ids_may_be_any_text(storage: Any, trace_id: str) -> None:
    keep(storage, span(trace_id, trace_id), span("other", "other"))

    assert read(storage, trace_id, trace_id)["traceId"] == trace_id


# --- scope ---


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("lib", "lib"),
        ({"name": "lib", "version": "1"}, "lib"),
        ({"version": "1"}, None),
        ({"name": 3}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_scope_comes_back_as_it_was_given_and_its_name_is_a_column(storage: Any, scope: Any, name: Any) -> None:
    storage.observability.create_span(span=span(scope=scope))

    assert read(storage)["scope"] == scope
    assert "instrumentationScope" not in read(storage)
    assert storage.queries.trace(trace_id="t1").column("scope").to_pylist() == [name]


def test_a_later_scope_replaces_an_object_wholly(storage: Any) -> None:
    storage.observability.create_span(span=span(scope={"name": "lib", "version": "1"}))
    storage.observability.create_span(span=span(scope="plain"))

    assert read(storage)["scope"] == "plain"


# --- times ---


def test_nanoseconds_follow_from_the_time(storage: Any) -> None:
    storage.observability.create_span(span=span(startedAt=NOON, endedAt="2026-01-31T13:00:00.000001+01:00"))

    found = read(storage)
    assert (found["startTime"], found["endTime"]) == (NOON_NS, NOON_NS + 1000)
    assert found["endedAt"] == NOON + timedelta(microseconds=1)


def test_the_time_follows_from_nanoseconds(storage: Any) -> None:
    record = {"traceId": "t1", "spanId": "root", "name": "chat", "startTime": NOON_NS + 1999, "endTime": NOON_NS - 1}

    storage.observability.create_span(span=record)

    found = read(storage)
    assert found["startedAt"] == NOON + timedelta(microseconds=1)
    assert found["endedAt"] == NOON - timedelta(microseconds=1)
    assert (found["startTime"], found["endTime"]) == (NOON_NS + 1999, NOON_NS - 1)


def test_a_time_and_nanoseconds_that_are_both_given_are_both_kept(storage: Any) -> None:
    storage.observability.create_span(span=span(startTime=NOON_NS + 123, startedAt=NOON))

    assert (read(storage)["startTime"], read(storage)["startedAt"]) == (NOON_NS + 123, NOON)


def test_times_before_1970(storage: Any) -> None:
    storage.observability.create_span(span=span(startedAt=datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)))

    assert read(storage)["startTime"] == -1000


# --- what is refused ---


def test_all_problems_of_all_records_are_reported_at_once_and_nothing_is_written(storage: Any) -> None:
    bad = [
        span("fine"),
        {"spanId": "a", "name": "x", "startedAt": NOON},
        span("b", startedAt=datetime(2026, 1, 1)),
        span("c", startedAt=None),
        span("d", startTime="soon", startedAt=None),
        span("e", scope=7, nmae="chat"),
        span("f", cost=float("nan"), parentSpanId="\0"),
    ]

    with pytest.raises(InvalidRows) as refused:
        keep(storage, *bad)

    assert {(problem.row, problem.field) for problem in refused.value.problems} == {
        (1, "traceId"),
        (2, "startedAt"),
        (3, "startedAt"),
        (3, "startTime"),
        (4, "startTime"),
        (5, "scope"),
        (5, "nmae"),
        (6, "cost"),
        (6, "parentSpanId"),
    }
    assert storage.observability.get_trace(trace_id="t1") is None


@pytest.mark.above_the_waist
def test_a_naive_time_is_refused_with_the_aware_form(storage: Any) -> None:
    with pytest.raises(InvalidInput, match=r"tzinfo=timezone\.utc"):
        storage.observability.create_span(span=span(endedAt="2026-01-31T12:00:00"))


@pytest.mark.above_the_waist
def test_a_record_that_is_no_object_is_refused(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="not a dict"):
        keep(storage, span(), ["traceId"])  # type: ignore[arg-type]


# --- writing again ---


def test_no_records_are_ok(storage: Any) -> None:
    keep(storage)

    assert storage.observability.list_traces()["spans"] == []


def test_create_span_again_overwrites(storage: Any) -> None:
    storage.observability.create_span(span=span(input="before", metadata={"a": 1}))
    storage.observability.create_span(span=span(input="after"))

    found = storage.observability.get_trace(trace_id="t1")["spans"]
    assert [(one["input"], one["metadata"]) for one in found] == [("after", None)]


def test_an_ended_copy_is_never_replaced_by_one_still_running(storage: Any) -> None:
    storage.observability.create_span(span=span(endedAt=NOON, output="done"))
    storage.observability.create_span(span=span(output="late"))
    keep(storage, span(output="later"))

    assert (read(storage)["endedAt"], read(storage)["output"]) == (NOON, "done")


def test_of_two_ended_copies_the_later_write_wins(storage: Any) -> None:
    storage.observability.create_span(span=span(endedAt=NOON + timedelta(hours=1), output="first"))
    storage.observability.create_span(span=span(endedAt=NOON, output="second"))

    assert read(storage)["output"] == "second"


def test_the_copies_of_a_span_within_one_batch_follow_the_same_rule(storage: Any) -> None:
    keep(
        storage, span(name="1"), span(name="2", endedAt=NOON), span(name="3"), span("b", name="4"), span("b", name="5")
    )

    assert (read(storage)["name"], read(storage, "b")["name"]) == ("2", "5")


# --- reading ---


def test_what_is_not_there_is_None(storage: Any) -> None:
    keep(storage, span("child", parentSpanId="gone"))

    assert storage.observability.get_span(trace_id="t1", span_id="root") is None
    assert storage.observability.get_span(trace_id="t2", span_id="child") is None
    assert storage.observability.get_root_span(trace_id="t1") is None  # all its spans have parents
    assert storage.observability.get_trace(trace_id="t2") is None
    assert storage.observability.get_trace_light(trace_id="t2") is None


def test_the_root_span_has_no_parent(storage: Any) -> None:
    early = NOON - timedelta(minutes=1)
    keep(storage, span("child", parentSpanId="root", startedAt=early), span("root"), span("r", "t2", startedAt=early))

    assert storage.observability.get_root_span(trace_id="t1") == {"span": read(storage)}


def test_of_several_roots_the_first_that_started(storage: Any) -> None:
    later = NOON + timedelta(microseconds=1)
    keep(storage, span("a", startedAt=later), span("c"), span("b"))

    assert storage.observability.get_root_span(trace_id="t1")["span"]["spanId"] == "b"


def test_get_trace_is_in_the_order_of_starts_then_of_span_ids(storage: Any) -> None:
    later = NOON + timedelta(microseconds=1)
    keep(storage, span("c"), span("a", startedAt=later), span("b", parentSpanId="c"), span("x", "t2"))

    trace = storage.observability.get_trace(trace_id="t1")

    assert trace["traceId"] == "t1"
    assert [one["spanId"] for one in trace["spans"]] == ["b", "c", "a"]
    assert trace["spans"][0] == read(storage, "b")


def test_get_trace_light_leaves_out_what_may_be_wide(storage: Any) -> None:
    keep(storage, span("b", input="wide", metadata={"k": 1}, scope={"v": 1}), span("a"))

    light = storage.observability.get_trace_light(trace_id="t1")
    full = storage.observability.get_trace(trace_id="t1")

    assert light == {
        "traceId": "t1",
        "spans": [{name: value for name, value in one.items() if name not in WIDE} for one in full["spans"]],
    }
    assert light["spans"][1]["scope"] == {"v": 1}


def test_get_spans_gives_the_asked_spans_of_one_trace(storage: Any) -> None:
    keep(storage, span("a"), span("b"), span("c"), span("a", "t2"))

    found = storage.observability.get_spans(trace_id="t1", span_ids=["c", "gone", "a", "c"])

    assert found == {"traceId": "t1", "spans": [read(storage, "a"), read(storage, "c")]}
    assert storage.observability.get_spans(trace_id="t1", span_ids=[]) == {"traceId": "t1", "spans": []}
    with pytest.raises(InvalidInput, match="span_ids must be a list"):
        storage.observability.get_spans(trace_id="t1", span_ids="abc")


# --- the domain ---


def test_tracing_strategy_is_a_plain_property(storage: Any) -> None:
    assert storage.observability.tracing_strategy == {
        "preferred": "batch-with-updates",
        "supported": ["realtime", "batch-with-updates", "insert-only"],
    }


def test_init_twice_keeps_everything_and_clearing_nothing(storage: Any) -> None:
    keep(storage, span())
    storage.observability.init()
    storage.observability.init()
    assert read(storage)["spanId"] == "root"

    storage.observability.dangerously_clear_all()

    assert storage.observability.get_trace(trace_id="t1") is None
