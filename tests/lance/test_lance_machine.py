"""The conformance machine on Lance: as it is, and with compaction and new indexes between the steps."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.stores.lance import commits, pages, upkeep, vectors, words
from colonnade.testing.machine import run_machine


def fewer(part: int) -> settings:
    """A part of the profile's examples: each write is a commit, which takes some milliseconds."""
    return settings(max_examples=max(settings().max_examples // part, 10), stateful_step_count=15, deadline=None)


def test_a_lance_folder_answers_as_the_reference_does(tmp_path: Path) -> None:
    with colonnade.open(f"lancedb:///{tmp_path / 'agent'}") as storage:
        run_machine(storage, excused={"transactions"}, settings=fewer(10))


class Tidied:
    """A storage that is now and then tidied up before a plan is run."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._chance = random.Random(1)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if name in ("execute", "batches", "run") and self._chance.random() < 0.2:
            self._storage.optimize()
        return found


def test_also_when_it_is_tidied_between_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A dozen rows shall be many: stretches of time are looked for, and fragments are full.
    monkeypatch.setattr(pages, "FEW", 4)
    monkeypatch.setattr(commits, "FRAGMENT_ROWS", 8)
    monkeypatch.setattr(upkeep, "FRAGMENT_ROWS", 8)
    # And vectors have companions, texts that Lance cuts otherwise are many.
    monkeypatch.setattr(vectors, "FEW", 3)
    monkeypatch.setattr(words, "_ODD", 1)
    with colonnade.open(f"lancedb:///{tmp_path / 'agent'}") as storage:
        run_machine(Tidied(storage), excused={"transactions"}, settings=fewer(20))
