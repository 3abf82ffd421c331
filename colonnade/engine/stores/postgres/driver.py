"""psycopg as this store uses it: cursors that give stored forms, and errors told in our words."""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from colonnade.engine.certificates import mistrusted
from colonnade.engine.stores.postgres.wide import TooWide
from colonnade.errors import (
    AlreadyExists,
    ColonnadeError,
    Conflict,
    InvalidInput,
    MissingExtra,
    NotAStore,
    StoreError,
    StoreReadOnly,
)

try:
    import psycopg
    import psycopg_pool
    from psycopg.types.numeric import Int8
    from psycopg.types.string import TextBinaryLoader
except ImportError:
    raise MissingExtra("a PostgreSQL store", "postgres") from None

_STORED: Final = psycopg.adapt.AdaptersMap(psycopg.adapters)
"""JSON comes as the text that it is kept as, and not decoded."""
_STORED.register_loader("json", TextBinaryLoader)


class StoredCursor(psycopg.RawCursor[Any]):
    """A cursor whose statements number their gaps (``$1``), and whose rows are in stored form."""

    adapters = property(lambda self: _STORED)


class AsyncStoredCursor(psycopg.AsyncRawCursor[Any]):
    """The same, awaited."""

    adapters = property(lambda self: _STORED)


class StreamedCursor(psycopg.RawServerCursor[Any]):
    """The same, for rows that stay with the server until they are fetched."""

    adapters = property(lambda self: _STORED)


class AsyncStreamedCursor(psycopg.AsyncRawServerCursor[Any]):
    """The same, awaited."""

    adapters = property(lambda self: _STORED)


def bound(value: Any) -> Any:
    """A value as psycopg binds it: whole numbers always in 64 bits, so that a statement keeps its types."""
    kind = type(value)
    if kind is str:
        return value
    if kind is int:
        return Int8(value)
    if kind is list or kind is tuple:
        return [bound(each) for each in value]
    return value


def is_gone(connection: Any) -> bool:
    """Whether the server has hung up on an idle connection: it then has something to be read. No request is made."""
    if connection.closed:
        return True
    socket = connection.fileno()
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(socket, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(0)) and not _is_alive(connection)
    return bool(select.select([socket], [], [], 0)[0]) and not _is_alive(connection)


def _is_alive(connection: Any) -> bool:
    """Read what came unasked: a notice or a changed setting is no farewell."""
    try:
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return bool(connection.pgconn.status == psycopg.pq.ConnStatus.OK)


@contextmanager
def translated(label: str, user: str) -> Iterator[None]:
    """The errors of server, driver and network as ours."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise translation(error, label, user) from error


def translation(error: Exception, label: str, user: str) -> ColonnadeError:
    """The error that is raised in the place of the driver's, with what to do. None holds a secret."""
    said = " ".join(str(error).split())[:500]
    code = getattr(error, "sqlstate", None)
    match code:
        case "23505":
            return AlreadyExists(f"{label}: what is to be unique is there already: {said}")
        case "40001" | "40P01" | "55P03":
            return Conflict(f"{label}: others changed the same rows: {said}")
        case "22P02" | "22P05" | "22021" | "22003" | "22008":
            return InvalidInput(f"{label}: PostgreSQL cannot take a value: {said}")
        case "25006":
            return StoreReadOnly(f"{label} cannot be written: {said}")
        case "54000":
            return TooWide(f"{label}: a text is longer than its index can hold: {said}")
        case "42P10":
            return Conflict(f"{label}: another client has changed how a table is indexed: {said}")
        case "42501":
            return StoreReadOnly(f"{label}: the user {user!r} may not do this: {said}")
        case "28P01" | "28000":
            return _refused(label, user)
        case "3D000":
            return StoreError(f"{label}: there is no such database; make it first, for instance with createdb")
        case "42P01" | "3F000":
            return StoreError(f"{label}: its tables are not there; open it with init, which makes them: {said}")
        case "42703":
            return NotAStore(f"{label}: a table is not as colonnade made it: {said}")
        case "53300":
            return StoreError(f"{label} has no connections left; open fewer, or give pool_size: {said}")
        case "57014":
            return StoreError(f"{label}: the server stopped the statement: {said}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | OSError) and code is None:
        if missing := re.search(r'root certificate file "([^"]*)" does not exist', said):
            return StoreError(
                f"{label} cannot be reached: there is no file {missing[1]!r} to verify its certificate with; name one "
                "as sslrootcert=..., or take those of the system with sslrootcert=system"
            )
        if told := mistrusted(said, "sslrootcert"):
            return StoreError(f"{label} cannot be reached: {told}")
        if "password" in said or "authentication" in said or "no pg_hba.conf entry" in said:
            return _refused(label, user)
        if 'database "' in said and "does not exist" in said:
            return StoreError(f"{label}: there is no such database; make it first, for instance with createdb")
        return StoreError(f"{label} cannot be reached, or broke off: {said}")
    if code is not None and code.startswith(("57P", "08")):
        return StoreError(f"{label} cannot be reached, or broke off: {said}")
    return StoreError(f"{label}: {said}")


def _refused(label: str, user: str) -> StoreError:
    return StoreError(f"{label} refuses the user {user!r}: is the password right, and may they connect from here?")


__all__ = [
    "AsyncStoredCursor",
    "AsyncStreamedCursor",
    "StoredCursor",
    "StreamedCursor",
    "bound",
    "is_gone",
    "psycopg",
    "psycopg_pool",
    "translated",
    "translation",
]
