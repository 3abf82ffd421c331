"""The machine on libSQL: a file, memory, and a server in both colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.sqld import Server


def fewer(part: int) -> settings:
    """A part of the profile's examples, all of them where COLONNADE_LIBSQL_EXAMPLES says how many."""
    most = int(os.environ.get("COLONNADE_LIBSQL_EXAMPLES", max(settings().max_examples // part, 5)))
    return settings(max_examples=most, stateful_step_count=STEPS, deadline=None)


@pytest.mark.parametrize("address", ["file:{folder}/storage.db", "libsql:///:memory:"])
def test_what_is_local_answers_as_the_reference_does(address: str, tmp_path: Path) -> None:
    with colonnade.open(address.format(folder=tmp_path)) as storage:
        run_machine(storage, settings=fewer(8))


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_server_answers_as_the_reference_does(sqld: Server, colour: str) -> None:
    opened: Any = colonnade.open if colour == "sync" else lambda address: Awaited(colonnade.aopen(address))
    storage = opened(sqld.address())
    try:
        run_machine(storage, settings=fewer(16))
    finally:
        storage.close()
