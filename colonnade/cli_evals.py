"""Commands about evals: how reliable an agent is, and whether a version of it is better than another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from colonnade.cli_shared import Store, console, reading
from colonnade.errors import InvalidInput

if TYPE_CHECKING:
    from colonnade.queries.comparing.comparison import Comparison

REGRESSION: Final = 3
"""The exit code of a comparison that fails its gate; errors have 1, wrong use has 2."""

_Several = Parameter(consume_multiple=False, negative="")


def passk(store: Store, /, *, scorer: str = "reward", batch: str | None = None) -> None:
    """Print pass^k (all of k trials succeed) and pass@k (at least one does) over items and trials."""
    from colonnade.display.terminal import pass_k_table

    with reading(store) as opened:
        console().print(pass_k_table(opened.queries.pass_hat_k(scorer=scorer, batch=batch)))


def compare(
    store: Store,
    baseline: str,
    *candidate: str,
    metric: Annotated[list[str] | None, _Several] = None,
    by: Annotated[list[str] | None, _Several] = None,
    side: str | None = None,
    where: Annotated[list[str] | None, _Several] = None,
    table: str = "scores",
    threshold: float | None = None,
    tolerance: float = 0.0,
    lower_is_better: Annotated[list[str] | None, _Several] = None,
    wilcoxon: Annotated[bool, Parameter(negative="")] = False,
    limit: int = 10,
    to: Annotated[list[Path] | None, _Several] = None,
    trace_url: str | None = None,
    fail_on_regression: Annotated[bool, Parameter(negative="")] = False,
    fail_unless_no_worse_than: float | None = None,
) -> None:
    """Compare batches of runs with a baseline, item by item: means, differences with their intervals, regressions.

    Parameters
    ----------
    baseline
        The batch to compare with.
    candidate
        The batches that are compared with it.
    metric
        A scorer, or cost, latency or tokens; may be given again. All scorers of both sides without it.
    by
        Slice the items by a column, such as entityId or metadata.tier; may be given again.
    side
        The column that holds baseline and candidate, if it is not batchId: trial, for one trial against another.
    where
        Only rows with this value: batchId=monday; may be given again.
    table
        scores or evals.
    threshold
        Scores of at least this are a pass, all others a fail.
    tolerance
        A difference no larger than this does not matter.
    lower_is_better
        A metric of which less is better, as it is of cost, latency and tokens; may be given again.
    wilcoxon
        Give the p value of Wilcoxon's signed-rank test too.
    limit
        How many items of each kind to list.
    to
        Also write a report, by its ending: .html, .md or .json; may be given again.
    trace_url
        Where traces can be looked at: https://traces.example.com/{trace}. Reports then link to them.
    fail_on_regression
        Exit with code 3 if a metric, or a slice of one, got worse: if its interval, at the level of Holm's procedure
        over all of them, lies wholly on the worse side of 0 and beyond the tolerance.
    fail_unless_no_worse_than
        Exit with code 3 unless the 95 % interval of every metric over all items rules out that it got worse by this
        much or more.
    """
    from colonnade.display.terminal import comparison_view

    if not candidate:
        raise InvalidInput("name a candidate: colonnade compare STORE BASELINE CANDIDATE")
    writers = [(path, _writer(path)) for path in to or ()]
    with reading(store) as opened:
        found = opened.queries.compare(
            baseline=baseline,
            candidate=list(candidate),
            metric=metric,
            by=by,
            side=side,
            where=_equals(where or []),
            table=table,
            threshold=threshold,
            tolerance=tolerance,
            lower_is_better=lower_is_better or (),
            wilcoxon=wilcoxon,
        )
    console().print(comparison_view(found, limit))
    for path, write in writers:
        path.write_text(write(found, trace_url), encoding="utf-8")
    failed = [f"{each.metric} of {each.candidate.name} is worse" for each in found.regressed if fail_on_regression]
    if fail_unless_no_worse_than is not None:
        margin = fail_unless_no_worse_than
        failed += [
            f"{each.metric} of {each.candidate.name} may be worse by {margin:g} or more"
            for each in found.overall
            if not each.no_worse_than(margin)
        ]
    if failed:
        console().print(f"Failed: {'; '.join(dict.fromkeys(failed))}.", style="bold red", markup=False)
        raise SystemExit(REGRESSION)


def _writer(path: Path) -> Callable[[Comparison, str | None], str]:
    writers: dict[str, Callable[[Comparison, str | None], str]] = {
        ".html": lambda found, url: found.to_html(url),
        ".md": lambda found, url: found.to_markdown(url),
        ".json": lambda found, url: found.to_json(),
    }
    if path.suffix not in writers:
        raise InvalidInput(f"{path.name} names no kind of report; end it in {', '.join(writers)}")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent} is no folder; make it first, then write {path.name} into it")
    return writers[path.suffix]


def _equals(given: list[str]) -> dict[str, Any]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise InvalidInput(f"where is written column=value, such as batchId=monday, not {each!r:.80}")
        found[name] = value
    return found
