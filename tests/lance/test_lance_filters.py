"""Filters of Lance: whatever an id or a text is, it is compared and never read as a condition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import TRUE, And, Contains, Delete, Filter, Is, Not, Null, OneOf, Or, Put, Scan
from colonnade.engine.stores.lance.filters import between
from colonnade.schemas import SPANS, THREADS
from colonnade.schemas.records import encode
from colonnade.schemas.words import lower

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = (
    "' OR '1'='1",
    "'; DROP TABLE threads; --",
    "'",
    "''",
    '"',
    "`id`",
    "\\",
    "\\'",
    "a\\b",
    "%",
    "_",
    "id",
    "NULL",
    "true",
    "\n",
    "\u202e",
    "é",
    "e\u0301",
    "\U0001f600",
    "\ud7ff",
    "$1",
    "?",
    ":id",
    "{id}",
    "/* */",
    "--",
    "x" * 5000,
)
ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20) | st.sampled_from(HOSTILE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A store with a thread of every hostile id, half of them known to the indexes."""
    with colonnade.open(f"lancedb:///{tmp_path_factory.mktemp('lance') / 'agent'}") as opened:
        for half in (HOSTILE[::2], HOSTILE[1::2]):
            opened.execute(Put(THREADS, encode(THREADS, [_thread(id) for id in half])))
            if half is HOSTILE[::2] or half == HOSTILE[::2]:
                opened.optimize()
        yield opened


def _thread(id: str) -> dict[str, Any]:
    return {"id": id, "resourceId": id, "title": id, "metadata": None, "createdAt": NOW, "updatedAt": NOW}


def _found(store: Any, where: Filter) -> list[str]:
    return sorted(store.execute(Scan(THREADS, where, columns=("id",))).column("id").to_pylist())


@pytest.mark.parametrize("id", HOSTILE, ids=ascii)
def test_a_hostile_id_finds_itself_and_nothing_else(store: Any, id: str) -> None:
    for column in ("id", "resourceId", "title"):
        assert _found(store, Is(column, "=", id)) == [id]
        assert _found(store, OneOf(column, (id, "no such"))) == [id]
        assert _found(store, Not(Is(column, "=", id))) == sorted(set(HOSTILE) - {id})
    assert store.memory.get_thread_by_id(thread_id=id)["id"] == id
    assert [each["id"] for each in store.memory.list_threads(filter={"resourceId": id})["threads"]] == [id]


@given(id=ids)
def test_any_id_finds_itself_and_nothing_else(store: Any, id: str) -> None:
    assert _found(store, Is("id", "=", id)) == ([id] if id in HOSTILE else [])
    assert _found(store, Is("id", "<", id)) == sorted(each for each in HOSTILE if each < id)


@given(id=ids)
def test_deleting_any_id_deletes_nothing_else(store: Any, id: str) -> None:
    before = _found(store, TRUE)
    store.execute(Put(THREADS, encode(THREADS, [_thread(id)])))
    assert store.execute(Delete(THREADS, Is("id", "=", id))) == 1
    assert _found(store, TRUE) == sorted(set(before) - {id})
    if id in before:
        store.execute(Put(THREADS, encode(THREADS, [_thread(id)])))


LATER = NOW + timedelta(hours=1)
AFTER, BEFORE = Is("startedAt", ">=", NOW), Is("startedAt", "<", LATER)


@pytest.mark.parametrize(
    ("where", "bounds"),
    [
        (TRUE, (None, None)),
        (AFTER, (NOW, None)),
        (BEFORE, (None, LATER)),
        (Is("startedAt", "=", NOW), (NOW, NOW)),
        (Is("startedAt", "!=", NOW), (None, None)),
        (AFTER & BEFORE, (NOW, LATER)),
        (And((AFTER, Is("startedAt", ">", LATER))), (LATER, None)),
        (Or((AFTER, Is("startedAt", ">", LATER))), (NOW, None)),
        (Or((AFTER, Is("name", "=", "chat"))), (None, None)),
        (Or((BEFORE, And((Is("startedAt", "=", LATER), Is("spanId", ">", "1"))))), (None, LATER)),
        (Not(AFTER), (None, None)),
        (Null("startedAt"), (None, None)),
        (Is("endedAt", ">", NOW), (None, None)),
    ],
)
def test_a_filter_says_between_which_times_rows_can_be(where: Filter, bounds: tuple[Any, Any]) -> None:
    assert between(where, "startedAt") == bounds


def test_zeros_are_one_number_whatever_their_sign(store: Any) -> None:
    spans = [
        {"traceId": "t", "spanId": str(cost), "name": "a", "startedAt": NOW, "cost": cost} for cost in (0.0, -0.0, 1.0)
    ]
    store.observability.batch_create_spans(records=spans)
    for where, expected in (
        (Is("cost", "=", 0.0), {"0.0", "-0.0"}),
        (Is("cost", ">=", 0.0), {"0.0", "-0.0", "1.0"}),
        (Is("cost", ">", -0.0), {"1.0"}),
        (Is("cost", "<", 0.0), set()),
        (OneOf("cost", (-0.0,)), {"0.0", "-0.0"}),
    ):
        assert set(store.execute(Scan(SPANS, where, columns=("spanId",))).column("spanId").to_pylist()) == expected


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_text_is_found_where_it_is(store: Any, text: str) -> None:
    expected = sorted(each for each in HOSTILE if lower(text) in lower(each))
    assert _found(store, Contains("title", text)) == expected
    assert _found(store, Contains("title", text) & OneOf("id", HOSTILE)) == expected
    assert _found(store, Not(Contains("title", text))) == sorted({*HOSTILE} - {*expected})


@given(text=ids)
def test_any_text_is_found_where_it_is(store: Any, text: str) -> None:
    assert _found(store, Contains("title", text)) == sorted(each for each in HOSTILE if lower(text) in lower(each))


def test_a_filter_that_looks_into_texts_may_list_thousands_of_keys(store: Any) -> None:
    pairs = Or(tuple(Is("id", "=", f"'{number}") & Is("resourceId", "!=", "--") for number in range(5_000)))
    many = OneOf("id", tuple(f"'{number}" for number in range(20_000)))
    assert _found(store, (pairs | many | Is("id", "=", "é")) & Contains("title", "É")) == ["é"]


@pytest.mark.parametrize(
    "where",
    [
        Is("cost", "=", 0.1),
        Is("cost", ">", -1e300),
        Is("inputTokens", "=", 2**62),
        Is("startedAt", "=", NOW),
        Is("startedAt", ">=", NOW - timedelta(microseconds=1)) & Is("startedAt", "<", LATER),
        Null("endedAt"),
        Not(OneOf("spanType", ("a", "b"))) | Null("spanType"),
    ],
    ids=str,
)
def test_values_are_the_same_beside_a_text(store: Any, where: Filter) -> None:
    span = {"traceId": "values", "spanId": "1", "name": "O'Hara", "startedAt": NOW, "cost": 0.1, "inputTokens": 2**62}
    store.observability.batch_create_spans(records=[span])
    for each in (where, where & Contains("name", "o'h")):
        found = store.execute(Scan(SPANS, Is("traceId", "=", "values") & each, columns=("spanId",)))
        assert found.column("spanId").to_pylist() == ["1"]
