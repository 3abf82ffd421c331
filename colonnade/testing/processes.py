"""A storage in other processes: for tests of what several processes see of one store.

``Elsewhere`` is a storage that another process has open, with the same face. ``InTurn`` is several of them behind one
face: every plan is another one's turn, so the conformance machine runs on many processes::

    with InTurn(addresses, processes=4) as storage:
        run_machine(storage)

The processes come from multiprocessing's fork server, which has the engine loaded and nothing open: a process costs
some ten milliseconds, and inherits no store, thread or lock from the one that asks for it.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from colonnade.engine import execution
from colonnade.engine.plan import Delete, Patch, Plan, Put, Scan, Steps
from colonnade.testing.served import Abandoned, receive, send, serve

_CONTEXT: Final[Any] = get_context("spawn" if sys.platform == "win32" else "forkserver")
_PRELOAD: Final = ["colonnade.engine.address", "colonnade.engine.stores.embedded.store", "colonnade.testing.served"]

Constants = Mapping[str, Mapping[str, Any]]
"""Values to set in modules of another process before it opens anything: ``{"package.module": {"LIMIT": 10}}``."""

_EMBEDDED: Final = "colonnade.engine.stores.embedded"
SEAL_OFTEN: Final[Constants] = {
    f"{_EMBEDDED}.columnar": {"ROTATE_ROWS": 150},
    f"{_EMBEDDED}.sealing": {"SEAL_BYTES": 2**15, "SEAL_AGE": 0.5},
    f"{_EMBEDDED}.merging": {"TIERS": ((1_000, 3), (10_000, 3))},
    f"{_EMBEDDED}.store": {"_INTERVAL": 0.1},
}
"""Limits of the embedded store, so small that logs are sealed and segments merged all the time."""


class Gone(Exception):
    """The other process ended before it answered."""


class Elsewhere:
    """A storage that another process has open, with the face of ``colonnade.open``: calls and answers are pickled."""

    def __init__(self, address: str | None = None, *, constants: Constants | None = None) -> None:
        if sys.platform != "win32":
            _CONTEXT.set_forkserver_preload(_PRELOAD)
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(theirs, dict(constants or {})), daemon=True)
        self._process.start()
        theirs.close()
        self.pid: int = self._process.pid or 0
        if address is not None:
            self.open(address)

    def open(self, address: str) -> None:
        """Have it open another storage, in the place of the one that it has."""
        self._ask("open", address)

    def execute(self, plan: Plan) -> Any:
        """Run one plan there."""
        return self._ask("execute", plan, execution.PATIENCE)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The record batches of a scan; they come all at once."""
        yield from self._ask("batches", plan)

    def sql(self, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        """The rows of a query."""
        rows: list[dict[str, Any]] = self._ask("sql", query, parameters)
        return rows

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        """Run an operation there whose steps are here: each plan is sent, and its answer comes back."""
        self.begin("run", domain, atomic, execution.PATIENCE)
        operation = steps()
        while True:
            verb, said = self.answer()
            if verb == "end":
                return said
            if verb == "begin":  # for the first time, or once more where others got in between
                operation, said = steps(), None
            try:
                told = ("plan", operation.send(said))
            except StopIteration as stop:
                told = ("end", stop.value)
            except BaseException:
                self._abandon()
                raise
            send(self._pipe, told)

    def _abandon(self) -> None:
        """Have the operation fail there too, so that a transaction is undone."""
        send(self._pipe, ("raise", None))
        try:
            self.answer()
        except Abandoned:
            return
        raise AssertionError("an operation went on after an error")

    def begin(self, verb: str, *arguments: Any) -> None:
        """Send a request without waiting for its ``answer``: ``begin("calls", [("memory.save_thread", {...})])``."""
        try:
            send(self._pipe, (verb, arguments))
        except OSError:
            raise self._gone() from None

    def answer(self) -> Any:
        """The answer to the request that was begun; raises what was raised there."""
        try:
            succeeded, answer = receive(self._pipe)
        except (EOFError, OSError):
            raise self._gone() from None
        if not succeeded:
            raise answer
        return answer

    def has_answered(self, within: float) -> bool:
        """Whether an answer is there, or comes within so many seconds."""
        return bool(self._pipe.poll(within))

    def send_signal(self, number: int) -> None:
        """Send it a signal, ``SIGSTOP`` for example."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it; it has no say in it."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Have it close its storage and end. One that is gone already, or does not end, is killed."""
        if self._process.is_alive():
            try:
                self.begin("exit")
            except Gone:
                pass
            else:
                self._process.join(30)
            self.kill()
        self._pipe.close()

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self.begin(verb, *arguments)
        return self.answer()

    def _gone(self) -> Gone:
        self._process.join(10)
        return Gone(f"process {self.pid} is gone, with exit code {self._process.exitcode}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Path(self, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Path:
    """A method of the storage there, by its path: ``memory.save_thread``."""

    def __init__(self, elsewhere: Elsewhere, path: str) -> None:
        self._elsewhere = elsewhere
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return _Path(self._elsewhere, f"{self._path}.{name}")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._elsewhere._ask("call", self._path, arguments, named)


class InTurn:
    """Several processes that have one storage open, behind the face of one: each plan is run by another of them.

    ``renew``, which the machine calls before every example, gives all of them the next of ``addresses``. Which process
    is next, and after which writes (a part, ``optimize``) which of them tidy up, is random, but the same after each
    ``renew``.
    """

    def __init__(
        self, addresses: Iterator[str], *, processes: int, optimize: float = 0.0, constants: Constants | None = None
    ) -> None:
        self._addresses = addresses
        self._optimize = optimize
        self._all = [Elsewhere(constants=constants) for _ in range(processes)]
        self.renew()

    def renew(self) -> None:
        """Begin with the next address, at which nothing is yet."""
        self._chance = random.Random(0)
        self._address = next(self._addresses)
        self._behind = set(self._all)

    def execute(self, plan: Plan) -> Any:
        """Run one plan, in one of the processes."""
        answer = self._next().execute(plan)
        if isinstance(plan, Put | Patch | Delete) and self._chance.random() < self._optimize:
            for each in self._chance.sample(self._all, self._chance.randint(1, len(self._all))):
                self._ready(each).optimize()
        return answer

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The batches of a scan, from one of the processes."""
        return self._next().batches(plan)

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        """Run an operation, in one of the processes."""
        return self._next().run(steps, domain, atomic=atomic)

    def _next(self) -> Elsewhere:
        return self._ready(self._chance.choice(self._all))

    def _ready(self, process: Elsewhere) -> Elsewhere:
        if process in self._behind:  # it opens the address when its turn comes, after writes of the others
            process.open(self._address)
            self._behind.remove(process)
        return process

    def close(self) -> None:
        """Close all storages and end the processes."""
        for each in self._all:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def at_once(processes: Sequence[Elsewhere], calls: Sequence[Sequence[tuple[str, Mapping[str, Any]]]]) -> list[Any]:
    """Have each process make calls of its own, one after another, all processes at the same time; their answers.

    A call is a path and arguments: ``("memory.update_thread", {"id": "t", "title": "new"})``.
    """
    for process, own in zip(processes, calls, strict=True):
        process.begin("calls", own)
    return [process.answer() for process in processes]
