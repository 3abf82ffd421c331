"""Conformance of one's own store: the machine and every question, on a store at an address, as a table to read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from re import sub
from tempfile import gettempdir
from textwrap import wrap
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from colonnade.engine.abilities import Abilities
from colonnade.engine.address import store_at
from colonnade.engine.composite import AsyncStorage, Storage
from colonnade.engine.plan import TRUE, Delete, Summarize
from colonnade.engine.store import Store
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.schemas import DOMAINS, STORED
from colonnade.schemas.table import Table
from colonnade.testing.colours import Awaited
from colonnade.testing.excuses import excuses_of, lacking
from colonnade.testing.questions import QUESTIONS, ask, load

if TYPE_CHECKING:
    from hypothesis import settings

Outcome = Literal["passed", "excused", "failed"]

_WIDTH: Final = 80
_ATOMIC: Final = ("transactions", "compare_and_set")
_FALLBACKS: Final = {
    "transactions": "atomic operations are compared and set, and run again on a conflict",
    "compare_and_set": "what was read is compared within a transaction",
    "filters": "rows are scanned and filtered in Arrow",
    "json_equal": "rows are scanned, and places in JSON compared",
    "json_has": "rows are scanned, and lists in JSON searched",
    "contains": "rows are scanned, and texts looked at in Arrow",
    "nearest": "rows are scanned, and vectors compared in Arrow",
    "search": "rows that contain the words are scanned, and ranked above",
    "semijoin": "the inner scan is answered first and its values become a one-of",
    "order": "rows are scanned and sorted in Arrow",
    "patch": "rows are scanned, changed and put",
    "delete": "rows are scanned and deleted by key",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried: how it went, how long it took (``None`` of what is only declared), what to know."""

    name: str
    outcome: Outcome
    seconds: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How a store did; ``str()`` gives a table of at most 80 columns (what failed is shown as it was said)."""

    address: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(row.outcome != "failed" for row in self.rows)

    def __str__(self) -> str:
        counts = Counter(row.outcome for row in self.rows)
        lines = [f"{'outcome':<9}{'seconds':>7}  what", "-" * _WIDTH]
        for row in self.rows:
            took = "" if row.seconds is None else f"{row.seconds:.2f}"
            first, *others = wrap(row.name, _WIDTH - 18)
            lines.append(f"{row.outcome:<9}{took:>7}  {first}")
            lines += [f"{'':<18}{line}" for line in others]
            if row.outcome == "failed":  # diffs and steps lose their sense when they are wrapped
                lines += [f"    {line}" for line in row.detail.splitlines()]
            else:
                lines += [f"{'':<20}{line}" for line in wrap(row.detail, _WIDTH - 20)]
        lines.append("-" * _WIDTH)
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "excused", "failed"))
        return "\n".join([*lines, f"{said}: {self.address} {'conforms' if self.passed else 'does not conform'}"])


def conform(url: str, *, examples: int = 200, progress: Callable[[str], None] | None = None) -> Report:
    """Run the machine (``examples`` random histories) and every question on an empty store, which is left empty.

    ``progress`` is told what is tried next. Raises ``InvalidInput`` where the store is not empty, since everything in
    it is deleted, and ``MissingExtra`` where hypothesis is not installed.
    """
    if examples < 1:
        raise InvalidInput(f"examples must be a whole number >= 1, not {examples}")
    try:
        import hypothesis  # noqa: F401 - asked for before anything is opened
    except ImportError:
        raise MissingExtra("the conformance machine", "testing") from None
    with _opened(url) as storage:
        _refuse_rows(storage, _said(url))
        trial = _Trial(progress or (lambda name: None))
        try:
            homes = _homes(storage)
            for home, domains in homes.items():
                trial.declare(home, f" ({', '.join(domains)})" if len(homes) > 1 else "")
            for home, domains in homes.items():
                trial.machine(storage, home, domains, examples)
            if trial.attempt("the questions' data is written", partial(_load, storage)):
                for question in QUESTIONS:
                    trial.attempt(question.caption, partial(ask, storage, question))
        finally:
            trial.attempt("everything is deleted again", partial(_empty, storage))
    return Report(_said(url), tuple(trial.rows))


class _Trial:
    """Rows as they come."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.rows: list[Row] = []
        self._progress = progress

    def attempt(self, name: str, trying: Callable[[], None], detail: str = "") -> bool:
        """Try something; a row says how it went."""
        self._progress(name)
        began = time.perf_counter()
        outcome: Outcome = "passed"
        try:
            trying()
        except Exception as error:  # whatever a store raises is what its author wants to see
            outcome, detail = "failed", "".join(format_exception_only(error))
        self.rows.append(Row(name, outcome, time.perf_counter() - began, detail))
        return outcome == "passed"

    def declare(self, home: Any, where: str) -> None:
        """What a store can do, and what happens instead of the rest."""
        missing, excuses = lacking(home.abilities), excuses_of(home)
        said: dict[tuple[Outcome, str], list[str]] = {}
        for name in lacking(Abilities()):
            outcome: Outcome = "passed"
            detail = "native"
            if name in missing:
                detail = f"by fallback: {_FALLBACKS.get(name, 'rows are scanned and summarized in Arrow')}"
                if name in excuses:
                    outcome, detail = "excused", str(excuses[name])
                elif name in _ATOMIC and set(_ATOMIC) <= set(missing):
                    outcome, detail = "excused", "no fallback: what reads and then writes is refused"
            said.setdefault((outcome, detail), []).append(name)
        for (outcome, detail), names in said.items():
            self.rows.append(Row(f"{', '.join(names)}{where}", outcome, None, detail))

    def machine(self, storage: Any, home: Any, domains: list[str], examples: int) -> None:
        """The machine on the tables that one store keeps: what is excused differs from store to store."""
        from colonnade.testing.machine import MACHINE_TABLES, run_machine

        tables = tuple(table for table in MACHINE_TABLES if table.domain in domains)
        if tables:
            self.attempt(
                f"random plans over {', '.join(table.name for table in tables)}",
                lambda: run_machine(
                    storage, tables=tables, excused=lacking(home.abilities), settings=_settings(examples)
                ),
                f"sequences of steps, each answered as by the reference: {examples}",
            )


