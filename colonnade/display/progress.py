"""A progress bar for what takes longer than a blink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar from 0 to ``total`` while the block runs; call what it gives after each step, with what is being done.

    Where there is no terminal, it is one line.
    """
    if not console.is_terminal:
        console.print(Text(f"{what} ..."))
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, advance=1, description=done)


@contextmanager
def counter(what: str, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """A count of rows while the block runs; call what it gives with how many there are. It leaves nothing behind."""
    rows = TextColumn("{task.completed:,.0f} rows")
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), rows, TimeElapsedColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda count: shown.update(task, completed=count)
