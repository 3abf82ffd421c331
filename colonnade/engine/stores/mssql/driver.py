"""pymssql as this store uses it: connections that are set up alike, and errors told in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from colonnade.engine.stores.mssql import certificates
from colonnade.engine.stores.mssql.address import Place
from colonnade.errors import (
    ColonnadeError,
    Conflict,
    InvalidInput,
    MissingExtra,
    NotAStore,
    StoreError,
    StoreReadOnly,
)

try:
    import pymssql
except ImportError:
    raise MissingExtra("an SQL Server store", "mssql") from None

_SETTINGS: Final = (
    # What indexes on computed columns ask of everybody who writes.
    "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON",
    "SET ANSI_NULL_DFLT_ON ON",
    "SET NUMERIC_ROUNDABORT OFF",
    "SET TEXTSIZE 2147483647",
    "SET NOCOUNT ON",
    "SET XACT_ABORT ON",  # what fails within a transaction undoes all of it
    "SET LOCK_TIMEOUT 30000",
)
_CONNECTIONS: Final = 4_096
"""Connections that the driver lets a process have; it begins with 25."""
_BROKEN: Final = range(20_000, 20_300)
"""Numbers of errors that are the driver's own, about the line."""
_NO_CONNECTION: Final = 20_002
_OWN: Final = re.compile(r"DB-Lib error message (\d+), severity (\d+)")
_NOTHING: Final = "Unknown error"
"""What the driver says where a connection that failed at the same time has taken its words."""
_SAID_BEFORE: Final = 20_018
_BY_SEVERITY: Final = {11: 4060, 14: 18456}
"""What the server says to who connects: that there is no such database, and that it does not know them."""


if pymssql.get_max_connections() < _CONNECTIONS:
    pymssql.set_max_connections(_CONNECTIONS)


def connect(place: Place) -> Any:
    """A new connection, each of whose statements is a transaction unless one is begun."""
    with certificates.checked(place):
        return _connected(place)


def _connected(place: Place) -> Any:
    return pymssql.connect(
        server=place.server,
        port=str(place.port),
        user=place.user,
        password=place.password,
        database=place.database,
        login_timeout=place.connect_timeout,
        appname=place.application_name,
        encryption=place.encryption,
        read_only=place.read_only,
        autocommit=True,
        conn_properties=";".join(_SETTINGS),
    )


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """The errors of server, driver and network as ours."""
    try:
        yield
    except (pymssql.Error, OSError) as error:
        raise translation(error, place) from error


def is_broken(error: Exception) -> bool:
    """Whether a connection is of no use after an error."""
    return _told(error)[0] in _BROKEN or not isinstance(error, pymssql.DatabaseError)


def _told(error: Exception) -> tuple[int, str]:
    given: Any = error.args
    if len(given) == 1 and isinstance(given[0], tuple):
        (given,) = given
    number = given[0] if given and isinstance(given[0], int) else 0
    said = given[-1] if given else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    # What the driver says comes after what the server said. Where that is not there, the number may be of an earlier
    # connection that failed, which the driver does not forget; its own number is in the text, and how severe it was.
    if (own := _OWN.match(text)) is not None:
        number = int(own[1])
        number = _BY_SEVERITY.get(int(own[2]), number) if number == _SAID_BEFORE else number
    elif text == _NOTHING:
        number = _NO_CONNECTION
    text = text.split("DB-Lib error message")[0] or text
    return number, " ".join(text.split())[:500]


def translation(error: Exception, place: Place) -> ColonnadeError:
    """The error that is raised in the place of the driver's, with what to do. None holds a secret."""
    number, said = _told(error)
    label = place.label
    match number:
        # 2601 and 2627, what is to be unique is there already: a put updates it when it is run again.
        case 1205 | 1222 | 3960 | 3961 | 2601 | 2627:
            return Conflict(f"{label}: others changed the same rows: {said}")
        case 8115 | 220 | 232 | 9806 | 241 | 242:
            return InvalidInput(f"{label}: SQL Server cannot take a value: {said}")
        case 3906:
            return StoreReadOnly(f"{label} cannot be written: {said}")
        case 229 | 230 | 262 | 297:
            return StoreReadOnly(f"{label}: the user {place.user!r} may not do this: {said}")
        case 4060:
            return StoreError(f"{label}: there is no such database, or {place.user!r} may not use it; make it first")
        case 18456 | 18452 | 18470 | 18487 | 18488:
            return StoreError(
                f"{label} refuses the user {place.user!r}: is the password right, and is the login enabled?"
            )
        case 208:
            return StoreError(f"{label}: its tables are not there; open it with init, which makes them: {said}")
        case 207:
            return NotAStore(f"{label}: a table is not as colonnade made it: {said}")
    if number == _NO_CONNECTION and place.is_checked:
        return StoreError(
            f"{label} cannot be reached, or its certificate is not trusted here; if this is the right server, name the "
            "file with the certificate of who signed it as ca=..."
        )
    if is_broken(error):
        return StoreError(f"{label} cannot be reached, or broke off: {said}")
    return StoreError(f"{label}: {said}")


__all__ = ["connect", "is_broken", "pymssql", "translated", "translation"]
