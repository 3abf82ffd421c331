"""Bad input and strange input, through the public face: a clear error or correct storage, and the store as it was."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from colonnade.engine.plan import Scan
from colonnade.errors import ColonnadeError, InvalidInput, InvalidRows
from colonnade.schemas import STORED

INJECTION = "x' OR '1'='1"
WHEN = "2026-01-01T00:00:00Z"
MESSAGE = {"id": "m1", "threadId": "t1", "resourceId": "ada", "role": "user", "content": {"format": 2, "parts": []}}
SPAN = {"traceId": "t", "spanId": "s", "name": "chat", "startedAt": WHEN}
SCORE = {
    "scorerId": "reward",
    "entityId": "e",
    "entity": {},
    "runId": "r",
    "scorer": {},
    "output": "",
    "source": "TEST",
    "score": 1.0,
}


def contents(storage: Any) -> dict[str, pa.Table]:
    """Everything that is kept."""
    return {
        table.name: storage.execute(Scan(table)).sort_by([(name, "ascending") for name in table.key])
        for table in STORED
    }


@pytest.fixture
def filled(storage: Any) -> Any:
    """A storage with a row or two in it, which must be there afterwards."""
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Hello", "metadata": {"plan": "free"}})
    storage.memory.save_messages(messages=[{**MESSAGE, "id": "m0"}])
    storage.observability.create_span(span={**SPAN, "spanId": "s0"})
    return storage


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a missing resourceId": (
        lambda s: s.memory.save_messages(messages=[MESSAGE, {**MESSAGE, "id": "m2", "resourceId": None}]),
        r"row 1: resourceId is required",
    ),
    "a missing threadId among good messages": (
        lambda s: s.memory.save_messages(messages=[{k: v for k, v in MESSAGE.items() if k != "threadId"}, MESSAGE]),
        r"row 0: threadId is required",
    ),
    "an unknown field": (
        lambda s: s.memory.save_messages(messages=[{**MESSAGE, "thread_id": "t1"}]),
        r"thread_id is unknown.*did you mean 'threadId'",
    ),
    "an unknown column of a span": (
        lambda s: s.observability.create_span(span={**SPAN, "parentSpan": "x"}),
        r"parentSpan is unknown.*did you mean 'parentSpanId'",
    ),
    "NaN in a number": (
        lambda s: s.scores.save_score(score={**SCORE, "score": math.nan}),
        "score must be a finite number",
    ),
    "NaN in the cost of a span": (
        lambda s: s.observability.batch_create_spans(records=[SPAN, {**SPAN, "spanId": "s2", "cost": math.nan}]),
        "row 1: cost must be a finite number",
    ),
    "NUL in an id": (lambda s: s.memory.save_messages(messages=[{**MESSAGE, "id": "m\0"}]), "id holds a NUL"),
    "NUL in a trace id": (
        lambda s: s.observability.create_span(span={**SPAN, "traceId": "t\0"}),
        "traceId holds a NUL",
    ),
    "a lone surrogate in an id": (
        lambda s: s.memory.save_thread(thread={"id": "\ud800", "resourceId": "ada"}),
        "lone surrogate",
    ),
    "an empty id": (lambda s: s.memory.save_thread(thread={"id": "", "resourceId": "ada"}), "id must not be empty"),
    "a negative page": (lambda s: s.memory.list_messages(thread_id="t1", page=-1), "page must be >= 0"),
    "a negative number of rows": (lambda s: s.memory.list_threads(per_page=-1), "per_page must be >= 0"),
    "a page of everything": (
        lambda s: s.memory.list_messages(thread_id="t1", page=1, per_page=False),
        "page must be 0",
    ),
    "a negative page of traces": (lambda s: s.observability.list_traces(pagination={"page": -1}), "page"),
    "a filter on __proto__": (
        lambda s: s.memory.list_threads(filter={"metadata": {"__proto__": "x"}}),
        "Invalid metadata key: .__proto__",
    ),
    "a naive datetime": (
        lambda s: s.observability.create_span(span={**SPAN, "startedAt": datetime(2026, 1, 1)}),
        r"naive datetime.*tzinfo=timezone\.utc",
    ),
    "a time without an offset": (
        lambda s: s.observability.create_span(span={**SPAN, "startedAt": "2026-01-01T00:00:00"}),
        r"naive datetime.*2026-01-31T12:00:00Z",
    ),
    "a number beyond 64 bits": (
        lambda s: s.observability.create_span(span={**SPAN, "inputTokens": 2**63}),
        "inputTokens is out of range",
    ),
    "text for a number": (
        lambda s: s.scores.save_score(score={**SCORE, "score": "0.5"}),
        "score must be a number, not str",
    ),
    "a truth value for a number": (lambda s: s.scores.save_score(score={**SCORE, "score": True}), "not bool"),
    "what JSON has no form for": (
        lambda s: s.memory.save_messages(messages=[{**MESSAGE, "content": object()}]),
        "content object has no JSON form",
    ),
    "no dict at all": (lambda s: s.memory.save_messages(messages=["hello"]), "row 0 is a str, not a dict"),
    "a run id that is no UUID": (
        lambda s: s.scores.save_evals(
            evals=[
                {
                    "input": "",
                    "output": "",
                    "result": {},
                    "agentName": "a",
                    "metricName": "m",
                    "instructions": "",
                    "runId": INJECTION,
                    "globalRunId": INJECTION,
                }
            ]
        ),
        "must be a UUID like",
    ),
}


@pytest.mark.above_the_waist
@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_with_a_clear_error_and_nothing_changes(filled: Any, what: str) -> None:
    call, said = BAD[what]
    before = contents(filled)
    with pytest.raises(InvalidInput, match=said):
        call(filled)
    after = contents(filled)
    assert {name: rows.equals(after[name]) for name, rows in before.items()} == dict.fromkeys(before, True)


@pytest.mark.above_the_waist
def test_all_bad_rows_are_reported_at_once(filled: Any) -> None:
    rows = [{**MESSAGE, "id": ""}, MESSAGE, {**MESSAGE, "threadId": 7, "when": "now"}]
    with pytest.raises(InvalidRows) as refused:
        filled.memory.save_messages(messages=rows)
    assert [(problem.row, problem.field) for problem in refused.value.problems] == [
        (0, "id"),
        (2, "when"),
        (2, "threadId"),
    ]


@pytest.mark.parametrize(
    "id", [INJECTION, "%", "_", "a\\b", '"quoted"', "'; drop table threads; --", "é🙂", "\u202eabc", "$where"]
)
def test_an_id_is_an_id_whatever_it_looks_like(filled: Any, id: str) -> None:
    assert filled.memory.get_thread_by_id(thread_id=id) is None
    assert filled.memory.list_messages(thread_id=id)["total"] == 0
    assert filled.observability.get_trace(trace_id=id) is None
    filled.memory.delete_thread(thread_id=id)
    assert filled.memory.list_threads()["total"] == 1

    filled.memory.save_thread(thread={"id": id, "resourceId": id})
    filled.memory.save_messages(messages=[{**MESSAGE, "id": id, "threadId": id, "resourceId": id}])
    filled.observability.create_span(span={**SPAN, "traceId": id, "spanId": id, "metadata": {id: id}, "tags": [id]})
    assert filled.memory.get_thread_by_id(thread_id=id)["resourceId"] == id
    assert [m["id"] for m in filled.memory.list_messages(thread_id=id)["messages"]] == [id]
    for filters in ({"metadata": {id: id}}, {"tags": [id]}):
        assert [s["spanId"] for s in filled.observability.list_traces(filters=filters)["spans"]] == [id]
    filled.memory.delete_thread(thread_id=id)
    assert [t["id"] for t in filled.memory.list_threads()["threads"]] == ["t1"]


def test_a_metadata_key_proto_is_kept_like_any_other(filled: Any) -> None:
    metadata = {"__proto__": {"admin": True}, "constructor": "x"}
    filled.memory.save_thread(thread={"id": "t2", "resourceId": "ada", "metadata": metadata})
    assert filled.memory.get_thread_by_id(thread_id="t2")["metadata"] == metadata


def test_a_message_of_five_megabytes_comes_back_whole_or_is_refused(filled: Any) -> None:
    content = {"format": 2, "parts": [{"type": "text", "text": "é\0" + "x" * 5_000_000}]}
    store = filled.stores[0]
    served = type(store).__module__.endswith(("libsql.store", "d1.store")) and "://" in store.label
    if served:  # which take four and two at most
        with pytest.raises(ColonnadeError, match=r"larger.* nothing was written"):
            filled.memory.save_messages(messages=[{**MESSAGE, "content": content}])
        assert filled.memory.list_messages_by_id(message_ids=["m0", "m1"])["messages"][0]["id"] == "m0"
        return
    filled.memory.save_messages(messages=[{**MESSAGE, "content": content}])
    (found,) = filled.memory.list_messages_by_id(message_ids=["m1"])["messages"]
    assert found["content"] == content


@pytest.mark.parametrize(
    "payload",
    ["a\0b", "cut \ud83d", "\ufdd0", [math.inf, -math.inf], {"k\0": {"\ud800": [1, 2.5, None, True, 2**80]}}, 0, ""],
)
def test_a_payload_is_never_refused_for_what_it_says(filled: Any, payload: Any) -> None:
    filled.observability.create_span(
        span={**SPAN, "input": payload, "output": payload, "attributes": {"a": payload}, "metadata": {"a": payload}}
    )
    span = filled.observability.get_span(trace_id="t", span_id="s")["span"]
    assert span["input"] == span["output"] == payload
    assert span["attributes"] == span["metadata"] == {"a": payload}


def test_not_a_number_inside_a_payload(filled: Any) -> None:
    filled.observability.create_span(span={**SPAN, "output": {"loss": math.nan}})
    assert math.isnan(filled.observability.get_span(trace_id="t", span_id="s")["span"]["output"]["loss"])
