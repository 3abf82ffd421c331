"""A trace as a waterfall: who caused what, when, for how long, at what price; input and output on demand.

HTML and SVG, without a script: what opens and closes is ``details``. Each row is text that is read without the bar, so
the picture still says everything where style sheets, or drawings too, are taken away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import pyarrow as pa

from colonnade.display.folding import Fold, Folding
from colonnade.display.forest import Forest, Node, forest
from colonnade.display.formats import decimals_for, duration, moment, money, number, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Content, Html, element, fragment, joined, page
from colonnade.display.screen import plain
from colonnade.display.span_panel import Panels
from colonnade.display.timeline import COLOURS, Timeline, kind_of
from colonnade.display.tree import at_time, trace_tree, without_parent
from colonnade.display.waterfall_style import STYLE
from colonnade.queries.traces import Trace
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record, decode

ROWS: Final = 12_000
"""Spans that have a row; of a larger trace, the first by their place in the tree."""
LINES: Final = 500
"""Spans that are printed where the picture is text."""
_TOKENS: Final = ("inputTokens", "outputTokens")
_COLUMNS: Final = (
    *("traceId", "spanId", "parentSpanId", "name", "spanType", "isEvent", "startedAt", "endedAt", "startTime"),
    *("endTime", "status", "error", "model", "cost", *_TOKENS),
)
_NAME: Final = 160
_SAID: Final = 300
_DEEPEST: Final = 14
"""Levels that are indented; deeper ones say their depth."""


def trace_html(trace: Trace) -> str:
    """A trace for the output of a notebook's cell."""
    return fragment(waterfall(trace), label=f"trace {trace.trace_id}", style=STYLE)


def trace_page(trace: Trace) -> str:
    """A trace as a page of its own, to keep or to send."""
    return page(f"trace {trace.trace_id}", waterfall(trace, heading="h1"), style=STYLE)


def waterfall(trace: Trace, *, heading: Literal["h1", "h2", "h3"] = "h3") -> Html:
    """A trace as a waterfall, to be put into a page whose style has ``STYLE``; its name is a ``heading``."""
    return _Waterfall(trace, heading).draw()


