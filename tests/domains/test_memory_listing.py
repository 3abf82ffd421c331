"""listMessages and listMessagesByResourceId, by the storage contract §2.2 and §2.3."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade.errors import InvalidInput
from colonnade.testing.colours import Awaited
from tests.servers.addresses import LOCAL, SERVED, address_of

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def message(id: str, thread: str, minute: int, resource: str = "ada", content: Any = None) -> dict[str, Any]:
    return {
        "id": id,
        "threadId": thread,
        "resourceId": resource,
        "role": "user",
        "type": "v2",
        "createdAt": NOON + minute * MINUTE,
        "content": {"format": 2, "parts": []} if content is None else content,
    }


# Two threads of Ada that alternate in time, and one of Bob.
A = [message(f"a{n}", "A", 10 * n) for n in range(5)]
B = [message(f"b{n}", "B", 10 * n + 5) for n in range(5)]
C = [message("c0", "C", 0, "bob")]


STORES = (
    "memory-async",
    "duckdb-async",
    *(f"{store}-sync" for store in LOCAL),
    *(f"{store}-async" for store in SERVED),
)


def opened(request: pytest.FixtureRequest, folder: Path, name: str) -> Any:
    """A storage of the store and the colour that a fixture is asked for."""
    store, colour = request.param.split("-")
    address = address_of(store, name, folder, request)
    return colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))


@pytest.fixture(scope="module", params=STORES)
def memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The messages above in each store and colour, to be read only: written once, they are asked by many tests."""
    storage = opened(request, tmp_path_factory.mktemp("listing"), "listing")
    # Not in the order of time, so that no store can get it right by accident.
    storage.memory.save_messages(messages=[*reversed(A), *C, *B[2:], *B[:2]])
    yield storage.memory
    storage.close()


def ids(page: dict[str, Any]) -> list[str]:
    return [found["id"] for found in page["messages"]]


