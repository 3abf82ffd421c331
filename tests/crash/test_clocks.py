"""Clocks that jump, back by a day and ahead by a year: the last write wins, and nothing is lost or there twice."""

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Is, Scan
from colonnade.engine.stores.embedded import sealing
from colonnade.engine.stores.embedded.folder import Folder
from colonnade.errors import NotFound
from colonnade.schemas import SPANS

DAY = 86_400 * 10**9
JUMPS = (0, -DAY, 365 * DAY, 0, -DAY, 364 * DAY, -2 * DAY, 0)
WHEN = "2026-01-01T00:00:00Z"
SPAN = {"traceId": "t", "spanId": "1", "name": "0", "startedAt": WHEN, "endedAt": WHEN}
Jump = Callable[[int], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the clock, by nanoseconds from now."""
    offset = 0
    now_ns = time.time_ns

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(microseconds=offset // 1000)

    def by(nanoseconds: int) -> None:
        nonlocal offset
        offset = nanoseconds

    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + offset)
    monkeypatch.setattr(time, "time", lambda: (now_ns() + offset) / 1e9)
    monkeypatch.setitem(vars(sealing), "datetime", Shifted)
    return by


def name(store: Any) -> str | None:
    """What the span is called; ``None`` where it is not there."""
    found = store.execute(Scan(SPANS, Is("traceId", "=", "t"), columns=("name",))).column("name").to_pylist()
    assert len(found) < 2, "the span is there twice"
    return found[0] if found else None


def put(store: Any, name: str) -> None:
    """Write the span without reading it."""
    store.observability.create_span(span={**SPAN, "name": name})


@pytest.mark.parametrize("sealed", [False, True])
def test_the_last_write_of_a_process_wins(tmp_path: Path, jump: Jump, sealed: bool) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        for turn, offset in enumerate(JUMPS):
            jump(offset)
            put(store, str(turn))
            if sealed:
                store.optimize()
            assert name(store) == str(turn)
            store.observability.update_span(trace_id="t", span_id="1", updates={"name": f"{turn}!"})
            assert name(store) == f"{turn}!"
            store.observability.batch_delete_traces(trace_ids=["t"])
            assert name(store) is None
            with pytest.raises(NotFound):
                store.observability.update_span(trace_id="t", span_id="1", updates={"name": "?"})


@pytest.mark.parametrize("sealed", [False, True])
def test_the_last_write_of_several_processes_wins(tmp_path: Path, jump: Jump, sealed: bool) -> None:
    """Writers that never read, so that they know nothing of one another; a store in one process is a process to it."""
    with (
        colonnade.open(tmp_path / "agent") as one,
        colonnade.open(tmp_path / "agent") as two,
        colonnade.open(tmp_path / "agent") as reader,
    ):
        writers = itertools.cycle((one, two))
        for turn, offset in enumerate(JUMPS):
            jump(offset)
            put(next(writers), str(turn))
            assert name(reader) == str(turn)
            if sealed and turn % 3 == 0:
                one.optimize()
                two.optimize()
                reader.optimize()
                assert name(reader) == str(turn)
            if turn % 4 == 3:
                next(writers).observability.batch_delete_traces(trace_ids=["t"])
                assert name(reader) is None
    for offset in JUMPS:
        jump(offset)
        with colonnade.open(tmp_path / "agent") as again:
            put(again, str(offset))
            assert name(again) == str(offset)
            again.optimize()
            assert name(again) == str(offset)
    assert colonnade.fsck(tmp_path / "agent", full=True).clean


def test_a_log_from_the_future_is_sealed(tmp_path: Path, jump: Jump) -> None:
    jump(365 * DAY)
    with colonnade.open(tmp_path / "agent", init=False) as store:
        put(store, "0")
    folder = Folder(tmp_path / "agent")
    assert sealing.seal(folder).logs == 0  # it is young, and small
    jump(0)
    assert sealing.seal(folder).logs == 1
    with colonnade.open(tmp_path / "agent") as store:
        assert name(store) == "0"


def test_a_span_that_runs_while_the_clock_jumps_is_there_once(tmp_path: Path, jump: Jump) -> None:
    began = datetime.now(UTC).isoformat()
    running = {**SPAN, "startedAt": began, "endedAt": None}
    with colonnade.open(tmp_path / "agent") as store:
        for turn, offset in enumerate(JUMPS):
            jump(offset)
            store.observability.create_span(span={**running, "name": str(turn)})
            store.optimize()  # carried over, or sealed as it is, by what the clock says
            assert name(store) == str(turn)
        jump(-DAY)
        store.observability.update_span(trace_id="t", span_id="1", updates={"endedAt": began, "name": "ended"})
        for offset in JUMPS:
            jump(offset)
            store.optimize()
            assert name(store) == "ended"
    assert colonnade.fsck(tmp_path / "agent", full=True).clean


def test_a_clock_file_that_is_garbage_or_gone_is_no_obstacle(tmp_path: Path, jump: Jump) -> None:
    clock = tmp_path / "agent" / "clock"
    with colonnade.open(tmp_path / "agent") as store:
        put(store, "0")
    for turn, text in enumerate((b"", b"\xff" * 8, b"abc", None)):
        if text is None:
            clock.unlink()
        else:
            clock.write_bytes(text)
        with colonnade.open(tmp_path / "agent") as store:
            put(store, str(turn))
            assert name(store) == str(turn)
