"""A prune that is cut off before each of its changes, and one on a full disk: all is there, or all but what is old."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_wherever_it_is_cut_off_the_store_is_whole_and_can_be_pruned(tmp_path: Path) -> None:
    script = Path(__file__).parent / "prune_steps.py"
    ran = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
    assert int(ran.stdout) > 10


def test_on_a_disk_without_any_room_left_it_makes_some(tmp_path: Path) -> None:
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    if shutil.which("unshare") is None or subprocess.run([*mount, ":"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here: unshare --user --map-root-user --mount")
    small = f'mount -t tmpfs -o size=40m none "{tmp_path}"; exec "$@"'
    script = Path(__file__).parent / "prune_full_disk.py"
    command = [*mount, small, "sh", sys.executable, str(script), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=script.parent)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
