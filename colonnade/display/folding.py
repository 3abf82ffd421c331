"""What of a large trace is shown at first: the beginning of everything, the rest folded, each fold with a summary.

A trace of some hundred spans is shown as it is. In a larger one, long runs of siblings are folded in blocks, and what
lies deep is closed, so that what is open fits a few screens. Nothing is left out by folding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from colonnade.display.forest import Forest, Node
from colonnade.display.formats import safe

OPEN: Final = 250
"""A trace of so many spans is shown as it is."""
FIRST: Final = 60
"""Spans of a larger one that are shown at first, about."""
SIBLINGS: Final = 20
"""Children of one span that are shown; a few more are, before it is worth a fold."""
BLOCK: Final = 100
"""Siblings in one fold, at least."""
NESTED: Final = 100
"""Levels that are nested in HTML; browsers give up at some hundreds. Deeper spans follow each other."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Spans that are shown as one line, with what is in it."""

    said: str
    start: int
    end: int
    failed: int
    running: int
    depth: int
    items: tuple[Node, ...] = ()


class Folding:
    """How a trace is folded; at most ``limit`` spans are drawn at all."""

    def __init__(self, trace: Forest, limit: int) -> None:
        nodes = trace.walk()
        self.drawn = nodes[:limit]
        self.is_small = len(nodes) <= OPEN
        self._kept = {id(node) for node in self.drawn}
        self._inside: dict[int, Sequence[Node]] = {id(node): self._children(node) for node in self.drawn}
        self._whole = _wholes(nodes)
        self._open = {id(node) for node in self.drawn} if self.is_small else self._opened(trace.roots)
        self.roots = self._blocks([node for node in trace.roots if id(node) in self._kept])

    def _children(self, node: Node) -> Sequence[Node]:
        if node.depth >= NESTED:
            return ()
        if node.depth < NESTED - 1:
            return [child for child in node.children if id(child) in self._kept]
        return [each for each in _all_below(node) if id(each) in self._kept]

    def inside(self, item: Node | Fold) -> Sequence[Node | Fold]:
        """What is drawn within a span or a fold."""
        return item.items if isinstance(item, Fold) else self._blocks(self._inside[id(item)])

    def is_open(self, node: Node) -> bool:
        """Whether what is below a span is shown at first."""
        return id(node) in self._open

    def is_closed(self, node: Node) -> bool:
        """Whether there is something below a span that is not shown at first."""
        return bool(self._inside[id(node)]) and id(node) not in self._open

    def below(self, node: Node) -> Fold:
        """All that is below a span, in a line."""
        whole = _sum([self._whole[id(child)] for child in node.children])
        return _fold(f"{whole.spans:,} below", whole, node.depth)

    def _blocks(self, siblings: Sequence[Node]) -> Sequence[Node | Fold]:
        if self.is_small or len(siblings) <= SIBLINGS + 10:
            return siblings
        rest = siblings[SIBLINGS:]
        size = max(BLOCK, round(len(rest) ** 0.5))
        return [*siblings[:SIBLINGS], *(self._block(rest[at : at + size]) for at in range(0, len(rest), size))]

    def _opened(self, roots: Sequence[Node]) -> set[int]:
        """The spans whose children are shown at first: level by level, while there is room."""
        opened: set[int] = set()
        level, room = list(roots[:SIBLINGS]), FIRST
        while level and room > 0:
            deeper: list[Node] = []
            for node in level:
                children = self._inside.get(id(node), ())
                if children and room > 0:
                    opened.add(id(node))
                    room -= min(len(children), SIBLINGS)
                    deeper += children[:SIBLINGS]
            level = deeper
        return opened

    def _block(self, nodes: Sequence[Node]) -> Fold:
        """Siblings in a row as one fold: what they are called, and how often."""
        names = Counter(safe(node.span.get("name") or "(no name)", 40) for node in nodes)
        most = [f"{name} × {count:,}" if count > 1 else name for name, count in names.most_common(3)]  # noqa: RUF001
        others = len(nodes) - sum(count for _, count in names.most_common(3))
        whole = _sum([self._whole[id(node)] for node in nodes])
        below = whole.spans - len(nodes)
        said = [*most, *([f"{others:,} others"] if others else []), *([f"{below:,} below"] if below else [])]
        return _fold(", ".join(said), whole, nodes[0].depth, tuple(nodes))


@dataclass(frozen=True, slots=True)
class _Whole:
    """Some spans, and all below them, taken together."""

    spans: int
    failed: int
    running: int
    start: int
    end: int


def _fold(said: str, whole: _Whole, depth: int, items: tuple[Node, ...] = ()) -> Fold:
    return Fold(said, whole.start, whole.end, whole.failed, whole.running, depth, items)


def _sum(parts: Sequence[_Whole]) -> _Whole:
    return _Whole(
        sum(part.spans for part in parts),
        sum(part.failed for part in parts),
        sum(part.running for part in parts),
        min(part.start for part in parts),
        max(part.end for part in parts),
    )


def _wholes(nodes: Sequence[Node]) -> dict[int, _Whole]:
    wholes: dict[int, _Whole] = {}
    for node in reversed(nodes):
        end = max(node.start, node.end or 0)
        own = _Whole(1, int(node.error is not None), int(node.is_running), node.start, end)
        wholes[id(node)] = _sum([own, *(wholes[id(child)] for child in node.children)]) if node.children else own
    return wholes


def _all_below(node: Node) -> list[Node]:
    return Forest(node.children).walk()
