"""Evals: the results of metrics in the layout of the source documents."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from colonnade.errors import InvalidInput, InvalidRows

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
RUN, OTHER_RUN = "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"
CI, OTHER_CI = "650e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440001"


def result(**more: Any) -> dict[str, Any]:
    return {
        "input": "How warm is it?",
        "output": "3 degrees",
        "result": {"score": 0.95, "details": {"reason": "It is.", "citations": ["page 1"]}},
        "agentName": "weather",
        "metricName": "Faithfulness",
        "instructions": "Answer in one line.",
        "globalRunId": CI,
        "runId": RUN,
        **more,
    }


def save(storage: Any, *evals: dict[str, Any]) -> Any:
    return storage.scores.save_evals(evals=evals)["evals"]


def ids(storage: Any, **arguments: Any) -> list[str]:
    answer = storage.scores.list_evals(**arguments)
    assert answer["pagination"]["total"] == len(answer["evals"])
    return [row["id"] for row in answer["evals"]]


def test_an_eval_gets_an_id_empty_test_info_and_a_time(storage: Any) -> None:
    before = datetime.now(UTC)
    [saved] = save(storage, result())

    assert UUID(saved["id"]).version == 4
    assert saved["testInfo"] == {}
    assert before <= saved["createdAt"] <= datetime.now(UTC) + timedelta(seconds=1)
    assert {name: saved[name] for name in result()} == result()


def test_the_saved_evals_equal_those_that_are_read(storage: Any) -> None:
    given = [
        result(id="a", testInfo={"testName": "warm", "testPath": "t.py"}, createdAt=NOON),
        result(id="b", output="NUL \0", result={"score": float("nan")}, createdAt=NOON - TICK),
    ]

    saved = save(storage, *given)

    assert repr(storage.scores.list_evals()["evals"]) == repr(saved)  # NaN is not equal to itself
    assert saved[0] == given[0]


def test_a_given_id_is_honoured_and_replaces(storage: Any) -> None:
    save(storage, result(id="a", createdAt=NOON))
    save(storage, result(id="a", createdAt=NOON, output="4 degrees"))

    assert [row["output"] for row in storage.scores.list_evals()["evals"]] == ["4 degrees"]


def test_run_ids_are_uuids_in_any_spelling(storage: Any) -> None:
    [saved] = save(storage, result(id="a", runId=UUID(RUN), globalRunId=CI.upper()))

    assert (saved["runId"], saved["globalRunId"]) == (RUN, CI)
    assert ids(storage, run_id=RUN.upper()) == ids(storage, global_run_id=UUID(CI)) == ["a"]
    with pytest.raises(InvalidRows, match="runId must be a UUID"):
        save(storage, result(runId="run-1"))


def test_all_problems_of_all_evals_are_reported_and_none_is_written(storage: Any) -> None:
    with pytest.raises(InvalidRows) as refused:
        save(storage, result(), {}, result(globalRunId="x", extra=1))

    found = {(problem.row, problem.field) for problem in refused.value.problems}
    required = {(1, name) for name in result()}
    assert found == required | {(2, "globalRunId"), (2, "extra")}
    assert ids(storage) == []


def test_no_evals_are_saved_as_none(storage: Any) -> None:
    assert storage.scores.save_evals(evals=[]) == {"evals": []}


def test_evals_are_listed_newest_first_and_ties_by_id(storage: Any) -> None:
    save(storage, result(id="b", createdAt=NOON), result(id="old", createdAt=NOON - TICK))
    save(storage, result(id="new", createdAt=NOON + TICK), result(id="a", createdAt=NOON))

    assert ids(storage) == ["new", "a", "b", "old"]


def test_evals_are_filtered_by_agent_metric_and_runs(storage: Any) -> None:
    save(
        storage,
        result(id="a", createdAt=NOON),
        result(id="b", createdAt=NOON, agentName="news"),
        result(id="c", createdAt=NOON, metricName="Toxicity"),
        result(id="d", createdAt=NOON, runId=OTHER_RUN),
        result(id="e", createdAt=NOON, globalRunId=OTHER_CI),
    )

    assert ids(storage, agent_name="news") == ["b"]
    assert ids(storage, metric_name="Toxicity") == ["c"]
    assert ids(storage, run_id=OTHER_RUN) == ["d"]
    assert ids(storage, global_run_id=OTHER_CI) == ["e"]
    assert ids(storage, agent_name="weather", metric_name="Faithfulness", run_id=RUN, global_run_id=CI) == ["a"]
    with pytest.raises(InvalidInput, match="must be a UUID"):
        ids(storage, run_id="run-1")


def test_both_dates_are_inclusive_to_the_microsecond(storage: Any) -> None:
    save(storage, *(result(id=str(place), createdAt=NOON + place * TICK) for place in range(-2, 3)))

    assert ids(storage, from_date=NOON - TICK, to_date=NOON + TICK) == ["1", "0", "-1"]
    assert ids(storage, from_date="2026-01-31T13:00:00.000001+01:00") == ["2", "1"]


def test_pages_have_the_nested_shape(storage: Any) -> None:
    save(storage, *(result(id=id, createdAt=NOON) for id in "abc"))

    page = storage.scores.list_evals(page=1, per_page=2)
    assert [row["id"] for row in page["evals"]] == ["c"]
    assert page["pagination"] == {"total": 3, "page": 1, "perPage": 2, "hasMore": False}
    assert storage.scores.list_evals(page=0, per_page=2)["pagination"]["hasMore"] is True


def test_without_per_page_everything_is_given_and_zero_is_nothing(storage: Any) -> None:
    save(storage, *(result() for _ in range(120)))

    assert len(ids(storage)) == 120
    assert len(ids(storage, per_page=False)) == 120
    nothing = {"total": 0, "page": 0, "perPage": 0, "hasMore": False}
    assert storage.scores.list_evals(per_page=0) == {"evals": [], "pagination": nothing}


@pytest.mark.parametrize("wrong", [{"page": -1}, {"per_page": -1}, {"page": 1}, {"page": 1, "per_page": False}])
def test_impossible_pages_are_errors_not_defaults(storage: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="page"):
        storage.scores.list_evals(**wrong)


def test_clear_all_of_the_domain_deletes_evals_too(storage: Any) -> None:
    save(storage, result())
    storage.scores.dangerously_clear_all()

    assert ids(storage) == []
