"""The writer: what goes in, what a flush means, and what comes of rows that cannot be used."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import colonnade
from colonnade.engine import writer_queue
from colonnade.engine.plan import Put
from colonnade.engine.store import AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, InvalidRows, StoreClosed, StoreReadOnly, Unsupported
from colonnade.schemas import SCORES, SPANS
from colonnade.schemas.rows import Span
from colonnade.schemas.span_rows import encode_spans

LONG = 1e6
"""Seconds: nothing is written because of its age."""
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def span(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"traceId": f"t{number // 10}", "spanId": f"s{number}", "name": "chat", "startedAt": NOW, **more}


def score(**more: Any) -> dict[str, Any]:
    given = {"scorerId": "exact", "entityId": "agent", "runId": "r1", "output": {}, "score": 0.5, "scorer": {}}
    return {**given, "source": "TEST", "entity": {}, **more}


def spans_of(store: colonnade.Storage) -> dict[str, Any]:
    """The names of all spans by their ids."""
    return {row["spanId"]: row["name"] for row in store.sql('select "spanId", name from spans').rows()}


class Counting(MemoryStore):
    """A memory store that keeps what it was given to put."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[pa.Table] = []

    def put(self, plan: Put) -> int:
        self.puts.append(plan.data)
        return super().put(plan)


