"""Processes that end at each step of what they do: at every file that is opened, written, synced, renamed or removed,
and at every statement that is put to a database. Run by test_kill.py.

``python -m tests.crash.steps FOLDER SCENARIO EVERY FIRST`` ends a process at each ``EVERY``-th step, from the
``FIRST`` on.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import colonnade
from colonnade.engine.stores import sqlite
from colonnade.engine.stores.embedded import merging, segments
from colonnade.engine.stores.embedded.store import _Upkeep
from tests.crash.deeds import Book, Deed, Told, read_back
from tests.crash.nursery import WARM, age, checked, in_child, look

PLAIN = ("fsync", "fdatasync", "rename", "replace", "unlink", "mkdir", "link", "ftruncate", "pwrite")
WRITING = ("write", "writev")


class Fuse:
    """Counts the steps of this process, and ends it at one of them."""

    def __init__(self, steps: int, said: int) -> None:
        self.left = steps
        self._said = said

    def burn(self) -> None:
        """Come to a step."""
        self.left -= 1
        if self.left == 0:
            self.end()

    def end(self) -> NoReturn:
        """As if the power of this process were cut."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def lay(self) -> None:
        """Put it into all that this process does."""
        for name in PLAIN:
            vars(os)[name] = self._before(getattr(os, name))
        for name in WRITING:
            vars(os)[name] = self._halfway(getattr(os, name), name)
        opened = os.open

        def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & os.O_CREAT:
                self.burn()
            return opened(path, flags, *more, **named)

        vars(os)["open"] = open_
        connect = segments.connect
        vars(segments)["connect"] = lambda: Counted(connect(), self)
        sqlite._Connection.execute = self._before(sqlite3.Connection.execute)  # type: ignore[method-assign]

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.burn()
            return call(*arguments, **named)

        return step

    def _halfway(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def step(file: int, data: Any) -> Any:
            if file == self._said:
                return call(file, data)
            self.left -= 1
            if self.left == 0:
                whole = b"".join(map(bytes, data)) if name == "writev" else bytes(data)
                half = whole[: len(whole) // 2]
                call(file, [half] if name == "writev" else half)
                self.end()
            return call(file, data)

        return step


class Counted:
    """A connection of DuckDB's whose statements are steps."""

    def __init__(self, connection: Any, fuse: Fuse) -> None:
        self._connection = connection
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "sql"):
            self._fuse.burn()
        return getattr(self._connection, name)


def spans(trace: str, count: int = 3, *, name: str = "n", ended: bool = True, old: bool = False) -> Deed:
    """Spans of a trace."""
    return ("spans", [[trace, str(number), name, ended, old, 100] for number in range(count)])


BEFORE: Sequence[Deed] = (
    spans("a"),
    spans("b", old=True),
    spans("c", old=True),
    ("scores", [["s1", "a"], ["s2", "c"]]),
    ("evals", ["e1"]),
    ("message", "m1"),
    ("seal",),
    spans("d", 30),
    spans("e", old=True),
    spans("f", ended=False),
    spans("a", 2, name="again"),
    ("scores", [["s1", "b"], ["s3", "d"]]),
    ("delete", ["d"]),
)
"""Two segments' worth: one sealed, one in a log, which replaces and deletes rows of it."""
SCENARIOS: dict[str, tuple[Sequence[Deed], Sequence[Deed]]] = {
    "making": ((), (spans("a"), ("message", "m1"), ("scores", [["s1", "a"]]))),
    "migrating": (BEFORE, (("message", "m2"),)),
    "writing": (
        BEFORE,
        (spans("g"), ("end", "f", "0", "done"), ("delete", ["a"]), ("evals", ["e2"]), ("message", "m2"), ("clear",)),
    ),
    "sealing": (BEFORE, (("seal",),)),
    "merging": ((*BEFORE, ("seal",), spans("b", 1, name="again"), ("delete", ["c"]), ("seal",)), (("merge",),)),
    "pruning": ((*BEFORE, ("seal",), spans("h", old=True)), (("prune",), ("seal",))),
    "repairing": (BEFORE, ()),
}
"""What was done before, and what is being done when the process ends."""


def prepare(folder: Path, before: Sequence[Deed], pipe: int) -> None:
    """Do what was done before."""
    with colonnade.open(folder) as store:
        Told(pipe).carry_out(store, before)


def act(folder: Path, deeds: Sequence[Deed], pipe: int, steps: int) -> None:
    """Do it, and end at a step; say how many there were if it came to no end."""
    _Upkeep.hurry = lambda self: None  # type: ignore[method-assign]  # nothing happens in the background: steps can be counted
    fuse = Fuse(steps, pipe)
    fuse.lay()
    if deeds:
        with colonnade.open(folder) as store:
            Told(pipe).carry_out(store, deeds)
    else:
        colonnade.fsck(folder, repair=True)
    os.write(pipe, f"{steps - fuse.left}\n".encode())


def spoil(folder: Path) -> None:
    """Damage what can be repaired: an index, a log, and something left behind."""
    next((folder / "segments").glob("*.index")).unlink()
    (folder / "segments" / "00000009-0a0a0a0a.duckdb").write_bytes(b"orphan")
    (log,) = (folder / "logs").glob("*.log")
    log.write_bytes(log.read_bytes() + b"damage" * 8)


def told_by(work: Callable[[int], None]) -> tuple[str, bool]:
    """What a child told, and whether it came to a good end; ``SystemExit`` where it did not, and was not killed."""
    reading, writing = os.pipe()
    child = in_child(lambda: work(writing))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    end = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if end not in (0, -signal.SIGKILL):
        sys.exit(f"it ended with {end}")
    return told, end == 0


def main(folder: Path, scenario: str, every: int, first: int) -> None:
    """End it at one step after the other; exit with 1 where anything is lost or there twice."""
    for name in WARM:
        import_module(name)
    vars(merging)["TIERS"] = ()
    before, deeds = SCENARIOS[scenario]
    base, place = folder / "base", folder / "agent"
    base.mkdir()
    agent = base / "agent"
    told, _ = told_by(lambda pipe: prepare(agent, before, pipe)) if before else ("", True)
    book, _ = read_back(told, Book())
    if scenario == "migrating":
        age(agent)
    if scenario == "repairing":
        spoil(agent)
    step = first
    while True:
        shutil.copytree(base, place)
        told, is_done = told_by(lambda pipe: act(place / "agent", deeds, pipe, step))  # noqa: B023
        lines = told.splitlines(keepends=True)
        right, begun = read_back("".join(lines[:-1] if is_done else lines), book)
        if scenario == "repairing" and not is_done:
            checked(in_child(lambda: finish_repair(place / "agent")), f"{scenario}, step {step}")
        reading, writing = os.pipe()
        checked(in_child(lambda: look(place / "agent", right, begun, writing)), f"{scenario}, step {step}")  # noqa: B023
        os.close(reading)
        os.close(writing)
        checked(in_child(lambda: whole(place / "agent")), f"{scenario}, step {step}: fsck")
        shutil.rmtree(place)
        if is_done:
            sys.stdout.write(f"{lines[-1].strip()} steps\n")
            return
        step += every


def finish_repair(folder: Path) -> None:
    """What is left is repaired by the next."""
    assert colonnade.fsck(folder, repair=True).clean


def whole(folder: Path) -> None:
    """Nothing that is there is damaged; files that do not count may be left behind."""
    report = colonnade.fsck(folder, full=True)
    assert not [finding for finding in report.findings if finding.severity == "error"], report


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
