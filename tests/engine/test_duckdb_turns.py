"""One DuckDB file that one process has opened twice: no index keeps its keys unique, turns do."""

from __future__ import annotations

import threading
from pathlib import Path

import colonnade
from colonnade.engine.plan import Put, Scan
from colonnade.schemas import THREADS
from colonnade.testing.strategies import crowd


def test_two_openings_of_a_file_write_the_same_keys_once(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    rows = [Put(THREADS, crowd(THREADS, seed)) for seed in range(8)]
    with colonnade.open(path) as one, colonnade.open(path) as other:
        at_once = threading.Barrier(4)

        def write(store: colonnade.Storage) -> None:
            at_once.wait()
            for put in rows:
                store.execute(put)

        threads = [threading.Thread(target=write, args=(store,)) for store in (one, other, one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = one.execute(Scan(THREADS, columns=("id",))).column("id").to_pylist()
    assert sorted(ids) == sorted({id for put in rows for id in put.data.column("id").to_pylist()})
