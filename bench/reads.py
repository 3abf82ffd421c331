"""How long an answer takes: a trace, the children of a span, the latest spans by this or that, at several sizes.

Ours is asked as users ask, through the domains and ``store.queries``. The floors are asked the same in SQL by hand: one
plain DuckDB file of the same rows, and one SQLite file with indexes where it is small enough to be made in passing.
All take turns in one process, each about another trace at every turn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import colonnade
from bench import floors, kept, measure
from bench.cold import first_answer
from bench.findings import Finding, Run, Target, at_most, at_most_times
from bench.spans import START, light
from colonnade.engine.plan import Put
from colonnade.schemas import SPANS

Asked = tuple[Any, ...]
"""A trace, a span in it that has children, and when it was; of a page, the cursor too."""
Calls = dict[str, Callable[[int], Any]]
Summaries = dict[str, dict[str, float]]
"""By store, milliseconds: see ``measure.summary``."""
LIGHT: Final = ", ".join(f'"{name}"' for name in SPANS.light)
LATEST: Final = 'ORDER BY "startedAt" DESC, "traceId", "spanId" LIMIT 50'
_TARGET: Final = at_most(10)
SQLITE_TO: Final = 1_000_000
"""The most rows of which a SQLite file is made."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is asked: of ours by a call, of the floors by the end of a SELECT and its parameters."""

    what: str
    ours: Callable[[Any, Asked], Any]
    where: str
    values: Callable[[Asked], tuple[Any, ...]] = lambda asked: ()
    target: Target = _TARGET
    columns: str = LIGHT


PAGE: Final = Question(
    "keyset page from the middle",
    lambda store, asked: store.queries.spans(after=asked[3]).rows,
    f'WHERE "startedAt" <= ? {LATEST}',
    lambda asked: (asked[2],),
)
QUESTIONS: Final = (
    Question(
        "get_trace, light columns",
        lambda store, asked: store.observability.get_trace_light(trace_id=asked[0])["spans"],
        'WHERE "traceId" = ? ORDER BY "startedAt", "spanId"',
        lambda asked: (asked[0],),
        at_most(5),
    ),
    Question(
        "children of a span",
        lambda store, asked: store.queries.spans(parent_span_id=asked[1]).rows,
        f'WHERE "parentSpanId" = ? {LATEST}',
        lambda asked: (asked[1],),
    ),
    Question(
        "children of a span, its trace given",
        lambda store, asked: store.queries.spans(trace_id=asked[0], parent_span_id=asked[1]).rows,
        f'WHERE "traceId" = ? AND "parentSpanId" = ? {LATEST}',
        lambda asked: (asked[0], asked[1]),
    ),
    Question(
        "latest 50 by a common name",
        lambda store, asked: store.queries.spans(name=kept.COMMON).rows,
        f'WHERE "name" = ? {LATEST}',
        lambda asked: (kept.COMMON,),
    ),
    Question(
        "latest 50 by a rare name",
        lambda store, asked: store.queries.spans(name=kept.RARE).rows,
        f'WHERE "name" = ? {LATEST}',
        lambda asked: (kept.RARE,),
        at_most(20),
    ),
    Question(
        "latest 50 by scope",
        lambda store, asked: store.queries.spans(scope=kept.SCOPE).rows,
        f'WHERE "scope" = ? {LATEST}',
        lambda asked: (kept.SCOPE,),
    ),
    Question("latest 50", lambda store, asked: store.queries.spans().rows, LATEST),
    Question(
        "latest 50 roots",
        lambda store, asked: store.queries.roots().rows,
        f'WHERE "parentSpanId" IS NULL {LATEST}',
    ),
    PAGE,
    Question(
        "list_traces, 50 newest",
        lambda store, asked: store.observability.list_traces_light(pagination={"page": 0, "perPage": 50})["spans"],
        f'WHERE "parentSpanId" IS NULL {LATEST}',
    ),
    Question(
        "list_traces of a user",
        lambda store, asked: store.observability.list_traces_light(
            filters={"userId": "user-7"}, pagination={"page": 0, "perPage": 50}
        )["spans"],
        f'WHERE "parentSpanId" IS NULL AND "userId" = ? {LATEST}',
        lambda asked: ("user-7",),
    ),
)
WHOLE: Final = Question(
    "get_trace with payloads",
    lambda store, asked: store.observability.get_trace(trace_id=asked[0])["spans"],
    'WHERE "traceId" = ? ORDER BY "startedAt", "spanId"',
    lambda asked: (asked[0],),
    at_most(12),
    "*",
)


