"""What all pictures share: tables that fit their width, a console, and plain text where there is no terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

GAP: Final = 2
"""Spaces between columns."""

_ASCII: Final = str.maketrans(
    {
        "━": "=",
        "╸": "=",
        "╺": "=",
        "─": "-",
        "│": "|",
        "├": "|",
        "└": "`",
        "┄": ".",
        "◆": "*",
        "✗": "x",
        "…": "...",
        "–": "-",  # noqa: RUF001
        "→": "->",
        "↑": "^",
        "↓": "v",
        "±": "+/-",
        "µ": "u",
        "≥": ">=",
    }
)


class Picture:
    """Something to look at, laid out for the width that there is.

    ``print`` it on a rich console; ``str`` is plain text, 80 columns wide.
    """

    def __init__(self, draw: Callable[[int], RenderableType]) -> None:
        self._draw = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._draw(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(40, options.max_width), options.max_width)

    def __str__(self) -> str:
        return plain(self)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, with the unit, and its cells.

    Columns are left out, the highest ``rank`` first, while the others do not fit. One that has ``least`` may be cut
    down to that width; others are shown in full or not at all.
    """

    heading: str
    cells: Sequence[str | Text]
    align: Literal["left", "right"] = "left"
    style: str = ""
    rank: int = 0
    least: int | None = None

    @property
    def width(self) -> int:
        """Its natural width in cells of a terminal."""
        return max(cell_len(self.heading), *(cell_len(c.plain if isinstance(c, Text) else c) for c in self.cells), 1)

    @property
    def narrowest(self) -> int:
        """The least width at which it can be shown."""
        return self.width if self.least is None else min(self.width, max(self.least, cell_len(self.heading)))


def fitted(columns: Sequence[Column], width: int) -> Table:
    """A table of the columns that fit; what had to be left out is said below it."""
    shown = list(columns)
    left_out: list[Column] = []
    while len(shown) > 1 and sum(column.narrowest + GAP for column in shown) - GAP > width:
        last = max(shown, key=lambda column: column.rank)
        if last.rank == 0:
            break
        shown.remove(last)
        left_out.append(last)
    table = sheet()
    spare = width - sum(column.narrowest + GAP for column in shown) + GAP
    for column in shown:
        wanted = min(column.width - column.narrowest, max(spare, 0))
        spare -= wanted
        table.add_column(
            Text(column.heading),
            justify=column.align,
            style=column.style,
            no_wrap=True,
            overflow="ellipsis",
            width=column.narrowest + wanted,
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    if names := ", ".join(column.heading for column in reversed(left_out) if column.heading):
        table.caption = Text(f"a wider terminal also shows: {names}", style="dim")
    return table


def sheet() -> Table:
    """An empty table in the style of the house: a line below the headings, no other lines."""
    return Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),  # the box adds a space of its own
        header_style="bold",
        caption_justify="left",
    )


def stacked(*parts: RenderableType | None) -> Group:
    """Parts one below the other; ``None`` is left out."""
    return Group(*(part for part in parts if part is not None))


def plain(picture: RenderableType, width: int = 80, *, ascii: bool = False) -> str:
    """A picture as text without colours, ``width`` columns wide; with ``ascii``, in characters that print anywhere."""
    file = io.StringIO()
    # Within a notebook, rich would show the picture there instead of writing it.
    made = Console(file=file, width=width, color_system=None, force_terminal=False, force_jupyter=False, _environ={})
    made.print(picture)
    lines = "\n".join(line.rstrip() for line in file.getvalue().splitlines())
    return lines.translate(_ASCII).encode("ascii", "replace").decode() if ascii else lines


def console(file: IO[str] | None = None, *, width: int | None = None) -> Console:
    """A console on standard output or a file; where that cannot print our lines and dashes, they become ASCII."""
    made = Console(file=file, width=width, highlight=False)
    try:
        "━├✗…–µ".encode(made.encoding)  # noqa: RUF001
    except (UnicodeEncodeError, LookupError):
        made = Console(file=_Ascii(made.file), width=width or made.width, highlight=False)  # type: ignore[arg-type]
    return made


class _Ascii:
    """A text file that is written in the characters it has."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        encoding = getattr(self._file, "encoding", None) or "ascii"
        return self._file.write(text.translate(_ASCII).encode(encoding, "replace").decode(encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def heading(text: str) -> RenderableType:
    """The heading of a section, with a line above it that the eye finds."""
    return Group("", Rule(Text(text, style="bold"), align="left", style="dim"))


def note(text: str, *, dim: bool = False) -> Text:
    """A sentence, as it is: nothing in it is markup."""
    return Text(text, style="dim" if dim else "")
