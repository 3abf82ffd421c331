"""What ``colonnade.open`` gives: one storage, composed domain by domain over one store or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa

from colonnade.engine.domains.agents import Agents
from colonnade.engine.domains.memory import Memory
from colonnade.engine.domains.observability import Observability
from colonnade.engine.domains.scores import Scores
from colonnade.engine.domains.workflows import Workflows
from colonnade.engine.operation import Async, Clock, Domain, Sync
from colonnade.engine.plan import Plan, Scan, Steps
from colonnade.engine.questions import Questions
from colonnade.engine.store import AnyStore, AsyncStore, Store, run, run_async, stream
from colonnade.errors import InvalidInput, Unsupported
from colonnade.schemas import DOMAINS
from colonnade.schemas.table import Table

R = TypeVar("R")

_DOMAINS: dict[str, type[Domain[Any]]] = {
    "memory": Memory,
    "workflows": Workflows,
    "scores": Scores,
    "observability": Observability,
    "agents": Agents,
}


class _Composition:
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
        self._initialized = False

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """The stores behind it, each once."""
        default = () if self._default is None else (self._default,)
        return tuple({id(store): store for store in (*default, *self._overrides.values())}.values())

    def store_of(self, domain: str) -> AnyStore:
        """The store that keeps a domain; ``Unsupported`` where none does."""
        store = self._overrides.get(domain, self._default)
        if store is None:
            kept = ", ".join(sorted(self._overrides))
            raise Unsupported(
                f"no store keeps {domain!r} here, only {kept}; pass default=... or {domain}=... to open()"
            )
        return store

    def route(self, table: Table) -> AnyStore:
        """The store that keeps a table."""
        return self.home_of(table.domain)

    def home_of(self, domain: str) -> AnyStore:
        """The store that keeps a domain, within the one that was opened for it."""
        store = self.store_of(domain)
        return store.home(domain) if isinstance(store, Store) else store

    def _domain(self, name: str) -> Any:
        self.store_of(name)
        if name not in self._domains:
            self._domains[name] = _DOMAINS[name](self, self._clock)  # type: ignore[arg-type]  # the subclasses run()
        return self._domains[name]

    def _get_store(self, name: str) -> Any:
        if name not in DOMAINS:
            raise InvalidInput(f"no such domain: {name!r}; the domains are {', '.join(DOMAINS)}")
        return self._domain(name) if name in self._overrides or self._default is not None else None

    def __repr__(self) -> str:
        kept = [f"default={self._default}"] if self._default is not None else []
        kept += [f"{domain}={store}" for domain, store in self._overrides.items()]
        return f"<{type(self).__name__} {', '.join(kept)}>"


class Storage(_Composition):
    """A storage whose methods block: for notebooks, scripts and threads. Made by ``colonnade.open``."""

    def __init__(
        self, default: Store | None = None, *, id: str = "colonnade", init: bool = True, **overrides: Store
    ) -> None:
        super().__init__(default, overrides, id)
        if init:
            self.init()

    def run(self, steps: Callable[[], Steps[R]], domain: str, *, atomic: bool) -> R:
        """Run the steps of an operation of a domain."""
        return run(steps, self.route, self._keeper(domain), atomic=atomic)

    def _keeper(self, domain: str) -> Store | None:
        if domain == Questions.name:
            return None  # each plan of a question goes to the store that keeps its table
        store = self.home_of(domain)
        if not isinstance(store, Store):
            raise Unsupported(f"{store} is async only; open it with colonnade.aopen()")
        return store

    @property
    def memory(self) -> Memory[Sync]:
        """Threads, messages, resources and working memory."""
        return self._domain("memory")  # type: ignore[no-any-return]

    @property
    def workflows(self) -> Workflows[Sync]:
        """State of workflow runs."""
        return self._domain("workflows")  # type: ignore[no-any-return]

    @property
    def scores(self) -> Scores[Sync]:
        """Scores and evals."""
        return self._domain("scores")  # type: ignore[no-any-return]

    @property
    def observability(self) -> Observability[Sync]:
        """Spans and traces."""
        return self._domain("observability")  # type: ignore[no-any-return]

    @property
    def agents(self) -> Agents[Sync]:
        """Stored agents."""
        return self._domain("agents")  # type: ignore[no-any-return]

    @property
    def queries(self) -> Questions[Sync]:
        """Questions over everything that is kept."""
        return Questions(self, self._clock)

    def get_store(self, domain: str) -> Any:
        """The domain of that name, or ``None`` where no store keeps it."""
        return self._get_store(domain)

    def execute(self, plan: Plan) -> Any:
        """Run one plan of the waist: ``pa.Table`` for reads, a count for changes."""

        def steps() -> Steps[Any]:
            return (yield plan)

        return run(steps, self.route, None)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan as a stream of record batches."""
        return stream(plan, self.route)

    def sql(self, query: str, parameters: list[Any] | Mapping[str, Any] | None = None) -> Any:
        """Ask read-only SQL (DuckDB's) over the logical tables: ``threads``, ``messages``, ``spans``, ``traces`` ...

        Values are bound: ``store.sql("select * from spans where name = ?", ["chat"])``, or ``$name`` with a dict.
        Gives a ``SqlResult`` with ``.arrow()``, ``.polars()`` and ``.rows()``; raises ``QueryError`` where the SQL
        would write or reach outside the store.
        """
        from colonnade.engine.sql import ask

        return ask(self, query, parameters)

    def init(self) -> None:
        """Make what is missing in every store; done by ``open`` unless ``init=False``. Twice is once."""
        if not self._initialized:
            for store in self.stores:
                if isinstance(store, Store):
                    store.init()
            self._initialized = True

    def optimize(self) -> list[str]:
        """Have every store do now what it otherwise does in the background; what was done, a sentence each."""
        return [str(done) for store in self.stores if isinstance(store, Store) and (done := store.optimize())]

    def close(self) -> None:
        """Release every store, each once, even if one fails."""
        errors: list[Exception] = []
        for store in self.stores:
            try:
                if isinstance(store, Store):
                    store.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncStorage(_Composition):
    """A storage whose methods are awaited: for agents and servers. Made by ``colonnade.aopen``."""

    def __init__(self, default: AnyStore | None = None, *, id: str = "colonnade", **overrides: AnyStore) -> None:
        super().__init__(default, overrides, id)

    def run(self, steps: Callable[[], Steps[R]], domain: str, *, atomic: bool) -> Any:
        """The awaitable of an operation of a domain."""
        if domain != Questions.name:
            return run_async(steps, self.route, self.home_of(domain), atomic=atomic)
        # Each plan of a question goes to the store that keeps its table. Where no store is async, any of them stands
        # for all, so that the whole question hops to a thread once.
        blocking = all(isinstance(store, Store) for store in self.stores)
        return run_async(steps, self.route, self.stores[0] if blocking else None)

    @property
    def memory(self) -> Memory[Async]:
        """Threads, messages, resources and working memory."""
        return self._domain("memory")  # type: ignore[no-any-return]

    @property
    def workflows(self) -> Workflows[Async]:
        """State of workflow runs."""
        return self._domain("workflows")  # type: ignore[no-any-return]

    @property
    def scores(self) -> Scores[Async]:
        """Scores and evals."""
        return self._domain("scores")  # type: ignore[no-any-return]

    @property
    def observability(self) -> Observability[Async]:
        """Spans and traces."""
        return self._domain("observability")  # type: ignore[no-any-return]

    @property
    def agents(self) -> Agents[Async]:
        """Stored agents."""
        return self._domain("agents")  # type: ignore[no-any-return]

    @property
    def queries(self) -> Questions[Async]:
        """Questions over everything that is kept."""
        return Questions(self, self._clock)

    def get_store(self, domain: str) -> Any:
        """The domain of that name, or ``None`` where no store keeps it."""
        return self._get_store(domain)

    async def execute(self, plan: Plan) -> Any:
        """Run one plan of the waist: ``pa.Table`` for reads, a count for changes."""

        def steps() -> Steps[Any]:
            return (yield plan)

        return await run_async(steps, self.route, None)

    async def init(self) -> None:
        """Make what is missing in every store, all at once. Twice is once."""
        import asyncio

        if not self._initialized:
            await asyncio.gather(
                *(asyncio.to_thread(s.init) if isinstance(s, Store) else s.init() for s in self.stores)
            )
            self._initialized = True

    async def close(self) -> None:
        """Release every store."""
        import asyncio

        for store in self.stores:
            if isinstance(store, AsyncStore):
                await store.close()
            else:
                await asyncio.to_thread(store.close)

    async def __aenter__(self) -> Self:
        await self.init()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
