"""A report as one page: a stretch of time at a glance, what to look at, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.display import plots
from colonnade.display.formats import decimals_for, duration, moment, money, number, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Html, element, fragment, joined, page
from colonnade.display.plots import Plot, Series
from colonnade.display.report_tables import STYLE as TABLE_STYLE
from colonnade.display.report_tables import (
    compact,
    failing,
    milliseconds,
    models,
    percent,
    scores,
    slowest,
    tokens,
    tools,
)
from colonnade.queries.report import Report
from colonnade.queries.usage import WRAPPERS

STYLE: Final = (
    plots.STYLE
    + TABLE_STYLE
    + """
.colonnade .cn-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px;
  margin: 14px 0 4px; }
.colonnade .cn-tile { background: var(--cn-wash); border-radius: 8px; padding: 10px 14px 11px; }
.colonnade .cn-tile dt { color: var(--cn-soft); font-size: 12px; } .colonnade .cn-tile dd { margin: 0; }
.colonnade .cn-tile .cn-value { font-size: 22px; font-weight: 600; line-height: 1.35; white-space: nowrap; }
.colonnade .cn-tile .cn-change { font-size: 12px; color: var(--cn-soft); }
.colonnade .cn-charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 22px 32px;
  margin-top: 22px; }
.colonnade .cn-charts figure { margin: 0; min-width: 0; }
.colonnade figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 14px;
  margin-bottom: 4px; }
@media (max-width: 760px) { .colonnade .cn-charts { grid-template-columns: minmax(0, 1fr); } }
@media print { .colonnade :is(figure, tr, .cn-tile) { break-inside: avoid; } }
"""
)
_UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}
_STEPS: Final = {"model_generation": "models", "tool_call": "tools", "mcp_tool_call": "MCP tools", "generic": "other"}
"""Types of spans, as people call them."""


def report_page(report: Report, store: str) -> str:
    """A report as a file of its own; ``store`` is the store's path or URL."""
    title = f"{name_of(store)}: {_span_of_time(report)}"
    return page(title, element("h1", title), _body(report), style=STYLE)


def report_html(report: Report) -> str:
    """A report for the output of a notebook's cell."""
    title = f"Report: {_span_of_time(report)}"
    return fragment(element("h2", title), _body(report), label=title, style=STYLE)


@html_of.register
def _(report: Report) -> str:
    return report_html(report)


@text_of.register
def _(report: Report) -> str:
    total = report.total
    return (
        f"{_span_of_time(report)}: {plural(int(total['traces'] or 0), 'trace')}, {number(total['failed'])} failed, "
        f"95 % within {milliseconds(total['p95Ms'])}, {money(total['cost'])}"
    )


def name_of(store: str) -> str:
    """What a store is called on a page that others may see: of a path the last part, of a URL nothing secret."""
    if "://" not in store:
        return safe(Path(store).resolve().name or store, 80)
    parts = urlsplit(store)
    host = parts.hostname or ""
    return safe(f"{host}{parts.path}" if host else Path(unquote(parts.path)).name, 80) or parts.scheme


def _body(report: Report) -> Html:
    range_ = f"{moment(report.since)} to {moment(report.until)} UTC"
    facts = element(
        "p", f"{range_}, compared with the {_span_of_time(report).removeprefix('last ')} before", class_="cn-soft"
    )
    if not report.total["traces"] and not report.models.num_rows and not report.scores.num_rows:
        return joined([facts, element("p", "Nothing was recorded in this time.")])
    return joined(
        [
            facts,
            _tiles(report),
            _charts(report),
            _section("Traces in which something failed", failing(report.failing)),
            _section("Slowest traces", slowest(report.slowest)),
            _section("Tools", tools(report.tools)),
            _section("Models", models(report.models)),
            _section("Scores", scores(report.scores)),
        ]
    )


def _section(title: str, content: Html) -> Html:
    return element("section", element("h2", title), content)


def _span_of_time(report: Report) -> str:
    length = report.until - report.since
    if length % timedelta(days=1) == timedelta(0):
        return "last day" if length.days == 1 else f"{length.days} days"
    return duration(length / timedelta(microseconds=1) * 1000)


# --- tiles ---


def _tiles(report: Report) -> Html:
    now, before = report.total, report.before
    rate, rate_before = (_ratio(each["failed"], each["traces"]) for each in (now, before))
    running = f"{number(now['running'])} still running" if now["running"] else ""
    tiles = [
        _tile("Traces", number(now["traces"]), _change(now["traces"], before["traces"]), running),
        _tile("Failed", percent(rate), number(now["failed"]), _points(rate, rate_before), bad=bool(now["failed"])),
        _tile("Median duration", milliseconds(now["p50Ms"]), _change(now["p50Ms"], before["p50Ms"])),
        _tile("95th percentile", milliseconds(now["p95Ms"]), _change(now["p95Ms"], before["p95Ms"])),
        _tile("Cost", money(now["cost"]), _change(now["cost"], before["cost"])),
        _tile("Tokens", compact(tokens(now)), _change(tokens(now), tokens(before))),
    ]
    return element("dl", *tiles, class_="cn-tiles")


