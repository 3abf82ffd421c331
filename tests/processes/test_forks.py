"""A store that is open when its process forks: in child and parent it goes on as if each had opened it."""

from collections.abc import Callable
from pathlib import Path

import pytest

CASES = {
    "uses": "child and parent write and read, and see each other",
    "untouched": "children that do not use it, or close it, end in peace",
    "generations": "children of children",
    "first_used_in_children": "opened before, first used after",
    "sealing": "all of them seal and merge at once",
    "orphans": "the parent is killed with the lease, a log and a child",
    "busy": "other threads are in the middle of everything",
}


@pytest.mark.parametrize("case", CASES, ids=CASES.values())
def test_fork(case: str, run: Callable[..., str], tmp_path: Path) -> None:
    # A child leaves what its parent was using at that moment as it is, which DuckDB's binding remarks at its end.
    run("forks", case, tmp_path / "agent", noisy=case == "busy")