def main(run: Run) -> None:
    """All sizes, smallest first; then fresh traces, whole ones, and the first answer of a new process."""
    first: dict[str, float] = {}
    for rows in run.sizes:
        store, plain = kept.store(run, rows), kept.plain_duckdb(run, rows)
        sqlite = kept.plain_sqlite(run, rows) if rows <= SQLITE_TO else None
        with run.doing(f"asking a store of {named(rows)} spans"):
            measure.warm(*filter(None, (store, plain, sqlite)))
            there = {"store": str(store), "plain": str(plain), "sqlite": sqlite and str(sqlite)}
            took = measure.in_fresh(ask, **there, times=run.times)
        for question in QUESTIONS:
            _report(run, f"{question.what}, {named(rows)} sealed", took[question.what], question.target)
        _grown(run, rows, first, took)
        _cold(run, rows, store)
    _fresh(run)
    if run.full:
        store = kept.store(run, run.full, kept.FULL_SIZE)
        plain = kept.plain_duckdb(run, run.full, kept.FULL_SIZE)
        with run.doing("asking for traces with payloads"):
            measure.warm(store, plain)
            took = measure.in_fresh(ask, store=str(store), plain=str(plain), sqlite=None, times=run.times, whole=True)
        _report(run, f"{WHOLE.what}, {named(run.full)} sealed", took[WHOLE.what], WHOLE.target)


def named(rows: int) -> str:
    """A number of rows in short: 250k, 1M."""
    return f"{rows / 1e6:g}M" if rows >= 1_000_000 else f"{rows / 1e3:g}k"


def _report(run: Run, what: str, took: Summaries, target: Target | None) -> None:
    other = took["DuckDB"]["p50"] if "DuckDB" in took else None
    run.found(Finding("reads", what, took["ours"]["p50"], "ms", other, "DuckDB", target, took))


def _grown(run: Run, rows: int, first: dict[str, float], took: dict[str, Summaries]) -> None:
    """How a trace's look-up at this size compares with the smallest."""
    what = QUESTIONS[0].what
    ours = took[what]["ours"]["p50"]
    if first:
        (than, least), *_ = first.items()
        what = f"{what}, {named(rows)} against {than}"
        run.found(Finding("reads", what, ours, "ms", least, f"at {than}", at_most_times(1.5)))
    first.setdefault(named(rows), ours)


def ask(store: str, plain: str, sqlite: str | None, times: int, whole: bool = False) -> dict[str, Summaries]:
    """Ask everything, all stores in turn. Runs in a process of its own."""
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result")  # of fifty rows
    asks: list[Any] = kept.asks(Path(store))
    duck = floors.duckdb_file(Path(plain), read_only=True)
    lite = None if sqlite is None else floors.sqlite_file(Path(sqlite))
    took: dict[str, Summaries] = {}
    with colonnade.open(Path(store) / "agent") as opened:
        places = pages(opened, asks)
        for question in (WHOLE,) if whole else QUESTIONS:
            calls = _calls(question, opened, duck, lite, places if question is PAGE else asks)
            _compare(question.what, calls)
            seen = measure.turns(*calls.values(), times=times)
            took[question.what] = dict(zip(calls, map(measure.summary, seen), strict=True))
    return took


