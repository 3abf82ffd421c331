"""``LibSQLStore`` as the source documents construct it: from a ``url``, and a server's ``auth_token``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.store import AsyncStore, Store, named
from colonnade.engine.stores.libsql.address import place_at
from colonnade.engine.stores.libsql.file import LibSQLFile
from colonnade.engine.stores.libsql.server import ABILITIES, AsyncLibSQLServer, LibSQLServer
from colonnade.errors import InvalidAddress


class LibSQLStore(Store):
    """``LibSQLStore(url="file:./storage.db")``, ``":memory:"``, or ``"libsql://host"`` with its ``auth_token``."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, url: str, auth_token: str | None = None, *, ca: str | None = None, id: str = "libsql") -> None:
        """``InvalidAddress`` where ``url`` names no database. The token may come from the environment instead.

        ``ca`` names a file with certificates to trust, for a server whose certificate is signed by your own authority.
        ``id`` is for those who tell stores apart.
        """
        self.id = named(type(self).__name__, id)
        place = place_at(url, auth_token, ca)
        self.db: LibSQLFile | LibSQLServer
        self.db = LibSQLFile(place.path, place.label) if place.url is None else LibSQLServer(place)
        self.label = self.db.label

    def init(self) -> None:
        """Make what is missing of Mastra's tables and ours."""
        self.db.init()

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self.db.execute(plan)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan, as a stream where their order allows it."""
        return self.db.batches(plan)

    def transaction(self) -> AbstractContextManager[Store]:
        """A session whose plans are committed as one."""
        return self.db.transaction()

    def close(self) -> None:
        """Let go of the database; closing twice does nothing."""
        self.db.close()


class AsyncLibSQLStore(AsyncStore):
    """The same for a server, natively async. A file has no network to wait for: ``aopen`` takes ``LibSQLStore``."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, url: str, auth_token: str | None = None, *, ca: str | None = None, id: str = "libsql") -> None:
        """``InvalidAddress`` where ``url`` names no server."""
        self.id = named(type(self).__name__, id)
        place = place_at(url, auth_token, ca)
        if place.url is None:
            raise InvalidAddress(f"{place.label} is no server; colonnade.aopen() takes a LibSQLStore of it")
        self.db = AsyncLibSQLServer(place)
        self.label = self.db.label

    async def init(self) -> None:
        """Make what is missing of Mastra's tables and ours."""
        await self.db.init()

    async def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return await self.db.execute(plan)

    def batches(self, plan: Scan) -> AsyncIterator[pa.RecordBatch]:
        """The rows of a scan, as a stream where their order allows it."""
        return self.db.batches(plan)

    def transaction(self) -> AbstractAsyncContextManager[AsyncStore]:
        """A session whose plans are committed as one."""
        return self.db.transaction()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.db.close()


def store_at(address: str, *, awaited: bool) -> Store | AsyncStore:
    """The store of an address, in the colour that is asked for, where it has that."""
    is_file = place_at(address).url is None
    return AsyncLibSQLStore(address) if awaited and not is_file else LibSQLStore(address)
