"""Writers that are killed at random moments, each followed by a look at what is left. Run by test_kill.py, alone.

Every trial forks from this process, which never opens a store itself, so that a trial costs milliseconds and not an
interpreter's start. A writer tells through a pipe what was acknowledged; the look afterwards is its own process too.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.stores.embedded import merging

WHEN = "2026-01-01T00:00:00Z"


def span(trial: int, number: int, **more: Any) -> dict[str, Any]:
    """One of three spans of a trace."""
    trace = f"trace-{trial}-{number // 3}"
    return {"traceId": trace, "spanId": f"{number}", "name": "n", "startedAt": WHEN, "endedAt": WHEN, **more}


def write(folder: Path, trial: int, pipe: int, seed: int) -> None:
    """Write, update, delete and seal until killed; acknowledge each span, update and message once its call returned."""
    chance = random.Random(seed)
    store: Any = colonnade.open(folder)
    for number in range(10**6):
        store.observability.create_span(span=span(trial, number, output="x" * chance.choice([1, 1000, 100_000])))
        os.write(pipe, f"span {trial} {number}\n".encode())
        if number % 7 == 3:
            ids = {"trace_id": f"trace-{trial}-{number // 3}", "span_id": f"{number}"}
            store.observability.update_span(**ids, updates={"name": "updated"})
            os.write(pipe, f"updated {trial} {number}\n".encode())
        if number % 5 == 2:
            message = {"id": f"m-{trial}-{number}", "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
            store.memory.save_messages(messages=[message])
            os.write(pipe, f"message {trial} {number}\n".encode())
        if chance.random() < 0.1:
            store.stores[0].optimize()


def look(folder: Path, acknowledged: list[str]) -> None:
    """Everything that was acknowledged must be there, once."""
    with colonnade.open(folder) as store:
        rows = store.sql('select "traceId", "spanId", name from spans').rows()
        keys = [(row["traceId"], row["spanId"]) for row in rows]
        assert len(keys) == len(set(keys)), "a span is there twice"
        names = {(row["traceId"].split("-")[1], row["spanId"]): row["name"] for row in rows}
        messages = {row["id"] for row in store.sql("select id from messages").rows()}
        for line in acknowledged:
            what, trial, number = line.split()
            if what == "message":
                assert f"m-{trial}-{number}" in messages, f"lost: {line}"
            else:
                assert (trial, number) in names, f"lost: {line}"
                assert what != "updated" or names[trial, number] == "updated", f"lost: {line}"


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked process; its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(folder: Path, trials: int, seed: int) -> None:
    """Run trials, ten on each folder; exit with 1 at the first that loses or repeats anything."""
    import_module("colonnade.engine.stores.embedded.store")  # before the forks, so that no trial pays for it
    vars(merging)["TIERS"] = ((400, 4), (4_000, 4))  # so that small segments are merged here too
    chance = random.Random(seed)
    acknowledged: list[str] = []
    for trial in range(trials):
        if trial % 10 == 0:
            acknowledged = []
        place = folder / f"agent{trial // 10}"
        reading, writing = os.pipe()
        writer = in_child(lambda: write(place, trial, writing, seed + trial))  # noqa: B023 - it runs at once
        os.close(writing)
        if trial % 4:  # every fourth may be killed while it opens the store
            select.select([reading], [], [], 30)
        time.sleep(chance.uniform(0, 0.4))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        with os.fdopen(reading) as pipe:
            acknowledged += [line for line in pipe.read().split("\n")[:-1] if line]
        _, status = os.waitpid(in_child(lambda: look(place, acknowledged)), 0)  # noqa: B023
        if status:
            sys.exit(f"trial {trial} with seed {seed} failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
