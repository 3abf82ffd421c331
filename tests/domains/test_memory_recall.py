"""Recall by meaning (contract §11): vectors come and go with messages, and hits have their windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.domains.vectors import follow, in_pieces, text_of_message
from colonnade.engine.plan import Delete, Is, OneOf, Scan
from colonnade.errors import InvalidInput, NotFound
from colonnade.schemas import VECTORS

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SUBJECTS = ("refund", "weather", "music", "bicycle")


def embedder(texts: list[str]) -> list[list[float]]:
    """A vector of what a text is about: how often it names each subject."""
    return [[0.01 + text.lower().count(subject) for subject in SUBJECTS] for text in texts]


def say(storage: Any, *texts: str, thread: str = "t1", resource: str = "ada", role: str = "user") -> None:
    storage.memory.save_messages(
        messages=[
            {
                "id": f"{thread}-{n}",
                "threadId": thread,
                "resourceId": resource,
                "role": role,
                "createdAt": NOON + timedelta(minutes=n),
                "content": {"format": 2, "parts": [{"type": "text", "text": text}]},
            }
            for n, text in enumerate(texts)
        ]
    )


def vectors(storage: Any, **where: str) -> list[str]:
    filters = [Is(name, "=", value) for name, value in where.items()]
    plan = Scan(VECTORS, columns=("id",)) if not filters else Scan(VECTORS, filters[0], columns=("id",))
    return sorted(storage.execute(plan).column("id").to_pylist())


def recalled(storage: Any, **asked: Any) -> list[str]:
    found = storage.memory.recall(**{"thread_id": "t1", "resource_id": "ada", "embedder": embedder} | asked)
    return [hit["message"]["id"] for hit in found["hits"]]


def test_the_nearest_messages_come_first_with_their_neighbours(storage: Any) -> None:
    say(storage, "hello", "the weather", "a refund", "thanks", "music and weather", "bye")
    assert storage.memory.embed_messages(embedder=embedder) == 6
    found = storage.memory.recall(
        thread_id="t1", resource_id="ada", text="Weather?", embedder=embedder, top_k=2, message_range=1
    )
    first, second = found["hits"]
    assert (first["message"]["id"], second["message"]["id"]) == ("t1-1", "t1-4")
    assert first["score"] == 1.0 and 0.7 < second["score"] < 0.72
    assert [each["id"] for each in first["window"]] == ["t1-0", "t1-1", "t1-2"]
    assert [each["id"] for each in found["messages"]] == ["t1-0", "t1-1", "t1-2", "t1-3", "t1-4", "t1-5"]
    (only,) = storage.memory.recall(
        thread_id="t1", scope="thread", vector=[0, 1, 0, 0], top_k=1, message_range={"before": 0, "after": 2}
    )["hits"]
    assert [each["id"] for each in only["window"]] == ["t1-1", "t1-2", "t1-3"]


def test_scope_is_the_resource_over_all_its_threads_or_the_thread(storage: Any) -> None:
    say(storage, "a refund")
    say(storage, "a refund, music", thread="t2")
    say(storage, "a refund", thread="t3", resource="bob")
    storage.memory.embed_messages(embedder=embedder)
    assert recalled(storage, text="refund") == ["t1-0", "t2-0"]
    assert recalled(storage, text="refund", scope="thread") == ["t1-0"]
    with pytest.raises(InvalidInput, match="takes its resource_id"):
        recalled(storage, text="refund", resource_id=None)


def test_a_thread_of_another_resource_is_refused_and_a_missing_one_is_not(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "bob"})
    with pytest.raises(InvalidInput, match="belongs to another resource"):
        recalled(storage, text="refund")
    assert recalled(storage, text="refund", thread_id="nothing") == []


def test_a_threshold_leaves_out_what_is_far(storage: Any) -> None:
    say(storage, "weather", "music")
    storage.memory.embed_messages(embedder=embedder)
    assert recalled(storage, text="weather", threshold=0.9) == ["t1-0"]
    assert recalled(storage, text="weather", top_k=0) == []


def test_only_what_has_no_vector_is_embedded(storage: Any) -> None:
    said: list[str] = []

    def listening(texts: list[str]) -> list[list[float]]:
        said.extend(texts)
        return embedder(texts)

    say(storage, "weather", "", "music")
    assert storage.memory.embed_messages(embedder=listening, last=2) == 1
    assert said == ["music"]
    assert storage.memory.embed_messages(embedder=listening, thread_id="other") == 0
    assert storage.memory.embed_messages(embedder=listening, message_ids=["t1-0", "nothing"]) == 1
    assert storage.memory.embed_messages(embedder=listening) == 0
    assert said == ["music", "weather"]
    assert storage.memory.embed_messages(embedder=listening, model="second") == 2
    assert recalled(storage, text="music", top_k=1, model="second") == ["t1-2"]


def test_a_changed_message_loses_its_vector_and_an_unchanged_one_keeps_it(storage: Any) -> None:
    say(storage, "weather", "music", "refund")
    storage.memory.embed_messages(embedder=embedder)
    storage.memory.update_messages(
        messages=[
            {"id": "t1-0", "content": {"parts": [{"type": "text", "text": "bicycle"}]}},
            {"id": "t1-1", "role": "x"},
        ]
    )
    assert vectors(storage) == ["t1-1", "t1-2"]
    assert recalled(storage, text="weather", threshold=0.5) == []
    assert storage.memory.embed_messages(embedder=embedder) == 1
    assert recalled(storage, text="bicycle", top_k=1) == ["t1-0"]
    say(storage, "bicycle", "music", "something else")  # saved again, over what is there
    assert vectors(storage) == ["t1-0", "t1-1"]


def test_messages_are_embedded_when_they_are_saved_and_changed_with_an_embedder(storage: Any) -> None:
    said: list[str] = []

    def listening(texts: list[str]) -> list[list[float]]:
        said.extend(texts)
        return embedder(texts)

    whose = {"threadId": "t1", "resourceId": "ada", "role": "user"}
    messages = [{"id": "m1", "content": "weather", **whose}, {"id": "m2", "content": "music", **whose}]
    storage.memory.save_messages(messages=messages, embedder=listening)
    storage.memory.save_messages(messages=messages, embedder=listening)
    assert said == ["weather", "music"]
    storage.memory.update_messages(messages=[{"id": "m1", "content": "bicycle"}], embedder=listening)
    assert said == ["weather", "music", "bicycle"]
    assert recalled(storage, text="bicycle", top_k=1) == ["m1"]
    storage.memory.save_messages(messages=[], embedder=listening)

    def broken(texts: list[str]) -> list[list[float]]:
        raise RuntimeError("no such model")

    with pytest.raises(RuntimeError, match="no such model"):
        storage.memory.save_messages(messages=[{"id": "m3", "content": "refund", **whose}], embedder=broken)
    assert storage.memory.list_messages(thread_id="t1")["total"] == 3  # saved, and embedded later
    assert storage.memory.embed_messages(embedder=listening) == 1


def test_vectors_move_with_their_messages(storage: Any) -> None:
    say(storage, "weather")
    storage.memory.embed_messages(embedder=embedder)
    storage.memory.update_messages(messages=[{"id": "t1-0", "threadId": "t9", "resourceId": "bob"}])
    assert vectors(storage, thread_id="t9") == vectors(storage, resourceId="bob") == ["t1-0"]
    assert recalled(storage, text="weather", thread_id="t9", resource_id="bob") == ["t1-0"]
    assert recalled(storage, text="weather") == []


def test_vectors_go_with_messages_threads_and_everything(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t2", "resourceId": "ada"})
    say(storage, "weather", "music")
    say(storage, "weather", thread="t2")
    say(storage, "weather", thread="t3")
    storage.memory.embed_messages(embedder=embedder)
    storage.memory.delete_messages(["t1-0"])
    storage.memory.delete_thread(thread_id="t2")
    assert vectors(storage) == ["t1-1", "t3-0"]
    storage.memory.dangerously_clear_all()
    assert vectors(storage) == []


def test_a_cloned_thread_has_the_vectors_of_its_source(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
    say(storage, "weather", "music")
    storage.memory.embed_messages(embedder=embedder)
    cloned = storage.memory.clone_thread(source_thread_id="t1", new_thread_id="t2", resource_id="bob")
    assert vectors(storage, thread_id="t2") == sorted(cloned["messageIdMap"].values())
    assert recalled(storage, text="weather", thread_id="t2", resource_id="bob", top_k=1) == [
        cloned["messageIdMap"]["t1-0"]
    ]


@pytest.mark.parametrize("address", [":memory:", "agent", "agent.db"])
def test_a_message_that_changes_while_it_is_embedded_keeps_no_stale_vector(address: str, tmp_path: Path) -> None:
    with colonnade.open(address if address == ":memory:" else tmp_path / address) as storage:
        say(storage, "weather", "music")
        changed: list[str] = []

        def slow(texts: list[str]) -> list[list[float]]:
            if not changed:
                changed.append("t1-0")
                say(storage, "bicycle", "music")
                storage.memory.delete_messages(["t1-1"])
            return embedder(texts)

        storage.memory.embed_messages(embedder=slow)
        assert vectors(storage) == []
        storage.memory.embed_messages(embedder=slow)
        assert recalled(storage, text="bicycle", threshold=0.9) == ["t1-0"]


def test_a_long_message_is_embedded_in_pieces_and_found_once(storage: Any) -> None:
    say(storage, "music " * 3000 + "weather", "weather refund")
    assert storage.memory.embed_messages(embedder=embedder) == 2
    assert vectors(storage) == ["t1-0", "t1-0#1", "t1-1"]
    assert recalled(storage, text="music", top_k=2) == ["t1-0", "t1-1"]
    storage.memory.delete_messages(["t1-0"])
    assert vectors(storage) == ["t1-1"]


def test_what_cannot_be_recalled_or_embedded_is_refused(storage: Any) -> None:
    say(storage, "weather")
    for asked, said in (
        ({}, "either a text"),
        ({"text": "a", "vector": [1]}, "either a text"),
        ({"text": "a", "embedder": None}, "the embedder"),
        ({"text": " "}, "some text"),
        ({"vector": [0, 0]}, "zeros"),
        ({"vector": []}, "at least one dimension"),
        ({"vector": [1], "scope": "world"}, "scope"),
        ({"vector": [1], "top_k": -1}, "top_k"),
        ({"vector": [1], "message_range": {"above": 1}}, "no key 'above'"),
    ):
        with pytest.raises(InvalidInput, match=said):
            recalled(storage, **asked)
    for wrong, said in (
        (None, "function"),
        (lambda texts: [], "0 vectors"),
        (lambda texts: 5, "list of vectors"),
        (lambda texts: [["x"]], "list of vectors"),
    ):
        with pytest.raises(InvalidInput, match=said):
            storage.memory.embed_messages(embedder=wrong)


def test_the_last_messages_come_oldest_first_without_the_systems(storage: Any) -> None:
    say(storage, *"abcd")
    say(storage, "be brief", thread="t1-system", role="system")
    assert [each["id"] for each in storage.memory.last_messages(thread_id="t1", last=2)["messages"]] == ["t1-2", "t1-3"]
    assert len(storage.memory.last_messages(thread_id="t1")["messages"]) == 4
    assert storage.memory.last_messages(thread_id="t1-system")["messages"] == []
    assert storage.memory.last_messages(thread_id="t1", resource_id="bob")["messages"] == []


def test_working_memory_is_of_a_resource_or_of_a_thread(storage: Any) -> None:
    memory = storage.memory
    assert memory.get_working_memory(resource_id="ada") is None
    memory.update_working_memory(resource_id="ada", text="- likes columns")
    assert memory.get_working_memory(resource_id="ada") == "- likes columns"
    assert memory.get_resource_by_id(resource_id="ada")["workingMemory"] == "- likes columns"
    with pytest.raises(NotFound, match="t1 not found"):
        memory.update_working_memory(thread_id="t1", scope="thread", text="x")
    memory.save_thread(thread={"id": "t1", "resourceId": "ada", "metadata": {"plan": "pro"}})
    assert memory.get_working_memory(thread_id="t1", scope="thread") is None
    memory.update_working_memory(thread_id="t1", scope="thread", text="x")
    assert memory.get_working_memory(thread_id="t1", scope="thread") == "x"
    assert memory.get_thread_by_id(thread_id="t1")["metadata"] == {"plan": "pro", "workingMemory": "x"}
    assert memory.get_working_memory(resource_id="ada") == "- likes columns"
    with pytest.raises(InvalidInput, match="takes its thread_id"):
        memory.get_working_memory(resource_id="ada", scope="thread")
    with pytest.raises(InvalidInput, match="is text"):
        memory.update_working_memory(resource_id="ada", text={"a": 1})


def test_saving_a_thread_with_working_memory_writes_the_resource(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "metadata": {"workingMemory": "new"}})
    assert storage.memory.get_working_memory(resource_id="ada") == "new"
    storage.memory.save_thread(thread={"id": "t2", "resourceId": "ada", "metadata": {"workingMemory": 5}})
    assert storage.memory.get_working_memory(resource_id="ada") == "new"


def test_the_text_of_a_message_is_its_content_or_its_parts() -> None:
    assert text_of_message("hello") == "hello"
    assert text_of_message({"content": "a", "parts": [{"type": "text", "text": "b"}]}) == "a"
    parts = [{"type": "text", "text": "a"}, {"type": "file"}, {"type": "text", "text": "b"}]
    assert text_of_message({"content": "", "parts": parts}) == "a b"
    assert text_of_message("keep <working_memory>not\nthis</working_memory> this") == "keep  this"
    assert text_of_message({"parts": 5}) == text_of_message(None) == text_of_message([1]) == ""


def test_pieces_are_cut_between_words() -> None:
    assert in_pieces("one two three", 8) == ["one two", "three"]
    assert in_pieces("x" * 20, 8) == ["x" * 8, "x" * 8, "x" * 4]
    assert in_pieces("", 8) == []


def test_content_that_is_nested_too_deeply_to_be_compared_keeps_its_vector_by_its_text() -> None:
    def nested() -> list[Any]:
        found: list[Any] = []
        for _ in range(100_000):
            found = [found]
        return found

    message: dict[str, Any] = {"id": "m", "threadId": "t", "resourceId": "r"}
    before = message | {"content": {"content": "the same", "more": nested()}}
    now = message | {"content": {"content": "the same", "more": nested()}}
    assert list(follow([before], {"m": now})) == []
    now["content"]["content"] = "another"
    assert list(follow([before], {"m": now})) == [Delete(VECTORS, OneOf("message_id", ("m",)))]
