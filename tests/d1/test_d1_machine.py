"""The machine on D1, in workerd, in both colours."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.workerd import Server


def fewer(part: int) -> settings:
    """A part of the profile's examples; COLONNADE_D1_EXAMPLES says how many instead."""
    most = int(os.environ.get("COLONNADE_D1_EXAMPLES", max(settings().max_examples // part, 5)))
    return settings(max_examples=most, stateful_step_count=STEPS, deadline=None)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_database_answers_as_the_reference_does(workerd: Server, colour: str) -> None:
    opened: Any = colonnade.open if colour == "sync" else lambda address: Awaited(colonnade.aopen(address))
    storage = opened(workerd.address(f"machine_{colour}_"))
    try:
        run_machine(storage, excused={"transactions"}, settings=fewer(20))
    finally:
        storage.close()
