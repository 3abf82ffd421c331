"""How processes begin, end and stand still: others go on, and nothing that was acknowledged is lost."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.embedded.folder import Folder
from colonnade.errors import Conflict, StoreLocked
from colonnade.testing.processes import SEAL_OFTEN, Constants, Elsewhere

WHEN = "2026-01-01T00:00:00Z"
SHORT: Constants = {
    "colonnade.engine.stores.embedded.locks": {"PATIENCE": 1.0},
    "colonnade.engine.stores.sqlite": {"_BUSY": 1000},
    "colonnade.engine.execution": {"PATIENCE": 1.0},
}
"""Less patience with a process that stands still than the engine has."""
Opened = Callable[..., list[Elsewhere]]


def span(trace: str) -> dict[str, Any]:
    return {"traceId": trace, "spanId": "s", "name": "n", "startedAt": WHEN, "endedAt": WHEN}


def creates(name: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Calls that create spans, each a trace of its own."""
    return [("observability.create_span", {"span": span(f"{name}-{number}")}) for number in range(count)]


def traces(store: Any) -> int:
    """How many traces there are."""
    return int(store.observability.list_traces()["pagination"]["total"])


def sealed_by(process: Elsewhere) -> int:
    """How many rows a process seals, if it may."""
    (said,) = process.optimize()
    _, rows, _ = re.findall(r"\d[\d,]*", said)
    return int(rows)


WAYS = {"last line": 0, "sys.exit": 0, "os._exit": 0, "exception": 1, "daemon threads": 0}


@pytest.mark.parametrize("way", WAYS)
def test_a_process_ends_without_closing_while_it_seals(way: str, tmp_path: Path) -> None:
    written = 0
    program = Path(__file__).parent / "exits.py"
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, program, way, tmp_path / "agent"], capture_output=True, text=True, check=False, timeout=120
        )
        assert ended.returncode == WAYS[way], f"exit code {ended.returncode}\n{ended.stderr}"
        said = ended.stderr.strip().splitlines()
        assert said[-1:] == (["RuntimeError: a mistake"] if way == "exception" else []), ended.stderr
        written += int(ended.stdout)
    with colonnade.open(tmp_path / "agent") as store:
        extra = store.sql("SELECT count(*) AS n FROM spans WHERE \"traceId\" LIKE 'extra-%'").rows()[0]["n"]
        assert traces(store) == written + extra


def test_a_process_opens_and_closes_while_others_write(opened: Opened, tmp_path: Path) -> None:
    writers = opened(3, seal_often=True)
    for number, writer in enumerate(writers):
        writer.begin("calls", creates(f"{number}", 80))
    seen: list[int] = []
    while not all(writer.has_answered(0) for writer in writers) or len(seen) < 10:
        with colonnade.open(tmp_path / "agent") as store:
            store.observability.create_span(span=span(f"visit-{len(seen)}"))
            seen.append(traces(store))
    for writer in writers:
        writer.answer()
    assert seen == sorted(seen)
    with colonnade.open(tmp_path / "agent") as store:
        assert traces(store) == 3 * 80 + len(seen)


def test_a_lease_whose_holder_was_killed_is_taken_over(opened: Opened, tmp_path: Path) -> None:
    first, second = opened(2)
    first.observability.create_span(span=span("first"))
    assert sealed_by(first) == 1
    second.observability.create_span(span=span("second"))
    assert sealed_by(second) == 0, "the first still has the lease"

    first.kill()
    assert sealed_by(second) == 1
    assert traces(second) == 2


def test_sealing_goes_on_by_itself_in_another_process(opened: Opened, tmp_path: Path) -> None:
    first, second = opened(2, seal_often=True)
    first.observability.create_span(span=span("first"))
    first.optimize()
    first.kill()
    before = Folder(tmp_path / "agent").manifest().generation

    for calls in range(1000):
        second.begin("calls", creates(f"{calls}", 20))
        second.answer()
        if Folder(tmp_path / "agent").manifest().generation > before:
            break
    else:
        raise AssertionError("nobody seals")
    assert traces(second) == 1 + 20 * (calls + 1)


