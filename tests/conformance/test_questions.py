"""Every question on every store: in both colours, and on a folder where each write is sealed at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.plan import TRUE, Order, Put, Scan
from colonnade.engine.store import Store
from colonnade.engine.stores.memory import MemoryStore
from colonnade.schemas import SCORES, STORED, THREADS
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import clear
from colonnade.testing.questions import QUESTIONS, Question, ask, load

STORES = (
    "memory",
    "duckdb",
    "sqlite",
    "embedded",
    "sealed",
    "clickhouse",
    "lance",
    "libsql",
    "sqld",
    "d1",
    "postgres",
    "upstash",
    "mongodb",
    "mssql",
)


@pytest.fixture(scope="module", params=[f"{store}-{colour}" for store in STORES for colour in ("sync", "async")])
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Any]:
    """A storage that holds the data of the questions, which only read: one for all of them."""
    store, colour = request.param.split("-")
    folder = tmp_path_factory.mktemp(store)
    address = {
        "memory": ":memory:",
        "duckdb": f"duckdb:///{folder / 'store.duckdb'}",
        "sqlite": f"sqlite:///{folder / 'store.sqlite'}",
        "lance": f"lancedb:///{folder / 'agent'}",
        "libsql": f"file:{folder / 'storage.db'}",
    }.get(store, str(folder / "agent"))
    if store in ("clickhouse", "upstash"):
        address = request.getfixturevalue(store).address(f"questions_{colour}")
    if store == "sqld":
        address = request.getfixturevalue("sqld").address()
    if store == "d1":
        address = request.getfixturevalue("workerd").address(f"questions_{colour}_")
    if store in ("postgres", "mongodb", "mssql"):
        address = request.getfixturevalue(store).address(f"questions_{colour}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        storage = colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))
        if store == "sealed":
            shared = next(
                each for each in pytestconfig.pluginmanager.get_plugins() if hasattr(each, "seal_every_write")
            )
            shared.seal_every_write(storage.stores[0], monkeypatch)
        load(storage)
        if store == "sealed":
            assert list((folder / "agent" / "segments").iterdir()), "nothing was sealed"
        yield storage
        if store == "sqld":
            clear(storage, STORED)
        storage.close()


@pytest.mark.parametrize("question", QUESTIONS, ids=[question.caption for question in QUESTIONS])
def test_question(loaded: Any, question: Question) -> None:
    ask(loaded, question)


def test_no_two_questions_have_the_same_caption() -> None:
    assert [name for name, times in Counter(question.caption for question in QUESTIONS).items() if times > 1] == []


# Questions must be able to fail.


@pytest.fixture
def storage_in_memory() -> Iterator[Storage]:
    with colonnade.open(":memory:") as storage:
        load(storage)
        yield storage


def test_the_difference_is_shown_row_by_row(storage_in_memory: Storage) -> None:
    first_three = Scan(SCORES, TRUE, (Order("score"),), limit=3, columns=("id",))
    with pytest.raises(AssertionError) as failed:
        ask(storage_in_memory, Question("the least scores", first_three, ("s5", "s3", "s2")))
    caption, *lines = str(failed.value).splitlines()
    assert caption == "the least scores"
    assert lines[:-1] == ["--- expected", "+++ found", " 's5'", " 's3'", "-'s2'", "+'s1'"]
    assert lines[-1].startswith("asked of scores: Scan(")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id",), ("t02",)),
        (("id",), ("t01", "t01")),
        (("id",), ()),
        (("metadata",), ({"plan": "pro", "n": True},)),
        (("metadata",), ({"plan": "pro"},)),
        (("id", "resourceId"), (("t01", "bob"),)),
    ],
)
def test_another_answer_is_not_the_same(storage_in_memory: Storage, columns: Any, expected: Any) -> None:
    first = Scan(THREADS, TRUE, (Order("id"),), limit=1, columns=columns)
    with pytest.raises(AssertionError, match="the first thread"):
        ask(storage_in_memory, Question("the first thread", first, expected))


def test_order_counts_where_there_is_one_and_only_there(storage_in_memory: Storage) -> None:
    turned = ("s7", "s6", "s5", "s4", "s3", "s2", "s1")
    every = Scan(SCORES, columns=("id",))
    ask(storage_in_memory, Question("all scores", every, turned))
    with pytest.raises(AssertionError, match="all scores"):
        ask(storage_in_memory, Question("all scores", every.but(order=(Order("id"),)), turned))


class NullsFirst(MemoryStore):
    """Nulls as most databases sort them."""

    def scan(self, plan: Scan) -> pa.Table:
        return super().scan(plan.but(order=tuple(replace(term, nulls_first=True) for term in plan.order)))


class IgnoresOnceAndFinal(MemoryStore):
    """Whatever comes last is kept whole."""

    def put(self, plan: Put) -> int:
        for place in range(plan.data.num_rows):
            row = plan.data.slice(place, 1)
            keys = {name: row.column(name)[0].as_py() for name in plan.table.key}
            kept = [each for each in self._rows(plan.table).to_pylist() if any(each[k] != v for k, v in keys.items())]
            stored = pa.Table.from_pylist(kept, plan.table.schema)
            self._tables[plan.table.name] = pa.concat_tables([stored, row])
        return int(plan.data.num_rows)


@pytest.mark.parametrize(
    ("store", "captions"),
    [
        (NullsFirst(), {"nulls come last, ascending", "nulls come last, descending"}),
        (
            IgnoresOnceAndFinal(),
            {
                "what is written once stays, the rest is replaced",
                "also within one put",
                "also under a key of two columns",
                "an ended span outlives a running copy",
                "also within one put of spans",
            },
        ),
    ],
    ids=["nulls first", "neither once nor final"],
)
def test_a_broken_store_fails_the_questions_about_it(store: Store, captions: set[str]) -> None:
    storage = Storage(store)
    load(storage)
    failed = set()
    for question in QUESTIONS:
        try:
            ask(storage, question)
        except AssertionError:
            failed.add(question.caption)
    assert captions <= failed
    assert len(failed) < 15, f"that many questions are about something else: {failed}"
