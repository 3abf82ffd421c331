"""Stores for the operations of domains that meet."""

from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture(params=["memory", "duckdb", "clickhouse", "postgres", "upstash"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store: with transactions, or one that compares and sets."""
    if request.param in ("clickhouse", "postgres", "upstash"):
        server = request.getfixturevalue(request.param)
        return str(server.address(f"at_once_{uuid4().hex}"))
    return ":memory:" if request.param == "memory" else str(tmp_path / "store.duckdb")
