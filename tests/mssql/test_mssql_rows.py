"""What an SQL Server store keeps, exactly, and how it finds it again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import (
    TRUE,
    Among,
    At,
    Contains,
    Delete,
    Is,
    Measure,
    Null,
    OneOf,
    Patch,
    Put,
    Scan,
    Summarize,
    asc,
    desc,
)
from colonnade.engine.stores.mssql import client, writing
from colonnade.engine.stores.mssql.store import MSSQLStore
from colonnade.errors import InvalidInput
from colonnade.schemas import MESSAGES, SPANS, STORED, THREADS
from colonnade.testing.colours import Awaited
from colonnade.testing.strategies import crowd

START = datetime(2026, 1, 31, tzinfo=UTC)
STRANGE = [
    "'; DROP TABLE mastra_threads; --", '"', "%s %(x)s @p1", "_%[a]", "back\\slash", "\\\nb", "a\\\r\nb", "$where",
    '{"$gt": ""}', "NUL \0 here", "😀\ud83d", "שלום\u202e", "\ufdd0", "{}", "NULL", "N'x'", "\t", ",", "GO\nGO",
    "x" * 1_000_000,
]  # fmt: skip


def span(trace: str, **fields: Any) -> dict[str, Any]:
    known = {"spanId": "s", "name": "n", "spanType": "g", "isEvent": False, "startedAt": START}
    return {"traceId": trace, **known, **fields}


@pytest.fixture(scope="module")
def opened(server: Any) -> Iterator[Any]:
    with colonnade.open(server.address("rows")) as storage:
        yield storage


@pytest.fixture
def store(opened: Any, server: Any) -> Iterator[Any]:
    yield opened
    server.empty("rows")


def test_strange_texts_come_back_as_they_were(store: Any) -> None:
    threads = [
        {"id": f"t{place}", "resourceId": "r", "title": text, "metadata": {text: [text, {"deep": text}]}}
        for place, text in enumerate(STRANGE)
    ]
    for thread in threads:
        store.memory.save_thread(thread=thread)
    spans = [
        span(f"t{place}", name=text, input=text, metadata={"m": text}, tags=[text])
        for place, text in enumerate(STRANGE)
    ]
    store.observability.batch_create_spans(records=spans)
    for thread, each in zip(threads, spans, strict=True):
        found = store.memory.get_thread_by_id(thread_id=thread["id"])
        assert (found["title"], found["metadata"]) == (thread["title"], thread["metadata"])
        (read,) = store.observability.get_trace(trace_id=each["traceId"])["spans"]
        assert (read["name"], read["input"], read["tags"]) == (each["name"], each["input"], each["tags"])
    for each in spans[:-1]:
        for filters in ({"metadata": each["metadata"]}, {"tags": each["tags"]}):
            found = store.observability.list_traces(filters=filters)
            assert [row["traceId"] for row in found["spans"]] == [each["traceId"]]
    for text in ("'; DROP TABLE", "%s %(x)s", "[A]", "back\\slash", '{"$gt"', "$WHERE", "\\\n"):
        found = store.execute(Scan(SPANS, Contains("name", text), columns=("name",))).column(0).to_pylist()
        assert found == [each for each in STRANGE if text.lower() in each.lower()]
    store.execute(Patch(THREADS, Is("id", "=", "t5"), {"title": "\\\n'"}))
    assert store.memory.get_thread_by_id(thread_id="t5")["title"] == "\\\n'"


def test_texts_that_sql_server_calls_equal_are_different(store: Any) -> None:
    texts = ["a", "a ", "a  ", "A", "á", "a\t", " ", "ß", "ss", "a\u0301", "\U0001f600", "\uff5e"]
    store.observability.batch_create_spans(records=[span(f"={text}", name=text, entityId=text) for text in texts])
    assert store.execute(Scan(SPANS, columns=("traceId",))).num_rows == len(texts)
    for column in ("name", "entityId"):  # one with a key, and one without
        for text in texts:
            found = store.execute(Scan(SPANS, Is(column, "=", text), columns=("name",))).column(0).to_pylist()
            assert found == [text]
            assert store.execute(Scan(SPANS, Is(column, "<", text))).num_rows == sorted(texts).index(text)
        for order in (asc(column), desc(column)):
            found = store.execute(Scan(SPANS, order=(order,), columns=("name",))).column(0).to_pylist()
            assert found == sorted(texts, reverse=order.descending)
        groups = store.execute(Summarize(SPANS, (column,))).column(0).to_pylist()
        assert groups == sorted(texts)
        ends = store.execute(Summarize(SPANS, (), (Measure("min", column), Measure("max", column)))).to_pylist()[0]
        assert list(ends.values()) == [min(texts), max(texts)]
    assert store.execute(Delete(SPANS, Is("traceId", "=", "=a"))) == 1


@pytest.mark.parametrize("table", STORED, ids=str)
def test_rows_of_every_kind_come_back_as_they_were(store: Any, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = crowd(table, 1)
    order = tuple(map(asc, table.key))
    answers = []
    for letters in (writing.LETTERS, 1):  # as one statement, and one by one
        monkeypatch.setattr(writing, "LETTERS", letters)
        store.execute(Put(table, rows))
        answers.append(store.execute(Scan(table, order=order)))
        store.execute(Delete(table, TRUE))
    assert answers[0].equals(answers[1])
    from colonnade.engine import fold

    assert answers[0].equals(fold.order(fold.collapse(table, rows), order).select(answers[0].column_names))


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_long_texts_in_identifiers_and_in_all_that_is_indexed(server: Any, colour: str) -> None:
    address = server.address(f"wide_{colour}")
    store: Any = colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))
    try:
        dice = random.Random(1)
        long = ["".join(chr(dice.randrange(0x20, 0x2FFF)) for _ in range(20_000)) for _ in range(2)]
        long += [long[0] + "x", "é" * 300, "short"]
        spans = [span(text, spanId=text, name=text, scope=text, metadata={"m": text}) for text in long]
        store.observability.batch_create_spans(records=spans)
        store.observability.batch_create_spans(records=spans)
        assert store.execute(Scan(SPANS)).num_rows == len(long)
        for text in long:
            (found,) = store.observability.get_trace(trace_id=text)["spans"]
            assert (found["spanId"], found["name"], found["metadata"]) == (text, text, {"m": text})
            assert store.execute(Scan(SPANS, OneOf("name", (text, "none")), columns=("name",))).num_rows == 1
        ordered = store.execute(Scan(SPANS, order=(asc("traceId"),), columns=("traceId",))).column(0).to_pylist()
        assert ordered == sorted(long)
        run = {"workflow_name": long[0], "run_id": long[1]}
        store.workflows.update_workflow_results(**run, step_id="s", result={}, request_context={})
        assert store.workflows.load_workflow_snapshot(**run)["context"] == {"s": {}}
        assert store.execute(Scan(SPANS, Contains("name", long[0][:5_000]), columns=("name",))).num_rows == 2
        assert store.execute(Patch(SPANS, Contains("name", long[0][:5_000]), {"environment": "x"})) == 2
        assert store.execute(Delete(SPANS, Is("name", "=", long[2]))) == 1
    finally:
        store.close()


def test_numbers_and_times_to_the_last_bit(store: Any) -> None:
    costs = [0.1, 1 / 3, -0.0, 1e308, -1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 123456789.12345678]
    moments = [START + timedelta(microseconds=number) for number in (1, 999_999)]
    spans = [
        span(f"{place}", cost=cost, inputTokens=2**63 - 1 - place, startedAt=moments[place % 2])
        for place, cost in enumerate(costs)
    ]
    store.observability.batch_create_spans(records=spans)
    columns = ("traceId", "cost", "inputTokens", "startedAt")
    for row in store.execute(Scan(SPANS, columns=columns)).to_pylist():
        given = spans[int(row["traceId"])]
        assert {**row, "cost": repr(row["cost"])} == {name: given[name] for name in columns} | {
            "cost": repr(given["cost"])
        }
    for cost in costs:
        assert store.execute(Scan(SPANS, Is("cost", "=", cost))).num_rows == 1
    assert store.execute(Scan(SPANS, OneOf("cost", tuple(costs * 10)))).num_rows == len(costs)
    for moment in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)):
        thread = {"id": "t", "resourceId": "r", "title": "T", "createdAt": moment, "updatedAt": moment}
        store.memory.save_thread(thread=thread)
        assert store.memory.get_thread_by_id(thread_id="t")["createdAt"] == moment
        assert store.execute(Delete(THREADS, Is("createdAt", "=", moment))) == 1
    with pytest.raises(InvalidInput, match="does not fit into 64 bits"):
        store.execute(Summarize(SPANS, (), (Measure("sum", "inputTokens"),)))


def test_json_of_every_shape_is_looked_into(store: Any) -> None:
    shapes = [
        None, {"a": "x"}, {"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"a": None}, {"a": ["x", 1]},
        {"a": {"b": "x"}}, {"A": "x"}, {"a ": "x"}, {"0": "x"}, ["x"], "x", 1, True, {"a": "x" * 9_000},
        {"a": {"0": "y"}}, {"a": 10**400},
    ]  # fmt: skip
    spans = [span(f"{place:02}", metadata=shape) for place, shape in enumerate(shapes)]
    store.observability.batch_create_spans(records=spans)

    def found(where: Any) -> list[Any]:
        plan = Scan(SPANS, where, (asc("traceId"),), columns=("traceId",))
        return [shapes[int(each)] for each in store.execute(plan).column(0).to_pylist()]

    a, whole = At("metadata", ("a",)), At("metadata")
    assert found(Is(a, "=", "x")) == [{"a": "x"}]
    assert found(Is(a, "=", 1)) == [{"a": 1}, {"a": 1.0}]
    assert found(Is(a, "=", True)) == [{"a": True}]
    assert found(Is(a, "=", "x" * 9_000)) == [{"a": "x" * 9_000}], "JSON_VALUE would see nothing"
    assert found(Is(a, "has", "x")) == [{"a": ["x", 1]}]
    assert found(Is(At("metadata", ("a", "b")), "=", "x")) == [{"a": {"b": "x"}}]
    assert found(Is(At("metadata", ("0",)), "=", "x")) == [{"0": "x"}], "a list has no such place"
    assert found(Is(At("metadata", ("a", "0")), "=", "y")) == [{"a": {"0": "y"}}]
    assert found(Is(whole, "=", "x")) == ["x"]
    assert found(Is(whole, "has", "x")) == [["x"]]
    assert found(Is(whole, "=", True)) == [True]
    without = [shape for shape in shapes if not (isinstance(shape, dict) and shape.get("a") is not None)]
    assert found(Null(a)) == without
    there = [shape for shape in shapes if isinstance(shape, dict) and "a" in shape]
    assert found(Is(a, "!=", "x")) == [shape for shape in there if shape != {"a": "x"}]


def test_many_keys_and_many_values_are_one_value_each(store: Any) -> None:
    store.observability.batch_create_spans(records=[span(f"t{number}", kind=0) for number in range(300)])
    names = tuple(f"t{number}" for number in range(0, 6_000, 2))
    assert store.execute(Scan(SPANS, OneOf("traceId", names), columns=("traceId",))).num_rows == 150
    assert store.execute(Scan(SPANS, OneOf("entityId", (*names, "x")), columns=("traceId",))).num_rows == 0
    moments = tuple(START + timedelta(seconds=number) for number in range(100))
    assert store.execute(Scan(SPANS, OneOf("startedAt", moments), columns=("traceId",))).num_rows == 300
    assert store.execute(Scan(SPANS, OneOf("kind", tuple(range(100))), columns=("traceId",))).num_rows == 300
    read = store.execute(Scan(SPANS))
    assert store.execute(Put(SPANS, read, expect=read)) == 300


def test_semi_joins_by_keys_and_by_texts(store: Any) -> None:
    store.memory.save_thread(thread={"id": "t", "resourceId": "r", "title": "T"})
    message = {"id": "m", "threadId": "t", "resourceId": "r", "role": "user", "content": {"format": 2}}
    store.memory.save_messages(messages=[message])
    mine = Scan(THREADS, Is("title", "=", "T"), order=(asc("title"),))
    for column, of in (("thread_id", "id"), ("resourceId", "resourceId"), ("role", "title")):
        found = store.execute(Scan(MESSAGES, Among(column, mine, of))).num_rows
        assert found == (0 if column == "role" else 1)
    assert store.execute(Scan(MESSAGES, Among("thread_id", mine.but(limit=1), "id"))).num_rows == 1
    assert store.execute(Scan(MESSAGES, Among("thread_id", mine.but(limit=0), "id"))).num_rows == 0


def test_streams_and_pages(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FETCHED", 100)
    moments = [START + timedelta(seconds=number // 7) for number in range(300)]
    spans = [span(f"{number:04}", startedAt=moment) for number, moment in enumerate(moments)]
    store.observability.batch_create_spans(records=spans)
    (kept,) = store.stores
    assert isinstance(kept, MSSQLStore)
    streamed = list(kept.batches(Scan(SPANS, columns=("traceId",))))
    assert len(streamed) > 1 and sum(batch.num_rows for batch in streamed) == 300
    assert next(kept.batches(Scan(SPANS))).num_rows == 100, "a stream may be left before its end"
    newest = sorted(range(300), key=lambda number: (-(number // 7), number))
    for offset in (0, 5, 290):
        page = Scan(SPANS, order=(desc("startedAt"),), limit=20, offset=offset, columns=("traceId",))
        found = store.execute(page).column(0).to_pylist()
        assert found == [f"{number:04}" for number in newest[offset : offset + 20]]
