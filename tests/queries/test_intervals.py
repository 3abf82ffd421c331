"""Critical path and self time: what must hold of any trace, however broken, and what is said of each special case."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.queries.intervals import Segment, critical_path, self_times

Span = tuple[int, int, int | None]
"""Start, end, and the row of the parent."""


def path(*spans: Span) -> list[tuple[int, int, int]]:
    return [(segment.row, segment.start, segment.end) for segment in found(spans)]


def found(spans: Sequence[Span]) -> list[Segment]:
    return critical_path(*columns(spans))


def columns(spans: Sequence[Span]) -> tuple[list[int], list[int], list[int | None]]:
    return [span[0] for span in spans], [span[1] for span in spans], [span[2] for span in spans]


@pytest.mark.parametrize(
    ("what", "spans", "expected"),
    [
        ("nothing", [], []),
        ("a root alone", [(0, 10, None)], [(0, 0, 10)]),
        (
            "one after the other",
            [(0, 10, None), (1, 4, 0), (5, 9, 0)],
            [(0, 0, 1), (1, 1, 4), (0, 4, 5), (2, 5, 9), (0, 9, 10)],
        ),
        (
            "a child of a child",
            [(0, 10, None), (2, 8, 0), (3, 5, 1)],
            [(0, 0, 2), (1, 2, 3), (2, 3, 5), (1, 5, 8), (0, 8, 10)],
        ),
        (
            "of two at a time the one that finished last",
            [(0, 10, None), (0, 6, 0), (4, 9, 0)],
            [(0, 0, 4), (2, 4, 9), (0, 9, 10)],
        ),
        (
            "of two that finished together the longest",
            [(0, 10, None), (4, 9, 0), (2, 9, 0)],
            [(0, 0, 2), (2, 2, 9), (0, 9, 10)],
        ),
        ("one that was not waited for, cut off", [(0, 10, None), (6, 20, 0)], [(0, 0, 6), (1, 6, 10)]),
        ("one that began too late", [(0, 10, None), (12, 20, 0)], [(0, 0, 10)]),
        ("one that began before its parent, by its clock", [(5, 10, None), (3, 7, 0)], [(1, 5, 7), (0, 7, 10)]),
        ("one that ended before it began", [(0, 10, None), (7, 3, 0)], [(0, 0, 10)]),
        ("a moment", [(0, 10, None), (5, 5, 0)], [(0, 0, 10)]),
        ("a root of no length", [(3, 3, None), (3, 5, 0)], []),
        ("an orphan", [(0, 10, None), (2, 20, None)], [(0, 0, 10)]),
        ("a circle of parents", [(0, 10, 1), (2, 8, 0)], [(0, 0, 2), (1, 2, 8), (0, 8, 10)]),
    ],
)
def test_the_critical_path_of(what: str, spans: list[Span], expected: list[tuple[int, int, int]]) -> None:
    assert path(*spans) == expected


@pytest.mark.parametrize(
    ("what", "spans", "expected"),
    [
        ("a root alone", [(0, 10, None)], [10]),
        ("children that overlap, counted once", [(0, 10, None), (1, 5, 0), (3, 8, 0)], [3, 4, 5]),
        ("a child within the time of another", [(0, 10, None), (1, 9, 0), (3, 4, 0)], [2, 8, 1]),
        ("children out of their parent's time", [(5, 10, None), (0, 6, 0), (9, 20, 0), (30, 40, 0)], [3, 6, 11, 10]),
        ("a grandchild, which is its parent's", [(0, 10, None), (2, 8, 0), (3, 5, 1)], [4, 4, 2]),
        ("one that ended before it began", [(0, 10, None), (7, 3, 0)], [10, 0]),
        ("a circle of parents", [(0, 10, 1), (2, 8, 0)], [4, 0]),
    ],
)
def test_the_self_times_of(what: str, spans: list[Span], expected: list[int]) -> None:
    assert self_times(*columns(spans)) == expected


@st.composite
def traces(draw: st.DrawFn, *, circles: bool = False) -> list[Span]:
    """Spans that begin and end at any time, under any other span, which comes before it unless there are circles."""
    count = draw(st.integers(1, 12))
    times, spans = st.integers(0, 30), []
    for row in range(count):
        others = [other for other in range(count if circles else row) if other != row]
        parent = draw(st.sampled_from(others) | st.none()) if others else None
        spans.append((draw(times), draw(times), parent))
    return spans


def _root(spans: list[Span]) -> int:
    tops = [row for row, span in enumerate(spans) if span[2] is None] or list(range(len(spans)))
    return min(tops, key=lambda row: (spans[row][0], row))


def _length(span: Span) -> int:
    return max(0, span[1] - span[0])


@given(traces() | traces(circles=True))
def test_the_segments_are_exactly_the_time_of_the_root(spans: list[Span]) -> None:
    segments, root = found(spans), spans[_root(spans)]
    assert sum(segment.end - segment.start for segment in segments) == _length(root)
    if segments:
        assert (segments[0].start, segments[-1].end) == root[:2]
    assert all(before.end == after.start for before, after in pairwise(segments))
    assert all(segment.start < segment.end for segment in segments)
    assert all(before.row != after.row for before, after in pairwise(segments))


@given(traces())
def test_a_segment_lies_within_its_span_and_all_that_are_above_it(spans: list[Span]) -> None:
    for segment in found(spans):
        row: int | None = segment.row
        while row is not None:
            start, end, row = spans[row]
            assert start <= segment.start < segment.end <= end


@given(traces())
def test_in_a_segment_no_child_of_its_span_comes_to_its_end(spans: list[Span]) -> None:
    # It would have been waited for.
    for segment in found(spans):
        children = [span for span in spans if span[2] == segment.row and span[0] < span[1]]
        assert not [child for child in children if segment.start < child[1] <= segment.end]


@given(traces())
def test_self_times_are_what_no_child_covers(spans: list[Span]) -> None:
    own = self_times(*columns(spans))
    for row, (start, end, _) in enumerate(spans):
        children = [span for span in spans if span[2] == row]
        free = [moment for moment in range(start, end) if not any(child[0] <= moment < child[1] for child in children)]
        assert own[row] == len(free)


@given(traces())
def test_self_times_below_a_root_add_up_to_its_time_at_least(spans: list[Span]) -> None:
    own, root = self_times(*columns(spans)), _root(spans)
    below = {root}
    for row, span in enumerate(spans):  # a parent comes before its children
        if span[2] in below:
            below.add(row)
    assert sum(own[row] for row in below) >= _length(spans[root])
