"""Threads and resources in numbers: messages, calls of models, tokens, cost, first and last sign of life."""

from __future__ import annotations

from typing import Any, Final, Literal

import pyarrow as pa

from colonnade.engine.plan import Measure, Not, Null, Steps, Summarize, rows
from colonnade.errors import InvalidInput
from colonnade.queries.groups import TIME
from colonnade.queries.pages import When, window
from colonnade.queries.usage import SUMS, model_calls
from colonnade.schemas import MESSAGES, SPANS

ThreadOrResource = Literal["threadId", "resourceId"]

_COLUMNS: Final = {"threadId": "thread_id", "resourceId": "resourceId"}
"""What they are called in messages."""
_MOMENT: Final = SPANS.schema.field(TIME).type


def summaries_of_threads(
    *,
    by: ThreadOrResource = "threadId",
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """Threads (or by ``resourceId`` resources) with what was said and used in them, those that were last active first.

    Threads that have messages, or spans that are calls of models. Columns: the id; ``messages``; ``calls``, how many
    calls of models; ``inputTokens``, ``outputTokens`` and ``cost`` (US dollars), the sums of what these state, null
    where none does; ``first`` and ``last``, when the first and the last message was written or call began.

    ``since`` (inclusive) and ``until`` (exclusive) are moments of messages and calls, or how long ago: ``"24h"``. One
    plan over messages and one over spans, which may be kept by different stores.
    """
    if by not in _COLUMNS:
        raise InvalidInput(f"summaries are by threadId or resourceId, not {by!r:.80}")
    there = _COLUMNS[by]
    where = Not(Null(there)) & window("createdAt", since, until)
    said = yield from rows(Summarize(MESSAGES, (there,), _counted("messages", "createdAt"), where))
    where = model_calls() & Not(Null(by)) & window(TIME, since, until)
    sums = tuple(Measure("sum", name, name) for name in SUMS)
    used = yield from rows(Summarize(SPANS, (by,), (*_counted("calls", TIME), *sums), where))
    threads: dict[str, dict[str, Any]] = {row[there]: {by: row[there], "calls": 0, **row} for row in said.to_pylist()}
    for row in used.to_pylist():
        before = threads.get(row[by], {"messages": 0, "first": row["first"], "last": row["last"]})
        ends = {"first": min(before["first"], row["first"]), "last": max(before["last"], row["last"])}
        threads[row[by]] = {**before, **row, **ends}
    ordered = sorted(sorted(threads.values(), key=lambda row: str(row[by])), key=lambda row: row["last"], reverse=True)
    types = {by: pa.string(), "messages": pa.int64(), "calls": pa.int64(), "inputTokens": pa.int64()}
    types |= {"outputTokens": pa.int64(), "cost": pa.float64(), "first": _MOMENT, "last": _MOMENT}
    return pa.table({name: pa.array([row.get(name) for row in ordered], type) for name, type in types.items()})


def _counted(name: str, time: str) -> tuple[Measure, ...]:
    return Measure("count", None, name), Measure("min", time, "first"), Measure("max", time, "last")
