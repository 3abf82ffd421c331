"""What another process does between any two steps of a read, or of sealing: the picture is right at every point.

A step is the call or the return of a function of the embedded store; the read or the seal is done again for each.
"""

from __future__ import annotations

import random
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.plan import Scan
from colonnade.schemas import SPANS
from colonnade.testing.processes import Elsewhere

WHEN = "2026-01-01T00:00:00Z"
COLUMNS = ("traceId", "spanId", "parentSpanId")
POINTS = max(settings().max_examples // 25, 4)
"""It is done at so many steps, spread evenly; others every time, and all of them by night."""
Opened = Callable[..., list[Elsewhere]]
Rows = list[dict[str, Any]]


class Point:
    """A step at which something happens, and the places of all steps that were made."""

    def __init__(self, step: int | None, work: Callable[[], object]) -> None:
        self.places: list[tuple[object, str]] = []
        self._step = step
        self._work = work

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event not in ("call", "return") or "/stores/embedded/" not in frame.f_code.co_filename:
            return
        if threading.current_thread().name == "colonnade-upkeep":
            return
        self.places.append((frame.f_code, event))
        if len(self.places) == self._step:
            sys.setprofile(None)
            self._work()
            sys.setprofile(self)


@contextmanager
def at_step(step: int | None, work: Callable[[], object] = lambda: None) -> Iterator[Point]:
    """Do some work at a step of what follows, in this thread or in one that it begins."""
    point = Point(step, work)
    threading.setprofile(point)
    sys.setprofile(point)
    try:
        yield point
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def some_steps(done: Callable[[], object], points: int = POINTS) -> list[int]:
    """Some steps of what is done: of those made again and again, the first and the last."""
    with at_step(None) as point:
        done()
    assert len(point.places) > 20, "these are not the steps of that"
    first = {place: len(point.places) - step for step, place in enumerate(reversed(point.places))}
    last = {place: step for step, place in enumerate(point.places, 1)}
    steps = sorted({*first.values(), *last.values()})
    return sorted(random.sample(steps, min(points, len(steps))))


def span(id: str, parent: str | None = None, trace: str = "t") -> dict[str, Any]:
    one = {"traceId": trace, "name": "n", "startedAt": WHEN, "endedAt": WHEN}
    return {**one, "spanId": id, "parentSpanId": parent}


def scanned(store: Any) -> Rows:
    return list(store.execute(Scan(SPANS, columns=COLUMNS)).to_pylist())


def traced(store: Any) -> Rows:
    trace = store.observability.get_trace_light(trace_id="t")
    return list(trace["spans"])


def asked(store: Any) -> Rows:
    found = store.sql('SELECT "traceId", "spanId", "parentSpanId" FROM spans')
    return list(found if isinstance(found, list) else found.rows())


READS = {"a scan": scanned, "a trace": traced, "SQL": asked}


def check(rows: Rows, known: set[str], may_be: set[str]) -> None:
    """Each span once, below its parent; all that are known, and of others only those that may be."""
    ids = [row["spanId"] for row in rows]
    assert len(ids) == len(set(ids)), "a span is there twice"
    assert known <= set(ids) <= known | may_be, f"lost {known - set(ids)}, extra {set(ids) - known - may_be}"
    alone = [row["spanId"] for row in rows if row["parentSpanId"] not in (None, *ids)]
    assert not alone, f"without the parents that were acknowledged before them: {alone}"


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_parent_and_its_child_are_written_by_two_processes_during_a_read(
    read: Callable[[Any], Rows], opened: Opened, tmp_path: Path
) -> None:
    first, second = opened(2)
    first.observability.create_span(span=span("first"))
    second.observability.create_span(span=span("second"))
    known = {"first", "second"}
    with colonnade.open(tmp_path / "agent") as store:
        read(store)
        for step in some_steps(lambda: read(store), 10 * POINTS):
            one, other = (first, second) if step % 2 else (second, first)
            new = {f"parent {step}", f"child {step}"}

            def work(one: Elsewhere = one, other: Elsewhere = other, step: int = step) -> None:
                one.observability.create_span(span=span(f"parent {step}"))
                other.observability.create_span(span=span(f"child {step}", f"parent {step}"))

            with at_step(step, work):
                rows = read(store)
            check(rows, known, new)
            known |= new
        check(read(store), known, set())


def test_a_span_and_then_its_score_are_written_during_sql_over_both(opened: Opened, tmp_path: Path) -> None:
    (other,) = opened(1)
    above = 'FROM spans WHERE spans."traceId" = scores."traceId" AND spans."spanId" = scores."spanId"'
    query = f"SELECT id FROM scores WHERE NOT EXISTS ({above})"
    score = {"runId": "r", "scorerId": "s", "score": 1.0, "entityId": "e", "source": "LIVE", "traceId": "t"}
    score |= {"scorer": {}, "entity": {}, "output": {}}
    with colonnade.open(tmp_path / "agent") as store:
        store.sql(query).rows()
        for step in some_steps(lambda: store.sql(query).rows(), 10 * POINTS):

            def work(id: str = f"{step}") -> None:
                other.observability.create_span(span=span(id))
                other.scores.save_score(score={**score, "spanId": id})

            with at_step(step, work):
                alone = store.sql(query).rows()
            assert not alone, "scores of spans that were acknowledged before them, which are not there"
        assert store.sql(f"SELECT count(*) AS n FROM scores WHERE EXISTS ({above})").rows()[0]["n"] > 1


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_another_process_seals_and_merges_during_a_read(
    read: Callable[[Any], Rows], opened: Opened, tmp_path: Path
) -> None:
    (other,) = opened(1)
    other.observability.create_span(span=span("first"))
    other.optimize()
    known = {"first"}
    with colonnade.open(tmp_path / "agent") as store:
        read(store)
        for step in some_steps(lambda: read(store)):
            mine, theirs, last = f"mine {step}", f"theirs {step}", f"last {step}"
            store.observability.create_span(span=span(mine))
            other.observability.create_span(span=span(theirs, mine))
            known |= {mine, theirs}

            def work(last: str = last, theirs: str = theirs) -> None:
                other.optimize()
                other.observability.create_span(span=span(last, theirs))

            with at_step(step, work):
                rows = read(store)
            check(rows, known, {last})
            known = {row["spanId"] for row in read(store)}
            check(rows, known - {last}, {last})


def test_another_process_reads_during_sealing_and_merging_and_what_a_crash_would_leave_is_complete(
    opened: Opened, tmp_path: Path
) -> None:
    store: Any = colonnade.open(tmp_path / "agent")
    store.observability.create_span(span=span("first"))
    store.optimize()
    (other,) = opened(1)
    known = {"first"}

    def write(name: str) -> None:
        store.observability.batch_create_spans(records=[span(f"{name} {n}", "first") for n in range(3)])
        other.observability.create_span(span=span(f"{name} other", f"{name} 0"))
        known.update({f"{name} {n}" for n in range(3)} | {f"{name} other"})

    write("before")
    for step in some_steps(store.optimize):
        write(f"{step}")
        if step % 3 == 0:  # rows of segments that are replaced
            updates = {"trace_id": "t", "span_id": "first", "updates": {"name": f"{step}"}}
            store.observability.update_span(**updates)

        def work(step: int = step) -> None:
            for read in READS.values():
                check(read(other), known, set())
            crashed = tmp_path / f"crashed {step}"
            shutil.copytree(tmp_path / "agent", crashed)
            with colonnade.open(crashed) as copy:
                check(scanned(copy), known, set())
                copy.optimize()
                check(scanned(copy), known, set())
            shutil.rmtree(crashed)

        with at_step(step, work):
            store.optimize()
        check(scanned(store), known, set())
    store.close()
