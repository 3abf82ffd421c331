"""A store in the workers of process pools. Run by test_pools.py: ``python pools.py POOL METHOD FOLDER``."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import colonnade
from colonnade.errors import InvalidRows

TASKS = 24
WORKERS = 3
WHEN = "2026-01-01T00:00:00Z"

store: Any = None


def initialize(folder: Path) -> None:
    """What a worker does first where it inherits nothing."""
    global store
    store = colonnade.open(folder)


def work(task: int) -> int:
    """Write a trace and a message, and read what a task before this one wrote, if that is done; the worker's id."""
    one = {"traceId": f"{task}", "name": "n", "startedAt": WHEN, "endedAt": WHEN}
    spans = [{**one, "spanId": f"{number}"} for number in range(3)]
    store.observability.batch_create_spans(records=spans)
    message = {"id": f"{task}", "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
    store.memory.save_messages(messages=[message])
    store.memory.update_thread(id="t", metadata={f"{task}": os.getpid()})
    for other in (task, task // 2):
        trace = store.observability.get_trace(trace_id=f"{other}")
        assert trace is None or len(trace["spans"]) == 3
    assert store.observability.get_trace(trace_id=f"{task}")
    return os.getpid()


def refuse(task: int) -> None:
    """A mistake of a task, told by the store."""
    store.observability.create_span(span={"traceId": f"{task}"})


def main(pool: str, method: str, folder: Path) -> None:
    """Have a pool work, with the store opened and used before it in this process too."""
    initialize(folder)
    store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
    inherits = method == "fork"
    options: dict[str, Any] = {} if inherits else {"initializer": initialize, "initargs": (folder,)}
    context = multiprocessing.get_context(method)
    refused = 0
    if pool == "executor":
        with ProcessPoolExecutor(WORKERS, mp_context=context, **options) as workers:
            found = list(workers.map(work, range(TASKS)))
            try:
                workers.submit(refuse, TASKS).result()
            except InvalidRows as error:
                refused = len(error.problems)
    else:
        with context.Pool(WORKERS, **options) as workers:
            found = workers.map(work, range(TASKS), chunksize=1)
            try:
                workers.apply(refuse, (TASKS,))
            except InvalidRows as error:
                refused = len(error.problems)
            workers.close()
            workers.join()
    assert refused >= 2, "the worker's error comes back as it was raised"
    assert os.getpid() not in found
    assert store.sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 3 * TASKS}]
    assert set(store.memory.get_thread_by_id(thread_id="t")["metadata"]) == {f"{task}" for task in range(TASKS)}
    assert len(store.memory.list_messages(thread_id="t", per_page=False)["messages"]) == TASKS
    store.optimize()
    assert store.sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 3 * TASKS}]
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
