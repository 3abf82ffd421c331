"""What can be said of each difference alone, and of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import expm1

import numpy as np

from colonnade.queries.comparing.aligning import Aligned
from colonnade.queries.comparing.corrections import benjamini_hochberg, holm, holm_levels
from colonnade.queries.comparing.intervals import (
    Bootstrap,
    Interval,
    Method,
    Numbers,
    PairedT,
    Score,
    exact_mcnemar,
    standard_error,
    wilcoxon,
)
from colonnade.queries.comparing.options import SPENT, Rules
from colonnade.queries.comparing.power import detectable, effect_size
from colonnade.queries.comparing.reliability import pass_k
from colonnade.queries.comparing.values import Difference, Scale, Side, Verdict


@dataclass(frozen=True)
class Question:
    """One metric of one candidate, over all items or over a slice of them."""

    metric: str
    baseline: str
    candidate: str
    part: str | None
    items: Aligned
    rules: Rules

    @property
    def lower_is_better(self) -> bool:
        """Whether less of the metric is better."""
        return self.metric in SPENT or self.metric in self.rules.lower_is_better

    @cached_property
    def _ratios(self) -> Numbers | None:
        return self.items.log_ratios if self.metric in SPENT else None

    @property
    def scale(self) -> Scale:
        """What the difference is measured in."""
        return "difference" if self._ratios is None else "ratio"

    @cached_property
    def values(self) -> Numbers:
        """What is assessed: a difference for each item, or the logarithm of a ratio."""
        return self.items.differences if self._ratios is None else self._ratios

    @cached_property
    def method(self) -> Method:
        """The way in which its interval is found."""
        if self.rules.interval == "bca":
            return self.bootstrap
        single = self.items.is_pass_fail and self.items.is_single
        if single and self.rules.interval == "auto":
            return Score(int((self.values > 0).sum()), int((self.values < 0).sum()), len(self.values))
        name = "paired t" if self._ratios is None else "paired t, log ratios"
        if self.metric in SPENT and self._ratios is None and self.rules.interval == "auto":
            return self.bootstrap  # skewed, and with zeros of which there is no logarithm
        return PairedT(self.values, name)

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """The bootstrap of the same values."""
        return Bootstrap(self.values, self.rules.resamples, self.rules.seed)

    def shown(self, value: float) -> float:
        """What was assessed, as it is shown: the logarithm of a ratio as a share of the baseline."""
        return value if self._ratios is None else expm1(value)

    def interval(self, level: float, method: Method | None = None) -> Interval | None:
        """The interval of the difference at a level."""
        found = (method or self.method).interval(level)
        return None if found is None else (self.shown(found[0]), self.shown(found[1]))

    def verdict(self, level: float) -> Verdict:
        """What the interval at a level says: it lies beyond the tolerance, or it does not."""
        if (found := self.interval(level)) is None:
            return "undecided"
        least = self.rules.tolerance
        below, above = found[1] < -least, found[0] > least
        if not below and not above:
            return "undecided"
        return "better" if below == self.lower_is_better else "worse"

    def difference(self) -> Difference:
        """What is said of it alone; its family is not heard yet."""
        values, items = self.values, self.items
        gained, lost = int((values > 0).sum()), int((values < 0).sum())
        better, worse = (lost, gained) if self.lower_is_better else (gained, lost)
        least = detectable(values)
        return Difference(
            metric=self.metric,
            candidate=self._side(self.candidate, "c"),
            baseline=self._side(self.baseline, "b"),
            part=self.part,
            items=len(values),
            better=better,
            worse=worse,
            same=len(values) - gained - lost,
            scale=self.scale,
            lower_is_better=self.lower_is_better,
            delta=self.shown(float(values.mean())),
            interval=self.interval(self.rules.confidence),
            method=self.method.name,
            standard_error=standard_error(values),
            p=self.method.p,
            p_holm=None,
            p_bh=None,
            family_interval=None,
            family_level=None,
            verdict="undecided",
            bootstrap=self.interval(self.rules.confidence, self.bootstrap),
            mcnemar_p=exact_mcnemar(gained, lost) if items.is_pass_fail else None,
            wilcoxon_p=wilcoxon(values) if self.rules.wilcoxon else None,
            effect_size=effect_size(values),
            detectable=None if least is None else self.shown(least),
        )

    def _side(self, name: str, end: str) -> Side:
        means, counts = self.items.numbers(f"mean_{end}"), self.items.numbers(f"count_{end}")
        every: tuple[float, ...] = ()
        some: tuple[float, ...] = ()
        if self.items.is_pass_fail:
            passed = np.rint(self.items.numbers(f"passed_{end}"))
            pairs = list(zip(map(int, counts), map(int, passed), strict=True))
            every, some = pass_k(pairs, range(1, int(counts.min()) + 1))
        return Side(name, float(means.mean()), standard_error(means), int(counts.sum()), every, some)


def assessed(questions: Sequence[Question], rules: Rules) -> tuple[Difference, ...]:
    """What is said of each question where all of them are asked together: one family, whatever metric, candidate and
    slice they are about.
    """
    found = [question.difference() for question in questions]
    ps = [each.p for each in found]
    decides = [
        None if each.p is None else lambda level, asked=asked: asked.verdict(level) != "undecided"
        for each, asked in zip(found, questions, strict=True)
    ]
    levels = holm_levels(decides, 1 - rules.confidence)
    return tuple(
        replace(
            each,
            p_holm=by_holm,
            p_bh=by_bh,
            family_level=level,
            family_interval=None if level is None else question.interval(level),
            verdict="undecided" if level is None else question.verdict(level),
        )
        for each, question, by_holm, by_bh, level in zip(
            found, questions, holm(ps), benjamini_hochberg(ps), levels, strict=True
        )
    )
