"""What writers do in crash tests, and what must be there afterwards: one list of deeds, told to a store and to a book.

A deed is a tuple that JSON can carry. A writer says which it begins and which is done; of a deed that was begun, a
table has all or nothing.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from colonnade.engine.plan import Scan
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS

NEW = "2026-01-01T00:00:00+00:00"
OLD = "2020-01-01T00:00:00+00:00"
CUTOFF = datetime(2025, 1, 1, tzinfo=UTC)
RUN = "00000000-0000-4000-8000-000000000000"
Deed = tuple[Any, ...]


@dataclass(frozen=True)
class Book:
    """What is in a store: the name and the age of each span and whether it has ended, and the rest by id."""

    spans: dict[tuple[str, str], tuple[str, bool, bool]] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)
    evals: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()

    @classmethod
    def of(cls, store: Any) -> Book:
        """Read it; ``AssertionError`` where anything is there twice."""
        spans = _rows(store, SPANS, "traceId", "spanId", "name", "endedAt", "startedAt")
        scores = _rows(store, SCORES, "id", "traceId")
        evals = _rows(store, EVALS, "id")
        messages = _rows(store, MESSAGES, "id")
        book = cls(
            {(trace, span): (name, ended is not None, begun < CUTOFF) for trace, span, name, ended, begun in spans},
            dict(scores),
            frozenset(name for (name,) in evals),
            frozenset(name for (name,) in messages),
        )
        assert len(book.spans) == len(spans), "a span is there twice"
        assert len(book.scores) == len(scores) and len(book.evals) == len(evals), "a score is there twice"
        return book

    def after(self, deed: Deed) -> Book:
        """What is there after a deed."""
        match deed:
            case ("spans", spans):
                there = {(trace, span): (name, ended, old) for trace, span, name, ended, old, _ in spans}
                return replace(self, spans=self.spans | there)
            case ("end", trace, span, name):
                return replace(self, spans=self.spans | {(trace, span): (name, True, self.spans[trace, span][2])})
            case ("delete", traces):
                return replace(self, spans={key: each for key, each in self.spans.items() if key[0] not in traces})
            case ("scores", scores):
                return replace(self, scores=self.scores | dict(scores))
            case ("evals", evals):
                return replace(self, evals=self.evals.union(evals))
            case ("clear",):
                return replace(self, scores={}, evals=frozenset())
            case ("message", name):
                return replace(self, messages=self.messages | {name})
            case ("prune",):
                stays = {trace for (trace, _), (_, ended, old) in self.spans.items() if not (ended and old)}
                stays |= set(self.scores.values())
                return replace(self, spans={key: each for key, each in self.spans.items() if key[0] in stays})
        return self

    def difference(self, right: Book, begun: Deed | None) -> str:
        """What is wrong with it, if a deed was begun and perhaps done after it was ``right``; empty if nothing is."""
        later = right if begun is None else right.after(begun)
        for each in fields(self):
            found, one, other = (getattr(book, each.name) for book in (self, right, later))
            if found not in (one, other):
                lost = sorted(set(one) & set(other) - set(found))[:5]
                extra = sorted(set(found) - set(one) - set(other))[:5]
                wrong = [key for key in found if isinstance(found, dict) and key in one and found[key] != one[key]][:5]
                return f"{each.name}: lost {lost}, never written {extra}, different {wrong}; begun was {begun}"
        return ""


def _rows(store: Any, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    found = store.execute(Scan(table, columns=columns))
    return list(zip(*(found.column(name).to_pylist() for name in columns), strict=True))


def do(store: Any, deed: Deed) -> None:
    """Do it."""
    match deed:
        case ("spans", spans):
            store.observability.batch_create_spans(records=[_span(*each) for each in spans])
        case ("end", trace, span, name):
            store.observability.update_span(trace_id=trace, span_id=span, updates={"name": name, "endedAt": NEW})
        case ("delete", traces):
            store.observability.batch_delete_traces(trace_ids=traces)
        case ("scores", scores):
            store.scores.save_scores(scores=[_score(*each) for each in scores])
        case ("evals", evals):
            store.scores.save_evals(evals=list(map(_eval, evals)))
        case ("clear",):
            store.scores.dangerously_clear_all()
        case ("message", name):
            message = {"id": name, "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
            store.memory.save_messages(messages=[message])
        case ("seal",):
            store.stores[0].optimize(merge=False)
        case ("merge",):
            store.optimize()
        case ("prune",):
            store.prune(older_than=CUTOFF, keep_scored=True)


def _span(trace: str, span: str, name: str, ended: bool, old: bool, size: int) -> dict[str, Any]:
    begun = OLD if old else NEW if ended else datetime.now(UTC).isoformat()
    ids = {"traceId": trace, "spanId": span, "parentSpanId": None if span == "0" else "0"}
    return {**ids, "name": name, "startedAt": begun, "endedAt": begun if ended else None, "output": "x" * size}


def _score(name: str, trace: str) -> dict[str, Any]:
    given = {"scorerId": "s", "entityId": "e", "runId": "r", "output": "o", "score": 0.5, "source": "TEST"}
    return {**given, "id": name, "traceId": trace, "scorer": {"id": "s"}, "entity": {"id": "e"}}


def _eval(name: str) -> dict[str, Any]:
    texts = dict.fromkeys(("input", "output", "agentName", "metricName", "instructions"), "x")
    return {**texts, "id": name, "result": {"score": 0.5}, "runId": RUN, "globalRunId": RUN, "createdAt": NEW}


def deeds(book: Book, chance: random.Random, name: str) -> Iterator[Deed]:
    """Deeds without end, at random; ``name`` sets the ids of these apart from all others."""
    for number in range(10**6):
        deed = _deed(book, chance, f"{name}-{number}")
        book = book.after(deed)
        yield deed


def _deed(book: Book, chance: random.Random, name: str) -> Deed:
    traces = sorted({trace for trace, _ in book.spans})
    running = sorted(key for key, (_, ended, _) in book.spans.items() if not ended)
    verbs = {"spans": 10, "seal": 3, "scores": 2, "evals": 2, "message": 2, "merge": 1, "prune": 1, "clear": 0.3}
    verbs |= {"end": 4} if running else {}
    verbs |= {"delete": 1, "again": 3} if traces else {}
    (verb,) = chance.choices(list(verbs), list(verbs.values()))
    if verb == "again":  # spans that are known, with another name
        trace = chance.choice(traces)
        again = [key for key in sorted(book.spans) if key[0] == trace and book.spans[key][1]]
        return ("spans", [[*key, name, *book.spans[key][1:], 1] for key in again] or [_new(name, "0", chance)])
    if verb == "spans":
        return ("spans", [_new(name, str(span), chance) for span in range(chance.choice([1, 3, 30]))])
    if verb == "end":
        return ("end", *chance.choice(running), name)
    if verb == "delete":
        return ("delete", chance.sample(traces, min(len(traces), 2)))
    if verb == "scores":
        return ("scores", [[f"{name}-{each}", chance.choice(traces or ["t"])] for each in range(chance.choice([1, 5]))])
    if verb == "evals":
        return ("evals", [f"{name}-{each}" for each in range(chance.choice([1, 5]))])
    return (verb, name) if verb == "message" else (verb,)


def _new(trace: str, span: str, chance: random.Random) -> list[Any]:
    ended, old = chance.random() < 0.8, crc32(trace.encode()) % 4 == 0
    return [trace, span, "n", ended or old, old, chance.choice([1, 1000, 20_000])]


class Told:
    """What a writer tells its parent through a pipe: which deeds it begins, and which are done."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def carry_out(self, store: Any, todo: Iterator[Deed] | Sequence[Deed]) -> None:
        """Do one deed after the other, and tell."""
        for deed in todo:
            os.write(self._pipe, json.dumps(deed).encode() + b"\n")
            do(store, deed)
            os.write(self._pipe, b"done\n")


def read_back(told: str, book: Book) -> tuple[Book, Deed | None]:
    """The book after all that was done, and what was begun."""
    begun: Deed | None = None
    for line in told.split("\n")[:-1]:
        if line == "done":
            assert begun is not None
            book, begun = book.after(begun), None
        else:
            begun = tuple(json.loads(line))
    return book, begun