def _settings(examples: int) -> settings:
    from hypothesis import HealthCheck, settings
    from hypothesis.configuration import set_hypothesis_home_dir

    from colonnade.testing.machine import STEPS

    # What hypothesis caches of Unicode would otherwise lie in a folder where the command was run.
    set_hypothesis_home_dir(Path(gettempdir()) / "colonnade-conform")

    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        database=None,  # nothing is left behind where the command is run
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def _said(url: str) -> str:
    """An address without what may be secret: a password, and what follows the question mark."""
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url:
        return url
    return urlunsplit(parts._replace(netloc=sub(r":[^@:]*@", "@", parts.netloc), query=""))


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    store = store_at(url)
    try:
        storage: Any = Storage(store) if isinstance(store, Store) else Awaited(AsyncStorage(store))
    except BaseException:
        if isinstance(store, Store):
            store.close()
        raise
    try:
        yield storage
    finally:
        storage.close()


def _homes(storage: Any) -> dict[Any, list[str]]:
    """The stores behind a storage, with the domains that each keeps."""
    homes: dict[Any, list[str]] = {}
    for domain in DOMAINS:
        homes.setdefault(storage.home_of(domain), []).append(domain)
    return homes


def _count(storage: Any, table: Table) -> int:
    return int(storage.execute(Summarize(table)).column("count")[0].as_py())


def _refuse_rows(storage: Any, url: str) -> None:
    held = [f"{count:,} in {table.name}" for table in STORED if (count := _count(storage, table))]
    if held:
        raise InvalidInput(
            f"{url} holds rows ({', '.join(held)}); conform deletes everything, so give it an empty store of its own"
        )


def _load(storage: Any) -> None:
    _empty(storage)  # a machine that failed leaves rows
    load(storage)


def _empty(storage: Any) -> None:
    for table in STORED:
        storage.execute(Delete(table, TRUE))
        if count := _count(storage, table):
            raise AssertionError(f"{count:,} rows of {table.name} are still there")
