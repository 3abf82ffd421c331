"""Stores that several threads and tasks write to at once."""

from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture(params=["memory", "duckdb", "file", "clickhouse", "d1", "postgres", "upstash", "mongodb"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, for one test."""
    if request.param in ("memory", "duckdb", "file"):
        places = {"memory": ":memory:", "duckdb": f"{tmp_path}/store.duckdb", "file": f"file:{tmp_path}/storage.db"}
        return places[request.param]
    server = request.getfixturevalue({"d1": "workerd"}.get(request.param, request.param))
    name = f"at_once_{uuid4().hex[:12]}"
    return str(server.address(f"{name}_" if request.param == "d1" else name))
