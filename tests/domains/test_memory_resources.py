"""Resources and their working memory, by the storage contract §2.1."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import InvalidInput, InvalidRows

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
ADA = {"id": "ada", "workingMemory": "# Ada", "metadata": {"a": 1}, "createdAt": NOON, "updatedAt": NOON}


def test_a_resource_comes_back_as_it_was_saved(storage: Any) -> None:
    assert storage.memory.save_resource(resource=ADA) == ADA
    assert storage.memory.get_resource_by_id(resource_id="ada") == ADA


def test_a_resource_that_is_not_there_is_none(storage: Any) -> None:
    assert storage.memory.get_resource_by_id(resource_id="ada") is None


def test_saving_again_replaces_everything(storage: Any) -> None:
    storage.memory.save_resource(resource=ADA)
    other = {"id": "ada", "workingMemory": None, "metadata": None, "createdAt": NOON, "updatedAt": NOON}

    assert storage.memory.save_resource(resource=other) == other
    assert storage.memory.get_resource_by_id(resource_id="ada") == other


def test_what_a_resource_does_not_say_has_a_default(storage: Any) -> None:
    before = datetime.now(UTC)
    saved = storage.memory.save_resource(resource={"id": "ada"})

    assert saved == storage.memory.get_resource_by_id(resource_id="ada")
    assert (saved["workingMemory"], saved["metadata"]) == (None, None)
    assert before <= saved["createdAt"] == saved["updatedAt"] <= before + timedelta(hours=1)


def test_a_resource_that_the_schema_refuses_is_not_saved(storage: Any) -> None:
    for resource in ({}, {"id": ""}, {"id": "a", "working_memory": "x"}, {"id": "a", "workingMemory": 1}):
        with pytest.raises(InvalidRows):
            storage.memory.save_resource(resource=resource)

    assert storage.memory.get_resource_by_id(resource_id="a") is None


def test_metadata_of_a_resource_must_be_a_dict(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="metadata must be a dict"):
        storage.memory.save_resource(resource={"id": "ada", "metadata": ["a"]})
    with pytest.raises(InvalidInput, match="metadata must be a dict"):
        storage.memory.update_resource(resource_id="ada", metadata="a")

    assert storage.memory.get_resource_by_id(resource_id="ada") is None


def test_an_update_replaces_working_memory_and_keeps_metadata(storage: Any) -> None:
    storage.memory.save_resource(resource=ADA)
    now = datetime.now(UTC)

    updated = storage.memory.update_resource(resource_id="ada", working_memory="# New")

    assert updated == {**ADA, "workingMemory": "# New", "updatedAt": updated["updatedAt"]}
    assert updated["updatedAt"] >= now
    assert storage.memory.get_resource_by_id(resource_id="ada") == updated


def test_the_empty_text_is_a_value_and_nothing_leaves_working_memory(storage: Any) -> None:
    storage.memory.save_resource(resource=ADA)

    assert storage.memory.update_resource(resource_id="ada", metadata={})["workingMemory"] == "# Ada"
    assert storage.memory.update_resource(resource_id="ada", working_memory="")["workingMemory"] == ""
    assert storage.memory.get_resource_by_id(resource_id="ada")["workingMemory"] == ""


def test_an_update_merges_metadata_shallowly(storage: Any) -> None:
    storage.memory.save_resource(resource={**ADA, "metadata": {"stays": 1, "goes": {"a": 1}}})

    updated = storage.memory.update_resource(resource_id="ada", metadata={"goes": {"b": 2}, "new": None})

    assert updated["metadata"] == {"stays": 1, "goes": {"b": 2}, "new": None}
    assert updated["workingMemory"] == "# Ada"


def test_an_update_makes_a_resource_that_is_missing(storage: Any) -> None:
    before = datetime.now(UTC)
    made = storage.memory.update_resource(resource_id="ada", working_memory="# Ada")

    assert made == storage.memory.get_resource_by_id(resource_id="ada")
    assert (made["workingMemory"], made["metadata"]) == ("# Ada", {})
    assert before <= made["createdAt"] == made["updatedAt"]
    assert storage.memory.update_resource(resource_id="bob", metadata={"b": 1})["workingMemory"] is None


def test_an_update_is_always_later_than_the_last_change(storage: Any) -> None:
    future = datetime(2126, 1, 1, tzinfo=UTC)
    storage.memory.save_resource(resource={**ADA, "updatedAt": future})

    assert storage.memory.update_resource(resource_id="ada")["updatedAt"] == future + timedelta(microseconds=1)


def test_strange_working_memory_is_kept(storage: Any) -> None:
    text = "a\0b \ud83d ☃ ' \" -- \n" * 1000
    storage.memory.update_resource(resource_id="ada", working_memory=text, metadata={"\0": "\ud83d"})

    resource = storage.memory.get_resource_by_id(resource_id="ada")
    assert (resource["workingMemory"], resource["metadata"]) == (text, {"\0": "\ud83d"})
