"""Agents that are created and changed at once."""

import asyncio
from typing import Any

import colonnade
from colonnade.errors import AlreadyExists
from tests.at_once import together

WORKERS = 8
ROUNDS = 5


def agent(id: str, worker: int) -> dict[str, Any]:
    return {"id": id, "name": f"by {worker}", "instructions": "Be brief.", "model": {}}


def test_of_threads_that_create_one_agent_exactly_one_succeeds(address: str) -> None:
    with colonnade.open(address) as store:
        for turn in range(ROUNDS):

            def create(worker: int, id: str = f"a{turn}") -> Any:
                try:
                    return store.agents.create_agent(agent=agent(id, worker))
                except AlreadyExists:
                    return None

            created = [given for given in together(create, WORKERS) if given is not None]
            assert len(created) == 1
            assert store.agents.get_agent_by_id(id=f"a{turn}") == created[0]


def test_of_tasks_that_create_one_agent_exactly_one_succeeds(address: str) -> None:
    async def main() -> Any:
        async with colonnade.aopen(address) as store:
            creations = [store.agents.create_agent(agent=agent("a1", worker)) for worker in range(WORKERS)]
            return await asyncio.gather(*creations, return_exceptions=True)

    answers = asyncio.run(main())
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert sum(isinstance(answer, AlreadyExists) for answer in answers) == WORKERS - 1


def test_threads_that_merge_metadata_lose_no_key(address: str) -> None:
    with colonnade.open(address) as store:
        store.agents.create_agent(agent=agent("a1", 0))

        def work(worker: int) -> None:
            for turn in range(ROUNDS):
                store.agents.update_agent(id="a1", metadata={f"{worker}-{turn}": worker})

        together(work, WORKERS)
        found = store.agents.get_agent_by_id(id="a1")

    assert found is not None
    assert found["metadata"] == {f"{worker}-{turn}": worker for worker in range(WORKERS) for turn in range(ROUNDS)}
