"""What stops a query: its time, its memory, Ctrl-C, another thread, a cancelled task, the end of its result."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.running import Running
from colonnade.engine.sql import parse_size
from colonnade.engine.sql_result import SqlResult
from colonnade.errors import InvalidInput, QueryCancelled, QueryError, QueryOutOfMemory, QueryTimeout, StoreClosed
from colonnade.queries.times import parse_duration

ENDLESS = "select count(*) from range(100000000000) r(i) where i * i % 7 = 3"
"""Rows come after minutes."""
TRICKLE = "select i, md5(i::varchar) as m from range(100000000000) r(i) where i < 500000 or hash(i) % 100000000000 = 3"
"""Half a million rows come at once, the next one after minutes."""
SPILLING = "select m from (select md5(i::varchar) as m from range(2000000) r(i)) order by m limit 1 offset 1000000"
GREEDY = "select i % 24 as k, quantile_cont(hash(i)::double, 0.95) from range(20000000) r(i) group by 1"


@pytest.fixture(params=["memory", "duckdb", "embedded"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[colonnade.Storage]:
    address = {"memory": Path(":memory:"), "duckdb": tmp_path / "agent.db", "embedded": tmp_path / "agent"}
    with colonnade.open(address[request.param]) as opened:
        opened.memory.save_thread(thread={"id": "t1", "resourceId": "r", "title": ""})
        yield opened


def at_work() -> list[threading.Thread]:
    """The threads of queries that have not come to their end, however short the way is."""
    for thread in [thread for thread in threading.enumerate() if thread.name == "colonnade-sql"]:
        thread.join(60)
    return [thread for thread in threading.enumerate() if thread.name == "colonnade-sql"]


def works(store: colonnade.Storage) -> bool:
    return store.sql("select count(*) as n from threads").rows() == [{"n": 1}] and not at_work()


@pytest.mark.parametrize("query", [ENDLESS, TRICKLE, f"explain analyze {ENDLESS}"])
def test_a_query_that_takes_too_long_is_stopped(store: colonnade.Storage, query: str) -> None:
    with pytest.raises(QueryTimeout, match=r"after 0.3 seconds.*timeout="):
        store.sql(query, timeout=0.3).arrow()
    assert works(store)


def test_a_query_that_nobody_waits_for_is_stopped_at_its_time_too(store: colonnade.Storage) -> None:
    result = store.sql(ENDLESS, timeout=0.2)
    assert at_work() == []
    with pytest.raises(QueryTimeout):
        result.rows()


def test_a_query_within_its_limits_is_answered(store: colonnade.Storage) -> None:
    assert store.sql("select count(*) as n from threads", timeout="1m").rows() == [{"n": 1}]


def test_the_time_of_a_slow_reader_is_not_that_of_the_query(store: colonnade.Storage) -> None:
    batches = store.sql("select i from range(500000) r(i)", timeout=1).batches()
    rows = next(batches).num_rows
    time.sleep(1.1)
    assert rows + sum(batch.num_rows for batch in batches) == 500_000


@pytest.mark.parametrize("query", [ENDLESS, TRICKLE])
def test_another_thread_cancels_a_query(store: colonnade.Storage, query: str) -> None:
    result = store.sql(query)
    threading.Timer(0.2, result.cancel).start()
    with pytest.raises(QueryCancelled, match="was cancelled"):
        result.arrow()
    with pytest.raises(QueryCancelled, match="was cancelled"):
        result.rows()
    assert works(store)


@pytest.mark.parametrize("query", [ENDLESS, TRICKLE, "select * from threads"])
def test_a_result_that_is_closed_unread_lets_its_query_go(store: colonnade.Storage, query: str) -> None:
    with store.sql(query) as result:
        pass
    with pytest.raises(QueryCancelled, match="closed before"):
        result.arrow()
    assert works(store)


def test_rows_that_were_read_stay_when_the_result_is_closed(store: colonnade.Storage) -> None:
    with store.sql("select id from threads") as result:
        assert result.arrow().num_rows == 1
    result.cancel()
    assert result.rows() == [{"id": "t1"}]


@pytest.mark.parametrize("query", [ENDLESS, TRICKLE, "select * from threads"])
def test_a_result_that_is_dropped_unread_lets_its_query_go(store: colonnade.Storage, query: str) -> None:
    result = store.sql(query)
    del result
    gc.collect()
    assert at_work() == []


def test_an_iterator_that_is_dropped_half_read_lets_its_query_go(store: colonnade.Storage) -> None:
    result = store.sql(TRICKLE)
    batches = result.batches()
    assert next(batches).num_rows
    del batches
    gc.collect()
    assert at_work() == []
    store.memory.save_thread(thread={"id": "t2", "resourceId": "r", "title": ""})


@pytest.mark.parametrize("name", [":memory:", "agent.db", "agent"])
def test_queries_end_with_their_storage(tmp_path: Path, name: str) -> None:
    with colonnade.open(name if name == ":memory:" else tmp_path / name) as store:
        read = store.sql("select 1 as one")
        assert read.arrow().num_rows == 1
        left = [store.sql("select i from range(200000) r(i)"), store.sql(ENDLESS), store.sql(TRICKLE)]
    for result in left:
        with pytest.raises(QueryCancelled, match="closed before these rows were read"):
            result.arrow()
    assert read.rows() == [{"one": 1}]
    if name != ":memory:":
        with pytest.raises(StoreClosed):
            store.sql("select * from spans").rows()
    assert at_work() == []


CTRL_C = """
import colonnade, sys
with colonnade.open(sys.argv[1]) as store:
    store.sql("select 1").arrow()
    for query in sys.argv[2:]:
        print("asked", flush=True)
        try:
            store.sql(query).arrow()
        except KeyboardInterrupt:
            print("stopped", store.sql("select count(*) as n from spans").rows(), flush=True)
    left = store.sql(sys.argv[2])