@pytest.fixture(params=["memory", "duckdb", "embedded", "composite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[colonnade.Storage]:
    match request.param:
        case "memory":
            opened = colonnade.open(":memory:")
        case "duckdb":
            opened = colonnade.open(tmp_path / "agent.db")
        case "embedded":
            opened = colonnade.open(tmp_path / "agent")
        case _:
            opened = colonnade.open(":memory:", observability=tmp_path / "spans.db", scores=tmp_path / "scores")
    with opened:
        yield opened


# --- what a flush means ---


def test_after_a_flush_what_was_added_is_there(store: colonnade.Storage) -> None:
    with store.writer(latency=LONG) as writer:
        writer.add(span(1))
        writer.extend([span(2), span(3)])
        assert writer.flush() is True
        assert spans_of(store) == {"s1": "chat", "s2": "chat", "s3": "chat"}
        assert writer.flush() is True  # nothing to do


def test_at_its_end_a_writer_writes_what_waits(store: colonnade.Storage) -> None:
    with store.writer(latency=LONG) as writer:
        writer.add(span(1))
    assert spans_of(store) == {"s1": "chat"}
    writer.close()
    with pytest.raises(StoreClosed, match=r"make another one with store\.writer"):
        writer.add(span(2))


def test_what_many_threads_add_is_all_there(store: colonnade.Storage) -> None:
    def work(number: int) -> None:
        for place in range(50):
            writer.add(span(number * 50 + place))
            if place == 25:
                writer.flush()
                mine = {f"s{number * 50 + each}" for each in range(26)}
                missing = mine - spans_of(store).keys()
                if missing:
                    lost.append(missing)

    lost: list[set[str]] = []
    with store.writer(latency=0.001) as writer:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not lost
    assert len(spans_of(store)) == 300
    counted = writer.counters
    assert (counted.added, counted.written, counted.waiting) == (300, 300, 0)


def test_a_row_is_written_after_a_while_without_a_flush() -> None:
    class Telling(MemoryStore):
        told = threading.Event()

        def put(self, plan: Put) -> int:
            done = super().put(plan)
            self.told.set()
            return done

    with colonnade.open(Telling()) as store:
        writer = store.writer(latency=0.01)
        writer.add(span(1))
        assert Telling.told.wait(60)
        assert spans_of(store) == {"s1": "chat"}


def test_what_was_added_is_one_commit() -> None:
    kept = Counting()
    with colonnade.open(kept) as store, store.writer(latency=LONG) as writer:
        for number in range(100):
            writer.add(span(number))
        assert kept.puts == []
        writer.flush()
        assert [data.num_rows for data in kept.puts] == [100]
        assert writer.counters == writer_queue.Counters(
            added=100, written=100, refused=0, waiting=0, commits=1, bytes=kept.puts[0].nbytes, failures=0, blocked=0.0
        )


def test_one_commit_is_one_frame_of_the_log(tmp_path: Path) -> None:
    from colonnade.engine.stores.embedded.log import LogReader

    with colonnade.open(tmp_path / "agent") as store, store.writer(latency=LONG) as writer:
        writer.extend(span(number) for number in range(100))
        writer.flush()
        (log,) = (tmp_path / "agent" / "logs").glob("*.log")
        assert len(LogReader(log).read()) == 1


def test_a_span_that_starts_and_ends_in_one_group_is_one_row() -> None:
    kept = Counting()
    with colonnade.open(kept) as store, store.writer(latency=LONG) as writer:
        writer.add(span(1))
        writer.add(span(2, endedAt=NOW))
        writer.add(span(1, endedAt=NOW, name="done"))
        writer.add(span(2, name="late copy of the start"))
        writer.flush()
        (data,) = kept.puts
        assert data.num_rows == 2
        assert spans_of(store) == {"s1": "done", "s2": "chat"}
        assert writer.counters.written == 4


def test_many_rows_are_several_commits() -> None:
    kept = Counting()
    with colonnade.open(kept) as store, store.writer(latency=LONG, max_rows=10**6) as writer:
        writer.extend(span(number) for number in range(9000))
        writer.flush()
        assert sum(data.num_rows for data in kept.puts) == 9000
        assert max(data.num_rows for data in kept.puts) <= 8192


def test_the_thread_ends_when_it_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_queue, "_IDLE", 0.01)
    with colonnade.open(":memory:") as store:
        writer = store.writer("evals", latency=0.0)
        for number in (1, 2):
            writer.add(EVAL | {"runId": f"00000000-0000-0000-0000-00000000000{number}"})
            writer.flush()
            for thread in threading.enumerate():
                if thread.name == "colonnade-writer-evals":
                    thread.join(60)
                    assert not thread.is_alive()
        assert store.scores.list_evals()["pagination"]["total"] == 2
        gone = weakref.ref(writer)
        del writer
        gc.collect()
        assert gone() is None


# --- what goes in ---

EVAL = {
    "input": "a",
    "output": "b",
    "result": {"score": 1.0},
    "agentName": "finder",
    "metricName": "length",
    "instructions": "be short",
    "globalRunId": "00000000-0000-0000-0000-000000000001",
    "runId": "00000000-0000-0000-0000-000000000001",
}


def test_scores_and_evals_as_their_domain_saves_them(store: colonnade.Storage) -> None:
    with store.writer("scores") as writer:
        writer.add(score(id="one", structuredOutput=True))
        writer.add(score())
    with store.writer("evals") as evals:
        evals.add(EVAL)
    found = store.scores.list_scores_by_run_id(run_id="r1")["scores"]
    assert {"one"} < {each["id"] for each in found} and len(found) == 2
    assert all(each["createdAt"] is not None for each in found)
    (kept,) = store.scores.list_evals()["evals"]
    assert kept["testInfo"] == {} and kept["metricName"] == "length"


def test_a_table_may_be_given_itself() -> None:
    with colonnade.open(":memory:") as store, store.writer(SCORES) as writer:
        writer.add(score())
        writer.flush()
        assert store.scores.list_scores_by_run_id(run_id="r1")["pagination"]["total"] == 1


def test_what_changes_has_no_writer() -> None:
    with colonnade.open(":memory:") as store:
        for table in ("messages", "traces"):
            with pytest.raises(InvalidInput, match="spans, scores, evals"):
                store.writer(table)
        with pytest.raises(InvalidInput, match="did you mean 'spans'"):
            store.writer("span")


def test_a_typed_dict_and_a_span_as_it_was_read(store: colonnade.Storage) -> None:
    store.observability.create_span(span=span(1, scope={"name": "lib"}, attributes={"a": [1]}))
    read: Any = store.observability.get_span(trace_id="t0", span_id="s1")
    typed: Span = {**read["span"], "spanId": "s2"}  # type: ignore[typeddict-item]
    with store.writer() as writer:
        writer.add(typed)
    again: Any = store.observability.get_span(trace_id="t0", span_id="s2")
    assert again["span"] == {**read["span"], "spanId": "s2", "updatedAt": again["span"]["updatedAt"]}


def test_a_record_is_what_it_was_when_it_was_added(store: colonnade.Storage) -> None:
    messages = [{"role": "user", "content": ["hello"]}]
    given = span(1, input=messages, attributes={"n": {"deep": [1]}})
    with store.writer(latency=LONG) as writer:
        writer.add(given)
        messages[0]["content"].append("again")  # type: ignore[attr-defined]
        messages.append({"role": "assistant", "content": []})
        given["attributes"]["n"]["deep"].clear()
        given["name"] = "other"
    found: Any = store.observability.get_span(trace_id="t0", span_id="s1")
    assert found["span"]["input"] == [{"role": "user", "content": ["hello"]}]
    assert found["span"]["attributes"] == {"n": {"deep": [1]}}
    assert found["span"]["name"] == "chat"


def arrow(rows: int, **more: Any) -> pa.RecordBatch:
    """Spans with the columns that may not be null and no others."""
    columns = {
        "traceId": [f"t{number}" for number in range(rows)],
        "spanId": [f"s{number}" for number in range(rows)],
        "name": ["chat"] * rows,
        "spanType": ["generic"] * rows,
        "kind": [0] * rows,
        "isEvent": [False] * rows,
        "startedAt": [NOW] * rows,
        "startTime": [0] * rows,
        "createdAt": [NOW] * rows,
        **more,
    }
    types = {name: SPANS.schema.field(name).type for name in columns if name in SPANS.columns}
    return pa.RecordBatch.from_pydict(
        {name: pa.array(values, types.get(name)) for name, values in columns.items() if values is not None}
    )


@pytest.mark.parametrize("form", ["batch", "table", "reader", "polars"])
def test_arrow_data(store: colonnade.Storage, form: str) -> None:
    batch = arrow(3)
    given: Any = {
        "batch": batch,
        "table": pa.table(batch),
        "reader": pa.RecordBatchReader.from_batches(batch.schema, [batch]),
        "polars": pl.DataFrame(pa.table(batch)),
    }[form]
    with store.writer() as writer:
        writer.add(given)
        writer.add(span(7))
    assert set(spans_of(store)) == {"s0", "s1", "s2", "s7"}


def test_large_arrow_data_is_split_and_stays_in_order() -> None:
    kept = Counting()
    with colonnade.open(kept) as store, store.writer(latency=LONG, max_rows=10) as writer:
        writer.add(pa.table(arrow(20_000)))
        writer.flush()
        assert pa.concat_tables(kept.puts).column("spanId").to_pylist() == [f"s{number}" for number in range(20_000)]
        assert max(data.num_rows for data in kept.puts) <= 8192


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (arrow(1, colour=["red"]), "has no column 'colour'"),
        (arrow(1, name=None), "columns are missing: name"),
        (arrow(1).rename_columns(["traceId", "traceId", *arrow(1).schema.names[2:]]), "columns are there twice"),
        (pa.chunked_array([[1]]), "cannot be read as an Arrow table"),
        ([span(1)], r"not a list; use extend\(\) for several"),
        ("s1", "a row is a dict or Arrow data, not a str"),
        (7, r"writer\(encode=\.\.\.\)"),
    ],
)
def test_what_holds_no_rows_is_refused_at_once(given: Any, said: str) -> None:
    with colonnade.open(":memory:") as store, store.writer() as writer:
        with pytest.raises(InvalidInput, match=said):
            writer.add(given)
        assert writer.counters.added == 0


