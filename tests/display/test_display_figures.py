"""Aggregates as tables for the terminal, at 80 columns and at more; and the pager."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import colonnade
from colonnade.display import paging
from colonnade.display.figures import figures_table
from colonnade.display.terminal import plain

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
IDS = [f"{number:08x}{'0' * 24}" for number in (1, 2)]


def test_every_column_has_its_unit() -> None:
    rows = pa.table(
        {"name": ["a"], "errors": [2], "rate": [0.125], "p95Ms": [1500.0], "cost": [0.5], "lastTraceId": ["t"]}
    )
    heading, _, row = plain(figures_table(rows, nothing="-"), 80).splitlines()
    assert heading.split() == ["name", "failed", "rate", "p95", "cost", "in", "trace"]
    assert row.split() == ["a", "2", "12.5", "%", "1.50", "s", "$0.50", "t"]


def test_what_is_missing_is_a_dash_and_what_runs_is_said_where_it_does() -> None:
    rows = pa.table(
        {
            "startedAt": [NOON],
            "running": [0],
            "p50Ms": pa.array([None], pa.float64()),
            "rate": pa.array([None], pa.float64()),
        }
    )
    text = plain(figures_table(rows, nothing="-"), 80)
    assert "running" not in text
    assert text.splitlines()[-1].split() == ["2026-01-31", "12:00", "–", "–"]  # noqa: RUF001
    assert "running" in plain(figures_table(rows.set_column(1, "running", [[3]]), nothing="-"), 80)


def test_identifiers_are_cut_where_there_is_no_room_for_them() -> None:
    rows = pa.table({"traceId": IDS, "name": ["n" * 20] * 2, "startedAt": [NOON] * 2, "durationMs": [1.0] * 2})
    assert IDS[0] in plain(figures_table(rows, nothing="-"), 100)
    narrow = plain(figures_table(rows, nothing="-"), 80)
    assert IDS[0] not in narrow
    assert IDS[0][:8] in narrow
    assert all(len(line) <= 80 for line in narrow.splitlines())


def test_nothing_and_more_than_is_shown_are_said() -> None:
    rows = pa.table({"name": ["a", "b"]})
    assert plain(figures_table(rows.slice(0, 0), nothing="No tool was called."), 80) == "No tool was called."
    assert plain(figures_table(rows, nothing="-", most=1), 80).splitlines()[-1] == "the first 1 of 2 rows"


def test_markup_and_escape_sequences_are_text() -> None:
    text = plain(figures_table(pa.table({"name": ["[red]x[/red]\x1b[2J"]}), nothing="-"), 80)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


# --- the pager ---


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paged") / "agent.db"
    with colonnade.open(path) as store:
        spans = [
            {"traceId": f"t{n}", "spanId": "1", "name": "run", "startedAt": NOON, "endedAt": NOON} for n in range(40)
        ]
        store.observability.batch_create_spans(records=spans)
    return path


def in_terminal(*arguments: object, **environment: str) -> str:
    """What a command writes to a terminal of 24 lines and 80 columns."""
    ours, theirs = pty.openpty()
    known = {**os.environ, "TERM": "xterm-256color", "LINES": "24", "COLUMNS": "80", **environment}
    if "NO_COLOR" not in environment:
        known.pop("NO_COLOR", None)
    ran = subprocess.Popen(
        [sys.executable, "-m", "colonnade", *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=known
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert ran.wait() == 0, written
    return written.decode().replace("\r\n", "\n")


def paged(tmp_path: Path) -> tuple[str, Path]:
    into = tmp_path / "paged.txt"
    return f"cat > '{into}'", into


def test_what_is_longer_than_the_screen_goes_through_the_pager(agent: Path, tmp_path: Path) -> None:
    pager, into = paged(tmp_path)
    assert in_terminal("traces", agent, "--limit", 40, PAGER=pager) == ""
    text = into.read_text()
    assert text.count("run") == 40
    assert "\x1b[1m" in text  # with its colours


def test_what_fits_does_not_go_through_the_pager(agent: Path, tmp_path: Path) -> None:
    pager, into = paged(tmp_path)
    assert "run" in in_terminal("traces", agent, "--limit", 3, PAGER=pager)
    assert not into.exists()


def test_a_pager_may_be_refused_and_so_may_colours(agent: Path, tmp_path: Path) -> None:
    pager, into = paged(tmp_path)
    text = in_terminal("traces", agent, "--limit", 40, "--no-pager", PAGER=pager, NO_COLOR="1")
    assert text.count("run") == 40
    assert "\x1b[3" not in text
    assert not into.exists()


@pytest.mark.parametrize(("named", "found"), [("", None), ("cat", None), ("more", "more"), ("less -S", "less -S")])
def test_an_empty_pager_is_none(monkeypatch: pytest.MonkeyPatch, named: str, found: str | None) -> None:
    monkeypatch.setenv("PAGER", named)
    assert paging.pager() == found


def test_a_pager_that_leaves_early_is_no_error(agent: Path) -> None:
    assert "traces" in in_terminal("traces", agent, "--limit", 40, PAGER="head -n 1")
