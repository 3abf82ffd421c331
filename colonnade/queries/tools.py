"""How reliable tools are: their calls and failures, what went wrong most often, and where last."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import And, Is, Measure, Not, Null, OneOf, Or, Scan, Steps, Summarize, rows
from colonnade.queries.groups import TIME, latency
from colonnade.queries.pages import When, window
from colonnade.schemas import SPANS
from colonnade.schemas.payloads import from_json

TOOLS: Final = ("tool_call", "mcp_tool_call")
"""Types of spans that are calls of tools."""
_MEASURES: Final = (
    Measure("count", None, "calls"),
    Measure("max", TIME, "last"),
    Measure("count", "endTime", "ended"),
    latency("sum", "total"),
    latency("max", "longest"),
)
_MOMENT: Final = SPANS.schema.field(TIME).type
_ANSWER: Final = pa.schema(
    {
        "name": pa.string(),
        "calls": pa.int64(),
        "failures": pa.int64(),
        "rate": pa.float64(),
        "error": pa.string(),
        "errorCalls": pa.int64(),
        "lastFailedAt": _MOMENT,
        "lastTraceId": pa.string(),
        "lastSpanId": pa.string(),
        "meanMs": pa.float64(),
        "maxMs": pa.float64(),
    }
)


def failures_of_tools(*, since: When | None = None, until: When | None = None) -> Steps[pa.Table]:
    """Tools by their names, those that failed most often first, then those with most calls, then by name.

    Tools are spans of the types ``tool_call`` and ``mcp_tool_call``. One row a tool, also where it never failed.
    Columns: ``name``; ``calls``; ``failures``, how many calls have an error; ``rate``, the share of these, from 0 to 1;
    ``error``, what the most frequent one says, and ``errorCalls``, how many say so; ``lastFailedAt``, when the last
    failing call began, with its ``lastTraceId`` and ``lastSpanId``; ``meanMs`` and ``maxMs``, how long calls took that
    have ended, in milliseconds. Null where there is no such thing.

    ``since`` (inclusive) and ``until`` (exclusive) are moments of the calls' start, or how long ago: ``"24h"``.
    """
    where = OneOf("spanType", TOOLS) & window(TIME, since, until)
    found = yield from rows(Summarize(SPANS, ("name", "error"), _MEASURES, where))
    tools: dict[str, _Tool] = {}
    for row in found.to_pylist():
        tools.setdefault(row["name"], _Tool(row["name"])).add(row)
    lasts = {tool.name: tool.last for tool in tools.values() if tool.last is not None}
    if lasts:  # where they are is looked up: as many rows as there are tools that failed
        which = Or(tuple(And((Is("name", "=", name), Is(TIME, "=", last))) for name, last in lasts.items()))
        where &= Is(TIME, ">=", min(lasts.values())) & Not(Null("error")) & which
        failing = yield from rows(Scan(SPANS, where, columns=("traceId", "spanId", "name")))
        for row in sorted(failing.to_pylist(), key=lambda row: (row["traceId"], row["spanId"])):
            tools[row["name"]].place = row["traceId"], row["spanId"]
    ordered = sorted(tools.values(), key=lambda tool: (-tool.failures, -tool.calls, tool.name))
    return pa.Table.from_pylist([tool.answer() for tool in ordered], _ANSWER)


def said(error: str) -> str:
    """What an error says, as it is stored: its type and message, where it is an object; in one line."""
    value = from_json(error)
    if isinstance(value, dict):
        kind = str(value.get("type") or value.get("name") or "").rpartition(".")[2]  # without its module
        parts = [part for part in (kind, str(value.get("message") or "")) if part]
        return " ".join((": ".join(parts) or error).split())
    return " ".join(value.split()) if isinstance(value, str) else error


@dataclass(slots=True)
class _Tool:
    name: str
    calls: int = 0
    failures: int = 0
    ended: int = 0
    total: float = 0.0
    longest: float | None = None
    last: datetime | None = None
    place: tuple[str | None, str | None] = (None, None)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        """Calls of the tool that have the same error, or none."""
        self.calls += row["calls"]
        if row["ended"]:
            self.ended += row["ended"]
            self.total += row["total"]
            self.longest = row["longest"] if self.longest is None else max(self.longest, row["longest"])
        if row["error"] is not None:
            self.failures += row["calls"]
            self.errors[said(row["error"])] += row["calls"]
            self.last = row["last"] if self.last is None else max(self.last, row["last"])

    def answer(self) -> dict[str, Any]:
        """The row of the tool; of errors that are equally frequent the first by its text."""
        error, count = min(self.errors.items(), key=lambda each: (-each[1], each[0]), default=(None, None))
        return {
            "name": self.name,
            "calls": self.calls,
            "failures": self.failures,
            "rate": self.failures / self.calls,
            "error": error,
            "errorCalls": count,
            "lastFailedAt": self.last,
            "lastTraceId": self.place[0],
            "lastSpanId": self.place[1],
            "meanMs": self.total / self.ended / 1e6 if self.ended else None,
            "maxMs": None if self.longest is None else self.longest / 1e6,
        }
