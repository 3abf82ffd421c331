"""The data that the question fixtures ask about: a dozen rows a table, chosen for what stores get wrong.

``WRITES`` is put in its order, since some questions are about what a second ``Put`` of the same key leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from colonnade.schemas import EVALS, MESSAGES, RESOURCES, SCORES, SPANS, THREADS, VECTORS, WORKFLOWS
from colonnade.schemas.records import Record
from colonnade.schemas.table import Table

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
BEFORE_1970: Final = datetime(1970, 1, 1, tzinfo=UTC) - TICK

SQL_ID: Final = "x' OR '1'='1"
JSON_ID: Final = '{"a\\b": ["$.c[0]"]}'

RUNS: Final = (UUID(int=1), UUID(int=0x550E8400E29B41D4A716446655440000), UUID(int=2**128 - 1))


def _thread(id: str, resource: str, title: str, metadata: Mapping[str, Any] | None, minutes: int) -> Record:
    made = NOON + minutes * MINUTE
    named = {"id": id, "resourceId": resource, "title": title, "metadata": metadata}
    return named | {"createdAt": made, "updatedAt": made}


def _message(id: str, thread: str, role: str, at: datetime, text: str = "") -> Record:
    content = {"format": 2, "parts": [], "content": text}
    return {"id": id, "threadId": thread, "role": role, "type": "v2", "content": content, "createdAt": at}


def _run(workflow: str, run: str, status: str, at: datetime, resource: str | None = None) -> Record:
    state = {"status": status, "context": {"input": {"n": 2**53 + 1}}}
    named = {"workflowName": workflow, "runId": run, "resourceId": resource}
    return named | {"snapshot": state, "createdAt": at, "updatedAt": at}


def _span(
    trace: str, span: str, name: str, start: datetime, parent: str | None = None, *, ends: bool = True, **more: Any
) -> Record:
    known: Record = {"traceId": trace, "spanId": span, "parentSpanId": parent, "name": name, "startedAt": start}
    known |= {"spanType": "generic", "kind": 0, "isEvent": False, "createdAt": NOON}
    known |= {"startTime": (start - datetime(1970, 1, 1, tzinfo=UTC)) // TICK * 1000}
    return known | {"endedAt": start + timedelta(seconds=1) if ends else None} | more


def _chat(trace: str, span: str, minutes: int, model: str, cost: float | None, tokens: int, **more: Any) -> Record:
    start = NOON + minutes * MINUTE
    return _span(trace, span, "chat", start, "1", model=model, cost=cost, inputTokens=tokens, **more)


def _score(
    id: str, score: float, reason: str | None, trial: int | None, batch: str | None, trace: str | None = None
) -> Record:
    about = {"scorerId": "judge", "runId": id, "scorer": {"name": "judge"}, "output": {"text": "yes"}, "source": "TEST"}
    given = {"score": score, "reason": reason, "trial": trial, "batchId": batch, "traceId": trace}
    return {"id": id} | about | given | {"createdAt": NOON, "updatedAt": NOON}


def _eval(id: str, run: UUID, metric: str) -> Record:
    said = {"input": "2+2", "output": "4", "result": {"score": 1}, "instructions": "Add.", "testInfo": {"path": "a/b"}}
    ids = {"id": id, "agentName": "adder", "metricName": metric, "globalRunId": RUNS[1], "runId": run}
    return ids | said | {"createdAt": NOON}


def _resource(id: str, memory: str | None, metadata: Mapping[str, Any] | None, minutes: int) -> Record:
    made = NOON + minutes * MINUTE
    return {"id": id, "workingMemory": memory, "metadata": metadata, "createdAt": made, "updatedAt": made}


def _vector(id: str, thread: str, *numbers: float) -> Record:
    named = {"id": id, "messageId": id, "threadId": thread, "resourceId": None, "piece": 0, "model": ""}
    return named | {"createdAt": NOON, "embedding": list(numbers)}


_THREADS: Final = (
    _thread("t01", "ada", "Zebra", {"plan": "pro", "n": 1}, 0),
    _thread("t02", "ada", "apple", {"plan": "pro", "n": "1"}, 1),
    _thread("t03", "ada", "\xe9lan", {"plan": "free", "n": True}, 2),
    _thread("t04", "ada", "e\u0301lan", {"n": 1.0}, 3),
    _thread("t05", "ada", "\U0001f600", {"n": None}, 4),
    _thread("t06", "bob", "\uff21", {"user": {"plan": "pro", "tags": ["a", "b"]}, "tags": ["red", "100%"]}, 5),
    _thread("t07", "bob", "apple", {"user": {"tags": ["a", "b"], "plan": "pro"}, "tags": ["blue"]}, 5),
    _thread("t08", "bob", "", {"user": {"plan": "pro", "tags": ["b", "a"]}, "tags": "red"}, 6),
    _thread("t09", "bob", "a", {}, 7),
    _thread("t10", "bob", "A", None, 8),
    _thread(SQL_ID, "100%", "100%", {"a.b": 1, "$where": 2, 'say "hi"': 3, "n": 2**53 + 1}, 9),
    _thread(JSON_ID, "1000", "a ", {"n": 2**53, "user": {"plan": None}}, 10),
)

_MESSAGES: Final = (
    _message("m1", "t01", "user", NOON - TICK),
    _message("m2", "t01", "assistant", NOON),
    _message("m3", "t01", "user", NOON + TICK),
    _message("m4", "t02", "user", NOON + HOUR),
    _message("m5", "t02", "tool", NOON + HOUR),
    _message("m6", "t06", "tool", NOON + 2 * HOUR),
    _message("m7", SQL_ID, "user", NOON + 3 * HOUR),
    _message("m8", "t01", "assistant", NOON + 4 * HOUR, "first"),
)
_MESSAGES_AGAIN: Final = (
    _message("m8", "t01", "assistant", NOON + 5 * HOUR, "second"),
    _message("m9", "t01", "assistant", NOON + 6 * HOUR, "first"),
    _message("m9", "t01", "assistant", NOON + 7 * HOUR, "second"),
)

_RUNS: Final = (
    _run("flow", "r1", "suspended", NOON, "ada"),
    _run("flow", "r2", "running", NOON),
    _run("Flow", "r1", "running", NOON, "ada"),
)
_RUNS_AGAIN: Final = (_run("flow", "r1", "success", NOON + HOUR, "ada"),)

_SPANS: Final = (
    _span("a", "1", "agent", NOON, threadId="t01"),
    _chat("a", "2", 1, "small", 0.25, 100),
    _chat("a", "3", 2, "small", 0.5, 2**53 + 1),
    _span("a", "4", "tool", NOON + 2 * MINUTE, "3"),
    _span("b", "1", "agent", NOON + HOUR, threadId="t06"),
    _chat("b", "2", 61, "large", 1.0, 2**63 - 1),
    _chat("b", "3", 62, "large", None, -(2**63), ends=False),
    _chat("b", "4", 62, "large", 0.1234567890123, 0),
    _span("d", "1", "agent", BEFORE_1970),
    _span(SQL_ID, JSON_ID, "100%", NOON + 24 * HOUR),
)

_DAYS: Final = NOON + 48 * HOUR
_RUNNING: Final = (
    _span("f", "1", "running", _DAYS, ends=False),
    _span("f", "2", "ended", _DAYS),
    _span("f", "4", "running", _DAYS, ends=False),
)
_ENDED: Final = (
    _span("f", "1", "ended", _DAYS),
    _span("f", "2", "ended again", _DAYS),
    _span("f", "3", "ended", _DAYS),
    _span("f", "3", "late", _DAYS, ends=False),
    _span("f", "4", "running again", _DAYS, ends=False),
)
_LATE: Final = (_span("f", "1", "late", _DAYS, ends=False),)

_SCORES: Final = (
    _score("s1", 0.1234567890123, "good", 0, "b1", "a"),
    _score("s2", 0.1 + 0.2, "bad", 1, "b1", "b"),
    _score("s3", 5e-324, None, None, "b1"),
    _score("s4", 1.7976931348623157e308, "good", 2**31 - 1, "b2", "nowhere"),
    _score("s5", -0.5, None, -(2**31), None),
    _score("s6", 1.0, "Good", 0, None),
    _score("s7", 1.0, "good", None, "b2"),
)

_EVALS: Final = (
    _eval("e1", RUNS[0], "Faithfulness"),
    _eval("e2", RUNS[1], "Bias"),
    _eval("e3", RUNS[2], "Bias"),
)

_RESOURCES: Final = (
    _resource("r1", "Refund denied", None, 0),
    _resource("r2", "refund, refund DENIED: refund_policy", None, 1),
    _resource("r3", "refunds are denied", None, 2),
    _resource("r4", None, {"note": "refund", "refund": "x", "list": ["denied\nnow"]}, 3),
    _resource("r5", "", {"denied": "refund"}, 4),
    _resource("r6", "\xc9clair \0 \xc9T\xc9", None, 5),
    _resource("r7", "100% \u9000\u6b3e \u62d2\u7edd", None, 6),
    _resource("r8", "refund denied", None, 7),
)

_VECTORS: Final = (
    _vector("v1", "t01", 1.0, 0.0),
    _vector("v2", "t02", 2.0, 2.0),
    _vector("v3", "t01", -1.0, 0.0),
    _vector("v4", "t01", 0.0, 0.0),
    _vector("v5", "t01", 1.0, 0.0, 0.0),
    _vector("v6", "t01", 3.0, 0.0),
)

WRITES: Final[Sequence[tuple[Table, Sequence[Record]]]] = (
    (THREADS, _THREADS),
    (MESSAGES, _MESSAGES),
    (MESSAGES, _MESSAGES_AGAIN),
    (WORKFLOWS, _RUNS),
    (WORKFLOWS, _RUNS_AGAIN),
    (SPANS, _SPANS),
    (SPANS, _RUNNING),
    (SPANS, _ENDED),
    (SPANS, _LATE),
    (SCORES, _SCORES),
    (EVALS, _EVALS),
    (RESOURCES, _RESOURCES),
    (VECTORS, _VECTORS),
)
"""Tables with the records to put into them, one ``Put`` each."""
