"""The servers of these tests: the TDS double, which is no SQL Server, and the real one that MSSQL_DSN names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.mssql import DSN, WHY_SKIPPED, Real


@pytest.fixture(scope="session", params=["tds_double", "real"])
def server(request: pytest.FixtureRequest) -> Any:
    """Each test on the double, and again on a real server if there is one."""
    if request.param == "tds_double":
        return request.getfixturevalue("tds_double")
    if DSN is None:
        pytest.skip(WHY_SKIPPED)
    return Real(DSN)
