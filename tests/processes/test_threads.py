"""One open store in many threads of one process."""

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.errors import StoreClosed
from tests.at_once import together

THREADS = 16
ROUNDS = 6
WHEN = "2026-01-01T00:00:00Z"


def family(trace: str) -> list[dict[str, Any]]:
    """Three spans of one trace, two below the first."""
    one = {"traceId": trace, "name": "n", "startedAt": WHEN, "endedAt": WHEN}
    return [{**one, "spanId": "0"}, *({**one, "spanId": f"{n}", "parentSpanId": "0"} for n in (1, 2))]


@pytest.mark.usefixtures("seal_often")
def test_threads_write_read_and_seal(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r"})

        def work(number: int) -> None:
            for turn in range(ROUNDS):
                trace = f"{number}-{turn}"
                store.observability.batch_create_spans(records=family(trace))
                store.observability.update_span(trace_id=trace, span_id="1", updates={"name": "updated"})
                message = {"id": trace, "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
                store.memory.save_messages(messages=[message])
                store.memory.update_thread(id="t", metadata={trace: 1})
                found = store.observability.get_trace(trace_id=trace)
                assert found is not None
                assert [span["name"] for span in found["spans"]] == ["n", "updated", "n"]
                if turn % 4 == number % 4:
                    torn = 'SELECT "traceId" FROM spans GROUP BY 1 HAVING count(*) <> 3'
                    assert store.sql(torn).rows() == []
                if turn == number % ROUNDS:
                    store.optimize()

        together(work, THREADS)
        assert store.observability.list_traces()["pagination"]["total"] == THREADS * ROUNDS
        thread = store.memory.get_thread_by_id(thread_id="t")
        assert thread is not None
        assert len(thread["metadata"]) == THREADS * ROUNDS
        assert store.memory.list_messages(thread_id="t", per_page=1)["total"] == THREADS * ROUNDS


@pytest.mark.usefixtures("seal_often")
def test_closing_while_threads_work_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    store = colonnade.open(tmp_path / "agent")
    begun = threading.Semaphore(0)

    def work(number: int) -> tuple[int, list[Exception]]:
        errors: list[Exception] = []
        for turn in range(10**6):
            try:
                store.observability.batch_create_spans(records=family(f"{number}-{turn}"))
                store.observability.get_trace(trace_id=f"{number}-{turn}")
                store.memory.save_thread(thread={"id": f"{number}-{turn}", "resourceId": "r"})
            except StoreClosed:
                return turn, errors
            except Exception as error:  # what else a thread may see is what this test is about
                return turn, [error]
            begun.release()
        raise AssertionError("never closed")

    def close(_: int) -> tuple[int, list[Exception]]:
        for _ in range(3 * THREADS):
            begun.acquire()
        store.close()
        return 0, []

    done = together(lambda number: close(number) if number == THREADS else work(number), THREADS + 1)
    assert [error for _, errors in done for error in errors] == []
    with colonnade.open(tmp_path / "agent") as again:
        found = {row["traceId"]: row["n"] for row in again.sql(COUNTS).rows()}
    assert set(found.values()) == {3}
    for number, (turns, _) in enumerate(done):
        assert all(f"{number}-{turn}" in found for turn in range(turns))


COUNTS = 'SELECT "traceId", count(*) AS n FROM spans GROUP BY 1'


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's open files in /proc")
def test_threads_that_have_ended_leave_no_file_open(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
        store.observability.batch_create_spans(records=family("t"))
        store.optimize()

        def visit() -> None:
            assert store.memory.get_thread_by_id(thread_id="t")
            assert store.observability.get_trace(trace_id="t")
            assert store.sql(COUNTS).rows()

        counts = []
        for _ in range(3):
            for _ in range(20):
                thread = threading.Thread(target=visit)
                thread.start()
                thread.join()
            gc.collect()
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[2] <= counts[0] + 4


def test_one_folder_opened_several_times_in_one_process(tmp_path: Path) -> None:
    stores = [colonnade.open(tmp_path / "agent") for _ in range(3)]

    def work(number: int) -> None:
        for turn in range(ROUNDS):
            stores[number % 3].observability.batch_create_spans(records=family(f"{number}-{turn}"))
            stores[(number + 1) % 3].optimize()
            assert stores[(number + 2) % 3].observability.get_trace(trace_id=f"{number}-{turn}") is not None

    together(work, 6)
    for store in stores:
        assert store.observability.list_traces()["pagination"]["total"] == 6 * ROUNDS
        store.close()
