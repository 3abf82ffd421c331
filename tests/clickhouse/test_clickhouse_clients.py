"""Four clients on one ClickHouse, which is killed in the middle: what was acknowledged is there, and once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import Is, OneOf, Patch, Put, Scan, asc
from colonnade.engine.stores.clickhouse.store import ClickHouseStore
from colonnade.errors import Conflict
from colonnade.schemas import RESOURCES, SPANS
from tests.clickhouse.client import SHARED, TURNS
from tests.servers.clickhouse import Server, served

CLIENTS = 4
SECONDS = float(os.environ.get("COLONNADE_CLICKHOUSE_SECONDS", "12"))
"""For how long each client writes; a quarter of it after the last of them has begun, the server is killed."""
CLIENT = Path(__file__).parent / "client.py"


def test_four_clients_lose_nothing_and_double_nothing_while_the_server_is_killed(
    tmp_path: Path, clickhouse: Server
) -> None:
    with served(tmp_path / "killed") as (server,):
        address = server.address("many")
        colonnade.open(address).close()
        books = [tmp_path / f"{name}.jsonl" for name in "abcd"]
        clients = [
            subprocess.Popen([sys.executable, str(CLIENT), address, book.stem, str(SECONDS), str(book)])
            for book in books
        ]
        try:
            while not all(book.exists() and book.stat().st_size for book in books):
                assert [client.poll() for client in clients] == [None] * CLIENTS
                time.sleep(0.05)
            time.sleep(SECONDS / 4)
            server.kill()
            server.start()
            server.wait()
            assert [client.wait(SECONDS + 120) for client in clients] == [0] * CLIENTS
        finally:
            for client in clients:
                client.kill()
                client.wait()
        told = [json.loads(line) for book in books for line in book.read_text().splitlines()]
        assert min(Counter(Path(mine).name.partition("-")[0] for _, mine, _ in told).values()) >= 3 * TURNS
        with colonnade.open(address) as store:
            found = store.execute(Scan(SPANS, order=(asc("traceId"),), columns=("traceId",))).column(0).to_pylist()
            assert len(found) == len(set(found)), "a span is there twice"
            wanted = {mine for kind, mine, _ in told if kind == "span"}
            wanted |= {shared for kind, _, shared in told if kind == "shared span"}
            assert wanted <= set(found)
            acknowledged = ", ".join(
                f"{times:,} of {kind}" for kind, times in Counter(kind for kind, _, _ in told).items()
            )
            sys.stdout.write(
                f"\n{SECONDS:.0f} s: {len(told):,} writes acknowledged ({acknowledged}), {len(found):,} spans there\n"
            )
            for place in range(SHARED):
                resource = store.memory.get_resource_by_id(resource_id=f"shared-{place}")
                names = {mine for kind, mine, shared in told if kind == "metadata" and shared == f"shared-{place}"}
                assert resource is not None or not names
                assert resource is None or names <= set(resource["metadata"])


@pytest.mark.parametrize("colour", ["same key", "keys that meet"])
def test_of_guarded_puts_that_expect_the_same_exactly_one_wins(clickhouse: Server, colour: str) -> None:
    address = clickhouse.address(f"guarded_{colour.replace(' ', '_')}")
    stores = [colonnade.open(address) for _ in range(CLIENTS)]
    try:
        for turn in range(6):
            keys = [f"{turn}-a", f"{turn}-b"]
            for key in keys:
                stores[0].memory.update_resource(resource_id=key, working_memory="first")
            read = stores[0].execute(Scan(RESOURCES, OneOf("id", tuple(keys)), (asc("id"),)))

            def put(place: int, read: pa.Table = read) -> bool:
                mine = read if colour == "keys that meet" else read.slice(0, 1)
                if colour == "keys that meet" and place % 2:
                    mine = mine.take([1, 0])
                at = mine.schema.get_field_index("workingMemory")
                changed = mine.set_column(at, mine.schema.field(at), pa.array([f"by {place}"] * mine.num_rows))
                store = stores[place].stores[0]
                assert isinstance(store, ClickHouseStore)
                try:
                    # Not through the storage, which would try again.
                    store.execute(Put(RESOURCES, changed, expect=mine))
                except Conflict:
                    return False
                return True

            with ThreadPoolExecutor(CLIENTS) as threads:
                won = list(threads.map(put, range(CLIENTS)))
            assert sum(won) == 1
            found = stores[0].execute(Scan(RESOURCES, Is("id", "=", keys[0])))
            assert found.column("workingMemory").to_pylist() == [f"by {won.index(True)}"]
    finally:
        for store in stores:
            store.close()


def test_patches_of_several_clients_and_of_several_columns_all_hold(clickhouse: Server) -> None:
    address = clickhouse.address("patched")
    columns = ["provider", "model", "environment", "source"]
    with colonnade.open(address) as first:
        first.observability.create_span(
            span={
                "traceId": "t", "spanId": "s", "name": "n", "spanType": "generic", "isEvent": False,
                "startedAt": "2026-01-31T12:00:00Z",
            }
        )  # fmt: skip

        def patch(column: str) -> None:
            with colonnade.open(address) as store:
                for turn in range(5):
                    assert store.execute(Patch(SPANS, Is("traceId", "=", "t"), {column: f"{column} {turn}"})) == 1

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(patch, columns))
        found = first.execute(Scan(SPANS, columns=tuple(columns))).to_pylist()
        assert found == [{column: f"{column} 4" for column in columns}]
