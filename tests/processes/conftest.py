"""What tests of several processes share: processes that have a storage open, and programs that run by themselves."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from colonnade.testing.processes import SEAL_OFTEN, Elsewhere

PATIENCE = 120.0
"""Seconds after which a program counts as hanging. It is no measure of speed."""

Run = Callable[..., str]
Opened = Callable[..., list[Elsewhere]]


@pytest.fixture
def run() -> Run:
    """Run a program of this folder with arguments; gives what it printed. It must come to a good end.

    And it must do so in silence, unless it may be ``noisy``.
    """

    def run_program(name: str, *arguments: object, noisy: bool = False) -> str:
        program = Path(__file__).parent / f"{name}.py"
        quiet = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]  # of forks in a process with threads
        command = [sys.executable, *quiet, str(program), *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert ended.returncode == 0, f"exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"
        assert noisy or not ended.stderr, ended.stderr
        return ended.stdout

    return run_program


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Have some processes open one folder, ``agent``: ``first, second = opened(2)``."""
    all_of_them: list[Elsewhere] = []

    def open_in(count: int, folder: Path | None = tmp_path / "agent", *, seal_often: bool = False) -> list[Elsewhere]:
        constants = SEAL_OFTEN if seal_often else None
        more = [Elsewhere(None if folder is None else str(folder), constants=constants) for _ in range(count)]
        all_of_them.extend(more)
        return more

    yield open_in
    for each in all_of_them:
        each.close()


@pytest.fixture
def seal_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores of this process seal and merge all the time."""
    for module, values in SEAL_OFTEN.items():
        for name, value in values.items():
            monkeypatch.setattr(f"{module}.{name}", value)
