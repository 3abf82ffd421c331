"""What was used, how long it took and how often it failed: calls, tokens, cost, latency, errors.

Each question is one ``Summarize``, which every store computes as fast as it can. They answer by a text column of spans,
by intervals of time, or by both.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from colonnade.engine.plan import Filter, Function, Measure, Not, Null, OneOf, Steps, is_equal
from colonnade.queries.groups import Groups, latency, share
from colonnade.queries.pages import When

SUMS: Final = ("inputTokens", "outputTokens", "cost")
"""What spans state of what they used."""
WRAPPERS: Final = ("agent_run", "workflow_run")
"""Types of spans that may state a model and what it used, once more, for all calls of it below them."""
NO_WRAPPER: Final = Not(OneOf("spanType", WRAPPERS))
_LATENCIES: Final[tuple[Function, ...]] = ("mean", "p50", "p95", "p99", "max")


def usage_of_spans(
    *,
    by: str | None = "model",
    every: str | None = None,
    span_type: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """Usage by a text column of spans (``model``, ``provider``, ``name``, ``userId`` ...), most calls first.

    One row a value; spans without one are left out, so by model only calls of models count. Columns: the value;
    ``calls``, how many spans; ``errors``, how many of them have one; ``inputTokens``, ``outputTokens`` and ``cost`` (US
    dollars), the sums of what the spans state, null where none does; ``meanLatencyMs``, ``p50LatencyMs`` and
    ``p95LatencyMs``, of spans that have ended, in milliseconds, null without any. Quantiles interpolate linearly.

    With ``every`` (``"15m"``, ``"1h"``, ``"1d"``) there is a row for each interval and value, in the order of time,
    the interval as ``startedAt``; an interval in which nothing began has 0 calls. ``by=None`` is all calls of models
    together. An agent's own sum over its calls is not counted by model, by provider, or in all; by other columns, such
    as ``userId``, ``span_type="model_generation"`` leaves it out.

    ``span_type`` narrows to one type of spans. ``since`` (inclusive) and ``until`` (exclusive) are moments of their
    start, or how long ago: ``"24h"``.
    """
    where = is_equal(spanType=span_type)
    if by is None:
        where &= model_calls()
    elif by in ("model", "provider") and span_type is None:
        where &= NO_WRAPPER
    measures = (
        Measure("count", None, "calls"),
        Measure("count", "error", "errors"),
        *(Measure("sum", name, name) for name in SUMS),
        latency("mean", "meanLatencyMs"),
        latency("p50", "p50LatencyMs"),
        latency("p95", "p95LatencyMs"),
    )
    groups = Groups.of(by, every, since, until)
    found = yield from groups.summary(measures, where)
    return groups.answer(found, most=("calls",), zeros=("calls", "errors"))


def model_calls() -> Filter:
    """Spans that are calls of models, and not an agent's own sum over them."""
    return Not(Null("model")) & NO_WRAPPER


def latency_of_spans(
    *,
    by: str | None = "name",
    every: str | None = None,
    span_type: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """How long spans took, by a text column of spans (``name``, ``model`` ...), the highest 95th percentile first.

    One row a value. Columns: the value; ``calls``, how many spans have ended, and ``running``, how many have not, which
    no other number counts; ``meanMs``, ``p50Ms``, ``p95Ms``, ``p99Ms`` and ``maxMs``, in milliseconds, null where none
    has ended. Quantiles interpolate linearly.

    ``every`` gives a row for each interval too, and ``by=None`` all spans together, as in ``usage``; the latency of an
    interval in which nothing began is null. ``span_type``, ``since`` and ``until`` are those of ``usage``.
    """
    import pyarrow.compute as pc

    measures = (
        Measure("count", "endTime", "calls"),
        Measure("count", None, "running"),
        *(latency(function, f"{function}Ms") for function in _LATENCIES),
    )
    groups = Groups.of(by, every, since, until)
    found = yield from groups.summary(measures, is_equal(spanType=span_type))
    found["running"] = pc.subtract(found["running"], found["calls"])
    return groups.answer(found, most=("p95Ms", "running"), zeros=("calls", "running"))


def errors_of_spans(
    *,
    by: str | None = "name",
    every: str | None = None,
    span_type: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """How often spans failed, by a text column of spans (``name``, ``model``, ``userId`` ...), most errors first.

    One row a value, also where nothing failed. Columns: the value; ``calls``, how many spans; ``errors``, how many of
    them have one; ``rate``, the share of these, from 0 to 1.

    ``every`` gives a row for each interval too, and ``by=None`` all spans together, as in ``usage``; the rate of an
    interval in which nothing began is null. ``span_type``, ``since`` and ``until`` are those of ``usage``.
    """
    measures = (Measure("count", None, "calls"), Measure("count", "error", "errors"))
    groups = Groups.of(by, every, since, until)
    found = yield from groups.summary(measures, is_equal(spanType=span_type))
    found["rate"] = share(found["errors"], found["calls"])
    return groups.answer(found, most=("errors", "rate"), zeros=("calls", "errors"))
