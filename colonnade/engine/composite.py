"""What ``colonnade.open`` gives: one storage, composed domain by domain over one store or several, in two colours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import pyarrow as pa

from colonnade.engine.domains.agents import Agents
from colonnade.engine.domains.memory import Memory
from colonnade.engine.domains.observability import Observability
from colonnade.engine.domains.scores import Scores
from colonnade.engine.domains.workflows import Workflows
from colonnade.engine.execution import run, run_async, stream, stream_async
from colonnade.engine.making import Making
from colonnade.engine.operation import Async, Sync
from colonnade.engine.plan import Plan, Scan, Steps
from colonnade.engine.questions import Questions
from colonnade.engine.routing import Composition, all_made, only
from colonnade.engine.store import AnyStore, AsyncStore, Store
from colonnade.errors import Unsupported
from colonnade.queries.tables import Tables
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from colonnade.engine.retention import Progress, Pruned
    from colonnade.engine.running import Limits, Parameters
    from colonnade.engine.sql_result import SqlResult
    from colonnade.engine.writer import AsyncWriter, Writer, WriterOptions
    from colonnade.queries.conversations import Thread
    from colonnade.queries.search import Hit
    from colonnade.queries.traces import Trace

R = TypeVar("R")


class Storage(Composition, Tables[Sync]):
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

    @property
    def search(self) -> Callable[..., list[Hit]]:
        """Full-text search, the question of that name: ``store.search("refund denied", table="spans")``."""
        return self.queries.search

    def trace(self, trace_id: str, *, payloads: bool = True) -> Trace:
        """A trace that shows itself, in a notebook and printed. Without ``payloads``, only what is small is read."""
        return self.queries.whole_trace(trace_id, payloads=payloads, scores=self.get_store("scores") is not None)

    def thread(self, thread_id: str) -> Thread:
        """A thread that shows itself as a conversation."""
        return self.queries.conversation(thread_id)

    def execute(self, plan: Plan) -> Any:
        """Run one plan of the waist: ``pa.Table`` for reads, a count for changes."""
        return run(lambda: only(plan), self.route, None)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan as a stream of record batches."""
        return stream(plan, self.route)

    def writer(self, table: Table | str = "spans", **options: Unpack[WriterOptions]) -> Writer:
        """A queue in front of ``spans``, ``scores`` or ``evals``: ``with store.writer() as writer``.

        ``writer.add(record)`` returns at once; a thread in the background writes what was added in groups, within
        ``latency`` seconds (0.05), and ``flush()`` returns when all of it is durable. The queue holds about
        ``max_rows`` rows (32,768) and ``max_bytes`` bytes (64 MiB); where it is full, ``add`` waits (for ``timeout``
        seconds, or as long as it takes) or, with ``on_full="raise"``, raises ``QueueFull``. ``encode`` makes rows of
        objects that are no dicts and no Arrow data: ``colonnade.ingest.otel.spans_table`` of the spans of the
        OpenTelemetry SDK.
        """
        return self._writer(table, options)

    def sql(self, query: str, parameters: Parameters = None, **limits: Unpack[Limits]) -> SqlResult:
        """Ask read-only SQL (DuckDB's) over the logical tables: ``threads``, ``messages``, ``spans``, ``traces`` ...

        Values are bound: ``store.sql("select * from spans where name = ?", ["chat"])``, or ``$name`` with a dict.
        The result has ``.arrow()``, ``.polars()``, ``.rows()`` and ``.batches()``; the query begins at once, and
        whatever reads the rows waits for it. All tables are of one moment.

        ``timeout`` is how long the query may work, in seconds or as text such as ``"30s"``; time that the reader takes
        between batches does not count. ``memory`` is what it may take, in bytes or as text such as ``"512MB"``. Raises
        ``QueryError`` where the SQL is wrong, would write or reaches outside the store, and where it fails on its way:
        ``QueryTimeout``, ``QueryOutOfMemory``, ``QueryCancelled``.
        """
        from colonnade.engine.sql import ask

        return ask(self, query, parameters, limits)

    def init(self) -> None:
        """Make what is missing in every store, in all at once; done by ``open`` unless ``init=False``. Twice is once.

        What fails is an error that names its store; where several do, all are told, in one ``StoreError``.
        """
        if not self._initialized:
            stores = [store for store in self.stores if isinstance(store, Store)]
            if len(stores) == 1:
                stores[0].init()
            else:
                from concurrent.futures import ThreadPoolExecutor

                with ThreadPoolExecutor(max(len(stores), 1), "colonnade-init") as threads:
                    begun = [threads.submit(store.init) for store in stores]
                all_made({store: each.exception() for store, each in zip(stores, begun, strict=True)})
            self._initialized = True

    def prune(
        self,
        *,
        older_than: str | timedelta | datetime,
        keep_scored: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruned:
        """Delete what is older: traces all of whose spans started and ended before then, and scores and evals given
        before then. Memory, workflow state and agents stay.

        ``older_than`` is how long ago (``"30d"``, a timedelta) or a moment (an aware datetime, or ISO 8601 text). A
        trace goes as a whole or not at all: one span that still runs, or ended later, keeps it. ``keep_scored`` keeps
        all scores and evals, and the traces that scores point at. With ``dry_run`` nothing is deleted; the report says
        what would be. ``progress`` is told what is being done, how much of it is, and how much there is if known.

        An embedded folder gives the disk its room back. It is pruned by the process that has its lease, which other
        processes hand over within a second or so: ``StoreLocked`` where one does not. ``Conflict`` where what is older
        is being written to all the time, ``StoreError`` where a full disk has no room for what is to be written anew.
        ``InvalidInput`` where ``older_than`` is no time or lies in the future.
        """
        from colonnade.engine.pruning import prune
        from colonnade.engine.retention import quiet

        return prune(self, older_than, keep_scored, dry_run, progress or quiet)

    def optimize(self) -> list[str]:
        """Have every store do now what it otherwise does in the background; what was done, a sentence each."""
        return [str(done) for store in self.stores if isinstance(store, Store) and (done := store.optimize())]

    def close(self) -> None:
        """Stop queries, write what waits in writers, and release every store, each once, even if one fails."""
        writers = () if self._closed else tuple(self._writers)
        self._closed = True
        errors: list[Exception] = []
        for each in (*self.results, *writers, *self.stores):
            try:
                if not isinstance(each, AsyncStore):
                    each.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncStorage(Composition, Tables[Async]):
    """A storage whose methods are awaited: for agents and servers. Made by ``colonnade.aopen``."""

    def __init__(
        self, default: AnyStore | None = None, *, id: str = "colonnade", init: bool = True, **overrides: AnyStore
    ) -> None:
        super().__init__(default, overrides, id)
        self._making = Making(self.stores)
        self._by_itself = init

    @property
    def _ready(self) -> bool:
        """Whether nothing is to be made before it is used."""
        return self._making.done or self._closed or not self._by_itself

    async def _be_ready(self) -> None:
        if not self._ready:
            await self._making.wait()

    def run(self, steps: Callable[[], Steps[R]], domain: str, *, atomic: bool) -> Any:
        """The awaitable of an operation of a domain."""
        return self._run(steps, domain, atomic) if self._ready else self._made_and_run(steps, domain, atomic)

    async def _made_and_run(self, steps: Callable[[], Steps[R]], domain: str, atomic: bool) -> R:
        await self._be_ready()
        return await self._run(steps, domain, atomic)

    def _run(self, steps: Callable[[], Steps[R]], domain: str, atomic: bool) -> Coroutine[Any, Any, R]:
        if domain != Questions.name:
            return run_async(steps, self.route, self.home_of(domain), atomic=atomic)
        # Each plan goes to the store of its table. Where no store is async, any stands for all: one hop to a thread.
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

    @property
    def search(self) -> Callable[..., Coroutine[Any, Any, list[Hit]]]:
        """Full-text search, the question of that name: ``store.search("refund denied", table="spans")``."""
        return self.queries.search

    async def trace(self, trace_id: str, *, payloads: bool = True) -> Trace:
        """As ``Storage.trace``."""
        return await self.queries.whole_trace(trace_id, payloads=payloads, scores=self.get_store("scores") is not None)

    async def thread(self, thread_id: str) -> Thread:
        """As ``Storage.thread``."""
        return await self.queries.conversation(thread_id)

    async def execute(self, plan: Plan) -> Any:
        """Run one plan of the waist: ``pa.Table`` for reads, a count for changes."""
        await self._be_ready()
        return await run_async(lambda: only(plan), self.route, None)

    def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan as a stream of record batches: ``async for batch in ...``."""
        return stream_async(plan, self.route) if self._ready else self._made_and_streamed(plan)

    async def _made_and_streamed(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        await self._be_ready()
        async with aclosing(stream_async(plan, self.route)) as batches:
            async for batch in batches:
                yield batch

    def blocking(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """As ``Composition.blocking``; whoever cannot await cannot make the stores either."""
        if not self._ready:
            raise Unsupported(f"{self!r} is not used yet, and what reads here cannot await: await store.init() first")
        return super().blocking(plan)

    async def sql(self, query: str, parameters: Parameters = None, **limits: Unpack[Limits]) -> SqlResult:
        """As ``Storage.sql``, but all rows are read before it returns: looking at them waits for nothing.

        A task that is cancelled stops its query.
        """
        from colonnade.engine.sql import ask_async

        await self._be_ready()
        return await ask_async(self, query, parameters, limits)

    def writer(self, table: Table | str = "spans", **options: Unpack[WriterOptions]) -> AsyncWriter:
        """As ``Storage.writer``, with methods that are awaited: ``async with store.writer() as writer``.

        ``Unsupported`` where the driver of the store is natively async.
        """
        from colonnade.engine.writer import AsyncWriter

        return AsyncWriter(self._writer(table, options), self._be_ready)

    async def prune(
        self,
        *,
        older_than: str | timedelta | datetime,
        keep_scored: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruned:
        """As ``Storage.prune``. ``progress`` is called on another thread."""
        from colonnade.engine.pruning import prune_async
        from colonnade.engine.retention import quiet

        await self._be_ready()
        return await prune_async(self, older_than, keep_scored, dry_run, progress or quiet)

    async def init(self) -> None:
        """As ``Storage.init``; done by ``async with``, and by what is used first where there is none.

        Tasks that come at once wait for the same making. Cancelling one leaves it to the others, and to later ones.
        """
        await self._making.wait()

    async def close(self) -> None:
        """Stop queries, write what waits in writers, and release every store, each once, even if one fails."""
        import asyncio

        writers = () if self._closed else tuple(self._writers)
        self._closed = True
        await self._making.stop()
        errors: list[Exception] = []
        for each in (*self.results, *writers, *self.stores):
            try:
                if isinstance(each, AsyncStore):
                    await each.close()
                else:
                    await asyncio.to_thread(each.close)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def __aenter__(self) -> Self:
        try:
            await self._be_ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
