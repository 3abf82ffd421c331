"""Aggregates of spans and messages, against numbers counted by hand, on every store; and against a naive count."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import Plan, Scan, Summarize
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(trace: str, number: str, begin: float, end: float | None, **more: Any) -> dict[str, Any]:
    """A span that began and ended so many seconds after noon."""
    ended = None if end is None else NOON + timedelta(seconds=end)
    given = {"traceId": trace, "spanId": number, "startedAt": NOON + timedelta(seconds=begin), "endedAt": ended}
    return {**given, "name": "step", **more}


TIMEOUT = {"type": "acme.net.Timeout", "message": "too  late"}
AGENT = {"name": "agent", "spanType": "agent_run"}
CHAT = {"name": "chat", "spanType": "model_generation", "parentSpanId": "1", "threadId": "t1", "resourceId": "ada"}
FIND = {"name": "find", "spanType": "tool_call", "parentSpanId": "1"}
PAY = {"name": "pay", "spanType": "mcp_tool_call", "parentSpanId": "1"}
SPANS = [
    # a: 10 s, one call of a tool failed; the agent states a model and its own sum
    span("a", "1", 0, 10, **AGENT, model="big", inputTokens=999, cost=9.0),
    span("a", "2", 0, 1, **CHAT, model="big", inputTokens=100, outputTokens=10, cost=0.5),
    span("a", "3", 1, 5, **FIND, error=TIMEOUT),
    span("a", "4", 5, 8, **CHAT, model="big", inputTokens=200, outputTokens=20, cost=0.25),
    # b: two hours later, 4 s; one tool fails twice, one call of it still runs
    span("b", "1", 7200, 7204, **AGENT),
    span("b", "2", 7200, 7202, **{**CHAT, "threadId": "t2"}, model="small", inputTokens=50),
    span("b", "3", 7201, 7202, **FIND, error=TIMEOUT),
    span("b", "4", 7202, 7203, **FIND, error={"message": "refused"}),
    span("b", "5", 7203, None, **FIND),
    span("b", "6", 7203, 7204, **PAY),
    # c: still running, and without a call of a model
    span("c", "1", 7300, None, **AGENT),
    # d: only a part of a trace, whose root is not there
    span("d", "2", 7400, 7401, name="lost", parentSpanId="1", error="gone"),
]
MESSAGES = [
    {"id": f"m{number}", "threadId": thread, "resourceId": "ada", "role": "user", "content": "hi", "createdAt": time}
    for number, (thread, time) in enumerate(
        [("t1", NOON - HOUR), ("t1", NOON), ("t3", NOON + 3 * HOUR)],
    )
]


def test_aggregates_as_they_are_counted_by_hand(storage: Any) -> None:
    # One storage for all of them: a new one on each store for each question would take a minute.
    storage.observability.batch_create_spans(records=SPANS)
    storage.memory.save_messages(messages=MESSAGES)
    for check in (usage, latencies, errors, tools, slow, failing, threads, critical, profiled):
        check(storage.queries)


def usage(ask: Any) -> None:
    names = ["startedAt", "model", "calls", "inputTokens", "cost", "p50LatencyMs"]
    assert ask.usage(every="1h").select(names).to_pylist() == [
        dict(zip(names, row, strict=True))
        for row in [
            (NOON, "big", 2, 300, 0.75, 2000.0),  # and not the agent's own sum
            (NOON, "small", 0, None, None, None),
            (NOON + HOUR, "big", 0, None, None, None),
            (NOON + HOUR, "small", 0, None, None, None),
            (NOON + 2 * HOUR, "big", 0, None, None, None),
            (NOON + 2 * HOUR, "small", 1, 50, None, 2000.0),
        ]
    ]
    (total,) = ask.usage(by=None).to_pylist()
    assert (total["calls"], total["inputTokens"], total["outputTokens"], total["cost"]) == (3, 350, 30, 0.75)
    assert ask.usage(by="model", span_type="agent_run").column("inputTokens").to_pylist() == [999]
    hours = ask.usage(by=None, every="1h", since=NOON - HOUR, until=NOON + 3 * HOUR)
    assert hours.column("calls").to_pylist() == [0, 2, 0, 1]


def latencies(ask: Any) -> None:
    found = {row.pop("name"): row for row in ask.latency().to_pylist()}
    assert list(found) == ["agent", "find", "chat", "lost", "pay"]
    assert found["find"] == {
        "calls": 3,
        "running": 1,
        "meanMs": 2000.0,
        "p50Ms": 1000.0,
        "p95Ms": pytest.approx(3700.0),
        "p99Ms": pytest.approx(3940.0),
        "maxMs": 4000.0,
    }
    assert (found["agent"]["running"], found["agent"]["p50Ms"]) == (1, 7000.0)
    only_c = {"since": NOON + timedelta(seconds=7300), "until": NOON + timedelta(seconds=7400)}
    (row,) = ask.latency(by=None, **only_c).to_pylist()
    assert row == {"calls": 0, "running": 1, **dict.fromkeys(("meanMs", "p50Ms", "p95Ms", "p99Ms", "maxMs"))}
    hours = ask.latency(by=None, every="1h", span_type="model_generation").to_pylist()
    assert [(row["calls"], row["maxMs"]) for row in hours] == [(2, 3000.0), (0, None), (1, 2000.0)]


def errors(ask: Any) -> None:
    assert ask.errors().to_pylist() == [
        {"name": "find", "calls": 4, "errors": 3, "rate": 0.75},
        {"name": "lost", "calls": 1, "errors": 1, "rate": 1.0},
        {"name": "agent", "calls": 3, "errors": 0, "rate": 0.0},
        {"name": "chat", "calls": 3, "errors": 0, "rate": 0.0},
        {"name": "pay", "calls": 1, "errors": 0, "rate": 0.0},
    ]
    hours = ask.errors(by=None, every="1h").to_pylist()
    assert [(row["calls"], row["errors"], row["rate"]) for row in hours] == [(4, 1, 0.25), (0, 0, None), (8, 3, 0.375)]


def tools(ask: Any) -> None:
    assert ask.tools().to_pylist() == [
        {
            "name": "find",
            "calls": 4,
            "failures": 3,
            "rate": 0.75,
            "error": "Timeout: too late",
            "errorCalls": 2,
            "lastFailedAt": NOON + timedelta(seconds=7202),
            "lastTraceId": "b",
            "lastSpanId": "4",
            "meanMs": 2000.0,
            "maxMs": 4000.0,
        },
        {
            "name": "pay",
            "calls": 1,
            "failures": 0,
            "rate": 0.0,
            **dict.fromkeys(("error", "errorCalls", "lastFailedAt", "lastTraceId", "lastSpanId")),
            "meanMs": 1000.0,
            "maxMs": 1000.0,
        },
    ]
    (early,) = ask.tools(until=NOON + HOUR).to_pylist()
    assert (early["calls"], early["lastTraceId"], early["lastSpanId"]) == (1, "a", "3")


def slow(ask: Any) -> None:
    a = {"traceId": "a", "name": "agent", "startedAt": NOON, "durationMs": 10_000.0, "spans": 4, "running": 0}
    b = {"traceId": "b", "name": "agent", "startedAt": NOON + 2 * HOUR, "durationMs": 4000.0, "spans": 6, "running": 1}
    assert ask.slowest().to_pylist() == [
        {**a, "errors": 1, "inputTokens": 300, "outputTokens": 30, "cost": 0.75},
        {**b, "errors": 2, "inputTokens": 50, "outputTokens": None, "cost": None},
    ]
    assert ask.slowest(limit=1, since=NOON + HOUR).column("traceId").to_pylist() == ["b"]
    assert ask.slowest(name="nobody").num_rows == 0


def failing(ask: Any) -> None:
    names = ["traceId", "name", "durationMs", "spans", "errors", "failed", "error"]
    assert ask.failing().select(names).to_pylist() == [
        dict(zip(names, row, strict=True))
        for row in [
            ("d", None, None, 1, 1, "lost", "gone"),
            ("b", "agent", 4000.0, 6, 2, "find", "Timeout: too late"),
            ("a", "agent", 10_000.0, 4, 1, "find", "Timeout: too late"),
        ]
    ]
    assert ask.failing(limit=1, until=NOON + HOUR).column("traceId").to_pylist() == ["a"]


def threads(ask: Any) -> None:
    assert ask.threads().to_pylist() == [
        _thread("t3", 1, 0, None, None, None, NOON + 3 * HOUR, NOON + 3 * HOUR),
        _thread("t2", 0, 1, 50, None, None, NOON + 2 * HOUR, NOON + 2 * HOUR),
        _thread("t1", 2, 2, 300, 30, 0.75, NOON - HOUR, NOON + timedelta(seconds=5)),
    ]
    (ada,) = ask.threads(by="resourceId", since=NOON).to_pylist()
    assert (ada["resourceId"], ada["messages"], ada["calls"], ada["inputTokens"]) == ("ada", 2, 3, 350)


def _thread(*values: Any) -> dict[str, Any]:
    names = ("threadId", "messages", "calls", "inputTokens", "outputTokens", "cost", "first", "last")
    return dict(zip(names, values, strict=True))


def critical(ask: Any) -> None:
    path = ask.critical_path(trace_id="a").select(["spanId", "durationMs", "share"]).to_pylist()
    assert [tuple(row.values()) for row in path] == [
        ("2", 1000.0, 0.1),
        ("3", 4000.0, 0.4),
        ("4", 3000.0, 0.3),
        ("1", 2000.0, 0.2),
    ]
    # In b the first search ran beside the model's call, which finished at the same time and took longer.
    path = ask.critical_path(trace_id="b").select(["spanId", "durationMs"]).to_pylist()
    assert [tuple(row.values()) for row in path] == [("2", 2000.0), ("4", 1000.0), ("5", 1000.0)]
    own = ask.self_times(trace_id="b").select(["spanId", "durationMs", "selfMs", "criticalMs", "running"]).to_pylist()
    assert [tuple(row.values()) for row in own] == [
        ("2", 2000.0, 2000.0, 2000.0, False),
        ("3", 1000.0, 1000.0, 0.0, False),
        ("4", 1000.0, 1000.0, 1000.0, False),
        ("5", 1000.0, 1000.0, 1000.0, True),
        ("6", 1000.0, 1000.0, 0.0, False),
        ("1", 4000.0, 0.0, 0.0, False),
    ]
    assert (ask.critical_path(trace_id="x").num_rows, ask.self_times(trace_id="x").num_rows) == (0, 0)


def profiled(ask: Any) -> None:
    found = ask.profile().select(["name", "calls", "running", "totalMs", "selfMs"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("chat", 3, 0, 6000.0, 6000.0),
        ("find", 3, 1, 6000.0, 6000.0),
        ("agent", 2, 1, 14_000.0, 2000.0),
        ("lost", 1, 0, 1000.0, 1000.0),
        ("pay", 1, 0, 1000.0, 1000.0),
    ]
    (agents, *_) = ask.profile(by="spanType", trace_id="a").to_pylist()
    assert (agents["spanType"], agents["selfMs"], agents["share"]) == ("model_generation", 4000.0, 0.4)
    # The children of a span count though they began when its time was up.
    (agent,) = (row for row in ask.profile(until=NOON + timedelta(seconds=0.5)).to_pylist() if row["name"] == "agent")
    assert agent["selfMs"] == 2000.0


ASKED = ("usage", "latency", "errors", "tools", "threads", "slowest", "failing", "profile")


@pytest.mark.parametrize("name", ASKED)
def test_aggregates_of_nothing_have_the_columns_of_any(name: str) -> None:
    with colonnade.open(":memory:") as empty, colonnade.open(":memory:") as full:
        full.observability.batch_create_spans(records=SPANS)
        full.memory.save_messages(messages=MESSAGES)
        nothing, something = getattr(empty.queries, name)(), getattr(full.queries, name)()
        assert something.schema.equals(nothing.schema, check_metadata=True)
        assert (nothing.num_rows, something.num_rows > 0) == (0, True)
        if name in ("usage", "latency", "errors"):
            assert getattr(empty.queries, name)(every="1h").num_rows == 0


class Counted(MemoryStore):
    """A store that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Plan] = []

    def execute(self, plan: Plan) -> Any:
        self.asked.append(plan)
        return super().execute(plan)


