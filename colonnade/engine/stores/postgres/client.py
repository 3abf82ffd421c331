"""The blocking client: it runs requests on connections of the pool of its address (``awaited`` has the other one)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from colonnade.engine.driving import drive
from colonnade.engine.stores.postgres import catalog, pools, setup
from colonnade.engine.stores.postgres.address import Place
from colonnade.engine.stores.postgres.driver import (
    StreamedCursor,
    psycopg,
    psycopg_pool,
    translated,
    translation,
)
from colonnade.engine.stores.postgres.layout import Layout
from colonnade.engine.stores.postgres.pools import POOLS
from colonnade.engine.stores.postgres.steps import Request, Steps
from colonnade.engine.stores.postgres.wide import TooWide
from colonnade.errors import ColonnadeError, Conflict, StoreClosed, StoreError
from colonnade.schemas import STORED

R = TypeVar("R")

PATIENCE: Final = 30.0
"""Seconds for which a connection is waited for while all are in use."""
DOUBT: Final = 2.0
"""Seconds after which it is looked whether the server can be reached at all."""
FETCHED: Final = 2_048
"""Rows of a stream that are fetched at a time."""


BEGIN: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE"
"""As if there were nobody else; who cannot have that is refused, and tries again."""


class BlockingClient:
    """Requests over psycopg, from any number of threads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._layout: Layout | None = None
        self._pool: Any = None
        self._taking = threading.Lock()
        self._closed = False

    @property
    def pool(self) -> Any:
        """The pool of connections, opened when it is first needed; in a child that was forked off, another one."""
        if self._closed:
            raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.open()")
        if self._pool is None or not POOLS.knows(self._pool):
            with self._taking:
                if self._pool is None or not POOLS.knows(self._pool):
                    self._pool = POOLS.take(self.place)
                    self._pool.open()
        return self._pool

    def _translated(self) -> Any:
        return translated(self.place.label, self.place.user)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection for the time of a ``with``; given back in any case."""
        pool = self.pool
        connection = self._taken(pool)
        try:
            yield connection
        except TooWide as refused:
            self._widen(refused)
            raise
        finally:
            pool.putconn(connection)

    def _widen(self, refused: TooWide) -> None:
        """Make a table wide, and have what was refused done again; nothing where that would change nothing."""
        table, before = refused.table, self._layout
        if table is None or before is None:
            return
        with self._translated(), self._direct() as connection:
            self._layout = self.steps(setup.widen(self.place, table), connection)
        if self._layout.of(table).wide and not before.of(table).wide:
            raise Conflict(f"{self.place.label}: {table.name} was made ready for long texts") from refused

    def _taken(self, pool: Any) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return pool.getconn(timeout=DOUBT)
            except psycopg_pool.PoolTimeout:
                with self._translated():
                    self._direct().close()  # raises what is wrong, if the server cannot be reached
                if time.monotonic() > until:
                    raise busy(self.place) from None
            except psycopg_pool.PoolClosed:
                raise StoreClosed(f"{self.place.label} is closed; open it again with colonnade.open()") from None

    def _direct(self) -> Any:
        return psycopg.connect(**pools.connecting(self.place), autocommit=True)

    def init(self) -> None:
        """Make what is missing, over a connection of its own."""
        with self._translated(), self._direct() as connection:
            pools.prepare(connection)
            self._layout = self.steps(setup.steps(self.place), connection)

    def layout(self, connection: Any) -> Layout:
        """How the tables lie; looked up once."""
        if self._layout is None:
            found = self.steps(catalog.look(self.place), connection)
            self._layout = catalog.laid_out(self.place, found)
        return self._layout

    def steps(self, steps: Steps[R], connection: Any) -> R:
        """Run the requests of some steps on a connection; what they return."""
        cursor = pools.cursor_of(connection)

        def answer(request: Request) -> Any:
            try:
                return self._execute(request, cursor)
            except psycopg.Error as error:
                if error.sqlstate == "42P10":  # another client has made a table wide
                    self._layout = None
                raise translation(error, self.place.label, self.place.user) from error

        return drive(steps, answer, ColonnadeError)  # some steps can do without

    def _execute(self, request: Request, cursor: Any) -> Any:
        if request.pause is not None:
            time.sleep(request.pause)
            return None
        if request.many is not None:
            cursor.executemany(request.sql, request.many)
            return cursor.rowcount
        if request.copy is not None:
            with cursor.copy(request.sql) as copy:
                for piece in request.copy:
                    copy.write(piece)
            return cursor.rowcount
        cursor.execute(request.sql, request.values, prepare=request.prepare, binary=True)
        return cursor.fetchall() if request.rows else cursor.rowcount

    def optimize(self, connection: Any) -> None:
        """Vacuum and analyze the tables."""
        layout = self.layout(connection)
        for table in STORED:
            with self._translated():
                connection.execute(f"VACUUM (ANALYZE) {layout.of(table).name}")

    def stream(self, request: Request, connection: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Rows as they come, within a transaction."""
        with StreamedCursor(connection, "colonnade") as cursor:
            with self._translated():
                cursor.execute(request.sql, request.values, binary=True)
            while True:
                with self._translated():
                    rows = cursor.fetchmany(FETCHED)
                if not rows:
                    return
                yield rows

    @contextmanager
    def transaction(self, connection: Any, begin: str = BEGIN) -> Iterator[None]:
        """What is done within is one: committed at the end, undone on an error."""
        with self._translated():
            connection.execute(begin)
        try:
            yield
            with self._translated():
                connection.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                try:
                    connection.rollback()
                except psycopg.Error:
                    connection.close()  # the server undoes what was not committed
            raise

    def close(self) -> None:
        """Give the pool back; the last who does closes it."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None and POOLS.give(pool):
            pool.close()


def busy(place: Place) -> StoreError:
    """The error for a pool whose connections all stay in use."""
    return StoreError(
        f"{place.label}: all {place.pool_size} connections of this process have been in use for {PATIENCE:.0f} "
        "seconds; give it more with pool_size"
    )
