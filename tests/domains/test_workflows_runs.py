"""Workflow runs: kept, read, listed and deleted, line by line of the storage contract."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import InvalidInput

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def snapshot(run_id: str = "r1", status: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "runId": run_id,
        "status": status,
        "value": {},
        "context": {"input": {"city": "Berlin"}},
        "activePaths": [],
        "activeStepsPath": {},
        "suspendedPaths": {},
        "resumeLabels": {},
        "waitingPaths": {},
        "serializedStepGraph": [],
        "timestamp": 1_769_860_800_000,
        **more,
    }


def keep(storage: Any, run_id: str, at: datetime = NOON, workflow_name: str = "weather", **more: Any) -> None:
    state = snapshot(run_id, more.pop("status", "running"))
    storage.workflows.persist_workflow_snapshot(
        workflow_name=workflow_name, run_id=run_id, snapshot=state, created_at=at, **more
    )


def listed(storage: Any, **arguments: Any) -> list[str]:
    return [run["runId"] for run in storage.workflows.list_workflow_runs(**arguments)["runs"]]


def test_a_persisted_snapshot_is_loaded_as_it_was(storage: Any) -> None:
    state = snapshot(result={"text": "NUL \0 and \ud800", "number": float("inf")}, requestContext={"user": "ada"})

    kept = storage.workflows.persist_workflow_snapshot(workflow_name="weather", run_id="r1", snapshot=state)

    assert kept is None
    assert storage.workflows.load_workflow_snapshot(workflow_name="weather", run_id="r1") == state


def test_the_snapshot_of_a_run_that_is_not_there_is_none(storage: Any) -> None:
    keep(storage, "r1")

    assert storage.workflows.load_workflow_snapshot(workflow_name="weather", run_id="r2") is None
    assert storage.workflows.load_workflow_snapshot(workflow_name="news", run_id="r1") is None


def test_a_loaded_snapshot_is_a_deep_copy(storage: Any) -> None:
    given = snapshot()
    storage.workflows.persist_workflow_snapshot(workflow_name="weather", run_id="r1", snapshot=given)
    given["context"]["input"]["city"] = "changed by the writer"
    loaded = storage.workflows.load_workflow_snapshot(workflow_name="weather", run_id="r1")
    loaded["context"]["input"]["city"] = "changed by a reader"

    assert storage.workflows.load_workflow_snapshot(workflow_name="weather", run_id="r1") == snapshot()


def test_persisting_again_keeps_created_at_and_replaces_the_rest(storage: Any) -> None:
    later = NOON + timedelta(hours=1)
    keep(storage, "r1", NOON, resource_id="ada", updated_at=NOON)
    keep(storage, "r1", later, resource_id="bob", updated_at=later, status="success")

    assert storage.workflows.list_workflow_runs() == {
        "runs": [
            {
                "workflowName": "weather",
                "runId": "r1",
                "resourceId": "bob",
                "snapshot": snapshot(status="success"),
                "createdAt": NOON,
                "updatedAt": later,
            }
        ],
        "total": 1,
    }


def test_persisting_without_a_resource_replaces_the_resource_too(storage: Any) -> None:
    keep(storage, "r1", resource_id="ada")
    keep(storage, "r1")

    assert storage.workflows.get_workflow_run_by_id(run_id="r1")["resourceId"] is None


def test_times_are_now_unless_given(storage: Any) -> None:
    before = datetime.now(UTC)
    storage.workflows.persist_workflow_snapshot(workflow_name="weather", run_id="r1", snapshot=snapshot())
    first = storage.workflows.get_workflow_run_by_id(run_id="r1")
    storage.workflows.persist_workflow_snapshot(workflow_name="weather", run_id="r1", snapshot=snapshot())
    second = storage.workflows.get_workflow_run_by_id(run_id="r1")

    assert before <= first["createdAt"] == first["updatedAt"] == second["createdAt"] < second["updatedAt"]


def test_times_may_be_iso_text_with_an_offset(storage: Any) -> None:
    storage.workflows.persist_workflow_snapshot(
        workflow_name="weather",
        run_id="r1",
        snapshot=snapshot(),
        created_at="2026-01-31T13:00:00.000001+01:00",
        updated_at="2026-01-31T12:00:01Z",
    )

    run = storage.workflows.get_workflow_run_by_id(run_id="r1")
    assert (run["createdAt"], run["updatedAt"]) == (NOON + TICK, NOON + timedelta(seconds=1))


@pytest.mark.above_the_waist
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"run_id": ""}, "runId must not be empty"),
        ({"run_id": "a\0b"}, "NUL"),
        ({"snapshot": "running"}, "snapshot must be an object"),
        ({"snapshot": None}, "snapshot must be an object"),
        ({"created_at": datetime(2026, 1, 31)}, "naive"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(storage: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        storage.workflows.persist_workflow_snapshot(
            **{"workflow_name": "weather", "run_id": "r1", "snapshot": snapshot(), **wrong}
        )

    assert storage.workflows.list_workflow_runs() == {"runs": [], "total": 0}


def test_runs_of_one_id_are_kept_apart_by_workflow(storage: Any) -> None:
    keep(storage, "r1", status="success")
    keep(storage, "r1", workflow_name="news", status="failed")

    load = storage.workflows.load_workflow_snapshot
    assert load(workflow_name="weather", run_id="r1")["status"] == "success"
    assert load(workflow_name="news", run_id="r1")["status"] == "failed"


def test_runs_are_listed_newest_created_first_and_ties_by_name_and_id(storage: Any) -> None:
    keep(storage, "b")
    keep(storage, "old", NOON - TICK)
    keep(storage, "a")
    keep(storage, "new", NOON + TICK)
    keep(storage, "z", workflow_name="news")

    assert listed(storage) == ["new", "z", "a", "b", "old"]


def test_runs_are_filtered_by_workflow_resource_and_both(storage: Any) -> None:
    keep(storage, "r1", resource_id="ada")
    keep(storage, "r2", resource_id="bob")
    keep(storage, "r3", workflow_name="news", resource_id="ada")
    keep(storage, "r4")

    assert set(listed(storage, workflow_name="weather")) == {"r1", "r2", "r4"}
    assert set(listed(storage, resource_id="ada")) == {"r1", "r3"}
    assert listed(storage, resource_id="ada", workflow_name="news") == ["r3"]
    assert storage.workflows.list_workflow_runs(resource_id="eve") == {"runs": [], "total": 0}


def test_status_is_the_top_level_status_of_the_snapshot(storage: Any) -> None:
    inner = {"status": "success", "steps": {"status": "failed"}}
    state = snapshot("r1", "suspended", context={"step": inner, "status": "failed"})
    storage.workflows.persist_workflow_snapshot(workflow_name="weather", run_id="r1", snapshot=state)
    keep(storage, "r2", status="success")

    assert listed(storage, status="suspended") == ["r1"]
    assert listed(storage, status="success") == ["r2"]
    assert storage.workflows.list_workflow_runs(status="failed") == {"runs": [], "total": 0}


def test_a_status_with_a_quote_or_a_wildcard_is_only_text(storage: Any) -> None:
    keep(storage, "r1", status="running")

    assert listed(storage, status="run%") == []
    assert listed(storage, status="x' or '1'='1") == []


def test_both_dates_are_inclusive_to_the_microsecond(storage: Any) -> None:
    for place in range(-2, 3):
        keep(storage, str(place), NOON + place * TICK)

    assert listed(storage, from_date=NOON - TICK, to_date=NOON + TICK) == ["1", "0", "-1"]
    assert listed(storage, from_date=NOON + TICK) == ["2", "1"]
    assert listed(storage, to_date="2026-01-31T13:00:00+01:00") == ["0", "-1", "-2"]
    with pytest.raises(InvalidInput, match="naive"):
        storage.workflows.list_workflow_runs(from_date="2026-01-31T12:00:00")


def test_total_counts_before_paging(storage: Any) -> None:
    for place in range(5):
        keep(storage, str(place), NOON + place * TICK)

    page = storage.workflows.list_workflow_runs(page=1, per_page=2)
    assert ([run["runId"] for run in page["runs"]], page["total"]) == (["2", "1"], 5)
    last = storage.workflows.list_workflow_runs(page=2, per_page=2)
    assert ([run["runId"] for run in last["runs"]], last["total"]) == (["0"], 5)
    beyond = storage.workflows.list_workflow_runs(page=9, per_page=2)
    assert beyond == {"runs": [], "total": 5}


def test_everything_is_listed_unless_both_page_and_per_page_are_given(storage: Any) -> None:
    for place in range(5):
        keep(storage, str(place))

    assert len(listed(storage, per_page=2)) == 5
    assert len(listed(storage, page=1)) == 5
    assert len(listed(storage, page=0, per_page=False)) == 5
    assert storage.workflows.list_workflow_runs(page=0, per_page=0) == {"runs": [], "total": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": -1, "per_page": 2},
        {"page": 0, "per_page": -1},
        {"page": -1},
        {"per_page": -1},
        {"page": 1, "per_page": False},
    ],
)
def test_impossible_pages_are_errors_not_defaults(storage: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="page"):
        storage.workflows.list_workflow_runs(**wrong)


def test_a_run_is_found_by_id_and_workflow(storage: Any) -> None:
    keep(storage, "r1", NOON, resource_id="ada", updated_at=NOON + TICK)
    keep(storage, "r1", NOON + TICK, workflow_name="news")

    assert storage.workflows.get_workflow_run_by_id(run_id="r1", workflow_name="weather") == {
        "workflowName": "weather",
        "runId": "r1",
        "resourceId": "ada",
        "snapshot": snapshot(),
        "createdAt": NOON,
        "updatedAt": NOON + TICK,
    }
    assert storage.workflows.get_workflow_run_by_id(run_id="r2") is None
    assert storage.workflows.get_workflow_run_by_id(run_id="r1", workflow_name="sports") is None


def test_without_a_name_the_newest_run_of_an_id_is_given(storage: Any) -> None:
    keep(storage, "r1", NOON, workflow_name="a")
    keep(storage, "r1", NOON + TICK, workflow_name="b")
    keep(storage, "r1", NOON - TICK, workflow_name="c")

    assert storage.workflows.get_workflow_run_by_id(run_id="r1")["workflowName"] == "b"


def test_deleting_a_run_deletes_only_that_and_is_idempotent(storage: Any) -> None:
    keep(storage, "r1")
    keep(storage, "r2")
    keep(storage, "r1", workflow_name="news")

    for _ in range(2):
        deleted = storage.workflows.delete_workflow_run_by_id(run_id="r1", workflow_name="weather")
        assert deleted is None

    left = storage.workflows.list_workflow_runs()
    assert left["total"] == 2
    assert {(run["workflowName"], run["runId"]) for run in left["runs"]} == {("weather", "r2"), ("news", "r1")}


def test_init_is_harmless_and_clear_all_deletes_every_run(storage: Any) -> None:
    keep(storage, "r1")

    assert storage.workflows.init() is None
    assert listed(storage) == ["r1"]
    assert storage.workflows.dangerously_clear_all() is None
    assert storage.workflows.list_workflow_runs() == {"runs": [], "total": 0}
