"""Lists of scores: by scorer, run, entity and span; nested, newest first, ties by id."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import InvalidInput

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def score(id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "scorerId": "faithfulness",
        "entityId": "agent-1",
        "entityType": "AGENT",
        "runId": "run-1",
        "traceId": "trace-1",
        "spanId": "span-1",
        "output": "3 degrees",
        "score": 0.5,
        "scorer": {},
        "source": "LIVE",
        "entity": {},
        "createdAt": NOON,
        "updatedAt": NOON,
        **more,
    }


def save(storage: Any, *scores: dict[str, Any]) -> None:
    storage.scores.save_scores(scores=scores)


def ids(answer: dict[str, Any]) -> list[str]:
    assert answer["pagination"]["total"] == len(answer["scores"])
    return [score["id"] for score in answer["scores"]]


def each_list(storage: Any, **arguments: Any) -> list[dict[str, Any]]:
    """The same scores asked in all four ways."""
    domain = storage.scores
    return [
        domain.list_scores_by_scorer_id(scorer_id="faithfulness", **arguments),
        domain.list_scores_by_run_id(run_id="run-1", **arguments),
        domain.list_scores_by_entity_id(entity_id="agent-1", entity_type="AGENT", **arguments),
        domain.list_scores_by_span(trace_id="trace-1", span_id="span-1", **arguments),
    ]


def test_every_list_is_newest_created_first_and_ties_by_id(storage: Any) -> None:
    save(storage, score("b"), score("old", createdAt=NOON - TICK), score("c"), score("new", createdAt=NOON + TICK))
    save(storage, score("a"))

    for answer in each_list(storage):
        assert ids(answer) == ["new", "a", "b", "c", "old"]


def test_lists_give_whole_records(storage: Any) -> None:
    save(storage, score("a", input={"question": "?"}, metadata={"k": 1}))

    for answer in each_list(storage):
        assert answer["scores"] == [storage.scores.get_score_by_id(id="a")]


def test_by_scorer_narrows_by_entity_and_source(storage: Any) -> None:
    save(
        storage,
        score("a"),
        score("b", entityId="agent-2"),
        score("c", entityType="WORKFLOW"),
        score("d", source="TEST"),
        score("e", scorerId="toxicity"),
    )

    def listed(**filters: Any) -> list[str]:
        return ids(storage.scores.list_scores_by_scorer_id(scorer_id="faithfulness", **filters))

    assert listed() == ["a", "b", "c", "d"]
    assert listed(entity_id="agent-1") == ["a", "c", "d"]
    assert listed(entity_type="WORKFLOW") == ["c"]
    assert listed(source="TEST") == ["d"]
    assert listed(entity_id="agent-1", entity_type="AGENT", source="LIVE") == ["a"]


def test_by_scorer_refuses_a_source_that_there_is_not(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="source must be LIVE or TEST, not 'live'"):
        storage.scores.list_scores_by_scorer_id(scorer_id="faithfulness", source="live")


def test_by_run_gives_the_scores_of_that_run_only(storage: Any) -> None:
    save(storage, score("a"), score("b", runId="run-2"))

    assert ids(storage.scores.list_scores_by_run_id(run_id="run-2")) == ["b"]


def test_by_entity_needs_both_the_id_and_the_type(storage: Any) -> None:
    save(storage, score("a"), score("b", entityType="WORKFLOW"), score("c", entityId="agent-2"))

    assert ids(storage.scores.list_scores_by_entity_id(entity_id="agent-1", entity_type="WORKFLOW")) == ["b"]


def test_by_span_needs_both_the_trace_and_the_span(storage: Any) -> None:
    save(storage, score("a"), score("b", traceId="trace-2"), score("c", spanId="span-2"), score("d", spanId=None))

    assert ids(storage.scores.list_scores_by_span(trace_id="trace-1", span_id="span-1")) == ["a"]
    assert ids(storage.scores.list_scores_by_span(trace_id="trace-2", span_id="span-1")) == ["b"]


def test_nothing_found_is_an_empty_page(storage: Any) -> None:
    empty = {"scores": [], "pagination": {"total": 0, "page": 0, "perPage": 2, "hasMore": False}}

    assert each_list(storage, pagination={"page": 0, "perPage": 2}) == [empty] * 4


def test_pages_have_the_nested_shape(storage: Any) -> None:
    save(storage, *(score(id) for id in "abcde"))

    for first, middle, last, beyond in zip(
        *(each_list(storage, pagination={"page": page, "perPage": 2}) for page in (0, 1, 2, 3)), strict=True
    ):
        assert [s["id"] for s in first["scores"]] == ["a", "b"]
        assert first["pagination"] == {"total": 5, "page": 0, "perPage": 2, "hasMore": True}
        assert [s["id"] for s in middle["scores"]] == ["c", "d"]
        assert middle["pagination"] == {"total": 5, "page": 1, "perPage": 2, "hasMore": True}
        assert [s["id"] for s in last["scores"]] == ["e"]
        assert last["pagination"] == {"total": 5, "page": 2, "perPage": 2, "hasMore": False}
        assert beyond == {"scores": [], "pagination": {"total": 5, "page": 3, "perPage": 2, "hasMore": False}}


@pytest.mark.parametrize("pagination", [None, {}, {"page": 0}, {"perPage": False}, {"page": 0, "perPage": None}])
def test_without_per_page_everything_is_given(storage: Any, pagination: Any) -> None:
    save(storage, *(score(f"{place:03}") for place in range(120)))

    for answer in each_list(storage, pagination=pagination):
        assert len(ids(answer)) == 120
        assert answer["pagination"] == {"total": 120, "page": 0, "perPage": False, "hasMore": False}


def test_zero_per_page_is_zero_rows_and_no_count(storage: Any) -> None:
    save(storage, score("a"))

    nothing = {"scores": [], "pagination": {"total": 0, "page": 0, "perPage": 0, "hasMore": False}}
    assert each_list(storage, pagination={"page": 0, "perPage": 0}) == [nothing] * 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": -1, "perPage": 2},
        {"page": 0, "perPage": -1},
        {"page": 1, "perPage": False},
        {"page": 1},
        {"page": 0, "per_page": 2},
    ],
)
def test_impossible_pages_are_errors_not_defaults(storage: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="page"):
        storage.scores.list_scores_by_run_id(run_id="run-1", pagination=wrong)
