"""The machine on Upstash's REST API, which is ours here, over a real Redis, in both colours."""

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.stores.upstash import reading, writing
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.upstash import Server


def fewer(part: int) -> settings:
    """A part of the profile's examples: each of their hundreds of plans is some requests away."""
    return settings(max_examples=max(settings().max_examples // part, 5), stateful_step_count=STEPS, deadline=None)


def test_redis_answers_as_the_reference_does(upstash: Server) -> None:
    with colonnade.open(upstash.address("machine")) as storage:
        run_machine(storage, excused={"transactions"}, settings=fewer(10))


def test_awaited_and_in_small_pieces_redis_answers_as_the_reference_does(
    upstash: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pages hold two rows, answers end at a few bytes, and a script writes three rows.
    monkeypatch.setattr(reading, "PAGE_ROWS", 2)
    monkeypatch.setattr(reading, "BYTES", 200)
    monkeypatch.setattr(writing, "ROWS", 3)
    storage = Awaited(colonnade.aopen(upstash.address("awaited_machine")))
    try:
        run_machine(storage, excused={"transactions"}, settings=fewer(20))
    finally:
        storage.close()
