"""Commands that sum up: what was used, what is slow, what fails, and a report as a page."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What all of these commands take: of which time, and in which form."""

    since: Since = None
    until: Until = None
    format: Format = "table"
    pager: Pager = True

    def window(self) -> dict[str, Any]:
        """The time, as questions take it."""
        return {"since": when(self.since), "until": when(self.until)}

    def give(self, found: pa.Table, *, nothing: str, most: int | None = None) -> None:
        """Print an answer; ``nothing`` is said where it is empty."""
        if most is not None and most < 1:
            raise InvalidInput(f"limit must be a whole number >= 1, not {most}")
        match self.format:
            case "table":
                from colonnade.display.terminal import figures_table

                show(figures_table(found, nothing=nothing, most=most), pager=self.pager)
            case "json":
                from colonnade.schemas.payloads import to_json

                for row in found.slice(0, most).to_pylist():
                    print(to_json(row))
            case _:
                import pyarrow.csv

                sys.stdout.flush()
                pyarrow.csv.write_csv(found.slice(0, most), sys.stdout.buffer)


@Parameter(name="*")
@dataclass(frozen=True)
class OfSpans(Asked):
    """What commands about spans take besides."""

    every: Every = None
    span_type: SpanType = None

    def spans(self, by: str) -> dict[str, Any]:
        """Which spans, grouped by what, as questions take it."""
        return {
            "by": None if by == "none" else by,
            "every": self.every,
            "span_type": self.span_type,
            **self.window(),
        }


def usage(store: Store, /, *, by: By = "model", asked: OfSpans = OfSpans()) -> None:
    """Sum up what was used: calls, tokens, cost and latency, by model or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.usage(**asked.spans(by))
    asked.give(found, nothing="Nothing was used: no span has such a value.")


def latency(store: Store, /, *, by: By = "name", asked: OfSpans = OfSpans()) -> None:
    """Sum up how long spans took: mean, 50th, 95th and 99th percentile, by name or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.latency(**asked.spans(by))
    asked.give(found, nothing="There are no such spans.")


def errors(store: Store, /, *, by: By = "name", asked: OfSpans = OfSpans()) -> None:
    """Sum up how often spans fail, by name or anything else, and over time."""
    with reading(store) as opened:
        found = opened.queries.errors(**asked.spans(by))
    asked.give(found, nothing="There are no such spans.")


def tools(store: Store, /, *, asked: Asked = Asked()) -> None:
    """Sum up tools: how often they were called and failed, what went wrong most often, and where last."""
    with reading(store) as opened:
        found = opened.queries.tools(**asked.window())
    asked.give(found, nothing="No tool was called.")


def threads(
    store: Store,
    /,
    *,
    by: Annotated[
        Literal["thread", "resource"], Parameter(help="Threads, or the resources that they are of.")
    ] = "thread",
    limit: Limit = 50,
    asked: Asked = Asked(),
) -> None:
    """Sum up threads, last active first: messages, calls of models, tokens, cost."""
    with reading(store) as opened:
        found = opened.queries.threads(by="threadId" if by == "thread" else "resourceId", **asked.window())
    asked.give(found, nothing="There are no threads.", most=limit)


def slow(
    store: Store,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Only traces whose root span is called so.")] = None,
    limit: Limit = 20,
    asked: Asked = Asked(),
) -> None:
    """List the slowest traces."""
    with reading(store) as opened:
        found = opened.queries.slowest(name=name, limit=limit, **asked.window())
    asked.give(found, nothing="No trace has ended.")


def failing(store: Store, /, *, limit: Limit = 20, asked: Asked = Asked()) -> None:
    """List the latest traces in which something failed, with what went wrong first."""
    with reading(store) as opened:
        found = opened.queries.failing(limit=limit, **asked.window())
    asked.give(found, nothing="Nothing failed.")


def profile(
    store: Store,
    /,
    *,
    by: Annotated[str, Parameter(help="A text column of spans: name, spanType, model ...")] = "name",
    trace: Annotated[str | None, Parameter(help="Only this trace.")] = None,
    asked: Asked = Asked(),
) -> None:
    """Sum up where time went: how long spans took, and how long while none of their children did."""
    with reading(store) as opened:
        found = opened.queries.profile(by=by, trace_id=trace, **asked.window())
    asked.give(found, nothing="There are no such spans.")


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