@pytest.mark.parametrize(
    ("name", "plans"),
    [
        ("usage", [Summarize]),
        ("latency", [Summarize]),
        ("errors", [Summarize]),
        ("tools", [Summarize, Scan]),
        ("threads", [Summarize, Summarize]),
        ("slowest", [Scan, Summarize]),
        ("failing", [Summarize, Scan, Summarize]),
        ("profile", [Scan]),
    ],
)
def test_an_aggregate_is_few_plans_however_much_there_is(name: str, plans: list[type[Plan]]) -> None:
    store = Counted()
    with colonnade.open(default=store) as storage:
        storage.observability.batch_create_spans(records=SPANS)
        store.asked.clear()
        getattr(storage.queries, name)()
    assert [type(plan) for plan in store.asked] == plans


@pytest.mark.parametrize("name", ["usage", "latency", "errors"])
@pytest.mark.parametrize("wrong", [{"by": "cost"}, {"by": "input"}, {"by": "nmae"}, {"every": "1x"}, {"every": "0h"}])
def test_a_group_that_makes_no_sense_is_refused(name: str, wrong: dict[str, str]) -> None:
    with colonnade.open(":memory:") as storage, pytest.raises(InvalidInput):
        getattr(storage.queries, name)(**wrong)


def test_intervals_that_would_be_too_many_are_refused() -> None:
    with colonnade.open(":memory:") as storage:
        storage.observability.batch_create_spans(records=SPANS)
        with pytest.raises(InvalidInput, match="give a wider interval"):
            storage.queries.errors(every="1s", since="2020-01-01T00:00:00Z")


