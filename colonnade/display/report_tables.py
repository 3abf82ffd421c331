"""The tables of a report: traces to look at, tools, models, scorers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from colonnade.display.formats import ABSENT, duration, moment, moneys, number, safe
from colonnade.display.page import Content, Html, element, scrolled

STYLE: Final = """
.colonnade code.cn-id { display: inline-block; max-width: 11ch; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; vertical-align: bottom; user-select: all; }
.colonnade table.cn-table td.cn-time { white-space: nowrap; }
.colonnade table.cn-table td.cn-name { min-width: 116px; } .colonnade table.cn-table td.cn-words { min-width: 220px; }
"""
"""Of an identifier the first letters are seen; all of it is there, and is what is copied."""
_NUMBER: Final = "cn-number"
_TIME: Final = "cn-time"
_NAME: Final = "cn-name"
_SAID: Final = "cn-words"
_MOST: Final = 20
"""Rows of tables that may have any number."""


def failing(traces: pa.Table) -> Html:
    """Traces in which a step failed; the traces themselves may have ended well."""
    headings = {"trace": "", "name": _NAME, "began (UTC)": _TIME, "took": _NUMBER, "failed steps": _NUMBER}
    rows = [
        (
            _id(row["traceId"]),
            _name(row["name"]),
            _began(row["startedAt"]),
            milliseconds(row["durationMs"]),
            _count(row["errors"]),
            _name(row["failed"]),
            _said(row["error"]),
        )
        for row in traces.to_pylist()
    ]
    return _table(
        "Traces with failed steps", {**headings, "first failure": _NAME, "error": _SAID}, rows, "Nothing failed."
    )


def slowest(traces: pa.Table) -> Html:
    """The slowest traces."""
    found = traces.to_pylist()
    headings = {"trace": "", "name": _NAME, "began (UTC)": _TIME, "took": _NUMBER, "spans": _NUMBER}
    rows = [
        (
            _id(row["traceId"]),
            _name(row["name"]),
            _began(row["startedAt"]),
            milliseconds(row["durationMs"]),
            number(row["spans"]),
            _count(row["errors"]),
            compact(tokens(row)),
            cost,
        )
        for row, cost in zip(found, moneys([row["cost"] for row in found]), strict=True)
    ]
    headings |= {"failed steps": _NUMBER, "tokens": _NUMBER, "cost": _NUMBER}
    return _table("Slowest traces", headings, rows, "No trace has ended.")


def tools(found: pa.Table) -> Html:
    """Tools, with how often they failed and why."""
    headings = {"tool": _NAME, **dict.fromkeys(("calls", "failed", "rate", "mean", "longest"), _NUMBER)}
    rows = [
        (
            _name(row["name"]),
            number(row["calls"]),
            _count(row["failures"]),
            percent(row["rate"]),
            milliseconds(row["meanMs"]),
            milliseconds(row["maxMs"]),
            "" if row["error"] is None else f"{_said(row['error'])} ({row['errorCalls']:,})",
            _id(row["lastTraceId"]),
        )
        for row in found.slice(0, _MOST).to_pylist()
    ]
    headings |= {"most frequent error": _SAID, "last failing trace": ""}
    return _table("Tools", headings, rows, "No tool was called.", of=found.num_rows)


def models(usage: pa.Table) -> Html:
    """Models, with what was used of them."""
    found = usage.slice(0, _MOST).to_pylist()
    numbers = ("calls", "failed", "tokens in", "tokens out", "cost", "mean", "median", "95 %")
    rows = [
        (
            _name(row["model"]),
            number(row["calls"]),
            _count(row["errors"]),
            number(row["inputTokens"]),
            number(row["outputTokens"]),
            cost,
            *[milliseconds(row[name]) for name in ("meanLatencyMs", "p50LatencyMs", "p95LatencyMs")],
        )
        for row, cost in zip(found, moneys([row["cost"] for row in found]), strict=True)
    ]
    headings = {"model": _NAME, **dict.fromkeys(numbers, _NUMBER)}
    return _table("Models", headings, rows, "No model was called.", of=usage.num_rows)


def scores(found: pa.Table) -> Html:
    """Scorers, with the scores that they gave."""
    numbers = ("scores", "mean", "median", "lowest", "highest")
    rows = [
        (
            _name(row["scorerId"]),
            number(row["scores"]),
            *[f"{row[name]:.3f}" for name in ("mean", "p50", "min", "max")],
        )
        for row in found.slice(0, _MOST).to_pylist()
    ]
    headings = {"scorer": _NAME, **dict.fromkeys(numbers, _NUMBER)}
    return _table("Scores", headings, rows, "Nothing was scored.", of=found.num_rows)


def _table(
    label: str, headings: Mapping[str, str], rows: Sequence[Sequence[Content]], empty: str, *, of: int = 0
) -> Html:
    if not rows:
        return element("p", empty, class_="cn-soft")
    caption = element("caption", f"the first {len(rows)} of {of:,}") if of > len(rows) else None
    head = [element("th", text, scope="col", class_=kind or None) for text, kind in headings.items()]
    kinds = [kind or None for kind in headings.values()]
    body = [
        element("tr", *[element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)])
        for row in rows
    ]
    table = element(
        "table", caption, element("thead", element("tr", *head)), element("tbody", *body), class_="cn-table"
    )
    return scrolled(table, label)


def tokens(row: Mapping[str, Any]) -> float | None:
    """Tokens in and out together."""
    known = [row[name] for name in ("inputTokens", "outputTokens") if row[name] is not None]
    return sum(known) if known else None


def milliseconds(value: float | None) -> str:
    """Milliseconds as a duration."""
    return duration(None if value is None else value * 1e6)


def percent(rate: float | None) -> str:
    """A share as per cent, with one decimal unless it is 0 or nearly all."""
    if rate is None:
        return ABSENT
    return f"{100 * rate:.1f} %" if 0 < rate < 0.995 else f"{100 * rate:.0f} %"


def compact(value: float | None) -> str:
    """A large number in three digits: ``1.24 M``."""
    if value is not None:
        for least, unit, sign in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
            if value >= least:
                return f"{value / unit:.3g} {sign}"
    return number(value)


def _id(trace: str | None) -> Html | None:
    return None if trace is None else element("code", safe(trace, 200), class_="cn-id", title=safe(trace, 200))


def _name(name: str | None) -> str:
    return ABSENT if name is None else safe(name, 60)


def _said(error: str | None) -> str:
    return "" if error is None else safe(error, 200)


def _began(time: datetime | None) -> str:
    return moment(time)


def _count(count: int) -> Content:
    return element("span", number(count), class_="cn-bad") if count else number(count)
