"""Where a D1 database is. The API token is in no ``repr`` and in no error."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from colonnade.errors import InvalidAddress

API: Final = "https://api.cloudflare.com/client/v4"
_FORM: Final = "d1://ACCOUNT_ID/DATABASE_ID?table_prefix=dev_, with CLOUDFLARE_API_TOKEN in the environment"
_OPTIONS: Final = ("api_token", "table_prefix", "api_url", "ca")


@dataclass(frozen=True, slots=True)
class Place:
    """An account's database, as whom it is asked, and what all names of its tables begin with."""

    account_id: str
    database_id: str
    api_token: str = field(repr=False)
    table_prefix: str = ""
    api_url: str = API
    ca: str | None = None
    """A file of certificates that the API's is trusted by."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        return f"d1://{self.account_id}/{self.database_id}"

    @property
    def url(self) -> str:
        """What statements are posted to."""
        return f"{self.api_url}/accounts/{self.account_id}/d1/database/{self.database_id}/query"


def place(
    account_id: str | None = None,
    database_id: str | None = None,
    api_token: str | None = None,
    table_prefix: str = "",
    api_url: str = API,
    ca: str | None = None,
) -> Place:
    """The place of the source document's options; what is not given comes from the environment.

    ``CLOUDFLARE_ACCOUNT_ID``, ``CLOUDFLARE_D1_DATABASE_ID`` and ``CLOUDFLARE_API_TOKEN``. ``InvalidAddress`` says what
    is missing or wrong.
    """
    given = {
        "account_id": account_id or os.environ.get("CLOUDFLARE_ACCOUNT_ID", ""),
        "database_id": database_id or os.environ.get("CLOUDFLARE_D1_DATABASE_ID", ""),
        "api_token": api_token or os.environ.get("CLOUDFLARE_API_TOKEN", ""),
    }
    if missing := [name for name, value in given.items() if not value]:
        raise InvalidAddress(f"a D1 store needs {' and '.join(missing)}: write {_FORM}")
    for name in ("account_id", "database_id"):
        if not re.fullmatch(r"[\w-]+", given[name]):
            raise InvalidAddress(f"{name} is letters, digits and hyphens; write {_FORM}")
    if not re.fullmatch(r"[!-~]+", given["api_token"]):
        raise InvalidAddress("the API token of a D1 store holds letters that no token has: was it copied whole?")
    if not re.fullmatch(r"\w*", table_prefix, re.ASCII):
        raise InvalidAddress(f"table_prefix is letters, digits and _, not {table_prefix!r:.80}")
    try:
        parts = urlsplit(api_url)
        proper = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.username
    except ValueError:
        proper = False
    if not proper:
        raise InvalidAddress("api_url is an address such as https://worker.example.workers.dev, without user or query")
    return Place(**given, table_prefix=table_prefix, api_url=api_url.rstrip("/"), ca=ca)


def place_at(address: str) -> Place:
    """The place that a URL names: ``d1://account/database?table_prefix=...&api_url=...``."""
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := [name for name in options if name not in _OPTIONS]:
        raise InvalidAddress(f"d1:// knows no option {unknown[0]!r:.80}, only {', '.join(_OPTIONS)}")
    if "@" in parts.netloc:
        raise InvalidAddress(f"a D1 address has no user: write {_FORM}")
    return place(unquote(parts.netloc), unquote(parts.path.strip("/")), **options)
