"""Changing the snapshot of a run: results of steps, and the state of the whole."""

from datetime import UTC, datetime
from typing import Any

import pytest

from colonnade.errors import InvalidInput, NotFound

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RUN: dict[str, Any] = {"workflow_name": "weather", "run_id": "r1"}


def keep(storage: Any, **more: Any) -> dict[str, Any]:
    state = {"runId": "r1", "status": "running", "value": {}, "context": {"input": {"city": "Berlin"}}, **more}
    storage.workflows.persist_workflow_snapshot(
        **RUN, snapshot=state, resource_id="ada", created_at=NOON, updated_at=NOON
    )
    return state


def loaded(storage: Any) -> Any:
    return storage.workflows.load_workflow_snapshot(**RUN)


def result_of(storage: Any, step_id: str, result: Any, **context: Any) -> Any:
    return storage.workflows.update_workflow_results(**RUN, step_id=step_id, result=result, request_context=context)


def test_a_result_enters_the_context_and_the_whole_context_is_given(storage: Any) -> None:
    keep(storage)
    done = {"status": "success", "output": {"degrees": 3}}

    context = result_of(storage, "fetch", done)

    assert context == {"input": {"city": "Berlin"}, "fetch": done}
    assert loaded(storage)["context"] == context


def test_a_result_replaces_the_one_before(storage: Any) -> None:
    keep(storage)
    result_of(storage, "fetch", {"status": "suspended", "suspendPayload": {"ask": "?"}})

    assert result_of(storage, "fetch", {"status": "success"})["fetch"] == {"status": "success"}


def test_the_given_context_equals_what_is_loaded_later(storage: Any) -> None:
    keep(storage)

    context = result_of(storage, "fetch", {"output": ("a", "tuple"), "at": NOON, "ratio": float("-inf")})

    assert context == loaded(storage)["context"]


def test_request_context_is_merged_shallowly(storage: Any) -> None:
    keep(storage, requestContext={"user": {"name": "ada", "age": 36}, "plan": "pro"})

    result_of(storage, "fetch", {}, user={"name": "bob"}, locale="de")

    assert loaded(storage)["requestContext"] == {"user": {"name": "bob"}, "plan": "pro", "locale": "de"}


def test_the_rest_of_the_run_stays_and_updated_at_moves(storage: Any) -> None:
    state = keep(storage)

    result_of(storage, "fetch", {"status": "success"})

    run = storage.workflows.get_workflow_run_by_id(run_id="r1")
    assert run["createdAt"] == NOON < run["updatedAt"]
    assert run["resourceId"] == "ada"
    assert {**run["snapshot"], "context": None} == {**state, "context": None}


def test_a_result_for_a_run_that_is_not_there_creates_it_pending(storage: Any) -> None:
    context = result_of(storage, "fetch", {"status": "success"}, user="ada")

    assert context == {"fetch": {"status": "success"}}
    state = loaded(storage)
    assert state.pop("timestamp") > 1_700_000_000_000  # milliseconds
    assert state == {
        "runId": "r1",
        "status": "pending",
        "value": {},
        "context": context,
        "activePaths": [],
        "activeStepsPath": {},
        "suspendedPaths": {},
        "resumeLabels": {},
        "waitingPaths": {},
        "serializedStepGraph": [],
        "requestContext": {"user": "ada"},
    }
    assert storage.workflows.list_workflow_runs(status="pending")["total"] == 1


def test_a_result_for_a_snapshot_without_context_is_not_lost(storage: Any) -> None:
    keep(storage, context=None)

    assert result_of(storage, "fetch", {"status": "success"}) == {"fetch": {"status": "success"}}


@pytest.mark.parametrize("step_id", ["", None, 7])
def test_a_step_is_named_by_text(storage: Any, step_id: Any) -> None:
    with pytest.raises(InvalidInput, match="step_id"):
        result_of(storage, step_id, {})

    assert loaded(storage) is None


