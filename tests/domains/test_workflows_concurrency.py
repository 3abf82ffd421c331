"""Updates of one run that meet: none is lost, and of two that resume it exactly one wins."""

import asyncio
from typing import Any

import pytest

import colonnade
from tests.at_once import together

WORKERS = 8
ROUNDS = 5
RUN: dict[str, Any] = {"workflow_name": "weather", "run_id": "r1"}


STEPS = {f"step-{worker}-{turn}": {"status": "success"} for worker in range(WORKERS) for turn in range(ROUNDS)}


@pytest.mark.parametrize("known", [True, False], ids=["a known run", "a run that is not there yet"])
def test_threads_that_update_distinct_steps_lose_no_result(address: str, known: bool) -> None:
    with colonnade.open(address) as store:
        if known:
            store.workflows.persist_workflow_snapshot(**RUN, snapshot={"status": "running", "context": {}})

        def work(worker: int) -> None:
            for turn in range(ROUNDS):
                store.workflows.update_workflow_results(
                    **RUN,
                    step_id=f"step-{worker}-{turn}",
                    result={"status": "success"},
                    request_context={f"{worker}": 1},
                )

        together(work, WORKERS)
        snapshot = store.workflows.load_workflow_snapshot(**RUN)

    assert snapshot is not None
    assert snapshot["context"] == STEPS
    assert snapshot["requestContext"] == {f"{worker}": 1 for worker in range(WORKERS)}


def test_tasks_that_update_distinct_steps_lose_no_result(address: str) -> None:
    async def main() -> Any:
        async with colonnade.aopen(address) as store:
            updates = [
                store.workflows.update_workflow_results(
                    **RUN, step_id=step_id, result={"status": "success"}, request_context={}
                )
                for step_id in STEPS
            ]
            await asyncio.gather(*updates)
            return await store.workflows.load_workflow_snapshot(**RUN)

    assert asyncio.run(main())["context"] == STEPS


def test_threads_that_write_slots_of_one_for_each_lose_no_slot(address: str) -> None:
    with colonnade.open(address) as store:

        def work(worker: int) -> None:
            output = [worker if slot == worker else None for slot in range(WORKERS)]
            store.workflows.update_workflow_results(**RUN, step_id="each", result={"output": output})

        together(work, WORKERS)
        snapshot = store.workflows.load_workflow_snapshot(**RUN)

    assert snapshot is not None
    assert snapshot["context"]["each"]["output"] == list(range(WORKERS))


SUSPENDED: dict[str, Any] = {"status": "suspended", "context": {}}


def test_of_threads_that_resume_one_run_exactly_one_wins(address: str) -> None:
    with colonnade.open(address) as store:
        for turn in range(ROUNDS):
            run = {"workflow_name": "weather", "run_id": f"r{turn}"}
            store.workflows.persist_workflow_snapshot(**run, snapshot=SUSPENDED)

            def resume(worker: int, run: dict[str, str] = run) -> Any:
                opts = {"status": "running", "result": {"by": worker}, "expectedStatus": "suspended"}
                return store.workflows.update_workflow_state(**run, opts=opts)

            winners = [given for given in together(resume, WORKERS) if given is not None]
            assert len(winners) == 1
            assert store.workflows.load_workflow_snapshot(**run) == winners[0]


def test_of_tasks_that_resume_one_run_exactly_one_wins(address: str) -> None:
    async def main() -> Any:
        async with colonnade.aopen(address) as store:
            await store.workflows.persist_workflow_snapshot(**RUN, snapshot=SUSPENDED)
            opts = {"status": "running", "expectedStatus": ["suspended", "paused"]}
            resumes = [store.workflows.update_workflow_state(**RUN, opts=opts) for _ in range(WORKERS)]
            return await asyncio.gather(*resumes)

    answers = asyncio.run(main())
    assert sum(answer is not None for answer in answers) == 1


def test_state_and_results_that_meet_both_hold(address: str) -> None:
    with colonnade.open(address) as store:
        store.workflows.persist_workflow_snapshot(**RUN, snapshot=SUSPENDED)

        def work(worker: int) -> None:
            if worker % 2:
                store.workflows.update_workflow_state(**RUN, opts={"status": "running"})
            else:
                store.workflows.update_workflow_results(**RUN, step_id=f"{worker}", result={})

        together(work, WORKERS)
        snapshot = store.workflows.load_workflow_snapshot(**RUN)

    assert snapshot == {"status": "running", "context": {f"{worker}": {} for worker in range(0, WORKERS, 2)}}


def test_supports_concurrent_updates_is_a_plain_method_in_both_colours(address: str) -> None:
    with colonnade.open(address) as store:
        assert store.workflows.supports_concurrent_updates() is True

    async def main() -> Any:
        async with colonnade.aopen(address) as store:
            return store.workflows.supports_concurrent_updates()

    assert asyncio.run(main()) is True
