"""Process pools: the store opened before the workers are forked, or in each of them."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("pool", "method"), [("executor", "fork"), ("executor", "spawn"), ("pool", "fork"), ("pool", "forkserver")]
)
def test_workers_write_and_read(pool: str, method: str, run: Callable[..., str], tmp_path: Path) -> None:
    run("pools", pool, method, tmp_path / "agent")
