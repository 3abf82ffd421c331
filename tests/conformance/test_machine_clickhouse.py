"""The machine on ClickHouse: one server in both colours, and three of them as one store."""

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine import searching
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.clickhouse import Server, address_of


def fewer(part: int) -> settings:
    """A part of the profile's examples: each of their hundreds of plans is some milliseconds away."""
    return settings(max_examples=max(settings().max_examples // part, 5), stateful_step_count=STEPS, deadline=None)


def test_a_server_answers_as_the_reference_does(clickhouse: Server) -> None:
    with colonnade.open(clickhouse.address("machine")) as storage:
        run_machine(storage, excused={"transactions"}, settings=fewer(4))


def test_an_awaited_server_answers_as_the_reference_does(clickhouse: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # Searches go on from page to page, which hold very few rows here.
    monkeypatch.setattr(searching, "PAGE", 2)
    monkeypatch.setattr(searching, "BYTES", 1)
    storage = Awaited(colonnade.aopen(clickhouse.address("awaited_machine")))
    try:
        run_machine(storage, excused={"transactions"}, settings=fewer(10))
    finally:
        storage.close()


def test_a_cluster_answers_as_the_reference_does(clickhouse_cluster: list[Server]) -> None:
    with colonnade.open(address_of(clickhouse_cluster, "machine", "cluster=tested")) as storage:
        run_machine(
            storage, excused={"transactions"}, settings=fewer(20)
        )  # of three servers: each write takes three times as long
