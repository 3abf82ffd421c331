"""Three writers, two readers and one that asks SQL on one folder, any of them killed at any moment.

Run by test_soak.py: ``python -m tests.crash.soak FOLDER SECONDS SEED``. All fork from this process, which never opens
the store itself. ``soak_story`` says what writers do, ``soak_watcher`` what readers check.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import colonnade
from colonnade.testing.processes import SEAL_OFTEN
from colonnade.testing.served import set_constants
from tests.crash.soak_story import Story, do, prepare
from tests.crash.soak_watcher import Board, Watcher

STUCK = 90.0
"""A process that has done nothing for so many seconds hangs."""
WARM = ("colonnade.engine.address", "colonnade.engine.stores.embedded.sql", "sqlglot.dialects.duckdb")
"""What children would import otherwise, each for itself, before they begin to work."""


def write(folder: Path, board: Board, seed: int, slot: int, writer: int) -> None:
    """Tell a story; now and then seal and merge, or close the store and open it again."""
    chance = random.Random()  # when to seal is no part of the story
    story = Story(seed, writer)
    store: Any = colonnade.open(folder)
    store.memory.save_thread(thread={"id": str(writer), "resourceId": "r"})
    while True:
        verb, what = story.next()
        story.take(verb, what)
        do(store, story, verb, what)
        board[writer] = story.turn
        board.beat(slot)
        if chance.random() < 0.02:
            store.optimize()
        if chance.random() < 0.01:
            store.close()
            store = colonnade.open(folder)


def read(folder: Path, board: Board, seed: int, slot: int) -> None:
    """Read in every way."""
    chance = random.Random()
    watcher = Watcher(folder, board, seed)
    of_one: tuple[Callable[[int], None], ...] = (
        watcher.spans_of,
        watcher.spans_of,
        watcher.traces_of,
        watcher.scores_of,
        watcher.messages_of,
    )
    while True:
        if writer := watcher.some_writer(chance):
            chance.choice(of_one)(writer)
        of_all: list[Callable[[], None]] = [watcher.all_spans, watcher.state, partial(watcher.one_trace, chance)]
        chance.choice(of_all)()
        board.beat(slot)


def ask(folder: Path, board: Board, seed: int, slot: int) -> None:
    """Ask SQL."""
    watcher = Watcher(folder, board, seed)
    while True:
        watcher.all_spans_by_sql()
        watcher.scores_by_sql()
        board.beat(slot)


def count(folder: Path, board: Board, seed: int) -> None:
    """When all writers are gone: everything that was acknowledged is there, and still is when sealed."""
    watcher = Watcher(folder, board, seed)
    for _ in range(2):
        watcher.all_spans()
        watcher.all_spans_by_sql()
        watcher.scores_by_sql()
        watcher.state()
        for writer in board.writers:
            for look in (watcher.spans_of, watcher.traces_of, watcher.scores_of, watcher.messages_of):
                look(writer)
        watcher.store.optimize()
    watcher.store.close()


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked process; its id."""
    child = os.fork()
    if child:
        return child
    try:
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def done(child: int) -> bool:
    """Whether a child came to a good end."""
    _, status = os.waitpid(child, 0)
    return status == 0


class Stage:
    """The six processes: begins them, kills them, and sees to it that each works."""

    ROLES = ("writer", "writer", "writer", "reader", "reader", "sql")

    def __init__(self, folder: Path, seed: int) -> None:
        self._given = (folder, Board(), seed)
        self.board = self._given[1]
        self._running: dict[int, int] = {}
        self._pulse: dict[int, tuple[int, float]] = {}
        self._kills: Counter[str] = Counter()

    def begin(self, slot: int) -> None:
        """A new process in a slot."""
        role = self.ROLES[slot]
        if role == "writer":
            self.board[0] += 1
            work = partial(write, *self._given, slot, self.board[0])
        else:
            work = partial(read if role == "reader" else ask, *self._given, slot)
        self._pulse[slot] = (self.board[-1 - slot], time.monotonic())
        self._running[slot] = in_child(work)

    def kill(self, slot: int) -> None:
        """End the process of a slot, which has no say in it."""
        os.kill(self._running[slot], signal.SIGKILL)
        os.waitpid(self._running.pop(slot), 0)
        self._kills[self.ROLES[slot]] += 1

    def look_after(self) -> None:
        """``SystemExit`` where a process has ended by itself, or hangs."""
        for slot, process in list(self._running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                del self._running[slot]
                self.fail(f"a {self.ROLES[slot]} ended with {os.waitstatus_to_exitcode(status)}")
            beat, since = self._pulse[slot]
            if self.board[-1 - slot] != beat:
                self._pulse[slot] = (self.board[-1 - slot], time.monotonic())
            elif time.monotonic() - since > STUCK:
                os.kill(process, signal.SIGUSR1)  # it prints where each of its threads is
                time.sleep(1)
                self.fail(f"a {self.ROLES[slot]} hangs")

    def end(self) -> None:
        """Kill whoever runs."""
        for slot in list(self._running):
            self.kill(slot)

    def fail(self, why: str) -> NoReturn:
        """Give up."""
        self.end()
        sys.exit(f"{why}; seed {self._given[2]}; {self}")

    def __str__(self) -> str:
        turns = sum(self.board[writer] for writer in self.board.writers)
        pulses = {f"{role} {slot}": self.board[-1 - slot] for slot, role in enumerate(self.ROLES)}
        return f"{turns} turns of {len(self.board.writers)} writers, killed {dict(self._kills)}, rounds {pulses}"


def main(folder: Path, seconds: float, seed: int) -> None:
    """Run it; exit with a sentence at the first picture that is wrong."""
    set_constants(SEAL_OFTEN)
    for module in WARM:
        import_module(module)
    place = folder / "agent"

    def first() -> None:
        with colonnade.open(place) as store:
            prepare(store)

    assert done(in_child(first))
    stage = Stage(place, seed)
    chance = random.Random(seed)
    for slot in range(len(stage.ROLES)):
        stage.begin(slot)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.05, 1))
        stage.look_after()
        slot = chance.randrange(len(stage.ROLES))
        stage.kill(slot)
        stage.begin(slot)
    stage.end()
    if not done(in_child(partial(count, place, stage.board, seed))):
        stage.fail("what is left at the end is wrong")
    sys.stdout.write(f"{stage}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
