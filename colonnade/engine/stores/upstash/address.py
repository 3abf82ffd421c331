"""Where an Upstash database is: its REST address, the token and the prefix of its keys. The token is never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from colonnade.errors import InvalidAddress

FORM: Final = "upstash://name.upstash.io?token=...&prefix=colonnade:"
PREFIX: Final = "colonnade:"


@dataclass(frozen=True, slots=True)
class Place:
    """A database: ``url`` as ``https://host``, without credentials."""

    url: str
    token: str = field(repr=False)
    prefix: str = PREFIX
    timeout: float = 30.0
    retries: int = 4
    ca: str | None = None
    """A file of certificates that the server's is trusted by."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        return f"upstash://{self.url.partition('://')[2]}"


def place_of(
    url: str | None = None,
    token: str | None = None,
    *,
    prefix: str = PREFIX,
    timeout: float = 30.0,
    retries: int = 4,
    ca: str | None = None,
    secure: bool = True,
) -> Place:
    """The place of a REST address and a token, which may be in the environment; ``InvalidAddress`` where one is not.

    ``url`` is ``https://...`` as Upstash's console shows it, or ``upstash://...``. In the environment they are
    ``UPSTASH_REDIS_REST_URL`` (or ``UPSTASH_URL``) and ``UPSTASH_REDIS_REST_TOKEN`` (or ``UPSTASH_TOKEN``).
    """
    url = url or _from_environment("URL")
    if not url:
        raise InvalidAddress("an Upstash store needs its REST address: pass url=, or set UPSTASH_REDIS_REST_URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http", "upstash") or parts.path.strip("/") or parts.query:
        raise InvalidAddress(f"this is no REST address of Upstash: write https://name.upstash.io, or {FORM}")
    token = token or unquote(parts.password or "") or _from_environment("TOKEN")
    if not token:
        raise InvalidAddress("an Upstash store needs its token: pass token=, or set UPSTASH_REDIS_REST_TOKEN")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidAddress("the token of an Upstash store is one word of ASCII letters: was something pasted along?")
    if "\0" in prefix:
        raise InvalidAddress("the prefix of an Upstash store cannot hold NUL")
    if not timeout > 0 or retries < 0:
        raise InvalidAddress("the timeout of an Upstash store is some seconds, and its retries are 0 or more")
    scheme = parts.scheme if parts.scheme != "upstash" else "https" if secure else "http"
    named = f"[{host}]" if ":" in host else host
    return Place(f"{scheme}://{named}{f':{port}' if port else ''}", token, prefix, timeout, retries, ca)


def _from_environment(name: str) -> str:
    return os.environ.get(f"UPSTASH_REDIS_REST_{name}") or os.environ.get(f"UPSTASH_{name}", "")


def place_at(address: str, options: Mapping[str, Any]) -> Place:
    """The place in an address, without its query, which ``options`` has. Without a host it is in the environment."""
    named = dict(options)
    host = address.partition("://")[2].strip("/")
    return place_of(address if host else None, named.pop("token", None), **named)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is true or false, not {text!r:.80}")
    return text == "true"


def _seconds(text: str) -> float:
    if not (seconds := float(text)) > 0:
        raise ValueError(f"is some seconds, not {text!r:.80}")
    return seconds


OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "token": str,
    "prefix": str,
    "secure": _truth,
    "timeout": _seconds,
    "retries": int,
    "ca": str,
}
"""What may follow the question mark."""
