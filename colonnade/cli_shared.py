"""What the commands share: a store that is opened to be read, times as they are typed, the console, progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

from cyclopts import Parameter

import colonnade
from colonnade.errors import NotFound

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

Store = Annotated[str, Parameter(help="Path or URL of a store, such as agent or duckdb:///agent.db.")]
Limit = Annotated[int, Parameter(help="How many rows at most.")]
Since = Annotated[str | None, Parameter(help="Only what began since then: 30m, 24h, 7d, or an ISO 8601 time.")]
Until = Annotated[str | None, Parameter(help="Only what began before then: a time as in --since.")]
Pager = Annotated[bool, Parameter(negative="--no-pager", help="Through $PAGER where it is longer than the screen.")]
After = Annotated[str | None, Parameter(help="The cursor that an earlier page ended with.")]


@contextmanager
def reading(address: str) -> Iterator[colonnade.Storage]:
    """A store opened to be read: a file must be there, and is opened read-only, so that several may read at once."""
    with colonnade.open(_to_read(address)) as store:
        yield store


@contextmanager
def changing(address: str) -> Iterator[colonnade.Storage]:
    """A store opened to be changed: it must be there, and is not made."""
    _to_read(address)
    with colonnade.open(address) as store:
        yield store


def _to_read(address: str) -> str:
    scheme, is_url, rest = address.partition(":///")
    if address == ":memory:" or ("://" in address and scheme not in ("duckdb", "sqlite", "lancedb")):
        return address
    path = Path(unquote(rest.partition("?")[0])) if is_url else Path(address).expanduser()
    sign = "spans.lance" if scheme == "lancedb" else "store.json"
    if not path.exists() or (path.is_dir() and not (path / sign).exists()):
        raise NotFound(f"there is no store at {address}")
    if not path.is_file() or scheme == "sqlite" or "read_only=" in rest:
        return address
    if not is_url:
        return f"duckdb:///{quote(str(path))}?read_only=true"
    return address + ("&" if "?" in rest else "?") + "read_only=true"


def when(text: str | None) -> Any:
    """A moment as it is typed, or how long ago."""
    from colonnade.queries.times import parse_when

    return None if text is None else parse_when(text)


def show(*pictures: RenderableType, cursor: str | None = None, pager: bool) -> None:
    """Print pictures, through a pager where they are long, and how to go on where there is another page."""
    from rich.text import Text

    from colonnade.display import paging

    more = [] if cursor is None else [Text(f"There is more: add --after {cursor}")]
    paging.show(*pictures, *more, paged=pager)


def console() -> Console:
    """The console that pictures are shown on."""
    from colonnade.display import terminal

    return terminal.console()


def progress_bars() -> Progress:
    """Bars on standard error for what takes long."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,  # a log wants no bar, and no empty line in its place
    )
