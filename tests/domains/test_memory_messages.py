"""Saving, changing and deleting messages, by the storage contract §2.1."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from colonnade.errors import InvalidInput, InvalidRows, StoreError

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


def message(id: str = "m1", thread: str = "t1", minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "threadId": thread,
        "resourceId": "ada",
        "role": "user",
        "type": "v2",
        "createdAt": NOON + minute * MINUTE,
        "content": {"format": 2, "parts": [{"type": "text", "text": id}]},
        **more,
    }


def save(storage: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    saved: list[dict[str, Any]] = storage.memory.save_messages(messages=list(messages))["messages"]
    return saved


def update(storage: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    updated: list[dict[str, Any]] = storage.memory.update_messages(messages=list(messages))
    return updated


def stored(storage: Any, *ids: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = storage.memory.list_messages_by_id(message_ids=list(ids))["messages"]
    return found


@pytest.fixture
def threads(storage: Any) -> Any:
    """Two threads that last changed at noon; gives when each changes: ``updated("t1")``."""
    for id in ("t1", "t2"):
        storage.memory.save_thread(thread={"id": id, "resourceId": "ada", "createdAt": NOON, "updatedAt": NOON})
    return lambda id: storage.memory.get_thread_by_id(thread_id=id)["updatedAt"]


# --- saveMessages ---


def test_messages_come_back_as_they_were_saved(storage: Any) -> None:
    given = [message("m1"), message("m2", minute=1, role="assistant", type="text")]

    assert save(storage, *given) == given
    assert stored(storage, "m1", "m2") == given


def test_saving_no_messages_gives_none(storage: Any) -> None:
    assert storage.memory.save_messages(messages=[]) == {"messages": []}


def test_content_may_be_any_json(storage: Any) -> None:
    for content in ("plain text", {"format": 2, "parts": []}, [1, 2.5, None], 7, False, "", {}):
        assert save(storage, message(content=content))[0]["content"] == content
        assert stored(storage, "m1")[0]["content"] == content


def test_strange_content_is_kept(storage: Any) -> None:
    content = {"nul \0": "a\0b", "half": "\ud83d", "escape": "\ufdd0", "infinite": float("inf"), "sql": "'; DROP --"}
    save(storage, message(content=content))

    assert stored(storage, "m1")[0]["content"] == content


def test_a_message_of_five_megabytes_is_kept(storage: Any) -> None:
    content = {"format": 2, "parts": [{"type": "text", "text": "columns ☃ " * 500_000}]}
    if storage.stores[0].label.startswith(("http://", "d1://")):  # libSQL's server and D1 take four and two at most
        with pytest.raises((StoreError, InvalidInput), match=r"larger.* nothing was written"):
            save(storage, message(content=content))
        return
    save(storage, message(content=content))

    assert stored(storage, "m1")[0]["content"] == content


def test_what_a_message_does_not_say_has_a_default(storage: Any) -> None:
    plain = {"threadId": "t1", "resourceId": "ada", "role": "user", "content": "hello"}
    before = datetime.now(UTC)
    saved = save(storage, *({"id": f"m{9 - n}", **plain} for n in range(5)))
    after = datetime.now(UTC) + timedelta(seconds=1)

    assert {each["type"] for each in saved} == {"v2"}
    times = [each["createdAt"] for each in saved]
    assert times == sorted(set(times))  # strictly increasing: the order given is the order of the thread
    assert before <= times[0] <= times[-1] <= after
    assert storage.memory.list_messages(thread_id="t1")["messages"] == saved


def test_a_time_may_be_text_with_an_offset_and_is_kept_in_utc(storage: Any) -> None:
    (saved,) = save(storage, message(createdAt="2026-01-31T14:00:00.000001+02:00"))
    (other,) = save(storage, message("m2", createdAt=datetime(2026, 1, 31, 7, tzinfo=timezone(timedelta(hours=-5)))))

    assert saved["createdAt"] == datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert other["createdAt"] == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert stored(storage, "m1", "m2") == [other, saved]


def test_one_message_without_a_required_field_refuses_all_of_them(storage: Any, threads: Any) -> None:
    for field in ("threadId", "resourceId", "id", "role", "content"):
        none = {**message("bad"), field: None}
        missing = {name: value for name, value in none.items() if name != field}
        for bad in (none, missing):
            with pytest.raises(InvalidRows, match=f"row 1: {field} is required") as refused:
                save(storage, message("m1"), bad, message("m2"))
            assert [(problem.row, problem.field) for problem in refused.value.problems] == [(1, field)]

    assert stored(storage, "m1", "bad", "m2") == []
    assert threads("t1") == NOON


def test_ids_of_messages_are_strict(storage: Any) -> None:
    for field in ("threadId", "resourceId"):
        for value in ("", " ", "a\0b", 5):
            with pytest.raises(InvalidRows, match=f"row 1: {field}"):
                save(storage, message("m1"), {**message("m2"), field: value})

    assert stored(storage, "m1", "m2") == []


@pytest.mark.above_the_waist
def test_all_bad_messages_are_listed_at_once(storage: Any) -> None:
    with pytest.raises(InvalidRows) as refused:
        save(
            storage, message("a", resourceId=None), message("b", createdAt=datetime(2026, 1, 31)), message("c", role=1)
        )

    assert [(problem.row, problem.field) for problem in refused.value.problems] == [
        (0, "resourceId"),
        (1, "createdAt"),
        (2, "role"),
    ]


@pytest.mark.above_the_waist
def test_what_is_no_list_of_messages_is_refused(storage: Any) -> None:
    # An iterator too: it can be read once, and an operation that meets others runs again.
    for messages in (message(), "m1", iter([message()]), None, ["m1"]):
        with pytest.raises(InvalidInput):
            storage.memory.save_messages(messages=messages)
        with pytest.raises(InvalidInput):
            storage.memory.update_messages(messages=messages)


def test_saving_an_existing_id_keeps_created_at_and_overwrites_the_rest(storage: Any) -> None:
    save(storage, message())
    again = message(thread="t2", minute=9, role="assistant", type="text", content="new", resourceId="bob")

    assert save(storage, again) == [{**again, "createdAt": NOON}]
    assert stored(storage, "m1") == [{**again, "createdAt": NOON}]


def test_saving_an_existing_id_under_another_thread_moves_it(storage: Any, threads: Any) -> None:
    save(storage, message())
    one, two = threads("t1"), threads("t2")

    save(storage, message(thread="t2"))

    assert storage.memory.list_messages(thread_id="t1")["messages"] == []
    assert storage.memory.list_messages(thread_id="t2")["messages"] == [message(thread="t2")]
    assert threads("t1") > one
    assert threads("t2") > two


def test_an_id_that_comes_twice_in_a_batch_is_one_message_as_the_last_says(storage: Any) -> None:
    expected = message(content="last")

    assert save(storage, message(content="first"), message("m2"), message(minute=3, content="last")) == [
        expected,
        message("m2"),
    ]
    assert stored(storage, "m1") == [expected]


def test_a_thousand_messages_are_saved_at_once(storage: Any) -> None:
    given = [message(f"m{number:04}", minute=number) for number in range(1000)]
    save(storage, *given)

    assert storage.memory.list_messages(thread_id="t1", per_page=False)["messages"] == given


def test_saving_moves_updated_at_of_every_thread_forward(storage: Any, threads: Any) -> None:
    now = datetime.now(UTC)
    save(storage, message("m1", "t1"), message("m2", "t2"))

    assert now <= threads("t1") == threads("t2")
    before = threads("t1")
    save(storage, message("m3", "t1"))
    assert threads("t1") > before == threads("t2")


def test_updated_at_moves_forward_from_the_future_too(storage: Any, threads: Any) -> None:
    future = datetime(2126, 1, 1, tzinfo=UTC)
    storage.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "updatedAt": future})
    save(storage, message("m1", "t1"), message("m2", "t2"))

    assert threads("t1") == future + MICROSECOND
    assert NOON < threads("t2") < future


def test_saving_leaves_the_rest_of_a_thread_as_it_is(storage: Any, threads: Any) -> None:
    before = storage.memory.save_thread(
        thread={
            "id": "t1",
            "resourceId": "ada",
            "title": "T",
            "metadata": {"a": 1},
            "createdAt": NOON,
            "updatedAt": NOON,
        }
    )
    save(storage, message())

    assert storage.memory.get_thread_by_id(thread_id="t1") == {**before, "updatedAt": threads("t1")}


def test_messages_of_a_thread_that_is_not_there_are_kept_and_make_no_thread(storage: Any, threads: Any) -> None:
    save(storage, message(thread="nowhere"))

    assert storage.memory.list_messages(thread_id="nowhere")["messages"] == [message(thread="nowhere")]
    assert storage.memory.get_thread_by_id(thread_id="nowhere") is None
    assert threads("t1") == NOON


# --- listMessagesById ---


def test_messages_by_id_are_ascending_and_missing_ones_are_skipped(storage: Any) -> None:
    save(storage, message("b", minute=1), message("a", minute=2), message("d"), message("c", thread="t2"))

    assert [found["id"] for found in stored(storage, "a", "b", "nothing", "d", "c", "a")] == ["c", "d", "b", "a"]


def test_messages_by_no_ids_are_none(storage: Any) -> None:
    assert storage.memory.list_messages_by_id(message_ids=[]) == {"messages": []}


@pytest.mark.above_the_waist
def test_ids_that_are_no_list_of_ids_are_refused(storage: Any) -> None:
    save(storage, message("m"), message("m1"))
    for ids in ("m1", {"m1": 1}, [1], [None], iter(["m1"]), None):
        with pytest.raises(InvalidInput, match="message_ids must be a list"):
            storage.memory.list_messages_by_id(message_ids=ids)
        with pytest.raises(InvalidInput, match="message_ids must be a list"):
            storage.memory.delete_messages(ids)

    assert len(stored(storage, "m", "m1")) == 2


# --- updateMessages ---


def test_an_update_overwrites_role_type_resource_and_thread_and_keeps_the_rest(storage: Any) -> None:
    save(storage, message())
    change = {"role": "assistant", "type": "text", "resourceId": "bob", "threadId": "t2"}

    assert update(storage, {"id": "m1", **change}) == [{**message(), **change}]
    assert stored(storage, "m1") == [{**message(), **change}]


def test_an_update_merges_content_by_key_and_its_metadata_one_level(storage: Any) -> None:
    before = {"format": 2, "parts": [1], "content": "old", "metadata": {"stays": 1, "deep": {"a": 1, "b": 2}}}
    save(storage, message(content=before))

    (updated,) = update(storage, {"id": "m1", "content": {"content": "new", "metadata": {"deep": {"a": 3}, "new": 4}}})

    assert updated["content"] == {
        "format": 2,
        "parts": [1],
        "content": "new",
        "metadata": {"stays": 1, "deep": {"a": 3}, "new": 4},
    }
    assert stored(storage, "m1") == [updated]


def test_parts_of_content_are_replaced_whole(storage: Any) -> None:
    save(storage, message(content={"format": 2, "parts": [{"a": 1, "b": 2}], "metadata": {"k": 1}}))

    (updated,) = update(storage, {"id": "m1", "content": {"parts": [{"a": 3}]}})

    assert updated["content"] == {"format": 2, "parts": [{"a": 3}], "metadata": {"k": 1}}


def test_metadata_is_merged_into_content_without_any(storage: Any) -> None:
    save(storage, message(content={"format": 2}))

    assert update(storage, {"id": "m1", "content": {"metadata": {"k": 1}}})[0]["content"] == {
        "format": 2,
        "metadata": {"k": 1},
    }


def test_content_that_is_no_dict_is_replaced(storage: Any) -> None:
    save(storage, message(content="old"))

    assert update(storage, {"id": "m1", "content": {"parts": []}})[0]["content"] == {"parts": []}
    assert update(storage, {"id": "m1", "content": "new"})[0]["content"] == "new"


def test_an_update_of_a_message_given_whole_keeps_created_at(storage: Any) -> None:
    save(storage, message())

    assert update(storage, message(minute=9, role="system")) == [message(role="system")]
    assert stored(storage, "m1") == [message(role="system")]


def test_none_in_an_update_leaves_what_is_there(storage: Any) -> None:
    save(storage, message())

    assert update(storage, {"id": "m1", "role": None, "content": None, "threadId": None, "type": "text"}) == [
        message(type="text")
    ]


def test_an_update_of_unknown_ids_is_passed_over(storage: Any, threads: Any) -> None:
    save(storage, message())
    before = threads("t1")

    assert update(storage) == []
    assert update(storage, {"id": "unknown", "role": "system", "threadId": "t2"}) == []
    assert stored(storage, "unknown") == []
    assert threads("t1") == before
    assert threads("t2") == NOON
    assert [found["id"] for found in update(storage, {"id": "unknown"}, {"id": "m1", "role": "tool"})] == ["m1"]


def test_updated_messages_are_given_in_the_order_asked(storage: Any) -> None:
    save(storage, message("a"), message("b", minute=1), message("c", minute=2))

    assert [each["id"] for each in update(storage, {"id": "c"}, {"id": "a"}, {"id": "b"})] == ["c", "a", "b"]


def test_two_updates_of_one_message_are_both_applied(storage: Any) -> None:
    save(storage, message(content={"metadata": {}}))

    updated = update(
        storage,
        {"id": "m1", "content": {"metadata": {"a": 1, "b": 1}}},
        {"id": "m1", "content": {"metadata": {"b": 2}}, "role": "tool"},
    )

    assert updated == [message(content={"metadata": {"a": 1, "b": 2}}, role="tool")]
    assert stored(storage, "m1") == updated


def test_an_update_moves_updated_at_of_the_parent_forward(storage: Any, threads: Any) -> None:
    save(storage, message())
    before = threads("t1")
    update(storage, {"id": "m1", "content": {"metadata": {"k": 1}}})

    assert threads("t1") > before
    assert threads("t2") == NOON


def test_moving_to_another_thread_moves_updated_at_of_both_forward(storage: Any, threads: Any) -> None:
    future = datetime(2126, 1, 1, tzinfo=UTC)
    storage.memory.save_thread(thread={"id": "t2", "resourceId": "ada", "updatedAt": future})
    save(storage, message())
    before = threads("t1")

    update(storage, {"id": "m1", "threadId": "t2"})

    assert threads("t1") > before
    assert threads("t2") == future + MICROSECOND
    assert storage.memory.list_messages(thread_id="t1")["total"] == 0
    assert storage.memory.list_messages(thread_id="t2")["messages"] == [message(thread="t2")]


def test_one_bad_update_changes_nothing_and_all_bad_ones_are_listed(storage: Any, threads: Any) -> None:
    save(storage, message())
    before = threads("t1")

    with pytest.raises(InvalidRows) as refused:
        update(
            storage, {"id": "m1", "role": "system"}, {"id": "unknown", "role": 5}, {"role": "x"}, {"id": "m1", "x": 1}
        )

    assert [(problem.row, problem.field) for problem in refused.value.problems] == [(1, "role"), (2, "id"), (3, "x")]
    assert stored(storage, "m1") == [message()]
    assert threads("t1") == before


# --- deleteMessages ---


def test_deleting_messages_leaves_the_others_and_ignores_unknown_ids(storage: Any) -> None:
    save(storage, message("a"), message("b", minute=1), message("c", minute=2))

    assert storage.memory.delete_messages(["a", "unknown", "c", "a"]) is None
    assert [found["id"] for found in stored(storage, "a", "b", "c")] == ["b"]


def test_deleting_by_keyword(storage: Any) -> None:
    save(storage, message())
    storage.memory.delete_messages(message_ids=["m1"])

    assert stored(storage, "m1") == []


def test_deleting_nothing_changes_nothing(storage: Any, threads: Any) -> None:
    save(storage, message())
    before = threads("t1")

    storage.memory.delete_messages([])
    storage.memory.delete_messages(["unknown"])

    assert stored(storage, "m1") == [message()]
    assert threads("t1") == before


def test_deleting_moves_updated_at_of_every_affected_thread_forward(storage: Any, threads: Any) -> None:
    storage.memory.save_thread(thread={"id": "t3", "resourceId": "ada", "updatedAt": NOON})
    save(storage, message("a", "t1"), message("b", "t2"))
    one, two = threads("t1"), threads("t2")

    storage.memory.delete_messages(["a", "b"])

    assert threads("t1") > one
    assert threads("t2") > two
    assert threads("t3") == NOON


def test_hundreds_of_messages_are_deleted_at_once(storage: Any) -> None:
    save(storage, *(message(f"m{number}", minute=number) for number in range(500)))

    storage.memory.delete_messages([f"m{number}" for number in range(499)])

    assert [left["id"] for left in storage.memory.list_messages(thread_id="t1")["messages"]] == ["m499"]
