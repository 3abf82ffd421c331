"""Comparisons as HTML: intervals drawn as forest plots, the items that changed, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from colonnade.display.comparison import comparison_view, first
from colonnade.display.comparison_words import (
    NAME,
    about,
    change,
    counted,
    interval,
    level,
    linked,
    notes,
    probability,
    reliability,
    sides,
    tests,
    value,
    values,
    verdict,
)
from colonnade.display.formats import plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Html, element, fragment, joined, page, scrolled
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.values import Difference, ItemPair

IN_CELL: Final = 10
"""Items of each kind that a notebook's cell lists."""

ON_PAGE: Final = 200
"""Items of each kind that a report lists."""

_WIDTH, _HEIGHT, _EDGE = 240, 22, 8
_CLASSES: Final = {"better": "cn-good", "worse": "cn-bad", "undecided": ""}
_STYLE: Final = """
.colonnade .cn-table td a { display: inline-block; line-height: 24px; }
.colonnade .cn-forest { display: block; width: 240px; height: 22px; overflow: visible; }
.colonnade .cn-forest .cn-zero { stroke: var(--cn-soft); stroke-width: 1; stroke-dasharray: 2 2; }
.colonnade .cn-forest .cn-range { stroke: var(--cn-ink); stroke-width: 2; fill: none; }
.colonnade .cn-forest .cn-family { stroke: var(--cn-soft); stroke-width: 1; fill: none; }
.colonnade .cn-forest .cn-point { fill: var(--cn-ink); }
.colonnade .cn-forest.cn-better .cn-range { stroke: var(--cn-good); }
.colonnade .cn-forest.cn-better .cn-point { fill: var(--cn-good); }
.colonnade .cn-forest.cn-worse .cn-range { stroke: var(--cn-bad); }
.colonnade .cn-forest.cn-worse .cn-point { fill: var(--cn-bad); }
.colonnade .cn-forest .cn-tolerance { fill: var(--cn-wash); }
.colonnade .cn-axis { display: flex; justify-content: space-between; width: 240px; font-weight: 400;
  color: var(--cn-soft); }
.colonnade .cn-verdict { margin: 6px 0; max-width: 80ch; }
.colonnade details { margin: 10px 0; } .colonnade summary { cursor: pointer; font-weight: 600; }
"""


@html_of.register
def _(found: Comparison) -> str:
    return fragment(*_parts(found, IN_CELL, None, "h3"), label=f"Comparison: {sides(found)}", style=_STYLE)


@text_of.register
def _(found: Comparison) -> str:
    return str(comparison_view(found))


def page_of(found: Comparison, trace_url: str | None = None) -> str:
    """A comparison as a page that needs nothing but itself. ``Comparison.to_html`` says what ``trace_url`` is."""
    title = f"Comparison: {sides(found)}"
    return page(title, element("h1", title), *_parts(found, ON_PAGE, trace_url, "h2"), style=_STYLE)


def _parts(found: Comparison, limit: int, trace_url: str | None, heading: str) -> list[Html]:
    title = [] if heading == "h2" else [element(heading, sides(found))]
    worse, better = found.regressions, found.improvements
    same = len(found.items) - len(worse) - len(better)
    parts = [
        *title,
        element("p", f"{counted(found)}.", class_="cn-soft"),
        _differences(found, found.overall),
        *(_said(each, found) for each in found.overall),
        *(_reliability(each) for each in found.overall if reliability(each)),
    ]
    if found.slices:
        parts += [element(heading, f"By {safe(found.by)}"), _differences(found, found.slices)]
    said = f"{len(better):,} better, {len(worse):,} worse, {same:,} the same"
    parts.append(element(heading, "Items"))
    parts.append(element("p", said, class_="cn-soft"))
    for what, pairs in (("got worse", worse), ("got better", better)):
        if shown := first(pairs, limit):
            more = f", the first {len(shown):,} of them" if len(shown) < len(pairs) else ""
            summary = element("summary", f"{plural(len(pairs), 'item')} {what}{more}")
            parts.append(element("details", summary, _items(found, shown, trace_url), open=what == "got worse"))
    parts += [element("p", note, class_="cn-soft") for note in notes(found)]
    return parts


def _differences(found: Comparison, shown: Sequence[Difference]) -> Html:
    one = len(found.candidates) == 1
    corrected = len(found.differences) > 1
    heads = [
        _head("metric"),
        _head(safe(found.baseline, NAME), number=True),
        _head(safe(found.candidates[0], NAME) if one else "candidate", number=True),
        _head("difference", number=True),
        _head(f"{level(found.confidence)} interval", number=True),
        element("th", element("span", *map(_span, ("worse", "better")), class_="cn-axis"), scope="col"),
        *([_head("p, Holm", number=True)] if corrected else []),
    ]
    rows = []
    for each in shown:
        cells = [
            element("th", about(each, found), scope="row"),
            _number(value(each.metric, each.baseline.mean)),
            _number(value(each.metric, each.candidate.mean)),
            _number(change(each, each.delta), _CLASSES[each.verdict]),
            _number(interval(each)),
            element("td", _forest(each, shown, found)),
            *([_number(probability(each.p_holm))] if corrected else []),
        ]
        rows.append(element("tr", *cells))
    drawn = f"The line with ends is the {level(found.confidence)} interval"
    if corrected:
        drawn += "; the fine one is as long as it must be for this many questions, and decides"
    if found.tolerance:
        drawn += "; the band is what does not matter"
    return _table(heads, rows, "differences" if shown[0].part is None else "differences by slice", f"{drawn}.")


