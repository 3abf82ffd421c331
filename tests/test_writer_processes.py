"""The ends of a process: exit without close, kill -9 after a flush, fork, and children of multiprocessing."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import colonnade

SPAN = '{"traceId": "t", "name": "chat", "startedAt": "2026-01-31T12:00:00Z"}'
BEGIN = f"""
    import os, signal, sys, threading
    import colonnade
    LONG = 1e6
    def span(id): return {{**{SPAN}, "spanId": id}}
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(Path(colonnade.__file__).parent.parent)!r})\n"
    code = path + textwrap.dedent(BEGIN) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def ids(address: Path) -> list[str]:
    with colonnade.open(address) as store:
        return [row["spanId"] for row in store.sql('select "spanId" from spans order by 1').rows()]


@pytest.mark.parametrize("address", ["agent", "agent.db"])
def test_what_waits_when_the_program_ends_is_written(tmp_path: Path, address: str) -> None:
    ran = run(
        f"""
        store = colonnade.open({address!r})
        store.writer(latency=LONG).add(span("a"))  # nobody keeps it
        writer = store.writer(latency=LONG, max_rows=10**6)
        writer.extend(span(f"b{{number:05}}") for number in range(10_000))
        """,
        tmp_path,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ids(tmp_path / address) == ["a", *(f"b{number:05}" for number in range(10_000))]


def test_after_an_error_that_ends_the_program_too(tmp_path: Path) -> None:
    ran = run(
        """
        writer = colonnade.open("agent").writer(latency=LONG)
        writer.add(span("a"))
        raise SystemExit(3)
        """,
        tmp_path,
    )
    assert ran.returncode == 3
    assert ids(tmp_path / "agent") == ["a"]


def test_what_is_added_while_the_program_ends_is_written_at_once(tmp_path: Path) -> None:
    ran = run(
        """
        import atexit
        writer = None
        def last():
            writer.add(span("b"))
            colonnade.open("agent").writer(latency=LONG).add(span("c"))
        atexit.register(last)  # runs after those that are registered later
        writer = colonnade.open("agent").writer(latency=LONG)
        writer.add(span("a"))
        """,
        tmp_path,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ids(tmp_path / "agent") == ["a", "b", "c"]


def test_what_cannot_be_written_at_the_end_is_said_without_quoting_it(tmp_path: Path) -> None:
    ran = run(
        """
        store = colonnade.open("agent.db")
        store.writer(latency=LONG).extend([span("a"), {"spanId": "secret"}])
        other = colonnade.open(":memory:")
        writer = other.writer(latency=LONG)
        writer.add(span("secret"))
        other.stores[0].close()
        """,
        tmp_path,
    )
    assert ran.returncode == 0
    assert sorted(ran.stderr.splitlines()) == [
        "1 rows were not written to spans: this in-memory store is closed, and what it held is gone",
        "1 rows were refused by spans",
        "1 spans wait and are tried again; the store failed: this in-memory store is closed, and what it held is gone",
    ]
    assert ids(tmp_path / "agent.db") == ["a"]


@pytest.mark.parametrize("address", ["agent", "agent.db"])
def test_after_a_flush_nothing_is_lost_by_kill_9(tmp_path: Path, address: str) -> None:
    ran = run(
        f"""
        writer = colonnade.open({address!r}).writer(latency=LONG, max_rows=10**6)
        for number in range(20):
            writer.extend(span(f"{{number:02}}-{{each:02}}") for each in range(50))
            writer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    assert ran.returncode == -signal.SIGKILL
    assert ids(tmp_path / address) == [f"{number:02}-{each:02}" for number in range(20) for each in range(50)]


def test_a_forked_child_leaves_its_parents_rows_alone(tmp_path: Path) -> None:
    ran = run(
        """
        store = colonnade.open("agent")
        writer = store.writer(latency=LONG)
        writer.add(span("parent"))
        child = os.fork()
        if not child:
            assert writer.counters.added == writer.counters.waiting == 0
            writer.flush()
            writer.add(span("child"))
            sys.exit(0)  # its end writes what it has added
        assert os.waitpid(child, 0)[1] == 0
        print(*[row["spanId"] for row in store.sql('select "spanId" from spans').rows()], flush=True)
        assert writer.counters.waiting == 1
        os._exit(0)  # without an end: what waited is gone, unless the child wrote it
        """,
        tmp_path,
    )
    assert (ran.returncode, ran.stdout) == (0, "child\n"), ran.stderr
    assert ids(tmp_path / "agent") == ["child"]


def test_a_parent_goes_on_after_a_fork(tmp_path: Path) -> None:
    ran = run(
        """
        writer = colonnade.open("agent").writer(latency=LONG)
        closed = colonnade.open("agent").writer()
        closed.close()
        writer.add(span("a"))
        child = os.fork()
        if not child:
            try:
                closed.add(span("c"))
            except colonnade.errors.StoreClosed:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        writer.add(span("b"))
        writer.close()
        """,
        tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert ids(tmp_path / "agent") == ["a", "b"]


def test_a_child_that_is_forked_while_threads_write_does_not_hang(tmp_path: Path) -> None:
    ran = run(
        """
        store = colonnade.open(":memory:")  # its lock, held by a thread, would stay locked in a child
        writer = store.writer(latency=0.0)
        stop = threading.Event()
        def work():
            number = 0
            while not stop.is_set():
                writer.add(span(f"{number}"))
                writer.flush()
                number += 1
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            child = os.fork()
            if not child:
                signal.alarm(60)
                writer.add(span("child"))
                writer.close()
                os._exit(store.observability.get_span(trace_id="t", span_id="child") is not None)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        stop.set()
        for thread in threads:
            thread.join()
        assert writer.counters.waiting == 0
        """,
        tmp_path,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_a_child_of_multiprocessing_writes_what_waits_at_its_end(tmp_path: Path, way: str) -> None:
    (tmp_path / "work.py").write_text(
        textwrap.dedent(BEGIN)
        + textwrap.dedent(
            """
            writer = None
            def work(id):
                global writer
                writer = colonnade.open("agent").writer(latency=LONG)
                writer.add(span(id))
            """
        )
    )
    ran = run(
        f"""
        sys.path.insert(0, os.getcwd())
        import multiprocessing, work
        if __name__ == "__main__":
            writer = colonnade.open("agent").writer(latency=LONG)
            writer.add(span("parent"))
            child = multiprocessing.get_context({way!r}).Process(target=work.work, args=("child",))
            child.start()
            child.join()
            assert child.exitcode == 0
            os._exit(0)
        """,
        tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert ids(tmp_path / "agent") == ["child"]