print("closed", flush=True)
"""


@pytest.mark.parametrize("name", ["agent.db", "agent"])
def test_ctrl_c_stops_a_query_and_the_store_goes_on(tmp_path: Path, name: str) -> None:
    queries = [ENDLESS, TRICKLE, f"explain analyze {ENDLESS}"]
    command = [sys.executable, "-c", CTRL_C, str(tmp_path / name), *queries]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in queries:
            assert process.stdout.readline() == "asked\n"
            time.sleep(0.5)  # the query is at work by then; where it were not, the answer would be the same
            os.kill(process.pid, signal.SIGINT)
            assert process.stdout.readline() == "stopped [{'n': 0}]\n"
        assert process.stdout.readline() == "closed\n"
        assert process.wait(timeout=30) == 0  # though a query was left running


FORK = """
import colonnade, gc, os, sys
with colonnade.open(sys.argv[1]) as store:
    store.memory.save_thread(thread={"id": "t1", "resourceId": "r", "title": ""})
    count = "select count(*) as n from threads left join spans on true"
    assert store.sql(count).rows() == [{"n": 1}]
    running, streamed = store.sql(sys.argv[2]), store.sql("select i from range(1000000) r(i)").batches()
    rows = next(streamed).num_rows
    child = os.fork()
    if not child:
        assert store.sql(count).rows() == [{"n": 1}]
        for left in (running.rows, lambda: next(streamed)):
            try:
                left()
            except colonnade.errors.QueryCancelled as error:
                assert "forked" in str(error)
        del running, streamed, left
        gc.collect()
        store.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert rows + sum(batch.num_rows for batch in streamed) == 1000000
    assert store.sql(count).rows() == [{"n": 1}]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("name", [":memory:", "agent"])
def test_a_forked_child_asks_for_itself_and_leaves_its_parents_queries_alone(tmp_path: Path, name: str) -> None:
    address = name if name == ":memory:" else str(tmp_path / name)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, address, ENDLESS]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("name", [":memory:", "agent.db", "agent"])
def test_a_task_that_is_cancelled_stops_its_query(tmp_path: Path, name: str) -> None:
    async def cancelled() -> list[dict[str, int]]:
        async with colonnade.aopen(name if name == ":memory:" else tmp_path / name) as store:
            task = asyncio.create_task(store.sql(ENDLESS))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.sql(TRICKLE), 0.5)
            with pytest.raises(QueryTimeout):
                await store.sql(ENDLESS, timeout=0.2)
            assert at_work() == []
            return (await store.sql("select count(*) as n from spans")).rows()

    assert asyncio.run(cancelled()) == [{"n": 0}]


