"""What is said of a comparison, in words and numbers: the same in a terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from colonnade.display.formats import ABSENT, decimals_for, duration, money, number, plural, safe
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.values import Difference, ItemPair

NAME: Final = 30
"""Characters of a side's name that are shown."""

_PLAIN: Final = (1e-6, 1e9)
"""Numbers from the first to below the second are written out, others with an exponent."""
_LARGE: Final = 10_000
"""Numbers from here on are shown without decimals."""
_USUAL_SIDES: Final = ("batchId", "global_run_id")


def sides(found: Comparison) -> str:
    """What was compared with what: ``tuesday against monday``."""
    what = "" if found.side in _USUAL_SIDES else f"{safe(found.side, NAME)} "
    candidates = [what + safe(each, NAME) for each in found.candidates]
    return f"{_listed(candidates)} against {what}{safe(found.baseline, NAME)}"


def counted(found: Comparison) -> str:
    """Over how many items: ``50 items that both ran, 4 trials each``."""
    sizes = sorted({each.items for each in found.overall})
    items = plural(sizes[0], "item") if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} items"
    trials = sorted({count for pair in found.items for count in pair.trials})
    each = plural(trials[0], "trial") if len(trials) == 1 else f"{trials[0]} to {trials[-1]} trials"
    return f"{items} that both ran, {each} each" if trials[-1] > 1 else f"{items} that both ran"


def value(metric: str, number: float, like: float | None = None) -> str:
    """A mean, with its unit where it has one, in as many decimals as one as large as ``like`` is shown with."""
    size = abs(number if like is None else like)
    if metric == "cost":
        return money(number, decimals_for([size], least=2, digits=3))
    if metric == "latency":
        return duration(1e9 * number)
    if metric == "tokens":
        return f"{number:,.0f}"
    if size and not _PLAIN[0] <= size < _PLAIN[1]:
        return f"{number:.4g}"
    return f"{number:,.{decimals_for([size], least=3 if size < _LARGE else 0, digits=3)}f}"


def _signed(metric: str, number: float, like: float) -> str:
    return ("-" if number < 0 else "+") + value(metric, abs(number), like)


def change(each: Difference, number: float) -> str:
    """A difference, with its sign; per cent where it is a ratio."""
    if each.scale == "ratio":
        return f"{100 * number:+.1f} %"
    return _signed(each.metric, number, max(map(abs, (each.delta, *(each.interval or ())))))


def values(pair: ItemPair) -> tuple[str, str, str]:
    """The baseline, the candidate and the difference of an item, in the same decimals."""
    like = max(abs(pair.baseline), abs(pair.candidate))
    before, after = (value(pair.metric, number, like) for number in (pair.baseline, pair.candidate))
    difference = _signed(pair.metric, pair.difference, like)
    if pair.difference and not any(digit in difference for digit in "123456789"):  # it is small beside the values
        difference = _signed(pair.metric, pair.difference, abs(pair.difference))
    return before, after, difference


def interval(each: Difference) -> str:
    """The confidence interval of a difference."""
    return ABSENT if each.interval is None else " to ".join(change(each, end) for end in each.interval)


def probability(p: float | None) -> str:
    """A p value in three decimals."""
    return ABSENT if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def level(share: float) -> str:
    """A level in per cent: ``95 %``, ``97.5 %``."""
    return f"{100 * share:.4g} %"


def about(each: Difference, found: Comparison) -> str:
    """Which difference it is, among those of its comparison: metric, candidate, slice."""
    parts = [safe(each.metric, 40)]
    if len(found.candidates) > 1:
        parts.append(safe(each.candidate.name, NAME))
    if each.part is not None:
        parts.append(safe(each.part, 40))
    return ", ".join(parts)


def verdict(each: Difference, found: Comparison) -> str:
    """What can be said of a difference, in one or two sentences."""
    if each.interval is None:
        if each.items == 1:
            return "One item says nothing about others."
        return "The items are too few, and too much alike, for an interval."
    if each.better == each.worse == 0:
        return "No item changed." + _could_have(each)
    if each.verdict != "undecided":
        way = {"better": "better", "worse": "worse"}[each.verdict]
        bound = "leaves out 0" if not found.tolerance else f"lies wholly beyond the tolerance of {found.tolerance:g}"
        corrected = each.family_level is not None and each.family_level > found.confidence + 1e-9
        which = (
            f"The interval at {level(each.family_level or 0)} (Holm's for this many questions)"
            if corrected
            else ("The interval")
        )
        return f"{safe(each.candidate.name, NAME)} is {way}. {which} {bound}."
    low, high = each.interval
    said = "The interval holds 0: the difference may be chance."
    if low > found.tolerance or high < -found.tolerance:
        said = "The interval leaves out 0, but not once it is corrected for the number of questions."
    elif low > 0 or high < 0:
        said = "The interval leaves out 0, but not the tolerance."
    return said + _could_have(each)


def _could_have(each: Difference) -> str:
    if each.detectable is None:
        return ""
    if each.mcnemar_p is not None and each.detectable > 1:  # of pass and fail, where there is no such difference
        return " So few items would have shown hardly any true difference."
    size = change(each, each.detectable).lstrip("+")
    return f" A true difference of {size} would have been found in 8 of 10 such comparisons."


def tests(each: Difference) -> str:
    """The p values that there are, and by which test."""
    said = [f"p = {probability(each.p)}, {each.method}"]
    if each.mcnemar_p is not None:
        said.append(f"exact McNemar {probability(each.mcnemar_p)}")
    if each.wilcoxon_p is not None:
        said.append(f"Wilcoxon {probability(each.wilcoxon_p)}")
    return "; ".join(said).replace("= <", "<")


def notes(found: Comparison) -> list[str]:
    """What was left out, and what a reader should know besides."""
    said = []
    sides = dict.fromkeys((each.side, each.version) for each in found.absent)
    for side, version in sides:
        lacking = [each for each in found.absent if (each.side, each.version) == (side, version)]
        items = list(dict.fromkeys(each.item for each in lacking))
        other = found.baseline if side == version else version
        said.append(f"Left out, because only {safe(other, NAME)} ran them: {named(items)}.")
    if found.unpaired:
        alone = plural(found.unpaired, "trial")
        said.append(f"{alone} without a partner of the same number; each counts in the mean of its item.")
    if found.without_item:
        said.append(f"Left out, because they name no item: {plural(found.without_item, 'row')}.")
    if found.rescored:
        said.append(f"Replaced by a later one of the same trial: {plural(found.rescored, 'row')}.")
    return [*said, *(safe(note) for note in found.notes)]


def linked(trace_url: str | None, trace: str) -> str:
    """Where a trace can be looked at."""
    return (trace_url or "").replace("{trace}", quote(trace, safe=""))


def named(items: Sequence[str], limit: int = 5) -> str:
    """Some names, and how many more there are."""
    more = f" and {number(len(items) - limit)} more" if len(items) > limit else ""
    return ", ".join(safe(item, 60) for item in items[:limit]) + more


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def reliability(each: Difference) -> list[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """pass^k and pass@k of both sides, where items have several trials."""
    if min(len(each.baseline.pass_hat), len(each.candidate.pass_hat)) < 2:
        return []
    return [
        ("pass^k", each.baseline.pass_hat, each.candidate.pass_hat),
        ("pass@k", each.baseline.pass_at, each.candidate.pass_at),
    ]
