"""Tables by hand: create with a schema, drop, clear, load by key, insert one and many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance
import pytest

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.plan import Contains, Measure, Nearest, Scan, Summarize
from colonnade.engine.stores.lance.store import LanceStore
from colonnade.errors import InvalidInput, InvalidRows, NotFound
from colonnade.schemas.kinds import FLOAT, JSON, TEXT, TIMESTAMP, VECTOR, field
from colonnade.schemas.table import Index, Table, table

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIELDS = [
    field("id", TEXT, "Which.", identifier=True),
    field("label", TEXT, "What people said.", nullable=True),
    field("weight", FLOAT, "How sure they were.", nullable=True),
    field("made", TIMESTAMP, "When.", api="madeAt"),
]


def labels(*more: Any) -> Table:
    return table(
        "labels",
        [*FIELDS, *more],
        domain="scores",
        record="Label",
        mastra="labels",
        description="Labels of ours.",
        key=["id"],
        indexes=[Index(("label",), "made")],
    )


LABELS = labels()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LanceStore]:
    with colonnade.open(f"lancedb:///{tmp_path / 'agent'}") as opened:
        (inner,) = opened.stores
        assert isinstance(inner, LanceStore)
        yield inner


def record(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "label": "good", "weight": 0.1234567890123, "madeAt": NOW, **more}


def test_a_table_of_your_own(store: LanceStore) -> None:
    store.tables.create(LABELS)
    store.tables.create(LABELS)
    store.tables.insert(LABELS, record("1"))
    assert store.tables.batch_insert(LABELS, [record("1", label="bad"), record("2")]) == 2
    assert store.tables.load(LABELS, {"id": "1"}) == record("1", label="bad")
    assert store.tables.load(LABELS, {"id": "3"}) is None
    assert store.tables.clear(LABELS) == 2
    assert store.tables.load(LABELS, {"id": "1"}) is None
    store.tables.drop(LABELS)
    store.tables.drop(LABELS)
    for use in (store.tables.clear, lambda table: store.tables.insert(table, record("1"))):
        with pytest.raises(NotFound, match="create it first"):
            use(LABELS)


def test_a_table_of_your_own_is_summed_up_and_compared(store: LanceStore) -> None:
    mine = labels(field("meaning", VECTOR, "Where it is.", nullable=True))
    store.tables.create(mine)
    store.tables.batch_insert(mine, [record("1", meaning=[1.0, 0.0]), record("2", meaning=[1.0, 1.0]), record("3")])
    storage = Storage(store)
    assert storage.execute(Summarize(mine, measures=(Measure("max", "weight"),))).to_pylist() == [
        {"max_weight": 0.1234567890123}
    ]
    near = storage.execute(Nearest(mine, "meaning", (0.0, 2.0), columns=("id",))).to_pylist()
    assert near == [{"id": "2", "similarity": 0.707106781}, {"id": "1", "similarity": 0.0}]
    assert storage.execute(Scan(mine, Contains("label", "GOO"), columns=("id",))).num_rows == 3


def test_a_table_that_gets_another_column(store: LanceStore) -> None:
    store.tables.create(LABELS)
    store.tables.insert(LABELS, record("1"))
    wider = labels(field("extra", JSON, "More.", nullable=True))
    store.tables.create(wider)
    store.tables.insert(wider, record("2", extra={"by": "ada"}))
    assert store.tables.load(wider, {"id": "1"}) == record("1", extra=None)
    assert store.tables.load(wider, {"id": "2"}) == record("2", extra={"by": "ada"})


def test_tables_of_the_domains(store: LanceStore) -> None:
    now = {"createdAt": NOW, "updatedAt": NOW}
    store.tables.insert("threads", {"id": "t1", "resourceId": "ada", "title": "Hello", "metadata": None, **now})
    found = store.tables.load("mastra_threads", {"id": "t1"})
    assert found is not None and found["title"] == "Hello"
    assert store.tables.load("workflows", {"workflowName": "w", "runId": "r"}) is None
    assert store.tables.clear("threads") == 1
    store.tables.drop("threads")
    store.init()
    assert store.tables.load("threads", {"id": "t1"}) is None


def test_all_or_none(store: LanceStore) -> None:
    store.tables.create(LABELS)
    with pytest.raises(InvalidRows):
        store.tables.batch_insert(LABELS, [record("1"), record("")])
    assert store.tables.load(LABELS, {"id": "1"}) is None


def test_what_cannot_be_is_said(store: LanceStore) -> None:
    with pytest.raises(InvalidInput, match="the key of workflows is workflowName, runId, not runId"):
        store.tables.load("workflows", {"runId": "r"})
    with pytest.raises(InvalidInput, match="reading of spans"):
        store.tables.clear("traces")
    taken = table("threads", FIELDS, domain="x", record="X", mastra="x", description="x", key=["id"])
    with pytest.raises(InvalidInput, match="give yours another name"):
        store.tables.create(taken)


def test_it_lies_where_lance_looks_for_it(store: LanceStore, tmp_path: Path) -> None:
    store.tables.create(LABELS)
    store.tables.insert(LABELS, record("1"))
    assert lance.dataset(tmp_path / "agent" / "labels.lance").count_rows() == 1
