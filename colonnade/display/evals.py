"""Pictures of evals: two batches side by side, and how reliable an agent is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from colonnade.display.formats import decimals_for, number, plural, safe
from colonnade.display.screen import Column, Picture, fitted, stacked
from colonnade.queries.compare import Comparison, ItemPair
from colonnade.queries.results import PassK

SHOWN: Final = 10
"""Items that are listed by name, unless asked for more."""

_BAR: Final = 20


def comparison_view(comparison: Comparison, limit: int = SHOWN) -> Picture:
    """Two batches over the items that both ran: the means, what can be said of their difference, and the items that
    changed, at most ``limit`` of those that got worse and of those that got better.
    """
    return Picture(lambda width: stacked(*_comparison(comparison, limit, width)))


def _comparison(found: Comparison, limit: int, width: int) -> list[RenderableType]:
    baseline, candidate = safe(found.baseline, 30), safe(found.candidate, 30)
    decimals = max(3, decimals_for([pair.baseline for pair in found.items] + [pair.candidate for pair in found.items]))
    size = max(len(baseline), len(candidate), len("difference"))
    same = len(found.items) - len(found.regressions) - len(found.improvements)
    title = Text.assemble(
        ("scorer ", ""), (safe(found.scorer), "bold"), f", {plural(len(found.items), 'item')} that both batches ran"
    )
    means = Text()
    means.append(f"{baseline.ljust(size)}  {found.baseline_mean: .{decimals}f}  mean over items\n")
    means.append(f"{candidate.ljust(size)}  {found.candidate_mean: .{decimals}f}\n")
    colour = "green" if found.difference > 0 else "red" if found.difference < 0 else ""
    means.append("difference".ljust(size) + "  ").append(f"{found.difference:+.{decimals}f}", f"bold {colour}")
    if found.interval is not None:
        low, high = found.interval
        means.append(f"  95 % interval {low:+.{decimals}f} to {high:+.{decimals}f}")
    counted = Text.assemble(
        (f"{len(found.improvements)} better", "green"),
        ", ",
        (f"{len(found.regressions)} worse", "red"),
        f", {same} the same",
    )
    parts: list[RenderableType] = [title, Text(), means, Text(_verdict(found)), Text(), counted]
    changed = [*found.regressions[:limit], *found.improvements[:limit]]
    if changed:
        parts.append(fitted(_items(changed, baseline, candidate, decimals), width))
    more = len(found.regressions) + len(found.improvements) - len(changed)
    parts.extend(Text(note, style="dim") for note in _notes(found, more))
    return parts


def _verdict(found: Comparison) -> str:
    if found.interval is None:
        return "One item says nothing about others."
    low, high = found.interval
    if low == high == 0:
        return "No item changed."
    certain = low > 0 or high < 0
    verdict = (
        "The interval leaves out 0: a difference like this is unlikely to be chance."
        if certain
        else "The interval holds 0: the difference may be chance."
    )
    if found.mcnemar_p is not None:
        verdict += f" Sign test over items: p = {_probability(found.mcnemar_p)}."
    return verdict


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _items(pairs: Sequence[ItemPair], baseline: str, candidate: str, decimals: int) -> list[Column]:
    most = max(abs(pair.difference) for pair in pairs)
    bars = []
    for pair in pairs:
        length = max(1, round(_BAR * abs(pair.difference) / most))
        bars.append(Text("━" * length, style="red" if pair.difference < 0 else "green"))
    return [
        Column("item", [safe(pair.item, 80) for pair in pairs], least=16),
        Column(baseline, [f"{pair.baseline:.{decimals}f}" for pair in pairs], "right"),
        Column(candidate, [f"{pair.candidate:.{decimals}f}" for pair in pairs], "right"),
        Column("difference", [f"{pair.difference:+.{decimals}f}" for pair in pairs], "right"),
        Column("", bars, rank=1),
    ]


def _notes(found: Comparison, more: int) -> list[str]:
    notes = []
    if more:
        notes.append(f"{more:,} more {'item' if more == 1 else 'items'} changed.")
    trials = sorted({count for pair in found.items for count in pair.trials})
    if trials and trials[-1] > 1:
        spread = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
        notes.append(f"An item's score is the mean of its {spread} trials.")
    for only, batch in ((found.only_baseline, found.baseline), (found.only_candidate, found.candidate)):
        if only:
            notes.append(f"Left out, because only {safe(batch, 30)} ran them: {_named(only)}.")
    if found.without_item:
        notes.append(f"Left out, because they name no item: {plural(found.without_item, 'score')}.")
    return notes


def _named(items: Sequence[str], limit: int = 5) -> str:
    more = f" and {number(len(items) - limit)} more" if len(items) > limit else ""
    return ", ".join(safe(item, 60) for item in items[:limit]) + more


def pass_k_table(found: PassK) -> Picture:
    """pass^k and pass@k for each k, with what they were counted over."""
    return Picture(lambda width: stacked(*_pass_k(found, width)))


def _pass_k(found: PassK, width: int) -> list[RenderableType]:
    if not found.items:
        return [Text(f"No scores by {safe(found.scorer)!r} say their item, so there is nothing to count.")]
    batches = f", {_named(found.batches)}" if found.batches else ""
    each = f"{plural(found.trials, 'trial')} each" if not found.uneven else f"{number(found.scores)} trials"
    title = Text.assemble("scorer ", (safe(found.scorer), "bold"), f"{batches}: {plural(found.items, 'item')}, {each}")
    ks = range(1, len(found.pass_hat) + 1)
    columns = [
        Column("k", [str(k) for k in ks], "right"),
        Column("pass^k", [f"{value:.3f}" for value in found.pass_hat], "right"),
        Column("", [Text("━" * round(_BAR * value), style="magenta") for value in found.pass_hat], rank=2),
        Column("pass@k", [f"{value:.3f}" for value in found.pass_at], "right"),
        Column("", [Text("━" * round(_BAR * value), style="cyan") for value in found.pass_at], rank=1),
    ]
    notes = [
        "pass^k: all of k trials of an item succeed. pass@k: at least one of them does. "
        f"A success is a score of at least {found.threshold:g}."
    ]
    if found.uneven:
        few = [f"{item} ({count})" for item, count in found.uneven]
        notes.append(f"k ends at {found.trials}, the fewest trials of an item. Fewer than others have {_named(few)}.")
    if len(found.batches) > 1:
        notes.append("The trials of all these batches are counted together; a batch can be named.")
    if found.rescored:
        notes.append(f"{plural(found.rescored, 'score')} replaced by a later one of the same trial.")
    if found.without_item:
        notes.append(f"Left out, because they name no item: {plural(found.without_item, 'score')}.")
    return [title, Text(), fitted(columns, width), *(Text(note, style="dim") for note in notes)]