@contextmanager
def stopped(lock: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that stands still while it holds a lock; it goes on when the context ends, and must end well."""
    program = Path(__file__).parent / "stopped.py"
    process = subprocess.Popen([sys.executable, program, lock, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Elsewhere]:
    """A process with not much patience, for a store that has a span and a thread."""
    with colonnade.open(tmp_path / "agent") as store:
        store.observability.create_span(span=span("known"))
        store.memory.save_thread(thread={"id": "known", "resourceId": "r"})
    with Elsewhere(constants={**SEAL_OFTEN, **SHORT}) as process:
        yield process


def update(process: Elsewhere, name: str) -> None:
    process.observability.update_span(trace_id="known", span_id="s", updates={"name": name})


def reads(process: Elsewhere) -> None:
    """All ways of reading, none of which waits for anybody."""
    assert traces(process) >= 1
    assert process.sql("SELECT count(*) AS n FROM spans")[0]["n"] >= 1
    assert process.observability.get_span(trace_id="known", span_id="s")
    assert process.memory.get_thread_by_id(thread_id="known")


def test_while_who_has_the_lease_stands_still_others_read_and_write(other: Elsewhere, tmp_path: Path) -> None:
    with stopped("lease", tmp_path / "agent"):
        other.open(str(tmp_path / "agent"))
        reads(other)
        other.observability.create_span(span=span("new"))
        update(other, "updated")
        other.observability.batch_delete_traces(trace_ids=["new"])
        other.memory.update_thread(id="known", title="new")
        assert sealed_by(other) == 0
        reads(other)


def test_while_a_writer_stands_still_others_read_and_write_but_update_nothing(other: Elsewhere, tmp_path: Path) -> None:
    other.open(str(tmp_path / "agent"))
    with stopped("shared", tmp_path / "agent") as process:
        reads(other)
        other.observability.create_span(span=span("new"))
        other.memory.update_thread(id="known", title="new")
        with pytest.raises(StoreLocked, match=f"process {process.pid}"):
            update(other, "updated")
        other.observability.create_span(span=span("newer"))
        reads(other)
    update(other, "updated")
    assert traces(other) == 3


def test_while_an_updater_stands_still_others_read_and_keep_state(other: Elsewhere, tmp_path: Path) -> None:
    other.open(str(tmp_path / "agent"))
    with stopped("alone", tmp_path / "agent") as process:
        reads(other)
        other.memory.update_thread(id="known", title="new")
        with pytest.raises(StoreLocked, match=f"process {process.pid}"):
            other.observability.create_span(span=span("new"))
        with pytest.raises(StoreLocked, match=f"process {process.pid}"):
            update(other, "updated")
        reads(other)
    other.observability.create_span(span=span("new"))
    update(other, "updated")
    assert traces(other) == 2


def test_while_a_transaction_of_state_stands_still_others_read_and_write_spans(
    other: Elsewhere, tmp_path: Path
) -> None:
    other.open(str(tmp_path / "agent"))
    with stopped("state", tmp_path / "agent"):
        reads(other)
        other.observability.create_span(span=span("new"))
        update(other, "updated")
        with pytest.raises((StoreLocked, Conflict)):
            other.memory.update_thread(id="known", title="new")
        reads(other)
    other.memory.update_thread(id="known", title="new")


def test_a_process_that_is_stopped_at_any_moment_goes_on_as_if_nothing_had_been(
    other: Elsewhere, opened: Opened, tmp_path: Path
) -> None:
    (writer,) = opened(1, seal_often=True)
    other.open(str(tmp_path / "agent"))
    for turn in range(3):
        calls: list[tuple[str, dict[str, Any]]] = []
        for name, call in enumerate(creates(f"{turn}", 25)):
            updates = {"trace_id": f"{turn}-{name}", "span_id": "s", "updates": {"name": "updated"}}
            calls += [call, ("observability.update_span", updates)]
        writer.begin("calls", calls)
        time.sleep(0.05 * turn)
        writer.send_signal(signal.SIGSTOP)
        reads(other)
        try:
            other.observability.create_span(span=span(f"meanwhile-{turn}"))
        except StoreLocked:
            pass
        finally:
            writer.send_signal(signal.SIGCONT)
        writer.answer()
    rows = other.sql("SELECT name, count(*) AS n FROM spans WHERE \"traceId\" LIKE '%-%' GROUP BY 1")
    assert {row["name"]: row["n"] for row in rows}["updated"] == 3 * 25
