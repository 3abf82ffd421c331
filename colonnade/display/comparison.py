"""Comparisons in the terminal: means, differences with their intervals drawn, and the items that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from colonnade.display.comparison_words import (
    NAME,
    about,
    change,
    counted,
    interval,
    level,
    notes,
    probability,
    reliability,
    sides,
    tests,
    value,
    values,
    verdict,
)
from colonnade.display.formats import safe
from colonnade.display.screen import Column, Picture, fitted, stacked
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.values import Difference, ItemPair

SHOWN: Final = 10
"""Items that are listed by name, unless asked for more."""

_PLOT: Final = 17  # odd, so that 0 has a place in the middle
_COLOURS: Final = {"better": "bold green", "worse": "bold red", "undecided": ""}


def comparison_view(comparison: Comparison, limit: int = SHOWN) -> Picture:
    """Candidates beside a baseline over the items that both ran: the means, what can be said of their differences, and
    the items that changed, at most ``limit`` of those that got worse and of those that got better.
    """
    return Picture(lambda width: stacked(*_comparison(comparison, limit, width)))


def _comparison(found: Comparison, limit: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text.assemble((sides(found), "bold"), f": {counted(found)}"),
        Text(),
        fitted(_differences(found, found.overall), width),
        Text(),
    ]
    for each in found.overall:
        name = f"{about(each, found)}: "
        parts.append(Text.assemble((name, "bold"), (verdict(each, found), _COLOURS[each.verdict]), f" {_tested(each)}"))
    for each in found.overall:
        if rows := reliability(each):
            parts += [Text(), fitted(_reliability(each, rows), width)]
    if found.slices:
        parts += [Text(), Text(f"by {safe(found.by)}", style="bold"), fitted(_differences(found, found.slices), width)]
    worse, better = found.regressions, found.improvements
    same = len(found.items) - len(worse) - len(better)
    parts += [
        Text(),
        Text.assemble((f"{len(better)} better", "green"), ", ", (f"{len(worse)} worse", "red"), f", {same} the same"),
    ]
    changed = [pair for of in (worse, better) for pair in first(of, limit)]
    if changed:
        parts.append(fitted(_items(found, changed), width))
    more = len(worse) + len(better) - len(changed)
    if more:
        parts.append(Text(f"{more:,} more {'item' if more == 1 else 'items'} changed.", style="dim"))
    parts.extend(Text(note, style="dim") for note in notes(found))
    return parts


def first(pairs: Sequence[ItemPair], limit: int) -> list[ItemPair]:
    """The first ones, at most so many of each metric."""
    left = Counter[str]()
    found = []
    for pair in pairs:
        left[pair.metric] += 1
        if left[pair.metric] <= limit:
            found.append(pair)
    return found


def _tested(each: Difference) -> str:
    return f"({tests(each)})" if each.p is not None else ""


def _differences(found: Comparison, shown: Sequence[Difference]) -> list[Column]:
    several = len(found.differences) > 1
    baseline = safe(found.baseline, 14) if len(found.candidates) == 1 else "baseline"
    candidate = safe(found.candidates[0], 14) if len(found.candidates) == 1 else "candidate"
    columns = [
        Column("metric", [about(each, found) for each in shown], least=10),
        Column(baseline, [value(each.metric, each.baseline.mean) for each in shown], "right"),
        Column(candidate, [value(each.metric, each.candidate.mean) for each in shown], "right"),
        Column("difference", [Text(change(each, each.delta), _COLOURS[each.verdict]) for each in shown], "right"),
        Column(f"{level(found.confidence)} interval", [interval(each) for each in shown], "right"),
        Column("worse  |  better", [_plot(each, shown) for each in shown], rank=1),
    ]
    if several:
        columns.insert(5, Column("p, Holm", [probability(each.p_holm) for each in shown], "right", rank=2))
    return columns


def _plot(each: Difference, shown: Sequence[Difference]) -> Text:
    """The interval as a line, better to the right; all differences of a metric have one scale."""
    ends = [abs(end) for other in shown if other.metric == each.metric for end in other.interval or ()]
    reach, middle = max(ends, default=0.0), _PLOT // 2
    cells = [" "] * _PLOT
    cells[middle] = "│"
    if each.interval is None or not reach:
        return Text("".join(cells))
    sign = -1 if each.lower_is_better else 1

    def at(number: float) -> int:
        return middle + round(sign * number / reach * middle)

    low, high = sorted(at(end) for end in each.interval)
    for place in range(low, high + 1):
        cells[place] = "┼" if place == middle else "─"
    cells[at(each.delta)] = "◆"
    return Text("".join(cells), style=_COLOURS[each.verdict])


def _reliability(each: Difference, rows: Sequence[tuple[str, tuple[float, ...], tuple[float, ...]]]) -> list[Column]:
    names = (safe(each.baseline.name, NAME), safe(each.candidate.name, NAME))
    labels = [f"{what} {name}" for what, _, _ in rows for name in names]
    lists = [values for _, before, after in rows for values in (before, after)]
    size = min(map(len, lists))
    heads = Column(f"{safe(each.metric, 40)}, k =", labels, least=20)
    return [heads, *(Column(str(k + 1), [f"{values[k]:.3f}" for values in lists], "right") for k in range(size))]


def _items(found: Comparison, pairs: Sequence[ItemPair]) -> list[Column]:
    columns = [Column("item", [safe(pair.item, 80) for pair in pairs], least=16)]
    if len(found.metrics) > 1:
        columns.append(Column("metric", [safe(pair.metric, 40) for pair in pairs], least=8))
    if len(found.candidates) > 1:
        columns.append(Column("candidate", [safe(pair.version, NAME) for pair in pairs], least=10))
    colours = ["red" if pair.gain < 0 else "green" for pair in pairs]
    shown = [values(pair) for pair in pairs]
    changes = [Text(change, colour) for (_, _, change), colour in zip(shown, colours, strict=True)]
    columns += [
        Column("baseline", [before for before, _, _ in shown], "right"),
        Column("candidate", [after for _, after, _ in shown], "right"),
        Column("difference", changes, "right"),
    ]
    if any(pair.traces[1] for pair in pairs):
        columns.append(Column("trace of the candidate", [safe(pair.telling or "") for pair in pairs], rank=1))
    return columns
