"""What a store is: a few methods below the waist, blocking or natively async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Delete, Nearest, Patch, Plan, Put, Scan, Search, Summarize
from colonnade.engine.running import Engine, Query
from colonnade.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from colonnade.engine.retention import Progress, Pruned, Retention


def named(kind: str, id: str) -> str:
    """The id of a store, for those who tell stores apart; ``InvalidInput`` where it is blank."""
    if not isinstance(id, str) or not id.strip():
        raise InvalidInput(f"{kind}: id must be provided and cannot be empty.")
    return id


class Store:
    """A store with a blocking driver. Plans arrive normalized, and only those that ``abilities`` promises.

    A store writes ``init``, ``close``, and for plans either ``scan``, ``put``, ``delete`` and whatever else it has the
    ability for, or ``execute``, where one way answers them all.
    """

    abilities: ClassVar[Abilities] = Abilities()
    few: ClassVar[bool] = False
    """Whether ``Put`` may bring ``FewRows``; a scan that says ``few`` may be answered so by any store."""
    newest_first: ClassVar[bool] = False
    """Whether ``search`` gives the newest rows that may hold the words, and not the best."""
    label: str = "store"

    def init(self) -> None:
        """Make what is missing (tables, indexes) and migrate what is older. Called once, by ``colonnade.open``."""

    def close(self) -> None:
        """Release the store. Closing twice does nothing."""

    def optimize(self) -> object | None:
        """Do now what is otherwise done in the background, and say what; ``None`` where there is nothing to do."""
        return None

    def stats(self) -> dict[str, int]:
        """What it has counted since it was opened, such as requests that are paid for; nothing where it counts none."""
        return {}

    def prune(
        self, retention: Retention, domains: Collection[str], *, dry_run: bool, progress: Progress
    ) -> Pruned | None:
        """Delete what is out of date in some domains by a way of its own; ``None`` where ``Delete`` is the only one."""
        return None

    def home(self, domain: str) -> Store:
        """The store within it that keeps a domain: itself, unless it is made of several."""
        return self

    def scan(self, plan: Scan) -> pa.Table:
        """The rows, in the plan's columns, in the schema's Arrow types."""
        raise NotImplementedError

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same rows as a stream, for results that do not fit into memory."""
        yield from self.execute(plan).to_batches()

    def put(self, plan: Put) -> int:
        """Upsert by the rules of ``Put``; the keys within ``data`` may repeat."""
        raise NotImplementedError

    def delete(self, plan: Delete) -> int:
        """Delete; without the ability, only by key."""
        raise NotImplementedError

    def patch(self, plan: Patch) -> int:
        """Set columns to constants."""
        raise Unsupported(f"{self} does not patch")

    def summarize(self, plan: Summarize) -> pa.Table:
        """Groups and measures, sorted by group."""
        raise Unsupported(f"{self} does not summarize")

    def nearest(self, plan: Nearest) -> pa.Table:
        """The ``neighbours.needed`` columns of the nearest rows, ``k`` at most, nearest first.

        They are compared and sorted again above the store, so an index that is only nearly right may give them.
        """
        raise Unsupported(f"{self} does not compare vectors")

    def search(self, plan: Search) -> pa.Table | None:
        """The ``searching.needed`` columns of rows that hold the words, best first, ``limit`` at most.

        They are looked at and ranked again above the store. So rows too many do no harm; but all rows are given, where
        they are fewer than ``limit``. A store that cannot rank gives them ``newest_first``, and is asked for all, page
        by page. ``None`` where its index is no help with this plan, which is answered by scans.
        """
        raise Unsupported(f"{self} does not search")

    def transaction(self) -> AbstractContextManager[Store]:
        """A session in which plans are one: committed at its end, undone on an error; ``Conflict`` if others won."""
        raise Unsupported(f"{self} has no transactions")

    def sql(self, query: Query) -> Engine | None:
        """What runs user SQL, checked already, over the logical tables; ``None`` where the store has no SQL engine."""
        return None

    def execute(self, plan: Plan) -> Any:
        """Run one native plan."""
        match plan:
            case Scan():
                return self.scan(plan)
            case Put():
                return self.put(plan)
            case Patch():
                return self.patch(plan)
            case Delete():
                return self.delete(plan)
            case Summarize():
                return self.summarize(plan)
            case Search():
                return self.search(plan)
            case Nearest():
                return self.nearest(plan)

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


class AsyncStore:
    """A store whose driver is natively async: the same few methods, awaited."""

    abilities: ClassVar[Abilities] = Abilities()
    few: ClassVar[bool] = False
    """Whether ``Put`` may bring ``FewRows``; a scan that says ``few`` may be answered so by any store."""
    newest_first: ClassVar[bool] = False
    """Whether ``search`` gives the newest rows that may hold the words, and not the best."""
    label: str = "store"

    async def init(self) -> None:
        """Make what is missing and migrate what is older."""

    async def close(self) -> None:
        """Release the store."""

    def stats(self) -> dict[str, int]:
        """What it has counted since it was opened; nothing where it counts none."""
        return {}

    async def execute(self, plan: Plan) -> Any:
        """Run one native plan."""
        raise NotImplementedError

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan as a stream, for results that do not fit into memory."""
        for batch in (await self.execute(plan)).to_batches():
            yield batch

    def transaction(self) -> AbstractAsyncContextManager[AsyncStore]:
        """A session in which plans are one."""
        raise Unsupported(f"{self} has no transactions")

    def __str__(self) -> str:
        return self.label


AnyStore = Store | AsyncStore
