"""SQL over an embedded folder: one picture of all tables, while others write, seal and merge."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pytest

import colonnade
from colonnade.engine.stores.duckdb_database import Rows
from colonnade.engine.stores.embedded import sql as embedded
from colonnade.engine.stores.embedded.store import EmbeddedStore

START = "2026-01-01T00:00:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[colonnade.Storage]:
    with colonnade.open(tmp_path / "agent") as opened:
        yield opened


def count(store: colonnade.Storage, query: str, **limits: Any) -> int:
    """The one number that a query gives."""
    found: int = store.sql(query, **limits).arrow().column(0)[0].as_py()
    return found


def span(number: int, **more: Any) -> dict[str, Any]:
    return {"traceId": f"trace{number // 3}", "spanId": f"span{number}", "name": "chat", "startedAt": START, **more}


def score(number: int, **more: Any) -> dict[str, Any]:
    given = {"runId": "r", "entityId": "e", "entityType": "AGENT", "source": "LIVE", "scorer": {}, "entity": {}}
    return {**given, "id": f"score{number}", "scorerId": "s", "output": {}, "score": 0.5, **more}


@contextmanager
def meanwhile(*works: Callable[[int], object]) -> Iterator[None]:
    """Others at work, over and over, until the block ends; their failures are the test's."""
    stop = threading.Event()

    def again(work: Callable[[int], object]) -> None:
        number = 0
        while not stop.is_set():
            work(number)
            number += 1

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(again, work) for work in works]
        try:
            yield
        finally:
            stop.set()
        for each in running:
            each.result()


def test_fresh_rows_and_segments_are_one_table(store: colonnade.Storage) -> None:
    for number in range(6):
        store.observability.create_span(span=span(number))
        if number % 2:
            store.optimize()
    store.observability.create_span(span=span(6))
    assert count(store, "select count(*) from spans") == 7
    assert count(store, "select count(distinct id) from traces where name = 'chat'") == 7
    rows = store.sql('select "spanId" from spans where "traceId" = ? order by 1', ["trace1"]).rows()
    assert rows == [{"spanId": f"span{number}"} for number in (3, 4, 5)]


def test_a_row_that_was_replaced_or_deleted_since_it_was_sealed_is_seen_as_it_is(store: colonnade.Storage) -> None:
    for number in range(4):
        store.observability.create_span(span=span(number))
    store.optimize()
    assert count(store, "select count(*) from spans") == 4
    store.observability.update_span(trace_id="trace0", span_id="span1", updates={"name": "tool"})
    named = "select name, count(*) as n from spans group by name order by name"
    assert store.sql(named).rows() == [{"name": "chat", "n": 3}, {"name": "tool", "n": 1}]
    store.observability.batch_delete_traces(trace_ids=["trace1"])
    assert store.sql(named).rows() == [{"name": "chat", "n": 2}, {"name": "tool", "n": 1}]
    store.optimize()
    assert store.sql(named).rows() == [{"name": "chat", "n": 2}, {"name": "tool", "n": 1}]


def test_all_that_accumulates_is_of_one_moment(store: colonnade.Storage) -> None:
    def write(number: int) -> None:
        store.observability.create_span(span=span(number))
        store.scores.save_score(score=score(number, traceId=f"trace{number // 3}", spanId=f"span{number}"))

    orphans = """
        select count(*) from scores s anti join spans p on p."spanId" = s."spanId" and p."traceId" = s."traceId"
    """
    both = 'select count(*) - count(distinct "spanId") from (select "spanId" from spans)'
    with meanwhile(write, lambda _: store.optimize()):
        for _ in range(15):
            assert count(store, orphans) == 0
            assert count(store, both) == 0
    assert count(store, "select count(*) from spans") == count(store, "select count(*) from scores")


