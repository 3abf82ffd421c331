"""Pruning a storage: each store by its own way where it has one, and by deletes through the waist where not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from colonnade.engine import retention as through_the_waist
from colonnade.engine.execution import run, run_async
from colonnade.engine.retention import DOMAINS, Progress, Pruned, Retention
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import Unsupported
from colonnade.schemas.table import Table

OlderThan = str | timedelta | datetime

_Way = tuple[list[str], Callable[[], Pruned | None]]


class Composed(Protocol):
    """A storage, as far as pruning has to do with it."""

    @property
    def stores(self) -> Sequence[AnyStore]:
        """The stores behind it."""

    def route(self, table: Table) -> AnyStore:
        """The store that keeps a table."""

    def store_of(self, domain: str) -> AnyStore:
        """The store that keeps a domain; ``Unsupported`` where none does."""


def prune(storage: Composed, older_than: OlderThan, keep_scored: bool, dry_run: bool, progress: Progress) -> Pruned:
    """Prune all stores of a storage, blocking."""
    retention = Retention.of(older_than, keep_scored=keep_scored)
    pruned, left = Pruned(retention.cutoff, dry_run=dry_run), list[str]()
    for domains, way in _ways(storage, retention, dry_run, progress):
        if (done := way()) is None:
            left += domains
        else:
            pruned += done
    steps = partial(through_the_waist.prune, retention, left, dry_run=dry_run, progress=progress)
    return pruned + run(steps, storage.route, None)


async def prune_async(
    storage: Composed, older_than: OlderThan, keep_scored: bool, dry_run: bool, progress: Progress
) -> Pruned:
    """The same without blocking the event loop."""
    retention = Retention.of(older_than, keep_scored=keep_scored)
    pruned, left = Pruned(retention.cutoff, dry_run=dry_run), list[str]()
    for domains, way in _ways(storage, retention, dry_run, progress):
        if (done := await asyncio.to_thread(way)) is None:
            left += domains
        else:
            pruned += done
    steps = partial(through_the_waist.prune, retention, left, dry_run=dry_run, progress=progress)
    # Where all stores block, any of them stands for all: everything hops to a thread once.
    blocking = all(isinstance(store, Store) for store in storage.stores)
    return pruned + await run_async(steps, storage.route, storage.stores[0] if blocking else None)


def _ways(storage: Composed, retention: Retention, dry_run: bool, progress: Progress) -> Iterator[_Way]:
    """For each store of what grows old: which domains of it that is, and its own way to prune them."""
    keepers: dict[str, AnyStore] = {}
    for domain in DOMAINS:
        with suppress(Unsupported):
            keepers[domain] = storage.store_of(domain)
    stores = {id(keeper): keeper for keeper in keepers.values()}
    # Where scores are kept elsewhere, a store cannot know by itself which traces have some.
    itself = len(stores) == 1 or not retention.keep_scored
    for store in stores.values():
        domains = [domain for domain, keeper in keepers.items() if keeper is store]
        if isinstance(store, Store) and itself:
            yield domains, partial(store.prune, retention, domains, dry_run=dry_run, progress=progress)
        else:
            yield domains, lambda: None
