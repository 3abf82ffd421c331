"""pass^k and pass@k over items and trials."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import fsum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import Put, Scan
from colonnade.errors import InvalidInput
from colonnade.ingest.load import import_file
from colonnade.queries.results import PassK
from colonnade.schemas import SCORES
from colonnade.schemas.records import encode

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def put(storage: Any, items: Iterable[tuple[str | None, Iterable[float]]], batch: str = "a", **more: Any) -> None:
    """Scores of items: each score a trial, numbered from 0, each of a run of its own."""
    records = [
        {
            "id": f"{batch}/{item}/{trial}/{more}",
            "scorerId": "reward",
            "runId": f"{batch}/{item}/{trial}",
            "scorer": {},
            "score": float(score),
            "output": "",
            "source": "TEST",
            "batchId": batch,
            "datasetItemId": item,
            "trial": trial,
            "createdAt": NOON,
            "updatedAt": NOON,
            **more,
        }
        for item, scores in items
        for trial, score in enumerate(scores)
    ]
    storage.execute(Put(SCORES, encode(SCORES, records)))


def approx(values: Iterable[float]) -> Any:
    return pytest.approx(list(values), rel=1e-12, abs=1e-12)


# --- pass^k ---


@pytest.fixture(scope="module")
def airline(shared: Path) -> pa.Table:
    """The scores of the airline runs. (That all of an import arrives in every store is tested elsewhere.)"""
    with colonnade.open(":memory:") as storage:
        import_file(storage, shared / "data" / "tau-bench" / "gpt-4o-airline.json")
        found: pa.Table = storage.execute(Scan(SCORES))
    return found


def test_the_airline_runs_score_what_their_authors_publish(storage: Any, airline: pa.Table) -> None:
    storage.execute(Put(SCORES, airline))
    found: PassK = storage.queries.pass_hat_k()
    assert [f"{value:.3f}" for value in found.pass_hat] == ["0.420", "0.273", "0.220", "0.200"]
    assert (found.items, found.trials, found.scores) == (50, 4, 200)
    assert (found.uneven, found.without_item, found.rescored) == ((), 0, 0)
    assert found.batches == ("gpt-4o-airline",)


def test_pass_hat_and_pass_at_of_a_small_example(storage: Any) -> None:
    put(storage, [("x", [1, 1, 0, 0]), ("y", [1, 1, 1, 1])])
    found = storage.queries.pass_hat_k()
    assert found.pass_hat == approx([(0.5 + 1) / 2, (1 / 6 + 1) / 2, 0.5, 0.5])
    assert found.pass_at == approx([0.75, (5 / 6 + 1) / 2, 1, 1])


def test_items_of_fewer_trials_bound_k_and_are_named(storage: Any) -> None:
    put(storage, [("x", [1, 1, 0]), ("y", [1, 1]), ("z", [0, 0, 0])])
    found = storage.queries.pass_hat_k()
    assert (found.trials, found.scores, found.uneven) == (2, 8, (("y", 2),))
    assert found.pass_hat == approx([(2 / 3 + 1 + 0) / 3, (1 / 3 + 1 + 0) / 3])


def test_k_beyond_the_trials_of_an_item_is_refused_and_names_it(storage: Any) -> None:
    put(storage, [("x", [1, 1, 0]), ("y", [1, 1])])
    assert len(storage.queries.pass_hat_k(k=2).pass_hat) == 2
    with pytest.raises(InvalidInput, match=r"pass\^3 needs 3 trials of every item; too few: y \(2\)"):
        storage.queries.pass_hat_k(k=3)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k": -1}, {"k": True}, {"k": 1.0}, {"threshold": float("nan")}])
def test_senseless_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput):
        store.queries.pass_hat_k(**arguments)


def test_a_success_is_a_score_of_at_least_the_threshold(storage: Any) -> None:
    put(storage, [("x", [0.5, 0.8])])
    assert storage.queries.pass_hat_k().pass_hat == (0.0, 0.0)
    assert storage.queries.pass_hat_k(threshold=0.8).pass_hat == (0.5, 0.0)
    assert storage.queries.pass_hat_k(threshold=0.5).pass_hat == (1.0, 1.0)


def test_scores_without_an_item_are_left_out_and_counted(storage: Any) -> None:
    put(storage, [("x", [1]), (None, [0, 0])])
    found = storage.queries.pass_hat_k()
    assert (found.pass_hat, found.without_item) == ((1.0,), 2)


def test_a_batch_and_a_scorer_are_chosen(storage: Any) -> None:
    put(storage, [("x", [1])], batch="a")
    put(storage, [("x", [0])], batch="b")
    put(storage, [("x", [0.25])], batch="a", scorerId="style")
    assert storage.queries.pass_hat_k(batch="a").pass_hat == (1.0,)
    assert storage.queries.pass_hat_k(batch="b").pass_hat == (0.0,)
    assert storage.queries.pass_hat_k(scorer="style", threshold=0.25).pass_hat == (1.0,)
    everything = storage.queries.pass_hat_k()
    assert (everything.trials, everything.batches) == (2, ("a", "b"))


def test_items_of_two_data_sets_are_two_items(storage: Any) -> None:
    put(storage, [("0", [1])], batch="a", datasetId="airline")
    put(storage, [("0", [0])], batch="b", datasetId="retail")
    found = storage.queries.pass_hat_k()
    assert (found.items, found.trials, found.pass_hat) == (2, 1, (0.5,))


def test_a_trial_that_was_scored_again_counts_once_with_the_later_score(storage: Any) -> None:
    put(storage, [("x", [1, 1])])
    put(storage, [("x", [0])], createdAt=NOON + TICK)
    put(storage, [("x", [1])], createdAt=NOON - TICK)
    found = storage.queries.pass_hat_k()
    assert (found.trials, found.scores, found.rescored) == (2, 2, 2)
    assert found.pass_hat == (0.5, 0.0)


def test_scores_that_say_no_trial_are_one_each(storage: Any) -> None:
    put(storage, [("x", [1])], trial=None, runId="r", id="1")
    put(storage, [("x", [0])], trial=None, runId="r", id="2")
    assert storage.queries.pass_hat_k().trials == 2


def test_where_nothing_is_scored_nothing_is_claimed(storage: Any) -> None:
    found = storage.queries.pass_hat_k()
    assert (found.items, found.trials, found.pass_hat, found.pass_at) == (0, 0, (), ())
    with pytest.raises(InvalidInput, match="there are no scores"):
        storage.queries.pass_hat_k(k=1)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=5))
def test_pass_k_counts_every_subset_of_k_trials(items: list[list[bool]]) -> None:
    with colonnade.open(":memory:") as store:
        put(store, [(f"item {n}", trials) for n, trials in enumerate(items)])
        found = store.queries.pass_hat_k()
    for k in range(1, min(map(len, items)) + 1):
        subsets = [list(combinations(trials, k)) for trials in items]
        every = [sum(all(subset) for subset in drawn) / len(drawn) for drawn in subsets]
        some = [sum(any(subset) for subset in drawn) / len(drawn) for drawn in subsets]
        assert found.pass_hat[k - 1] == pytest.approx(fsum(every) / len(items), abs=1e-12)
        assert found.pass_at[k - 1] == pytest.approx(fsum(some) / len(items), abs=1e-12)
    assert len(found.pass_hat) == len(found.pass_at) == min(map(len, items))
