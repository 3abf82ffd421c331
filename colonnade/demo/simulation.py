"""What the demo's agent talks to, simulated: the time, two models, and the shop's tools.

Chance is seeded, so each demo is the same; latencies and prices are made up.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from opentelemetry.sdk.trace.id_generator import IdGenerator

from colonnade.demo.tasks import APPROVAL_ABOVE, ORDERS, REFUND_DAYS, Order, Prompt, Task

MILLISECOND: Final = 1_000_000
SEED: Final = 12
"""Another seed is another demo: other runs succeed, and the second prompt is better in most."""


def chance_of(what: str) -> Random:
    """Chance that falls the same each time for the same thing."""
    return Random(f"{what}#{SEED}")


@dataclass(slots=True)
class Clock:
    """Simulated time, in nanoseconds since the Unix epoch: it passes only when somebody says what took how long."""

    now: int

    def spend(self, milliseconds: float) -> None:
        """Let time pass."""
        self.now += round(milliseconds * MILLISECOND)


class Ids(IdGenerator):
    """Trace and span identifiers out of seeded chance."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def generate_span_id(self) -> int:
        """An identifier of 64 bits, not 0."""
        return self._chance.randrange(1, 2**64)

    def generate_trace_id(self) -> int:
        """An identifier of 128 bits, not 0."""
        return self._chance.randrange(1, 2**128)


@dataclass(frozen=True, slots=True)
class Model:
    """A model: US dollars per million tokens, milliseconds to the first token and for each further one."""

    name: str
    input_price: float
    output_price: float
    first: float
    each: float

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """What a call costs, in US dollars."""
        return (input_tokens * self.input_price + output_tokens * self.output_price) / 1e6

    def latency(self, output_tokens: int, chance: Random) -> float:
        """What a call takes, in milliseconds: never the same twice, now and then much longer."""
        slow = 3.0 if chance.random() < 0.03 else 1.0
        return slow * chance.uniform(0.8, 1.3) * (self.first + output_tokens * self.each)


SMALL: Final = Model("demo-small", 0.20, 0.80, first=180, each=3)
LARGE: Final = Model("demo-large", 2.50, 10.00, first=420, each=11)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool to be called."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The model answers the customer, ``parts`` of the questions."""

    text: str
    parts: int = 1


Reply = ToolCall | Answer
Result = Mapping[str, Any]
"""What a tool gave, or ``{"error": ...}``."""


def replies(task: Task, prompt: Prompt, chance: Random) -> Generator[Reply, Result, None]:
    """What the large model says in a run: tools to call, each answered with a result, and its answer at the end."""
    order: Order | None = None
    if task.order is not None and chance.random() < prompt.looks_up:
        found = yield ToolCall("lookup_order", {"order": task.order})
        if "error" in found:
            found = yield ToolCall("lookup_order", {"order": task.order})
        if "error" in found:
            yield Answer("I am sorry: I cannot reach our order system. Please write again in an hour.", parts=0)
            return
        order = ORDERS[task.order]
    parts = task.parts if task.parts == 1 or chance.random() < prompt.thorough else 1
    if task.kind == "refund":
        if order is not None and (order.days is None or order.days > REFUND_DAYS):
            yield Answer(f"I am sorry: we refund within {REFUND_DAYS} days, and yours was {order.state}.")
            return
        yield ToolCall("refund", {"order": task.order})
        yield Answer(refunded(task.order))
    elif task.kind == "address":
        yield ToolCall("change_address", {"order": task.order})
        yield Answer(f"Done: {task.order} goes to the new address.")
    elif task.kind == "where":
        known = f"It is {order.state}." if order else "It should be with you any day now."
        yield Answer(known + (" And the answer to your other question is yes." if parts > 1 else ""), parts)
    else:
        yield Answer("Yes, and yes." if parts > 1 else "Yes, gladly.", parts)


def refunded(order: str | None) -> str:
    """What a customer is told after a refund."""
    return f"The money for {order} is on its way back to you."


class ToolTimeout(Exception):
    """A tool did not answer in time."""


class NeedsApproval(Exception):
    """A human must agree before a tool does this."""

    def __init__(self, call: ToolCall) -> None:
        super().__init__(f"{call.name} waits for approval")
        self.call = call


def call_tool(call: ToolCall, clock: Clock, chance: Random, *, approved: bool = False) -> Result:
    """Call a tool of the shop. ``ToolTimeout`` now and then; ``NeedsApproval`` for a large refund that has none."""
    order = ORDERS[call.arguments["order"]]
    if call.name == "lookup_order" and chance.random() < 0.15:
        clock.spend(2000)
        raise ToolTimeout("the order system did not answer within 2 s")
    if call.name == "refund" and order.price > APPROVAL_ABOVE and not approved:
        clock.spend(chance.uniform(5, 15))
        raise NeedsApproval(call)
    clock.spend(chance.uniform(60, 350))
    if call.name == "lookup_order":
        return {"item": order.item, "price": order.price, "state": order.state}
    return {"done": True}
