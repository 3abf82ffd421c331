"""The async client, the twin of ``client``: natively awaited, on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from colonnade.engine.driving import drive_async
from colonnade.engine.stores.postgres import catalog, pools, setup
from colonnade.engine.stores.postgres.address import Place
from colonnade.engine.stores.postgres.client import BEGIN, DOUBT, FETCHED, PATIENCE, busy
from colonnade.engine.stores.postgres.driver import AsyncStreamedCursor, psycopg, psycopg_pool, translated, translation
from colonnade.engine.stores.postgres.layout import Layout
from colonnade.engine.stores.postgres.pools import POOLS
from colonnade.engine.stores.postgres.steps import Request, Steps
from colonnade.engine.stores.postgres.wide import TooWide
from colonnade.errors import ColonnadeError, Conflict, StoreClosed

R = TypeVar("R")


class AwaitedClient:
    """Requests over psycopg's async connections, on one event loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._layout: Layout | None = None
        self._pool: Any = None
        self._closed = False

    @property
    def pool(self) -> Any:
        """The pool of connections of this event loop, which the first operation opens."""
        if self._closed:
            raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.aopen()")
        if self._pool is None or not POOLS.knows(self._pool):
            self._pool = POOLS.take_awaited(self.place)
        return self._pool

    def _translated(self) -> Any:
        return translated(self.place.label, self.place.user)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection for the time of an ``async with``; given back in any case."""
        pool = self.pool
        connection = await self._taken(pool)
        try:
            yield connection
        except TooWide as refused:
            await self._widen(refused)
            raise
        finally:
            await pool.putconn(connection)

    async def _widen(self, refused: TooWide) -> None:
        """Make a table wide, and have what was refused done again; nothing where that would change nothing."""
        table, before = refused.table, self._layout
        if table is None or before is None:
            return
        with self._translated():
            async with await self._direct() as connection:
                self._layout = await self.steps(setup.widen(self.place, table), connection)
        if self._layout.of(table).wide and not before.of(table).wide:
            raise Conflict(f"{self.place.label}: {table.name} was made ready for long texts") from refused

    async def _taken(self, pool: Any) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await pool.open()
                return await pool.getconn(timeout=DOUBT)
            except psycopg_pool.PoolTimeout:
                with self._translated():
                    await (await self._direct()).close()
                if time.monotonic() > until:
                    raise busy(self.place) from None
            except psycopg_pool.PoolClosed:
                raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.aopen()") from None

    async def _direct(self) -> Any:
        return await psycopg.AsyncConnection.connect(**pools.connecting(self.place), autocommit=True)

    async def init(self) -> None:
        """Make what is missing, over a connection of its own."""
        with self._translated():
            async with await self._direct() as connection:
                await pools.prepare_awaited(connection)
                self._layout = await self.steps(setup.steps(self.place), connection)
            await self.pool.open()

    async def layout(self, connection: Any) -> Layout:
        """How the tables lie; looked up once."""
        if self._layout is None:
            found = await self.steps(catalog.look(self.place), connection)
            self._layout = catalog.laid_out(self.place, found)
        return self._layout

    async def steps(self, steps: Steps[R], connection: Any) -> R:
        """Run the requests of some steps on a connection; what they return."""
        cursor = pools.awaited_cursor_of(connection)

        async def answer(request: Request) -> Any:
            try:
                return await self._execute(request, cursor)
            except psycopg.Error as error:
                if error.sqlstate == "42P10":  # another client has made a table wide
                    self._layout = None
                raise translation(error, self.place.label, self.place.user) from error

        return await drive_async(steps, answer, ColonnadeError)

    async def _execute(self, request: Request, cursor: Any) -> Any:
        if request.pause is not None:
            await asyncio.sleep(request.pause)
            return None
        if request.many is not None:
            await cursor.executemany(request.sql, request.many)
            return cursor.rowcount
        if request.copy is not None:
            async with cursor.copy(request.sql) as copy:
                pieces = request.copy
                while (piece := await asyncio.to_thread(next, pieces, None)) is not None:  # others may run meanwhile
                    await copy.write(piece)
            return cursor.rowcount
        await cursor.execute(request.sql, request.values, prepare=request.prepare, binary=True)
        return await cursor.fetchall() if request.rows else cursor.rowcount

    async def stream(self, request: Request, connection: Any) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows as they come, within a transaction."""
        async with AsyncStreamedCursor(connection, "colonnade") as cursor:
            with self._translated():
                await cursor.execute(request.sql, request.values, binary=True)
            while True:
                with self._translated():
                    rows = await cursor.fetchmany(FETCHED)
                if not rows:
                    return
                yield rows

    @asynccontextmanager
    async def transaction(self, connection: Any, begin: str = BEGIN) -> AsyncIterator[None]:
        """What is done within is one: committed at the end, undone on an error."""
        with self._translated():
            await connection.execute(begin)
        try:
            yield
            with self._translated():
                await connection.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                try:
                    await connection.rollback()
                except psycopg.Error:
                    await connection.close()
            raise

    async def close(self) -> None:
        """Give the pool back; the last who does closes it."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None and POOLS.give(pool):
            await pool.close()
