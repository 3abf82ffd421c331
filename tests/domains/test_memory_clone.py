"""cloneThread, by the storage contract §2.1 and §2.3."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import AlreadyExists, InvalidInput, NotFound

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
THREAD = {
    "id": "source",
    "resourceId": "ada",
    "title": "Weather",
    "metadata": {"own": 1},
    "createdAt": NOON,
    "updatedAt": NOON,
}


def message(number: int, thread: str = "source", minute: int | None = None) -> dict[str, Any]:
    return {
        "id": f"{thread}-{number}",
        "threadId": thread,
        "resourceId": "ada",
        "role": "user" if number % 2 else "assistant",
        "type": "v2",
        "createdAt": NOON + (number if minute is None else minute) * MINUTE,
        "content": {"format": 2, "parts": [{"type": "text", "text": str(number)}]},
    }


ORIGINALS = [message(number) for number in range(5)]


@pytest.fixture
def memory(storage: Any) -> Any:
    storage.memory.save_thread(thread=THREAD)
    storage.memory.save_messages(messages=[*reversed(ORIGINALS), message(9, "other")])
    return storage.memory


def clone(memory: Any, **options: Any) -> Any:
    return memory.clone_thread(source_thread_id="source", **options)


def said(answer: dict[str, Any]) -> list[int]:
    return [int(copy["content"]["parts"][0]["text"]) for copy in answer["clonedMessages"]]


def test_a_clone_has_all_messages_under_new_ids_at_their_own_times(memory: Any) -> None:
    answer = clone(memory)
    copies = answer["clonedMessages"]
    thread = answer["thread"]["id"]

    assert [{**copy, "id": original["id"]} for copy, original in zip(copies, ORIGINALS, strict=True)] == [
        {**original, "threadId": thread} for original in ORIGINALS
    ]
    assert len({copy["id"] for copy in copies} | {original["id"] for original in ORIGINALS}) == 10
    assert memory.list_messages(thread_id=thread)["messages"] == copies


def test_the_source_stays_as_it_is(memory: Any) -> None:
    before = memory.get_thread_by_id(thread_id="source")
    clone(memory, title="Other", metadata={"x": 1}, resource_id="bob")

    assert memory.get_thread_by_id(thread_id="source") == before
    assert memory.list_messages(thread_id="source")["messages"] == ORIGINALS


def test_a_clone_is_titled_after_its_source_and_says_where_it_comes_from(memory: Any) -> None:
    before = datetime.now(UTC)
    answer = clone(memory, metadata={"given": 1, "clone": "overwritten"})
    thread = answer["thread"]
    cloned_at = datetime.fromisoformat(thread["metadata"]["clone"].pop("clonedAt"))

    assert thread["title"] == "Clone of Weather"
    assert thread["resourceId"] == "ada"
    assert thread["metadata"] == {"given": 1, "clone": {"sourceThreadId": "source", "lastMessageId": "source-4"}}
    assert before <= cloned_at == thread["createdAt"] == thread["updatedAt"]
    stored = memory.get_thread_by_id(thread_id=thread["id"])
    assert {**stored, "metadata": None} == {**thread, "metadata": None}
    assert stored["metadata"]["clone"]["clonedAt"] == cloned_at.isoformat()


def test_id_title_and_resource_of_a_clone_may_be_given(memory: Any) -> None:
    answer = clone(memory, new_thread_id="mine", title="Mine", resource_id="bob")

    assert (answer["thread"]["id"], answer["thread"]["title"], answer["thread"]["resourceId"]) == (
        "mine",
        "Mine",
        "bob",
    )
    assert {copy["resourceId"] for copy in answer["clonedMessages"]} == {"bob"}
    assert {copy["threadId"] for copy in answer["clonedMessages"]} == {"mine"}
    assert memory.list_messages(thread_id="mine", resource_id="bob")["total"] == 5


def test_a_clone_of_an_untitled_thread_is_untitled(memory: Any) -> None:
    memory.save_thread(thread={**THREAD, "title": ""})

    assert clone(memory)["thread"]["title"] == ""
    assert clone(memory, title="")["thread"]["title"] == ""


def test_the_map_of_messages_leads_from_old_ids_to_new_ones(memory: Any) -> None:
    answer = clone(memory)

    assert answer["messageIdMap"] == {
        original["id"]: copy["id"] for original, copy in zip(ORIGINALS, answer["clonedMessages"], strict=True)
    }


def test_a_source_that_is_not_there_is_not_found(memory: Any) -> None:
    with pytest.raises(NotFound, match="Source thread with id nowhere not found"):
        memory.clone_thread(source_thread_id="nowhere", new_thread_id="mine")

    assert memory.get_thread_by_id(thread_id="mine") is None


def test_a_target_that_is_there_already_is_refused(memory: Any) -> None:
    memory.save_thread(thread={**THREAD, "id": "other", "title": "Other"})
    for taken in ("other", "source"):
        before = memory.get_thread_by_id(thread_id=taken)
        with pytest.raises(AlreadyExists, match=f"Thread with id {taken} already exists"):
            clone(memory, new_thread_id=taken)
        assert memory.get_thread_by_id(thread_id=taken) == before

    assert memory.list_messages(thread_id="source")["messages"] == ORIGINALS
    assert memory.list_messages(thread_id="other")["messages"] == [message(9, "other")]


def test_messages_are_filtered_and_then_limited_to_the_last(memory: Any) -> None:
    def chosen(options: Any) -> list[int]:
        answer = clone(memory, options=options)
        assert memory.list_messages(thread_id=answer["thread"]["id"])["messages"] == answer["clonedMessages"]
        numbers = said(answer)
        last = answer["thread"]["metadata"]["clone"].get("lastMessageId")
        assert last == (f"source-{numbers[-1]}" if numbers else None)
        return numbers

    def filtered(**wanted: Any) -> list[int]:
        return chosen({"messageFilter": wanted})

    assert chosen(None) == chosen({}) == filtered() == [0, 1, 2, 3, 4]
    assert chosen({"messageLimit": 2}) == [3, 4]
    assert chosen({"messageLimit": 10**30}) == [0, 1, 2, 3, 4]
    assert chosen({"messageLimit": 0}) == []
    assert filtered(messageIds=["source-3", "source-1", "other-9", "unknown"]) == [1, 3]
    assert filtered(messageIds=[]) == []
    assert filtered(startDate=NOON + 2 * MINUTE) == [2, 3, 4]
    assert filtered(endDate=(NOON + 2 * MINUTE).isoformat()) == [0, 1, 2]
    between = {"startDate": NOON + MINUTE, "endDate": NOON + 3 * MINUTE}
    assert chosen({"messageFilter": between, "messageLimit": 2}) == [2, 3]
    some = {"messageIds": ["source-0", "source-1", "source-4"]}
    assert chosen({"messageFilter": some, "messageLimit": 2}) == [1, 4]


def test_messages_of_one_moment_keep_their_order(memory: Any) -> None:
    memory.save_messages(messages=[message(number, "tied", 0) for number in range(10, 60)])
    memory.save_thread(thread={**THREAD, "id": "tied"})

    answer = memory.clone_thread(source_thread_id="tied", options={"messageLimit": 49})

    assert said(answer) == list(range(11, 60))
    assert (
        memory.list_messages(thread_id=answer["thread"]["id"], per_page=False)["messages"] == answer["clonedMessages"]
    )


def test_options_that_cannot_be_used_are_refused(memory: Any) -> None:
    refused: list[Any] = [
        {"messageLimit": -1},
        {"messageLimit": True},
        {"messageLimit": "2"},
        {"message_limit": 2},
        {"messageFilter": {"message_ids": []}},
        {"messageFilter": {"messageIds": "source-1"}},
        {"messageFilter": {"startDate": datetime(2026, 1, 31)}},
        {"messageFilter": ["source-1"]},
        [2],
    ]
    for options in refused:
        with pytest.raises(InvalidInput):
            clone(memory, options=options)

    assert memory.list_threads()["total"] == 1


def test_what_cannot_be_kept_of_a_clone_is_refused_and_nothing_is_written(memory: Any) -> None:
    for given in ({"new_thread_id": ""}, {"resource_id": ""}, {"metadata": [1]}, {"title": 5}):
        with pytest.raises(InvalidInput):
            clone(memory, **given)

    assert memory.list_threads()["total"] == 1
    assert memory.list_messages_by_resource_id(resource_id="ada")["total"] == 6