def facts(page: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(page[key] for key in ("total", "page", "perPage", "hasMore"))


# --- threads ---


def test_messages_of_a_thread_are_listed_oldest_first(memory: Any) -> None:
    page = memory.list_messages(thread_id="A")

    assert page["messages"] == A
    assert facts(page) == (5, 0, 40, False)


def test_messages_of_several_threads_are_listed_together_by_time(memory: Any) -> None:
    page = memory.list_messages(thread_id=["A", "B", "A"], per_page=4)

    assert ids(page) == ["a0", "b0", "a1", "b1"]
    assert facts(page) == (10, 0, 4, True)


def test_a_thread_without_messages_is_an_empty_page(memory: Any) -> None:
    page = memory.list_messages(thread_id="nowhere")

    assert (ids(page), facts(page)) == ([], (0, 0, 40, False))


@pytest.mark.parametrize(
    "thread_id", ["", "  ", "\n\t", [], ["A", ""], ["A", " "], [None], None, 1, ["A", 1], {"A": 1}]
)
def test_a_blank_thread_id_is_refused(memory: Any, thread_id: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^threadId must be a non-empty string or array of non-empty strings$"):
        memory.list_messages(thread_id=thread_id)


def test_a_thread_id_is_a_value_and_no_pattern(memory: Any) -> None:
    for thread_id in ("%", "_", "' OR '1'='1", "a"):
        assert ids(memory.list_messages(thread_id=thread_id)) == []


# --- resourceId, dateRange, metadata ---


def test_messages_are_filtered_by_resource(storage: Any) -> None:
    storage.memory.save_messages(messages=[*A, message("x", "A", 7, "bob")])

    page = storage.memory.list_messages(thread_id="A", resource_id="bob")

    assert (ids(page), page["total"]) == (["x"], 1)
    assert storage.memory.list_messages(thread_id="A", resource_id="ada")["messages"] == A


@pytest.mark.parametrize(
    ("date_range", "expected"),
    [
        ({}, ["a0", "a1", "a2", "a3", "a4"]),
        ({"start": NOON + 10 * MINUTE}, ["a1", "a2", "a3", "a4"]),
        ({"end": NOON + 10 * MINUTE}, ["a0", "a1"]),
        ({"start": NOON + 10 * MINUTE, "end": NOON + 30 * MINUTE}, ["a1", "a2", "a3"]),
        ({"start": NOON + 10 * MINUTE, "startExclusive": True}, ["a2", "a3", "a4"]),
        ({"end": NOON + 10 * MINUTE, "endExclusive": True}, ["a0"]),
        (
            {"start": NOON, "end": NOON + 40 * MINUTE, "startExclusive": True, "endExclusive": True},
            ["a1", "a2", "a3"],
        ),
        ({"start": NOON, "startExclusive": False, "end": None}, ["a0", "a1", "a2", "a3", "a4"]),
        ({"start": "2026-01-31T12:10:00Z", "end": "2026-01-31T14:20:00+02:00"}, ["a1", "a2"]),
        ({"start": NOON + timedelta(milliseconds=1), "end": NOON + 10 * MINUTE - timedelta(milliseconds=1)}, []),
        ({"start": NOON + 10 * MINUTE, "end": NOON}, []),
        (None, ["a0", "a1", "a2", "a3", "a4"]),
    ],
)
def test_messages_are_filtered_by_a_range_of_time(memory: Any, date_range: Any, expected: list[str]) -> None:
    page = memory.list_messages(thread_id="A", filter={"dateRange": date_range})

    assert (ids(page), page["total"]) == (expected, len(expected))


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ({"dateRange": {"start": datetime(2026, 1, 31)}}, "naive datetime"),
        ({"dateRange": {"start": "2026-01-31"}}, "naive datetime"),
        ({"dateRange": {"end": "yesterday"}}, "no ISO 8601 time"),
        ({"dateRange": {"end": 5}}, "must be a datetime"),
        ({"dateRange": {"from": NOON}}, "dateRange has no key 'from'"),
        ({"dateRange": [NOON, NOON]}, "dateRange must be a dict"),
        ({"date_range": {}}, "filter has no key 'date_range'"),
        ({"metadata": "x"}, "metadata must be a dict"),
        ({"metadata": {"a.b": 1}}, "Invalid metadata key: 'a.b'"),
        ({"metadata": {"__proto__": 1}}, "Invalid metadata key: '__proto__'"),
        ({"metadata": {"k": [1]}}, "Invalid metadata value of k"),
        ({"metadata": {"k": {"x": 1}}}, "Invalid metadata value of k"),
        ({"metadata": {"k": float("nan")}}, "Invalid metadata value of k"),
        ({"metadata": {"k": float("inf")}}, "Invalid metadata value of k"),
        ({"metadata": {"k": NOON}}, "Invalid metadata value of k"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused(memory: Any, filter: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        memory.list_messages(thread_id="A", filter=filter)


def test_messages_are_filtered_by_every_key_of_metadata_exactly(storage: Any) -> None:
    kept = {"int": 1, "text": "1", "true": True, "null": None, "big": 2**60 + 1, "nul": "a\0b"}
    contents: dict[str, Any] = {id: {"metadata": {"k": value, "more": id}} for id, value in kept.items()}
    contents |= {"plain": "k", "none": {"format": 2, "k": 1}}
    storage.memory.save_messages(messages=[message(id, "A", 0, content=content) for id, content in contents.items()])

    def found(**wanted: Any) -> list[str]:
        page = storage.memory.list_messages(thread_id="A", filter={"metadata": wanted})
        assert page["total"] == len(page["messages"])
        return ids(page)

    assert found(k=1) == found(k=1.0) == ["int"]
    assert found(k="1") == ["text"]
    assert found(k=True) == ["true"]
    assert found(k=False) == []
    assert found(k=None) == ["null"]
    assert found(k=2**60 + 1) == ["big"]
    assert found(k=2**60) == []
    assert found(k="a\0b") == ["nul"]
    assert found(k=1, more="int") == ["int"]
    assert found(k=1, more="text") == []
    assert found(missing=None) == []
    assert found() == sorted(contents)


# --- order and pages ---


def test_messages_are_ordered_by_time_in_either_direction(memory: Any) -> None:
    assert ids(memory.list_messages(thread_id="A", order_by={"field": "createdAt", "direction": "DESC"})) == [
        "a4",
        "a3",
        "a2",
        "a1",
        "a0",
    ]
    assert ids(memory.list_messages(thread_id="A", order_by={"field": "createdAt", "direction": "ASC"}))[0] == "a0"


@pytest.mark.parametrize(
    "order_by", [{}, {"field": "role", "direction": "sideways"}, {"field": "content"}, {"direction": None}]
)
def test_an_unknown_order_of_messages_falls_back_to_the_default(memory: Any, order_by: Any) -> None:
    assert ids(memory.list_messages(thread_id="A", order_by=order_by)) == ["a0", "a1", "a2", "a3", "a4"]


def test_the_id_breaks_ties_and_descending_is_the_exact_reverse(storage: Any) -> None:
    storage.memory.save_messages(messages=[message(id, "A", 0) for id in "cadb"])

    def pages(direction: str) -> list[str]:
        order_by = {"field": "createdAt", "direction": direction}
        each = (storage.memory.list_messages(thread_id="A", page=n, per_page=1, order_by=order_by) for n in range(4))
        return [id for page in each for id in ids(page)]

    assert pages("ASC") == ["a", "b", "c", "d"]
    assert pages("DESC") == ["d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("page", "per_page", "expected", "has_more"),
    [
        (0, 2, ["a0", "a1"], True),
        (1, 2, ["a2", "a3"], True),
        (2, 2, ["a4"], False),
        (3, 2, [], False),
        (0, 5, ["a0", "a1", "a2", "a3", "a4"], False),
        (0, 4, ["a0", "a1", "a2", "a3"], True),
        (0, 100, ["a0", "a1", "a2", "a3", "a4"], False),
    ],
)
@pytest.mark.parametrize("include_total", [True, False])
def test_pages_of_messages(
    memory: Any, page: int, per_page: int, expected: list[str], has_more: bool, include_total: bool
) -> None:
    found = memory.list_messages(thread_id="A", page=page, per_page=per_page, include_total=include_total)

    # Without a count, total is where the page ends.
    assert facts(found) == (5 if include_total else page * per_page + len(expected), page, per_page, has_more)
    assert ids(found) == expected


@pytest.mark.parametrize("include_total", [True, False])
def test_per_page_false_is_everything(memory: Any, include_total: bool) -> None:
    found = memory.list_messages(thread_id=["A", "B"], per_page=False, include_total=include_total)

    assert len(found["messages"]) == 10
    assert facts(found) == (10, 0, False, False)


@pytest.mark.parametrize("include_total", [True, False])
def test_per_page_zero_is_no_rows_and_no_count(memory: Any, include_total: bool) -> None:
    found = memory.list_messages(thread_id="A", per_page=0, include_total=include_total)

    assert (ids(found), facts(found)) == ([], (0, 0, 0, False))


def test_a_default_page_has_forty_messages(storage: Any) -> None:
    storage.memory.save_messages(messages=[message(f"m{n:02}", "A", n) for n in range(41)])

    found = storage.memory.list_messages(thread_id="A")

    assert (len(found["messages"]), facts(found)) == (40, (41, 0, 40, True))


@pytest.mark.parametrize(("page", "per_page"), [(-1, 10), (0, -1), (1, False), (2**52, 40), (0, True), (0, "5")])
def test_impossible_pages_of_messages_are_refused(memory: Any, page: int, per_page: Any) -> None:
    with pytest.raises(InvalidInput, match="page"):
        memory.list_messages(thread_id="A", page=page, per_page=per_page)


# --- include ---


def included(memory: Any, *items: dict[str, Any], **more: Any) -> list[str]:
    return ids(memory.list_messages(**{"thread_id": "A", "per_page": 0, "include": list(items), **more}))


def test_only_the_included_messages_are_given_where_a_page_has_no_rows(memory: Any) -> None:
    found = memory.list_messages(
        thread_id="A", per_page=0, include=[{"id": "a2", "withPreviousMessages": 1, "withNextMessages": 1}]
    )

    assert found["messages"] == A[1:4]
    assert facts(found) == (0, 0, 0, False)


def test_an_included_message_comes_with_its_neighbours(memory: Any) -> None:
    assert included(memory, {"id": "a2"}) == ["a2"]
    assert included(memory, {"id": "a2", "withPreviousMessages": 2}) == ["a0", "a1", "a2"]
    assert included(memory, {"id": "a2", "withNextMessages": 1}) == ["a2", "a3"]
    assert included(memory, {"id": "a2", "withPreviousMessages": 0, "withNextMessages": None}) == ["a2"]
    assert included(memory, {"id": "a0", "withPreviousMessages": 9, "withNextMessages": 9}) == ids({"messages": A})


def test_neighbours_are_the_nearest_ones(memory: Any) -> None:
    assert included(memory, {"id": "a4", "withPreviousMessages": 1}) == ["a3", "a4"]
    assert included(memory, {"id": "a0", "withNextMessages": 1}) == ["a0", "a1"]


def test_a_message_of_any_thread_is_included_with_neighbours_of_its_own_thread(memory: Any) -> None:
    window = {"withPreviousMessages": 1, "withNextMessages": 1}

    assert included(memory, {"id": "b1", **window}) == ["b0", "b1", "b2"]
    # What the caller says of its thread changes nothing: ids are unique over all threads.
    assert included(memory, {"id": "b1", "threadId": "A", **window}) == ["b0", "b1", "b2"]
    assert included(memory, {"id": "b1", **window}, {"id": "a3"}, {"id": "c0"}) == ["c0", "b0", "b1", "b2", "a3"]


def test_unknown_included_ids_are_ignored(memory: Any) -> None:
    assert included(memory, {"id": "unknown", "withPreviousMessages": 3}, {"id": "a1"}) == ["a1"]


def test_included_messages_are_not_given_twice(memory: Any) -> None:
    window = {"withPreviousMessages": 1, "withNextMessages": 1}
    include = [{"id": "a1", **window}, {"id": "a2", **window}, {"id": "a2"}]
    found = memory.list_messages(thread_id="A", per_page=2, include=include)

    assert ids(found) == ["a0", "a1", "a2", "a3"]


def test_a_message_that_is_included_twice_has_the_wider_window(memory: Any) -> None:
    assert included(memory, {"id": "a2", "withPreviousMessages": 1}, {"id": "a2", "withNextMessages": 1}) == [
        "a1",
        "a2",
        "a3",
    ]


def test_included_messages_are_sorted_into_the_page_in_its_order(memory: Any) -> None:
    found = memory.list_messages(
        thread_id="A",
        per_page=2,
        order_by={"field": "createdAt", "direction": "DESC"},
        include=[{"id": "b3", "withPreviousMessages": 1}, {"id": "a0"}],
    )

    assert ids(found) == ["a4", "b3", "a3", "b2", "a0"]


def test_an_included_message_must_be_of_the_resource_where_one_is_given(storage: Any) -> None:
    memory = storage.memory
    memory.save_messages(messages=[*A, *C, message("x", "A", 21, "bob")])
    window = {"withPreviousMessages": 1, "withNextMessages": 1}

    assert included(memory, {"id": "c0"}, {"id": "a2", **window}, resource_id="ada") == ["a1", "a2", "a3"]
    assert included(memory, {"id": "c0"}, {"id": "a2", **window}) == ["c0", "a1", "a2", "x"]


def test_filters_of_the_page_do_not_hide_included_messages(memory: Any) -> None:
    found = memory.list_messages(
        thread_id="A", filter={"dateRange": {"start": NOON + 40 * MINUTE}}, include=[{"id": "a0"}]
    )

    assert ids(found) == ["a0", "a4"]
    assert facts(found) == (1, 0, 40, False)


def test_windows_break_ties_of_time_by_id(storage: Any) -> None:
    storage.memory.save_messages(messages=[message(id, "A", 0) for id in "edcba"])

    assert included(storage.memory, {"id": "c", "withPreviousMessages": 1, "withNextMessages": 1}) == ["b", "c", "d"]
    assert included(storage.memory, {"id": "c", "withPreviousMessages": 9}) == ["a", "b", "c"]
    assert included(storage.memory, {"id": "c", "withNextMessages": 9}) == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("page", "per_page", "include", "has_more"),
    [
        (0, 3, [{"id": "a4", "withPreviousMessages": 1}], False),  # everything has been given
        (0, 3, [{"id": "a4"}], True),
        (0, 3, [{"id": "a0", "withNextMessages": 2}], True),  # what is on the page does not count twice
        (0, 3, [{"id": "b0", "withNextMessages": 4}], True),  # other threads do not count
        (1, 3, [{"id": "a0"}], False),  # the list does not go on
        (0, False, [{"id": "b0"}], False),
        (0, 5, [{"id": "b0"}], False),
        (0, 0, [{"id": "a0"}], False),
    ],
)
def test_has_more_with_included_messages(
    memory: Any, page: int, per_page: Any, include: list[Any], has_more: bool
) -> None:
    found = memory.list_messages(thread_id="A", page=page, per_page=per_page, include=include)

    assert found["hasMore"] is has_more
    assert found["total"] == (5 if per_page != 0 or per_page is False else 0)


def test_included_messages_outside_of_the_filter_do_not_hide_that_there_is_more(memory: Any) -> None:
    found = memory.list_messages(
        thread_id="A",
        per_page=1,
        filter={"dateRange": {"start": NOON + 30 * MINUTE}},
        include=[{"id": "a2", "withPreviousMessages": 2}],
    )

    assert ids(found) == ["a0", "a1", "a2", "a3"]
    assert facts(found) == (2, 0, 1, True)


def test_included_messages_come_without_a_count_too(memory: Any) -> None:
    found = memory.list_messages(thread_id="A", per_page=2, include=[{"id": "b0"}], include_total=False)

    assert ids(found) == ["a0", "b0", "a1"]
    assert facts(found) == (2, 0, 2, True)


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ("a1", "include must be a list"),
        ({"id": "a1"}, "include must be a list"),
        (["a1"], "include must be a dict"),
        ([{}], "include needs the id"),
        ([{"id": 5}], "include needs the id"),
        ([{"id": "a1", "with_previous_messages": 1}], "include has no key 'with_previous_messages'"),
        ([{"id": "a1", "withPreviousMessages": -1}], "withPreviousMessages must be >= 0"),
        ([{"id": "a1", "withNextMessages": "2"}], "withNextMessages must be a whole number"),
        ([{"id": "a1", "withNextMessages": True}], "withNextMessages must be a whole number"),
    ],
)
def test_an_include_that_cannot_be_used_is_refused(memory: Any, include: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        memory.list_messages(thread_id="A", include=include)


def test_including_nothing_is_a_plain_page(memory: Any) -> None:
    assert memory.list_messages(thread_id="A", include=[]) == memory.list_messages(thread_id="A")


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    with colonnade.open(":memory:") as storage:
        # Few moments for many messages, so that most of them tie.
        storage.memory.save_messages(
            messages=[message(f"{thread}{n}", thread, n * 7 % 4) for thread in "AB" for n in range(8)]
        )
        yield storage.memory


@given(
    page=st.integers(0, 3),
    per_page=st.one_of(st.integers(0, 6), st.none()),
    descending=st.booleans(),
    windows=st.lists(
        st.tuples(st.sampled_from(["A0", "A3", "A5", "B2", "B7", "none"]), st.integers(0, 4), st.integers(0, 4)),
        max_size=3,
    ),
)
def test_a_list_is_what_the_contract_describes(
    reference: Any, page: int, per_page: int | None, descending: bool, windows: list[tuple[str, int, int]]
) -> None:
    def place(found: dict[str, Any]) -> tuple[Any, str]:
        return found["createdAt"], found["id"]

    threads = {
        thread: sorted(reference.list_messages(thread_id=thread, per_page=False)["messages"], key=place)
        for thread in "AB"
    }
    ordered = threads["A"][::-1] if descending else threads["A"]
    size = 40 if per_page is None else per_page
    expected = {found["id"]: found for found in ordered[page * size : (page + 1) * size]}
    for id, older, newer in windows:
        for thread in threads.values():
            for at, target in enumerate(thread):
                if target["id"] == id:
                    expected |= {found["id"]: found for found in thread[max(0, at - older) : at + newer + 1]}

    answer = reference.list_messages(
        thread_id="A",
        page=page,
        per_page=per_page,
        order_by={"field": "createdAt", "direction": "DESC" if descending else "ASC"},
        include=[{"id": id, "withPreviousMessages": older, "withNextMessages": newer} for id, older, newer in windows],
    )

    assert answer["messages"] == sorted(expected.values(), key=place, reverse=descending)
    given_of_thread = sum(found["threadId"] == "A" for found in expected.values())
    assert answer["hasMore"] is (size > 0 and (page + 1) * size < 8 and given_of_thread < 8)


@pytest.fixture(scope="module", params=[store for store in STORES if store != "memory-sync"])
def tied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The messages of the reference in every other store."""
    storage = opened(request, tmp_path_factory.mktemp("tied"), "tied")
    storage.memory.save_messages(
        messages=[message(f"{thread}{n}", thread, n * 7 % 4) for thread in "AB" for n in range(8)]
    )
    yield storage.memory
    storage.close()


@pytest.mark.parametrize("descending", [False, True])
def test_a_list_is_the_same_in_every_store(reference: Any, tied: Any, descending: bool) -> None:
    """What the test above finds right, for some of its examples, where moments tie and windows overlap."""
    windows = ((), (("A3", 2, 1),), (("B7", 3, 3), ("A0", 0, 4), ("none", 1, 1)))
    for page, per_page in ((0, 3), (1, 3), (2, 3), (0, 0), (0, False)):
        for each in windows:
            asked: dict[str, Any] = {
                "thread_id": ["A", "B"] if len(each) == 1 else "A",
                "page": page,
                "per_page": per_page,
                "order_by": {"field": "createdAt", "direction": "DESC" if descending else "ASC"},
                "include": [{"id": id, "withPreviousMessages": n, "withNextMessages": m} for id, n, m in each],
                "filter": {"dateRange": {"start": NOON, "end": NOON + 3 * MINUTE, "endExclusive": page == 1}},
            }
            assert tied.list_messages(**asked) == reference.list_messages(**asked), asked


# --- listMessagesByResourceId ---


def test_messages_of_a_resource_are_listed_over_all_of_its_threads(memory: Any) -> None:
    page = memory.list_messages_by_resource_id(resource_id="ada", per_page=3)

    assert ids(page) == ["a0", "b0", "a1"]
    assert facts(page) == (10, 0, 3, True)
    assert ids(memory.list_messages_by_resource_id(resource_id="bob")) == ["c0"]
    assert ids(memory.list_messages_by_resource_id(resource_id="nobody")) == []


def test_messages_of_a_resource_take_the_same_options(memory: Any) -> None:
    page = memory.list_messages_by_resource_id(
        resource_id="ada",
        page=1,
        per_page=2,
        filter={"dateRange": {"start": NOON + 10 * MINUTE}},
        order_by={"field": "createdAt", "direction": "DESC"},
        include=[{"id": "a0"}, {"id": "c0"}],
        include_total=False,
    )

    assert ids(page) == ["b3", "a3", "a0"]
    assert facts(page) == (4, 1, 2, True)


def test_a_resource_must_be_named(memory: Any) -> None:
    with pytest.raises(InvalidInput, match="resourceId must not be empty"):
        memory.list_messages_by_resource_id(resource_id="")
