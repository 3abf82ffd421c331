"""Threads, by the storage contract §2.1 and §2.3."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from colonnade.engine.plan import Put
from colonnade.errors import InvalidInput, InvalidRows, NotFound
from colonnade.schemas.memory import THREADS
from colonnade.schemas.records import encode

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def keep(storage: Any, id: str = "t1", resource: str = "ada", minute: int = 0, **more: Any) -> dict[str, Any]:
    at = NOON + minute * MINUTE
    thread = {
        "id": id,
        "resourceId": resource,
        "title": "Weather",
        "metadata": {"k": 1},
        "createdAt": at,
        "updatedAt": at,
    }
    kept: dict[str, Any] = storage.memory.save_thread(thread={**thread, **more})
    return kept


def say(storage: Any, id: str, thread: str = "t1") -> None:
    storage.memory.save_messages(
        messages=[{"id": id, "threadId": thread, "resourceId": "ada", "role": "user", "content": "hello"}]
    )


def ids(page: dict[str, Any]) -> list[str]:
    return [thread["id"] for thread in page["threads"]]


# --- getThreadById, saveThread ---


def test_a_thread_comes_back_as_it_was_saved(storage: Any) -> None:
    kept = keep(storage)

    assert kept == {
        "id": "t1",
        "resourceId": "ada",
        "title": "Weather",
        "metadata": {"k": 1},
        "createdAt": NOON,
        "updatedAt": NOON,
    }
    assert storage.memory.get_thread_by_id(thread_id="t1") == kept


def test_a_thread_that_is_not_there_is_none(storage: Any) -> None:
    keep(storage)

    assert storage.memory.get_thread_by_id(thread_id="other") is None
    assert storage.memory.get_thread_by_id(thread_id=None) is None


def test_timestamps_of_one_thread_equal_those_of_the_list(storage: Any) -> None:
    keep(storage, createdAt=datetime(2026, 7, 1, 8, 30, 0, 1, tzinfo=timezone(timedelta(hours=-7))))

    one = storage.memory.get_thread_by_id(thread_id="t1")
    (listed,) = storage.memory.list_threads_by_resource_id(resource_id="ada")["threads"]

    assert one == listed
    assert one["createdAt"] == datetime(2026, 7, 1, 15, 30, 0, 1, tzinfo=UTC)
    assert one["createdAt"].tzinfo is UTC


def test_a_thread_is_found_only_for_its_resource_where_one_is_given(storage: Any) -> None:
    kept = keep(storage)

    assert storage.memory.get_thread_by_id(thread_id="t1", resource_id="ada") == kept
    assert storage.memory.get_thread_by_id(thread_id="t1", resource_id="bob") is None


def test_saving_again_replaces_title_metadata_resource_and_timestamps(storage: Any) -> None:
    keep(storage)
    again = keep(storage, resource="bob", minute=1, title="News", metadata={"new": True})

    assert storage.memory.get_thread_by_id(thread_id="t1") == again
    assert (again["resourceId"], again["title"], again["metadata"]) == ("bob", "News", {"new": True})
    assert again["createdAt"] == again["updatedAt"] == NOON + MINUTE
    assert storage.memory.list_threads()["total"] == 1


def test_what_a_thread_does_not_say_has_a_default(storage: Any) -> None:
    before = datetime.now(UTC)
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
    after = datetime.now(UTC) + timedelta(seconds=1)

    thread = storage.memory.get_thread_by_id(thread_id="t1")

    assert thread["title"] == ""
    assert thread["metadata"] is None
    assert before <= thread["createdAt"] == thread["updatedAt"] <= after


def test_a_thread_that_the_schema_refuses_is_not_saved(storage: Any) -> None:
    naive = datetime(2026, 1, 31)
    for thread, field, says in (
        ({"resourceId": "ada"}, "id", "is required"),
        ({"id": "t1"}, "resourceId", "is required"),
        ({"id": "t1", "resourceId": "ada", "createdAt": naive}, "createdAt", "is a naive datetime"),
        ({"id": "t1", "resourceId": "ada", "user_id": 1}, "user_id", "is unknown"),
        ({"id": "a\0b", "resourceId": "ada"}, "id", "holds a NUL"),
    ):
        with pytest.raises(InvalidRows, match=says) as refused:
            storage.memory.save_thread(thread=thread)
        assert [problem.field for problem in refused.value.problems] == [field]

    assert storage.memory.list_threads()["total"] == 0


@pytest.mark.above_the_waist
def test_metadata_that_is_no_dict_is_refused(storage: Any) -> None:
    keep(storage)
    for metadata in ([1], "text", 1):
        with pytest.raises(InvalidInput, match="metadata must be a dict"):
            keep(storage, metadata=metadata)
        with pytest.raises(InvalidInput, match="metadata must be a dict"):
            storage.memory.update_thread(id="t1", metadata=metadata)

    assert storage.memory.get_thread_by_id(thread_id="t1")["metadata"] == {"k": 1}


@pytest.mark.above_the_waist
def test_a_thread_that_is_no_dict_is_refused(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="not a dict of fields"):
        storage.memory.save_thread(thread=[("id", "t1")])


def test_strange_metadata_and_titles_are_kept(storage: Any) -> None:
    strange = {"nul": "a\0b", "half": "\ud83d", "quote": "'; DROP TABLE threads --", "deep": [{"x": [1.5, None, True]}]}
    kept = keep(storage, title="nul \0 ' \" ☃", metadata=strange)

    assert kept["metadata"] == strange
    assert kept["title"] == "nul \0 ' \" ☃"
    assert storage.memory.get_thread_by_id(thread_id="t1") == kept


# --- updateThread ---


def test_an_update_sets_the_title_and_merges_metadata_shallowly(storage: Any) -> None:
    keep(storage, metadata={"stays": 1, "goes": {"a": 1, "b": 2}})

    updated = storage.memory.update_thread(id="t1", title="News", metadata={"goes": {"a": 3}, "new": None})

    assert updated["title"] == "News"
    assert updated["metadata"] == {"stays": 1, "goes": {"a": 3}, "new": None}
    assert updated["resourceId"] == "ada"
    assert updated["createdAt"] == NOON
    assert storage.memory.get_thread_by_id(thread_id="t1") == updated


def test_an_update_is_now_and_always_later_than_the_last_change(storage: Any) -> None:
    keep(storage)
    before = datetime.now(UTC)
    assert before <= storage.memory.update_thread(id="t1", title="a")["updatedAt"] <= before + timedelta(hours=1)

    future = datetime(2126, 1, 1, tzinfo=UTC)
    keep(storage, updatedAt=future)
    assert storage.memory.update_thread(id="t1", title="b")["updatedAt"] == future + timedelta(microseconds=1)


def test_title_and_metadata_of_an_update_are_optional(storage: Any) -> None:
    keep(storage)

    assert storage.memory.update_thread(id="t1", metadata={"x": 2})["title"] == "Weather"
    assert storage.memory.update_thread(id="t1", title="")["metadata"] == {"k": 1, "x": 2}
    touched = storage.memory.update_thread(id="t1")
    assert (touched["title"], touched["metadata"]) == ("", {"k": 1, "x": 2})


def test_metadata_is_merged_into_none(storage: Any) -> None:
    keep(storage, metadata=None)

    assert storage.memory.update_thread(id="t1", metadata={"x": 1})["metadata"] == {"x": 1}


def test_an_update_of_a_thread_that_is_not_there_is_not_found(storage: Any) -> None:
    with pytest.raises(NotFound, match="Thread with id t1 not found"):
        storage.memory.update_thread(id="t1", title="News", metadata={})

    assert storage.memory.get_thread_by_id(thread_id="t1") is None


# --- deleteThread ---


def test_deleting_a_thread_deletes_all_of_its_messages_and_no_others(storage: Any) -> None:
    keep(storage)
    keep(storage, "t2")
    say(storage, "m1")
    say(storage, "m2", "t2")

    assert storage.memory.delete_thread(thread_id="t1") is None

    assert storage.memory.get_thread_by_id(thread_id="t1") is None
    assert storage.memory.list_messages(thread_id="t1")["total"] == 0
    assert storage.memory.get_thread_by_id(thread_id="t2") is not None
    assert storage.memory.list_messages(thread_id="t2")["total"] == 1


def test_deleting_a_thread_is_idempotent(storage: Any) -> None:
    keep(storage)
    storage.memory.delete_thread(thread_id="t1")
    storage.memory.delete_thread(thread_id="t1")
    storage.memory.delete_thread(thread_id="never there")

    assert storage.memory.list_threads()["total"] == 0


# --- listThreadsByResourceId, listThreads ---


def test_threads_of_a_resource_are_listed_newest_first(storage: Any) -> None:
    for id, minute in (("b", 1), ("c", 2), ("a", 0)):
        keep(storage, id, minute=minute)
    keep(storage, "other", resource="bob")

    page = storage.memory.list_threads_by_resource_id(resource_id="ada")

    assert ids(page) == ["c", "b", "a"]
    assert {key: page[key] for key in page if key != "threads"} == {
        "total": 3,
        "page": 0,
        "perPage": 100,
        "hasMore": False,
    }


def test_threads_are_ordered_by_either_field_in_either_direction(storage: Any) -> None:
    keep(storage, "a", minute=0, updatedAt=NOON + 9 * MINUTE)
    keep(storage, "b", minute=1, updatedAt=NOON + 8 * MINUTE)

    def ordered(field: str, direction: str) -> list[str]:
        order_by = {"field": field, "direction": direction}
        return ids(storage.memory.list_threads_by_resource_id(resource_id="ada", order_by=order_by))

    assert ordered("createdAt", "ASC") == ["a", "b"]
    assert ordered("createdAt", "DESC") == ["b", "a"]
    assert ordered("updatedAt", "ASC") == ["b", "a"]
    assert ordered("updatedAt", "DESC") == ["a", "b"]


def test_an_unknown_order_falls_back_to_the_default(storage: Any) -> None:
    keep(storage, "a", minute=0, updatedAt=NOON + 9 * MINUTE)
    keep(storage, "b", minute=1, updatedAt=NOON + 8 * MINUTE)

    def ordered(order_by: Any) -> list[str]:
        return ids(storage.memory.list_threads(order_by=order_by))

    assert ordered(None) == ordered({}) == ["b", "a"]
    assert ordered({"field": "title", "direction": "sideways"}) == ["b", "a"]
    assert ordered({"field": "title; DROP TABLE threads", "direction": "ASC"}) == ["a", "b"]
    assert ordered({"field": "updatedAt", "direction": "sideways"}) == ["a", "b"]


@pytest.mark.above_the_waist
def test_an_order_that_is_no_dict_is_refused(storage: Any) -> None:
    with pytest.raises(InvalidInput, match="order_by must be a dict"):
        storage.memory.list_threads(order_by="createdAt")


def test_threads_of_one_moment_are_ordered_by_id(storage: Any) -> None:
    for id in ("c", "a", "d", "b"):
        keep(storage, id)

    pages = [storage.memory.list_threads(page=number, per_page=2) for number in (0, 1)]

    assert [id for page in pages for id in ids(page)] == ["a", "b", "c", "d"]


def test_pages_of_threads(storage: Any) -> None:
    for minute in range(5):
        keep(storage, f"t{minute}", minute=minute)

    def page(number: int, size: Any) -> tuple[list[str], int, Any, bool]:
        found = storage.memory.list_threads_by_resource_id(resource_id="ada", page=number, per_page=size)
        assert found["page"] == number
        return ids(found), found["total"], found["perPage"], found["hasMore"]

    assert page(0, 2) == (["t4", "t3"], 5, 2, True)
    assert page(2, 2) == (["t0"], 5, 2, False)
    assert page(3, 2) == ([], 5, 2, False)
    assert page(0, 5) == (["t4", "t3", "t2", "t1", "t0"], 5, 5, False)
    assert page(0, False) == (["t4", "t3", "t2", "t1", "t0"], 5, False, False)
    assert page(0, 0) == ([], 0, 0, False)
    assert page(0, 10**30) == (["t4", "t3", "t2", "t1", "t0"], 5, 10**30, False)


def test_a_default_page_has_a_hundred_threads(storage: Any) -> None:
    thread = {"resourceId": "ada", "title": "", "createdAt": NOON, "updatedAt": NOON}
    storage.execute(Put(THREADS, encode(THREADS, [{"id": f"t{number}", **thread} for number in range(101)])))

    found = storage.memory.list_threads()

    assert (len(found["threads"]), found["total"], found["hasMore"]) == (100, 101, True)


@pytest.mark.above_the_waist
def test_impossible_pages_are_refused(storage: Any) -> None:
    for page, per_page in ((-1, 10), (0, -1), (1, False), (2**52, 40), (0, True)):
        with pytest.raises(InvalidInput, match="page"):
            storage.memory.list_threads(page=page, per_page=per_page)
        with pytest.raises(InvalidInput, match="page"):
            storage.memory.list_threads_by_resource_id(resource_id="ada", page=page, per_page=per_page)


def test_all_threads_are_listed_or_those_of_a_resource(storage: Any) -> None:
    keep(storage, "a", "ada")
    keep(storage, "b", "bob")

    assert ids(storage.memory.list_threads()) == ["a", "b"]
    assert ids(storage.memory.list_threads(filter={})) == ["a", "b"]
    assert ids(storage.memory.list_threads(filter={"resourceId": "bob", "metadata": None})) == ["b"]


def test_threads_are_filtered_by_every_key_of_metadata_typed_and_deep(storage: Any) -> None:
    kept = {"int": 1, "text": "1", "true": True, "null": None, "deep": {"x": [1, {"y": None}]}, "list": [1, 2]}
    for id, value in kept.items():
        keep(storage, id, metadata={"n": value, "m": "a", "more": id})
    keep(storage, "none", metadata=None)

    def found(**wanted: Any) -> list[str]:
        page = storage.memory.list_threads(filter={"metadata": wanted})
        assert page["total"] == len(page["threads"])
        return ids(page)

    assert found(n=1) == found(n=1.0) == ["int"]
    assert found(n="1") == ["text"]
    assert found(n=True) == ["true"]
    assert found(n=False) == []
    assert found(n=None) == ["null"]
    assert found(n={"x": [1, {"y": None}]}) == ["deep"]
    assert found(n={"x": [1]}) == found(n={"x": [1, {"y": None}], "z": 1}) == []
    assert found(n=[1, 2]) == found(n=(1, 2)) == ["list"]
    assert found(n=[2, 1]) == found(n=[1]) == []
    assert found(n=1, m="a") == ["int"]
    assert found(n=1, m="b") == []
    assert found(missing=1) == found(missing=None) == []
    assert found() == sorted([*kept, "none"])


def test_a_date_in_a_metadata_filter_is_compared_as_it_is_stored(storage: Any) -> None:
    keep(storage, metadata={"due": NOON})

    assert ids(storage.memory.list_threads(filter={"metadata": {"due": NOON}})) == ["t1"]
    assert ids(storage.memory.list_threads(filter={"metadata": {"due": NOON + MINUTE}})) == []


def test_a_filter_by_resource_and_metadata_takes_both(storage: Any) -> None:
    keep(storage, "a", "ada", metadata={"x": 1})
    keep(storage, "b", "bob", metadata={"x": 1})
    keep(storage, "c", "ada", metadata={"x": 2})

    assert ids(storage.memory.list_threads(filter={"resourceId": "ada", "metadata": {"x": 1}})) == ["a"]


@pytest.mark.above_the_waist
def test_an_invalid_metadata_key_is_refused(storage: Any) -> None:
    invalid = [
        "",
        "a.b",
        "1a",
        "a-b",
        "a b",
        "a'b",
        "a\n",
        "é",
        "__proto__",
        "prototype",
        "constructor",
        "a" * 129,
        1,
        None,
    ]
    for key in invalid:
        with pytest.raises(InvalidInput, match="Invalid metadata key: "):
            storage.memory.list_threads(filter={"metadata": {"fine": 1, key: 1}})


def test_a_valid_metadata_key_has_up_to_128_characters(storage: Any) -> None:
    keep(storage, metadata={"_" * 128: 1})

    assert ids(storage.memory.list_threads(filter={"metadata": {"_" * 128: 1}})) == ["t1"]


@pytest.mark.above_the_waist
def test_a_filter_that_would_be_passed_over_is_refused(storage: Any) -> None:
    for filter in ({"resource_id": "ada"}, {"metadata": [1]}, ["resourceId"], {"metadata": "x"}):
        with pytest.raises(InvalidInput, match="filter"):
            storage.memory.list_threads(filter=filter)


# --- the domain ---


def test_init_may_be_called_again_and_keeps_what_is_there(storage: Any) -> None:
    keep(storage)

    assert storage.memory.init() is None
    assert storage.memory.list_threads()["total"] == 1


def test_clearing_deletes_threads_messages_and_resources_and_nothing_else(storage: Any) -> None:
    keep(storage)
    say(storage, "m1")
    storage.memory.save_resource(resource={"id": "ada"})
    storage.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r", snapshot={"status": "running"})

    assert storage.memory.dangerously_clear_all() is None

    assert storage.memory.list_threads()["total"] == 0
    assert storage.memory.list_messages(thread_id="t1")["total"] == 0
    assert storage.memory.get_resource_by_id(resource_id="ada") is None
    assert storage.workflows.load_workflow_snapshot(workflow_name="w", run_id="r") is not None