@pytest.fixture(params=["memory", "embedded"])
def limited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[colonnade.Storage]:
    with colonnade.open({"memory": Path(":memory:"), "embedded": tmp_path / "agent"}[request.param]) as opened:
        yield opened


def test_what_does_not_fit_into_memory_is_set_aside_on_disk(
    limited: colonnade.Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    assert limited.sql(SPILLING, memory="64MB").arrow().num_rows == 1
    (folder,) = place.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700  # as private as the store
    gc.collect()
    assert list(folder.iterdir()) == []


def test_it_is_set_aside_where_nobody_else_can_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    taken = tmp_path / f"colonnade-{os.getuid()}"
    taken.mkdir(mode=0o777)
    taken.chmod(0o777)
    with colonnade.open(":memory:") as store:
        assert store.sql(SPILLING, memory="64MB").arrow().num_rows == 1
    assert len(list(tmp_path.iterdir())) == 2 and list(taken.iterdir()) == []


def test_what_cannot_be_set_aside_either_is_refused_with_a_way_out(limited: colonnade.Storage) -> None:
    with pytest.raises(QueryOutOfMemory, match=r"64 MB.*memory=.*approx_quantile"):
        limited.sql(GREEDY, memory="64MB").arrow()
    assert limited.sql("select count(*) as n from spans", memory="64MB").rows() == [{"n": 0}]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(2, 2.0), (0.5, 0.5), ("30s", 30.0), ("1.5m", 90.0), ("2h", 7200.0), ("7", 7.0), (timedelta(seconds=3), 3.0)],
)
def test_durations_are_seconds_or_text(given: float | str | timedelta, seconds: float) -> None:
    assert parse_duration(given) == seconds


@pytest.mark.parametrize(
    "given", [0, -1, "0s", "-1s", "soon", "1y", "", float("nan"), float("inf"), "9" * 400, True, timedelta(0), None]
)
def test_what_is_no_duration_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="30s or 5m"):
        parse_duration(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "size"),
    [(10**9, 10**9), ("512MB", 512 * 10**6), ("2 GiB", 2 * 2**30), ("1.5gb", 1_500_000_000), ("64000000", 64 * 10**6)],
)
def test_sizes_are_bytes_or_text(given: int | str, size: int) -> None:
    assert parse_size(given) == size


@pytest.mark.parametrize("given", [0, -1, "1MB", "much", "12QB", "9" * 400, True, 1e9, None, ""])
def test_what_is_no_size_to_work_with_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="such as 512MB"):
        parse_size(given)  # type: ignore[arg-type]


class Endless:
    """An engine that works until it is interrupted, and may hear badly."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.interrupted = threading.Event()
        self.deaf = 0
        self.closed = 0

    def bind(self) -> None:
        """Nothing to do."""

    def run(self) -> pa.Schema:
        """Works until it is interrupted."""
        self.begun.set()
        self.interrupted.wait()
        raise QueryError("interrupted")

    def read(self) -> pa.RecordBatch | None:
        """No rows."""
        return None

    def interrupt(self) -> None:
        """Heard, unless it is deaf for the first time or two."""
        self.deaf -= 1
        if self.deaf < 0:
            self.interrupted.set()

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def test_an_interruption_that_is_lost_on_the_engine_is_repeated() -> None:
    engine = Endless()
    engine.deaf = 3
    result = SqlResult(engine, None, time.monotonic())
    engine.begun.wait()
    result.cancel()
    with pytest.raises(QueryCancelled):
        result.arrow()
    assert engine.deaf < 0 and engine.closed and at_work() == []


def test_time_that_is_spent_before_the_engine_begins_counts() -> None:
    engine = Endless()
    result = SqlResult(engine, 1000.0, time.monotonic() - 1001)
    with pytest.raises(QueryTimeout, match="after 1000 seconds"):
        result.bound()
    with pytest.raises(QueryTimeout):
        result.arrow()
    assert engine.closed


def test_an_engine_is_closed_before_anybody_hears_of_its_failure() -> None:
    engine = Endless()
    engine.interrupted.set()
    running = Running(engine, None, time.monotonic())
    with pytest.raises(QueryError, match="interrupted"):
        running.wait(running.begin(engine.run))
    assert engine.closed
    with pytest.raises(QueryError, match="interrupted"):
        running.wait(running.begin(engine.read))
