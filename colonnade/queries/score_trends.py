"""How scores go: their number and their mean, by scorer or by any other property, over time."""

from __future__ import annotations

import pyarrow as pa

from colonnade.engine.plan import Measure, Steps, is_equal
from colonnade.queries.groups import Groups
from colonnade.queries.pages import When
from colonnade.schemas import SCORES


def trends_of_scores(
    *,
    by: str | None = "scorerId",
    every: str | None = None,
    scorer: str | None = None,
    since: When | None = None,
    until: When | None = None,
) -> Steps[pa.Table]:
    """Scores by a text column of them (``scorerId``, ``batchId``, ``entityId`` ...), those with most scores first.

    One row a value; scores without one are left out. Columns: the value; ``scores``, how many; ``mean``, ``p50``,
    ``min`` and ``max`` of them.

    With ``every`` (``"1h"``, ``"1d"``) there is a row for each interval and value, in the order of time, the interval
    as ``createdAt``; one in which nothing was scored has 0 scores and no mean. ``by=None`` is all scores together.
    ``scorer`` narrows to one. ``since`` (inclusive) and ``until`` (exclusive) are moments of scoring, or how long ago:
    ``"24h"``. One plan.
    """
    groups = Groups.of(by, every, since, until, SCORES)
    measures = (
        Measure("count", None, "scores"),
        *(Measure(function, "score", function) for function in ("mean", "p50", "min", "max")),
    )
    found = yield from groups.summary(measures, is_equal(scorerId=scorer))
    return groups.answer(found, most=("scores",), zeros=("scores",))
