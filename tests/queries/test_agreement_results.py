"""Agreement of scorers, over scores and over tables."""

from typing import Any

import polars as pl
import pytest

import colonnade
from colonnade.errors import InvalidInput


def scored(scorer: str, scores: dict[str, float], **more: Any) -> list[dict[str, Any]]:
    common = {"scorer": {}, "entity": {}, "entityId": "a", "source": "TEST", "output": "", "scorerId": scorer}
    return [{**common, "runId": run, "score": score, **more} for run, score in scores.items()]


def test_scorers_are_compared_over_the_runs_that_they_scored(storage: Any) -> None:
    storage.scores.save_scores(
        scores=[
            *scored("human", {"r1": 1, "r2": 0, "r3": 1, "r4": 0, "r5": 1}),
            *scored("judge", {"r1": 0}),
            *scored("judge", {"r1": 0.9, "r2": 0.2, "r3": 0.8, "r4": 0.7}),  # r1 again: the later score counts
            *scored("rule", {"r5": 1, "r6": 1}),
        ]
    )
    found = storage.queries.agreement(threshold=0.7)
    assert (found.raters, found.things) == (("human", "judge", "rule"), 5)
    first, second = found.pairs
    assert (first.first, first.second, first.things, first.agreed, first.kappa) == ("human", "judge", 4, 0.75, 0.5)
    assert (second.second, second.things, second.kappa) == ("rule", 1, None)
    both = storage.queries.agreement(scorers=["human", "judge"], threshold=0.7)
    assert both.to_polars().rows() == [("human", "judge", 4, 0.75, 0.5)]
    # Two raters, no gaps: 1 - (n - 1) * disagreements / (ones * zeros), of the 8 scores that are paired.
    assert both.alpha == pytest.approx(1 - 7 * 1 / (5 * 3))


def test_raters_are_columns_of_a_table() -> None:
    table = pl.DataFrame({"human": [1, 2, 3, None], "judge": [1, 2, 2, 3], "split": ["a", "a", "a", "b"]})
    found = colonnade.agreement(table, ["human", "judge"], measurement="interval", where={"split": "a"})
    assert found.things == 3 and found.pairs[0].agreed == pytest.approx(2 / 3)
    assert found == colonnade.agreement(table.to_arrow(), ["human", "judge"], measurement="interval")


def test_no_two_raters_are_refused() -> None:
    table = pl.DataFrame({"human": [1, 2]})
    with pytest.raises(InvalidInput, match="at least two scorers, not 1"):
        colonnade.agreement(table, ["human"])
    with pytest.raises(InvalidInput, match="no column 'judge'"):
        colonnade.agreement(table, ["human", "judge"])
    with pytest.raises(InvalidInput, match="name the columns"):
        colonnade.agreement(table)
    with colonnade.open(":memory:") as store:
        with pytest.raises(InvalidInput, match="at least two scorers, not 0"):
            colonnade.agreement(store)
        with pytest.raises(InvalidInput, match="no score by 'judge'"):
            colonnade.agreement(store, ["judge", "human"])
