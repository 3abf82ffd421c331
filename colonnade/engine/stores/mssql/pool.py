"""Connections of one store, made when they are needed and used again: pymssql has no pool of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.mssql.address import Place
from colonnade.engine.stores.mssql.driver import connect, is_broken, pymssql, translated
from colonnade.errors import StoreClosed, StoreError

PATIENCE: Final = 30.0
"""Seconds for which a connection is waited for while all are in use."""
_RESTED: Final = 1.0
"""Seconds after which a connection is asked whether it is still alive, before it is used again."""
_IDLE: Final = 300.0
"""Seconds after which a connection that nobody needs is closed."""
_PICTURE: Final = (
    "SELECT CAST([is_read_committed_snapshot_on] AS INT) AS [picture] FROM sys.databases WHERE [database_id] = DB_ID()"
)


class Pool:
    """The connections of one store, for any number of threads: ``with pool.connection() as connection``."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._base: str | None = None
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[tuple[Any, float]] = []
        self._open = 0
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A pymssql connection for the time of a ``with``, in autocommit; given back in any case.

        It is closed, not given back, after an error that it may not have survived, and where it was left in the middle
        of something.
        """
        changed = self._changed
        connection = self._taken()
        broken = lost = True
        try:
            yield connection
            broken = lost = False
        except Exception as error:
            cause = error if isinstance(error, pymssql.Error) else error.__cause__
            broken = lost = isinstance(cause, pymssql.Error) and is_broken(cause)
            raise
        except BaseException:
            lost = False
            raise
        finally:
            self._give(connection, changed, broken=broken, lost=lost)

    def _taken(self) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            rested = self._next(until)
            if rested is None:
                return self._opened()
            connection, since = rested
            if time.monotonic() - since < _RESTED or self._is_alive(connection):
                return connection
            with self._changed:
                self._drop(connection)

    def _next(self, until: float) -> tuple[Any, float] | None:
        """A connection that rests, and since when; ``None`` where one more may be made."""
        with self._changed:
            while True:
                if self._closed:
                    raise StoreClosed(f"{self._place.label} is closed; open it again with colonnade.open()")
                if self._idle:
                    return self._idle.pop()
                if self._open < self._place.pool_size:
                    self._open += 1
                    return None
                if not self._changed.wait(until - time.monotonic()):
                    raise StoreError(
                        f"{self._place.label}: all {self._place.pool_size} connections of this store have been in use "
                        f"for {PATIENCE:.0f} seconds; give it more with pool_size"
                    )

    def _opened(self) -> Any:
        try:
            return self._made()
        except BaseException:
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise

    def _made(self) -> Any:
        with translated(self._place):
            connection = connect(self._place)
            try:
                connection.cursor().execute(f"SET TRANSACTION ISOLATION LEVEL {self.base(connection)}")
            except BaseException:
                close(connection)
                raise
            return connection

    def base(self, connection: Any) -> str:
        """The isolation of what is no transaction: one statement is to see one picture.

        With READ_COMMITTED_SNAPSHOT it does, and waits for nobody; without, only what locks all that it reads does.
        """
        if self._base is None:
            cursor = connection.cursor()
            cursor.execute(_PICTURE)
            self._base = "READ COMMITTED" if cursor.fetchall()[0][0] else "SERIALIZABLE"
        return self._base

    def _is_alive(self, connection: Any) -> bool:
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1 AS [alive]")
            cursor.fetchall()
        except pymssql.Error:
            return False
        return True

    def _drop(self, connection: Any) -> None:
        self._open -= 1
        close(connection)

    def _give(self, connection: Any, changed: threading.Condition, *, broken: bool, lost: bool) -> None:
        if changed is not self._changed:
            return  # it belongs to the process that this one was forked from
        now = time.monotonic()
        with changed:
            if lost:  # and so have the others, most likely
                for each, _ in self._idle:
                    self._drop(each)
                self._idle.clear()
            if broken or self._closed:
                self._drop(connection)
            else:
                self._idle.append((connection, now))
            while self._idle and now - self._idle[0][1] > _IDLE:
                self._drop(self._idle.pop(0)[0])
            changed.notify()

    def close(self) -> None:
        """Close the connections; those that are in use, when they are given back. Twice is once."""
        with self._changed:
            self._closed = True
            for connection, _ in self._idle:
                self._drop(connection)
            self._idle.clear()
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Keep what the child must not close."""
        self._kept = list(self._idle)

    def after_fork_in_parent(self) -> None:
        """Nothing changed here."""
        self._kept = []

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, for ever, and begin anew."""
        closed = self._closed
        self._begin()
        self._closed = closed


def close(connection: Any) -> None:
    """Close a connection, whatever has become of it."""
    with suppress(pymssql.Error):
        connection.close()
