"""A trace as a tree: who caused what, when, for how long, at what price."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import rich
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from colonnade.display.forest import Node, SpanRecord, forest
from colonnade.display.formats import ABSENT, decimals_for, duration, moment, money, number, plural, safe
from colonnade.display.screen import GAP, Picture

COLOURS: Final = {
    "agent_run": "cyan",
    "workflow_run": "cyan",
    "model_generation": "magenta",
    "model_step": "magenta",
    "tool_call": "green",
    "mcp_tool_call": "green",
}
"""Colours of spans by their type; others are blue."""

_NAMES: Final = 28
"""The names keep this many columns before there is a bar, and before there are more figures than the duration."""
_SAID: Final = 400
"""Characters of what a failed span said."""


def trace_tree(spans: Iterable[SpanRecord], limit: int | None = None) -> Picture:
    """The spans of one trace as a tree, siblings by start, each with a bar that shows when in the trace it ran.

    ``spans`` are span records, light or whole, in any order. Spans that failed are red and marked ``✗``, with what they
    said; those without an end are ``running``; those whose parent is not among ``spans`` stand at the root and say so.
    Of more than ``limit`` spans the first of the tree are drawn, and the others are counted below.
    """
    return Picture(_Tree(spans, limit).draw)


@dataclass(frozen=True, slots=True)
class _Figures:
    """One column of numbers."""

    heading: str
    cells: list[str]
    width: int

    @classmethod
    def of(cls, heading: str, cells: list[str]) -> _Figures:
        return cls(heading, cells, max(map(cell_len, (heading, *cells))))


class _Tree:
    """A trace, laid out for any width."""

    def __init__(self, spans: Iterable[SpanRecord], limit: int | None) -> None:
        self.forest = forest(spans)
        self.limit = limit
        self.nodes = self.forest.walk()
        self.begin = min((node.start for node in self.nodes), default=0)
        self.length = max((max(node.start, node.end or 0) - self.begin for node in self.nodes), default=0)

    def draw(self, width: int) -> RenderableType:
        if not self.nodes:
            return Text("This trace has no spans.")
        figures = self._figures()
        wanted = max(2 * node.depth + cell_len(_label(node)) for node in self.nodes)
        least = min(wanted, _NAMES)
        while len(figures) > 1 and _rest(width, figures) < least:
            figures.pop()
        rest = max(_rest(width, figures), 8)
        bar = min(40, max(rest - wanted, (rest - least) // 2) - GAP)
        bar = bar if bar >= 8 else 0
        names = min(wanted, rest - (bar + GAP if bar else 0))
        lines = [*self._title(), Text(), _heading(names, bar, figures)]
        above: list[bool] = []
        for row, node in enumerate(self.nodes[: self.limit]):
            above[node.depth :] = [node.last]
            lines.append(self._line(node, above, names, bar, [(column.cells[row], column.width) for column in figures]))
            lines.extend(_notes(node, above, names, width))
        if self.limit is not None and len(self.nodes) > self.limit:
            lines.append(Text(f"{plural(len(self.nodes) - self.limit, 'more span')} are not printed", style="dim"))
        return Group(*lines)

    def _title(self) -> list[Text]:
        ends = [node.end for node in self.nodes if node.end is not None]
        running = sum(node.is_running for node in self.nodes)
        failed = sum(node.error is not None for node in self.nodes)
        facts = [f"began {moment(at_time(self.begin), fraction=True)} UTC"]
        facts += [f"took {duration(max(ends) - self.begin)}"] if ends and not running else []
        facts += [plural(len(self.nodes), "span")]
        facts += [f"{failed:,} failed"] if failed else []
        facts += [f"{running:,} running"] if running else []
        for column, unit in (("inputTokens", "tokens in"), ("outputTokens", "tokens out")):
            total = self.forest.total(column)
            facts += [f"{number(total)} {unit}"] if total is not None else []
        cost = self.forest.total("cost")
        facts += [money(cost)] if cost is not None else []
        names = dict.fromkeys(safe(node.span.get("traceId") or "?") for node in self.nodes)
        return [Text.assemble("trace ", (", ".join(names), "bold")), Text(", ".join(facts))]

    def _figures(self) -> list[_Figures]:
        took = ["running" if node.is_running else _took(node) for node in self.nodes]
        columns = [_Figures.of("took", took)]
        costs = [node.span.get("cost") for node in self.nodes]
        if any(cost is not None for cost in costs):
            decimals = decimals_for(costs, least=2)
            columns.append(_Figures.of("cost", [_blank(money(cost, decimals)) for cost in costs]))
        for column, heading in (("inputTokens", "tok in"), ("outputTokens", "tok out")):
            counts = [node.span.get(column) for node in self.nodes]
            if any(count is not None for count in counts):
                columns.append(_Figures.of(heading, [_blank(number(count)) for count in counts]))
        return columns

    def _line(self, node: Node, above: list[bool], names: int, bar: int, cells: list[tuple[str, int]]) -> Text:
        colour = "red" if node.error is not None else COLOURS.get(str(node.span.get("spanType")), "blue")
        line = Text(no_wrap=True, overflow="crop", end="\n")
        line.append(_guide(above, names, "├ ", "└ "), "dim")
        line.append(_label(node), "bold red" if node.error is not None else "")
        line.truncate(names, overflow="ellipsis", pad=True)
        if bar:
            line.append(" " * GAP)
            line.append(self._bar(node, bar), colour)
        for cell, width in cells:
            line.append(" " * (GAP + width - cell_len(cell)))
            line.append(cell, "yellow" if cell == "running" else "")
        return line

    def _bar(self, node: Node, width: int) -> str:
        scale = width / self.length if self.length else 0.0
        first = min(width - 1, math.floor((node.start - self.begin) * scale))
        if node.is_event:
            return (" " * first + "◆").ljust(width)
        if node.is_running:
            return (" " * first).ljust(width, "┄")
        last = min(width, math.ceil(((node.end or node.start) - self.begin) * scale))
        return (" " * first + "━" * max(1, last - first)).ljust(width)


def _rest(width: int, figures: list[_Figures]) -> int:
    return width - sum(column.width + GAP for column in figures)


def _heading(names: int, bar: int, figures: list[_Figures]) -> Text:
    text = "span".ljust(names) + (" " * GAP + "when".ljust(bar) if bar else "")
    text += "".join(" " * GAP + column.heading.rjust(column.width) for column in figures)
    return Text(text, style="bold", no_wrap=True, overflow="crop")


def _label(node: Node) -> str:
    name = safe(node.span.get("name") or "(no name)", 200)
    model = node.span.get("model")
    named = f"{name} ({safe(model, 80)})" if model and str(model) not in name else name
    return f"✗ {named}" if node.error is not None else named


def _took(node: Node) -> str:
    return _blank(ABSENT) if node.is_event else duration(node.nanoseconds)


def _blank(text: str) -> str:
    return "" if text == ABSENT else text


def _guide(above: list[bool], names: int, branch: str, end: str) -> str:
    """The lines that lead to a span; ``above`` says of it and of each of its ancestors whether it is the last child."""
    depth = len(above) - 1
    if not depth:
        return ""
    most = max(1, names // 4)  # each is two columns, and half of the names' width stays for the names
    cut = "" if depth <= most else "… "
    parts = ["  " if last else "│ " for last in above[-depth if depth <= most else 1 - most : -1]]
    return cut + "".join(parts) + (end if above[-1] else branch)


def _notes(node: Node, above: list[bool], names: int, width: int) -> list[Text]:
    """What a span has to say for itself, below it: its error, its missing parent."""
    notes = []
    if node.error:
        notes.append(Text(safe(node.error, _SAID), style="red"))
    if node.orphan:
        notes.append(Text(without_parent(node), style="yellow"))
    if not notes:
        return []
    guide = _guide(above, names, "│ ", "  ") + ("│ " if node.children else "  ")
    lines = []
    for note in notes:
        for part in note.wrap(rich.get_console(), max(width - cell_len(guide), 20)):
            lines.append(Text.assemble((guide, "dim"), part, no_wrap=True, overflow="crop"))
    return lines


def without_parent(node: Node) -> str:
    """Why a span that names a parent is drawn without one."""
    parent = node.span.get("parentSpanId")
    if parent == node.span.get("spanId"):
        return "it names itself as its parent"
    if node.circle:
        return f"its parent {safe(parent, 40)} is below it: they name each other as parents"
    return f"its parent {safe(parent, 40)} is not here: still running, or never kept"


def at_time(nanoseconds: int) -> datetime:
    """Nanoseconds since the Unix epoch as a time, to the microsecond."""
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).replace(
        microsecond=nanoseconds % 1_000_000_000 // 1000
    )
