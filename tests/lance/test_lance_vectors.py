"""Vectors on Lance: companions only propose, and what they have not heard of is compared."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance
import pytest

import colonnade
from colonnade.engine.plan import TRUE, Delete, Filter, Is, Nearest, OneOf, Put, Scan
from colonnade.engine.stores.lance import vectors
from colonnade.engine.stores.lance.tables import companions
from colonnade.schemas import VECTORS
from colonnade.schemas.records import encode

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def rows(numbers: range, *, size: int = 8, seed: int = 0) -> list[dict[str, Any]]:
    chance = random.Random(f"{seed} {size} {numbers}")
    return [
        {
            "id": f"m{size}-{number:04}",
            "messageId": f"m{number}",
            "threadId": f"t{number % 3}",
            "resourceId": "ada",
            "piece": 0,
            "model": "",
            "createdAt": NOW,
            "embedding": [chance.gauss(0, 1) for _ in range(size)],
        }
        for number in numbers
    ]


def put(store: Any, records: list[dict[str, Any]]) -> None:
    store.execute(Put(VECTORS, encode(VECTORS, records)))


def near(vector: list[float], where: Filter = TRUE, k: int = 5) -> Nearest:
    return Nearest(VECTORS, "embedding", tuple(vector), k, where, ("id", "thread_id"))


def compared(store: Any, plan: Nearest) -> list[dict[str, Any]]:
    """What is found, which must be what comparing all of them finds."""
    with colonnade.open(":memory:") as plain:
        plain.execute(Put(VECTORS, store.execute(Scan(VECTORS))))
        expected = plain.execute(plan).to_pylist()
    found: list[dict[str, Any]] = store.execute(plan).to_pylist()
    assert found == expected
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that a companion is asked: whether it answers."""
    monkeypatch.setattr(vectors, "FEW", 100)
    answered: list[bool] = []
    native = vectors._proposed

    def spied(*given: Any) -> Any:
        found = native(*given)
        answered.append(found is not None)
        return found

    monkeypatch.setattr(vectors, "_proposed", spied)
    return answered


def opened(folder: Path) -> Any:
    return colonnade.open(f"lancedb:///{folder / 'agent'}")


def table(store: Any) -> lance.LanceDataset:
    found: lance.LanceDataset = store.stores[0]._datasets.latest(VECTORS)
    return found


def test_many_vectors_are_looked_up_in_a_companion(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(300))
    with opened(tmp_path) as store:
        put(store, first + rows(range(40), size=3))
        compared(store, near(first[7]["embedding"]))
        assert asked == []
        store.optimize()
        assert companions(table(store)) == (8,)
        assert compared(store, near(first[7]["embedding"]))[0]["id"] == "m8-0007"
        assert compared(store, near(first[7]["embedding"], Is("thread_id", "!=", "t0")))[0]["id"] == "m8-0007"
        assert asked == [True, True]
        compared(store, near([1.0, 0.0, 0.0]))
        compared(store, near(first[7]["embedding"], OneOf("id", tuple(each["id"] for each in first[:50]))))
        compared(store, near(first[7]["embedding"], k=400))
        assert asked == [True, True, False]


def test_vectors_of_zeros_are_at_right_angles(tmp_path: Path, asked: list[bool]) -> None:
    with opened(tmp_path) as store:
        put(store, [each | {"embedding": [0.0] * 8} for each in rows(range(150))])
        store.optimize()
        assert companions(table(store)) == (8,)
        compared(store, near([1.0] + [0.0] * 7))
        put(store, [each | {"embedding": [-1.0, *each["embedding"][1:]]} for each in rows(range(150, 300))])
        store.optimize()
        assert compared(store, near([1.0] + [0.0] * 7))[0]["id"] == "m8-0000"
        assert asked == [False, False]


@pytest.mark.parametrize("length", [1e-30, 1e30])
def test_only_the_direction_of_a_vector_counts(tmp_path: Path, asked: list[bool], length: float) -> None:
    first = [each | {"embedding": [length * number for number in each["embedding"]]} for each in rows(range(300))]
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        assert compared(store, near(first[7]["embedding"]))[0]["id"] == "m8-0007"
        assert asked == [True]


def test_what_changes_is_seen_at_once(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(300))
    vector = first[7]["embedding"]
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        put(store, [first[7] | {"embedding": [-each for each in vector]}, *rows(range(300, 320))])
        put(store, [first[9] | {"id": "new", "embedding": vector}, first[8] | {"embedding": [1.0]}])
        store.execute(Delete(VECTORS, OneOf("id", ("m8-0005", "m8-0006"))))
        found = compared(store, near(vector, k=20))
        assert found[0]["id"] == "new"
        assert compared(store, near(first[5]["embedding"]))[0]["id"] != "m8-0005"
        store.optimize()
        assert compared(store, near(vector, k=20)) == found
        assert asked == [True] * 3
        companion = lance.dataset(tmp_path / "agent" / "memory_messages.8.lance")
        left = set(companion.to_table(columns=["id"]).column("id").to_pylist())
        assert {"new", "m8-0300"} <= left
        assert not left & {"m8-0005", "m8-0006"}


def test_a_companion_that_has_heard_of_too_little_is_not_asked(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(150))
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        put(store, rows(range(150, 300)))
        compared(store, near(first[7]["embedding"]))
        assert asked == [False]


def test_companions_go_with_their_table(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(300))
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        (inner,) = store.stores
        assert (tmp_path / "agent" / "memory_messages.8.lance").exists()
        inner.tables.drop(VECTORS)
        assert not (tmp_path / "agent" / "memory_messages.8.lance").exists()
        inner.tables.create(VECTORS)
        put(store, rows(range(200), seed=1))
        compared(store, near(first[7]["embedding"]))
        assert asked == []


def test_most_gone_makes_it_anew(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(600))
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        store.execute(Delete(VECTORS, OneOf("id", tuple(each["id"] for each in first[:400]))))
        compared(store, near(first[500]["embedding"]))
        store.optimize()
        assert lance.dataset(tmp_path / "agent" / "memory_messages.8.lance").count_rows() == 200
        compared(store, near(first[500]["embedding"]))
        assert asked == [True, True]


def test_a_companion_that_was_removed_by_hand_is_done_without(tmp_path: Path, asked: list[bool]) -> None:
    first = rows(range(300))
    with opened(tmp_path) as store:
        put(store, first)
        store.optimize()
        lance.LanceDataset.drop(str(tmp_path / "agent" / "memory_messages.8.lance"))
    with opened(tmp_path) as store:
        compared(store, near(first[7]["embedding"]))
        assert asked == []
        store.optimize()
        compared(store, near(first[7]["embedding"]))
        assert asked == [True]
