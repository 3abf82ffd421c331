"""pass^k and pass@k over items and trials, and two batches compared item by item."""

import builtins
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import comb, fsum, sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import TRUE, Delete, Put
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.ingest.load import import_file
from colonnade.queries.compare import Comparison
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


def test_the_airline_runs_score_what_their_authors_publish(storage: Any, shared: Path) -> None:
    import_file(storage, shared / "data" / "tau-bench" / "gpt-4o-airline.json")
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


# --- two batches ---


def compare(storage: Any, old: Iterable[Any], new: Iterable[Any]) -> Comparison:
    put(storage, old, batch="old")
    put(storage, new, batch="new")
    found: Comparison = storage.queries.compare(baseline="old", candidate="new")
    return found


def test_items_are_paired_and_those_of_one_side_are_named(storage: Any) -> None:
    found = compare(
        storage,
        [("a", [1, 0]), ("b", [1]), ("gone", [1]), (None, [1])],
        [("a", [1, 1]), ("b", [0]), ("added", [0])],
    )
    assert [(pair.item, pair.baseline, pair.candidate, pair.trials) for pair in found.items] == [
        ("a", 0.5, 1.0, (2, 2)),
        ("b", 1.0, 0.0, (1, 1)),
    ]
    assert (found.only_baseline, found.only_candidate, found.without_item) == (("gone",), ("added",), 1)
    assert (found.baseline_mean, found.candidate_mean, found.difference) == (0.75, 0.5, -0.25)


def test_regressions_and_improvements_are_the_largest_first(storage: Any) -> None:
    old = [("a", [0.5]), ("b", [0.9]), ("c", [0.4]), ("d", [0.2]), ("same", [0.1, 0.2])]
    new = [("a", [0.4]), ("b", [0.1]), ("c", [0.5]), ("d", [0.9]), ("same", [0.15])]
    found = compare(storage, old, new)
    assert [pair.item for pair in found.regressions] == ["b", "a"]
    assert [pair.item for pair in found.improvements] == ["d", "c"]
    assert found.items[-1].difference == 0  # 0.15000000000000002 against 0.15


def test_the_interval_is_the_paired_t_interval_over_items(storage: Any) -> None:
    differences = [0.1, 0.3, -0.1, 0.2, 0.0]
    found = compare(
        storage, [(f"i{n}", [0.5]) for n in range(5)], [(f"i{n}", [0.5 + d]) for n, d in enumerate(differences)]
    )
    mean = 0.1
    deviation = sqrt(sum((d - mean) ** 2 for d in differences) / 4)
    reach = 2.7764451051977987 * deviation / sqrt(5)  # t(0.975, 4), as tables print it
    assert found.interval == approx([mean - reach, mean + reach])
    assert found.mcnemar_p is None


def test_one_item_has_no_interval(storage: Any) -> None:
    assert compare(storage, [("a", [0.5])], [("a", [0.7])]).interval is None


@pytest.mark.parametrize(("worse", "better", "same"), [(1, 9, 5), (0, 6, 0), (3, 3, 2), (0, 0, 4), (5, 1, 0)])
def test_the_exact_p_of_mcnemar(storage: Any, worse: int, better: int, same: int) -> None:
    before = [1] * worse + [0] * better + [1] * same
    after = [0] * worse + [1] * better + [1] * same
    found = compare(
        storage, [(f"i{n:02}", [s]) for n, s in enumerate(before)], [(f"i{n:02}", [s]) for n, s in enumerate(after)]
    )
    n, fewer = worse + better, min(worse, better)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    assert found.mcnemar_p == pytest.approx(min(1.0, 2 * tail))
    assert (len(found.regressions), len(found.improvements)) == (worse, better)


def test_an_item_counts_once_however_many_trials_it_has(storage: Any) -> None:
    found = compare(storage, [("a", [0, 0, 0, 0]), ("b", [1, 0])], [("a", [1, 1, 1, 1]), ("b", [0, 1])])
    assert found.mcnemar_p == 1.0  # one item got better, and one item proves nothing
    assert found.difference == 0.5


def test_a_batch_without_scores_is_refused_by_name(storage: Any) -> None:
    put(storage, [("a", [1])], batch="old")
    with pytest.raises(InvalidInput, match="no score by 'reward' in batch 'new'"):
        storage.queries.compare(baseline="old", candidate="new")
    with pytest.raises(InvalidInput, match="no score by 'style' in batch 'old'"):
        storage.queries.compare(baseline="old", candidate="new", scorer="style")


def test_batches_that_share_no_item_cannot_be_compared(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="have no item in common"):
        compare(storage, [("a", [1])], [("b", [1])])


def test_a_batch_is_not_compared_with_itself(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="nothing to compare"):
        storage.queries.compare(baseline="old", candidate="old")


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_scipy(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "scipy":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with colonnade.open(":memory:") as store, pytest.raises(MissingExtra, match=r"colonnade\[stats\]"):
        store.queries.compare(baseline="old", candidate="new")


SCORED = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3))


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(SCORED.filter(len), SCORED.filter(len))
def test_swapping_the_batches_turns_everything_round(old: dict[str, list[float]], new: dict[str, list[float]]) -> None:
    if not old.keys() & new.keys():
        return
    with colonnade.open(":memory:") as store:
        there = compare(store, old.items(), new.items())
        back: Comparison = store.queries.compare(baseline="new", candidate="old")
        store.execute(Delete(SCORES, TRUE))
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert [pair.item for pair in back.regressions] == [pair.item for pair in there.improvements]
    assert (back.only_baseline, back.only_candidate) == (there.only_candidate, there.only_baseline)
    assert back.mcnemar_p == there.mcnemar_p
    assert there.difference == pytest.approx(there.candidate_mean - there.baseline_mean, abs=1e-12)
    if there.interval is not None:
        assert there.interval[0] <= there.difference <= there.interval[1]
