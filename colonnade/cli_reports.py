"""Commands that sum up: what was used, what is slow, what fails, and a report as a page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from colonnade.cli_shared import Limit, Pager, Since, Store, Until, reading, show, when
from colonnade.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

By = Annotated[
    str, Parameter(help="A text column of spans: model, name, userId, serviceName ...; none for all together.")
]
Every = Annotated[str | None, Parameter(help="One line for each interval of that width: 15m, 1h, 1d.")]
SpanType = Annotated[str | None, Parameter(help="Only spans of one type, such as model_generation or tool_call.")]
Format = Annotated[
    Literal["table", "json", "csv"], Parameter(help="A table for people; json (one object a line) or csv for programs.")
]


def usage(
    store: Store,
    /,
    *,
    by: By = "model",
    every: Every = None,
    span_type: SpanType = None,
    since: Since = None,
    until: Until = None,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """Sum up what was used: calls, tokens, cost and latency, by model or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.usage(
            by=_column(by), every=every, span_type=span_type, since=when(since), until=when(until)
        )
    _give(found, format, nothing="Nothing was used: no span has such a value.", pager=pager)


def latency(
    store: Store,
    /,
    *,
    by: By = "name",
    every: Every = None,
    span_type: SpanType = None,
    since: Since = None,
    until: Until = None,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """Sum up how long spans took: mean, 50th, 95th and 99th percentile, by name or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.latency(
            by=_column(by), every=every, span_type=span_type, since=when(since), until=when(until)
        )
    _give(found, format, nothing="There are no such spans.", pager=pager)


def errors(
    store: Store,
    /,
    *,
    by: By = "name",
    every: Every = None,
    span_type: SpanType = None,
    since: Since = None,
    until: Until = None,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """Sum up how often spans fail, by name or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.errors(
            by=_column(by), every=every, span_type=span_type, since=when(since), until=when(until)
        )
    _give(found, format, nothing="There are no such spans.", pager=pager)


def tools(
    store: Store, /, *, since: Since = None, until: Until = None, format: Format = "table", pager: Pager = True
) -> None:
    """Sum up tools: how often they were called and failed, what went wrong most often, and where last."""
    with reading(store) as opened:
        found = opened.queries.tools(since=when(since), until=when(until))
    _give(found, format, nothing="No tool was called.", pager=pager)


def threads(
    store: Store,
    /,
    *,
    by: Annotated[
        Literal["thread", "resource"], Parameter(help="Threads, or the resources that they are of.")
    ] = "thread",
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """Sum up threads, last active first: messages, calls of models, tokens, cost."""
    with reading(store) as opened:
        found = opened.queries.threads(
            by="threadId" if by == "thread" else "resourceId", since=when(since), until=when(until)
        )
    _give(found, format, nothing="There are no threads.", pager=pager, most=limit)


def slow(
    store: Store,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Only traces whose root span is called so.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """List the slowest traces."""
    with reading(store) as opened:
        found = opened.queries.slowest(name=name, since=when(since), until=when(until), limit=limit)
    _give(found, format, nothing="No trace has ended.", pager=pager)


def failing(
    store: Store,
    /,
    *,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """List the latest traces in which something failed, with what went wrong first."""
    with reading(store) as opened:
        found = opened.queries.failing(since=when(since), until=when(until), limit=limit)
    _give(found, format, nothing="Nothing failed.", pager=pager)


def profile(
    store: Store,
    /,
    *,
    by: Annotated[str, Parameter(help="A text column of spans: name, spanType, model ...")] = "name",
    trace: Annotated[str | None, Parameter(help="Only this trace.")] = None,
    since: Since = None,
    until: Until = None,
    format: Format = "table",
    pager: Pager = True,
) -> None:
    """Sum up where time went: how long spans took, and how long while none of their children did."""
    with reading(store) as opened:
        found = opened.queries.profile(by=by, trace_id=trace, since=when(since), until=when(until))
    _give(found, format, nothing="There are no such spans.", pager=pager)


def _column(by: str) -> str | None:
    return None if by == "none" else by


def _give(found: pa.Table, format: str, *, nothing: str, pager: bool, most: int | None = None) -> None:
    if most is not None and most < 1:
        raise InvalidInput(f"limit must be a whole number >= 1, not {most}")
    match format:
        case "table":
            from colonnade.display.terminal import figures_table

            show(figures_table(found, nothing=nothing, most=most), pager=pager)
        case "json":
            from colonnade.schemas.payloads import to_json

            for row in found.slice(0, most).to_pylist():
                print(to_json(row))
        case _:
            import pyarrow.csv

            sys.stdout.flush()
            pyarrow.csv.write_csv(found.slice(0, most), sys.stdout.buffer)


def report(
    store: Store,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("report.html"),
    since: Annotated[str, Parameter(help="From when on: 24h, 7d, or an ISO 8601 time.")] = "24h",
    until: Since = None,
) -> None:
    """Write a page about the last day: volume, errors, latency, cost, slow and failing traces, tools, scores.

    Parameters
    ----------
    output
        The file, which needs nothing beside it. It appears whole or not at all.
    """
    from colonnade.display.report import report_page

    if output.suffix.lower() not in (".html", ".htm"):
        raise InvalidInput(f"a report is a page in HTML; let the name of {output} end in .html")
    if not output.parent.is_dir():
        raise InvalidInput(f"{output.parent} is no folder; make it first")
    with reading(store) as opened:
        found = opened.queries.report(since=since, until=until)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_text(report_page(found, store), encoding="utf-8")
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{output} shows {found.total['traces']:,} traces ({output.stat().st_size:,} bytes).")
