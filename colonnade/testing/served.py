"""The other end of ``processes``: a process that has one storage open and answers what comes through a pipe."""

from __future__ import annotations

import io
import pickle
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from colonnade.engine import execution
from colonnade.engine.composite import Storage
from colonnade.engine.plan import Plan, Scan, Steps
from colonnade.schemas import TABLES
from colonnade.schemas.table import Table


class Abandoned(Exception):
    """The steps of an operation, which are in another process, ended with an error there."""


def serve(pipe: Connection, constants: Mapping[str, Mapping[str, Any]]) -> None:
    """Answer until told to exit, or until the other end of the pipe is gone. Constants of modules are set first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks, who then closes the pipe
    set_constants(constants)
    served = _Served(pipe)
    while True:
        try:
            verb, arguments = receive(pipe)
        except EOFError:
            return
        try:
            answer: tuple[bool, Any] = (True, getattr(served, verb)(*arguments))
        except Exception as error:
            answer = (False, _sendable(error))
        try:
            send(pipe, answer)
        except OSError:
            return
        if verb == "exit":
            return


def set_constants(constants: Mapping[str, Mapping[str, Any]]) -> None:
    """Set names of modules of this process; ``AttributeError`` for one that is not there."""
    for module, values in constants.items():
        there = vars(import_module(module))
        if unknown := values.keys() - there.keys():
            raise AttributeError(f"{module} has no {', '.join(sorted(unknown))}")
        there.update(values)


class _Served:
    """The requests that can be made, each a method."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._storage: Storage | None = None

    @property
    def _opened(self) -> Storage:
        if self._storage is None:
            raise LookupError("nothing has been opened in this process")
        return self._storage

    def open(self, address: str) -> None:
        from colonnade.engine.address import open as open_storage

        self.exit()
        self._storage = open_storage(address)

    def exit(self) -> None:
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def execute(self, plan: Plan, patience: float) -> Any:
        with _patient(patience):
            return self._opened.execute(plan)

    def batches(self, plan: Scan) -> list[pa.RecordBatch]:
        return list(self._opened.batches(plan))

    def sql(self, query: str, parameters: Any) -> Any:
        return self._opened.sql(query, parameters).rows()

    def call(self, path: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        found: Any = self._opened
        for name in path.split("."):
            found = getattr(found, name)
        return found(*arguments, **named)

    def calls(self, several: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        return [self.call(path, (), named) for path, named in several]

    def run(self, domain: str, atomic: bool, patience: float) -> tuple[str, Any]:
        """An operation whose steps are at the other end: they are asked for one by one, and told each answer."""

        def steps() -> Steps[Any]:
            said: tuple[str, Any] = ("begin", None)
            while True:
                send(self._pipe, (True, said))
                verb, told = receive(self._pipe)
                if verb == "end":
                    return told
                if verb == "raise":
                    raise Abandoned
                said = ("answer", (yield told))

        with _patient(patience):
            return "end", self._opened.run(steps, domain, atomic=atomic)


@contextmanager
def _patient(seconds: float) -> Iterator[None]:
    """As much patience with conflicts as whoever asks has just now; a test may have none."""
    before, execution.PATIENCE = execution.PATIENCE, seconds
    try:
        yield
    finally:
        execution.PATIENCE = before


class _Pickler(pickle.Pickler):
    """Tables that both ends know go by their names: the schema of one is larger than most plans."""

    def persistent_id(self, sent: Any) -> str | None:
        return sent.name if isinstance(sent, Table) and TABLES.get(sent.name) is sent else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: Any) -> Table:
        return TABLES[name]


def send(pipe: Connection, sent: Any) -> None:
    """Send an object, pickled."""
    written = io.BytesIO()
    _Pickler(written).dump(sent)
    pipe.send_bytes(written.getbuffer())


def receive(pipe: Connection) -> Any:
    """The next object that was sent; ``EOFError`` where nobody can send any more."""
    return _Unpickler(io.BytesIO(pipe.recv_bytes())).load()


def _sendable(error: Exception) -> Exception:
    """An error, or one that says the same where it does not survive pickling."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
