"""Aggregates as tables for the terminal: one line a group, every figure with its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
from rich.console import RenderableType
from rich.text import Text

from colonnade.display.formats import ABSENT, duration, moment, moneys, number, safe
from colonnade.display.screen import GAP, Column, Picture, fitted, stacked
from colonnade.display.tables import beginnings
from colonnade.display.tree import COLOURS

_TEXT: Final = 120
_HEADINGS: Final = {
    "startedAt": "began (UTC)",
    "createdAt": "from (UTC)",
    "lastFailedAt": "last failure (UTC)",
    "first": "first (UTC)",
    "last": "last (UTC)",
    "traceId": "trace",
    "lastTraceId": "in trace",
    "threadId": "thread",
    "resourceId": "resource",
    "durationMs": "took",
    "meanLatencyMs": "took mean",
    "p50LatencyMs": "took p50",
    "p95LatencyMs": "took p95",
    "inputTokens": "tok in",
    "outputTokens": "tok out",
    "errors": "failed",
    "failures": "failed",
    "failed": "first failure",
    "errorCalls": "times",
    "totalMs": "total",
    "selfMs": "self",
    "criticalMs": "critical",
}
_RANKS: Final = {
    "meanLatencyMs": 9,
    "lastFailedAt": 8,
    "meanMs": 7,
    "first": 7,
    "spanId": 7,
    "spanType": 6,
    "outputTokens": 6,
    "inputTokens": 6,
    "running": 5,
    "p99Ms": 5,
    "spans": 5,
    "maxMs": 4,
    "p50LatencyMs": 4,
    "errorCalls": 3,
    "p95LatencyMs": 3,
    "failed": 3,
    "lastTraceId": 2,
    "cost": 2,
    "error": 1,
}
"""Columns that are left out where a line is too narrow, the highest first."""
_HIDDEN: Final = frozenset({"startTime", "endTime", "parentSpanId", "lastSpanId"})
_TIMES: Final = frozenset({"startedAt", "createdAt", "first", "last", "lastFailedAt"})
_TRACES: Final = frozenset({"traceId", "lastTraceId"})
_FAILURES: Final = ("errors", "failures")
_LEAST: Final = {"error": 20, "name": 13, "failed": 12, "model": 12}
_BAR: Final = 24
_ROOM: Final = 40
"""What a text may take of a line before identifiers are cut for it."""


def figures_table(rows: pa.Table, *, nothing: str, most: int | None = None) -> Picture:
    """What a question about aggregates gives, one line a row, its columns in their order.

    Columns are known by their names: those in ``Ms`` are durations, ``cost`` is US dollars, ``rate`` and ``share`` are
    per cent, times are UTC, to the minute. ``nothing`` is said where there are no rows, and how many there are where
    only the first ``most`` are shown.
    """
    shown = rows.slice(0, most)

    def draw(width: int) -> RenderableType:
        if not rows.num_rows:
            return Text(nothing)
        columns = _columns(shown)
        if sum(min(column.width, _ROOM) + GAP for column in columns) - GAP > width:
            columns = _columns(shown, short=True)
        more = Text(f"the first {shown.num_rows:,} of {rows.num_rows:,} rows", style="dim")
        return stacked(fitted(columns, width), more if shown.num_rows < rows.num_rows else None)

    return Picture(draw)


def usage_table(usage: pa.Table) -> Picture:
    """What was used, one line a group: what the question ``usage`` gives."""
    return figures_table(usage, nothing="Nothing was used: no span has such a value.")


def _columns(rows: pa.Table, *, short: bool = False) -> list[Column]:
    barred = {"startTime", "endTime", "name"} <= set(rows.column_names)
    hidden = _HIDDEN | {"spanType"} if barred else _HIDDEN  # the bar is in its colour
    names = [name for name in rows.column_names if name not in hidden]
    columns = [_column(name, rows.column(name), short=short) for name in names]
    if barred:
        columns.insert(names.index("name") + 1, _when(rows))
    # Whether something runs is said where something does.
    return [column for column in columns if column.heading != "running" or any(map(_says, column.cells))]


def _says(cell: str | Text) -> bool:
    return str(cell) not in ("", "0")


def _column(name: str, column: pa.ChunkedArray, *, short: bool) -> Column:
    values = column.to_pylist()
    heading = _HEADINGS.get(name, name.removesuffix("Ms"))
    rank = _RANKS.get(name, 0)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return Column(heading, _texts(name, values, short=short), rank=rank, least=_LEAST.get(name))
    return Column(heading, _numbers(name, values), "right", rank=rank)


def _when(rows: pa.Table) -> Column:
    """Bars that show when in a trace something was, in the colours of the tree."""
    data = rows.to_pydict()
    begin, end = min(data["startTime"]), max(data["endTime"])
    scale = _BAR / (end - begin) if end > begin else 0.0
    kinds = data.get("spanType") or [""] * rows.num_rows
    bars = []
    for start, stop, kind in zip(data["startTime"], data["endTime"], kinds, strict=True):
        first = min(_BAR - 1, math.floor((start - begin) * scale))
        length = max(1, min(_BAR, math.ceil((stop - begin) * scale)) - first)
        bars.append(Text(" " * first + "━" * length, COLOURS.get(kind, "blue")))
    return Column("when", bars, rank=5)


def _texts(name: str, values: Sequence[Any], *, short: bool) -> list[Text]:
    if name in _TIMES:
        return [Text(moment(value)[:16]) for value in values]
    if name in _TRACES and short:
        short_ids = iter(beginnings([value for value in values if value is not None]))
        return [Text("" if value is None else safe(next(short_ids))) for value in values]
    if name == "running":
        return [Text("running" if value else "", "yellow") for value in values]
    style = "red" if name == "error" else ""
    return [Text("" if value is None else safe(value, _TEXT), style) for value in values]


def _numbers(name: str, values: Sequence[Any]) -> list[str] | list[Text]:
    if name == "cost":
        return moneys(values)
    if name in ("rate", "share"):
        return [ABSENT if value is None else f"{100 * value:.1f} %" for value in values]
    if name.endswith("Ms"):
        return [duration(None if value is None else value * 1e6) for value in values]
    if name in ("mean", "p50", "min", "max"):
        return [ABSENT if value is None else f"{value:.3f}" for value in values]
    if name in _FAILURES:
        return [Text(number(value), "red" if value else "") for value in values]
    return [number(value) for value in values]
