"""When something happened, drawn: an axis of time, and bars below it on the same scale.

Bars are SVG with what is needed to read them in their attributes, so that they are still right where a code host takes
style sheets away; a style sheet gives them the width that there is and the colours of the theme.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from typing import Final

from colonnade.display.forest import Node
from colonnade.display.page import Html, element

KINDS: Final = {
    "agent_run": "agent",
    "workflow_run": "agent",
    "model_generation": "model",
    "model_step": "model",
    "tool_call": "tool",
    "mcp_tool_call": "tool",
}
"""What a span is drawn as, by its type; others are ``other``."""
COLOURS: Final = {"agent": "#4a73b8", "model": "#8457bd", "tool": "#1f877a", "other": "#6f7a8b", "failed": "#c9353b"}
"""The colours of bars where there is no style sheet; they can be told from white and from black."""
WIDTH: Final = 280
"""Pixels of a bar's whole width where there is no style sheet."""
_HEIGHT: Final = 14
_LEAST: Final = 0.5
"""Per cent of the width that even the shortest span takes."""
_OPEN: Final = 3
"""Per cent that a span takes which has just begun and still runs: so many that it is seen to be open."""
_SECOND: Final = 1_000_000_000
_UNITS: Final = ((1, "ns"), (10**3, "µs"), (10**6, "ms"), (_SECOND, "s"), (60 * _SECOND, "min"), (3600 * _SECOND, "h"))
_DAY: Final = 24 * 3600 * _SECOND

STYLE: Final = """
.colonnade svg.cn-bar { display: block; width: 100%; height: 26px; overflow: visible;
  background: linear-gradient(to right, var(--cn-line) 1px, transparent 1px) 0 0 / var(--cn-step, 100%) 100%; }
.colonnade .cn-bar :is(rect, path, text, line) { transform: translateY(6px); }
.colonnade .cn-head svg.cn-bar { background: none; }
.colonnade .cn-bar .cn-agent { fill: var(--cn-agent); } .colonnade .cn-bar .cn-model { fill: var(--cn-model); }
.colonnade .cn-bar .cn-tool { fill: var(--cn-tool); } .colonnade .cn-bar .cn-other { fill: var(--cn-other); }
.colonnade .cn-bar .cn-failed { fill: var(--cn-bad); }
.colonnade .cn-bar .cn-running { fill: var(--cn-paper); stroke: var(--cn-warn); }
.colonnade .cn-bar text { fill: var(--cn-soft); font-size: 11px; }
.colonnade .cn-bar line { stroke: var(--cn-soft); }
"""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stretch of time, in nanoseconds since the Unix epoch and as long, as wide as the picture."""

    begin: int
    length: int

    def place(self, time: int) -> float:
        """Where a time is, in per cent of the width."""
        return 100 * (time - self.begin) / self.length if self.length else 0.0

    @property
    def step(self) -> int:
        """Nanoseconds from one mark of the axis to the next: a round number, at most five of them."""
        steps = (size * unit for unit in (10**power for power in range(11)) for size in (1, 2, 5))
        long = (60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600)
        rounds = [*takewhile(lambda step: step <= 20 * _SECOND, steps), *(each * _SECOND for each in long)]
        days = (_DAY * size * 10**power for power in count() for size in (1, 2, 5))
        fits = (step for step in rounds if self.length <= 5 * step)
        return next(fits, 0) or next(step for step in days if self.length <= 5 * step)

    def axis(self) -> Html:
        """The marks of the axis, with their times."""
        size, unit = max(((s, u) for s, u in _UNITS if s <= self.step), default=_UNITS[0])
        marks = []
        for time in range(0, self.length + 1, self.step):
            x = f"{self.place(self.begin + time):.2f}%"
            marks.append(element("line", x1=x, x2=x, y1=0, y2=_HEIGHT, stroke="#7a8290"))
            if time <= 0.88 * self.length or not time:  # there is no room for a label at the end
                label = f"{time / size:g} {unit}" if time else "0"
                marks.append(element("text", label, x=x, dx=4, y=11, fill="currentColor", font_size=11))
        return _picture(*marks)

    def bar(self, node: Node) -> Html:
        """A span: a bar from its start to its end, open while it runs, or a mark where it is a moment."""
        kind = "failed" if node.error is not None else kind_of(node)
        at = self.place(node.start)
        if node.is_event:
            mark = element("path", d="M0 1.5 5.5 7 0 12.5-5.5 7z", fill=COLOURS[kind], class_=f"cn-{kind}")
            return _picture(element("svg", mark, x=f"{at:.2f}%", overflow="visible"), overflow="visible")
        if node.is_running:
            at = min(at, 100 - _OPEN)
            return _picture(_rect(at, 100 - at, "running", fill="none", stroke="#a87400", stroke_dasharray="4 3"))
        return _picture(_rect(at, self.place(node.end or node.start) - at, kind, fill=COLOURS[kind]))

    def extent(self, start: int, end: int) -> Html:
        """From when to when many spans were, all together."""
        at = self.place(start)
        return _picture(_rect(at, self.place(end) - at, "other", fill=COLOURS["other"], opacity=0.45))


def kind_of(node: Node) -> str:
    """What a span is drawn as."""
    return KINDS.get(str(node.span.get("spanType")), "other")


def _rect(at: float, width: float, kind: str, **look: str | float) -> Html:
    width = max(width, _LEAST)
    at = min(max(at, 0.0), 100 - width)
    return element("rect", x=f"{at:.2f}%", width=f"{width:.2f}%", y=3, height=8, rx=2, class_=f"cn-{kind}", **look)


def _picture(*content: Html, overflow: str | None = None) -> Html:
    look: dict[str, str | float | None] = {"width": WIDTH, "height": _HEIGHT, "class_": "cn-bar", "overflow": overflow}
    return element("svg", *content, **look, aria_hidden="true")
