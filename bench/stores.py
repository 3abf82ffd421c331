"""The stores side by side: how fast spans come in, how long look-ups take, how much both grow, and what a span weighs.

Of each there are two, one with a tenth of the spans, and beside each the same light spans in the plain driver alone,
asked by its own best query: the floor. Look-ups are those that the schema has indexes for, of light columns; a trace
has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import colonnade
from bench import kept, measure
from bench.findings import Finding, Run, at_most_times
from bench.reads import Summaries, named, pages
from bench.store_floors import Floor
from bench.store_kinds import KINDS, fill
from bench.store_place import Kind
from colonnade.engine.plan import Bucket, Measure, Summarize
from colonnade.schemas import SPANS

Asked = tuple[Any, ...]
"""A trace, a span in it that has children, and when it was; a name that is rare in the store; of a page, the cursor."""
HOURLY: Final = Summarize(
    SPANS,
    by=("name", Bucket("startedAt", timedelta(hours=1))),
    measures=(Measure("count"), Measure("p95", "outputTokens"), Measure("sum", "cost")),
)


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is asked: of ours by a call, of the floor by another."""

    what: str
    ours: Callable[[Any, Asked], Any]
    floor: Callable[[Any, Asked], Any]
    lookup: bool = True
    """Whether it has a target, and should hardly grow with the store."""
    sum: bool = False
    """Whether it looks at all spans."""


PAGE: Final = Question(
    "keyset page from the middle",
    lambda store, asked: store.queries.spans(after=asked[4]).rows,
    lambda floor, asked: floor.page(asked[2]),
)
QUESTIONS: Final = (
    Question(
        "latest 50 by traceId",
        lambda store, asked: store.queries.spans(trace_id=asked[0]).rows,
        lambda floor, asked: floor.latest("traceId", asked[0]),
    ),
    Question(
        "latest 50 by parentSpanId",
        lambda store, asked: store.queries.spans(parent_span_id=asked[1]).rows,
        lambda floor, asked: floor.latest("parentSpanId", asked[1]),
    ),
    Question(
        "latest 50 by name",
        lambda store, asked: store.queries.spans(name=kept.COMMON).rows,
        lambda floor, asked: floor.latest("name", kept.COMMON),
    ),
    Question(
        "latest 50 by a rare name",
        lambda store, asked: store.queries.spans(name=asked[3]).rows,
        lambda floor, asked: floor.latest("name", asked[3]),
    ),
    Question(
        "latest 50 by scope",
        lambda store, asked: store.queries.spans(scope=kept.SCOPE).rows,
        lambda floor, asked: floor.latest("scope", kept.SCOPE),
    ),
    Question(
        "get_trace",
        lambda store, asked: store.observability.get_trace(trace_id=asked[0])["spans"],
        lambda floor, asked: floor.trace(asked[0]),
    ),
    PAGE,
    Question(
        "latest 50 roots",
        lambda store, asked: store.queries.roots().rows,
        lambda floor, asked: floor.latest("parentSpanId", None),
        lookup=False,
    ),
    Question(
        "hourly p95 of tokens, and cost, by name",
        lambda store, asked: store.execute(HOURLY),
        lambda floor, asked: floor.hourly(),
        lookup=False,
        sum=True,
    ),
)


