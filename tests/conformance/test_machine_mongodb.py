"""The machine on MongoDB: in both colours, and as on a server that has no transactions."""

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.stores.mongodb import steps
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.mongodb import Server


def fewer(part: int) -> settings:
    """A part of the profile's examples: the server that stands in for MongoDB takes a millisecond for each document."""
    return settings(max_examples=max(settings().max_examples // part, 3), stateful_step_count=STEPS, deadline=None)


def test_a_server_answers_as_the_reference_does(mongodb: Server) -> None:
    with colonnade.open(mongodb.address("machine")) as storage:
        run_machine(storage, settings=fewer(20))


def test_an_awaited_server_answers_as_the_reference_does(mongodb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_KEYS", 3)  # what names many keys comes in pieces, which are very small here
    storage = Awaited(colonnade.aopen(mongodb.address("awaited_machine")))
    try:
        run_machine(storage, settings=fewer(40))
    finally:
        storage.close()


def test_a_server_without_transactions_answers_as_the_reference_does(mongodb: Server) -> None:
    with colonnade.open(mongodb.address("alone_machine", "transactions=false")) as storage:
        run_machine(storage, excused={"transactions"}, settings=fewer(40))
