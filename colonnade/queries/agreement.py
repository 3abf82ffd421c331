"""Do scorers agree? Cohen's kappa of each two of them, and Krippendorff's alpha of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from colonnade.engine.plan import OneOf, Scan, Steps, asc, rows
from colonnade.errors import InvalidInput
from colonnade.queries.compare import Names, answered, names_of, need_scipy, where_of
from colonnade.queries.shown import Shown
from colonnade.schemas import SCORES

if TYPE_CHECKING:
    import polars

Measurement = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class RaterPair:
    """Two scorers over what both of them scored."""

    first: str
    second: str
    things: int
    agreed: float
    """The share of things that both gave the same score."""
    kappa: float | None
    """Cohen's kappa: agreement beyond chance, as a share of what there is beyond chance. ``None`` where each gave one
    and the same score to everything."""


@dataclass(frozen=True, slots=True)
class Agreement(Shown):
    """How far scorers agree beyond chance."""

    raters: tuple[str, ...]
    measurement: Measurement
    things: int
    """Things that at least two of them scored; others say nothing."""
    alpha: float | None
    """Krippendorff's alpha of all scorers: 1 is agreement, 0 what chance gives. ``None`` where all scores are alike."""
    pairs: tuple[RaterPair, ...]

    def to_polars(self) -> polars.DataFrame:
        """A row for each two scorers: first, second, things, agreed, kappa."""
        import polars as pl

        schema = {
            "first": pl.String,
            "second": pl.String,
            "things": pl.Int64,
            "agreed": pl.Float64,
            "kappa": pl.Float64,
        }
        found = [(each.first, each.second, each.things, each.agreed, each.kappa) for each in self.pairs]
        return pl.DataFrame(found, schema=schema, orient="row")


def agreement(
    data: Any,
    raters: Sequence[str] | None = None,
    *,
    measurement: Measurement = "nominal",
    threshold: float | None = None,
    where: Mapping[str, Any] | None = None,
) -> Agreement:
    """How far scorers agree: ``colonnade.agreement(store, ["human", "judge"])``.

    ``data`` is a storage, whose scorers are compared over the runs (and spans) that they scored, the latest score of
    each; or a table with a column for each rater and a row for each thing, null where a rater gave nothing. Without
    ``raters`` all scorers are meant. ``measurement`` says what scores are to Krippendorff's alpha: names (``nominal``),
    an order, intervals or ratios; kappa takes them as names. With ``threshold`` a score of at least that is a pass.
    ``where`` keeps scores with these values. ``InvalidInput`` where there are no two raters.
    """
    if (queries := getattr(data, "queries", None)) is not None:
        found = queries.agreement(scorers=raters, measurement=measurement, threshold=threshold, where=where)
        return answered(found, "agreement")  # type: ignore[no-any-return]
    need_scipy()
    import polars as pl

    from colonnade.queries.comparing.observations import as_frame

    frame = as_frame(data)
    for name, value in (where or {}).items():
        frame = frame.filter(pl.col(name) == value)
    if missing := [name for name in raters or () if name not in frame.columns]:
        raise InvalidInput(f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(frame.columns)}")
    if raters is None:
        raise InvalidInput("of a table, name the columns that hold the raters' scores: raters=[...]")
    return _agreement({name: frame[name].cast(pl.Float64).to_list() for name in raters}, measurement, threshold)


def agreement_of_scorers(
    *,
    scorers: Names | None = None,
    measurement: Measurement = "nominal",
    threshold: float | None = None,
    where: Mapping[str, Any] | None = None,
) -> Steps[Agreement]:
    """How far scorers agree over the runs that they scored: Cohen's kappa of each two, Krippendorff's alpha of all.

    ``colonnade.agreement`` says what the arguments mean.
    """
    need_scipy()
    import polars as pl

    filter, named = where_of(SCORES, where), names_of(scorers)
    if named is not None:
        filter &= OneOf("scorerId", tuple(named))
    columns = ("scorerId", "runId", "spanId", "score")
    table = yield from rows(Scan(SCORES, filter, order=(asc("createdAt"),), columns=columns))
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    wide = frame.pivot("scorerId", index=["runId", "spanId"], values="score", aggregate_function="last")
    raters = named or sorted(name for name in wide.columns if name not in ("runId", "spanId"))
    if missing := [name for name in raters if name not in wide.columns]:
        raise InvalidInput(f"there is no score by {', '.join(map(repr, missing))}")
    return _agreement({name: wide[name].to_list() for name in raters}, measurement, threshold)


def _agreement(
    ratings: Mapping[str, Sequence[float | None]], measurement: Measurement, threshold: float | None
) -> Agreement:
    from colonnade.queries.comparing.agreement import kappas, krippendorff_alpha

    if len(ratings) < 2:
        raise InvalidInput(f"agreement needs at least two scorers, not {len(ratings)}")
    if threshold is not None:
        ratings = {
            name: [None if each is None else float(each >= threshold) for each in given]
            for name, given in ratings.items()
        }
    pairs = []
    for (first, second), kappa in kappas(ratings).items():
        both = [
            one == other
            for one, other in zip(ratings[first], ratings[second], strict=True)
            if one is not None and other is not None
        ]
        if both:
            pairs.append(RaterPair(first, second, len(both), sum(both) / len(both), kappa))
    things = sum(sum(each is not None for each in given) >= 2 for given in zip(*ratings.values(), strict=True))
    return Agreement(
        raters=tuple(ratings),
        measurement=measurement,
        things=things,
        alpha=krippendorff_alpha(ratings, measurement),
        pairs=tuple(pairs),
    )
