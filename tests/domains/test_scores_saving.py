"""Saving scores and reading one back, line by line of the storage contract."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from colonnade.errors import InvalidInput, InvalidRows

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
REQUIRED = {"scorerId", "entityId", "runId", "output", "score", "scorer", "source", "entity"}


def payload(**more: Any) -> dict[str, Any]:
    return {
        "scorerId": "faithfulness",
        "entityId": "weather-agent",
        "runId": "run-1",
        "output": {"text": "3 degrees"},
        "score": 0.1,
        "scorer": {"name": "Faithfulness"},
        "source": "LIVE",
        "entity": {"id": "weather-agent"},
        **more,
    }


def count(storage: Any) -> int:
    return int(storage.scores.list_scores_by_run_id(run_id="run-1")["pagination"]["total"])


def test_a_score_gets_a_new_uuid_and_timestamps(storage: Any) -> None:
    before = datetime.now(UTC)
    first = storage.scores.save_score(score=payload())["score"]
    second = storage.scores.save_score(score=payload(id=None))["score"]

    assert UUID(first["id"]).version == 4
    assert first["id"] != second["id"]
    assert before <= first["createdAt"] == first["updatedAt"] < second["createdAt"]
    assert count(storage) == 2


def test_the_returned_score_equals_the_one_that_is_read(storage: Any) -> None:
    everything = payload(
        traceId="t1",
        spanId="s1",
        preprocessStepResult={"claims": ["a", "b"]},
        extractStepResult=[1, 2.5, None],
        analyzeStepResult={"verdict": True},
        score=0.1 + 0.2,
        reason="because NUL \0 and \ud800 are kept",
        metadata={"nested": {"deep": ["x"]}},
        preprocessPrompt="p",
        extractPrompt="e",
        generateScorePrompt="g",
        generateReasonPrompt="r",
        analyzePrompt="a",
        reasonPrompt="old",
        input=[{"role": "user", "content": "?"}],
        output=("a", "tuple"),
        additionalContext={"ratio": float("inf")},
        requestContext={"user": "ada"},
        entityType="AGENT",
        resourceId="ada",
        threadId="thread-1",
        batchId="batch",
        datasetId="data",
        datasetItemId="item",
        trial=2,
    )

    saved = storage.scores.save_score(score=everything)["score"]

    assert saved == storage.scores.get_score_by_id(id=saved["id"])
    assert saved["score"] == 0.30000000000000004
    assert {name: saved[name] for name in everything} == {**everything, "output": ["a", "tuple"]}


def test_what_is_absent_is_none_in_the_record(storage: Any) -> None:
    saved = storage.scores.save_score(score=payload())["score"]

    assert {name for name, value in saved.items() if value is None} >= {"reason", "traceId", "input", "metadata"}


def test_a_score_that_is_not_there_is_none(storage: Any) -> None:
    storage.scores.save_score(score=payload())

    assert storage.scores.get_score_by_id(id="nobody") is None


def test_a_given_id_is_honoured_and_saving_it_again_replaces(storage: Any) -> None:
    imported = payload(id="import-1", createdAt="2026-01-31T13:00:00+01:00", updatedAt=NOON)
    first = storage.scores.save_score(score=imported)["score"]
    again = storage.scores.save_score(score=imported)["score"]
    changed = storage.scores.save_score(score={**imported, "score": 1})["score"]

    assert (first["id"], first["createdAt"]) == ("import-1", NOON)
    assert first == again
    assert changed == {**first, "score": 1.0} == storage.scores.get_score_by_id(id="import-1")
    assert count(storage) == 1


def test_structured_output_is_accepted_and_dropped(storage: Any) -> None:
    saved = storage.scores.save_score(score=payload(structuredOutput={"schema": {}}))["score"]

    assert "structuredOutput" not in saved
    assert "structuredOutput" not in storage.scores.get_score_by_id(id=saved["id"])


@pytest.mark.above_the_waist
def test_all_that_is_missing_is_reported_at_once(storage: Any) -> None:
    with pytest.raises(InvalidRows) as refused:
        storage.scores.save_score(score={})

    assert {problem.field for problem in refused.value.problems} == REQUIRED
    assert len(refused.value.problems) == len(REQUIRED)
    assert all(problem.message == "is required" for problem in refused.value.problems)


@pytest.mark.above_the_waist
@pytest.mark.parametrize("field", sorted(REQUIRED))
def test_each_required_field_is_required(storage: Any, field: str) -> None:
    with pytest.raises(InvalidRows, match=f"{field} is required"):
        storage.scores.save_score(score=payload(**{field: None}))
    assert count(storage) == 0


@pytest.mark.above_the_waist
@pytest.mark.parametrize("source", ["live", "PROD", "", 7])
def test_the_source_is_live_or_test(storage: Any, source: Any) -> None:
    with pytest.raises(InvalidInput, match="source must be LIVE or TEST"):
        storage.scores.save_score(score=payload(source=source))

    assert storage.scores.save_score(score=payload(source="TEST"))["score"]["source"] == "TEST"


@pytest.mark.above_the_waist
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"score": float("nan")}, "score must be a finite number"),
        ({"score": "0.5"}, "score must be a number"),
        ({"score": True}, "score must be a number"),
        ({"runId": "a\0b"}, "runId holds a NUL"),
        ({"traceId": ""}, "traceId must not be empty"),
        ({"createdAt": datetime(2026, 1, 31)}, "createdAt is a naive datetime"),
        ({"scoredBy": "me"}, "scoredBy is unknown"),
    ],
)
def test_an_invalid_payload_is_refused_and_nothing_is_written(storage: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRows, match=said):
        storage.scores.save_score(score=payload(**wrong))
    assert count(storage) == 0


def test_many_scores_are_saved_at_once_in_their_order(storage: Any) -> None:
    saved = storage.scores.save_scores(scores=[payload(score=place / 8) for place in range(5)])["scores"]

    assert [score["score"] for score in saved] == [place / 8 for place in range(5)]
    assert len({score["id"] for score in saved}) == 5
    assert saved == [storage.scores.get_score_by_id(id=score["id"]) for score in saved]
    assert [s["score"] for s in storage.scores.list_scores_by_run_id(run_id="run-1")["scores"]] == [
        place / 8 for place in reversed(range(5))
    ]


def test_no_scores_are_saved_as_none(storage: Any) -> None:
    assert storage.scores.save_scores(scores=[]) == {"scores": []}


@pytest.mark.above_the_waist
def test_one_bad_score_keeps_all_from_being_written_and_every_bad_one_is_named(storage: Any) -> None:
    with pytest.raises(InvalidRows) as refused:
        storage.scores.save_scores(
            scores=[payload(), payload(source="x"), payload(score=None, entity=None), payload(runId="")]
        )

    assert {(problem.row, problem.field) for problem in refused.value.problems} == {
        (1, "source"),
        (2, "score"),
        (2, "entity"),
        (3, "runId"),
    }
    assert count(storage) == 0


def test_of_two_scores_with_one_id_the_last_is_kept(storage: Any) -> None:
    storage.scores.save_scores(scores=[payload(id="x", score=0.25), payload(id="x", score=0.75)])

    assert storage.scores.get_score_by_id(id="x")["score"] == 0.75
    assert count(storage) == 1


@pytest.mark.above_the_waist
def test_a_score_that_is_no_object_is_refused(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="row 1 is a str"):
        storage.scores.save_scores(scores=[payload(), "score"])
    assert count(storage) == 0


@pytest.mark.above_the_waist
@pytest.mark.parametrize("wrong", [iter([payload()]), payload(), "scores", None])
def test_scores_come_as_a_list_since_saving_may_be_tried_again(storage: Any, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="scores must be a list"):
        storage.scores.save_scores(scores=wrong)


def test_init_is_harmless_and_clear_all_deletes_scores_and_evals(storage: Any) -> None:
    storage.scores.save_score(score=payload(createdAt=NOON - timedelta(days=1)))

    assert storage.scores.init() is None
    assert count(storage) == 1
    assert storage.scores.dangerously_clear_all() is None
    assert count(storage) == 0
