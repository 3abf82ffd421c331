"""Where a ClickHouse store is: its address taken apart. What is secret is in no ``repr`` and in no error."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from colonnade.engine.stores.clickhouse.layout import EXPIRING
from colonnade.errors import InvalidAddress
from colonnade.queries.times import parse_duration

FORM: Final = "clickhouse://user:password@host:8123/database?cluster=...&ttl_spans=90d&secure=true"
_TTL: Final = "ttl_"
_SECURE: Final = {"http": False, "clickhouse": False, "https": True, "clickhouses": True}
"""Schemes, and whether they are encrypted."""


@dataclass(frozen=True, slots=True)
class Place:
    """The server, or the servers of a cluster, and the database."""

    hosts: tuple[tuple[str, int], ...]
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    verify: bool = True
    ca: str | None = None
    cluster: str | None = None
    ttl: Mapping[str, int] = field(default_factory=dict)
    """Seconds after which rows expire, by table."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        scheme = "clickhouses" if self.secure else "clickhouse"
        return f"{scheme}://{','.join(f'{host}:{port}' for host, port in self.hosts)}/{self.database}"


def place_at(netloc_and_path: str, *, secure: bool, options: Mapping[str, Any]) -> Place:
    """The place in an address, without its query, which ``options`` has; ``InvalidAddress`` says what is wrong."""
    netloc, _, path = netloc_and_path.partition("/")
    credentials, _, hosts = netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    database = unquote(path.strip("/"))
    if not hosts or "/" in database or "@" in database:
        advice = "(what is special in a user's name or password is written with percent signs)"
        raise InvalidAddress(f"this names no ClickHouse database: write {FORM} {advice}")
    named = dict(options)
    ttl = {name.removeprefix(_TTL): named.pop(name) for name in list(named) if name.startswith(_TTL)}
    every = named.pop("ttl", None)
    secure = named.pop("secure", secure)
    if "ca_cert" in named:  # as the driver has it
        named["ca"] = named.pop("ca_cert")
    return Place(
        tuple(_host(each, 8443 if secure else 8123) for each in hosts.split(",")),
        database or "default",
        named.pop("username", None) or unquote(user) or os.environ.get("CLICKHOUSE_USERNAME", "default"),
        named.pop("password", None) or unquote(password) or os.environ.get("CLICKHOUSE_PASSWORD", ""),
        secure,
        ttl=({} if every is None else dict.fromkeys(("spans", "scores", "evals"), every)) | ttl,
        **named,
    )


def place_of(
    url: str, username: str | None = None, password: str | None = None, *, database: str | None = None, **options: Any
) -> Place:
    """The place of a server's URL (``https://host:8443``) and options by name; ``InvalidAddress`` says what is wrong.

    ``options`` are those of an address: ``ttl="90d"``, ``cluster="name"``, ``verify=False`` ...
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SECURE or "?" in rest:
        raise InvalidAddress(f"a ClickHouse store has a url such as https://host:8443, or write {FORM}")
    if unknown := [name for name in options if name not in OPTIONS]:
        raise InvalidAddress(f"a ClickHouse store knows no option {unknown[0]!r:.60}, only {', '.join(OPTIONS)}")
    try:
        read = {name: OPTIONS[name](value) if isinstance(value, str) else value for name, value in options.items()}
    except ValueError as error:
        raise InvalidAddress(f"an option of a ClickHouse store {error}") from None
    where, _, path = rest.partition("/")
    given = {"username": username, "password": password}
    return place_at(f"{where}/{database or path}", secure=_SECURE[scheme], options={**read, **given})


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname:
            return parts.hostname, parts.port or port
    except ValueError:
        pass
    raise InvalidAddress(f"{text!r:.80} is no host and port; write {FORM}")


def _seconds(text: str) -> int:
    seconds = int(parse_duration(text))
    if seconds < 1:
        raise ValueError(f"is how long rows live, such as 30d, not {text!r:.80}")
    return seconds


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is true or false, not {text!r:.80}")
    return text == "true"


OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "cluster": str,
    "username": str,
    "password": str,
    "secure": _truth,
    "verify": _truth,
    "ca": str,
    "ca_cert": str,
    "ttl": _seconds,
    **{f"{_TTL}{name}": _seconds for name in EXPIRING},
}
"""What may follow the question mark."""
