"""Is the difference real? Two batches of runs over the same items, compared item by item."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, isclose
from typing import Any, Final

from colonnade.engine.plan import Is, Steps
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.queries.results import Trials, trials_of

CONFIDENCE: Final = 0.95
"""How often an interval holds the true difference."""


@dataclass(frozen=True, slots=True)
class ItemPair:
    """An item that both batches ran: its mean score in each, over its trials."""

    item: str
    baseline: float
    candidate: float
    trials: tuple[int, int]
    """How many trials the baseline and the candidate have of it."""

    @property
    def difference(self) -> float:
        """Candidate less baseline; exactly 0 where only the rounding of their means differs."""
        same = isclose(self.candidate, self.baseline, rel_tol=1e-12, abs_tol=1e-12)
        return 0.0 if same else self.candidate - self.baseline


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two batches over the items that both ran. Every item weighs the same, however many trials it has."""

    baseline: str
    candidate: str
    scorer: str
    items: tuple[ItemPair, ...]
    """The items of both batches, by name."""
    baseline_mean: float
    candidate_mean: float
    difference: float
    """Mean over items of candidate less baseline."""
    interval: tuple[float, float] | None
    """95% confidence interval of the difference: paired t over item means. ``None`` for a single item."""
    mcnemar_p: float | None
    """Where every score is 0 or 1: McNemar's exact two-sided p, of items that got worse against items that got better.
    An item with several trials counts once, by the sign of its difference, for its trials are not independent of each
    other. ``None`` for other scores."""
    regressions: tuple[ItemPair, ...]
    """Items that got worse, the worst first."""
    improvements: tuple[ItemPair, ...]
    """Items that got better, the best first."""
    only_baseline: tuple[str, ...]
    """Items that the candidate lacks; they are in no mean here."""
    only_candidate: tuple[str, ...]
    """Items that the baseline lacks; they are in no mean here."""
    without_item: int
    """Scores of either batch that say no item: they were left out."""


def compare_batches(*, baseline: str, candidate: str, scorer: str = "reward") -> Steps[Comparison]:
    """Compare two batches of runs, paired by ``datasetItemId``.

    Differences are candidate less baseline. ``InvalidInput`` where a batch has no scores by the scorer, or the two have
    no item in common; ``MissingExtra`` without SciPy.
    """
    stats = _scipy_stats()
    if baseline == candidate:
        raise InvalidInput(f"both batches are {baseline!r}: there is nothing to compare")
    before = yield from trials_of(scorer, Is("batchId", "=", baseline))
    after = yield from trials_of(scorer, Is("batchId", "=", candidate))
    old, new = _by_name(before, baseline, scorer), _by_name(after, candidate, scorer)
    pairs = tuple(
        ItemPair(item, _mean(old[item]), _mean(new[item]), (len(old[item]), len(new[item])))
        for item in sorted(old.keys() & new.keys())
    )
    if not pairs:
        raise InvalidInput(f"{baseline!r} and {candidate!r} have no item in common, so they cannot be compared")
    differences = [pair.difference for pair in pairs]
    worse = sorted((pair for pair in pairs if pair.difference < 0), key=lambda pair: (pair.difference, pair.item))
    better = sorted((pair for pair in pairs if pair.difference > 0), key=lambda pair: (-pair.difference, pair.item))
    is_binary = all(score in (0, 1) for pair in pairs for score in (*old[pair.item], *new[pair.item]))
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        scorer=scorer,
        items=pairs,
        baseline_mean=_mean([pair.baseline for pair in pairs]),
        candidate_mean=_mean([pair.candidate for pair in pairs]),
        difference=_mean(differences),
        interval=_interval(differences, stats),
        mcnemar_p=_exact_p(len(worse), len(better), stats) if is_binary else None,
        regressions=tuple(worse),
        improvements=tuple(better),
        only_baseline=tuple(sorted(old.keys() - new.keys())),
        only_candidate=tuple(sorted(new.keys() - old.keys())),
        without_item=before.without_item + after.without_item,
    )


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtra("comparing batches", "stats") from None
    return stats


def _by_name(trials: Trials, batch: str, scorer: str) -> dict[str, list[float]]:
    if not trials.by_item:
        raise InvalidInput(f"no score by {scorer!r} in batch {batch!r} says its item (datasetItemId)")
    named: dict[str, list[float]] = {}
    for item, scores in trials.by_item.items():
        named.setdefault(item.item, []).extend(scores)
    return named


def _mean(values: list[float]) -> float:
    return fsum(values) / len(values)


def _interval(differences: list[float], stats: Any) -> tuple[float, float] | None:
    n = len(differences)
    if n < 2:
        return None
    mean = _mean(differences)
    deviation = (fsum((value - mean) ** 2 for value in differences) / (n - 1)) ** 0.5
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / n**0.5
    return mean - reach, mean + reach


def _exact_p(worse: int, better: int, stats: Any) -> float:
    """The chance of a split at least as uneven as this one where both ways are as likely; ties say nothing."""
    return float(stats.binomtest(worse, worse + better, 0.5).pvalue) if worse + better else 1.0
