"""A DuckDB file: what DuckDB itself would get wrong."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import Is, Patch, Put, Scan
from colonnade.schemas import SCORES, THREADS
from colonnade.testing.strategies import crowd


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_patch_may_change_the_sign_of_a_zero_alone(tmp_path: Path, zero: float) -> None:
    rows = crowd(SCORES, 1).slice(0, 1)
    at = rows.schema.get_field_index("score")
    rows = rows.set_column(at, rows.schema.field(at), pa.array([-zero]))
    with colonnade.open(tmp_path / "store.duckdb") as store:
        store.execute(Put(SCORES, rows))
        assert store.execute(Patch(SCORES, Is("score", "=", 0.0), {"score": zero})) == 1
        (found,) = store.execute(Scan(SCORES, columns=("score",))).column("score").to_pylist()
    assert math.copysign(1, found) == math.copysign(1, zero)


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
