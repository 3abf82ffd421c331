"""The spans of a trace put in order: who caused whom, who is still running, whose parent is missing.

Traces arrive broken: parents are exported after their children or never, clocks disagree, a span names itself or one of
its descendants as its parent. Every span given is drawn exactly once, whatever they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

SpanRecord = Mapping[str, Any]

_ERROR: Final = 2


@dataclass(slots=True, eq=False)
class Node:
    """A span and its place in the picture.

    ``start`` and ``end`` are nanoseconds since the Unix epoch; ``end`` is ``None`` while the span runs.
    """

    span: SpanRecord
    start: int
    end: int | None
    error: str | None
    orphan: bool = False
    """Whether it is drawn without the parent that it names."""
    circle: bool = False
    """Whether that is because its parent is itself, or below it."""
    depth: int = 0
    last: bool = True
    children: list[Node] = field(default_factory=list)

    @property
    def nanoseconds(self) -> int | None:
        """How long it took; ``None`` while it runs."""
        return None if self.end is None else self.end - self.start

    @property
    def is_event(self) -> bool:
        """Whether it is a moment and not a stretch of time."""
        return bool(self.span.get("isEvent"))

    @property
    def is_running(self) -> bool:
        """Whether its end has not been seen."""
        return self.end is None and not self.is_event


@dataclass(frozen=True, slots=True)
class Forest:
    """The roots of a trace, orphans among them, by start."""

    roots: list[Node]

    def walk(self) -> list[Node]:
        """All nodes as they are drawn: a parent before its children, siblings by start."""
        drawn: list[Node] = []
        waiting = list(reversed(self.roots))
        while waiting:
            node = waiting.pop()
            drawn.append(node)
            waiting.extend(reversed(node.children))
        return drawn

    def total(self, column: str) -> float | None:
        """The sum of a column over the spans below which nothing has it: an agent's own sum is not counted again."""
        values = []
        carries: set[int] = set()  # nodes that have a value themselves, or somewhere below
        for node in reversed(self.walk()):
            below = any(id(child) in carries for child in node.children)
            value = node.span.get(column)
            if value is not None and not below:
                values.append(value)
            if value is not None or below:
                carries.add(id(node))
        return sum(values) if values else None


def forest(spans: Iterable[SpanRecord]) -> Forest:
    """Arrange the spans of a trace."""
    nodes = sorted((_node(span) for span in spans), key=_by_start)
    first = {_key(node.span, "spanId"): node for node in reversed(nodes)}
    parents = {id(node): first.get(_key(node.span, "parentSpanId")) for node in nodes}
    for node in _cuts(nodes, parents):
        parents[id(node)] = None
        node.circle = True
    roots = []
    for node in nodes:
        parent = parents[id(node)]
        if parent is None:
            node.orphan = node.span.get("parentSpanId") is not None
            roots.append(node)
        else:
            parent.children.append(node)
    _place(roots)
    return Forest(roots)


def _key(span: SpanRecord, column: str) -> tuple[Any, Any]:
    return span.get("traceId"), span.get(column)


def _by_start(node: Node) -> tuple[int, str]:
    return node.start, str(node.span.get("spanId"))


def _cuts(nodes: list[Node], parents: Mapping[int, Node | None]) -> list[Node]:
    """The earliest span of each circle of parents: no root leads to a circle, so it must be drawn as an orphan."""
    cuts = []
    walked: dict[int, int] = {}  # node -> the walk that came by
    for number, begin in enumerate(nodes):
        path = []
        node: Node | None = begin
        while node is not None and id(node) not in walked:
            walked[id(node)] = number
            path.append(node)
            node = parents[id(node)]
        if node is not None and walked[id(node)] == number:
            cuts.append(min(path[path.index(node) :], key=_by_start))
    return cuts


def _node(span: SpanRecord) -> Node:
    start = span.get("startTime")
    end = span.get("endTime")
    if start is None:
        start = nanoseconds(span["startedAt"])
    if end is None and span.get("endedAt") is not None:
        end = nanoseconds(span["endedAt"])
    return Node(span, start, end, error_of(span))


def nanoseconds(time: datetime) -> int:
    """A time as nanoseconds since the Unix epoch, exactly."""
    seconds = time.replace(microsecond=0).timestamp()
    return int(seconds) * 1_000_000_000 + time.microsecond * 1000


def error_of(span: SpanRecord) -> str | None:
    """What went wrong in a span, in its own words, which may be empty; ``None`` where it did not fail."""
    error, status = span.get("error"), span.get("status")
    code = status.get("code") if isinstance(status, Mapping) else None
    if error is None and code != _ERROR:
        return None
    said = status.get("message") if isinstance(status, Mapping) else None
    if isinstance(error, Mapping):
        kind = str(error.get("type") or error.get("name") or "").rpartition(".")[2]  # without its module
        return ": ".join(part for part in (kind, str(error.get("message") or said or "")) if part)
    return str(error) if error not in (None, True) else str(said or "")


def _place(roots: list[Node]) -> None:
    waiting = [(roots, 0)]
    while waiting:
        siblings, depth = waiting.pop()
        for place, node in enumerate(siblings):
            node.depth = depth
            node.last = place == len(siblings) - 1
            if node.children:
                waiting.append((node.children, depth + 1))
