"""One pool of connections for each address: all stores of a process that name it share it, and the last one closes it.

So a module that is loaded again and again (a notebook, a server that reloads) does not use up the server's connections.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
from typing import Any, Final
from weakref import WeakKeyDictionary

from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.postgres.address import Place
from colonnade.engine.stores.postgres.driver import (
    AsyncStoredCursor,
    StoredCursor,
    is_gone,
    psycopg,
    psycopg_pool,
)

_SETTINGS: Final = "SELECT set_config('TimeZone', 'UTC', false), set_config('jit', 'off', false)"
"""For times in UTC; and compiling a statement takes longer than running any of those that are asked here."""
_IDLE: Final = 300.0
"""Seconds after which a connection that nobody needs is closed."""


class Pools:
    """The pools of this process, with how many stores use each."""

    def __init__(self) -> None:
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Hashable, tuple[Any, int]] = {}
        self._loops: WeakKeyDictionary[Any, asyncio.AbstractEventLoop] = WeakKeyDictionary()

    def take(self, place: Place) -> Any:
        """The pool of blocking connections to a place, one user more."""
        return self._take(("blocking", *_key(place)), lambda: _blocking(place))

    def take_awaited(self, place: Place) -> Any:
        """The pool of async connections to a place, of this event loop; it is to be opened."""
        loop = asyncio.get_running_loop()
        with self._lock:  # what was not closed while its loop ran cannot be closed any more
            for key, (pool, _) in list(self._open.items()):
                if isinstance(pool, psycopg_pool.AsyncConnectionPool) and self._loops[pool].is_closed():
                    del self._open[key], self._loops[pool]
        taken = self._take(("awaited", id(loop), *_key(place)), lambda: _awaited(place))
        self._loops[taken] = loop
        return taken

    def _take(self, key: Hashable, make: Any) -> Any:
        with self._lock:
            pool, users = self._open.get(key, (None, 0))
            if pool is None or (pool.closed and users == 0):
                pool = make()
            self._open[key] = (pool, users + 1)
            return pool

    def knows(self, pool: Any) -> bool:
        """Whether a pool is of this process, and not of the one that it was forked from."""
        return any(each is pool for each, _ in list(self._open.values()))

    def give(self, pool: Any) -> bool:
        """One user less; whether it was the last one, who closes it."""
        with self._lock:
            for key, (each, users) in self._open.items():
                if each is pool:
                    if users > 1:
                        self._open[key] = (pool, users - 1)
                        return False
                    del self._open[key]
                    return True
        return False  # it belongs to the process that this one was forked from

    def before_fork(self) -> None:
        """Keep what the child must not close."""
        self._kept = self._open

    def after_fork_in_parent(self) -> None:
        """Nothing changed here."""

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, for ever, and begin anew."""
        self._left = self._kept
        self._begin()


def _key(place: Place) -> tuple[Hashable, ...]:
    return (frozenset(place.connecting.items()), place.pool_size, place.prepare)


def _options(place: Place) -> dict[str, Any]:
    return {
        "conninfo": "",
        "kwargs": {**connecting(place), "autocommit": True},
        "min_size": 0,
        "max_size": place.pool_size,
        "max_idle": _IDLE,
        "timeout": 30.0,
        "reconnect_timeout": 0.0,
        "open": False,
        "name": "colonnade",
    }


def connecting(place: Place) -> dict[str, Any]:
    """What psycopg connects with."""
    options: dict[str, Any] = {"connect_timeout": "10", "application_name": "colonnade", **place.connecting}
    return options | {"prepare_threshold": 5 if place.prepare else None}


def _blocking(place: Place) -> Any:
    pool: Any = psycopg_pool.ConnectionPool(**_options(place), configure=prepare, check=_check)
    return pool


def _awaited(place: Place) -> Any:
    pool: Any = psycopg_pool.AsyncConnectionPool(**_options(place), configure=prepare_awaited, check=_check_awaited)
    return pool


def prepare(connection: Any) -> None:
    """Make a new connection ready."""
    connection.execute(_SETTINGS)


async def prepare_awaited(connection: Any) -> None:
    """Make a new connection ready."""
    await connection.execute(_SETTINGS)


def _check(connection: Any) -> None:
    if is_gone(connection):
        raise psycopg.OperationalError("the server closed the connection")


async def _check_awaited(connection: Any) -> None:
    _check(connection)


POOLS: Final = Pools()


def cursor_of(connection: Any) -> Any:
    """A cursor on a blocking connection."""
    return StoredCursor(connection)


def awaited_cursor_of(connection: Any) -> Any:
    """A cursor on an async connection."""
    return AsyncStoredCursor(connection)
