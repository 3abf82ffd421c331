"""kill -9 at random moments, and at every step: what was acknowledged is there, once, and the store always opens.

``COLONNADE_KILLS`` says how many are killed at random moments, in all.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.steps import SCENARIOS

KILLS = int(os.environ.get("COLONNADE_KILLS", "40"))
EVERY = max(1, 500 // KILLS)
"""Of the steps of what a process does it is ended at each so-manieth: at each one of them where many are killed."""
ROOT = Path(__file__).parent.parent.parent


def run(script: str, *arguments: object) -> None:
    """Run a script in an interpreter of its own, which forks and has no threads."""
    command = [sys.executable, "-m", f"tests.crash.{script}", *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("half", [0, 1])  # so that both cores have something to do
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path, half: int) -> None:
    run("nursery", tmp_path, (KILLS + half) // 2, random.SystemRandom().randrange(10**6))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_process_may_end_at_any_step_of_what_it_does(tmp_path: Path, scenario: str) -> None:
    run("steps", tmp_path, scenario, EVERY, random.SystemRandom().randrange(EVERY) + 1)
