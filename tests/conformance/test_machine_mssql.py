"""The machine on the TDS double, in both colours; and on a real SQL Server where MSSQL_DSN names one."""

from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine import searching
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine


def fewer(part: int) -> settings:
    """A part of the profile's examples: each of their hundreds of plans is some milliseconds away."""
    return settings(max_examples=max(settings().max_examples // part, 3), stateful_step_count=STEPS, deadline=None)


def test_a_server_answers_as_the_reference_does(mssql: Any) -> None:
    with colonnade.open(mssql.address("machine")) as storage:
        run_machine(storage, excused={"compare_and_set"}, settings=fewer(20))


def test_an_awaited_server_answers_as_the_reference_does(mssql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Searches go on from page to page, which hold very few rows here.
    monkeypatch.setattr(searching, "PAGE", 2)
    monkeypatch.setattr(searching, "BYTES", 1)
    storage = Awaited(colonnade.aopen(mssql.address("awaited_machine")))
    try:
        run_machine(storage, excused={"compare_and_set"}, settings=fewer(40))
    finally:
        storage.close()
