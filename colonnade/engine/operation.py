"""One code, two colours: domain operations are generators of plans, run by blocking and by async stores alike.

``@operation`` turns a generator method into a method that blocks on a sync store and that is awaited on an async one;
type checkers see the right colour of each. ``expand`` is the one loop that both drivers share: it takes the steps of an
operation, has each plan rewritten for its store, and yields only what a store runs natively.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import update_wrapper
from types import MethodType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload
from uuid import uuid4

import pyarrow as pa

from colonnade.engine.abilities import Route, native_scan, perform
from colonnade.engine.driving import drive_by
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, Delete, Plan, Put, Scan, Steps
from colonnade.schemas import STORED
from colonnade.schemas.moments import MICROSECOND

P = ParamSpec("P")
R = TypeVar("R")


class Sync:
    """The colour of methods that block and return."""


class Async:
    """The colour of methods that are awaited."""


C = TypeVar("C", Sync, Async)


class Runner(Protocol):
    """Runs the steps of operations on the store that keeps a domain."""

    def run(self, steps: Callable[[], Steps[Any]], domain: str, *, atomic: bool) -> Any:
        """Run steps, again from their start where others got in between; awaitable if the runner is async."""


class Clock:
    """The time in UTC, in microseconds, strictly increasing within a process."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """A time later than every one given before."""
        with self._lock:
            now = datetime.now(UTC)
            if now <= self._last:
                now = self._last + MICROSECOND
            self._last = now
            return now


def new_id() -> str:
    """A fresh identifier (UUID 4)."""
    return str(uuid4())


class Bound(Generic[C]):
    """What is bound to a storage and in its colour, so that it may have operations. ``name`` says who is asked."""

    name: ClassVar[str]
    _runner: Runner


class Domain(Bound[C]):
    """One domain of the storage API, over whichever store keeps it."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock


class operation(Generic[P, R]):
    """A generator method of a domain, or of what else is bound, as a method of its store's colour.

    ``atomic`` operations read and then write what depends on it: they run in a transaction, or their writes are
    compared-and-set against what they read, and they run again from their start when others got in between.
    """

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[R]], *, atomic: bool = False) -> None:
        self.steps = steps
        self.atomic = atomic

        def call(domain: Bound[Any], *args: P.args, **kwargs: P.kwargs) -> Any:
            return domain._runner.run(lambda: steps(domain, *args, **kwargs), domain.name, atomic=atomic)

        self._call = update_wrapper(call, steps)
        update_wrapper(self, steps)  # type: ignore[arg-type]  # it documents itself like the steps it wraps

    @overload
    def __get__(self, domain: None, owner: type) -> operation[P, R]: ...
    @overload
    def __get__(self, domain: Bound[Sync], owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, domain: Bound[Async], owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, domain: Bound[Any] | None, owner: type) -> Any:
        """The method, bound to its domain."""
        return self if domain is None else MethodType(self._call, domain)


def atomic(steps: Callable[Concatenate[Any, P], Steps[R]]) -> operation[P, R]:
    """An operation whose reads and writes happen as one."""
    return operation(steps, atomic=True)


@dataclass(frozen=True, slots=True)
class Whole:
    """Steps within an operation that is not atomic, to be run as an atomic one by themselves."""

    steps: Callable[[], Steps[Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the user's that may take long: it is called in a thread where the operation is awaited."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """The rows of a scan as they come, for what does not need them all in memory.

    ``into`` is entered where they are read, and gives what takes each batch; it is left when the last was taken, or
    with the error that ended it.
    """

    plan: Scan
    into: AbstractContextManager[Callable[[pa.RecordBatch], object]]

    def drain(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Have batches taken; how many rows they had."""
        rows = 0
        with self.into as take:
            for batch in batches:
                take(batch)
                rows += batch.num_rows
        return rows


def streamed(plan: Scan, into: AbstractContextManager[Callable[[pa.RecordBatch], object]]) -> Steps[int]:
    """Have the rows of a scan taken as they come; how many there were."""
    answer: int = yield Stream(plan, into)  # type: ignore[misc]  # no plan, and the driver knows
    return answer


def as_one(steps: Callable[[], Steps[R]]) -> Steps[R]:
    """Run steps as one: ``saved = yield from as_one(lambda: self._saved(data))``."""
    answer: R = yield Whole(steps)  # type: ignore[misc]  # no plan, and the driver knows
    return answer


def called(function: Callable[[], R]) -> Steps[R]:
    """Call a function of the user's, outside of any transaction."""
    answer: R = yield Call(function)  # type: ignore[misc]
    return answer


def clear_all(domain: str) -> Steps[None]:
    """Delete every row of every table of a domain."""
    for table in STORED:
        if table.domain == domain:
            yield Delete(table, TRUE)


class Guard:
    """Optimistic concurrency for stores without transactions.

    It remembers the rows that an attempt read by key, and has every later ``Put`` into the same table compared and set
    against them: a row that was read must be stored as it was read, one that was not found must still be missing.
    """

    def __init__(self) -> None:
        self._read: dict[str, pa.Table] = {}

    def before(self, plan: Plan) -> Plan:
        """The plan with what it may rely on."""
        if isinstance(plan, Put) and plan.expect is None and plan.table.name in self._read:
            return replace(plan, expect=self._read[plan.table.name])
        return plan.but(few=False) if isinstance(plan, Scan) and plan.few else plan

    def after(self, plan: Plan, answer: Any) -> None:
        """Remember what a scan by key found."""
        if not isinstance(plan, Scan) or plan.table.facts.reading_of:
            return
        columns = named_columns(plan.where)
        if columns and columns <= set(plan.table.key) <= set(plan.projection):
            from colonnade.engine import fold  # pyarrow.compute is not loaded by `import colonnade`

            known = self._read.get(plan.table.name, answer.slice(0, 0))
            answer = fold.without(plan.table, answer, known)  # of a row that was read twice, the first time counts
            both = [name for name in known.column_names if name in answer.column_names]
            self._read[plan.table.name] = pa.concat_tables([known.select(both), answer.select(both)])


Natives = Generator[tuple[Any, Any], Any, R]
"""Yields a store with a plan that it runs natively, or with a ``Stream`` of one, or ``None`` with a ``Whole`` or a
``Call``; is sent the answer.

It returns what the operation returns."""


def expand(steps: Steps[R], route: Route, guard: Guard | None = None) -> Natives[R]:
    """The steps of an operation as native plans, each with the store that keeps its table."""

    def natively(plan: Any) -> Natives[Any]:
        if isinstance(plan, (Whole, Call)):
            return (yield None, plan)
        if isinstance(plan, Stream):
            if (direct := native_scan(plan.plan, route)) is None:
                found = yield from perform(plan.plan, route)
                return plan.drain(found.to_batches())
            return (yield direct[0], replace(plan, plan=direct[1]))
        if guard is not None:
            plan = guard.before(plan)
        answer = yield from perform(plan, route)
        if guard is not None:
            guard.after(plan, answer)
        return answer

    return drive_by(steps, natively)
