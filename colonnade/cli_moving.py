"""The commands that move data between stores."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

import colonnade
from colonnade.cli_shared import Since, Store, progress_bars, reading


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