def main(run: Run) -> None:
    """Each store that is asked for, at a tenth of its size and in full."""
    for name in run.stores or KINDS:
        kind = KINDS[name]
        rows = min(run.rows, kind.most or run.rows)
        sizes = sorted({max(1, rows // 10), rows})
        if kind.missing:
            run.skip(f"{kind.title}: {', '.join(kind.missing)}")
            continue
        paths = [_filled(run, name, rows) for rows in sizes]
        with run.doing(f"asking {kind.title} with {' and with '.join(map(named, sizes))} spans"):
            took = measure.in_fresh(ask, name=name, paths=[str(path) for path in paths], times=run.times)
        for place, rows in enumerate(sizes):
            for question in _questions(kind):
                _report(run, kind, question, rows, took[question.what][place])
        if len(sizes) > 1:
            _grown(run, kind, sizes, took)


def _questions(kind: Kind) -> list[Question]:
    return [question for question in QUESTIONS if kind.sums or not question.sum]


def _filled(run: Run, name: str, rows: int) -> Path:
    """A store with so many spans; what filling it took is told, also where that was done before. Floors: one write."""
    kind, file = KINDS[name], kept.arrow_file(run, rows, 0)
    path = kept.cached(
        run, f"stores-{name}-{rows}", rows, lambda path, told: fill(kind, path, file, told), kind.sources
    )
    facts: dict[str, Any] = json.loads((path / "filled.json").read_text())
    durable, upkeep, floor = (facts[part] for part in ("durable", "upkeep", "floor"))
    driver, detail = kind.driver, {"rows": rows, **facts}
    before = "" if facts["at"] >= run.begun.isoformat(timespec="seconds") else f" (of {facts['at'][:16]})"
    what = f"{kind.title}: ingest, {named(rows)}{before}"
    rate, other = rows / durable["wall"], rows / floor["wall"]
    run.found(Finding("stores", what, rate, "spans/s", other, driver, detail=detail))
    rate, other = rows / (durable["cpu"] + upkeep["cpu"]), rows / floor["cpu"]
    run.found(Finding("stores", f"{what}, a CPU-second with upkeep", rate, "spans", other, driver, detail=detail))
    ours, other = facts["bytes"] / rows, facts["floor_bytes"] / rows
    run.found(Finding("stores", f"{kind.title}: bytes a span, {named(rows)}", ours, "B", other, kind.driver))
    return path


def _report(run: Run, kind: Kind, question: Question, rows: int, took: Summaries) -> None:
    what = f"{kind.title}: {question.what}, {named(rows)}"
    target = kind.target if question.lookup else None
    ours, floor = took["ours"]["p50"], took["floor"]["p50"]
    run.found(Finding("stores", what, ours, "ms", floor, kind.driver, target, took))


def _grown(run: Run, kind: Kind, sizes: list[int], took: dict[str, list[Summaries]]) -> None:
    """How look-ups grow from the first size to the last.

    Where the first takes a few milliseconds, most of them are spent on anything but finding rows: planning, the way to
    a server and back.
    """
    least, most = named(sizes[0]), named(sizes[-1])
    for question in QUESTIONS:
        if question.lookup:
            before, now = (took[question.what][place]["ours"] for place in (0, -1))
            what, detail = f"{kind.title}: {question.what}, {most} against {least}", {"before": before, "now": now}
            target, other = (at_most_times(2) if kind.target else None), before["p50"]
            run.found(Finding("stores", what, now["p50"], "ms", other, f"at {least}", target, detail))


def ask(name: str, paths: list[str], times: int) -> dict[str, list[Summaries]]:
    """Ask stores of several sizes and their floors, about another trace at every turn. Runs in a process of its own.

    All take turns, so that a slow moment makes neither ours nor the larger one look worse.
    """
    took: dict[str, list[Summaries]] = {}
    with ExitStack() as ends:
        places = [ends.enter_context(KINDS[name].place(Path(path))) for path in paths]
        clock = measure.clock_with(*(server for place in places for server in place.servers))
        asked = [
            (ends.enter_context(colonnade.open(place.address)), place.floor, _asks(Path(path)))
            for place, path in zip(places, paths, strict=True)
        ]
        for question in _questions(KINDS[name]):
            calls = [call for each in asked for call in _calls(question, *each)]
            counts = [len(call(3)) for call in calls]
            if counts[::2] != counts[1::2]:
                raise RuntimeError(f"{name}, {question.what}: the floor gives others than ours: {counts} rows")
            seen = list(map(measure.summary, measure.turns(*calls, times=times, seconds=10, clock=clock)))
            pairs = zip(seen[::2], seen[1::2], counts[::2], strict=True)
            took[question.what] = [
                {"ours": {**ours, "rows": rows}, "floor": {**floor, "rows": rows}} for ours, floor, rows in pairs
            ]
    return took


def _asks(path: Path) -> list[Asked]:
    rare = json.loads((path / "filled.json").read_text())["rare"]
    return [(*each, rare) for each in kept.asks(path)]


def _calls(question: Question, opened: Any, floor: Floor, asks: list[Asked]) -> tuple[Callable[[int], Any], ...]:
    asks = pages(opened, asks) if question is PAGE else asks

    def asked(turn: int) -> Asked:
        return asks[turn * 7919 % len(asks)]

    return lambda turn: question.ours(opened, asked(turn)), lambda turn: question.floor(floor, asked(turn))
