"""What several processes change at once, in one row: no change is lost in another one's, and none meets a lock."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.testing.processes import Elsewhere, at_once

PROCESSES = 4
ROUNDS = 15
Opened = Callable[..., list[Elsewhere]]
Call = tuple[str, dict[str, Any]]


def each_calls(processes: list[Elsewhere], call: Callable[[str], Call]) -> set[str]:
    """Have every process make calls of its own, each with a name that nobody else uses; all those names."""
    names = [[f"{worker}-{turn}" for turn in range(ROUNDS)] for worker in range(len(processes))]
    at_once(processes, [[call(name) for name in own] for own in names])
    return {name for own in names for name in own}


def test_metadata_of_one_thread(tmp_path: Path, opened: Opened) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r", "metadata": {"first": True}})
        names = each_calls(opened(PROCESSES), lambda name: ("memory.update_thread", {"id": "t", "metadata": {name: 1}}))
        thread = store.memory.get_thread_by_id(thread_id="t")

    assert thread is not None
    assert set(thread["metadata"]) == {"first", *names}


def test_metadata_of_one_message(tmp_path: Path, opened: Opened) -> None:
    message = {"id": "m", "threadId": "t", "resourceId": "r", "role": "user", "content": {"parts": []}}
    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
        store.memory.save_messages(messages=[message])
        names = each_calls(
            opened(PROCESSES),
            lambda name: (
                "memory.update_messages",
                {"messages": [{"id": "m", "content": {"metadata": {name: 1}}}]},
            ),
        )
        (found,) = store.memory.list_messages(thread_id="t")["messages"]

    assert set(found["content"]["metadata"]) == names


def test_working_memory_of_one_resource(tmp_path: Path, opened: Opened) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_resource(resource={"id": "r"})
        names = each_calls(
            opened(PROCESSES),
            lambda name: ("memory.update_resource", {"resource_id": "r", "metadata": {name: 1}}),
        )
        resource = store.memory.get_resource_by_id(resource_id="r")

    assert resource is not None
    assert set(resource["metadata"]) == names


@pytest.mark.parametrize("known", [True, False], ids=["a known run", "a run that is not there yet"])
def test_steps_of_one_run(tmp_path: Path, opened: Opened, known: bool) -> None:
    run = {"workflow_name": "weather", "run_id": "r"}
    with colonnade.open(tmp_path / "agent") as store:
        if known:
            store.workflows.persist_workflow_snapshot(**run, snapshot={"status": "running", "context": {}})
        names = each_calls(
            opened(PROCESSES),
            lambda name: ("workflows.update_workflow_results", {**run, "step_id": name, "result": {"by": name}}),
        )
        snapshot = store.workflows.load_workflow_snapshot(**run)

    assert snapshot is not None
    assert snapshot["context"] == {name: {"by": name} for name in names}


def test_slots_of_one_for_each(tmp_path: Path, opened: Opened) -> None:
    run = {"workflow_name": "weather", "run_id": "r"}

    def slot(worker: int) -> Call:
        output = [worker if place == worker else None for place in range(PROCESSES)]
        return "workflows.update_workflow_results", {**run, "step_id": "each", "result": {"output": output}}

    with colonnade.open(tmp_path / "agent") as store:
        at_once(opened(PROCESSES), [[slot(worker)] for worker in range(PROCESSES)])
        snapshot = store.workflows.load_workflow_snapshot(**run)

    assert snapshot is not None
    assert snapshot["context"]["each"]["output"] == list(range(PROCESSES))


def test_of_processes_that_resume_one_run_exactly_one_wins(tmp_path: Path, opened: Opened) -> None:
    runs = [{"workflow_name": "weather", "run_id": f"{turn}"} for turn in range(ROUNDS)]
    opts = {"status": "running", "expectedStatus": "suspended"}
    with colonnade.open(tmp_path / "agent") as store:
        for run in runs:
            store.workflows.persist_workflow_snapshot(**run, snapshot={"status": "suspended", "context": {}})
        resumed = [("workflows.update_workflow_state", {**run, "opts": opts}) for run in runs]
        answers = at_once(opened(PROCESSES), [resumed] * PROCESSES)

    for turn in range(ROUNDS):
        assert sum(own[turn] is not None for own in answers) == 1


def test_columns_of_one_span(tmp_path: Path, opened: Opened) -> None:
    """Spans are compared and set, where state has transactions."""
    span = {"traceId": "t", "spanId": "s", "name": "n", "startedAt": "2026-01-01T00:00:00Z"}
    columns = ("inputTokens", "outputTokens", "cachedTokens", "reasoningTokens")
    with colonnade.open(tmp_path / "agent") as store:
        store.observability.create_span(span=span)
        at_once(
            opened(len(columns), seal_often=True),
            [
                [
                    ("observability.update_span", {"trace_id": "t", "span_id": "s", "updates": {column: turn}})
                    for turn in range(ROUNDS)
                ]
                for column in columns
            ],
        )
        found = store.observability.get_span(trace_id="t", span_id="s")

    assert found is not None
    assert {column: found["span"][column] for column in columns} == dict.fromkeys(columns, ROUNDS - 1)


def test_a_thread_is_cloned_whole_while_messages_come_in(tmp_path: Path, opened: Opened) -> None:
    def messages(turn: int) -> list[dict[str, Any]]:
        one = {"threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
        return [{**one, "id": f"{turn}-{half}"} for half in "ab"]

    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
        saves: list[Call] = [("memory.save_messages", {"messages": messages(turn)}) for turn in range(ROUNDS)]
        clones: list[Call] = [("memory.clone_thread", {"source_thread_id": "t"})] * ROUNDS
        _, cloned = at_once(opened(2), [saves, clones])

    counts = [len(clone["clonedMessages"]) for clone in cloned]
    assert counts == sorted(counts), "what was saved once is never gone again"
    assert all(count % 2 == 0 for count in counts), "messages that were saved together are cloned together"


def test_processes_that_open_one_new_folder_at_once(tmp_path: Path, opened: Opened) -> None:
    processes = opened(6, folder=None)
    for turn in range(10):
        folder = str(tmp_path / f"agent{turn}")
        for process in processes:
            process.begin("open", folder)
        for process in processes:
            process.answer()
        threads = [{"id": f"{process.pid}", "resourceId": "r"} for process in processes]
        at_once(processes, [[("memory.save_thread", {"thread": thread})] for thread in threads])
        assert processes[0].memory.list_threads()["total"] == len(processes)
