"""Writers, readers and SQL, any of them killed at any moment: every read is a consistent picture."""

import os
import random
import subprocess
import sys
from pathlib import Path

SECONDS = os.environ.get("COLONNADE_SOAK", "20")
ROOT = Path(__file__).parents[2]


def test_every_read_is_a_consistent_picture_and_the_counts_match_at_the_end(tmp_path: Path) -> None:
    seed = str(random.SystemRandom().randrange(10**6))
    command = [sys.executable, "-m", "tests.crash.soak", str(tmp_path), SECONDS, seed]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
