"""Where a test finds an empty store of each kind: in a folder of its own, or on a server under a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

LOCAL = ("memory", "duckdb", "embedded", "file", "lance")
SERVED = ("clickhouse", "d1", "postgres", "upstash", "mongodb")
"""A libSQL server has one database for all tests; it is asked in the same words as a file of libSQL."""


def address_of(store: str, name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The address; a server is started, if it does not run yet."""
    if store in SERVED:
        server = request.getfixturevalue({"d1": "workerd"}.get(store, store))
        return str(server.address(f"{name}_" if store == "d1" else name))
    return {
        "memory": ":memory:",
        "duckdb": str(folder / "store.duckdb"),
        "embedded": str(folder / "agent"),
        "file": f"file:{folder / 'storage.db'}",
        "lance": f"lancedb:///{folder / 'lance'}",
    }[store]
