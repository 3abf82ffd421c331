"""The world of the demo: a small shop, what its customers ask for, and two versions of the prompt that answers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["where", "refund", "address", "question"]

REFUND_DAYS: Final = 30
"""Days after delivery within which the shop takes things back."""
APPROVAL_ABOVE: Final = 100.0
"""Refunds of more US dollars than this wait for a human's approval."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the shop's own system knows it. ``days`` is how long ago it was delivered; None while it travels."""

    item: str
    price: float
    days: int | None

    @property
    def state(self) -> str:
        """Where it is, in words."""
        return "on its way" if self.days is None else f"delivered {self.days} days ago"


@dataclass(frozen=True, slots=True)
class Task:
    """One request of a customer, and what a good answer takes.

    ``needs`` are tools that must have been called with success, ``never`` those that must not, ``parts`` how many
    questions there are to answer.
    """

    id: str
    customer: str
    kind: Kind
    request: str
    order: str | None = None
    needs: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Prompt:
    """A version of the system prompt, and how the simulated model takes to it.

    ``looks_up`` is the chance that it looks an order up before it acts, ``thorough`` that it answers a second question,
    ``words`` how long its answers are, in tokens.
    """

    name: str
    text: str
    looks_up: float
    thorough: float
    words: int


PROMPTS: Final = (
    Prompt("prompt-v1", "You work at the support desk of a shop. Help the customer.", 0.5, 0.95, 150),
    Prompt(
        "prompt-v2",
        "You work at the support desk of a shop. Look the order up before you say or do anything about it. Refund only "
        f"within {REFUND_DAYS} days of delivery. Answer in two sentences at most.",
        0.97,
        0.35,
        60,
    ),
)

ORDERS: Final = {
    "A-1001": Order("stoneware mug", 18.0, 4),
    "A-1002": Order("desk lamp", 64.0, None),
    "A-1003": Order("walking boots", 149.0, 12),
    "A-1004": Order("linen shirt", 55.0, 71),
    "A-1005": Order("coffee grinder", 89.0, 9),
    "A-1006": Order("rain jacket", 210.0, 44),
    "A-1007": Order("notebook set", 12.5, None),
    "A-1008": Order("bicycle bell", 9.9, None),
    "A-1009": Order("wool blanket", 120.0, 20),
    "A-1010": Order("chess board", 45.0, None),
    "A-1012": Order("garden shears", 27.0, 95),
}


def _where(id: str, customer: str, order: str, request: str, parts: int = 1) -> Task:
    return Task(id, customer, "where", request, order, needs=("lookup_order",), parts=parts)


def _refund(id: str, customer: str, order: str, request: str) -> Task:
    return Task(id, customer, "refund", request, order, needs=("lookup_order", "refund"))


def _late(id: str, customer: str, order: str, request: str) -> Task:
    return Task(id, customer, "refund", request, order, needs=("lookup_order",), never=("refund",))


def _address(id: str, customer: str, order: str, request: str) -> Task:
    return Task(id, customer, "address", request, order, needs=("lookup_order", "change_address"))


def _question(id: str, customer: str, request: str, parts: int = 1) -> Task:
    return Task(id, customer, "question", request, parts=parts)


TASKS: Final = (
    _where("where-lamp", "ada", "A-1002", "Where is my desk lamp, order A-1002?"),
    _where("where-notebooks", "bola", "A-1007", "Has order A-1007 been sent yet?"),
    _where("where-bell", "chen", "A-1008", "The bell (A-1008) should have been here by now."),
    _where("where-chess", "dara", "A-1010", "When will A-1010 arrive? It is a birthday present."),
    _where("where-mug", "ada", "A-1001", "A-1001 says delivered, but I do not see a mug."),
    _where("where-blanket", "goran", "A-1009", "My neighbour may have taken A-1009. When was it delivered?"),
    _refund("refund-mug", "ada", "A-1001", "The mug in A-1001 came broken. I want my money back."),
    _refund("refund-grinder", "fatou", "A-1005", "The grinder (A-1005) is too loud. Please refund it."),
    _refund("refund-boots", "hana", "A-1003", "The boots of A-1003 do not fit. Refund them, please."),
    _refund("refund-blanket", "goran", "A-1009", "The blanket (A-1009) scratches. I would like a refund."),
    _late("late-shirt", "ines", "A-1004", "I never wore the shirt, A-1004. Refund it."),
    _late("late-jacket", "jonas", "A-1006", "The jacket (A-1006) is too warm. My money back, please."),
    _late("late-shears", "kofi", "A-1012", "The shears of A-1012 are blunt by now. Refund!"),
    _address("move-lamp", "ada", "A-1002", "Please send A-1002 to 7 Quay Street instead."),
    _address("move-chess", "dara", "A-1010", "I have moved. A-1010 should go to 12 Hill Road."),
    _question("ask-hours", "lena", "When does the shop open on Saturdays?"),
    _question("ask-gift", "mateo", "Do you wrap presents?"),
    _where("two-bell", "chen", "A-1008", "Where is A-1008, and can I still change its colour?", parts=2),
    _question("two-cards", "emre", "Do you sell gift cards, and do they expire?", parts=2),
    _question("two-boots", "hana", "Which boots are waterproof, and do you mend soles?", parts=2),
)
"""Twenty requests. The last three ask two things at once."""
