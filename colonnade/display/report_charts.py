"""The charts of a report: volume, duration, failures and cost over time, and how scores went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.display import plots
from colonnade.display.formats import decimals_for, money, number, safe
from colonnade.display.page import Html, element
from colonnade.display.plots import Plot, Series
from colonnade.display.report_tables import milliseconds
from colonnade.queries.report import Report
from colonnade.queries.usage import WRAPPERS

STYLE: Final = (
    plots.STYLE
    + """
.colonnade .cn-charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 22px 32px;
  margin-top: 22px; }
.colonnade .cn-charts figure { margin: 0; min-width: 0; }
.colonnade .cn-charts figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 14px;
  margin-bottom: 4px; }
@media (max-width: 760px) { .colonnade .cn-charts { grid-template-columns: minmax(0, 1fr); } }
"""
)
_UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}
_STEPS: Final = {"model_generation": "models", "tool_call": "tools", "mcp_tool_call": "MCP tools", "generic": "other"}
"""Types of spans, as people call them."""


def charts(report: Report) -> Html:
    """All charts, in two columns where there is room."""
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
