"""What is compared, brought into one shape: a row for each trial of an item, on a side, for a metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from colonnade.errors import InvalidInput

SHAPE: Final = ("side", "metric", "key", "item", "trial", "value", "part", "trace", "run")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a table say what. ``column.name`` is a place inside a JSON column."""

    side: str
    item: tuple[str, ...]
    """Together they name an item; the last is what it is called."""
    trial: str | None = None
    metric: str | None = None
    """The column that names the metric of a row; ``None`` where each metric has a column of its own."""
    value: str | None = None
    trace: str | None = None
    run: str | None = None
    by: tuple[str, ...] = ()
    again: tuple[str, ...] | None = ()
    """What tells trials apart beside item, number and metric. Rows alike in all of it are one trial that was judged
    more than once: the last of them counts. ``None`` where no two rows are of one trial."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, each once."""
        places = [self.side, *self.item, self.trial, self.metric, self.value, self.trace, self.run, *self.by]
        return tuple(dict.fromkeys(column_of(place) for place in [*places, *(self.again or ())] if place))


SCORES_LAYOUT: Final = Layout(
    side="batchId",
    item=("datasetId", "datasetItemId"),
    trial="trial",
    metric="scorerId",
    value="score",
    trace="traceId",
    run="runId",
    again=("batchId", "runId"),
)
EVALS_LAYOUT: Final = Layout(
    side="global_run_id", item=("input",), metric="metric_name", value="result.score", run="run_id", again=None
)


@dataclass(frozen=True, slots=True)
class Observations:
    """Trials in one shape (``SHAPE``), and how many rows are not among them, and why."""

    frame: pl.DataFrame
    without_item: int = 0
    rescored: int = 0
    without_value: int = 0

    def __add__(self, other: Observations) -> Observations:
        return Observations(
            pl.concat([self.frame, other.frame]),
            self.without_item + other.without_item,
            self.rescored + other.rescored,
            self.without_value + other.without_value,
        )


def column_of(place: str) -> str:
    """The column that a place lies in: ``metadata`` of ``metadata.tier``."""
    return place.partition(".")[0]


def observed(frame: pl.DataFrame, layout: Layout, metrics: Sequence[str] | None = None) -> Observations:
    """Rows of a table as trials, in the order in which they were given.

    ``metrics`` are the columns of a table that has one for each. ``InvalidInput`` where a column is missing, or one
    that is compared holds no numbers.
    """
    _check_columns(frame, [*layout.columns, *(metrics or () if layout.metric is None else ())])
    names = [each for each in (layout.item) if each is not None]
    text = [_place(frame, name).cast(pl.String) for name in names]
    parts = [_place(frame, name).cast(pl.String) for name in layout.by]
    # Where the sides are trials of one batch, a trial's number tells the sides apart and pairs nothing.
    number = None if layout.trial is None or layout.trial == layout.side else _place(frame, layout.trial)
    again = None if layout.again is None or layout.trial is None else [layout.trial, *layout.again]
    common = [
        _place(frame, layout.side).cast(pl.String).alias("side"),
        pl.struct([each.alias(str(n)) for n, each in enumerate(text)]).struct.json_encode().alias("key"),
        (text[-1] if layout.metric else pl.concat_str(text, separator=" / ")).alias("item"),
        (pl.lit(None, pl.String) if number is None else number.cast(pl.String)).alias("trial"),
        (pl.concat_str(parts, separator=" / ") if parts else pl.lit(None, pl.String)).alias("part"),
        _text(frame, layout.trace).alias("trace"),
        _text(frame, layout.run).alias("run"),
        (_place(frame, layout.trial).is_not_null() if again and layout.trial else pl.lit(False)).alias("numbered"),
        *([_place(frame, name).cast(pl.String).alias(f"again {n}") for n, name in enumerate(again or ())]),
    ]
    if layout.metric and layout.value:
        value = _place(frame, layout.value).cast(pl.Float64, strict=False)
        long = frame.select(*common, _text(frame, layout.metric).alias("metric"), value.alias("value"))
    else:
        long = _melted(frame, common, metrics or ())
    return _kept(long, [name for name in long.columns if name.startswith("again ")])


def _kept(long: pl.DataFrame, again: list[str]) -> Observations:
    named = long.filter(pl.col("item").is_not_null())
    valued = named.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan())
    if endless := valued.filter(pl.col("value").is_infinite()).height:
        raise InvalidInput(f"{endless} of the values to compare are infinite: leave them out, or make them numbers")
    numbered = valued.filter(pl.col("numbered"))
    last = numbered.unique(["side", "metric", "key", *again], keep="last", maintain_order=True)
    kept = pl.concat([last, valued.filter(~pl.col("numbered"))])
    return Observations(
        frame=kept.select(SHAPE),
        without_item=long.height - named.height,
        rescored=numbered.height - last.height,
        without_value=named.height - valued.height,
    )


def _melted(frame: pl.DataFrame, common: list[pl.Expr], metrics: Iterable[str]) -> pl.DataFrame:
    parts = []
    for name in metrics:
        kind = frame.schema[name]
        if not (kind.is_numeric() or kind == pl.Boolean):
            raise InvalidInput(f"column {name!r} holds {kind}, and only numbers and booleans can be compared")
        parts.append(frame.select(*common, pl.lit(name).alias("metric"), pl.col(name).cast(pl.Float64).alias("value")))
    return pl.concat(parts)


def _check_columns(frame: pl.DataFrame, names: Iterable[str]) -> None:
    if unknown := [name for name in dict.fromkeys(names) if name not in frame.columns]:
        there = ", ".join(frame.columns[:30])
        raise InvalidInput(f"there is no column {', '.join(map(repr, unknown))}; there are {there}")


def texts_of(frame: pl.DataFrame, place: str) -> pl.Series:
    """A column, or a place inside one, as text."""
    return frame.select(_place(frame, place).cast(pl.String).alias(place))[place]


def _text(frame: pl.DataFrame, place: str | None) -> pl.Expr:
    return pl.lit(None, pl.String) if place is None else _place(frame, place).cast(pl.String)


def _place(frame: pl.DataFrame, place: str) -> pl.Expr:
    """A column, or what lies inside one that holds JSON as text, or structs."""
    if place in frame.columns:
        return pl.col(place)
    column, _, path = place.partition(".")
    if isinstance(frame.schema[column], pl.Struct):
        found = pl.col(column)
        for name in path.split("."):
            found = found.struct.field(name)
        return found
    return pl.col(column).str.json_path_match("$." + path)


def as_frame(data: Any) -> pl.DataFrame:
    """Polars, Arrow or anything that speaks Arrow (pandas, DuckDB, a query's result) as a Polars frame."""
    if hasattr(data, "to_polars"):  # a selection of a store's rows
        data = data.to_polars()
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    try:
        found = pl.from_arrow(data) if hasattr(data, "column_names") else pl.DataFrame(data)
    except Exception as error:
        raise InvalidInput(f"{type(data).__name__} is neither a storage nor a table that Polars can read") from error
    return found if isinstance(found, pl.DataFrame) else found.to_frame()
