"""Is the difference real? Runs of the same items, compared item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import isawaitable
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from colonnade.engine.plan import TRUE, At, Filter, Is, OneOf, Or, Scan, Steps, asc, rows
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.options import SPENT, Options, rules_of
from colonnade.schemas import EVALS, SCORES
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    import polars as pl

    from colonnade.queries.comparing.observations import Layout

Names = str | Sequence[str]


def compare(
    data: Any,
    baseline: Any,
    candidate: Any,
    *,
    metric: Names | None = None,
    by: Names | None = None,
    side: str | None = None,
    item: Names | None = None,
    trial: str | None = None,
    where: Mapping[str, Any] | None = None,
    table: str = "scores",
    **options: Unpack[Options],
) -> Comparison:
    """Compare a candidate with a baseline, item by item: ``colonnade.compare(store, "prompt-v1", "prompt-v2")``.

    ``data`` is a storage, whose ``scores`` (or, with ``table="evals"``, evals) are compared, or any table: a Polars
    frame, lazy or not, an Arrow table, a pandas frame, a query's result.

    ``baseline`` and ``candidate`` are values of the column ``side``; several candidates (a list) are each compared with
    the baseline. In a storage ``side`` is ``batchId`` (evals: ``global_run_id``) unless given; with ``side="trial"``
    and ``where={"batchId": "monday"}`` one trial of a batch is compared with another.

    ``metric`` is one metric or several: names of scorers, or ``"cost"`` (US dollars), ``"latency"`` (seconds) and
    ``"tokens"``, which are read from the traces of the scored runs. In a table of your own, the columns that hold the
    numbers. Without it, a storage's scorers are compared, all that both sides have.

    ``item`` is the column, or columns, that say what was run: items are aligned by it, and those that one side lacks
    are reported. ``trial`` is the column that counts repetitions of an item. In a storage they are ``datasetId`` with
    ``datasetItemId``, and ``trial``. ``by`` slices the items by one or more columns; ``metadata.tier`` is a place in a
    JSON column. ``where`` keeps rows with these values.

    ``Rules`` documents the ``options``: threshold, tolerance, confidence, interval, wilcoxon, lower_is_better,
    resamples, seed. ``InvalidInput`` where a side has no such rows, or the sides have no item in common;
    ``MissingExtra`` without SciPy.
    """
    asked: dict[str, Any] = {"baseline": baseline, "candidate": candidate, "metric": metric, "by": by, "side": side}
    asked |= {"item": item, "trial": trial, "where": where, **options}
    if isinstance(data, str | PathLike):
        raise InvalidInput(f"open it first: colonnade.compare(colonnade.open({str(data)!r:.80}), ...)")
    if (queries := getattr(data, "queries", None)) is not None:
        return answered(queries.compare(table=table, **asked), "compare")  # type: ignore[no-any-return]
    return _compare_table(data, **asked)


def compare_runs(
    *,
    baseline: Any,
    candidate: Any,
    metric: Names | None = None,
    by: Names | None = None,
    side: str | None = None,
    item: Names | None = None,
    trial: str | None = None,
    where: Mapping[str, Any] | None = None,
    table: str = "scores",
    **options: Unpack[Options],
) -> Steps[Comparison]:
    """Compare a candidate with a baseline, item by item, over scores or evals: means, the difference and its interval.

    ``colonnade.compare`` says what the arguments mean. ``InvalidInput`` where a side has no scores, or the two have no
    item in common; ``MissingExtra`` without SciPy.
    """
    need_scipy()
    from colonnade.queries.comparing.assembling import comparison
    from colonnade.queries.comparing.missing import check_there
    from colonnade.queries.comparing.observations import EVALS_LAYOUT, SCORES_LAYOUT, observed, texts_of
    from colonnade.queries.comparing.spent import spent

    rules, sides, metrics = rules_of(options), _sides(baseline, candidate), names_of(metric)
    if table not in ("scores", "evals"):
        raise InvalidInput(f"table is scores or evals, not {table!r:.80}; compare also takes any frame")
    kept, usual, moment = SCORES, SCORES_LAYOUT, "createdAt"
    if table == "evals":
        kept, usual, moment = EVALS, EVALS_LAYOUT, "created_at"
    what = "score" if table == "scores" else "eval"
    layout = _layout(usual, side, item, trial, by)
    measures = [name for name in metrics or () if name in SPENT]
    scorers = [name for name in metrics or () if name not in SPENT]
    for name in layout.columns:
        kept.column(name)  # an unknown one is an error that names those that there are
    filter = _among(kept, layout.side, sides) & where_of(kept, where)
    if metrics is not None and not measures:
        filter &= OneOf(layout.metric or "", tuple(scorers))
    frame = _polars((yield from rows(Scan(kept, filter, order=(asc(moment),), columns=layout.columns))))
    texts, among = [_text(each) for each in sides], where_of(kept, where)
    yield from check_there(kept, layout.side, texts, texts_of(frame, layout.side), among, moment, what)
    if scorers and layout.metric:
        among &= _among(kept, layout.side, sides)
        yield from check_there(kept, layout.metric, scorers, texts_of(frame, layout.metric), among, moment, what)
    seen = observed(frame, layout)
    if measures:
        more = yield from spent(seen.frame, measures)
        only = seen.frame.filter(seen.frame["metric"].is_in(scorers))
        seen = type(seen)(only, seen.without_item, seen.rescored, seen.without_value) + more
    return comparison(
        seen,
        side=layout.side,
        baseline=texts[0],
        candidates=texts[1:],
        metrics=metrics,
        by=" / ".join(layout.by) or None,
        rules=rules,
        what=what,
    )


def _compare_table(
    data: Any,
    *,
    baseline: Any,
    candidate: Any,
    metric: Names | None,
    by: Names | None,
    side: str | None,
    item: Names | None,
    trial: str | None,
    where: Mapping[str, Any] | None,
    **options: Unpack[Options],
) -> Comparison:
    need_scipy()
    import polars as pl

    from colonnade.queries.comparing.assembling import comparison
    from colonnade.queries.comparing.missing import check_known
    from colonnade.queries.comparing.observations import SCORES_LAYOUT, Layout, as_frame, observed, texts_of

    rules, sides, metrics, frame = rules_of(options), _sides(baseline, candidate), names_of(metric), as_frame(data)
    if {"scorerId", "score", "datasetItemId"} <= set(frame.columns):
        layout = _layout(_narrowed(SCORES_LAYOUT, frame.columns), side, item, trial, by)
    else:
        if side is None or item is None or metrics is None:
            raise InvalidInput(
                "of a table, name the columns: side= (where baseline and candidate stand), item= (what was run) and "
                "metric= (the numbers to compare)"
            )
        trace, run = (name if name in frame.columns else None for name in ("traceId", "runId"))
        layout = _layout(Layout(side, (), trace=trace, run=run), side, item, trial, by)
    for name, value in (where or {}).items():
        if name not in frame.columns:
            raise InvalidInput(f"where= names a column that is not there: {name!r}")
        frame = frame.filter(pl.col(name) == value)
    if layout.side not in frame.columns:
        raise InvalidInput(f"there is no column {layout.side!r}; there are {', '.join(frame.columns[:30])}")
    texts = [_text(each) for each in sides]
    there = texts_of(frame, layout.side)
    check_known("row", layout.side, texts, there.drop_nulls().unique(maintain_order=True).to_list())
    frame = frame.filter(there.is_in(texts))
    return comparison(
        observed(frame, layout, metrics),
        side=layout.side,
        baseline=texts[0],
        candidates=texts[1:],
        metrics=metrics,
        by=" / ".join(layout.by) or None,
        rules=rules,
        what="row",
    )


def answered(found: Any, question: str) -> Any:
    """The answer of a storage; ``InvalidInput`` where it has to be awaited, which a function that blocks cannot."""
    if isawaitable(found):
        found.close()  # type: ignore[attr-defined]  # a coroutine: it has not begun
        raise InvalidInput(f"this storage is awaited: await store.queries.{question}(...)")
    return found


def need_scipy() -> None:
    """``MissingExtra`` without SciPy."""
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        raise MissingExtra("comparing runs", "stats") from None


def _sides(baseline: Any, candidate: Any) -> list[Any]:
    """The baseline, and the candidates after it."""
    candidates = list(candidate) if isinstance(candidate, (list, tuple)) else [candidate]
    if not candidates:
        raise InvalidInput("candidate names no run to compare with the baseline")
    if baseline is None or None in candidates:
        raise InvalidInput("baseline and candidate are values of the column that tells the sides apart, not None")
    sides = [baseline, *candidates]
    for each in candidates:
        if [_text(other) for other in sides].count(_text(each)) > 1:
            raise InvalidInput(f"{_text(each)!r} is there twice: there is nothing to compare")
    return sides


def _text(value: Any) -> str:
    """A value as Polars writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def names_of(given: Names | None) -> list[str] | None:
    """One name or several as a list, each once."""
    if given is None:
        return None
    names = list(dict.fromkeys([given] if isinstance(given, str) else given))
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"a name or a list of names is needed, not {given!r:.80}")
    return names