def test_all_that_changes_is_of_one_moment(store: colonnade.Storage) -> None:
    def write(number: int) -> None:
        store.memory.save_thread(thread={"id": f"t{number}", "resourceId": "r", "title": ""})
        message = {"id": f"m{number}", "threadId": f"t{number}", "role": "user", "content": {"format": 2, "parts": []}}
        store.memory.save_messages(messages=[{**message, "type": "v2", "resourceId": "r"}])

    orphans = "select count(*) from messages m anti join threads t on t.id = m.thread_id"
    itself = "select count(*) from (select id from messages) a full join (select id, role from messages) b using (id)"
    with meanwhile(write):
        for _ in range(15):
            assert count(store, orphans) == 0
            assert count(store, f"{itself} where b.role is null or a.id is null") == 0


def test_queries_go_on_while_segments_are_sealed_and_merged(store: colonnade.Storage) -> None:
    written = 0

    def write(number: int) -> None:
        nonlocal written
        store.observability.create_span(span=span(number))
        written = number + 1
        store.optimize()

    with meanwhile(write, lambda _: count(store, "select count(*) from spans")):
        seen = 0
        for _ in range(30):
            least = written
            found = count(store, "select count(*) from spans")
            assert least <= found and seen <= found
            seen = found
    assert count(store, "select count(*) from spans") == written


def test_a_query_with_a_limit_of_its_own_sees_the_same(store: colonnade.Storage) -> None:
    store.observability.create_span(span=span(1))
    store.optimize()
    for _ in range(2):
        assert count(store, "select count(*) from spans", memory="64MB") == 1
        assert count(store, "select count(*) from spans") == 1


def test_a_result_is_read_to_its_end_though_segments_and_logs_go_meanwhile(store: colonnade.Storage) -> None:
    for number in range(4):
        store.observability.create_span(span=span(number))
        store.optimize()
    batches = store.sql('select "spanId", md5(i::varchar) as m from spans, range(200000) r(i)').batches()
    rows = next(batches).num_rows
    store.observability.create_span(span=span(5))
    store.optimize()
    assert count(store, "select count(*) from spans") == 5
    assert rows + sum(batch.num_rows for batch in batches) == 800_000


def test_another_process_sees_what_was_written(store: colonnade.Storage, tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as other:
        for number in range(3):
            store.observability.create_span(span=span(number))
            store.memory.save_thread(thread={"id": f"t{number}", "resourceId": "r", "title": ""})
            assert count(other, "select count(*) from spans") == number + 1
            assert count(other, "select count(*) from threads") == number + 1


def test_a_database_that_holds_much_is_let_go_between_queries(
    store: colonnade.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.observability.create_span(span=span(1))

    def kept() -> object:
        home = store.stores[0]
        assert isinstance(home, EmbeddedStore) and home._sql is not None
        return home._sql._kept  # nothing else tells

    assert count(store, "select count(*) from spans") == 1
    first = kept()
    assert count(store, "select count(*) from spans") == 1
    assert kept() is first
    monkeypatch.setattr(embedded, "_IDLE", -1)
    monkeypatch.setattr(embedded, "_BRIEF", 0)
    assert count(store, "select count(*) from spans") == 1
    assert kept() is None
    assert count(store, "select count(*) from spans") == 1


def test_of_a_state_table_what_is_asked_for_is_read() -> None:
    asked: list[tuple[str, ...]] = []
    rows = pa.table({name: ["a", "b"] for name in ("id", "role", "content")})

    def read(columns: tuple[str, ...]) -> pa.RecordBatchReader:
        asked.append(columns)
        chosen = rows.select(list(columns))
        return pa.RecordBatchReader.from_batches(chosen.schema, chosen.to_batches())

    table = Rows(rows.schema, read)
    assert table.scanner(columns=["role"]).to_table().column_names == ["role"]
    one = pyarrow.dataset.field("id") == "a"
    assert table.scanner(columns=["role"], filter=one).to_table().to_pylist() == [{"role": "a"}]
    assert table.scanner().to_table() == rows
    assert asked == [("role",), ("id", "role"), tuple(rows.column_names)]
