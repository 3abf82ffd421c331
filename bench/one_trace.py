"""One trace of any size: an agent that searches the web, step by step, each with calls of a model and of tools.

It has what real ones have: failures, a span that still runs, one whose parent was never kept, a moment, and payloads
from nothing to some kilobytes. The same size and seed give the same spans.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TOOLS = ("search", "open_page", "summarise")


def one_trace(spans: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Records of so many spans, at least ten, a parent before its children."""
    return _Made(spans, seed).records


class _Made:
    def __init__(self, spans: int, seed: int) -> None:
        self.chance = Random(seed)
        self.now = START
        self.records: list[dict[str, Any]] = []
        root = self.span(None, "research agent", "agent_run", 0)
        while len(self.records) < spans - 3:
            self.step(root, spans - 3)
        self.span("0000000000000000", "index_pages", "tool_call", 0.8)
        self.span(root, "answer accepted", "generic", 0, isEvent=True)
        last = self.span(root, "chat large-1", "model_generation", 0, model="large-1", input=_asked(40))
        self.records[0]["endedAt"] = None
        for record in self.records:
            if record["spanId"] == last:
                record["endedAt"] = None

    def step(self, root: str, spans: int) -> None:
        step = self.span(root, "step", "workflow_run", 0)
        begun = self.records[-1]
        for _ in range(self.chance.randint(1, 6)):
            if len(self.records) < spans:
                self.chat(step)
            for _ in range(min(self.chance.randint(0, 4), spans - len(self.records))):
                self.tool(step)
        begun["endedAt"] = self.now

    def chat(self, parent: str) -> None:
        tokens = {"inputTokens": self.chance.randint(200, 9000), "outputTokens": self.chance.randint(5, 900)}
        said = [{"role": "assistant", "content": "I shall look for it. " * self.chance.randint(1, 10)}]
        cost = tokens["inputTokens"] * 2e-6 + tokens["outputTokens"] * 8e-6
        more = {"model": "large-1", "cost": cost, "input": _asked(self.chance.randint(1, 60)), "output": said, **tokens}
        self.span(parent, "chat large-1", "model_generation", self.chance.lognormvariate(-0.4, 0.7), **more)

    def tool(self, parent: str) -> None:
        given = {"query": "Ionic columns " * self.chance.randint(1, 20)}
        more: dict[str, Any] = {"output": {"found": "A volute. " * self.chance.randint(1, 300)}}
        if self.chance.random() < 0.01:
            more = {"error": {"name": "TimeoutError", "message": "no answer within 2 s"}}
        seconds = self.chance.lognormvariate(-1.9, 0.9)
        self.span(parent, self.chance.choice(TOOLS), "tool_call", seconds, input=given, **more)

    def span(self, parent: str | None, name: str, kind: str, seconds: float, **more: Any) -> str:
        known = {"traceId": TRACE, "spanId": f"{len(self.records) + 1:016x}", "parentSpanId": parent, "name": name}
        ended = self.now + timedelta(seconds=seconds)
        self.records.append(known | {"spanType": kind, "startedAt": self.now, "endedAt": ended} | more)
        self.now = ended
        return str(known["spanId"])


def _asked(times: int) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "You find things out."},
        {"role": "user", "content": "Who built it? " * times},
    ]
