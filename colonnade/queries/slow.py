"""The traces that are worth a look: the slowest, and those in which something failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import Filter, Is, Measure, Not, Null, OneOf, Scan, Steps, Summarize, asc, rows
from colonnade.errors import InvalidInput
from colonnade.queries.groups import TIME
from colonnade.queries.pages import When, window
from colonnade.queries.tools import said
from colonnade.queries.usage import SUMS, WRAPPERS
from colonnade.schemas import SPANS

_MOMENT: Final = SPANS.schema.field(TIME).type
_ANSWER: Final = pa.schema(
    {
        "traceId": pa.string(),
        "name": pa.string(),
        "startedAt": _MOMENT,
        "durationMs": pa.float64(),
        "spans": pa.int64(),
        "running": pa.int64(),
        "errors": pa.int64(),
        "inputTokens": pa.int64(),
        "outputTokens": pa.int64(),
        "cost": pa.float64(),
    }
)
_OF_ROOTS: Final = ("name", "startedAt", "durationMs")
_FAILING: Final = pa.schema([*_ANSWER, ("failed", pa.string()), ("error", pa.string())])
_ROOTS: Final = ("traceId", "spanId", "name", "startedAt", "startTime", "endTime")

Row = dict[str, Any]


def slowest_traces(
    *, name: str | None = None, since: When | None = None, until: When | None = None, limit: int = 20
) -> Steps[pa.Table]:
    """The traces whose root spans took longest, the slowest first.

    Traces whose root still runs, or is not there, have no duration and are left out. Columns: ``traceId``; ``name``,
    ``startedAt`` and ``durationMs`` (milliseconds) of the root span; ``spans`` of the trace, how many of them are still
    ``running``, and ``errors``, how many have one; ``inputTokens``, ``outputTokens`` and ``cost`` (US dollars), the
    sums of what its calls of models state, or where there are none, what its spans do; null where none does.

    ``name`` is that of the root span. ``since`` (inclusive) and ``until`` (exclusive) are moments of its start, or how
    long ago: ``"24h"``. One plan over the roots, and one over the traces that are given.
    """
    _check(limit)
    where: Filter = Null("parentSpanId") & Not(Null("endTime")) & window(TIME, since, until)
    if name is not None:
        where &= Is("name", "=", name)
    roots = yield from rows(Scan(SPANS, where, columns=_ROOTS))
    found = yield from _described({row["traceId"]: row for row in _longest(roots, limit)})
    return pa.Table.from_pylist(found, _ANSWER)


def failing_traces(*, since: When | None = None, until: When | None = None, limit: int = 20) -> Steps[pa.Table]:
    """The traces in which a span failed, those whose last failure began latest first.

    Columns: those of ``slowest``, where what is told of the root is null if it is not there, and ``durationMs`` while
    it runs; ``failed``, the name of the first span that failed, and ``error``, what its error says.

    ``since`` (inclusive) and ``until`` (exclusive) are moments of the start of spans that failed, or how long ago:
    ``"24h"``. One plan over these, and two over the traces that are given.
    """
    _check(limit)
    failed = Not(Null("error"))
    measures = (Measure("max", TIME, "last"),)
    found = yield from rows(Summarize(SPANS, ("traceId",), measures, failed & window(TIME, since, until)))
    newest = found.sort_by([("last", "descending"), ("traceId", "ascending")]) if found.num_rows > 1 else found
    ids = tuple(newest.column("traceId").slice(0, limit).to_pylist())
    where = OneOf("traceId", ids) & (failed | Null("parentSpanId"))
    told = yield from rows(Scan(SPANS, where, (asc(TIME),), columns=(*_ROOTS, "parentSpanId", "error")))
    roots: dict[str, Row] = {id: {} for id in ids}
    errors: dict[str, Row] = {}
    for row in told.to_pylist():
        if row["parentSpanId"] is None and not roots[row["traceId"]]:
            roots[row["traceId"]] = row
        if row["error"] is not None:
            errors.setdefault(row["traceId"], {"failed": row["name"], "error": said(row["error"])})
    described = yield from _described(roots)
    return pa.Table.from_pylist([row | errors.get(row["traceId"], {}) for row in described], _FAILING)


def totals_of_traces(*, trace_ids: Collection[str]) -> Steps[pa.Table]:
    """What the spans of some traces add up to, in the order given; traces that are not there are left out.

    Columns: ``traceId``; ``spans``, how many of them are still ``running``, and ``errors``, how many have one;
    ``inputTokens``, ``outputTokens`` and ``cost`` (US dollars), as in ``slowest``. One plan.
    """
    found = yield from _described({id: {} for id in trace_ids})
    kept = [row for row in found if row["spans"]]
    return pa.Table.from_pylist(kept, pa.schema([field for field in _ANSWER if field.name not in _OF_ROOTS]))


def _check(limit: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidInput(f"limit must be a whole number >= 1, not {limit!r:.80}")


def _longest(roots: pa.Table, limit: int) -> list[Row]:
    """The rows of the longest root of each trace, the longest first."""
    import pyarrow.compute as pc

    timed = roots.append_column("took", pc.subtract(roots.column("endTime"), roots.column("startTime")))
    keys = [("took", "descending"), ("startTime", "descending"), ("traceId", "ascending"), ("spanId", "ascending")]
    found: dict[str, Row] = {}
    for batch in (timed.sort_by(keys) if timed.num_rows > 1 else timed).to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            if len(found) == limit:
                return list(found.values())
            found.setdefault(row["traceId"], row)
    return list(found.values())


def _described(roots: Mapping[str, Row]) -> Steps[list[Row]]:
    """For each trace what its root tells, and what its spans add up to, in the same order."""
    if not roots:
        return []
    measures = (
        Measure("count", None, "spans"),
        Measure("count", "endTime", "ended"),
        Measure("count", "error", "errors"),
        *(Measure("sum", name, name) for name in SUMS),
    )
    plan = Summarize(SPANS, ("traceId", "model", "spanType"), measures, OneOf("traceId", tuple(roots)))
    parts: dict[str, list[Row]] = {}
    for row in (yield from rows(plan)).to_pylist():
        parts.setdefault(row["traceId"], []).append(row)
    return [{**_told(root), **_summed(parts.get(id, [])), "traceId": id} for id, root in roots.items()]


def _told(root: Row) -> Row:
    if not root:
        return {}
    ended = root["endTime"] is not None
    took = (root["endTime"] - root["startTime"]) / 1e6 if ended else None
    return {"name": root["name"], "startedAt": root["startedAt"], "durationMs": took}


def _summed(parts: list[Row]) -> Row:
    # What an agent says that its calls used is not counted again.
    calls = [part for part in parts if part["model"] is not None and part["spanType"] not in WRAPPERS] or parts
    sums = {name: _sum(part[name] for part in calls) for name in SUMS}
    spans, ended, errors = (sum(part[name] for part in parts) for name in ("spans", "ended", "errors"))
    return {"spans": spans, "running": spans - ended, "errors": errors, **sums}


def _sum(values: Any) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
