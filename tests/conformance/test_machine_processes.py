"""The machine on one embedded folder that several processes have open: each plan is run by another of them."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, TRACES, WORKFLOWS
from colonnade.testing.machine import run_machine
from colonnade.testing.processes import InTurn

ACCUMULATES = (SPANS, SCORES, EVALS, TRACES)
CHANGES = (THREADS, MESSAGES, WORKFLOWS)


def some(part: int) -> settings:
    """A part of the profile's examples: each is a new folder, opened by every process."""
    return settings(max_examples=max(settings().max_examples // part, 4), stateful_step_count=15)


def folders(path: Path) -> Iterator[str]:
    """A new folder for every example."""
    return (str(path / f"agent{number}") for number in count())


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("optimize", [0, 0.3], ids=["as it is", "sealed and merged between steps"])
def test_what_accumulates_answers_as_the_reference_does(tmp_path: Path, processes: int, optimize: float) -> None:
    with InTurn(folders(tmp_path), processes=processes, optimize=optimize) as storage:
        run_machine(storage, tables=ACCUMULATES, excused={"transactions"}, settings=some(50 if optimize else 25))


@pytest.mark.parametrize("processes", [2, 4])
def test_what_changes_answers_as_the_reference_does(tmp_path: Path, processes: int) -> None:
    with InTurn(folders(tmp_path), processes=processes) as storage:
        run_machine(storage, tables=CHANGES, settings=some(25))
