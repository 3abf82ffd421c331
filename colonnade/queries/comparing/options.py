"""How a comparison is made: what its caller may say, checked once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Final, Literal, TypedDict, get_args

from colonnade.errors import InvalidInput

IntervalMethod = Literal["auto", "t", "bca"]

CONFIDENCE: Final = 0.95
"""How often an interval holds the true difference, unless another level is asked for."""

SPENT: Final = ("cost", "latency", "tokens")
"""What is read from traces: US dollars; seconds from the first start of a span to the last end; input and output
tokens. Less of it is better. Never below 0, skewed and spoken of in per cent, it is compared as ratios where all values
are above 0."""


class Options(TypedDict, total=False):
    """What may be said of how a comparison is made; ``Rules`` says what each means."""

    threshold: float | None
    tolerance: float
    confidence: float
    interval: IntervalMethod
    wilcoxon: bool
    lower_is_better: Collection[str]
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a comparison is made."""

    threshold: float | None = None
    """A score of at least this is a pass (1), any other a fail (0). Without it, metrics are compared as they are."""
    tolerance: float = 0.0
    """A difference no larger than this does not matter: a verdict asks for an interval that lies wholly beyond it. In
    units of the metric; for what is compared as a ratio, a share of the baseline (0.05 is 5 %)."""
    confidence: float = CONFIDENCE
    """The level of intervals. 1 less it is the chance that a family of questions without any difference finds one."""
    interval: IntervalMethod = "auto"
    """Which interval the verdict follows. ``auto``: Tango's score interval for pass and fail with one trial an item,
    the paired t interval for everything else. ``t`` and ``bca`` (the BCa bootstrap) are used for all metrics."""
    wilcoxon: bool = False
    """Whether to give the p value of Wilcoxon's signed-rank test as well."""
    lower_is_better: Collection[str] = ()
    """Metrics of which less is better, besides cost, latency and tokens."""
    resamples: int = 9_999
    """Resamples of the bootstrap."""
    seed: int = 20_240_601
    """What the bootstrap's random numbers start from: the same data give the same interval each time."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not _number(self.threshold):
            raise InvalidInput(f"threshold must be a finite number, not {self.threshold!r:.80}")
        if not _number(self.tolerance) or self.tolerance < 0:
            raise InvalidInput(f"tolerance must be a number >= 0, not {self.tolerance!r:.80}")
        if not _number(self.confidence) or not 0.5 <= self.confidence < 1:
            raise InvalidInput(f"confidence must be from 0.5 to below 1, such as 0.95; not {self.confidence!r:.80}")
        if self.interval not in get_args(IntervalMethod):
            known = ", ".join(get_args(IntervalMethod))
            raise InvalidInput(f"no interval {self.interval!r:.80}; there are {known}")
        if isinstance(self.lower_is_better, str):
            raise InvalidInput(f"lower_is_better is a list of metrics: [{self.lower_is_better!r:.80}]")
        if isinstance(self.resamples, bool) or not isinstance(self.resamples, int) or self.resamples < 999:
            raise InvalidInput(f"resamples must be a whole number >= 999, not {self.resamples!r:.80}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InvalidInput(f"seed must be a whole number >= 0, not {self.seed!r:.80}")


def rules_of(options: Options) -> Rules:
    """The rules that a caller's options make; ``TypeError`` for one that there is not, as of any other argument."""
    known = Options.__annotations__
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            offer = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise TypeError(f"compare() got an unexpected keyword argument {name!r}{offer}")
    return Rules(**options)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
