"""A process that has a store open and forks. Run by test_forks.py: ``python forks.py CASE FOLDER``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.plan import Scan
from colonnade.schemas import SPANS
from colonnade.testing.processes import SEAL_OFTEN
from colonnade.testing.served import set_constants

WHEN = "2026-01-01T00:00:00Z"


def span(trace: str, id: str = "root") -> dict[str, Any]:
    """A span that has ended."""
    return {"traceId": trace, "spanId": id, "name": "n", "startedAt": WHEN, "endedAt": WHEN}


def write(store: Any, name: str) -> None:
    """A span and a thread of that name."""
    store.observability.create_span(span=span(name))
    store.memory.save_thread(thread={"id": name, "resourceId": "r"})


def names(store: Any) -> set[str]:
    """The names that were written, which every way of reading must show."""
    traces = {row["traceId"] for row in store.sql('SELECT "traceId" FROM spans').rows()}
    listed = store.execute(Scan(SPANS, columns=("traceId",))).column("traceId").to_pylist()
    threads = {thread["id"] for thread in store.memory.list_threads(per_page=False)["threads"]}
    assert traces == threads == set(listed) and len(listed) == len(traces), f"{traces}, {threads}, {listed}"
    return traces


def opened(folder: Path) -> Any:
    """A store that has been used in every way: all its files, threads and connections are there."""
    store = colonnade.open(folder)
    write(store, "before")
    store.optimize()
    write(store, "also before")
    assert names(store) == {"before", "also before"}
    return store


def forked(work: Callable[[], object]) -> int:
    """A child that does some work and then ends as any program does; its id."""
    child = os.fork()
    if child:
        return child
    work()
    sys.exit()


def wait(alive: int, release: int) -> None:
    """Do nothing until the other side of a pipe is closed everywhere."""
    os.close(release)
    os.read(alive, 1)


def ended(*children: int) -> None:
    """Wait for children, who must come to a good end."""
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, f"exit code {os.waitstatus_to_exitcode(status)}"


def uses(folder: Path) -> None:
    """Child and parent write and read; both see both, at once."""
    store = opened(folder)

    def child() -> None:
        write(store, "child")
        assert names(store) == {"before", "also before", "child"}
        store.optimize()
        assert names(store) == {"before", "also before", "child"}

    ended(forked(child))
    assert names(store) == {"before", "also before", "child"}
    write(store, "parent")
    store.optimize()
    ended(forked(lambda: names(store) == {"before", "also before", "child", "parent"} or sys.exit(1)))
    store.close()


def untouched(folder: Path) -> None:
    """A child that has nothing to do with the store ends in peace; so does one that closes it."""
    store = opened(folder)
    ended(forked(lambda: None), forked(store.close), forked(lambda: None))
    write(store, "parent")
    assert names(store) == {"before", "also before", "parent"}
    store.optimize()
    store.close()


def generations(folder: Path) -> None:
    """Children have children."""
    store = opened(folder)

    def child() -> None:
        write(store, "child")
        ended(forked(lambda: write(store, "grandchild")))
        assert "grandchild" in names(store)

    ended(forked(child))
    assert names(store) == {"before", "also before", "child", "grandchild"}
    store.close()


def first_used_in_children(folder: Path) -> None:
    """Opened before the fork and used only after it, as preloading servers do."""
    store: Any = colonnade.open(folder)
    children = [forked(partial(write, store, f"child {number}")) for number in range(4)]
    ended(*children)
    assert names(store) == {f"child {number}" for number in range(4)}
    store.close()


def sealing(folder: Path) -> None:
    """Parent and children seal and merge at the same time: only one of them may have the lease."""
    set_constants(SEAL_OFTEN)
    store = opened(folder)

    def work(name: str) -> None:
        for number in range(8):
            write(store, f"{name} {number}")
            store.optimize()

    children = [forked(partial(work, f"child {number}")) for number in range(3)]
    work("parent")
    ended(*children)
    assert len(names(store)) == 2 + 4 * 8
    store.optimize()
    assert len(names(store)) == 2 + 4 * 8
    store.close()


def orphans(folder: Path) -> None:
    """A process that has the lease forks and is killed; its child, which lives, keeps nobody from sealing its log."""
    alive, release = os.pipe()

    def parent() -> None:
        store = opened(folder)
        forked(partial(wait, alive, release))
        assert store.optimize()
        write(store, "unsealed")
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(parent), 0)
    store: Any = colonnade.open(folder)
    with store:
        assert store.stores[0].optimize().rows == 1
        assert names(store) == {"before", "also before", "unsealed"}
    os.close(release)


def busy(folder: Path) -> None:
    """Other threads of the parent are in the middle of writes, updates, reads and sealing whenever it forks."""
    set_constants(SEAL_OFTEN)
    store = opened(folder)
    stopped = threading.Event()
    written: list[str] = []

    def work(name: str) -> None:
        for number in range(10**6):
            if stopped.is_set():
                return
            write(store, f"{name} {number}")
            store.observability.update_span(trace_id=f"{name} {number}", span_id="root", updates={"name": "updated"})
            store.memory.update_thread(id=f"{name} {number}", title="updated")
            if number % 5 == 0:
                store.optimize()
            assert store.observability.get_trace(trace_id=f"{name} {number}")
            written.append(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    alive, release = os.pipe()
    sleeping = [forked(partial(wait, alive, release)) for _ in range(6)]
    working = [forked(partial(write, store, f"child {number}")) for number in range(6)]
    ended(*working)
    enough = len(written) + 10  # with the sleeping ones alive: they hold no lock that they do not know of
    while len(written) < enough:
        stopped.wait(0.01)
    stopped.set()
    for thread in threads:
        thread.join()
    os.close(release)
    ended(*sleeping)
    assert names(store) == {"before", "also before", *written, *(f"child {number}" for number in range(6))}
    store.close()


CASES = (uses, untouched, generations, first_used_in_children, sealing, orphans, busy)

if __name__ == "__main__":
    {case.__name__: case for case in CASES}[sys.argv[1]](Path(sys.argv[2]))
