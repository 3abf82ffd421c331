"""What the driver and the server refuse, told in our words: with what to do, and without a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from colonnade.engine.certificates import mistrusted
from colonnade.engine.stores.clickhouse.address import Place
from colonnade.engine.stores.clickhouse.sql import CHANGED
from colonnade.errors import Conflict, MissingExtra, StoreError, StoreReadOnly

_SAID: Final = 500
"""Characters of what the server says that are handed on: it repeats whole statements."""


def driver() -> Any:
    """clickhouse-connect; ``MissingExtra`` where it is not installed."""
    try:
        import clickhouse_connect
        import clickhouse_connect.driver.exceptions
    except ImportError:
        raise MissingExtra("a ClickHouse store", "clickhouse") from None
    return clickhouse_connect


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """The errors of server, driver and network as ours, with what to do."""
    try:
        yield
    except driver().driver.exceptions.Error as error:
        raise _ours(place, getattr(error, "code", None), _brief(str(error))) from error
    except OSError as error:  # of the network, below the driver
        raise _ours(place, None, f"{type(error).__name__}: {error}") from error


def _brief(said: str) -> str:
    """What the server said, without what the driver says around it."""
    said = re.sub(r" with url: \S+", "", said.partition("server response: ")[2] or said)  # values are in that, too
    return re.sub(r"\s*\((version|for url) [^()]*(\([^()]*\))?[^()]*\)", "", " ".join(said.split()))[:_SAID]


def _ours(place: Place, code: int | None, said: str) -> Exception:
    label = place.label
    match code:
        case 395 if CHANGED in said:
            return Conflict(f"{label}: {CHANGED.removeprefix('colonnade: ')}")
        case 516 | 192 | 193 | 194:
            return StoreError(f"{label} refuses the user {place.user!r}: is the password right? ({code})")
        case 164 | 497:
            return StoreReadOnly(f"{label}: the user {place.user!r} may not do this: {said}")
        case 81:
            return StoreError(f"{label}: there is no such database; open it with init, which makes it")
        case 60:
            return StoreError(f"{label}: its tables are not there; open it with init, which makes them: {said}")
        case 279 | 210 | 209 if place.cluster:
            return StoreError(
                f"{label}: a shard of cluster {place.cluster!r} cannot be reached, and without it any answer would be "
                f"a part of the answer. Start it again, then try again: {said}"
            )
        case 241:
            return StoreError(f"{label}: the server has not enough memory for this: {said}")
        case None:
            told = mistrusted(said, "ca")
            return StoreError(f"{label} cannot be reached{f': {told}' if told else f', or broke off: {said}'}")
    return StoreError(f"{label}: {said}")