def _forest(each: Difference, shown: Sequence[Difference], found: Comparison) -> Html:
    """The interval as a line, better to the right, and fainter the one that decides; one scale for a metric."""
    ends = [
        abs(end)
        for other in shown
        if other.metric == each.metric
        for end in (*(other.interval or ()), *(other.family_interval or ()), other.delta)
    ]
    reach = max(ends, default=0.0) or 1.0
    middle, sign = _WIDTH / 2, -1 if each.lower_is_better else 1

    def at(number: float) -> float:
        return round(middle + sign * number / reach * (middle - _EDGE), 1)

    def line(between: tuple[float, float], cls: str) -> Html:
        low, high = sorted(map(at, between))
        ticks = f"M{low} 7V15M{high} 7V15" if cls == "cn-range" else ""
        return element("path", d=f"M{low} 11H{high}{ticks}", class_=cls)

    parts = []
    if found.tolerance and found.tolerance < reach:
        low, high = sorted((at(-found.tolerance), at(found.tolerance)))
        parts.append(element("rect", x=low, y=0, width=round(high - low, 1), height=_HEIGHT, class_="cn-tolerance"))
    parts.append(element("path", d=f"M{middle} 0V{_HEIGHT}", class_="cn-zero"))
    if each.family_interval is not None:
        parts.append(line(each.family_interval, "cn-family"))
    if each.interval is not None:
        parts.append(line(each.interval, "cn-range"))
    parts.append(element("circle", cx=at(each.delta), cy=11, r=4, class_="cn-point"))
    label = f"{about(each, found)}: {change(each, each.delta)}, {level(found.confidence)} interval {interval(each)}"
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_=f"cn-forest cn-{each.verdict}",
        role="img",
        aria_label=label,
    )


def _said(each: Difference, found: Comparison) -> Html:
    tested = f" ({tests(each)})" if each.p is not None else ""
    said = element("span", verdict(each, found), class_=_CLASSES[each.verdict] or None)
    return element(
        "p",
        element("b", f"{about(each, found)}: "),
        said,
        element("span", tested, class_="cn-soft"),
        class_="cn-verdict",
    )


def _reliability(each: Difference) -> Html:
    names = (safe(each.baseline.name, NAME), safe(each.candidate.name, NAME))
    rows = reliability(each)
    size = min(len(values) for _, before, after in rows for values in (before, after))
    heads = [_head(f"{safe(each.metric, 40)}, k ="), *(_head(str(k + 1), number=True) for k in range(size))]
    lines = [
        element("tr", element("th", f"{what} {name}", scope="row"), *(_number(f"{values[k]:.3f}") for k in range(size)))
        for what, before, after in rows
        for name, values in zip(names, (before, after), strict=True)
    ]
    return _table(heads, lines, f"pass^k and pass@k of {safe(each.metric, 40)}")


def _items(found: Comparison, pairs: Sequence[ItemPair], trace_url: str | None) -> Html:
    several, versions = len(found.metrics) > 1, len(found.candidates) > 1
    traced = any(pair.traces[0] or pair.traces[1] for pair in pairs)
    heads = [
        _head("item"),
        *([_head("metric")] if several else []),
        *([_head("candidate")] if versions else []),
        *(_head(name, number=True) for name in ("baseline", "candidate", "difference")),
        *([_head("traces of the baseline"), _head("of the candidate")] if traced else []),
    ]
    rows = [
        element(
            "tr",
            element("th", safe(pair.item, 200), scope="row"),
            *([element("td", pair.metric)] if several else []),
            *([element("td", safe(pair.version, NAME))] if versions else []),
            *map(_number, values(pair)[:2]),
            _number(values(pair)[2], "cn-bad" if pair.gain < 0 else "cn-good"),
            *([element("td", _traces(ids, trace_url)) for ids in pair.traces] if traced else []),
        )
        for pair in pairs
    ]
    return _table(heads, rows, "items that changed")


def _traces(ids: Sequence[str], trace_url: str | None) -> Html:
    shown = []
    for trace in ids:
        said = element("code", safe(trace, 64))
        shown.append(element("a", said, href=linked(trace_url, trace)) if trace_url else said)
        shown.append(element("br"))
    return joined(shown[:-1])


def _table(heads: Sequence[Html], rows: Sequence[Html], label: str, caption: str | None = None) -> Html:
    above = element("caption", caption) if caption else None
    body = element("table", above, element("thead", element("tr", *heads)), element("tbody", *rows), class_="cn-table")
    return scrolled(body, label)


def _head(text: str, *, number: bool = False) -> Html:
    return element("th", text, scope="col", class_="cn-number" if number else None)


def _number(text: str, cls: str = "") -> Html:
    return element("td", text, class_=f"cn-number {cls}".strip())


def _span(text: str) -> Html:
    return element("span", text)
