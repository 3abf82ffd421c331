"""A full queue, and stores that fail: what was added waits its turn, and nothing is dropped in silence."""

import logging
import math
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Put
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import QueueFull, StoreClosed, StoreError

LONG = 1e6
"""Seconds: nothing is written because of its age."""


def span(number: int, **more: Any) -> dict[str, Any]:
    return {"traceId": "t", "spanId": f"s{number}", "name": "chat", "startedAt": "2026-01-31T12:00:00Z", **more}


def ids(store: colonnade.Storage) -> set[str]:
    return {row["spanId"] for row in store.sql('select "spanId" from spans').rows()}


class Gate(MemoryStore):
    """A memory store that writes only while its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.arrived = threading.Event()

    def put(self, plan: Put) -> int:
        self.arrived.set()
        assert self.open.wait(60)
        return super().put(plan)


class Failing(MemoryStore):
    """A memory store whose disk is full until it is told otherwise, or for so many ``failures``."""

    def __init__(self, failures: float = math.inf) -> None:
        super().__init__()
        self.failures = failures
        self.done = threading.Event()

    def put(self, plan: Put) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreError("no space left on device")
        count = super().put(plan)
        self.done.set()
        return count


# --- a full queue ---


def test_a_full_queue_makes_add_wait_until_there_is_room() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer(max_rows=2)
        writer.extend([span(0), span(1)])
        assert gate.arrived.wait(60)
        late = threading.Thread(target=writer.add, args=(span(2),))
        late.start()
        late.join(0.05)
        assert late.is_alive()
        assert writer.counters.waiting == 2
        gate.open.set()
        late.join(60)
        assert not late.is_alive()
        writer.close()
        assert ids(store) == {"s0", "s1", "s2"}
        assert writer.counters.blocked > 0


def test_with_a_timeout_add_waits_only_so_long() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer(max_rows=2, timeout=0.01)
        writer.extend([span(0), span(1)])
        with pytest.raises(
            QueueFull, match=r"2 rows \(\d+ bytes\) wait to be written to spans, and there is room for 2"
        ):
            writer.add(span(2))
        assert writer.counters.added == 2
        gate.open.set()
        writer.close()
        assert ids(store) == {"s0", "s1"}


def test_on_full_raise_never_waits() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer(max_rows=2, on_full="raise", timeout=1000)
        writer.extend([span(0), span(1)])
        with pytest.raises(QueueFull):
            writer.add(span(2))
        gate.open.set()
        writer.flush()
        writer.add(span(3))
        writer.close()
        assert ids(store) == {"s0", "s1", "s3"}


def test_the_queue_is_bounded_in_bytes_and_one_large_row_is_let_in() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer(max_bytes=10_000, on_full="raise")
        writer.add(span(0, output={"text": ["x" * 1_000_000]}))
        with pytest.raises(QueueFull):
            writer.add(span(1))
        gate.open.set()
        writer.flush()
        writer.add(span(2, output=["x"] * 100))
        writer.close()
        assert ids(store) == {"s0", "s2"}


def test_a_flush_gives_up_in_time() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer()
        writer.add(span(0))
        assert gate.arrived.wait(60)
        assert writer.flush(timeout=0.01) is False
        gate.open.set()
        assert writer.flush(timeout=60) is True
        assert ids(store) == {"s0"}


def test_flushes_of_several_threads_share_a_commit() -> None:
    gate = Gate()
    with colonnade.open(gate) as store:
        writer = store.writer(latency=LONG)
        writer.add(span(0))
        flushing = [threading.Thread(target=writer.flush)]
        flushing[0].start()
        assert gate.arrived.wait(60)
        for number in range(1, 6):
            writer.add(span(number))
            flushing.append(threading.Thread(target=writer.flush))
            flushing[-1].start()
        gate.open.set()
        for thread in flushing:
            thread.join(60)
        assert ids(store) == {f"s{number}" for number in range(6)}
        assert writer.counters.commits == 2


def test_a_store_that_adds_rows_while_it_writes_does_not_wait_for_itself() -> None:
    class Traced(MemoryStore):
        """It makes two spans of its first write: there is room for one."""

        def put(self, plan: Put) -> int:
            if not added:
                writer.add(span(10))
                added.append(10)
                with pytest.raises(QueueFull):
                    writer.add(span(11))
                added.append(11)
            return super().put(plan)

    added: list[int] = []
    with colonnade.open(Traced()) as store:
        writer = store.writer(max_rows=3, latency=LONG)
        writer.extend([span(0), span(1)])
        writer.flush()
        assert added == [10, 11]
        writer.close()
        assert ids(store) == {"s0", "s1", "s10"}


# --- a store that fails ---


def test_what_a_store_fails_to_write_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(2)
    with caplog.at_level(logging.WARNING, "colonnade"), colonnade.open(failing) as store:
        writer = store.writer(latency=0.001)
        writer.add(span(0))
        assert failing.done.wait(60)
        writer.close()
        assert ids(store) == {"s0"}
        assert writer.counters.failures == 2
    assert [record.getMessage() for record in caplog.records] == [
        "1 spans wait and are tried again; the store failed: no space left on device",
        "spans are written again; nothing is lost",
    ]


def test_a_flush_raises_what_the_store_says_and_loses_nothing() -> None:
    failing = Failing()
    with colonnade.open(failing) as store:
        writer = store.writer("scores", latency=LONG)
        given = {"scorerId": "exact", "entityId": "a", "runId": "r1", "output": {}, "score": 0.5, "scorer": {}}
        for number in range(3):
            writer.add({**given, "source": "TEST", "entity": {}})
            with pytest.raises(StoreError, match="no space left"):
                writer.flush()
            assert writer.counters.waiting == number + 1
        failing.failures = 0
        writer.flush()
        # Each once: the id that was made for a score is made once, however often it is tried.
        assert store.scores.list_scores_by_run_id(run_id="r1")["pagination"]["total"] == 3


def test_a_close_that_fails_can_be_tried_again() -> None:
    failing = Failing()
    with colonnade.open(failing) as store:
        writer = store.writer(latency=LONG)
        writer.add(span(0))
        with pytest.raises(StoreError, match="no space left"):
            writer.close()
        with pytest.raises(StoreClosed):
            writer.add(span(1))
        failing.failures = 0
        writer.close()
        assert ids(store) == {"s0"}


def test_a_full_queue_says_what_the_store_says() -> None:
    failing = Failing()
    with colonnade.open(failing) as store, store.writer(latency=LONG, max_rows=2, on_full="raise") as writer:
        writer.add(span(0))
        with pytest.raises(StoreError):
            writer.flush()
        writer.add(span(1))
        with pytest.raises(QueueFull, match="the store says: no space left on device") as full:
            writer.add(span(2))
        assert isinstance(full.value.__cause__, StoreError)
        failing.failures = 0


def test_when_the_store_is_closed_nobody_waits_for_room() -> None:
    kept = MemoryStore()
    writer = colonnade.open(kept).writer(max_rows=1, latency=LONG)
    kept.close()
    writer.add(span(0))
    with pytest.raises(StoreClosed, match="in-memory store is closed"):
        writer.add(span(1))  # waits for room, until the thread finds the store closed
    with pytest.raises(StoreClosed, match="in-memory store is closed"):
        writer.add(span(1))
    with pytest.raises(StoreClosed):
        writer.close()


def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """A limit on the size of files, which the system enforces as it does the size of a disk."""
    script = """
        import resource, sys
        import colonnade
        from colonnade.errors import StoreError
        store = colonnade.open("agent")
        writer = store.writer(latency=1e6)
        span = {"traceId": "t", "name": "chat", "startedAt": "2026-01-31T12:00:00Z", "output": "x" * 10_000}
        for number in range(10):
            writer.add({**span, "spanId": str(number)})
        writer.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        for number in range(10, 100):
            writer.add({**span, "spanId": str(number)})
        try:
            writer.flush()
        except StoreError as error:
            print(error)
        print(writer.counters.waiting)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.close()
        print(store.sql("select count(*) as n from spans").rows()[0]["n"])
        """
    code = f"import sys; sys.path.insert(0, {str(Path(colonnade.__file__).parent.parent)!r})\n" + textwrap.dedent(
        script
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    said, waiting, count = ran.stdout.splitlines()
    assert "nothing was written" in said
    assert (waiting, count) == ("90", "100")
