"""What a check of a folder found, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from rich.console import RenderableType
from rich.text import Text

from colonnade.display.formats import plural, safe
from colonnade.display.screen import Picture, sheet, stacked

_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}


class Finding(Protocol):
    """One thing that was found; ``remedy`` is what a repair would do about it."""

    @property
    def severity(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def remedy(self) -> str | None: ...


def findings_table(findings: Sequence[Finding]) -> Picture:
    """Findings, one a row, with what a repair would do below each; the text is wrapped, never cut."""

    def draw(width: int) -> RenderableType:
        if not findings:
            return Text("Nothing is wrong.")
        table = sheet()
        table.add_column("")
        table.add_column("file", overflow="fold")
        table.add_column("what was found, and what a repair does", overflow="fold", ratio=1)
        for each in findings:
            style = _STYLES.get(each.severity, "")
            what = Text(safe(each.what))
            if each.remedy:
                what.append(f"\n→ {safe(each.remedy)}", "green")
            table.add_row(Text(each.severity, style=style), Text(safe(each.file)), what)
        counts = [(kind, sum(each.severity == kind for each in findings)) for kind in _STYLES]
        said = ", ".join(plural(count, kind) for kind, count in counts if count)
        return stacked(table, Text(said, style="dim"))

    return Picture(draw)
