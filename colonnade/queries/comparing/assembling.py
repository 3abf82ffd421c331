"""A comparison, made of trials in one shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from colonnade.errors import InvalidInput
from colonnade.queries.comparing.aligning import Aligned, aligned, item_pairs
from colonnade.queries.comparing.assessing import Question, assessed
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.observations import Observations
from colonnade.queries.comparing.options import SPENT, Rules
from colonnade.queries.comparing.values import Absent, ItemPair

_MOST_PARTS = 200


def comparison(
    seen: Observations,
    *,
    side: str,
    baseline: str,
    candidates: Sequence[str],
    metrics: Sequence[str] | None,
    by: str | None,
    rules: Rules,
    what: str,
) -> Comparison:
    """Compare the sides of some trials.

    ``metrics`` are all that the baseline has where it is ``None``. ``what`` is what a row is called in errors.
    """
    trials = seen.frame
    if rules.threshold is not None:
        passed = (pl.col("value") >= rules.threshold).cast(pl.Float64)
        spent = pl.col("metric").is_in(SPENT)
        trials = trials.with_columns(pl.when(spent).then(pl.col("value")).otherwise(passed).alias("value"))
    asked = metrics or _metrics(trials, baseline)
    if not asked:
        raise InvalidInput(f"{baseline!r} has no {what} that says its item, so there is nothing to compare with")
    questions: list[Question] = []
    items: list[ItemPair] = []
    absent: list[Absent] = []
    unpaired, notes = 0, []
    by_metric = {name: part for (name,), part in trials.partition_by("metric", as_dict=True).items()}
    for metric in asked:
        of_metric = by_metric.get(metric, trials.clear())
        if metrics is not None:
            _check_side(of_metric, baseline, metric, what)
        for candidate in candidates:
            if metrics is None and not (of_metric["side"] == candidate).any():
                notes.append(f"{metric} is left out for {candidate}, which has none.")
                continue
            _check_side(of_metric, candidate, metric, what)
            found = aligned(of_metric, baseline, candidate)
            if not found.frame.height:
                raise InvalidInput(
                    f"{baseline!r} and {candidate!r} have no item in common by {metric!r}, so they cannot be compared"
                )
            question = Question(metric, baseline, candidate, None, found, rules)
            questions += [question, *_parts(question, of_metric, notes)] if by else [question]
            pairs, alone = item_pairs(found, metric, candidate, question.lower_is_better)
            items += pairs
            unpaired += alone
            absent += _absent(found, metric, baseline, candidate)
    if not questions:
        raise InvalidInput(f"{', '.join(map(repr, candidates))} and {baseline!r} have no metric in common")
    notes += _others(trials, asked, metrics, candidates)
    for name in rules.lower_is_better:
        if name not in asked:
            notes.append(f"Less of {name} would be better, but no metric that is compared is called so.")
    if seen.without_value:
        notes.append(f"{seen.without_value:,} rows without a value are left out.")
    return Comparison(
        side=side,
        baseline=baseline,
        candidates=tuple(candidates),
        metrics=tuple(dict.fromkeys(question.metric for question in questions)),
        by=by,
        differences=assessed(questions, rules),
        items=tuple(items),
        absent=tuple(absent),
        without_item=seen.without_item,
        rescored=seen.rescored,
        unpaired=unpaired,
        confidence=rules.confidence,
        tolerance=rules.tolerance,
        notes=tuple(notes),
    )


def _metrics(trials: pl.DataFrame, baseline: str) -> list[str]:
    found: list[str] = trials.filter(pl.col("side") == baseline)["metric"].unique().sort().to_list()
    return found


def _others(
    trials: pl.DataFrame, asked: Sequence[str], metrics: Sequence[str] | None, candidates: Iterable[str]
) -> list[str]:
    """Metrics that a candidate has and the baseline has not."""
    if metrics is not None:
        return []
    more = trials.filter(~pl.col("metric").is_in(list(asked))).select("metric", "side").unique().sort("metric", "side")
    names = set(candidates)
    return [
        f"{metric} is left out: the baseline has none, {side} has."
        for metric, side in more.iter_rows()
        if side in names
    ]


def _check_side(trials: pl.DataFrame, side: str, metric: str, what: str) -> None:
    if not (trials["side"] == side).any():
        if metric in SPENT:  # of a storage it is read from traces, and of a table it is a column
            raise InvalidInput(f"of {side!r} nothing that was run says its {metric}, so it cannot be compared")
        raise InvalidInput(f"{side!r} has no {what} by {metric!r} that says its item, so it cannot be compared")


def _parts(whole: Question, trials: pl.DataFrame, notes: list[str]) -> list[Question]:
    """The same question about each slice that both sides have items of."""
    names: list[str] = trials["part"].drop_nulls().unique().sort().to_list()
    if len(names) > _MOST_PARTS:
        raise InvalidInput(
            f"by= gives {len(names):,} slices, and at most {_MOST_PARTS} are compared: name fewer columns"
        )
    found = []
    for name in names:
        items: Aligned = aligned(trials.filter(pl.col("part") == name), whole.baseline, whole.candidate)
        if items.frame.height:
            found.append(Question(whole.metric, whole.baseline, whole.candidate, name, items, whole.rules))
        else:
            notes.append(f"Slice {name} is left out for {whole.metric}: the sides share no item in it.")
    return found


def _absent(found: Aligned, metric: str, baseline: str, candidate: str) -> list[Absent]:
    return [
        *(Absent(metric, item, candidate, candidate) for item in found.only_baseline),
        *(Absent(metric, item, baseline, candidate) for item in found.only_candidate),
    ]
