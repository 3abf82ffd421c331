"""Series over time, against the same counted by hand, and what they refuse."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars
import pyarrow as pa
import pytest

from colonnade.errors import InvalidInput
from colonnade.queries.series import GROUPS, costs, latencies, mean_scores

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NS = 1_000_000_000


def spans(*rows: tuple[float, float | None, str | None, float | None]) -> pa.Table:
    """Minutes after noon, seconds, model and cost of each."""
    return pa.table(
        {
            "startedAt": pa.array([NOON + timedelta(minutes=at) for at, *_ in rows], pa.timestamp("us", "UTC")),
            "startTime": pa.array([0] * len(rows), pa.int64()),
            "endTime": pa.array([None if took is None else int(took * NS) for _, took, _, _ in rows], pa.int64()),
            "model": pa.array([model for _, _, model, _ in rows], pa.string()),
            "cost": pa.array([cost for *_, cost in rows], pa.float64()),
        }
    )


TABLE = spans(
    (0, 1, "a", 0.5), (1, 3, "a", None), (2, 2, "b", 0.25), (61, 5, "a", 1.0), (62, None, "a", 2.0), (3, 9, None, 7.0)
)


@pytest.mark.parametrize("form", [TABLE, polars.from_arrow(TABLE)], ids=["arrow", "polars"])
def test_latencies_by_model_and_hour(form: Any) -> None:
    assert latencies(form, every="1h").rows() == [
        (NOON, "a", 2, 2.0, pytest.approx(2.9)),
        (NOON, "b", 1, 2.0, 2.0),
        (NOON + timedelta(hours=1), "a", 1, 5.0, 5.0),
    ]


def test_costs_are_summed_of_those_that_state_one() -> None:
    assert costs(TABLE, every="1h").rows() == [
        (NOON, "a", 1, 0.5),
        (NOON, "b", 1, 0.25),
        (NOON + timedelta(hours=1), "a", 2, 3.0),
    ]
    assert costs(TABLE, by=None, every="1d")["cost"].to_list() == [10.75]


def test_scores_have_a_mean_and_its_standard_error() -> None:
    scores = pa.table({"createdAt": [NOON] * 5, "score": [0.0, 1.0, 0.0, 1.0, 0.5], "scorerId": [*"aaaab"]})
    found = mean_scores(scores).rows(named=True)
    half = 1.96 * (1 / 3) ** 0.5 / 2  # standard deviation of 0, 1, 0, 1 over the root of 4
    assert found[0]["mean"] == 0.5 and found[0]["scores"] == 4
    assert (found[0]["low"], found[0]["high"]) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert (found[1]["low"], found[1]["mean"], found[1]["high"]) == (0.5, 0.5, 0.5)


def test_rare_values_are_one_series() -> None:
    rows = [(0.0, 1.0, f"m{number}", 1.0) for number in range(GROUPS + 3) for _ in range(20 - number)]
    found = costs(spans(*rows), every="1d")
    assert found["series"].to_list() == [*(f"m{number}" for number in range(GROUPS)), "other"]
    assert found["calls"].sum() == len(rows)


@pytest.mark.parametrize(("minutes", "buckets"), [(0.5, 30), (59, 59), (600, 40), (60 * 24 * 40, 40)])
def test_the_width_of_buckets_follows_the_time(minutes: float, buckets: int) -> None:
    rows = [(minutes * step / 600, 1.0, "a", 1.0) for step in range(601)]
    assert costs(spans(*rows)).height == pytest.approx(buckets, abs=2)


def test_nothing_is_an_empty_series() -> None:
    assert latencies(TABLE.slice(0, 0)).height == 0


def test_what_is_missing_or_no_width_is_said() -> None:
    with pytest.raises(InvalidInput, match="there is no endTime"):
        latencies(TABLE.drop_columns("endTime"))
    with pytest.raises(InvalidInput, match="every is a width"):
        latencies(TABLE, every="sometimes")
