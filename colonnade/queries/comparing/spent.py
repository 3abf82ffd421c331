"""What the trials cost and how long they took: read from the spans of their traces, or of their runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from colonnade.engine.plan import OneOf, Scan, Steps, rows
from colonnade.queries.comparing.observations import SHAPE, Observations
from colonnade.queries.comparing.options import SPENT
from colonnade.schemas import SPANS

_COLUMNS: Final = (
    *("traceId", "spanId", "parentSpanId", "runId", "startTime", "endTime"),
    *("cost", "inputTokens", "outputTokens"),
)
_AT_ONCE: Final = 1_000


def spent(trials: pl.DataFrame, measures: Collection[str]) -> Steps[Observations]:
    """The measures of trials (rows in one shape, whatever metric they are of), as observations.

    A trial's spans are those of its trace, or where it names none, those of its run. What a span says of cost and
    tokens counts unless a span below it says it too, so that an agent's own sum is not counted again. A trial of which
    no span says it has no such value; one with a span that still runs has no latency.
    """
    once = trials.unique(["side", "key", "trial", "trace", "run"], keep="first", maintain_order=True)
    traces = once["trace"].drop_nulls().unique(maintain_order=True)
    runs = once.filter(pl.col("trace").is_null())["run"].drop_nulls().unique(maintain_order=True)
    by_trace = yield from _measured("traceId", traces.to_list())
    by_run = yield from _measured("runId", runs.to_list())
    own = pl.coalesce(pl.format("traceId {}", "trace"), pl.format("runId {}", "run")).alias("own")
    found = once.with_columns(own).join(pl.concat([by_trace, by_run]), on="own", how="left")
    long = pl.concat(
        [
            found.with_columns(pl.lit(name).alias("metric"), pl.col(f"spent {name}").alias("value")).select(SHAPE)
            for name in measures
        ]
    )
    valued = long.filter(pl.col("value").is_not_null())
    return Observations(valued, without_value=long.height - valued.height)


def _measured(column: str, ids: list[str]) -> Steps[pl.DataFrame]:
    found = []
    for start in range(0, len(ids), _AT_ONCE):
        some = tuple(ids[start : start + _AT_ONCE])
        arrow = yield from rows(Scan(SPANS, OneOf(column, some), columns=_COLUMNS))
        frame = pl.from_arrow(arrow)
        assert isinstance(frame, pl.DataFrame)
        found.append(_sums(frame, column))
    empty = {"own": pl.String, **{f"spent {name}": pl.Float64 for name in SPENT}}
    return pl.concat([pl.DataFrame(schema=empty), *found])


def _sums(spans: pl.DataFrame, column: str) -> pl.DataFrame:
    """The measures of each trace or run."""
    tokens = pl.sum_horizontal("inputTokens", "outputTokens")
    said = pl.any_horizontal(pl.col("inputTokens", "outputTokens").is_not_null())
    spans = spans.with_columns(pl.when(said).then(tokens).cast(pl.Float64).alias("tokens"))
    own = pl.format(column + " {}", column).alias("own")
    seconds = (pl.col("endTime").max() - pl.col("startTime").min()) / 1e9
    found = spans.group_by(own).agg(pl.when(pl.col("endTime").null_count() == 0).then(seconds).alias("spent latency"))
    for name in ("cost", "tokens"):
        sums = _lowest(spans, name).group_by(own).agg(pl.col(name).sum().alias(f"spent {name}"))
        found = found.join(sums, on="own", how="left")
    return found.select("own", *(f"spent {name}" for name in SPENT))


def _lowest(spans: pl.DataFrame, name: str) -> pl.DataFrame:
    """The spans that have a value, and no span below them that has one."""
    place, parent = ["traceId", "spanId"], ["traceId", "parentSpanId"]
    ups = spans.select("traceId", "spanId", "parentSpanId")
    carriers = spans.filter(pl.col(name).is_not_null())
    above = carriers.select("traceId", pl.col("parentSpanId").alias("spanId")).drop_nulls().unique()
    seen = above
    while above.height:  # one step up for all of them; spans that are each other's parents end it too
        above = ups.join(above, on=place, how="semi").select("traceId", pl.col(parent[1]).alias("spanId"))
        above = above.drop_nulls().unique().join(seen, on=place, how="anti")
        seen = pl.concat([seen, above])
    return carriers.join(seen, on=place, how="anti")