def _tile(name: str, value: str, *notes: str, bad: bool = False) -> Html:
    said = ", ".join(note for note in notes if note)
    return element(
        "div",
        element("dt", name),
        element("dd", value, class_=f"cn-value{' cn-bad' if bad else ''}"),
        element("dd", said or "\u00a0", class_="cn-change"),
        class_="cn-tile",
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return (part or 0) / whole if whole else None


def _change(now: float | None, before: float | None) -> str:
    if now is None or not before:
        return ""
    change = now / before - 1
    if abs(change) < 0.005:
        return "as before"
    return f"×{now / before:.3g}" if change >= 2 else f"{change:+.0%}".replace("-", "−")  # noqa: RUF001


def _points(now: float | None, before: float | None) -> str:
    if now is None or before is None:
        return ""
    points = 100 * (now - before)
    return "as before" if abs(points) < 0.05 else f"{points:+.1f} points".replace("-", "−")  # noqa: RUF001


# --- charts ---


def _charts(report: Report) -> Html:
    unit = _every(report.every)
    times = report.traces.column("startedAt").to_pylist()
    columns = {name: report.traces.column(name).to_pylist() for name in ("traces", "failed", "p50Ms", "p95Ms")}
    fine = [all_ - failed for all_, failed in zip(columns["traces"], columns["failed"], strict=True)]
    volume = [Series("failed", columns["failed"], "bad"), Series("fine", fine, "s0")]
    took = [Series("95th percentile", columns["p95Ms"], "s1"), Series("median", columns["p50Ms"], "s0")]
    width = timedelta(minutes=1) if len(times) < 2 else times[1] - times[0]
    cost = _by_model(report, times)
    figures = [
        _figure(plots.bars, f"Traces {unit}", Plot(times, width, volume, number, f"Traces {unit}")),
        _figure(plots.lines, "Duration of traces", Plot(times, width, took, milliseconds, "Duration of traces")),
    ]
    if failed := _failures(report, times):
        name = f"Failed steps {unit}"
        figures.append(_figure(plots.bars, name, Plot(times, width, failed, number, name)))
    if cost:
        figures.append(
            _figure(plots.bars, f"Cost {unit}", Plot(times, width, cost, _dollars(cost), f"Cost by model {unit}"))
        )
    for series in _trends(report):
        name = f"Score: {series.name}"
        at = report.score_trends.column("createdAt").unique().to_pylist()
        shown = Plot(at, width, [series], lambda value: f"{value:.2f}", name)
        figures.append(_figure(plots.lines, name, shown, legend=False))
    return element("div", *figures, class_="cn-charts")


def _dollars(series: Sequence[Series]) -> Callable[[float], str]:
    """Amounts with as many decimals as the axis needs, all of them the same."""
    most = max(
        sum(values) for values in zip(*[[value or 0.0 for value in each.values] for each in series], strict=True)
    )
    decimals = decimals_for([most / 4], least=2)
    return lambda value: money(value, decimals)


def _figure(draw: Callable[[Plot], Html], title: str, plot: Plot, *, legend: bool = True) -> Html:
    key = plots.legend(list(plot.series)) if legend else None
    return element("figure", element("figcaption", element("b", safe(title, 80)), key), draw(plot))


def _by_model(report: Report, times: Sequence[datetime]) -> list[Series]:
    """Cost by model."""
    return _stacked(report.cost, "model", "cost", times)


def _failures(report: Report, times: Sequence[datetime]) -> list[Series]:
    """Spans with an error, by their type; an agent's run fails because of them, and is in the chart of traces."""
    kept = report.errors.filter(pc.invert(pc.is_in(report.errors.column("spanType"), pa.array(WRAPPERS))))
    return [
        Series(_STEPS.get(series.name, series.name), series.values, series.colour)
        for series in _stacked(kept, "spanType", "errors", times)
    ]


def _stacked(found: pa.Table, by: str, column: str, times: Sequence[datetime]) -> list[Series]:
    """Those with most of it in all, one upon the other; of those that have least, one sum."""
    values: dict[str, dict[datetime, float]] = {}
    for row in found.select(["startedAt", by, column]).to_pylist():
        if row[column]:
            values.setdefault(row[by], {})[row["startedAt"]] = row[column]
    ranked = sorted(values, key=lambda name: (-sum(values[name].values()), name))
    most = plots.COLOURS if len(ranked) <= plots.COLOURS else plots.COLOURS - 1
    series = [
        Series(name, [values[name].get(time, 0.0) for time in times], f"s{place}")
        for place, name in enumerate(ranked[:most])
    ]
    if rest := ranked[most:]:
        sums = [sum(values[name].get(time, 0.0) for name in rest) for time in times]
        series.append(Series(f"{len(rest)} others", sums, f"s{most}"))
    return series


def _trends(report: Report) -> list[Series]:
    """The means of the scorers with most scores."""
    found: dict[str, list[float | None]] = {}
    for row in report.score_trends.select(["scorerId", "mean"]).to_pylist():
        found.setdefault(row["scorerId"], []).append(row["mean"])
    ranked = [name for name in report.scores.column("scorerId").to_pylist() if name in found]
    return [Series(name, found[name], f"s{2 + place % 3}") for place, name in enumerate(ranked[:4])]


def _every(every: str) -> str:
    count, unit = int(every[:-1]), _UNITS[every[-1]]
    return f"per {unit}" if count == 1 else f"per {count} {unit}s"
