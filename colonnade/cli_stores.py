"""Further commands: moving data between stores, and searching it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

import colonnade
from colonnade.cli_shared import Limit, Since, Store, console, progress_bars, reading, when


def copy(
    source: Store,
    target: Store,
    /,
    *,
    tables: Annotated[str | None, Parameter(help="Only these, separated by commas.")] = None,
    since: Since = None,
) -> None:
    """Copy a store into another, compare both, and go on where an earlier copy was stopped.

    Exit code 1 if a row of the source is not in the target as it is in the source.
    """
    with reading(source) as here, colonnade.open(target) as there, progress_bars() as progress:
        task = progress.add_task("opening", total=None)
        copied = colonnade.copy(
            here,
            there,
            tables=[name.strip() for name in tables.split(",")] if tables else None,
            since=since,
            progress=lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    print(copied)
    if not copied.verified:
        raise SystemExit(1)


def search(
    store: Store,
    text: str,
    /,
    *,
    table: str = "spans",
    fields: Annotated[str | None, Parameter(help="Only in these, separated by commas.")] = None,
    some: bool = False,
    trace: str | None = None,
    thread: str | None = None,
    since: Since = None,
    limit: Limit = 10,
) -> None:
    """Search spans, messages or other tables for words, best first, each with the place where they are.

    Parameters
    ----------
    text
        Words that must all be there, in any order and either case.
    table
        spans, messages, threads, resources, scores or evals.
    some
        One of the words is enough; rows with more of them come first.
    """
    from colonnade.display.terminal import hits_view

    ids = {"traceId": trace, "threadId": thread}
    with reading(store) as opened:
        found = opened.search(
            text,
            table=table,
            fields=[name.strip() for name in fields.split(",")] if fields else None,
            some=some,
            filters={name: id for name, id in ids.items() if id is not None},
            since=when(since),
            limit=limit,
        )
    console().print(hits_view(found, text))
