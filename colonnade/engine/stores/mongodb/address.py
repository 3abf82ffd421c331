"""Where a MongoDB store is: its address taken apart. What is secret is in no ``repr`` and in no error."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from colonnade.errors import InvalidAddress, InvalidInput

FORM: Final = "mongodb://user:password@host:27017/database or mongodb+srv://..."
_PARTS: Final = re.compile(r"(mongodb(?:\+srv)?)://([^/?]*)(?:/([^?]*))?(?:\?(.*))?", re.DOTALL)

_UNDERSCORED: Final = frozenset({"event_listeners", "server_selector", "server_api", "auto_encryption_opts"})
"""Options of the driver that it spells so itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """The servers, the database, and what the driver is told."""

    uri: str = field(repr=False)
    """What the driver is given: the address without our own options."""
    label: str
    """The address without anything secret."""
    database: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of the driver, as it names them."""
    transactions: bool | None = None
    """Whether transactions are used: where the server has them, unless it is said."""


def place_of(
    uri: str | None = None,
    db_name: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    url: str | None = None,
    transactions: bool | None = None,
) -> Place:
    """The place that an address names; ``InvalidAddress`` says what is wrong with it."""
    if url is not None:
        warnings.warn("MongoDB stores take uri; url is deprecated", DeprecationWarning, stacklevel=4)
        if uri is not None and uri != url:
            raise InvalidAddress("give a MongoDB store its uri, and not another url beside it")
        uri = url
    uri = uri or os.environ.get("MONGODB_URI")
    parts = _PARTS.fullmatch(uri or "")
    if parts is None or not parts[2].rpartition("@")[2]:
        advice = "(what is special in a user's name or password is written with percent signs)"
        raise InvalidAddress(f"this names no MongoDB server: write {FORM} {advice}, or set MONGODB_URI")
    scheme, netloc, path, query = parts.groups()
    said = dict(parse_qsl(query or "", keep_blank_values=True))
    ours = {name: said.pop(name) for name in ("db_name", "dbName", "transactions") if name in said}
    database = db_name or ours.get("db_name") or ours.get("dbName") or unquote(path or "")
    database = database or os.environ.get("MONGODB_DATABASE") or os.environ.get("MONGODB_DB_NAME") or ""
    if not database or re.search(r'[/\\. "$\0]', database):
        raise InvalidAddress(f"a MongoDB store needs the name of a database, such as {FORM}, or db_name=")
    if "transactions" in ours:
        if ours["transactions"] not in ("true", "false"):
            raise InvalidAddress(f"mongodb:// option transactions: is true or false, not {ours['transactions']!r:.80}")
        transactions = ours["transactions"] == "true"
    credentials, _, hosts = netloc.rpartition("@")
    told = {_spelled(name): value for name, value in (options or {}).items()}
    if not credentials and (user := os.environ.get("MONGODB_USERNAME")):
        told = {"username": user, "password": os.environ.get("MONGODB_PASSWORD", "")} | told
    query = urlencode({_spelled(name): value for name, value in said.items()})
    # The path stays: unless the address says otherwise, the driver has users looked for there.
    whole = f"{scheme}://{netloc}/{path or ''}{'?' + query if query else ''}"
    return Place(whole, f"{scheme}://{hosts}/{database}", database, told, transactions)


def store_id(id: str) -> str:
    """The name of a store among others of one program; ``InvalidInput`` where it is blank."""
    if not isinstance(id, str) or not id.strip():
        raise InvalidInput("the id of a store is a name, such as 'mongodb-storage'")
    return id


def _spelled(name: str) -> str:
    """An option as the driver reads it, which does not care for case: ``max_pool_size`` is ``maxPoolSize``."""
    return name if name in _UNDERSCORED else name.replace("_", "")
