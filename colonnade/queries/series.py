"""How something went over time: rows in buckets of time, by the values of a column, with what was measured of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from colonnade.errors import InvalidInput

if TYPE_CHECKING:
    import polars


class Arrow(Protocol):
    """Anything that gives Arrow data: a ``pa.Table``, a Polars frame, the result of a query."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


BUCKETS: Final = 60
"""Buckets over all of the time, at most, where their width is not given."""
GROUPS: Final = 6
"""Values that have a series of their own, those with most rows; the others are ``other``."""
OTHER: Final = "other"
_WIDTHS: Final = {"1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "3h": 10_800}
_LONG: Final = {"6h": 21_600, "12h": 43_200, "1d": 86_400, "1w": 604_800}


def latencies(spans: Arrow, *, by: str | None = "model", every: str | None = None) -> polars.DataFrame:
    """How long spans took: ``time``, ``series``, ``calls``, and ``p50`` and ``p95`` in seconds, interpolated.

    Columns needed: ``startedAt``, ``startTime`` and ``endTime``, and ``by``. Spans that still run, and those without a
    value of ``by``, are left out.
    """
    import polars

    took = (polars.col("endTime") - polars.col("startTime")) / 1e9
    return _series(
        spans,
        ("startedAt", "startTime", "endTime"),
        by,
        every,
        {
            "calls": polars.len(),
            "p50": took.quantile(0.5, "linear"),
            "p95": took.quantile(0.95, "linear"),
        },
        polars.col("endTime").is_not_null(),
    )


def costs(spans: Arrow, *, by: str | None = "model", every: str | None = None) -> polars.DataFrame:
    """What spans cost: ``time``, ``series``, ``calls``, and ``cost`` in US dollars, of those that state one.

    Columns needed: ``startedAt``, ``cost`` and ``by``.
    """
    import polars

    measures = {"calls": polars.len(), "cost": polars.col("cost").sum()}
    return _series(spans, ("startedAt", "cost"), by, every, measures, polars.col("cost").is_not_null())


def mean_scores(scores: Arrow, *, by: str | None = "scorerId", every: str | None = None) -> polars.DataFrame:
    """How good it was: ``time``, ``series``, ``scores`` (how many), their ``mean``, and ``low`` and ``high``, the mean
    less and plus 1.96 standard errors; the mean itself, where there is one score only.

    Columns needed: ``createdAt``, ``score`` and ``by``.
    """
    import polars

    score = polars.col("score")
    half = (1.96 * score.std() / polars.len().sqrt()).fill_null(0.0)
    measures = {"scores": polars.len(), "mean": score.mean(), "low": score.mean() - half, "high": score.mean() + half}
    return _series(scores, ("createdAt", "score"), by, every, measures, score.is_not_null())


def _series(
    rows: Arrow, needed: tuple[str, ...], by: str | None, every: str | None, measures: Mapping[str, Any], where: Any
) -> polars.DataFrame:
    import polars

    frame = polars.DataFrame(rows)
    if missing := [name for name in (*needed, *([by] if by else [])) if name not in frame.columns]:
        raise InvalidInput(f"over time needs the columns {', '.join(needed)}; there is no {', '.join(missing)}")
    frame = frame.filter(where if by is None else where & polars.col(by).is_not_null())
    time = needed[0]
    width = every or _width(frame[time].min(), frame[time].max())
    try:
        bucket = frame.select(polars.col(time).dt.truncate(width).alias("time"))["time"]
    except polars.exceptions.PolarsError as error:
        raise InvalidInput(f"every is a width such as 5m, 1h or 1d, not {width!r:.40}") from error
    if by is None:
        series = polars.lit("all").alias("series")
    else:
        most = frame.group_by(by).len().sort(["len", by], descending=[True, False])[by].head(GROUPS).to_list()
        named = polars.col(by).cast(polars.String)
        series = polars.when(polars.col(by).is_in(most)).then(named).otherwise(polars.lit(OTHER)).alias("series")
    grouped = frame.with_columns(bucket, series).group_by("time", "series")
    return grouped.agg(**measures).sort("time", "series")


def _width(first: Any, last: Any) -> str:
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return "1h"
    length = (last - first) / timedelta(seconds=1)
    return next((name for name, seconds in (_WIDTHS | _LONG).items() if length <= BUCKETS * seconds), "1w")
