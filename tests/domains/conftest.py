"""Stores that several threads and tasks write to at once."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.addresses import SERVED, address_of


@pytest.fixture(params=["memory", "duckdb", "file", *SERVED])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store, for one test."""
    monkeypatch.setattr("colonnade.engine.execution.PATIENCE", 300.0)  # where others take the machine, turns are slow
    return address_of(request.param, f"at_once_{uuid4().hex[:12]}", tmp_path, request)