@pytest.mark.parametrize("name", ["slowest", "failing"])
def test_a_limit_is_a_whole_number(name: str) -> None:
    with colonnade.open(":memory:") as storage, pytest.raises(InvalidInput, match="limit"):
        getattr(storage.queries, name)(limit=0)


def test_threads_are_by_thread_or_resource() -> None:
    with colonnade.open(":memory:") as storage, pytest.raises(InvalidInput, match="threadId or resourceId"):
        storage.queries.threads(by="name")  # type: ignore[arg-type]


def test_a_trace_that_ends_and_still_has_a_root_that_is_there_twice_is_listed_once() -> None:
    with colonnade.open(":memory:") as storage:
        storage.observability.batch_create_spans(records=[span("a", "1", 0, 1), span("a", "2", 0, 5)])
        assert storage.queries.slowest().column("durationMs").to_pylist() == [5000.0]


# --- against a naive count ---

rows_ = st.lists(
    st.tuples(
        st.sampled_from(["big", "small", None]),
        st.integers(0, 5 * 3600),  # begins so many seconds after noon
        st.integers(0, 90) | st.none(),  # takes so many seconds
        st.booleans(),
        st.integers(0, 100) | st.none(),
    ),
    max_size=25,
)


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


@given(rows_, st.sampled_from([None, "15m", "1h"]), st.booleans())
@settings(max_examples=60)
def test_usage_latency_and_errors_agree_with_a_naive_count(rows: list[Any], every: str | None, by_model: bool) -> None:
    spans = [
        span("t", str(n), begin, None if took is None else begin + took, model=model, inputTokens=tokens)
        | ({"error": "x"} if failed else {})
        for n, (model, begin, took, failed, tokens) in enumerate(rows)
    ]
    width = {None: None, "15m": 900, "1h": 3600}[every]
    by = "model" if by_model else None
    naive: dict[Any, list[Any]] = {} if by or width else {(None, None): []}
    for row in rows:
        if by is None or row[0] is not None:
            naive.setdefault((row[1] // width if width else None, row[0] if by else None), []).append(row)
    with colonnade.open(":memory:") as storage:
        storage.observability.batch_create_spans(records=spans)
        arguments: Any = {"by": by, "every": every}
        latency = storage.queries.latency(**arguments).to_pylist()
        errors = storage.queries.errors(**arguments).to_pylist()
        tokens = storage.queries.usage(**arguments).to_pylist()
    if width and naive:  # no gaps
        hours = [time for time, _ in naive]
        for time in range(min(hours), max(hours) + 1):
            for value in {value for _, value in naive}:
                naive.setdefault((time, value), [])

    def key(row: dict[str, Any]) -> Any:
        seconds = int((row["startedAt"] - NOON).total_seconds()) if width else 0
        return seconds // width if width else None, row["model"] if by else None

    assert {key(row) for row in latency} == {key(row) for row in errors} == set(naive)
    for row in latency:
        took = [each[2] * 1000.0 for each in naive[key(row)] if each[2] is not None]
        assert (row["calls"], row["running"]) == (len(took), len(naive[key(row)]) - len(took))
        for name, q in (("p50Ms", 0.5), ("p95Ms", 0.95), ("p99Ms", 0.99), ("maxMs", 1.0)):
            assert row[name] == (pytest.approx(_quantile(took, q)) if took else None)
    for row in errors:
        failed = sum(each[3] for each in naive[key(row)])
        assert (row["calls"], row["errors"]) == (len(naive[key(row)]), failed)
        assert row["rate"] == (pytest.approx(failed / row["calls"]) if row["calls"] else None)
    if by:  # without it usage counts calls of models only
        for row in tokens:
            known = [each[4] for each in naive[key(row)] if each[4] is not None]
            assert row["inputTokens"] == (sum(known) if known else None)
