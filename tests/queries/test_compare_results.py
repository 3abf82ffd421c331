"""Runs compared with a baseline, item by item: what is aligned, what is left out, and what is said."""

import asyncio
import builtins
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import Put
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.ingest.load import import_file
from colonnade.queries.comparing.comparison import Comparison
from colonnade.schemas import SCORES
from colonnade.schemas.records import encode

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
Items = Mapping[Any, Sequence[float]]


@pytest.fixture
def memory() -> Iterator[Any]:
    """A storage in memory, where it does not matter which."""
    with colonnade.open(":memory:") as store:
        yield store


def put(storage: Any, items: Items, batch: str, scorer: str = "reward", **more: Any) -> None:
    """Keep scores of items."""
    storage.execute(plan(items, batch, scorer, **more))


def plan(items: Items, batch: str, scorer: str = "reward", **more: Any) -> Put:
    """Scores of items: each score a trial, numbered from 0, each of a run and a trace of its own."""
    records = [
        {
            "id": f"{batch}/{scorer}/{item}/{trial}/{more}",
            "scorerId": scorer,
            "runId": f"{batch}/{item}/{trial}",
            "traceId": f"trace {batch}/{item}/{trial}",
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
        for item, scores in items.items()
        for trial, score in enumerate(scores)
    ]
    return Put(SCORES, encode(SCORES, records))


def compare(storage: Any, old: Items, new: Items, **how: Any) -> Comparison:
    put(storage, old, "old")
    put(storage, new, "new")
    found: Comparison = storage.queries.compare(baseline="old", candidate="new", **how)
    return found


def frame(**sides: Mapping[str, Iterable[float]]) -> pl.DataFrame:
    """A table of numbers by side, item and trial."""
    rows = [
        {"version": side, "task": item, "try": trial, "quality": float(value)}
        for side, items in sides.items()
        for item, values in items.items()
        for trial, value in enumerate(values)
    ]
    return pl.DataFrame(rows)


def compare_frame(data: Any, baseline: Any = "old", candidate: Any = "new", **how: Any) -> Comparison:
    how = {"side": "version", "item": "task", "trial": "try", "metric": "quality", **how}
    return colonnade.compare(data, baseline, candidate, **how)


# --- what is aligned ---


def test_items_are_paired_and_those_of_one_side_are_named(storage: Any) -> None:
    found = compare(
        storage,
        {"a": [1, 0], "b": [1], "gone": [1], None: [1]},
        {"a": [1, 1], "b": [0], "added": [0]},
    )
    assert [(pair.item, pair.baseline, pair.candidate, pair.trials) for pair in found.items] == [
        ("a", 0.5, 1.0, (2, 2)),
        ("b", 1.0, 0.0, (1, 1)),
    ]
    assert [(each.item, each.side) for each in found.absent] == [("gone", "new"), ("added", "old")]
    assert found.without_item == 1
    each = found.difference()
    assert (each.baseline.mean, each.candidate.mean, each.delta) == (0.75, 0.5, -0.25)
    assert (each.metric, each.items, each.baseline.trials, each.candidate.trials) == ("reward", 2, 3, 3)


def test_every_item_weighs_the_same_however_many_trials_it_has(memory: Any) -> None:
    each = compare(memory, {"a": [0, 0, 0, 0], "b": [1, 0]}, {"a": [1, 1, 1, 1], "b": [0, 1]}).difference()
    assert each.delta == 0.5
    assert each.mcnemar_p == 1.0  # one item got better, and one item proves nothing


def test_regressions_and_improvements_are_the_largest_first_with_their_traces(memory: Any) -> None:
    old = {"a": [0.5], "b": [0.9], "c": [0.4], "d": [0.2], "same": [0.1, 0.2]}
    new = {"a": [0.4], "b": [0.1], "c": [0.5], "d": [0.9], "same": [0.15]}
    found = compare(memory, old, new)
    assert [pair.item for pair in found.regressions] == ["b", "a"]
    assert [pair.item for pair in found.improvements] == ["d", "c"]
    assert found.items[-1].difference == 0  # 0.15000000000000002 against 0.15
    assert found.regressions[0].traces == (("trace old/b/0",), ("trace new/b/0",))
    assert found.regressions[0].candidate_trials[0].run == "new/b/0"
    each = found.difference()
    assert (each.better, each.worse, each.same) == (2, 2, 1)


def test_trials_are_put_beside_each_other_by_their_number(memory: Any) -> None:
    put(memory, {"a": [0.1, 0.2, 0.3]}, "old")
    put(memory, {"a": [0.5]}, "new", trial=2)
    put(memory, {"a": [0.6]}, "new", trial=7, runId="another", id="another")
    found = memory.queries.compare(baseline="old", candidate="new")
    (pair,) = found.items
    assert [each.number for each in pair.baseline_trials] == ["2", "0", "1"]
    assert [(each.number, each.value) for each in pair.candidate_trials] == [("2", 0.5), ("7", 0.6)]
    assert found.unpaired == 3
    assert (pair.baseline, pair.candidate) == (pytest.approx(0.2), pytest.approx(0.55))  # they count all the same


def test_a_trial_that_was_scored_again_counts_once_with_the_later_score(memory: Any) -> None:
    put(memory, {"a": [1, 1]}, "old")
    put(memory, {"a": [0, 0]}, "new")
    put(memory, {"a": [1]}, "new", createdAt=NOON + timedelta(seconds=1))
    put(memory, {"a": [0]}, "new", createdAt=NOON - timedelta(seconds=1))
    found = memory.queries.compare(baseline="old", candidate="new")
    assert (found.items[0].candidate, found.rescored) == (0.5, 2)


def test_items_of_two_data_sets_are_two_items(memory: Any) -> None:
    put(memory, {"1": [1]}, "old", datasetId="airline")
    put(memory, {"1": [0]}, "new", datasetId="airline")
    put(memory, {"1": [1]}, "old", datasetId="retail", runId="r", id="r")
    found = memory.queries.compare(baseline="old", candidate="new")
    assert len(found.items) == 1
    assert [(each.item, each.side) for each in found.absent] == [("1", "new")]


def test_several_scorers_and_candidates_at_once(storage: Any) -> None:
    for batch, reward in (("old", 0), ("new", 1), ("newer", 1)):
        put(storage, {f"i{n}": [reward] for n in range(12)}, batch)
    put(storage, {f"i{n}": [0.5 + n / 50] for n in range(12)}, "old", "style")
    put(storage, {f"i{n}": [0.5 - n / 50] for n in range(12)}, "new", "style")
    put(storage, {"i0": [1]}, "new", "tone")
    found = storage.queries.compare(baseline="old", candidate=["new", "newer"])
    assert [(each.metric, each.candidate.name, each.verdict) for each in found.differences] == [
        ("reward", "new", "better"),
        ("reward", "newer", "better"),
        ("style", "new", "worse"),
    ]
    assert [each.metric for each in found.regressed] == ["style"]
    assert found.notes == (
        "style is left out for newer, which has none.",
        "tone is left out: the baseline has none, new has.",
    )
    one = storage.queries.compare(baseline="old", candidate="new", metric="style")
    style = found.difference("style")
    assert (one.difference().p or 1) < (style.p_holm or 0)  # asking more costs something
    assert (style.family_level or 0) > 0.95


def test_slices_by_a_column_and_by_a_place_inside_json(storage: Any) -> None:
    for tier, change in (("gold", 1), ("free", 0)):
        put(storage, {f"{tier}{n}": [0] for n in range(10)}, "old", metadata={"tier": tier}, entityId="e")
        put(storage, {f"{tier}{n}": [change] for n in range(10)}, "new", metadata={"tier": tier}, entityId="e")
    found = storage.queries.compare(baseline="old", candidate="new", by="metadata.tier")
    assert found.by == "metadata.tier"
    assert [(each.part, each.items, each.delta, each.verdict) for each in found.slices] == [
        ("free", 10, 0.0, "undecided"),
        ("gold", 10, 1.0, "better"),
    ]
    assert found.overall[0].delta == 0.5
    both = storage.queries.compare(baseline="old", candidate="new", by=["entityId", "metadata.tier"])
    assert [each.part for each in both.slices] == ["e / free", "e / gold"]


def test_rows_are_narrowed_by_where_and_the_sides_are_of_any_column(memory: Any) -> None:
    put(memory, {f"i{n}": [0, 1] for n in range(10)}, "monday")
    put(memory, {f"i{n}": [1, 1] for n in range(10)}, "tuesday")
    found = memory.queries.compare(baseline=0, candidate=1, side="trial", where={"batchId": "monday"})
    assert (found.difference().baseline.mean, found.difference().candidate.mean) == (0, 1)
    assert memory.queries.compare(baseline="0", candidate="1", side="trial").items[0].baseline == 0.5


def test_sides_and_conditions_are_places_inside_json_too(storage: Any) -> None:
    for prompt, reward in (("v1", 0), ("v2", 1)):
        put(
            storage,
            {f"i{n}": [reward] for n in range(8)},
            f"batch of {prompt}",
            metadata={"prompt": {"name": prompt}, "n": 1},
        )
    how: dict[str, Any] = {"side": "metadata.prompt.name", "where": {"metadata.n": 1}}
    assert storage.queries.compare(baseline="v1", candidate="v2", **how).difference().delta == 1
    with pytest.raises(InvalidInput, match="no score has a metadata"):
        storage.queries.compare(baseline="v1", candidate="v2", **{**how, "where": {"metadata.n": 2}})


# --- what is spent ---


def test_cost_latency_and_tokens_are_read_from_the_traces(storage: Any) -> None:
    put(storage, {f"i{n}": [1] for n in range(12)}, "old")
    put(storage, {f"i{n}": [1] for n in range(12)}, "new")
    spans = []
    for batch, times in (("old", 1.0), ("new", 2.0)):
        for n in range(12):
            trace = {"traceId": f"trace {batch}/i{n}/0", "name": "x", "startedAt": NOON}
            ended = NOON + timedelta(seconds=times * (1 + n / 10))
            whole = {"spanId": "root", "cost": 99.0, "endedAt": ended, "inputTokens": 7}
            call = {"spanId": "1", "parentSpanId": "root", "cost": times * 0.01 * (1 + n / 20), "endedAt": ended}
            other = {"spanId": "2", "parentSpanId": "1", "endedAt": ended, "outputTokens": 3}
            spans += [{**trace, **each} for each in (whole, call, other)]
    storage.observability.batch_create_spans(records=spans)
    found = storage.queries.compare(baseline="old", candidate="new", metric=["cost", "latency", "tokens", "reward"])
    cost, latency, tokens, reward = found.differences
    assert cost.baseline.mean == pytest.approx(0.01 * (1 + 5.5 / 20))  # the agent's own sum is not counted again
    assert tokens.baseline.mean == 3
    assert (cost.scale, cost.verdict, cost.method) == ("ratio", "worse", "paired t, log ratios")
    assert (cost.delta, latency.delta) == (pytest.approx(1.0), pytest.approx(1.0))  # twice as much is 100 % more
    assert latency.baseline.mean == pytest.approx(1.55)
    assert (cost.worse, cost.better, len(found.regressions)) == (12, 0, 24)
    assert reward.delta == 0


def test_what_is_spent_is_read_from_the_run_where_a_score_names_no_trace(memory: Any) -> None:
    for batch in ("old", "new"):
        put(memory, {f"i{n}": [1] for n in range(3)}, batch, traceId=None)
    ended = NOON + timedelta(seconds=1)
    spans = [
        {"traceId": f"{batch}{n}", "spanId": "1", "name": "x", "startedAt": NOON, "runId": f"{batch}/i{n}/0"}
        | {"cost": 0.0 if n else 0.5, "endedAt": ended if n < 2 else None}
        for batch in ("old", "new")
        for n in range(3)
    ]
    memory.observability.batch_create_spans(records=spans)
    found = memory.queries.compare(baseline="old", candidate="new", metric=["cost", "latency"])
    assert (found.difference("cost").scale, found.difference("cost").items) == ("difference", 3)  # no logarithm of 0
    assert found.difference("cost").method == "BCa bootstrap"
    assert found.difference("latency").items == 2
    assert "2 rows without a value are left out." in found.notes  # one run on each side still runs


# --- evals and frames ---


def test_evals_are_compared_by_their_input() -> None:
    runs = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
    with colonnade.open(":memory:") as store:
        evals = [
            {
                "input": f"question {n}",
                "output": "",
                "result": {"score": 0.9 if run == runs[0] else 0.5 + n / 100},
                "agentName": "a",
                "metricName": "faithful",
                "instructions": "",
                "testInfo": {"name": f"t{n % 2}"},
                "globalRunId": run,
                "runId": f"0000000{n}{run[8:]}",
                "createdAt": NOON,
            }
            for run in runs
            for n in range(8)
        ]
        store.scores.save_evals(evals=evals)
        found = colonnade.compare(store, *runs, table="evals", by="test_info.name")
    assert found.difference().verdict == "worse"
    assert [each.part for each in found.slices] == ["t0", "t1"]
    assert found.items[0].item == "question 0"


@pytest.mark.parametrize("kind", ["frame", "lazy", "arrow", "pandas"])
def test_any_table_can_be_compared(kind: str) -> None:
    table = frame(old={"a": [1, 2], "b": [2, 3], "c": [3]}, new={"a": [2, 2], "b": [4, 3], "d": [1]})
    given: Any = {"frame": table, "lazy": table.lazy(), "arrow": table.to_arrow()}.get(kind)
    if given is None:
        pytest.importorskip("pandas")
        given = table.to_pandas()
    found = compare_frame(given)
    assert [(pair.item, pair.difference) for pair in found.items] == [("a", 0.5), ("b", 1.0)]
    assert [(each.item, each.side) for each in found.absent] == [("c", "new"), ("d", "old")]
    assert found.to_polars()["delta"].to_list() == [0.75]


def test_a_table_of_scores_needs_no_names(shared: Path) -> None:
    with colonnade.open(":memory:") as store:
        import_file(store, shared / "data" / "tau-bench" / "gpt-4o-airline.json")
        there = colonnade.compare(store, 0, 1, side="trial")
        scores = store.sql("select * from scores").polars()
        selected = colonnade.compare(store.scores.where(scorerId="reward"), 0, 1, side="trial")
    assert selected.differences == there.differences
    assert colonnade.compare(scores, 0, 1, side="trial").differences == there.differences


def test_columns_that_are_missing_or_hold_no_numbers_are_named() -> None:
    table = frame(old={"a": [1]}, new={"a": [1]})
    with pytest.raises(InvalidInput, match="name the columns: side="):
        colonnade.compare(table, "old", "new")
    with pytest.raises(InvalidInput, match="no column 'nowhere'; there are version, task"):
        compare_frame(table, item="nowhere")
    with pytest.raises(InvalidInput, match="'task' holds String, and only numbers"):
        compare_frame(table, metric="task")
    with pytest.raises(InvalidInput, match="infinite"):
        compare_frame(table.with_columns(quality=pl.lit(float("inf"))))
    with pytest.raises(InvalidInput, match="neither a storage nor a table"):
        compare_frame(object())


def test_items_are_named_by_several_columns() -> None:
    table = frame(old={"a": [1], "b": [2]}, new={"a": [1], "b": [4]}).with_columns(split=pl.lit("x"))
    found = compare_frame(table, item=["split", "task"])
    assert [(pair.item, pair.difference) for pair in found.items] == [("x / a", 0), ("x / b", 2)]
    twice = pl.concat([table, table.with_columns(quality=pl.lit(3.0))])
    again = compare_frame(twice, item=["split", "task"])  # the later row of a trial counts
    assert (again.rescored, again.difference().delta) == (4, 0)


def test_a_storage_that_is_awaited_says_so() -> None:
    async def ask() -> Comparison:
        async with colonnade.aopen(":memory:") as store:
            with pytest.raises(InvalidInput, match=r"await store\.queries\.compare"):
                colonnade.compare(store, "old", "new")
            with pytest.raises(InvalidInput, match=r"await store\.queries\.agreement"):
                colonnade.agreement(store)
            await store.execute(plan({"a": [0]}, "old"))
            await store.execute(plan({"a": [1]}, "new"))
            return await store.queries.compare(baseline="old", candidate="new")

    assert repr(asyncio.run(ask())) == "<Comparison of new with old: reward undecided>"


def test_missing_values_are_left_out_and_said() -> None:
    table = frame(old={"a": [1], "b": [2]}, new={"a": [1], "b": [2]})
    table = table.with_columns(pl.when(pl.col("task") == "b").then(None).otherwise("quality").alias("quality"))
    assert compare_frame(table).notes == ("2 rows without a value are left out.",)


# --- what is said ---


def test_scores_become_pass_and_fail_by_a_threshold(memory: Any) -> None:
    found = compare(memory, {"a": [0.2, 0.9], "b": [0.1, 0.3]}, {"a": [0.8, 0.9], "b": [0.7, 0.1]}, threshold=0.7)
    each = found.difference()
    assert (each.baseline.mean, each.candidate.mean) == (0.25, 0.75)
    assert (each.baseline.pass_hat, each.baseline.pass_at) == ((0.25, 0.0), (0.25, 0.5))
    assert (each.candidate.pass_hat, each.candidate.pass_at) == ((0.75, 0.5), (0.75, 1.0))


def test_one_item_has_no_interval(memory: Any) -> None:
    each = compare(memory, {"a": [0.5]}, {"a": [0.7]}).difference()
    assert (each.interval, each.p, each.verdict, each.detectable) == (None, None, "undecided", None)


def test_a_tolerance_asks_for_an_interval_beyond_it() -> None:
    table = frame(old={f"i{n}": [0.5] for n in range(30)}, new={f"i{n}": [0.42 + n / 1000] for n in range(30)})
    assert compare_frame(table).difference().verdict == "worse"
    assert compare_frame(table, tolerance=0.05).difference().verdict == "worse"
    assert compare_frame(table, tolerance=0.07).difference().verdict == "undecided"
    assert compare_frame(table).difference().no_worse_than(0.09)
    assert not compare_frame(table).difference().no_worse_than(0.068)


def test_less_is_better_where_it_is_said() -> None:
    table = frame(old={f"i{n}": [5] for n in range(9)}, new={f"i{n}": [4 + n / 100] for n in range(9)})
    assert compare_frame(table).difference().verdict == "worse"
    turned = compare_frame(table, lower_is_better=["quality"])
    assert turned.difference().verdict == "better"
    assert (len(turned.improvements), turned.improvements[0].item) == (9, "i0")
    assert turned.difference().no_worse_than(0.1)


def test_of_cost_less_is_better_whatever_else_is_said() -> None:
    prices = pl.DataFrame({"version": ["old"] * 9 + ["new"] * 9, "task": [*range(9)] * 2})
    prices = prices.with_columns(cost=pl.Series([1 + n / 50 for n in range(9)] + [2 + n / 40 for n in range(9)]))
    for others in ((), ("toxicity",)):
        found = compare_frame(prices, metric="cost", trial=None, lower_is_better=others)
        assert found.difference().verdict == "worse"
    assert "Less of toxicity would be better, but no metric that is compared is called so." in found.notes


def test_a_clear_regression_among_many_questions_is_found_and_chance_is_not() -> None:
    import numpy as np

    random = np.random.default_rng(7)
    noise = {f"m{n}": random.normal(size=60) for n in range(12)}
    rows = [
        {"version": side, "task": n, **{name: values[n] + random.normal() for name, values in noise.items()}}
        | {"clear": (1.0 if side == "old" else 0.6) + random.normal() / 10}
        for side in ("old", "new")
        for n in range(60)
    ]
    found = compare_frame(pl.DataFrame(rows), trial=None, metric=[*noise, "clear"])
    assert [each.metric for each in found.regressed] == ["clear"]
    for each in found.differences:
        assert each.family_interval is not None
        assert ((each.p_holm or 0) < 0.05) == (each.verdict != "undecided")


def test_the_trials_of_one_agent_do_not_differ_and_what_could_have_been_found_is_said(shared: Path) -> None:
    with colonnade.open(":memory:") as store:
        import_file(store, shared / "data" / "tau-bench" / "gpt-4o-airline.json")
        found = colonnade.compare(store, 0, 1, side="trial", where={"batchId": "gpt-4o-airline"}, metric="reward")
        again = colonnade.compare(store, 0, 1, side="trial", metric="reward")
    each = found.difference()
    assert (each.items, each.verdict, len(found.absent)) == (50, "undecided", 0)
    assert (each.p or 0) > 0.05 and each.mcnemar_p == 1.0
    low, high = each.interval or (0, 0)
    assert low < 0 < high
    assert 0.2 < (each.detectable or 0) < 0.3  # 50 items of pass and fail show a quarter, and no less
    said = " ".join(str(found).split())
    assert "The interval holds 0: the difference may be chance." in said
    assert "A true difference of 0.252 would have been found in 8 of 10 such comparisons." in said
    assert again == found  # the bootstrap has a seed


def test_a_comparison_as_frames_and_as_json(memory: Any) -> None:
    found = compare(memory, {"a": [0], "b": [1, 1]}, {"a": [1], "b": [1, 0]})
    (row,) = found.to_polars().to_dicts()
    assert (row["metric"], row["baseline"], row["candidate"], row["slice"]) == ("reward", "old", "new", None)
    assert (row["delta"], row["items"], row["better"], row["worse"]) == (0.25, 2, 1, 1)
    items = found.items_to_polars()
    assert items.schema["candidate_traces"] == pl.List(pl.String)
    assert items["candidate_traces"].to_list() == [["trace new/a/0"], ["trace new/b/0", "trace new/b/1"]]
    said = json.loads(found.to_json())
    assert said["differences"][0]["delta"] == 0.25
    assert said["items"][1]["candidate_trials"][1] == {
        "value": 0.0,
        "trace": "trace new/b/1",
        "run": "new/b/1",
        "number": "1",
    }


# --- what is refused ---


def test_a_batch_without_scores_is_refused_by_name(memory: Any) -> None:
    put(memory, {"a": [1]}, "old")
    with pytest.raises(InvalidInput, match="no score has batchId 'new'; there is 'old'"):
        memory.queries.compare(baseline="old", candidate="new")
    with pytest.raises(InvalidInput, match="no score has batchId 'older'; did you mean 'old'"):
        memory.queries.compare(baseline="older", candidate="old", metric="reward")
    with pytest.raises(InvalidInput, match=r"no score has a batchId where trial in \[9\]"):
        memory.queries.compare(baseline="old", candidate="new", where={"trial": 9})
    put(memory, {None: [1]}, "new")
    with pytest.raises(InvalidInput, match="'new' and 'old' have no metric in common"):
        memory.queries.compare(baseline="old", candidate="new")
    with pytest.raises(InvalidInput, match="'new' has no score by 'reward' that says its item"):
        memory.queries.compare(baseline="old", candidate="new", metric="reward")


def test_a_batch_or_a_metric_that_is_not_there_is_answered_with_those_that_are(memory: Any) -> None:
    for number in range(12):
        put(memory, {"a": [1]}, f"run {number:02}")
    with pytest.raises(InvalidInput, match=r"no score has batchId 'x'; there are 'run .*' and 2 more$"):
        memory.queries.compare(baseline="run 01", candidate="x")
    with pytest.raises(InvalidInput, match="no score has scorerId 'rewards'; did you mean 'reward'"):
        memory.queries.compare(baseline="run 01", candidate="run 02", metric="rewards")
    with pytest.raises(InvalidInput, match="no score has trial '7'; there is '0'"):
        memory.queries.compare(baseline=0, candidate=7, side="trial")
    with pytest.raises(InvalidInput, match="no row has version 'older'; did you mean 'old'"):
        compare_frame(frame(old={"a": [1]}, new={"a": [1]}), baseline="older")
    with pytest.raises(InvalidInput, match=r"open it first: colonnade.compare\(colonnade.open\('agent'\)"):
        colonnade.compare("agent", "old", "new")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'treshold'; did you mean 'threshold'"):
        memory.queries.compare(baseline="run 01", candidate="run 02", treshold=0.5)


def test_batches_that_share_no_item_cannot_be_compared(memory: Any) -> None:
    with pytest.raises(InvalidInput, match="have no item in common"):
        compare(memory, {"a": [1]}, {"b": [1]})


@pytest.mark.parametrize(
    ("how", "said"),
    {
        "itself": ({"candidate": "old"}, "nothing to compare"),
        "twice": ({"candidate": ["new", "new"]}, "nothing to compare"),
        "nobody": ({"candidate": []}, "names no run"),
        "none": ({"candidate": None}, "not None"),
        "a table": ({"table": "spans"}, "scores or evals"),
        "a column": ({"by": "nowhere"}, "nowhere"),
        "a number": ({"side": "trial"}, "integer, which 'old' is not"),
        "a threshold": ({"threshold": float("nan")}, "threshold"),
        "a tolerance": ({"tolerance": -1}, "tolerance"),
        "a confidence": ({"confidence": 95}, "such as 0.95"),
        "an interval": ({"interval": "wald"}, "auto, t, bca"),
        "resamples": ({"resamples": 10}, "999"),
        "a seed": ({"seed": -1}, "seed"),
        "a metric": ({"metric": []}, "a name or a list of names"),
        "a text": ({"lower_is_better": "cost"}, "list of metrics"),
    }.values(),
    ids=lambda value: None,
)
def test_senseless_arguments_are_refused(how: dict[str, Any], said: str) -> None:
    with colonnade.open(":memory:") as store:
        put(store, {"a": [1]}, "old")
        with pytest.raises(InvalidInput, match=said):
            store.queries.compare(**{"baseline": "old", "candidate": "new", **how})


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
def test_swapping_the_sides_turns_everything_round(old: Any, new: Any) -> None:
    if not old.keys() & new.keys():
        return
    table = frame(old=old, new=new)
    there, back = (compare_frame(table, *sides, resamples=999) for sides in (("old", "new"), ("new", "old")))
    one, other = there.difference(), back.difference()
    assert other.delta == pytest.approx(-one.delta, abs=1e-12)
    assert [pair.item for pair in back.regressions] == [pair.item for pair in there.improvements]
    assert {(each.item, each.side) for each in back.absent} == {(each.item, each.side) for each in there.absent}
    assert other.mcnemar_p == one.mcnemar_p
    assert other.p == pytest.approx(one.p, abs=1e-9)
    assert one.delta == pytest.approx(one.candidate.mean - one.baseline.mean, abs=1e-12)
    if one.interval is not None:
        assert one.interval[0] - 1e-9 <= one.delta <= one.interval[1] + 1e-9
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-9)
