"""Which store keeps which domain, of one storage; what both colours of it share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pyarrow as pa

from colonnade.engine.domains.agents import Agents
from colonnade.engine.domains.memory import Memory
from colonnade.engine.domains.observability import Observability
from colonnade.engine.domains.scores import Scores
from colonnade.engine.domains.workflows import Workflows
from colonnade.engine.execution import run, stream
from colonnade.engine.operation import Clock, Domain
from colonnade.engine.plan import Plan, Scan, Steps
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import InvalidInput, StoreClosed, StoreError, Unsupported
from colonnade.schemas import DOMAINS, table_named
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    from colonnade.engine.sql_result import SqlResult
    from colonnade.engine.writer import Writer, WriterOptions

_DOMAINS: dict[str, type[Domain[Any]]] = {
    "memory": Memory,
    "workflows": Workflows,
    "scores": Scores,
    "observability": Observability,
    "agents": Agents,
}


def only(plan: Plan) -> Steps[Any]:
    """The steps of a plan by itself."""
    return (yield plan)


def all_made(outcomes: Mapping[AnyStore, BaseException | None]) -> None:
    """Raise what kept stores from being made: the error itself where it is one, all in one ``StoreError`` otherwise."""
    failed = {store: error for store, error in outcomes.items() if error is not None}
    for error in failed.values():
        if len(failed) == 1 or not isinstance(error, Exception):
            raise error
    if failed:
        said = "; ".join(str(e) if str(store) in str(e) else f"{store}: {e}" for store, e in failed.items())
        errors = [error for error in failed.values() if isinstance(error, Exception)]
        raise StoreError(f"{len(failed)} stores cannot be opened: {said}") from ExceptionGroup("init", errors)


class Composition:
    """Which store keeps which domain; shared by both colours."""

    def __init__(self, default: AnyStore | None, overrides: Mapping[str, AnyStore], name: str) -> None:
        if not name.strip():
            raise InvalidInput("colonnade: id must be provided and cannot be empty.")
        if unknown := sorted(set(overrides) - set(DOMAINS)):
            raise InvalidInput(f"no such domain: {', '.join(unknown)}; the domains are {', '.join(DOMAINS)}")
        if default is None and not overrides:
            raise InvalidInput(
                "colonnade: a storage requires at least one storage source: a default, or a domain's own"
            )
        self.id = name
        self._default = default
        self._overrides = dict(overrides)
        self._clock = Clock()
        self._domains: dict[str, Domain[Any]] = {}
        self._homes: dict[str, AnyStore] = {}
        self._initialized = False
        self._closed = False
        self._writers: WeakSet[Writer] = WeakSet()
        self.results: WeakSet[SqlResult] = WeakSet()

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """The stores behind it, each once."""
        default = () if self._default is None else (self._default,)
        return tuple({id(store): store for store in (*default, *self._overrides.values())}.values())

    def store_of(self, domain: str) -> AnyStore:
        """The store that keeps a domain; ``Unsupported`` where none does."""
        if (store := self._overrides.get(domain, self._default)) is not None:
            return store
        kept = ", ".join(sorted(self._overrides))
        raise Unsupported(f"no store keeps {domain!r} here, only {kept}; pass default=... or {domain}=... to open()")

    def route(self, table: Table) -> AnyStore:
        """The store that keeps a table."""
        return self.home_of(table.domain)

    def home_of(self, domain: str) -> AnyStore:
        """The store that keeps a domain, within the one that was opened for it: always the same."""
        if (home := self._homes.get(domain)) is None:
            store = self.store_of(domain)
            home = self._homes[domain] = store.home(domain) if isinstance(store, Store) else store
        return home

    def stats(self) -> dict[str, int]:
        """What stores have counted since they were opened, added up: ``{requests, commands}`` on Upstash."""
        total: dict[str, int] = {}
        for name, value in (each for store in self.stores for each in store.stats().items()):
            total[name] = total.get(name, 0) + value
        return total

    def _domain(self, name: str) -> Any:
        self.store_of(name)
        if name not in self._domains:
            self._domains[name] = _DOMAINS[name](self, self._clock)  # type: ignore[arg-type]  # the subclasses run()
        return self._domains[name]

    def get_store(self, domain: str) -> Any:
        """The domain of that name, or ``None`` where no store keeps it."""
        if domain not in DOMAINS:
            raise InvalidInput(f"no such domain: {domain!r}; the domains are {', '.join(DOMAINS)}")
        return self._domain(domain) if domain in self._overrides or self._default is not None else None

    def blocking(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan as a stream that blocks, for readers that cannot await."""
        if not isinstance(store := self.route(plan.table), Store):
            raise Unsupported(f"{store} has no blocking driver here; open it with colonnade.open() for this")
        return stream(plan, self.route)

    def _writer(self, table: Table | str, options: WriterOptions) -> Writer:
        from colonnade.engine.writer import Writer

        if self._closed:
            raise StoreClosed(f"{self!r} is closed; open it again with colonnade.open()")
        table = table_named(table) if isinstance(table, str) else table
        home = self.home_of(table.domain)
        if not isinstance(home, Store):
            raise Unsupported(f"{home} has no blocking driver, which a writer's thread needs; use the domain's methods")
        domain = self._domain(table.domain)
        writer = Writer(table, domain, self._clock, lambda plan: run(lambda: only(plan), self.route, None), **options)
        self._writers.add(writer)
        return writer

    def __repr__(self) -> str:
        kept = [f"default={self._default}"] if self._default is not None else []
        kept += [f"{domain}={store}" for domain, store in self._overrides.items()]
        return f"<{type(self).__name__} {', '.join(kept)}>"
