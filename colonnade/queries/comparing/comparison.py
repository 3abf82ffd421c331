"""Everything that a comparison found, and the ways to take it along: frames, JSON, Markdown, HTML."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from colonnade.errors import InvalidInput
from colonnade.queries.comparing.values import Absent, Difference, ItemPair
from colonnade.queries.shown import Shown

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """One or more candidates compared with a baseline, metric by metric, over the items that both ran."""

    side: str
    """The column whose values the baseline and the candidates are."""
    baseline: str
    candidates: tuple[str, ...]
    metrics: tuple[str, ...]
    by: str | None
    """What the items were sliced by."""
    differences: tuple[Difference, ...]
    """By metric, candidate and slice; that over all items comes before those over slices."""
    items: tuple[ItemPair, ...]
    """The items of both sides, by metric, candidate and name."""
    absent: tuple[Absent, ...]
    """Items that one side lacks."""
    without_item: int
    """Rows that say no item: they were left out."""
    rescored: int
    """Rows that a later one of the same trial replaced."""
    unpaired: int
    """Trials whose number the other side does not have of that item. They count, in the mean of their item."""
    confidence: float
    tolerance: float
    notes: tuple[str, ...] = ()
    """What else a reader should know: metrics of one side only, values that are missing."""

    def __repr__(self) -> str:
        said = ", ".join(f"{each.metric} {each.verdict}" for each in self.overall)
        return f"<Comparison of {', '.join(self.candidates)} with {self.baseline}: {said}>"

    @cached_property
    def overall(self) -> tuple[Difference, ...]:
        """The differences over all items."""
        return tuple(each for each in self.differences if each.part is None)

    @cached_property
    def slices(self) -> tuple[Difference, ...]:
        """The differences over a slice of the items."""
        return tuple(each for each in self.differences if each.part is not None)

    @cached_property
    def regressions(self) -> tuple[ItemPair, ...]:
        """Items that got worse, metric by metric, the worst first."""
        return tuple(sorted((each for each in self.items if each.gain < 0), key=self._most_changed))

    @cached_property
    def improvements(self) -> tuple[ItemPair, ...]:
        """Items that got better, metric by metric, the best first."""
        return tuple(sorted((each for each in self.items if each.gain > 0), key=self._most_changed))

    def _most_changed(self, pair: ItemPair) -> tuple[int, float, str]:
        return self.metrics.index(pair.metric), -abs(pair.gain), pair.item

    @property
    def regressed(self) -> tuple[Difference, ...]:
        """The differences whose verdict is ``worse``: what ``--fail-on-regression`` fails on."""
        return tuple(each for each in self.differences if each.verdict == "worse")

    def difference(
        self, metric: str | None = None, candidate: str | None = None, part: str | None = None
    ) -> Difference:
        """The one difference of a metric, a candidate and a slice; each may be left out where there is only one."""
        found = [
            each
            for each in self.differences
            if each.part == part and metric in (None, each.metric) and candidate in (None, each.candidate.name)
        ]
        if len(found) != 1:
            there = ", ".join(f"{each.metric} of {each.candidate.name}" for each in self.overall)
            raise InvalidInput(f"{len(found)} differences are meant by that; over all items there are {there}")
        return found[0]

    def to_polars(self) -> polars.DataFrame:
        """The differences, one row each: metric, baseline, candidate, slice, means, delta, intervals, p values ..."""
        import polars

        kinds: dict[type, Any] = {str: polars.String, int: polars.Int64, float: polars.Float64}
        schema = {name: kinds[kind] for name, kind in COLUMNS.items()}
        return polars.DataFrame([_row(each) for each in self.differences], schema=schema)

    def items_to_polars(self) -> polars.DataFrame:
        """The items, one row each metric and candidate: means, difference, trials, and trace ids of both sides."""
        import polars

        text, ids = polars.String, polars.List(polars.String)
        schema: dict[str, Any] = {
            **dict.fromkeys(("metric", "candidate", "item"), text),
            **dict.fromkeys(("baseline_mean", "candidate_mean", "difference"), polars.Float64),
            **dict.fromkeys(("baseline_trials", "candidate_trials"), polars.Int64),
            **dict.fromkeys(("baseline_traces", "candidate_traces"), ids),
        }
        rows = [
            [
                *(each.metric, each.version, each.item, each.baseline, each.candidate, each.difference),
                *(*each.trials, *map(list, each.traces)),
            ]
            for each in self.items
        ]
        return polars.DataFrame(rows, schema=schema, orient="row")

    def to_dict(self) -> dict[str, Any]:
        """Everything that was found, in what JSON can say."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **found,
            "differences": [asdict(each) for each in self.differences],
            "items": [{**asdict(each), "difference": each.difference} for each in self.items],
            "absent": [asdict(each) for each in self.absent],
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        import orjson

        return orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2).decode()

    def to_markdown(self, trace_url: str | None = None) -> str:
        """The comparison as Markdown, for a pull request.

        ``trace_url`` is where traces can be looked at, ``{trace}`` in it being the trace id:
        ``https://traces.example.com/{trace}``.
        """
        said: str = import_module("colonnade.display.comparison_markdown").markdown(self, _checked(trace_url))
        return said

    def to_html(self, trace_url: str | None = None) -> str:
        """The comparison as a page of HTML that needs nothing but itself; ``trace_url`` as of ``to_markdown``."""
        page: str = import_module("colonnade.display.comparison_html").page_of(self, _checked(trace_url))
        return page


def _checked(trace_url: str | None) -> str | None:
    if trace_url is not None and not (trace_url.startswith(("https://", "http://")) and "{trace}" in trace_url):
        raise InvalidInput("trace_url is a web address with {trace} in it, such as https://traces.example.com/{trace}")
    return trace_url


COLUMNS: Final = {
    **dict.fromkeys(("metric", "baseline", "candidate", "slice", "verdict"), str),
    "items": int,
    **dict.fromkeys(("baseline_mean", "candidate_mean"), float),
    "scale": str,
    **dict.fromkeys(("delta", "low", "high"), float),
    "method": str,
    **dict.fromkeys(("standard_error", "p", "p_holm", "p_bh", "family_low", "family_high"), float),
    **dict.fromkeys(("bootstrap_low", "bootstrap_high", "mcnemar_p", "wilcoxon_p"), float),
    **dict.fromkeys(("effect_size", "detectable"), float),
    **dict.fromkeys(("better", "worse", "same"), int),
}
"""The columns of ``Comparison.to_polars`` and what they hold."""


def _row(each: Difference) -> dict[str, Any]:
    low, high = each.interval or (None, None)
    family_low, family_high = each.family_interval or (None, None)
    bootstrap_low, bootstrap_high = each.bootstrap or (None, None)
    return {
        "metric": each.metric,
        "baseline": each.baseline.name,
        "candidate": each.candidate.name,
        "slice": each.part,
        "verdict": each.verdict,
        "items": each.items,
        "baseline_mean": each.baseline.mean,
        "candidate_mean": each.candidate.mean,
        "scale": each.scale,
        "delta": each.delta,
        "low": low,
        "high": high,
        "method": each.method,
        "standard_error": each.standard_error,
        "p": each.p,
        "p_holm": each.p_holm,
        "p_bh": each.p_bh,
        "family_low": family_low,
        "family_high": family_high,
        "bootstrap_low": bootstrap_low,
        "bootstrap_high": bootstrap_high,
        "mcnemar_p": each.mcnemar_p,
        "wilcoxon_p": each.wilcoxon_p,
        "effect_size": each.effect_size,
        "detectable": each.detectable,
        "better": each.better,
        "worse": each.worse,
        "same": each.same,
    }