class _Waterfall:
    def __init__(self, trace: Trace, heading: str) -> None:
        self.trace = trace
        self.heading = heading
        records = _records(trace, _COLUMNS)
        self.rows = {id(record): row for row, record in enumerate(records)}
        self.forest: Forest = forest(records)
        self.nodes = self.forest.walk()
        begin = min((node.start for node in self.nodes), default=0)
        end = max((max(node.start, node.end or 0) for node in self.nodes), default=0)
        self.time = Timeline(begin, end - begin)
        self.folding = Folding(self.forest, ROWS)
        self.panels = Panels(trace.spans, begin)
        self.made: dict[int, Html | None] = {}
        self.decimals = decimals_for((node.span.get("cost") for node in self.nodes), least=2)
        self.tokens = any(node.span.get(name) is not None for node in self.nodes for name in _TOKENS)
        self.cost = any(node.span.get("cost") is not None for node in self.nodes)
        self.scores = _by_span(trace.scores)

    def draw(self) -> Html:
        if not self.nodes:
            return element("p", _nothing(self.trace))
        for node in sorted(self.folding.drawn, key=lambda node: node.error is None):  # failed ones have room first
            self.made[id(node)] = self.panels.of(node, self.rows[id(node.span)])
        kinds = f"cn-waterfall{' cn-tokens' if self.tokens else ''}{' cn-cost' if self.cost else ''}"
        step = f"--cn-step:{100 * self.time.step / max(self.time.length, 1):.3f}%"
        rows = self._drawn(self.folding.roots)
        return joined([*self._title(), element("div", self._heading(), *rows, class_=kinds, style=step), self._foot()])

    def _title(self) -> list[Html]:
        root = self.nodes[0]
        failed = sum(node.error is not None for node in self.nodes)
        running = sum(node.is_running for node in self.nodes)
        ends = [node.end for node in self.nodes if node.end is not None]
        facts: list[Html] = []
        if ends and not running:
            facts.append(_fact("took", duration(self.time.length)))
        facts.append(_fact("", plural(len(self.nodes), "span")))
        facts += [_fact("✗", f"{failed:,} failed", "cn-bad")] if failed else []
        facts += [_fact("", f"{running:,} running", "cn-warn")] if running else []
        for column, unit in (("inputTokens", "tokens in"), ("outputTokens", "tokens out")):
            total = self.forest.total(column)
            facts += [_fact("", number(total), after=unit)] if total is not None else []
        cost = self.forest.total("cost")
        facts += [_fact("cost", money(cost))] if cost is not None else []
        facts += [_fact(safe(scorer, 40), score) for scorer, score in self.scores.get(None, ())]
        title = element(self.heading, safe(root.span.get("name") or "(no name)", _NAME))
        began = moment(at_time(self.time.begin), fraction=True)
        part = "a part of trace " if self.trace.top is not None else "trace "
        name = element("div", part, element("code", self.trace.trace_id), f", began {began} UTC", class_="cn-soft")
        return [title, name, element("div", *_spaced(facts), class_="cn-facts")]

    def _heading(self) -> Html:
        cells: list[Content] = [
            _MARKER,
            self.time.axis(),
            element("span", "span", class_="cn-name"),
            element("i", "took"),
        ]
        cells += [element("i", "tokens in → out", class_="cn-tok")] if self.tokens else []
        cells += [element("i", "cost")] if self.cost else []
        return element("div", *_spaced(cells), class_="cn-row cn-head")

    def _drawn(self, items: Sequence[Node | Fold]) -> list[Html]:
        """Rows with all that is within them. Without recursion: a trace may be deeper than Python's stack."""
        top: list[Html] = []
        order: list[tuple[Node | Fold, list[Html], list[Html]]] = []
        waiting = [(items, top)]
        while waiting:
            siblings, into = waiting.pop()
            for item in siblings:
                inner: list[Html] = []
                order.append((item, inner, into))
                waiting.append((self.folding.inside(item), inner))
        for item, inner, into in reversed(order):
            inner.reverse()
            into.append(self._fold(item, inner) if isinstance(item, Fold) else self._span(item, inner))
        top.reverse()
        return top

    def _span(self, node: Node, inner: Sequence[Html]) -> Html:
        panel = self.made[id(node)]
        cells = self._cells(node)
        if panel is None and not inner:
            return element("div", _MARKER, *cells, class_="cn-row cn-span")
        if panel is None:
            row = element("div", _MARKER, *cells, class_="cn-row")
        else:
            row = element("details", element("summary", *cells, class_="cn-row"), panel)
        if not inner:
            return element("div", row, class_="cn-span")
        summary = element("summary", *_said(self.folding.below(node)))
        below = element("details", summary, *inner, class_="cn-below", open=self.folding.is_open(node))
        return element("div", row, below, class_="cn-span", style=f"--cn-d:{min(node.depth, _DEEPEST)}")

    def _fold(self, fold: Fold, inner: Sequence[Html]) -> Html:
        indent = _indent(fold.depth)
        name = element("span", indent, plural(len(fold.items), "more span"), class_="cn-name")
        note = element("span", indent, *_said(fold), class_="cn-note")
        cells = [self.time.extent(fold.start, fold.end), name, element("i", duration(fold.end - fold.start)), note]
        summary, depth = element("summary", *_spaced(cells), class_="cn-row"), min(fold.depth, _DEEPEST)
        return element("details", summary, *inner, class_="cn-fold", style=f"--cn-d:{depth}")

    def _cells(self, node: Node) -> list[Content]:
        span = node.span
        took: Content = None if node.is_event else duration(node.nanoseconds)
        if node.is_running:
            took = element("span", "running", class_="cn-warn")
        cells: list[Content] = [self.time.bar(node), self._name(node), element("i", took)]
        counts, cost = [span.get(name) for name in _TOKENS], span.get("cost")
        if counts != [None, None] or (self.tokens and cost is not None):
            said = " → ".join(map(number, counts)) if counts != [None, None] else None
            cells.append(element("i", said, class_="cn-tok"))
        if cost is not None:
            cells.append(element("i", money(cost, self.decimals)))
        notes: list[Content] = []
        if node.error:
            notes.append(element("span", safe(node.error, _SAID), class_="cn-bad"))
        if node.orphan:
            notes.append(element("span", without_parent(node), class_="cn-warn"))
        if notes:
            cells.append(element("span", _indent(node.depth), *_spaced(notes), class_="cn-note"))
        return _spaced(cells)

    def _name(self, node: Node) -> Html:
        name, model = safe(node.span.get("name") or "(no name)", _NAME), node.span.get("model")
        failed = node.error is not None
        parts: list[Content] = [_indent(node.depth)]
        parts += (
            [element("b", "✗", element("span", " failed: ", class_="cn-unseen"), " ", class_="cn-bad")]
            if failed
            else []
        )
        parts.append(element("b", name, class_="cn-bad") if failed else name)
        if model and str(model) not in name:
            parts.append(element("span", f" {safe(model, 60)}", class_="cn-soft"))
        for scorer, score in self.scores.get(node.span.get("spanId"), ()):
            parts += [" ", element("span", f"{safe(scorer, 30)} {score}", class_="cn-pill")]
        if self.folding.is_closed(node):
            parts += [" ", element("span", *_said(self.folding.below(node)), class_="cn-pill")]
        return element("span", *parts, class_="cn-name")

    def _foot(self) -> Html:
        kinds = Counter(kind_of(node) if node.error is None else "failed" for node in self.nodes)
        keys = [
            element("span", element("span", class_=f"cn-key cn-{kind}"), "✗ failed" if kind == "failed" else kind)
            for kind in COLOURS
            if kinds[kind]
        ]
        notes = [element("p", *_spaced(keys), class_="cn-facts")] if len(keys) > 1 else []
        for said in self._left_out():
            notes.append(element("p", said))
        return element("div", *notes, class_="cn-foot")

    def _left_out(self) -> Iterable[str]:
        more = len(self.nodes) - len(self.folding.drawn)
        ask = f'store.trace("{self.trace.trace_id}").spans'
        if more:
            yield f"{plural(more, 'more span')} are not drawn, only counted above; {ask} has all."
        if self.panels.left_out:
            yield (
                f"Of {plural(self.panels.left_out, 'span')} the input, output and attributes are left out of this "
                f"picture; {ask} has them."
            )
        if not self.folding.is_small:
            yield f'store.trace("{self.trace.trace_id}").below("a span\'s id") is a part of it, on a scale of its own.'
        if "input" not in self.trace.spans.column_names:
            yield "Input and output were not read: they are with payloads=True."