def test_array_outputs_are_merged_on_the_way_to_the_store(storage: Any) -> None:
    keep(storage)
    result_of(storage, "each", {"status": "running", "output": ["a", None, None]})
    result_of(storage, "each", {"status": "running", "output": [None, "b", None]})

    context = result_of(storage, "each", {"status": "success", "output": [None, None, "c"]})

    assert context["each"] == {"status": "success", "output": ["a", "b", "c"]}
    assert loaded(storage)["context"] == context


def change(storage: Any, **opts: Any) -> Any:
    return storage.workflows.update_workflow_state(**RUN, opts=opts)


def test_state_is_spread_shallowly_over_the_snapshot(storage: Any) -> None:
    state = keep(storage, suspendedPaths={"ask": [0]}, waitingPaths={"wait": [1]})
    changes = {
        "status": "suspended",
        "result": {"text": "later"},
        "error": {"message": "none"},
        "suspendedPaths": {"confirm": [2]},
        "waitingPaths": {},
        "resumeLabels": {"ok": {"stepId": "confirm"}},
        "activePaths": [2],
        "activeStepsPath": {"confirm": [2]},
        "tracingContext": {"traceId": "t1"},
    }

    given = change(storage, **changes)

    assert given == {**state, **changes}
    assert loaded(storage) == given
    run = storage.workflows.get_workflow_run_by_id(run_id="r1")
    assert (run["createdAt"], run["resourceId"]) == (NOON, "ada")
    assert run["updatedAt"] > NOON


def test_what_opts_do_not_name_stays(storage: Any) -> None:
    state = keep(storage, suspendedPaths={"ask": [0]})

    assert change(storage, status="canceled") == {**state, "status": "canceled"}


def test_state_of_a_run_that_is_not_there_is_none_and_nothing_is_made(storage: Any) -> None:
    assert change(storage, status="success") is None
    assert storage.workflows.list_workflow_runs()["total"] == 0


def test_a_snapshot_without_context_is_an_error(storage: Any) -> None:
    storage.workflows.persist_workflow_snapshot(**RUN, snapshot={"status": "running"})

    with pytest.raises(NotFound, match="Snapshot not found for runId r1"):
        change(storage, status="success")
    assert loaded(storage) == {"status": "running"}


def test_an_empty_context_is_a_context(storage: Any) -> None:
    keep(storage, context={})

    assert change(storage, status="success")["status"] == "success"


@pytest.mark.parametrize("guard", ["expectedStatus", "expected_status"])
@pytest.mark.parametrize("expected", ["suspended", ["paused", "suspended"]])
def test_with_the_expected_status_the_change_happens_and_the_guard_is_not_stored(
    storage: Any, guard: str, expected: Any
) -> None:
    state = keep(storage, status="suspended")

    given = change(storage, status="running", **{guard: expected})

    assert given == {**state, "status": "running"}
    assert loaded(storage) == given


@pytest.mark.parametrize("expected", ["suspended", ["paused", "suspended"], []])
def test_with_another_status_nothing_happens_and_none_is_given(storage: Any, expected: Any) -> None:
    state = keep(storage, status="running")
    before = storage.workflows.get_workflow_run_by_id(run_id="r1")

    assert change(storage, status="success", result={"text": "twice"}, expectedStatus=expected) is None

    assert loaded(storage) == state
    assert storage.workflows.get_workflow_run_by_id(run_id="r1") == before


def test_of_two_resumes_one_after_the_other_the_second_does_nothing(storage: Any) -> None:
    keep(storage, status="suspended")

    first = change(storage, status="running", expectedStatus="suspended")
    second = change(storage, status="running", expectedStatus="suspended")

    assert first is not None
    assert second is None


@pytest.mark.above_the_waist
@pytest.mark.parametrize(
    "wrong",
    [
        {"expctedStatus": "suspended"},
        {"suspended_paths": {}},
        {"expectedStatus": 7},
        {"expectedStatus": ["suspended", 7]},
        {"expectedStatus": "suspended", "expected_status": "suspended"},
    ],
)
def test_unknown_opts_are_refused_since_a_misspelt_guard_is_none(storage: Any, wrong: dict[str, Any]) -> None:
    state = keep(storage, status="suspended")

    with pytest.raises(InvalidInput):
        change(storage, status="running", **wrong)
    assert loaded(storage) == state
