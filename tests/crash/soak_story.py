"""What a writer of the soak does: a story that follows from the seed and the writer's number alone, turn by turn.

So everybody can tell what a picture of the store must show: the story is told by its writer and retold by each reader.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

BEGUN = datetime.now(UTC).replace(microsecond=0)
"""Taken before the forks, so that it is the same in all of them."""
COMMON = {"traceId": "0-0", "parentSpanId": "0-0"}
"""Where a span hangs that finds none of another writer: below one that was there before all writers."""

Shown = tuple[str, str | None, int, bool]
"""Of a span: its trace, its parent, tokens, whether it has ended; no trace and parent where those are another's."""


@dataclass
class Story:
    """What one writer has done after ``turn`` turns; ``next`` tells what it does then, ``take`` has it done."""

    seed: int
    writer: int
    turn: int = 0
    spans: dict[str, Shown] = field(default_factory=dict)
    scores: int = 0
    messages: int = 0
    note: int = 0
    step: int = 0
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    families: dict[str, tuple[str, ...]] = field(default_factory=dict)
    doomed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def copy(self) -> Story:
        """One that can be told on by itself."""
        told = {name: value.copy() for name, value in vars(self).items() if isinstance(value, dict | deque)}
        return Story(**{**vars(self), **told})

    def to(self, turn: int) -> Story:
        """Tell it as far as a turn."""
        while self.turn < turn:
            self.take(*self.next())
        return self

    def next(self) -> tuple[str, Any]:
        """The next turn: a verb, and what it is done to."""
        chance = random.Random(self.seed * 1_000_003 + self.writer * 10_007 + self.turn + 1)
        verbs = ["root", "root", "family", "family", "doomed", "messages", "note", "step"]
        verbs += ["child", "child", "relay", "update", "score"] if self.recent else []
        verbs += ["together"] if self.families else []
        verbs += ["delete"] * 2 if len(self.doomed) > 2 else []
        verb = chance.choice(verbs)
        match verb:
            case "root":
                return verb, chance.random() < 0.7
            case "family" | "doomed" | "messages":
                return verb, chance.randint(2, 6)
            case "child" | "update" | "score":
                return verb, chance.choice(self.recent)
            case "together":
                return verb, chance.choice(list(self.families)[-10:])
            case "delete":
                return verb, tuple(chance.sample(sorted(self.doomed), chance.randint(1, 2)))
        return verb, None

    def take(self, verb: str, what: Any) -> None:
        """Let a turn have happened."""
        self.turn += 1
        turn, own = self.turn, f"{self.writer}-{self.turn}"
        match verb:
            case "root":
                self.spans[own] = (own, None, turn, what)
            case "child":
                self.spans[own] = (self.spans[what][0], what, turn, True)
            case "relay":
                self.spans[own] = ("", None, turn, True)
            case "family" | "doomed":
                members = {f"{own}.{i}": (own, f"{own}.0" if i else None, turn, True) for i in range(what)}
                self.spans.update(members)
                (self.families if verb == "family" else self.doomed)[own] = tuple(members)
            case "update":
                self.spans[what] = (*self.spans[what][:2], turn, True)
            case "together":
                self.spans.update({each: (*self.spans[each][:2], turn, True) for each in self.families[what]})
            case "delete":
                for gone in what:
                    for each in self.doomed.pop(gone):
                        del self.spans[each]
            case "score":
                self.scores += 1
            case "messages":
                self.messages += what
            case "note":
                self.note = turn
            case "step":
                self.step = turn
        if verb in ("root", "child"):
            self.recent.append(own)

    def record(self, id: str) -> dict[str, Any]:
        """A span as it is created."""
        trace, parent, tokens, ended = self.spans[id]
        begun = BEGUN + timedelta(milliseconds=tokens)
        record: dict[str, Any] = {
            "traceId": trace,
            "spanId": id,
            "parentSpanId": parent,
            "runId": str(self.writer),
            "name": "soak",
        }
        record |= {"startedAt": begun, "endedAt": begun if ended else None, "inputTokens": tokens}
        return {**record, "output": f"{id} " + "x" * (tokens * 7919 % 3000)}


def shown(row: dict[str, Any]) -> Shown:
    """A stored span as stories tell of it."""
    foreign = row["traceId"].split("-")[0] != row["runId"]
    place = ("", None) if foreign else (row["traceId"], row["parentSpanId"])
    return *place, row["inputTokens"], row["endedAt"] is not None


def do(store: Any, story: Story, verb: str, what: Any) -> None:
    """On the store, the turn that a story has just taken: one call, of the domain's own API."""
    turn, writer, own = story.turn, f"{story.writer}", f"{story.writer}-{story.turn}"
    match verb:
        case "root" | "child":
            store.observability.create_span(span=story.record(own))
        case "relay":
            store.observability.create_span(span=story.record(own) | a_span_of_others(store, writer))
        case "family" | "doomed":
            family = (story.families if verb == "family" else story.doomed)[own]
            store.observability.batch_create_spans(records=[story.record(each) for each in family])
        case "update":
            trace, ended = story.spans[what][0], BEGUN + timedelta(days=1)
            updates = {"inputTokens": turn, "endedAt": ended}
            store.observability.update_span(trace_id=trace, span_id=what, updates=updates)
        case "together":
            family = story.families[what]
            records = [{"traceId": what, "spanId": each, "updates": {"inputTokens": turn}} for each in family]
            store.observability.batch_update_spans(records=records)
        case "delete":
            store.observability.batch_delete_traces(trace_ids=list(what))
        case "score":
            score = {"id": own, "runId": writer, "scorerId": "s", "score": 1.0, "entityId": "e", "source": "LIVE"}
            score |= {"scorer": {}, "entity": {}, "output": {}, "traceId": story.spans[what][0], "spanId": what}
            store.scores.save_score(score=score)
        case "messages":
            one = {"threadId": writer, "resourceId": "r", "role": "user", "content": "x"}
            store.memory.save_messages(messages=[{**one, "id": f"{own}.{i}"} for i in range(what)])
        case "note":
            store.memory.update_thread(id="all", metadata={writer: turn})
        case "step":
            store.workflows.update_workflow_results(workflow_name="w", run_id="r", step_id=writer, result={"n": turn})


def a_span_of_others(store: Any, writer: str) -> dict[str, Any]:
    """Where to hang a span below one that another process wrote. What is seen has been flushed, and must stay."""
    found = store.observability.list_traces(pagination={"perPage": 20})["spans"]
    for root in found:
        if root["runId"] != writer and "." not in root["spanId"]:  # whole families may be deleted
            return {"traceId": root["traceId"], "parentSpanId": root["spanId"]}
    return COMMON


def prepare(store: Any) -> None:
    """What is there before all writers: a span that others may hang below, and a thread that all change."""
    started = BEGUN - timedelta(days=30)
    root = {"traceId": "0-0", "spanId": "0-0", "runId": "0", "name": "soak", "inputTokens": 0, "output": "0-0 "}
    store.observability.create_span(span={**root, "startedAt": started, "endedAt": started})
    store.memory.save_thread(thread={"id": "all", "resourceId": "r"})
