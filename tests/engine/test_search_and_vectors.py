"""What stores propose and the waist decides: indexes of words and of vectors that are only nearly right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from colonnade.engine import fold, neighbours, searching
from colonnade.engine.abilities import Abilities
from colonnade.engine.composite import Storage
from colonnade.engine.plan import TRUE, At, Contains, Filter, Is, Nearest, OneOf, Put, Scan, Search, each_leaf
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, Unsupported
from colonnade.schemas import MESSAGES, SPANS, VECTORS
from colonnade.testing import plans
from colonnade.testing.machine import STEPS, run_machine
from colonnade.testing.reference import Reference, plain
from colonnade.testing.strategies import crowd

ABLE = MemoryStore.abilities
FEW = settings(
    max_examples=600,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


class Indexed(MemoryStore):
    """An index of words that knows no cases of letters, and of vectors that it rounds."""

    abilities: ClassVar[Abilities] = replace(ABLE, search=True, json_has=False)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def search(self, plan: Search) -> pa.Table:
        self.asked.append(plan.limit)
        rows = super().scan(Scan(plan.table, plan.where, columns=searching.needed(plan)))
        return rows.slice(0, plan.limit)  # everything, in any order: what does not hold the words is left out above

    def nearest(self, plan: Nearest) -> pa.Table:
        self.asked.append(plan.k)
        rows = super().scan(Scan(plan.table, plan.where, columns=neighbours.needed(plan)))
        near = [
            sum(round(a * b, 2) for a, b in zip(each or (), plan.vector, strict=False))
            for each in rows.column(plan.column).to_pylist()
        ]
        order = sorted(range(len(near)), key=lambda place: -near[place])
        return rows.take(pa.array(order, pa.int64()))  # by the product and not by the angle


class Newest(MemoryStore):
    """An index of words that gives the newest rows, some too many, and cannot rank."""

    abilities: ClassVar[Abilities] = replace(ABLE, search=True)
    newest_first: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def search(self, plan: Search) -> pa.Table:
        self.asked.append(plan.limit)
        return super().scan(searching.newest(plan))


class Bare(MemoryStore):
    """Nothing natively: all rows are read at once."""

    abilities: ClassVar[Abilities] = Abilities(compare_and_set=True)

    def scan(self, plan: Scan) -> pa.Table:
        assert plan == Scan(plan.table, TRUE, columns=plan.columns)
        return super().scan(plan)


class Ordered(Bare):
    """Filters and orders, and no more: rows are read page by page."""

    abilities: ClassVar[Abilities] = Abilities(compare_and_set=True, filters=True, order=True)

    def scan(self, plan: Scan) -> pa.Table:
        return MemoryStore.scan(self, plan)


@given(seed=st.integers(0, 63), plan=plans.searches(SPANS) | plans.searches(MESSAGES))
def test_every_way_to_search_finds_the_same(seed: int, plan: Search) -> None:
    reference = Reference()
    put = Put(plan.table, crowd(plan.table, seed))
    reference.put(put)
    expected = [{name: value for name, value in row.items() if name != "score"} for row in reference.search(plan)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "PAGE", 2)
        patch.setattr(searching, "WINDOW", 2)
        patch.setattr(searching, "BYTES", 1)
        for store in (MemoryStore(), Indexed(), Newest(), Bare(), Ordered()):
            storage = Storage(store)
            storage.execute(put)
            found = storage.execute(plan).drop_columns(["score", "snippet"]).to_pylist()
            assert found == expected, type(store).__name__


@given(seed=st.integers(0, 63), plan=plans.neighbours(VECTORS))
def test_every_way_to_compare_vectors_finds_the_same(seed: int, plan: Nearest) -> None:
    reference = Reference()
    put = Put(VECTORS, crowd(VECTORS, seed))
    reference.put(put)
    expected = reference.nearest(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BYTES", 1)
        patch.setattr(neighbours, "LEAST", 2)
        for store in (MemoryStore(), Indexed(), Bare(), Ordered()):
            storage = Storage(store)
            storage.execute(put)
            assert plain(storage.execute(plan)) == expected, type(store).__name__


def test_an_index_is_asked_for_more_until_enough_rows_hold_the_words() -> None:
    store = Indexed()
    storage = Storage(store)
    texts = ["nothing"] * 500 + ["refund"] * 3
    whose = {"threadId": "t", "resourceId": "ada", "role": "user"}
    said = [{"id": f"m{n:03}", "content": text, **whose} for n, text in enumerate(texts)]
    storage.memory.save_messages(messages=said)
    found = storage.execute(Search(MESSAGES, ("refund",), ("content",), limit=2))
    assert found.column("id").to_pylist() == ["m502", "m501"]
    assert store.asked == [100, 400, 1600]


def test_of_very_many_rows_the_same_ones_are_ranked_on_every_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("DEPTH", 10), ("PAGE", 4), ("WINDOW", 3), ("BYTES", 1)):
        monkeypatch.setattr(searching, name, few)
    whose = {"threadId": "t", "resourceId": "ada", "role": "user"}
    # The older, the better: the tenth from the end is the best of those that are ranked.
    said = [{"id": f"m{n:02}", "content": "refund " * (40 - n), **whose} for n in range(30)]
    newest = Newest()
    for store in (newest, MemoryStore(), Bare(), Ordered()):
        storage = Storage(store)
        for n, message in enumerate(said):
            storage.memory.save_messages(messages=[{**message, "createdAt": f"2026-01-31T12:00:{n:02}Z"}])
        found = storage.execute(Search(MESSAGES, ("refund",), ("content",), limit=3))
        assert found.column("id").to_pylist() == ["m20", "m21", "m22"], type(store).__name__
    assert len(newest.asked) > 2


def test_an_index_is_not_asked_where_a_filter_is_left_to_fold() -> None:
    store = Indexed()
    storage = Storage(store)
    storage.execute(Put(SPANS, crowd(SPANS, 1)))
    where = Is(At("tags"), "has", "x")
    storage.execute(Search(SPANS, ("a",), ("input", "output"), where))
    assert store.asked == []


def test_similarity_is_the_cosine_to_nine_digits() -> None:
    vectors = pa.chunked_array([[[1.0, 1.0], None], [[2.0, 0.0], [0.0, 0.0], [1.0, 2.0, 3.0], [-3.0, 0.0]]])
    vectors = vectors.cast(VECTORS.schema.field("embedding").type)
    found = neighbours.similarities(vectors, (0.5, 0.0)).to_pylist()
    assert found == [round(math.sqrt(0.5), 9), None, 1.0, 0.0, None, -1.0]
    assert neighbours.similarities(vectors.slice(1, 1), (1.0,)).to_pylist() == [None]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Nearest(VECTORS, "id", (1.0,)), "no vector"),
        (Nearest(VECTORS, "nosuch", (1.0,)), "no column 'nosuch'"),
        (Nearest(VECTORS, "embedding", ()), "at least one dimension"),
        (Nearest(VECTORS, "embedding", (0.0, 0.0)), "zeros"),
        (Nearest(VECTORS, "embedding", (math.nan,)), "finite"),
        (Nearest(VECTORS, "embedding", (1e39,)), "out of range"),
        (Nearest(VECTORS, "embedding", ("x",)), "must be a number"),  # type: ignore[arg-type]
        (Nearest(VECTORS, "embedding", (1.0,), -1), "k must be"),
        (Nearest(VECTORS, "embedding", (1.0,), columns=("id", "id")), "only once"),
    ],
)
def test_what_cannot_be_near_is_refused(plan: Nearest, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Storage(MemoryStore()).execute(plan)


def test_a_store_that_promises_too_much_is_told_so() -> None:
    class Promises(Ordered):
        abilities: ClassVar[Abilities] = replace(ABLE, search=True)

    with pytest.raises(Unsupported, match="does not search"):
        Storage(Promises()).execute(Search(SPANS, ("a",), ("name",)))


class MissesCase(Indexed):
    """An index that misses words in capital letters."""

    def search(self, plan: Search) -> pa.Table:
        rows = super().search(plan)
        holds = [any(word in (text or "") for text in row for word in plan.words) for row in _texts(rows, plan)]
        return rows.filter(pa.array(holds, pa.bool_()))


def _texts(rows: pa.Table, plan: Search) -> Any:
    return zip(*(rows.column(name).to_pylist() for name in plan.columns), strict=True)


class FarthestFirst(Indexed):
    """The farthest instead of the nearest."""

    def nearest(self, plan: Nearest) -> pa.Table:
        return super().nearest(plan)[::-1].slice(0, 1)


class ContainsByCase(MemoryStore):
    """Texts within texts, letter for letter."""

    def scan(self, plan: Scan) -> pa.Table:
        found = super().scan(Scan(plan.table))

        def exactly(leaf: Filter) -> Filter:
            if not isinstance(leaf, Contains):
                return leaf
            texts = found.column(leaf.column).to_pylist()
            keys = found.column(plan.table.key[0]).to_pylist()
            return OneOf(plan.table.key[0], tuple(k for k, t in zip(keys, texts, strict=True) if t and leaf.text in t))

        return fold.scan(plan.but(where=each_leaf(plan.where, exactly)), found)


@pytest.mark.parametrize(
    ("broken", "table"), [(MissesCase, MESSAGES), (FarthestFirst, VECTORS), (ContainsByCase, MESSAGES)]
)
def test_the_machine_finds(broken: type[MemoryStore], table: Any) -> None:
    with pytest.raises(AssertionError):
        run_machine(Storage(broken()), tables=(table,), excused={"transactions"}, settings=FEW)
