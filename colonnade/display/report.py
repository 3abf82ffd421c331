"""A report as one page: a stretch of time at a glance, what to look at, and nothing beside it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from colonnade.display import report_charts, report_tables
from colonnade.display.formats import duration, moment, money, number, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Html, element, fragment, joined, page
from colonnade.display.report_charts import charts
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

STYLE: Final = (
    report_charts.STYLE
    + report_tables.STYLE
    + """
.colonnade .cn-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 10px;
  margin: 14px 0 4px; }
.colonnade .cn-tile { background: var(--cn-wash); border-radius: 8px; padding: 10px 14px 11px; }
.colonnade .cn-tile dt { color: var(--cn-soft); font-size: 12px; } .colonnade .cn-tile dd { margin: 0; }
.colonnade .cn-tile .cn-value { font-size: 22px; font-weight: 600; line-height: 1.35; white-space: nowrap; }
.colonnade .cn-tile .cn-change { font-size: 12px; color: var(--cn-soft); }
@media print { .colonnade :is(figure, tr, .cn-tile) { break-inside: avoid; } }
"""
)


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
            charts(report),
            _section("Traces with failed steps", failing(report.failing)),
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
        _tile(
            "Failed traces",
            percent(rate),
            number(now["failed"]) if now["failed"] else "",
            _points(rate, rate_before),
            bad=bool(now["failed"]),
        ),
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
