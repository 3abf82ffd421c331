"""Where a libSQL database is: a file, memory, or a server. The token is in no ``repr`` and in no error."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from colonnade.errors import InvalidAddress

_FORMS: Final = "file:./storage.db, :memory:, libsql://host?auth_token=..., https://host or http://127.0.0.1:8080"
_TOKENS: Final = ("auth_token", "authToken")
_SECURE: Final = {"libsql": True, "https": True, "wss": True, "http": False, "ws": False}
"""Whether a scheme is encrypted. Requests go over HTTP, whichever is written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file (``None`` is memory), or a server's address."""

    path: Path | None = None
    url: str | None = None
    token: str = field(default="", repr=False)
    ca: str | None = None
    """A file of certificates that a server's is trusted by."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        return self.url or ("libsql :memory:" if self.path is None else str(self.path))


def place_at(url: str, auth_token: str | None = None, ca: str | None = None) -> Place:
    """The place that an address names, as libSQL's clients write it; ``InvalidAddress`` says what is wrong.

    A token may follow it as ``auth_token``, or be in the environment as ``LIBSQL_AUTH_TOKEN`` or ``TURSO_AUTH_TOKEN``.
    """
    if url in (":memory:", "file::memory:", "libsql:///:memory:"):
        return Place()
    scheme, _, rest = url.partition(":")
    if scheme == "file" or url.startswith("libsql:///"):
        return _file(url, rest)
    parts = urlsplit(url)
    if parts.scheme not in _SECURE:
        raise InvalidAddress(f"this names no libSQL database: write {_FORMS}")
    if parts.username or parts.password:
        raise InvalidAddress(f"a libSQL server knows no user: give a token instead, as {_FORMS}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    given = [options.pop(name) for name in _TOKENS if name in options]
    ca = ca or options.pop("ca", None)
    tls = options.pop("tls", "1" if _SECURE[parts.scheme] else "0")
    if options or tls not in ("0", "1", "true", "false"):
        raise InvalidAddress(
            "a libSQL server's address knows auth_token, ca and tls (0 or 1), not "
            + (", ".join(options) or f"tls={tls:.20}")
        )
    try:
        if not parts.hostname:
            raise ValueError
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        raise InvalidAddress(f"this names no host: write {_FORMS}") from None
    environment = os.environ.get("LIBSQL_AUTH_TOKEN") or os.environ.get("TURSO_AUTH_TOKEN") or ""
    token = auth_token or (given[0] if given else environment)
    if not (token.isascii() and token.isprintable()):
        raise InvalidAddress("the token of a libSQL server holds letters that no token has: was it copied whole?")
    return Place(
        url=f"{'https' if tls in ('1', 'true') else 'http'}://{host}{parts.path.rstrip('/')}", token=token, ca=ca
    )


def _file(url: str, rest: str) -> Place:
    path = url.removeprefix("libsql:///") if url.startswith("libsql:") else rest
    if path.startswith("///"):  # file:///srv/storage.db
        path = path[2:]
    path, mark, query = path.partition("?")
    if not path or path.startswith("//") or mark:
        raise InvalidAddress(f"a libSQL file is file:storage.db or file:/srv/storage.db, without {query or 'a host'}")
    return Place(path=Path(unquote(path)).expanduser())
