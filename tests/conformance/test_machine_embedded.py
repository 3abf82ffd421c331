"""The machine on the embedded folder: as it is, with every write sealed at once, and merged now and then."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.plan import Scan, desc
from colonnade.engine.stores.embedded.log import Change
from colonnade.engine.stores.embedded.store import EmbeddedStore
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, TRACES, WORKFLOWS
from colonnade.testing.machine import run_machine

ACCUMULATES = (SPANS, SCORES, EVALS, TRACES)
CHANGES = (THREADS, MESSAGES, WORKFLOWS)


def fewer(part: int) -> settings:
    """A part of the profile's examples."""
    return settings(max_examples=max(settings().max_examples // part, 5), stateful_step_count=25)


def test_what_accumulates_answers_as_the_reference_does(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as storage:
        run_machine(storage, tables=ACCUMULATES, excused={"transactions"})


def test_what_changes_answers_as_the_reference_does(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as storage:
        run_machine(storage, tables=CHANGES)


def test_sealing_and_merging_between_any_two_steps_changes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with colonnade.open(tmp_path / "agent") as storage:
        store = storage.stores[0]
        assert isinstance(store, EmbeddedStore)
        append, writes = store.columnar.append, 0

        def append_and_seal(changes: Sequence[Change], *, alone: bool = False) -> None:
            nonlocal writes
            writes += 1
            append(changes, alone=alone)
            store.optimize(merge=writes % 3 == 0)

        monkeypatch.setattr(store.columnar, "append", append_and_seal)
        run_machine(storage, tables=ACCUMULATES, excused={"transactions"}, settings=fewer(20))


def test_a_page_of_no_rows_is_empty_however_many_segments_there_are(tmp_path: Path) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    with colonnade.open(tmp_path / "agent") as storage:
        store = storage.stores[0]
        assert isinstance(store, EmbeddedStore)
        for day in range(3):
            storage.observability.create_span(
                span={"traceId": f"t{day}", "spanId": "s", "name": "chat", "startedAt": when + timedelta(days=day)}
            )
            store.optimize(merge=False)
        for limit, found in ((0, []), (2, ["t2", "t1"])):
            page = Scan(SPANS, order=(desc("startedAt"),), limit=limit, columns=("traceId",))
            assert storage.execute(page).column("traceId").to_pylist() == found