class Step:
    """Something that only its maker can encode."""

    def __init__(self, number: int, **more: Any) -> None:
        self.number = number
        self.more = more


def encode_steps(steps: Sequence[Step], now: datetime) -> pa.Table:
    return encode_spans([span(10 // step.number, **step.more) for step in steps], now)


def test_other_objects_are_encoded_by_whoever_can() -> None:
    kept = Counting()
    with colonnade.open(kept) as store, store.writer(encode=encode_steps, latency=LONG) as writer:
        writer.extend([Step(2), span(3), Step(1), Step(5)])
        writer.flush()
        assert [data.column("spanId").to_pylist() for data in kept.puts] == [["s5", "s3", "s10", "s2"]]


def test_objects_that_cannot_be_encoded_take_no_others_with_them() -> None:
    with colonnade.open(":memory:") as store, store.writer(encode=encode_steps, latency=LONG) as writer:
        writer.extend([Step(2), Step(0), Step(1), Step(5, name=None), span(3)])
        with pytest.raises(InvalidRows) as refused:
            writer.flush()
        assert [str(each) for each in refused.value.problems] == [
            "row 1: row cannot be encoded: ZeroDivisionError: integer division or modulo by zero",
            "row 3: name is required",
        ]
        assert set(spans_of(store)) == {"s5", "s10", "s3"}


def test_an_encoding_that_loses_rows_is_refused() -> None:
    def lose(steps: Sequence[Step], now: datetime) -> pa.Table:
        return encode_steps(steps[:1], now)

    with colonnade.open(":memory:") as store, store.writer(encode=lose, latency=LONG) as writer:
        writer.extend([Step(2), Step(1)])
        writer.flush()  # one by one
        assert set(spans_of(store)) == {"s5", "s10"}


# --- rows that are refused ---


def test_rows_that_are_refused_take_no_others_with_them(store: colonnade.Storage) -> None:
    writer = store.writer(latency=LONG)
    writer.extend([span(0), span(1, name=None), span(2, colour="red", cost="much"), span(3)])
    with pytest.raises(InvalidRows) as refused:
        writer.flush()
    assert set(spans_of(store)) == {"s0", "s3"}
    assert refused.value.refused == 2
    assert {(each.row, each.field) for each in refused.value.problems} == {(1, "name"), (2, "colour"), (2, "cost")}
    assert "(traceId 't0', spanId 's2')" in str(refused.value)
    assert "2 rows refused by spans; all others are written" in str(refused.value)
    writer.flush()  # it is said once
    writer.add(span(4, name=None))
    with pytest.raises(InvalidRows, match="row 4: name is required"):
        writer.close()
    counted = writer.counters
    assert (counted.added, counted.written, counted.refused, counted.waiting) == (5, 2, 3, 0)


def test_rows_of_arrow_data_that_are_refused(store: colonnade.Storage) -> None:
    writer = store.writer(latency=LONG)
    writer.add(span(9))
    writer.add(arrow(4, name=["a", None, "c", "d"], spanId=["s0", "s1", "", "s3"]))
    with pytest.raises(InvalidRows) as refused:
        writer.flush()
    assert set(spans_of(store)) == {"s9", "s0", "s3"}
    assert {(each.row, each.field) for each in refused.value.problems} == {(2, "name"), (3, "spanId")}
    assert "(traceId 't1', spanId 's1')" in str(refused.value)


def test_an_object_that_breaks_the_reading_of_it_is_refused() -> None:
    @dataclass
    class Odd:
        name: str

        def __getattribute__(self, name: str) -> Any:
            if name == "name":
                raise RuntimeError("not today")
            return super().__getattribute__(name)

    with colonnade.open(":memory:") as store, store.writer(latency=LONG) as writer:
        writer.extend(span(number, metadata={"odd": Odd("x")} if number == 5 else None) for number in range(11))
        with pytest.raises(
            InvalidRows, match=r"row 5: metadata RuntimeError\('not today'\) \(traceId 't0', spanId 's5'"
        ):
            writer.flush()
        assert len(spans_of(store)) == 10


def test_a_writer_keeps_what_the_domain_keeps() -> None:
    """Payloads take another road to the table than those of ``create_span``; they arrive as the same text."""
    odd = {
        "input": {"nan": float("nan"), "tuple": (1, None), "at": NOW, "big": 2**70, "text": "null \0 \ud83d \ufdd0"},
        "output": "plain",
        "error": [],
        "tags": {"a"},
        "metadata": 0,
        "events": False,
        "attributes": {1: float("inf"), "empty": ""},
        "scope": {"name": "lib", "version": "1"},
        "links": None,
        "startTime": 1_769_860_800_123_456_789,
        "startedAt": None,
        "status": {"code": 1},
        "other": Path("x").parts,
        "inputTokens": 7,
        "cost": 0.25,
        "endedAt": "2026-01-31T13:00:00+01:00",
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    kept = Counting()
    with colonnade.open(kept) as store:
        with store.writer() as writer:
            writer.add(span(1, **odd))
        store.observability.create_span(span=span(1, **odd))
    one, other = kept.puts
    assert one.equals(other)


def test_a_record_that_contains_itself_is_refused() -> None:
    given = span(1)
    given["input"] = [given]
    given["output"] = [given["input"]]
    with colonnade.open(":memory:") as store, store.writer() as writer:
        writer.add(given)
        writer.add(span(2))
        with pytest.raises(InvalidRows, match=r"row 0: (in|out)put"):
            writer.flush()
        assert set(spans_of(store)) == {"s2"}


def test_of_many_problems_the_first_are_kept_and_all_are_counted() -> None:
    with colonnade.open(":memory:") as store:
        writer = store.writer(latency=LONG)
        writer.extend({} for _ in range(1500))
        with pytest.raises(InvalidRows) as refused:
            writer.close()
        assert refused.value.refused == 1500
        assert len(refused.value.problems) == 1000


def test_a_row_that_only_the_store_refuses_is_found() -> None:
    class Picky(MemoryStore):
        def put(self, plan: Put) -> int:
            if "s3" in plan.data.column("spanId").to_pylist():
                raise InvalidInput("no threes")
            return super().put(plan)

    with colonnade.open(Picky()) as store, store.writer(latency=LONG) as writer:
        writer.extend(span(number) for number in range(6))
        with pytest.raises(InvalidRows, match=r"row 3: row is refused by the store: no threes"):
            writer.flush()
        assert set(spans_of(store)) == {"s0", "s1", "s2", "s4", "s5"}


# --- storages ---


def test_closing_a_storage_writes_what_waits(tmp_path: Path) -> None:
    store = colonnade.open(tmp_path / "agent.db")
    writer = store.writer(latency=LONG)
    writer.add(span(1))
    store.close()
    with pytest.raises(StoreClosed):
        writer.add(span(2))
    with pytest.raises(StoreClosed, match="open it again"):
        store.writer()
    with colonnade.open(tmp_path / "agent.db") as again:
        assert set(spans_of(again)) == {"s1"}


def test_a_store_that_may_only_be_read_says_so(tmp_path: Path) -> None:
    colonnade.open(tmp_path / "agent.db").close()
    with colonnade.open(f"duckdb:///{tmp_path / 'agent.db'}?read_only=true") as store:
        writer = store.writer(latency=LONG)
        writer.add(span(1))
        for _ in range(2):
            with pytest.raises(StoreReadOnly, match="for reading only"):
                writer.flush()
        with pytest.raises(StoreReadOnly, match="for reading only"):
            writer.add(span(2))
        with pytest.raises(StoreReadOnly):
            writer.close()
        assert writer.counters.waiting == 1
        with pytest.raises(StoreReadOnly):
            store.close()  # and it is closed: twice is once


@pytest.mark.parametrize(
    "options", [{"max_rows": 0}, {"max_bytes": 0}, {"latency": -1.0}, {"timeout": -1.0}, {"on_full": "drop"}]
)
def test_options_that_mean_nothing(options: dict[str, Any]) -> None:
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match=r"at least|'block' or 'raise'"):
        store.writer(**options)


def test_an_async_storage_has_an_awaited_writer(tmp_path: Path) -> None:
    async def main() -> None:
        async with colonnade.aopen(tmp_path / "agent") as store:
            async with store.writer(latency=LONG) as writer:
                await asyncio.gather(*(writer.add(span(number)) for number in range(20)))
                await writer.extend([span(20), span(21, name=None)])
                with pytest.raises(InvalidRows, match="row 21"):
                    await writer.flush()
                assert (await store.observability.get_trace(trace_id="t1"))["spans"][9]["spanId"] == "s19"  # type: ignore[index]
            assert writer.counters.written == 21
            waiting = store.writer("scores", latency=LONG)
            await waiting.add(score())
        with pytest.raises(StoreClosed):
            await waiting.add(score())

    asyncio.run(main())
    with colonnade.open(tmp_path / "agent") as store:
        assert store.scores.list_scores_by_run_id(run_id="r1")["pagination"]["total"] == 1


def test_a_store_that_is_async_itself_has_no_writer() -> None:
    async def main() -> None:
        async with colonnade.aopen(AsyncStore()) as store:
            with pytest.raises(Unsupported, match="no blocking driver"):
                store.writer()

    asyncio.run(main())
