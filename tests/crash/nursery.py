"""Writers that are killed at random moments, each followed by a look at what is left. Run by test_kill.py, alone.

Every trial forks from this process, which never opens a store itself, so that a trial costs milliseconds and not an
interpreter's start. A writer tells through a pipe what it begins and what is done (see ``deeds``); half of them are
killed while they seal, merge or prune, some while they open the store or migrate its state. The look afterwards is its
own process too.

``python -m tests.crash.nursery FOLDER TRIALS SEED``
"""

from __future__ import annotations

import os
import pickle
import random
import select
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.stores.embedded import merging, sealing
from tests.crash.deeds import Book, Deed, Told, deeds, read_back

WARM = (
    "asyncio",
    "pyarrow.acero",
    "zoneinfo",
    *(f"colonnade.engine.stores.embedded.{n}" for n in ("store", "pruning")),
)
LONG = ("seal", "merge", "prune")
OFTEN = {"TIERS": ((400, 4), (4_000, 4))}
"""Small segments are merged here, too."""
TRIALS = 10
"""On each folder."""


def write(folder: Path, book: Book, trial: int, pipe: int, seed: int) -> None:
    """Write, update, delete, seal, merge and prune until killed."""
    chance = random.Random(seed)
    store: Any = colonnade.open(folder)
    Told(pipe).carry_out(store, deeds(book, chance, f"t{trial}"))


def look(folder: Path, right: Book, begun: Deed | None, pipe: int, *, seal: bool = True) -> None:
    """Everything that was acknowledged must be there, once, and still when all of it is sealed."""
    with colonnade.open(folder) as store:
        found = Book.of(store)
        if wrong := found.difference(right, begun):
            sys.exit(wrong)
        if seal:
            store.optimize()
            if wrong := Book.of(store).difference(found, None):
                sys.exit(f"after sealing: {wrong}")
    os.write(pipe, pickle.dumps(found))


def age(folder: Path) -> None:
    """Make the state one of an older version, to be migrated."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("DROP INDEX IF EXISTS messages_thread_id_createdAt")


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked process; its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except SystemExit as end:
        os.write(2, f"{end.code}\n".encode())
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def checked(child: int, what: str) -> None:
    """Wait for a child; ``SystemExit`` where it did not come to a good end."""
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{what} failed")


def told_until(pipe: int, words: tuple[str, ...], patience: float) -> str:
    """What a writer tells until it begins a deed of these verbs, or for so long."""
    told = ""
    until = time.monotonic() + patience
    while not any(told.rpartition("[")[2].startswith(f'"{word}"') for word in words):
        if not select.select([pipe], [], [], max(until - time.monotonic(), 0))[0]:
            break
        said = os.read(pipe, 65536).decode()
        if not said:
            break
        told += said
    return told


def main(folder: Path, trials: int, seed: int) -> None:
    """Run trials; exit with 1 at the first that loses or repeats anything."""
    for name in WARM:
        import_module(name)  # before the forks, so that no trial pays for it
    vars(merging).update(OFTEN)
    vars(sealing)["SEAL_AGE"] = 0.1
    chance = random.Random(seed)
    book = Book()
    for trial in range(trials):
        place = folder / f"agent{trial // TRIALS}"
        if trial % TRIALS == 0:
            book = Book()
        elif trial % TRIALS == 5 and place.joinpath("state.db").exists():
            checked(in_child(lambda: age(place)), "aging")  # noqa: B023 - it runs at once
        reading, writing = os.pipe()
        writer = in_child(lambda: write(place, book, trial, writing, seed + trial))  # noqa: B023
        os.close(writing)
        told = ""
        if trial % 5:  # every fifth may be killed while it opens the store
            told = told_until(reading, LONG if chance.random() < 0.6 else ("",), 5.0)
        time.sleep(chance.uniform(0, 0.15))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        with os.fdopen(reading) as pipe:
            right, begun = read_back(told + pipe.read(), book)
        reading, writing = os.pipe()
        looker = in_child(lambda: look(place, right, begun, writing, seal=trial % 4 == 0))  # noqa: B023
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe_of_bytes:
            seen = pipe_of_bytes.read()
        checked(looker, f"trial {trial} with seed {seed}")
        book = pickle.loads(seen)
        if trial % TRIALS == TRIALS - 1:
            report = colonnade.fsck(place, full=True)
            if any(finding.severity == "error" for finding in report.findings):
                sys.exit(f"trial {trial} with seed {seed}: {report}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
