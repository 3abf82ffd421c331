"""Small charts over time in SVG: bars and lines with an axis, read without a script and in light and dark.

Each mark says its time and value when it is pointed at, and the whole says in one sentence what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from colonnade.display.formats import moment, safe
from colonnade.display.page import Html, element

WIDTH: Final = 528
_YEARS: Final = timedelta(days=300)
"""Over longer than this, a day and a month may be of one year or of another."""
HEIGHT: Final = 190
_LEFT: Final = 58
_RIGHT: Final = 8
_TOP: Final = 10
_BOTTOM: Final = 24
COLOURS: Final = 6
"""Series that have a colour of their own."""

STYLE: Final = """
.colonnade { --cn-s0: light-dark(#4a73b8, #76a1e5); --cn-s1: light-dark(#c77d1a, #e3a950);
  --cn-s2: light-dark(#2f8f6b, #5fc79d); --cn-s3: light-dark(#8457bd, #b794ec); --cn-s4: light-dark(#b8507a, #e88fb2);
  --cn-s5: light-dark(#6f7a8b, #8d98a8); }
.colonnade svg.cn-plot { display: block; width: 100%; height: auto; overflow: visible; font-size: 11px; }
.colonnade svg.cn-plot text { fill: var(--cn-soft); }
.colonnade svg.cn-plot .cn-grid { stroke: var(--cn-line); } .colonnade svg.cn-plot .cn-base { stroke: var(--cn-soft); }
.colonnade svg.cn-plot .cn-hover { fill: transparent; } .colonnade svg.cn-plot .cn-hover:hover { fill: var(--cn-ink);
  fill-opacity: .07; }
.colonnade svg.cn-plot path { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.colonnade .cn-legend { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--cn-soft); font-size: 12px; }
.colonnade .cn-legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
"""


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time, ``None`` where there is none, in a colour of the style, such as ``bad`` or ``s0``."""

    name: str
    values: Sequence[float | None]
    colour: str


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn: the beginnings of intervals, all of one width, and series over them."""

    times: Sequence[datetime]
    width: timedelta
    series: Sequence[Series]
    said: Callable[[float], str]
    """How a value is written."""
    label: str
    """What the chart shows, in a few words."""


def bars(plot: Plot) -> Html:
    """Bars, stacked in the order of the series."""
    totals = [sum(series.values[place] or 0 for series in plot.series) for place in range(len(plot.times))]
    axis = _Axis(plot, [0.0, *totals])
    marks = []
    for place in range(len(plot.times)):
        at = float(axis.base)
        left, step = axis.left(place), axis.step
        gap = min(2.0, step / 5)
        for series in plot.series:
            height = axis.base - axis.y(series.values[place] or 0)
            if height > 0:
                height = max(height, 1.0)  # the least is seen, too
                at -= height
                marks.append(
                    element(
                        "rect",
                        x=_short(left + gap / 2),
                        y=_short(at),
                        width=_short(step - gap),
                        height=_short(height),
                        rx=1,
                        style=f"fill:var(--cn-{series.colour})",
                    )
                )
    return axis.drawn(marks)


def lines(plot: Plot) -> Html:
    """Lines from interval to interval, broken where there is no value; one between two gaps is a dot."""
    known = [value for series in plot.series for value in series.values if value is not None]
    axis = _Axis(plot, [0.0, *known])
    marks = []
    for series in plot.series:
        stroke = f"stroke:var(--cn-{series.colour})"
        for run in _runs(series.values):
            points = [(axis.left(place) + axis.step / 2, axis.y(series.values[place] or 0)) for place in run]
            if len(points) == 1:
                ((x, y),) = points
                fill = f"fill:var(--cn-{series.colour})"
                marks.append(element("circle", cx=_short(x), cy=_short(y), r=2.5, style=fill))
            else:
                path = "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)
                marks.append(element("path", d=path, style=stroke))
    return axis.drawn(marks)


def legend(series: Sequence[Series]) -> Html:
    """Which colour is which series."""
    keys = [
        element("span", element("i", style=f"background:var(--cn-{each.colour})"), safe(each.name, 40))
        for each in series
    ]
    return element("div", *keys, class_="cn-legend")


class _Axis:
    def __init__(self, plot: Plot, values: Sequence[float]) -> None:
        self.plot = plot
        # Of what is counted there are no halves.
        self.ticks = ticks(min(values), max(values), whole=all(float(value).is_integer() for value in values))
        self.base = HEIGHT - _BOTTOM
        self.step = (WIDTH - _LEFT - _RIGHT) / max(len(plot.times), 1)

    def left(self, place: int) -> float:
        return _LEFT + place * self.step

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.base - (value - low) / (high - low) * (self.base - _TOP)

    def drawn(self, marks: list[Html]) -> Html:
        grid = []
        for tick in self.ticks:
            y = _short(self.y(tick))
            kind = "cn-grid" if tick else "cn-base"
            grid.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_=kind))
            grid.append(
                element(
                    "text",
                    self.plot.said(tick) if tick else "0",
                    x=_LEFT - 6,
                    y=_short(self.y(tick) + 4),
                    text_anchor="end",
                )
            )
        grid += [
            element("text", text, x=_short(self.left(place)), y=HEIGHT - 6, text_anchor="middle" if place else "start")
            for place, text in time_marks(self.plot.times, self.plot.width)
        ]
        return element(
            "svg",
            *grid,
            *marks,
            *(self._hover(place) for place in range(len(self.plot.times))),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=self._said(),
            class_="cn-plot",
        )

    def _said(self) -> str:
        """What those hear who do not see it."""
        told = [self.plot.label]
        for series in self.plot.series:
            known = [value for value in series.values if value is not None]
            ends = f"{self.plot.said(min(known))} to {self.plot.said(max(known))}" if known else "nothing"
            told.append(f"{safe(series.name, 40)}: {ends}")
        return "; ".join(told)

    def _hover(self, place: int) -> Html:
        values = [(series.name, series.values[place]) for series in self.plot.series]
        told = [f"{safe(name, 40)}: {self.plot.said(value)}" for name, value in values if value is not None]
        text = "\n".join([f"{moment(self.plot.times[place])} UTC", *(told or ["nothing"])])
        area = {"x": _short(self.left(place)), "y": _TOP, "width": _short(self.step), "height": self.base - _TOP}
        return element("rect", element("title", text), class_="cn-hover", **area)


_LEAST: Final = 1e-300
"""What is closer together is one value: its steps would be too small for floats."""


def ticks(least: float, most: float, *, whole: bool = False) -> list[float]:
    """Round steps of 1, 2, 2.5 or 5, three to six or so, from ``least`` or below to ``most`` or above.

    Zero is between them. ``whole`` steps are of 1, 2, 5 or more.
    """
    if not _LEAST < most - least < math.inf:
        return [0.0, 1.0]
    rough = (most - least) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(factor * size for factor in factors if factor * size >= rough * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def time_marks(times: Sequence[datetime], width: timedelta) -> list[tuple[int, str]]:
    """At which intervals the axis of time has a mark, and what it says: at most seven, at round times.

    Hours are marked by their time, and by the date at midnight; days by the date; over years by month and year.
    """
    if not times:
        return []
    for hours in (1 / 12, 1 / 4, 1, 3, 6, 12, 24, 48, 168, 336, 672, 1344, 4032, 8736):
        step = timedelta(hours=hours)
        if step >= width and (times[-1] + width - times[0]) / step <= 7:
            break
    found = []
    date = "%b %Y" if times[-1] - times[0] > _YEARS else "%d %b"
    for place, time in enumerate(times):
        since = time.replace(hour=0, minute=0, second=0, microsecond=0)
        if hours > 24:
            since = datetime(1970, 1, 5, tzinfo=time.tzinfo)  # a Monday
        if (time - since) % step < width:
            midnight = time.hour == time.minute == 0
            found.append((place, f"{time:{date}}" if midnight or hours >= 24 else f"{time:%H:%M}"))
    return found


def _runs(values: Sequence[float | None]) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if run]


def _short(value: float) -> float:
    return round(value, 1)
