"""Commands that sum up: usage, slow traces, tools, and a report as a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from colonnade.cli_shared import Since, Store, reading
from colonnade.errors import InvalidInput


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