_MARKER: Final = element("span", "\u2003", class_="cn-none")
"""As wide as the mark of what opens and closes: bars stand below each other where there is no style sheet."""


def _said(fold: Fold) -> list[Content]:
    said: list[Content] = [fold.said]
    said += [", ", element("b", f"✗ {fold.failed:,} failed", class_="cn-bad")] if fold.failed else []
    said += [", ", element("span", f"{fold.running:,} running", class_="cn-warn")] if fold.running else []
    return said


def _indent(depth: int) -> str:
    return "\u2003" * min(depth, _DEEPEST) + (f"{depth} " if depth > _DEEPEST else "")


def _spaced(parts: Iterable[Content]) -> list[Content]:
    """Parts with a space between, which keeps words apart where there is no style sheet."""
    return [each for part in parts for each in (part, " ")][:-1]


def _fact(before: str, value: str, kind: str | None = None, after: str = "") -> Html:
    said = (f"{before} " if before else "", element("b", value, class_=kind), f" {after}" if after else "")
    return element("span", *said, class_=kind)


def _by_span(scores: pa.Table) -> dict[Any, list[tuple[str, str]]]:
    found: dict[Any, list[tuple[str, str]]] = {}
    for row in scores.select(["spanId", "scorerId", "score"]).to_pylist() if scores.num_rows else ():
        found.setdefault(row["spanId"], []).append((row["scorerId"], f"{row['score']:g}"))
    return found


def _records(trace: Trace, columns: Iterable[str]) -> list[Record]:
    records = decode(SPANS, trace.spans.select([name for name in columns if name in trace.spans.column_names]))
    for record in records:
        if record["spanId"] == trace.top:
            record["parentSpanId"] = None  # it is left out on purpose, and not missing
    return records


@html_of.register
def _(trace: Trace) -> str:
    return trace_html(trace)


@text_of.register
def _(trace: Trace) -> str:
    return plain(trace_tree(_records(trace, _COLUMNS), LINES)) if trace.spans.num_rows else _nothing(trace)


def _nothing(trace: Trace) -> str:
    return f"No span of trace {safe(trace.trace_id)} is kept here."