def _layout(usual: Layout, side: str | None, item: Names | None, trial: str | None, by: Names | None) -> Layout:
    from dataclasses import replace

    return replace(
        usual,
        side=side or usual.side,
        item=tuple(names_of(item) or usual.item),
        trial=trial or usual.trial,
        by=tuple(names_of(by) or ()),
    )


def _narrowed(layout: Layout, columns: Sequence[str]) -> Layout:
    """A layout of the columns that a frame of scores has."""
    from dataclasses import replace

    def there(name: str | None) -> str | None:
        return name if name in columns else None

    return replace(
        layout,
        item=tuple(name for name in layout.item if name in columns),
        trial=there(layout.trial),
        trace=there(layout.trace),
        run=there(layout.run),
        again=tuple(name for name in layout.again or () if name in columns),
    )


def where_of(table: Table, where: Mapping[str, Any] | None) -> Filter:
    """All columns, or places inside JSON columns, equal to their values."""
    kept: Filter = TRUE
    for place, value in (where or {}).items():
        kept &= _among(table, place, [value])
    return kept


def _among(table: Table, place: str, values: Sequence[Any]) -> Filter:
    """A column, or ``column.name``, a place inside a JSON column, equal to one of some values."""
    name, _, path = place.partition(".")
    column = table.column(name)
    if not path:
        return OneOf(name, tuple(_value(column.kind.name, name, value) for value in values))
    return Or(tuple(Is(At(name, tuple(path.split("."))), "=", value) for value in values))


def _value(kind: str, column: str, value: Any) -> Any:
    """A value in the kind of its column: what is typed on a command line is text."""
    if isinstance(value, str) and kind in ("integer", "bigint", "float"):
        try:
            return float(value) if kind == "float" else int(value)
        except ValueError:
            raise InvalidInput(f"{column} holds {kind}, which {value!r:.80} is not") from None
    return value


def _polars(found: Any) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(found)
    assert isinstance(frame, pl.DataFrame)
    return frame
