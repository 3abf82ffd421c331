"""kill -9 at random moments: what was acknowledged is there, once, and the store always opens."""

import os
import random
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("COLONNADE_KILLS", "40"))


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    nursery = Path(__file__).parent / "nursery.py"
    ran = subprocess.run(
        [sys.executable, nursery, tmp_path, str(KILLS), str(seed)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
