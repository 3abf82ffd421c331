"""The look-ups of the source documents: spans, traces, scores and messages, in stable pages."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.composite import AsyncStorage
from colonnade.engine.plan import Plan, Put
from colonnade.engine.store import AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, Unsupported
from colonnade.queries.pages import Page
from colonnade.schemas import MESSAGES, SCORES, SPANS
from colonnade.schemas.records import encode

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def span(span_id: str, trace_id: str = "t1", **more: Any) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": span_id, "name": "chat", "startedAt": NOON, **more}


def keep(storage: Any, *spans: dict[str, Any]) -> None:
    storage.observability.batch_create_spans(records=spans)


def keep_scores(storage: Any, *scores: dict[str, Any]) -> None:
    given = {"scorerId": "judge", "runId": "r", "scorer": {}, "score": 0.5, "output": 1, "source": "TEST"}
    storage.execute(Put(SCORES, encode(SCORES, [{**given, "updatedAt": NOON, **score} for score in scores])))


def keep_messages(storage: Any, *messages: dict[str, Any]) -> None:
    given = {"role": "user", "type": "v2", "content": {"format": 2, "parts": []}}
    storage.execute(Put(MESSAGES, encode(MESSAGES, [{**given, **message} for message in messages])))


def ids(page: Page, column: str = "spanId") -> list[str]:
    found: list[str] = page.rows.column(column).to_pylist()
    return found


def every_page(ask: Any, **arguments: Any) -> list[Page]:
    pages = [ask(**arguments)]
    while pages[-1].cursor is not None:
        pages.append(ask(**arguments, after=pages[-1].cursor))
    return pages


# --- spans ---


@pytest.mark.parametrize(
    ("column", "argument"),
    [
        ("traceId", "trace_id"),
        ("parentSpanId", "parent_span_id"),
        ("name", "name"),
        ("scope", "scope"),
        ("spanType", "span_type"),
    ],
)
def test_spans_by_each_indexed_column_newest_first(storage: Any, column: str, argument: str) -> None:
    keep(storage, span("old", **{column: "x"}), span("other", **{column: "y"}))
    keep(storage, span("new", startedAt=NOON + SECOND, **{column: "x"}))

    assert ids(storage.queries.spans(**{argument: "x"})) == ["new", "old"]
    assert ids(storage.queries.spans(**{argument: "z"})) == []


def test_spans_without_arguments_are_the_latest_and_with_several_must_fit_all(storage: Any) -> None:
    keep(storage, span("a", scope="lib"), span("b", startedAt=NOON + SECOND), span("c", "t0", name="tool", scope="lib"))

    assert ids(storage.queries.spans()) == ["b", "c", "a"]  # of one moment: by traceId, then spanId
    assert ids(storage.queries.spans(name="chat", scope="lib")) == ["a"]


def test_a_scope_that_is_an_object_is_found_by_its_name(storage: Any) -> None:
    keep(storage, span("a", scope={"name": "lib", "version": "1"}))

    assert ids(storage.queries.spans(scope="lib")) == ["a"]


def test_payloads_come_only_when_asked_for(storage: Any) -> None:
    keep(storage, span("a", input="wide"))

    assert storage.queries.spans().rows.column_names == list(SPANS.light)
    full = storage.queries.spans(payloads=True)
    assert full.rows.schema.equals(SPANS.schema)
    assert json.loads(full.rows.column("input")[0].as_py()) == "wide"


def test_since_is_inclusive_and_until_exclusive(storage: Any) -> None:
    keep(storage, *(span(f"{n}", startedAt=NOON + n * SECOND) for n in range(4)))

    assert ids(storage.queries.spans(since=NOON + SECOND, until=NOON + 3 * SECOND)) == ["2", "1"]
    assert ids(storage.queries.spans(since="2026-01-31T13:00:02+01:00")) == ["3", "2"]
    with pytest.raises(InvalidInput, match="naive"):
        storage.queries.spans(since="2026-01-31T12:00:00")


def test_since_and_until_may_say_how_long_ago(storage: Any) -> None:
    now = datetime.now(UTC)
    keep(storage, *(span(f"{hours}h", startedAt=now - timedelta(hours=hours)) for hours in (1, 30, 80)))

    assert ids(storage.queries.spans(since="24h")) == ["1h"]
    assert ids(storage.queries.spans(since=timedelta(days=2), until="24h")) == ["30h"]


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "10", None])
def test_a_limit_is_a_whole_number_of_at_least_one(limit: Any) -> None:
    with colonnade.open(":memory:") as storage, pytest.raises(InvalidInput, match="limit must be"):
        storage.queries.spans(limit=limit)


# --- pages ---


def test_the_last_page_has_no_cursor(storage: Any) -> None:
    assert storage.queries.spans(limit=2).cursor is None
    keep(storage, span("a"), span("b"))
    assert storage.queries.spans(limit=2).cursor is None  # exactly full, and nothing follows
    assert storage.queries.spans(limit=1).cursor is not None


def test_pages_neither_skip_nor_repeat_when_spans_come_in_between(storage: Any) -> None:
    keep(storage, *(span(f"{n}") for n in range(4)))
    first = storage.queries.spans(limit=2)
    keep(storage, span("newer", startedAt=NOON + SECOND), span("00"))

    second = storage.queries.spans(limit=2, after=first.cursor)

    assert (ids(first), ids(second)) == (["0", "1"], ["2", "3"])


def test_a_cursor_is_text_that_is_safe_in_urls(storage: Any) -> None:
    keep(storage, span("ä/?=&\"'"), span("z" * 300))

    cursor = storage.queries.spans(limit=1).cursor

    assert cursor.isascii()
    assert cursor.replace("-", "a").replace("_", "a").isalnum()
    assert ids(storage.queries.spans(limit=1, after=cursor)) == ["ä/?=&\"'"]


def test_pages_may_differ_in_size_in_columns_and_in_their_window(storage: Any) -> None:
    keep(storage, *(span(f"{n}") for n in range(5)))
    cursor = storage.queries.spans(limit=1, since="5000w").cursor

    page = storage.queries.spans(limit=3, after=cursor, payloads=True, since="4999w")

    assert ids(page) == ["1", "2", "3"]


@pytest.mark.above_the_waist
def test_a_cursor_of_another_question_is_refused(storage: Any) -> None:
    keep(storage, *(span(f"{n}", name="chat", scope="lib") for n in range(3)))
    cursor = storage.queries.spans(name="chat", limit=1).cursor

    for ask, arguments in [
        (storage.queries.spans, {}),
        (storage.queries.spans, {"name": "tool"}),
        (storage.queries.spans, {"name": "chat", "scope": "lib"}),
        (storage.queries.spans, {"scope": "chat"}),
        (storage.queries.roots, {}),
        (storage.queries.messages, {"thread_id": "chat"}),
    ]:
        with pytest.raises(InvalidInput, match="another question"):
            ask(**arguments, after=cursor)


@pytest.mark.above_the_waist
def test_what_is_no_cursor_is_refused(storage: Any) -> None:
    keep(storage, *(span(f"{n}") for n in range(3)))
    cursor = storage.queries.spans(limit=1).cursor
    said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    def spelled(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    assert ids(storage.queries.spans(after=spelled(said))) == ["1", "2"]
    other: list[Any] = [[*said[:-1], "2"], [2, *said[1:]], said[:-1], [*said, 1], [], {}, 7, None]
    for broken in ["", "x", "!", "é", cursor[:-1], cursor[2:], "A" * 4000, 7, b"x", *map(spelled, other)]:
        with pytest.raises(InvalidInput, match="cursor"):
            storage.queries.spans(after=broken)


moments = st.integers(0, 2).map(lambda tick: NOON + tick * timedelta(microseconds=1))
keys = st.tuples(st.sampled_from(["t1", "t2", "T", "ß"]), st.text("abZ\U0001f600é", min_size=1, max_size=3))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings().max_examples // 4
)  # the storage is one for all examples, and each begins by emptying it
@given(st.dictionaries(keys, moments, max_size=12), st.integers(1, 13), st.integers(0, 2))
def test_the_pages_of_any_size_together_are_the_whole_ordered_list(
    storage: Any, spans: dict[tuple[str, str], datetime], limit: int, tick: int
) -> None:
    storage.observability.dangerously_clear_all()
    keep(storage, *(span(span_id, trace_id, startedAt=moment) for (trace_id, span_id), moment in spans.items()))
    since = NOON + tick * timedelta(microseconds=1)
    ordered = sorted(
        (key for key, moment in spans.items() if moment >= since), key=lambda key: (NOON - spans[key], key)
    )

    pages = every_page(storage.queries.spans, limit=limit, since=since)

    found = [key for page in pages for key in zip(ids(page, "traceId"), ids(page), strict=True)]
    assert found == ordered
    assert [page.rows.num_rows for page in pages[:-1]] == [limit] * (len(pages) - 1)


# --- traces ---


def test_a_trace_has_all_its_spans_in_the_order_of_starts(storage: Any) -> None:
    keep(storage, span("c", startedAt=NOON + SECOND), span("b", parentSpanId="a"), span("a", input=1), span("x", "t2"))

    found = storage.queries.trace(trace_id="t1")

    assert found.column("spanId").to_pylist() == ["a", "b", "c"]
    assert found.column("parentSpanId").to_pylist() == [None, "a", None]
    assert found.column_names == list(SPANS.light)
    assert storage.queries.trace(trace_id="t1", payloads=True).column("input").to_pylist() == ["1", None, None]
    assert storage.queries.trace(trace_id="gone").num_rows == 0


def test_roots_are_the_latest_traces(storage: Any) -> None:
    keep(storage, *(span("root", f"t{n}", startedAt=NOON + n * SECOND) for n in range(5)))
    keep(storage, span("root", "t2", startedAt=NOON + 2 * SECOND, endedAt=NOON + 3 * SECOND))
    keep(storage, span("child", "t1", parentSpanId="root", startedAt=NOON + 2 * SECOND))

    pages = every_page(storage.queries.roots, limit=2, until=NOON + 4 * SECOND)

    assert [ids(page, "traceId") for page in pages] == [["t3", "t2"], ["t1", "t0"]]


# --- scores and messages ---


def test_scores_by_span_are_newest_first_in_pages(storage: Any) -> None:
    place = {"traceId": "t1", "spanId": "a"}
    keep_scores(storage, *({"id": f"s{n}", "createdAt": NOON + n // 2 * SECOND, **place} for n in range(5)))
    keep_scores(storage, {"id": "x", "createdAt": NOON, "traceId": "t1", "spanId": "b"}, {"id": "y", "createdAt": NOON})

    pages = every_page(storage.queries.scores_by_span, trace_id="t1", span_id="a", limit=2)

    assert [ids(page, "id") for page in pages] == [["s4", "s2"], ["s3", "s0"], ["s1"]]
    found = storage.queries.scores_by_span(trace_id="t1", span_id="a", since=NOON + 2 * SECOND, payloads=True)
    assert found.rows.select(["id", "output"]).to_pylist() == [{"id": "s4", "output": "1"}]


@pytest.mark.parametrize("newest_first", [True, False])
def test_messages_by_thread_are_newest_or_oldest_first_in_pages(storage: Any, newest_first: bool) -> None:
    keep_messages(storage, *({"id": f"m{n}", "threadId": "t", "createdAt": NOON + n // 2 * SECOND} for n in range(5)))
    keep_messages(storage, {"id": "x", "threadId": "other", "createdAt": NOON})

    pages = every_page(storage.queries.messages, thread_id="t", newest_first=newest_first, limit=2)

    ordered = [["m4", "m2"], ["m3", "m0"], ["m1"]] if newest_first else [["m0", "m1"], ["m2", "m3"], ["m4"]]
    assert [ids(page, "id") for page in pages] == ordered
    assert json.loads(pages[0].rows.column("content")[0].as_py()) == {"format": 2, "parts": []}
    light = storage.queries.messages(thread_id="t", payloads=False, since=NOON + 2 * SECOND)
    assert (ids(light, "id"), "content" in light.rows.column_names) == (["m4"], False)


def test_the_order_of_messages_is_part_of_the_question(storage: Any) -> None:
    keep_messages(storage, *({"id": f"m{n}", "threadId": "t", "createdAt": NOON} for n in range(2)))
    cursor = storage.queries.messages(thread_id="t", limit=1).cursor

    with pytest.raises(InvalidInput, match="another question"):
        storage.queries.messages(thread_id="t", newest_first=False, after=cursor)


# --- where questions go ---


def test_questions_of_a_composed_storage_go_to_the_store_that_keeps_the_table(tmp_path: Path) -> None:
    with colonnade.open(observability=":memory:", memory=str(tmp_path / "memory.db")) as storage:
        keep(storage, span("a"))
        keep_messages(storage, {"id": "m", "threadId": "t", "createdAt": NOON})

        assert ids(storage.queries.spans()) == ["a"]
        assert ids(storage.queries.messages(thread_id="t"), "id") == ["m"]
        with pytest.raises(Unsupported, match="no store keeps 'scores'"):
            storage.queries.scores_by_span(trace_id="t1", span_id="a")


class Native(AsyncStore):
    """A store whose driver is async: the in-memory one, awaited."""

    abilities = MemoryStore.abilities

    def __init__(self) -> None:
        self.kept = MemoryStore()

    async def execute(self, plan: Plan) -> Any:
        await asyncio.sleep(0)
        return self.kept.execute(plan)


def test_questions_of_async_storages_are_awaited_whatever_their_stores_are() -> None:
    async def asked(**stores: Any) -> list[str]:
        async with AsyncStorage(**stores) as storage:
            await storage.observability.create_span(span=span("a"))
            return ids(await storage.queries.spans(name="chat", limit=50))

    composed: list[dict[str, Any]] = [
        {"observability": MemoryStore()},
        {"observability": Native()},
        {"default": MemoryStore(), "observability": Native()},
        {"default": Native(), "observability": MemoryStore()},
    ]
    for stores in composed:
        assert asyncio.run(asked(**stores)) == ["a"]
