"""What the driver and the server refuse, told in our words: with what to do, and without a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from colonnade.engine.certificates import mistrusted
from colonnade.engine.stores.mongodb.address import Place
from colonnade.errors import (
    ColonnadeError,
    Conflict,
    InvalidAddress,
    InvalidInput,
    MissingExtra,
    StoreError,
    StoreReadOnly,
)

_SAID: Final = 300
"""Characters of what the server says that are handed on: it repeats whole documents."""


def driver() -> Any:
    """pymongo; ``MissingExtra`` where it is not installed."""
    try:
        import pymongo
        import pymongo.errors
    except ImportError:
        raise MissingExtra("a MongoDB store", "mongodb") from None
    return pymongo


@contextmanager
def opened(place: Place) -> Iterator[None]:
    """What the driver says of an address and of options, as ``InvalidAddress``; it may repeat the password."""
    from pymongo.uri_parser import split_options

    try:
        if query := place.uri.partition("?")[2]:
            split_options(query, validate=True, warn=False)  # of which the driver itself only warns
        yield
    except (driver().errors.PyMongoError, ValueError, TypeError, KeyError, OSError) as error:
        raise InvalidAddress(f"{place.label}: {_without_secrets(place, str(error))}") from None


@contextmanager
def translated(place: Place, *, inside: bool = False) -> Iterator[None]:
    """The errors of server, driver and network as ours; ``inside`` a transaction, which may be run again."""
    errors = driver().errors
    try:
        yield
    except errors.PyMongoError as error:
        raise _ours(place, error, errors, inside=inside) from error
    except OverflowError as error:
        raise InvalidInput(f"{place.label}: {error}") from error


def _ours(place: Place, error: Any, errors: Any, *, inside: bool) -> ColonnadeError:
    label, said = place.label, _without_secrets(place, _brief(error))
    codes = _codes(error)
    if isinstance(error, errors.ConnectionFailure) and (told := mistrusted(str(error), "tlsCAFile")):
        return StoreError(f"{label} cannot be reached: {told}")
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return StoreError(f"{label} cannot be reached: {said}")
    if isinstance(error, errors.ConnectionFailure):
        return StoreError(f"{label} cannot be reached, or broke off: {said}")
    if codes & {18, 8000}:
        return StoreError(f"{label} refuses the user: are name and password right, and authSource? ({said})")
    if codes & {13, 31}:
        return StoreReadOnly(f"{label}: the user may not do this: {said}")
    if codes & {48, 112, 251} or error.has_error_label("TransientTransactionError"):
        return Conflict(f"{label}: {said}")
    if codes & {11000, 11001}:  # of two clients that wrote a new key at the same moment one comes too late
        return Conflict(f"{label}: another client wrote the same key at this moment: {said}")
    if 121 in codes:
        return StoreError(f"{label}: a validator refused a document, which is another than colonnade's: {said}")
    if 20 in codes and inside:
        return StoreError(f"{label}: this server has no transactions; open it with transactions=false ({said})")
    if isinstance(error, errors.DocumentTooLarge) or codes & {10334, 17280, 17419, 17420}:
        return InvalidInput(f"{label}: a document of MongoDB holds 16 MB at most, and this would be more: {said}")
    return StoreError(f"{label}: {said}")


def _codes(error: Any) -> set[int]:
    details = getattr(error, "details", None) or {}
    writes = details.get("writeErrors", []) if isinstance(details, dict) else []
    codes = [*(each.get("code") for each in writes), getattr(error, "code", None)]
    return {code for code in codes if isinstance(code, int)}


def _brief(error: Any) -> str:
    """The first sentence of it: behind it the driver repeats the answer, with values."""
    details = getattr(error, "details", None) or {}
    writes = details.get("writeErrors", []) if isinstance(details, dict) else []
    said = writes[0].get("errmsg", "") if writes else str(error)
    said = re.split(r", full error:|, Timeout: |, Topology Description:| dup key:", said)[0]
    return " ".join(said.split())[:_SAID]


def _without_secrets(place: Place, said: str) -> str:
    credentials = place.uri.partition("://")[2].rpartition("@")[0]
    secrets = [credentials, credentials.partition(":")[2], str(place.options.get("password") or "")]
    for secret in filter(None, secrets):
        said = said.replace(secret, "...")
    return said[:_SAID]
