"""What was used: calls, tokens, cost, latency and errors, by model or by any other property of spans."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from colonnade.engine.plan import Not, Null, Scan, Steps, is_equal, rows
from colonnade.errors import InvalidInput
from colonnade.queries.pages import When, window
from colonnade.schemas import SPANS

_SUMS: Final = ("inputTokens", "outputTokens", "cost")
_QUANTILES: Final = {"p50LatencyMs": 0.5, "p95LatencyMs": 0.95}


def usage_of_spans(
    *,
    by: str = "model",
    span_type: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """Usage by a text column of spans (``model``, ``provider``, ``name``, ``userId`` ...), most calls first.

    One row a value; spans without one are left out, so by model only calls of models count. Columns: the value;
    ``calls``, how many spans; ``errors``, how many of them have one; ``inputTokens``, ``outputTokens`` and ``cost`` (US
    dollars), the sums of what the spans state, null where none does; ``meanLatencyMs``, ``p50LatencyMs`` and
    ``p95LatencyMs``, of spans that have ended, in milliseconds, null without any. Quantiles interpolate linearly.

    ``span_type`` narrows to one type of spans. ``since`` (inclusive) and ``until`` (exclusive) are moments of their
    start, or how long ago: ``"24h"``.
    """
    column = SPANS.column(by)
    if column.kind.name != "text" or column.payload:
        raise InvalidInput(f"usage is counted by a text column of spans, such as model or name; {by} is {column.kind}")
    where = is_equal(spanType=span_type) & Not(Null(by)) & window("startedAt", since, until)
    columns = tuple(dict.fromkeys((by, "startTime", "endTime", "error", *_SUMS)))
    found = yield from rows(Scan(SPANS, where, columns=columns))
    return _summary(found, by)


def _summary(found: pa.Table, by: str) -> pa.Table:
    import pyarrow.compute as pc  # not before it is used: it is half of what `import colonnade` may cost

    spans = found.select([by, *_SUMS])
    spans = spans.append_column("error", pc.cast(found.column("error").is_valid(), pa.int64()))
    nanoseconds = pc.subtract(found.column("endTime"), found.column("startTime"))
    spans = spans.append_column("latency", pc.divide(pc.cast(nanoseconds, pa.float64(), safe=False), 1e6))
    wanted = [([], "count_all"), ("error", "sum"), *((name, "sum") for name in _SUMS)]
    groups = spans.group_by(by, use_threads=False).aggregate([*wanted, ("latency", "mean"), ("latency", "list")])
    groups = groups.sort_by([("count_all", "descending"), (by, "ascending")])
    columns = {
        by: groups.column(by),
        "calls": groups.column("count_all"),
        "errors": groups.column("error_sum"),
        **{name: groups.column(f"{name}_sum") for name in _SUMS},
        "meanLatencyMs": groups.column("latency_mean"),
    }
    latencies = [group.values for group in groups.column("latency_list")]
    for name, quantile in _QUANTILES.items():
        values = [pc.quantile(group, q=quantile)[0].as_py() for group in latencies]
        columns[name] = pa.array(values, pa.float64())
    return pa.table(columns)
