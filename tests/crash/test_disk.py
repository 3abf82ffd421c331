"""A full disk, and a folder that may not be written."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_WRITE_AND_DIE = """
import os, signal, sys
import colonnade
store = colonnade.open(sys.argv[1])
store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "again"})
os.kill(os.getpid(), signal.SIGKILL)
"""


@cache
def mounts() -> bool:
    """Whether this machine lets us mount file systems of our own: in a namespace, so that nothing stays behind."""
    trial = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and not subprocess.run(trial, capture_output=True, check=False).returncode
    )


def run(script: str, folder: Path, *arguments: str, mount: str = "") -> list[str]:
    """Run a script on a folder, after something was mounted there; the lines that it prints."""
    command = [sys.executable, str(HERE / script), str(folder), *arguments]
    if mount:
        if not mounts():
            pytest.skip("no file system can be mounted here: unshare --user --map-root-user --mount")
        command = [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            f'{mount}; exec "$@"',
            "sh",
            *command,
        ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE, timeout=300)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
    return ran.stdout.split()


@pytest.mark.parametrize("kind", ["tmpfs", "limit"])
def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(tmp_path: Path, kind: str) -> None:
    mount = f"mount -t tmpfs -o size=12m none '{tmp_path}'" if kind == "tmpfs" else ""
    assert run("full_disk.py", tmp_path, kind, mount=mount) == ["writing", "sealing", "merging_segments", "opening"]


@pytest.fixture
def stores(whole: Path) -> Iterator[Path]:
    """A folder that anybody may read: a store that was closed, and one whose writer was killed."""
    place = Path(tempfile.mkdtemp())
    shutil.copytree(whole, place / "closed")
    shutil.copytree(whole, place / "killed")
    killed = subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(place / "killed")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (place / "killed" / "state.db-wal").exists()
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_a_folder_on_a_disk_that_is_mounted_to_be_read(stores: Path) -> None:
    mount = f"mount --bind '{stores}' '{stores}'; mount -o remount,ro,bind '{stores}'"
    assert run("read_only.py", stores, mount=mount) == ["closed", "killed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user(stores: Path) -> None:
    assert run("read_only.py", stores, "nobody") == ["closed", "killed"]
