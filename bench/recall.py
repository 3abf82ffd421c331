"""Recall@10: how many of the ten nearest vectors a store finds, against comparing all of them; and how long it takes.

Vectors lie in clusters, as those of texts do: among evenly spread ones everything is equally far, and no index works.
Lance is given twice as many as the others, so that there is something for its index to do (from 100,000 on).
Other stores are asked too where ``COLONNADE_BENCH_STORES`` names the addresses of empty ones, separated by blanks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pyarrow as pa

import colonnade
from bench import measure
from bench.findings import Finding, Run, at_least
from colonnade.engine.plan import TRUE, Nearest, OneOf, Put
from colonnade.schemas import VECTORS
from colonnade.schemas.kinds import VECTOR

DIMENSIONS: Final = 384
CLUSTERS: Final = 200
THREADS: Final = 50
WITHIN: Final = {"all vectors": THREADS, "most threads": THREADS * 4 // 5, "one thread": 1}
"""Where neighbours are looked for: the threads whose vectors count."""
K: Final = 10
ASKED: Final = 50
_BATCH: Final = 5_000


def main(run: Run) -> None:
    """Fill each store, ask it for neighbours of all vectors, and of those of one thread."""
    rows = min(100_000, run.rows // 10)
    place = run.scratch("recall")
    place.mkdir()
    stores = {"folder": str(place / "agent"), "DuckDB file": str(place / "agent.db")}
    stores |= {address.split(":")[0]: address for address in os.environ.get("COLONNADE_BENCH_STORES", "").split()}
    if find_spec("lance"):
        stores["Lance"] = f"lancedb:///{place / 'agent.lance'}"
    for name, address in stores.items():
        many = 2 * rows if name == "Lance" else rows
        with run.doing(f"looking for neighbours among {many:,} vectors in {name}"):
            took = measure.in_fresh(ask, address=address, rows=many, times=min(ASKED, run.times))
        for what in WITHIN:
            recall, milliseconds = took[what]["recall"], took[what]["p50"]
            detail = {"rows": many, "dimensions": DIMENSIONS, **took[what]}
            run.found(
                Finding("recall", f"recall@{K}, {what}, {name}", recall, "", 1.0, "exact", at_least(0.95), detail)
            )
            run.found(Finding("recall", f"nearest {K}, {what}, {name}", milliseconds, "ms"))
    run.scratch("recall")


def ask(address: str, rows: int, times: int) -> dict[str, Any]:
    """Fill a store and compare its answers with the exact ones. Runs in a process of its own."""
    made = np.concatenate([numbers for numbers, _ in _vectors(rows)])
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    chance = np.random.default_rng(7)
    near = made[chance.integers(0, rows, times)]
    questions = (near + chance.normal(0, 0.3, near.shape)).astype(np.float32)
    answers: dict[str, Any] = {}
    with colonnade.open(address) as store:
        for _, data in _vectors(rows):
            store.execute(Put(VECTORS, data))
        store.optimize()
        for what, threads in WITHIN.items():
            found, took = 0, []
            for place, question in enumerate(questions):
                some = [(place + each) % THREADS for each in range(threads)]
                mine = np.flatnonzero(np.isin(np.arange(rows) % THREADS, some))
                best = mine[np.argsort(-(unit[mine] @ question), kind="stable")[:K]]
                where = TRUE if threads == THREADS else OneOf("thread_id", tuple(f"t{each}" for each in some))
                plan = Nearest(VECTORS, "embedding", tuple(map(float, question)), K, where, ("id",))
                begun = time.perf_counter()
                ids = store.execute(plan).column("id").to_pylist()
                took.append(1000 * (time.perf_counter() - begun))
                found += len({f"m{each:07}" for each in best} & set(ids))
            answers[what] = {"recall": found / (min(K, len(mine)) * times), "p50": measure.median(took)}
    return answers


def _vectors(rows: int) -> Iterator[tuple[np.ndarray[Any, Any], pa.Table]]:
    """The same vectors each time, as numbers and as rows."""
    chance = np.random.default_rng(0)
    centres = chance.normal(0, 1, (CLUSTERS, DIMENSIONS))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for start in range(0, rows, _BATCH):
        count = min(_BATCH, rows - start)
        spread = chance.normal(0, 0.5, (count, DIMENSIONS))
        numbers = (centres[chance.integers(0, CLUSTERS, count)] + spread).astype(np.float32)
        ids = [f"m{place:07}" for place in range(start, start + count)]
        ends = pa.array(range(0, count * DIMENSIONS + 1, DIMENSIONS), pa.int32())
        columns: dict[str, Any] = {
            "id": ids,
            "message_id": ids,
            "thread_id": [f"t{place % THREADS}" for place in range(start, start + count)],
            "resourceId": ["ada"] * count,
            "piece": pa.array([0] * count, pa.int32()),
            "model": [""] * count,
            "createdAt": pa.array([now] * count, pa.timestamp("us", "UTC")),
            "embedding": pa.ListArray.from_arrays(ends, pa.array(numbers.ravel()), VECTOR.arrow),
        }
        yield numbers, pa.table(columns).cast(VECTORS.schema)
