"""The store in both colours: ``upstash://`` for ``open`` and for ``aopen``, or made here and handed to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Delete, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.store import AsyncStore, Store, named
from colonnade.engine.stores.upstash import reading, setup, writing
from colonnade.engine.stores.upstash.address import PREFIX, Place, place_of
from colonnade.engine.stores.upstash.client import AwaitedClient, BlockingClient
from colonnade.engine.stores.upstash.reading import streamed
from colonnade.engine.stores.upstash.requests import Steps
from colonnade.errors import Unsupported

if TYPE_CHECKING:
    from httpx import AsyncClient, Client

ABILITIES: Final = Abilities(
    compare_and_set=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    order=True,
    aggregates=frozenset({"count"}),
    patch=True,
    delete=True,
)


def steps_of(plan: Plan) -> Steps[Any]:
    """What is asked of the server for a plan; returns its answer."""
    match plan:
        case Scan():
            return reading.scan(plan)
        case Summarize():
            return reading.counted(plan)
        case Put():
            return writing.put(plan)
        case Patch():
            return writing.patch(plan)
        case Delete():
            return writing.delete(plan)
    raise Unsupported(f"an Upstash store has no {type(plan).__name__}")


class _Made:
    """How both colours are made."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        prefix: str = PREFIX,
        id: str = "upstash-storage",
        timeout: float = 30.0,
        retries: int = 4,
        ca: str | None = None,
    ) -> None:
        self.id = named(type(self).__name__, id)
        self.place = place_of(url, token, prefix=prefix, timeout=timeout, retries=retries, ca=ca)
        self.label = self.place.label
        self._connect()

    def _connect(self) -> None:
        raise NotImplementedError

    @classmethod
    def at(cls, place: Place) -> Self:
        """The store at a place."""
        names = ("url", "token", "prefix", "timeout", "retries", "ca")
        return cls(**{name: getattr(place, name) for name in names})


class UpstashStore(_Made, Store):
    """A Redis database of Upstash, over its REST API; blocking, for any number of threads and processes.

    ``url`` and ``token`` are those of the REST API, or in ``UPSTASH_REDIS_REST_URL`` and ``UPSTASH_REDIS_REST_TOKEN``.
    ``prefix`` begins all keys. ``timeout`` is in seconds; ``retries`` how often a request is sent again at most.
    ``ca`` names a file with certificates to trust, for a server whose certificate your own authority signed.
    """

    def _connect(self) -> None:
        self._client = BlockingClient(self.place)

    @property
    def client(self) -> Client:
        """The ``httpx.Client`` that it talks through, for commands of your own."""
        return self._client.http

    def stats(self) -> dict[str, int]:
        """``requests`` sent and ``commands`` in them, since it was opened: what is paid for."""
        return self._client.counter.stats()

    def init(self) -> None:
        """Note the version of the schemas, or compare it."""
        self._client.run(setup.steps(self.place))

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self._client.run(steps_of(plan))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """A page after the other, where rows may come in any order."""
        reading = streamed(plan)
        if reading is None:
            yield from super().batches(plan)
            return
        while reading.more:
            for page in self._client.run(reading.following()):
                yield from page.select(list(plan.projection)).to_batches()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class AsyncUpstashStore(_Made, AsyncStore):
    """The same, natively async."""

    def _connect(self) -> None:
        self._client = AwaitedClient(self.place)

    @property
    def client(self) -> AsyncClient:
        """The ``httpx.AsyncClient`` that it talks through, for commands of your own."""
        return self._client.http

    def stats(self) -> dict[str, int]:
        """``requests`` sent and ``commands`` in them, since it was opened: what is paid for."""
        return self._client.counter.stats()

    async def init(self) -> None:
        """Note the version of the schemas, or compare it."""
        await self._client.run(setup.steps(self.place))

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self._client.run(steps_of(plan))

    async def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """A page after the other, where rows may come in any order."""
        reading = streamed(plan)
        if reading is None:
            async for batch in super().batches(plan):
                yield batch
            return
        while reading.more:
            for page in await self._client.run(reading.following()):
                for batch in page.select(list(plan.projection)).to_batches():
                    yield batch

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()
