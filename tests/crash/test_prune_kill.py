"""A prune that is cut off before each of its changes leaves all, or all but what is out of date, and no files."""

import subprocess
import sys
from pathlib import Path


def test_wherever_it_is_cut_off_the_store_is_whole_and_can_be_pruned(tmp_path: Path) -> None:
    script = Path(__file__).parent / "prune_steps.py"
    ran = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
    assert int(ran.stdout) > 10
