"""When the spans of traces worked themselves: self time, and the critical path through a trace.

Spans are intervals in nanoseconds. Clocks of machines disagree, children are started and not waited for, and some never
told of their end. So a child counts only where its parent ran:

- what of a child lies before its parent's start or after its end is cut off;
- a span that ends before it starts took no time;
- a span without an end runs as long as anything is known of its trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(slots=True, eq=False)
class Interval:
    """A span with its children; ``row`` is its place in the table that it comes from."""

    row: int
    start: int
    end: int
    children: list[Interval] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path: from ``start`` to ``end`` the trace waited for the span of ``row`` itself."""

    row: int
    start: int
    end: int


def parents_of(spans: pa.Table) -> list[int | None]:
    """For each span the row of its parent; ``None`` at roots, and where the parent is not there or is the span itself.

    ``spans`` has ``traceId``, ``spanId`` and ``parentSpanId``.
    """
    import pyarrow.compute as pc

    here = pc.binary_join_element_wise(spans.column("traceId"), spans.column("spanId"), "\0")
    there = pc.binary_join_element_wise(spans.column("traceId"), spans.column("parentSpanId"), "\0")
    places: list[int | None] = pc.index_in(there, value_set=here).to_pylist()
    return [None if place == row else place for row, place in enumerate(places)]


def self_times(starts: Sequence[int], ends: Sequence[int], parents: Sequence[int | None]) -> list[int]:
    """For each span how long it ran while none of its children did: its length less the union of theirs."""
    own = [max(0, end - start) for start, end in zip(starts, ends, strict=True)]
    children = sorted((row for row, parent in enumerate(parents) if parent is not None), key=starts.__getitem__)
    covered: dict[int, int] = {}  # parent -> until when the children so far cover it
    for row in children:
        parent = parents[row]
        assert parent is not None
        begin = max(starts[row], covered.get(parent, starts[parent]))
        end = min(ends[row], ends[parent])
        if end > begin:
            own[parent] -= end - begin
            covered[parent] = end
    return own


def critical_path(starts: Sequence[int], ends: Sequence[int], parents: Sequence[int | None]) -> list[Segment]:
    """The segments that a trace's root waited for, in the order of time; together they are exactly as long as it.

    Walked back from the root's end: a span's last finishing child is what it waited for last. So time between the end
    of that child and the span's own end is the span's; then it is the child's, in the same way; and from the child's
    start on back it goes on with the child that had finished last by then. Of children that ran at the same time only
    the one that finished last is on the path, and of those that finished together the longest.

    The root is the first span without a parent. (Where all are each other's parents it is the first of all.) Other
    such spans are not on the path, nor is what is below them.
    """
    if not starts:
        return []
    spans = [Interval(row, start, max(start, end)) for row, (start, end) in enumerate(zip(starts, ends, strict=True))]
    tops: list[Interval] = []
    for span, parent in zip(spans, parents, strict=True):
        (tops if parent is None else spans[parent].children).append(span)
    root = min(tops or spans, key=lambda span: (span.start, span.row))
    return list(_forwards(root))


def _forwards(root: Interval) -> Iterator[Segment]:
    waiting: list[Segment | Interval] = [root]
    seen = {root.row}
    found = []
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, Segment):
            found.append(piece)
        else:
            waiting.extend(reversed(list(_backwards(piece, seen))))
    yield from reversed(found)


def _backwards(span: Interval, seen: set[int]) -> Iterator[Segment | Interval]:
    """What of a span is on the path, last first: stretches of its own, and children, cut to its time."""
    within = [
        Interval(child.row, max(child.start, span.start), min(child.end, span.end), child.children)
        for child in span.children
        if child.row not in seen  # a circle of parents
    ]
    at = span.end
    for child in sorted(within, key=lambda child: (-child.end, child.start, child.row)):
        if child.start < child.end <= at:
            if child.end < at:
                yield Segment(span.row, child.end, at)
            seen.add(child.row)
            yield child
            at = child.start
    if span.start < at:
        yield Segment(span.row, span.start, at)
