"""Values that show themselves, asked of every store in both colours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import colonnade
from colonnade.display.notebook import HTML, PLAIN

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_trace_has_its_spans_and_their_scores(storage: Any) -> None:
    span = {"name": "chat", "spanType": "model_generation", "endedAt": NOON + timedelta(hours=1)}
    records = [
        span | {"traceId": trace, "spanId": id, "startedAt": NOON + timedelta(seconds=ord(id)), "input": "in " + id}
        for trace, id in (("t", "b"), ("t", "a"), ("other", "a"))
    ]
    storage.observability.batch_create_spans(records=records)
    kept = {"scorer": {}, "source": "LIVE", "output": {}, "runId": "r", "entityId": "e", "entity": {}}
    for trace, value in (("t", 0.5), ("other", 0.75), ("t", 0.25)):
        storage.scores.save_score(score=kept | {"scorerId": "polite", "score": value, "traceId": trace})
    trace = storage.trace("t")
    assert repr(trace) == "<Trace t: 2 spans>"
    assert trace.spans["spanId"].to_pylist() == ["a", "b"]
    assert trace.spans["input"].to_pylist() == ['"in a"', '"in b"']
    assert trace.scores["score"].to_pylist() == [0.5, 0.25]
    assert "input" not in storage.trace("t", payloads=False).spans.column_names
    bundle = trace._repr_mimebundle_()
    assert "polite <b>0.25</b>" in bundle[HTML]
    assert bundle[PLAIN] == str(trace)


def test_a_thread_has_its_messages(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Order 17"})
    said = [("user", "Where is it?"), ("assistant", {"format": 2, "parts": [{"type": "text", "text": "On its way."}]})]
    messages = [
        {"id": f"m{place}", "threadId": "t1", "resourceId": "ada", "role": role, "content": content}
        | {"createdAt": NOON + timedelta(minutes=place)}
        for place, (role, content) in enumerate(said)
    ]
    storage.memory.save_messages(messages=messages[::-1])
    thread = storage.thread("t1")
    assert repr(thread) == "<Thread t1: 2 messages>"
    assert thread.messages["id"].to_pylist() == ["m0", "m1"]
    bundle = thread._repr_mimebundle_()
    for form in (HTML, PLAIN):
        for text in ("Order 17", "Where is it?", "On its way.", "user", "assistant", "2026-01-31 12:00:00"):
            assert text in bundle[form]
    assert str(storage.thread("t2")).startswith("No thread t2 is kept here.")


def test_a_trace_is_shown_where_nobody_keeps_scores() -> None:
    from colonnade.engine.stores.memory import MemoryStore

    with colonnade.Storage(observability=MemoryStore()) as store:
        store.observability.create_span(
            span={"traceId": "t", "spanId": "1", "name": "n", "spanType": "generic", "startedAt": NOON}
        )
        assert store.trace("t").spans.num_rows == 1
        assert store.trace("t").scores.num_rows == 0
