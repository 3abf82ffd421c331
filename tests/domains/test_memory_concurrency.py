"""Changes of one memory that meet: none is lost, on a store with transactions and on one that compares and sets."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import colonnade
from colonnade.errors import AlreadyExists
from tests.at_once import together

WORKERS = 6
ROUNDS = 4


def message(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "threadId": "t", "resourceId": "ada", "role": "user", "content": {"metadata": {}}, **more}


def test_updates_of_a_resource_at_the_same_time_are_all_visible(address: str) -> None:
    with colonnade.open(address) as store:

        def work(worker: int) -> None:
            for turn in range(ROUNDS):
                store.memory.update_resource(resource_id="ada", metadata={f"{worker}-{turn}": True})

        together(work, WORKERS)
        resource = store.memory.get_resource_by_id(resource_id="ada")

    assert resource is not None
    assert resource["metadata"] == {f"{worker}-{turn}": True for worker in range(WORKERS) for turn in range(ROUNDS)}


def test_async_updates_of_a_resource_at_the_same_time_are_all_visible(address: str) -> None:
    async def main() -> Any:
        async with colonnade.aopen(address) as store:
            await asyncio.gather(
                *(store.memory.update_resource(resource_id="ada", metadata={f"{n}": True}) for n in range(12))
            )
            return await store.memory.get_resource_by_id(resource_id="ada")

    assert asyncio.run(main())["metadata"] == {f"{n}": True for n in range(12)}


def test_updates_of_a_thread_and_of_its_messages_lose_nothing(address: str) -> None:
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada"})
        store.memory.save_messages(messages=[message("shared")])

        def work(worker: int) -> None:
            for turn in range(ROUNDS):
                name = f"{worker}-{turn}"
                store.memory.save_messages(messages=[message(name)])
                store.memory.update_thread(id="t", metadata={name: True})
                store.memory.update_messages(messages=[{"id": "shared", "content": {"metadata": {name: True}}}])

        together(work, WORKERS)
        thread = store.memory.get_thread_by_id(thread_id="t")
        messages = store.memory.list_messages(thread_id="t", per_page=False)["messages"]

    names = {f"{worker}-{turn}" for worker in range(WORKERS) for turn in range(ROUNDS)}
    assert thread is not None
    assert set(thread["metadata"]) == names
    assert {found["id"] for found in messages} == names | {"shared"}
    assert set(messages[0]["content"]["metadata"]) == names


def test_updated_at_of_a_thread_never_moves_back(address: str) -> None:
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada"})
        seen: list[list[datetime]] = []

        def work(worker: int) -> None:
            mine = []
            for turn in range(ROUNDS):
                store.memory.save_messages(messages=[message(f"{worker}-{turn}")])
                found = store.memory.get_thread_by_id(thread_id="t")
                assert found is not None
                mine.append(found["updatedAt"])
            seen.append(mine)

        together(work, WORKERS)

    for times in seen:
        assert times == sorted(times)


def test_of_many_that_clone_into_one_thread_exactly_one_wins(address: str) -> None:
    with colonnade.open(address) as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada"})
        store.memory.save_messages(messages=[message(f"m{n}", createdAt=datetime.now(UTC)) for n in range(3)])

        def work(worker: int) -> bool:
            try:
                store.memory.clone_thread(source_thread_id="t", new_thread_id="copy")
            except AlreadyExists:
                return False
            return True

        assert sum(together(work, WORKERS)) == 1
        assert store.memory.list_messages(thread_id="copy")["total"] == 3


def test_a_message_that_moves_while_others_change_it_is_in_one_thread(address: str) -> None:
    with colonnade.open(address) as store:
        store.memory.save_messages(messages=[message("m")])

        def work(worker: int) -> None:
            store.memory.update_messages(
                messages=[{"id": "m", "threadId": f"t{worker}", "content": {"metadata": {f"{worker}": 1}}}]
            )

        together(work, WORKERS)
        found = store.memory.list_messages(thread_id=["t", *(f"t{worker}" for worker in range(WORKERS))])["messages"]

    assert len(found) == 1
    assert set(found[0]["content"]["metadata"]) == {f"{worker}" for worker in range(WORKERS)}