def pages(opened: Any, asks: Sequence[Asked]) -> list[Asked]:
    """What to ask of pages around the middle, each with its cursor, found before anything is timed."""
    middle = asks[len(asks) // 3 : -(len(asks) // 3) or None]
    middle = middle[:: max(1, len(middle) // 20)]
    return [(*asked, opened.queries.spans(until=asked[2]).cursor) for asked in middle]


def _calls(question: Question, opened: Any, duck: Any, lite: Any, asks: list[Asked]) -> Calls:
    """One question to all stores; about what, the turn says: near and far by turns."""
    sql = f"SELECT {question.columns} FROM spans {question.where}"

    def asked(turn: int) -> Asked:
        return asks[turn * 7919 % len(asks)]

    calls: Calls = {
        "ours": lambda turn: question.ours(opened, asked(turn)),
        "DuckDB": lambda turn: duck.execute(sql, question.values(asked(turn))).to_arrow_table(),
    }
    if lite is not None:
        calls["SQLite"] = lambda turn: lite.execute(sql, _bound(question.values(asked(turn)))).fetchall()
    return calls


def _bound(values: tuple[Any, ...]) -> list[Any]:
    return [floors.micros(value) if isinstance(value, datetime) else value for value in values]


def _compare(what: str, calls: Calls) -> None:
    """All must give the same number of rows, or they were not asked the same."""
    counts = {name: len(call(3)) for name, call in calls.items()}
    if len(set(counts.values())) != 1:
        raise RuntimeError(f"{what}: not the same answer of all: {counts} rows")


def _fresh(run: Run) -> None:
    copy = kept.clone(kept.store(run, run.rows), run.cache / "fresh.clone")
    try:
        with run.doing("asking for traces that were just written"):
            took = measure.in_fresh(fresh, store=str(copy), rows=min(20_000, run.rows), times=run.times)
    finally:
        kept.remove(copy)
    _report(run, f"get_trace, light columns, fresh, over {named(run.rows)}", {"ours": took["get_trace"]}, at_most(1))
    _report(run, f"latest 50 by a common name, fresh, over {named(run.rows)}", {"ours": took["latest"]}, at_most(10))


def fresh(store: str, rows: int, times: int) -> Summaries:
    """Write spans in small puts and ask for their traces before they are sealed."""
    made = pa.Table.from_batches(light(rows, seed=1, start=START + timedelta(days=300)))
    traces = made.column("traceId").unique().to_pylist()[: -max(1, rows // 20)]
    with colonnade.open(store) as opened:
        for start in range(0, rows, 100):
            opened.execute(Put(SPANS, made.slice(start, 100)))
        get, latest = measure.turns(
            lambda turn: opened.observability.get_trace_light(trace_id=traces[turn * 7919 % len(traces)]),
            lambda turn: opened.queries.spans(name=kept.COMMON),
            times=times,
        )
    return {"get_trace": measure.summary(get), "latest": measure.summary(latest)}


def _cold(run: Run, rows: int, store: Path) -> None:
    trace = kept.asks(store)[0][0]
    took: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    with run.doing("opening it in new processes"):
        for _ in range(2 * run.repeats - 1):
            for evicted, seen in took.items():
                if evicted:
                    measure.evict(store)
                seen.append(measure.in_fresh(first_answer, store=str(store / "agent"), trace=trace))
    for evicted, seen in took.items():
        steps = ("import", "load", "open", "answer")
        parts = {name: measure.median([each[name] for each in seen]) * 1000 for name in steps}
        detail = {f"{name}_ms": value for name, value in parts.items()}
        what = (
            f"open {named(rows)} spans in a new process, {'disk cache empty, ' if evicted else ''}to the first answer"
        )
        ours = parts["open"] + parts["answer"]
        run.found(Finding("reads", what, ours, "ms", target=at_most(150), detail=detail))
        if not evicted:
            what = "the same with what the first open loads: drivers, SQL"
            run.found(Finding("reads", what, ours + parts["load"], "ms", detail=detail))
