"""Full-text search: which rows are found, in which order, and where the words are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade.engine import searching
from colonnade.engine.plan import Search
from colonnade.engine.searching import snippet
from colonnade.errors import InvalidInput, Unsupported
from colonnade.schemas import SPANS, TRACES
from colonnade.schemas.words import lower, words
from colonnade.testing.searched import in_lower_case, words_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def keep(storage: Any, *outputs: Any, **more: Any) -> None:
    storage.observability.batch_create_spans(
        records=[
            {"traceId": "t", "spanId": f"{n}", "name": "chat", "startedAt": NOON + timedelta(minutes=n)}
            | ({"output": output} if not isinstance(output, dict) or "text" in output else output)
            | more
            for n, output in enumerate(outputs)
        ]
    )


def found(storage: Any, text: str, **options: Any) -> list[str]:
    return [hit.record["spanId"] for hit in storage.search(text, **options)]


def test_all_words_must_be_there_each_as_a_word_in_any_order_and_case(storage: Any) -> None:
    keep(
        storage,
        "The refund was denied.",
        {"text": ["DENIED: see", {"why": "Refund!"}]},
        "refunds are denied",
        "the refund",
        "refund_denied",
        "line\nrefund\tdenied",
    )
    assert sorted(found(storage, "refund denied")) == ["0", "1", "4", "5"]
    assert sorted(found(storage, "Denied refund?")) == ["0", "1", "4", "5"]
    assert found(storage, "fund") == []


def test_words_may_be_in_different_fields_but_names_of_fields_are_none(storage: Any) -> None:
    keep(
        storage,
        {"input": {"role": "user", "content": "refund"}, "output": "denied"},
        {"input": {"refund": "denied"}},
        {"error": {"message": "refund denied"}},
    )
    assert sorted(found(storage, "refund denied")) == ["0", "2"]
    assert found(storage, "refund denied", fields=["error"]) == ["2"]
    assert found(storage, "content") == []


def test_some_of_the_words_are_enough_where_that_is_asked_for(storage: Any) -> None:
    keep(storage, "refund", "denied and denied and denied", "refund denied", "neither")
    assert found(storage, "refund denied", some=True) == ["2", "1", "0"]


def test_more_often_and_in_shorter_texts_comes_first_then_the_newest(storage: Any) -> None:
    keep(storage, "refund", "refund refund", "refund " + "and so on " * 300, "refund")
    assert found(storage, "refund") == ["1", "3", "0", "2"]
    assert found(storage, "refund", limit=2) == ["1", "3"]


def test_letters_of_all_scripts_have_two_cases(storage: Any) -> None:
    keep(storage, "CAFÉ", "ΟΔΟΣ", "Возврат ДЕНЕГ", "退款 拒绝", "naïve \U0001f600 test")
    assert found(storage, "café") == ["0"]
    assert found(storage, "οδοσ") == ["1"]
    assert found(storage, "ВОЗВРАТ денег") == ["2"]  # noqa: RUF001
    assert found(storage, "拒绝") == ["3"]
    assert found(storage, "TEST Naïve") == ["4"]


def test_strange_text_is_searched_as_it_was_written(storage: Any) -> None:
    keep(storage, "refund\0denied", "cut \ud83d here", {"text": float("nan"), "a": "fdd0"}, 'quote "refund" \\ back')
    assert found(storage, "denied") == ["0"]
    assert found(storage, "here cut") == ["1"]
    assert found(storage, "0000denied") == []
    assert found(storage, "fdd0") == ["2"]
    assert found(storage, "refund back") == ["3"]


def test_filters_are_those_of_traces_and_equality(storage: Any) -> None:
    keep(storage, {"output": "refund", "error": {"message": "no"}, "tags": ["a"]}, "refund", userId="ada")
    assert found(storage, "refund", filters={"status": "error", "tags": ["a"], "userId": "ada"}) == ["0"]
    assert found(storage, "refund", filters={"spanId": "1", "traceId": "t"}) == ["1"]
    assert found(storage, "refund", since=NOON + timedelta(minutes=1)) == ["1"]
    assert found(storage, "refund", until=NOON + timedelta(minutes=1)) == ["0"]


def test_a_hit_has_its_record_without_wide_fields_and_the_place_of_the_words(storage: Any) -> None:
    keep(storage, {"input": "nothing here", "output": {"text": "so\nthe   refund was denied", "n": 1}})
    (hit,) = storage.search("refund")
    assert (hit.field, hit.snippet) == ("output", "so the refund was denied")
    assert hit.score == pytest.approx(2.2 / (1 + 1.2 * (0.25 + 0.75 * 8 / 256)))
    assert hit.record["name"] == "chat" and "output" not in hit.record


def test_messages_threads_and_resources_are_searched(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "A refund"})
    part = {"format": 2, "parts": [{"type": "text", "text": "My refund, please"}]}
    message = {"id": "m", "threadId": "t", "resourceId": "ada", "role": "user", "content": part}
    storage.memory.save_messages(messages=[message])
    storage.memory.update_resource(resource_id="ada", working_memory="Wants a refund")
    (hit,) = storage.search("refund", table="messages", filters={"threadId": "t"})
    assert (hit.record["id"], hit.record["threadId"], hit.field) == ("m", "t", "content")
    assert storage.search("refund", table="messages", filters={"threadId": "other"}) == []
    assert [hit.record["id"] for hit in storage.search("refund", table="threads")] == ["t"]
    assert [hit.snippet for hit in storage.search("REFUND", table="mastra_resources")] == ["Wants a refund"]


def test_pages_are_read_until_the_best_are_known(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "PAGE", 3)
    monkeypatch.setattr(searching, "BYTES", 1)
    keep(storage, "refund refund refund", *["refunds", "refund"] * 5)
    assert found(storage, "refund", limit=3) == ["0", "10", "8"]
    monkeypatch.setattr(searching, "DEPTH", 2)
    assert found(storage, "refund", limit=3) == ["10", "8"]  # the oldest is not ranked any more


def test_what_cannot_be_searched_is_refused(storage: Any) -> None:
    for text, options, said in (
        ("?!", {}, "no letters"),
        ("a", {"limit": 0}, "limit"),
        ("a", {"table": "agents"}, "searched in no field"),
        ("a", {"fields": ["startedAt"]}, "only text and JSON"),
        ("a", {"fields": ["outptu"]}, "did you mean 'output'"),
        ("a", {"fields": "output"}, "list of names"),
        ("a", {"filters": {"nosuch": 1}}, "no column 'nosuch'"),
    ):
        with pytest.raises(InvalidInput, match=said):
            storage.search(text, **options)
    assert storage.search("a", table="traces") == []  # which are spans
    with pytest.raises(Unsupported, match="search that"):
        storage.execute(Search(TRACES, ("a",), ("name",)))


@given(st.text())
def test_words_are_what_they_are_said_to_be(text: str) -> None:
    assert words(text) == words_of(text)
    assert lower(text) == in_lower_case(text)


def test_every_letter_is_found_by_its_other_case() -> None:
    # Spot checks over the planes that have letters; the machine compares stores with each other.
    letters = [chr(point) for point in range(0x250) if chr(point).isalpha()]
    with colonnade.open(":memory:") as storage:
        keep(storage, *letters)
        for place, letter in enumerate(letters):
            assert str(place) in found(storage, in_lower_case(letter), limit=1000), letter


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the refund was denied", "the refund was denied"),
        ("x " * 200 + "refund now" + " y" * 200, "… " + "x " * 38 + "refund now" + " y" * 36 + " …"),
        ("refund " + "x " * 200 + "denied the refund", "… " + "x " * 71 + "denied the refund"),
        ("r" * 300, "r" * 160),
    ],
)
def test_a_snippet_is_where_most_words_are_near_each_other(text: str, shown: str) -> None:
    assert snippet(text, ("refund", "denied")) == shown


def test_a_search_needs_words_that_are_words() -> None:
    with colonnade.open(":memory:") as storage:
        assert storage.execute(Search(SPANS, ("a",), ("output",))).num_rows == 0
        with pytest.raises(InvalidInput, match="in lower case"):
            storage.execute(Search(SPANS, ("Two words",), ("output",)))
