"""Where a PostgreSQL store is, and how it is to be made. What is secret is in no ``repr`` and in no error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from colonnade.engine.stores.postgres.indexes import Index, index_of
from colonnade.errors import InvalidAddress

FORM: Final = "postgresql://user:password@host:5432/database?schema_name=agent"
_LIBPQ: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "connect_timeout", "application_name"}
    | {"options", "target_session_attrs", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"}
    | {"tcp_user_timeout", "channel_binding", "gssencmode", "hostaddr", "passfile", "service", "load_balance_hosts"}
    | {"host", "port", "user", "password", "dbname", "sslnegotiation", "require_auth"}
)
"""Options of an address that are libpq's own."""
_PASSWORDS: Final = frozenset({"password", "sslpassword"})


@dataclass(frozen=True, slots=True)
class Place:
    """A schema of a database, and how to get there."""

    connecting: Mapping[str, str] = field(repr=False)
    """Options of libpq, the password among them."""
    schema: str = "public"
    skip_default_indexes: bool = False
    indexes: tuple[Index, ...] = ()
    pool_size: int = 8
    """Connections at most, for each process."""
    prepare: bool = True
    """Whether the server keeps statements prepared, which some poolers between do not bear."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        host = self.connecting.get("host", "")
        where = quote(host, safe="") if host.startswith("/") else host
        port = self.connecting.get("port", "")
        schema = f"?schema_name={quote(self.schema)}" if self.schema != "public" else ""
        return f"postgresql://{where}{port and ':' + port}/{quote(self.database)}{schema}"

    @property
    def database(self) -> str:
        """The database."""
        return self.connecting.get("dbname") or self.user

    @property
    def user(self) -> str:
        """Who connects."""
        return self.connecting.get("user") or os.environ.get("PGUSER") or "postgres"


def place_of(
    connection_string: str | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    database: str | None = None,
    user: str | None = None,
    password: str | None = None,
    schema_name: str | None = None,
    ssl: bool | str | Mapping[str, Any] | None = None,
    skip_default_indexes: bool = False,
    indexes: Sequence[Index | Mapping[str, Any]] = (),
    pool_size: int = 8,
    prepare: bool = True,
) -> Place:
    """The place that a connection string names, or its parts; ``InvalidAddress`` says what is wrong."""
    parts = {"host": host, "port": port, "dbname": database, "user": user, "password": password}
    given = {name: str(value) for name, value in parts.items() if value is not None}
    if connection_string is not None and given:
        raise InvalidAddress(f"give a connection string or its parts, not both: {', '.join(given)} is in both")
    if connection_string is None and not {"host", "dbname"} & given.keys():
        raise InvalidAddress(
            f"this names no PostgreSQL database: give connection_string={FORM!r}, or host and database"
        )
    connecting = given if connection_string is None else _connecting(connection_string)
    options = {"schema_name": schema_name, "ssl": ssl, "skip_default_indexes": skip_default_indexes or None}
    named = _split(connecting) | {name: value for name, value in options.items() if value is not None}
    connecting |= _secured(named.pop("ssl", None))
    schema = named.pop("schema_name", None) or "public"
    if "\0" in schema or '"' in schema or len(schema.encode()) > 63:
        raise InvalidAddress(f"{schema!r:.80} is no name of a schema: it has at most 63 bytes, and no quotation marks")
    pool_size = named.pop("pool_size", pool_size)
    if not 1 <= pool_size <= 10_000:
        raise InvalidAddress(f"pool_size must be from 1 to 10000 connections, not {pool_size}")
    made = (*named.pop("indexes", ()), *(index_of(each) for each in indexes))
    return Place(
        connecting,
        schema,
        named.pop("skip_default_indexes", False),
        made,
        pool_size,
        named.pop("prepare", prepare),
    )


def _connecting(text: str) -> dict[str, str]:
    """Options of libpq and ours, from a URL or from ``host=... dbname=...``."""
    from colonnade.engine.stores.postgres.driver import psycopg

    scheme, separator, rest = text.partition("://")
    if not separator:
        try:
            return {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(text).items()}
        except psycopg.ProgrammingError:
            raise InvalidAddress(f"this is no connection string; write {FORM}") from None
    if scheme not in ("postgres", "postgresql"):
        raise InvalidAddress(f"{scheme!r:.40} is no scheme of PostgreSQL; write {FORM}")
    where, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    try:
        read = psycopg.conninfo.conninfo_to_dict(f"postgresql://{where}")
    except psycopg.ProgrammingError:
        advice = "(what is special in a user's name or password is written with percent signs)"
        raise InvalidAddress(f"this names no PostgreSQL database: write {FORM} {advice}") from None
    return {name: str(value) for name, value in read.items()} | options


def _split(connecting: dict[str, str]) -> dict[str, Any]:
    """Take our options out of those for libpq."""
    named: dict[str, Any] = {}
    for name in list(connecting):
        if name in OPTIONS:
            try:
                named[name] = OPTIONS[name](connecting.pop(name))
            except ValueError as error:
                raise InvalidAddress(f"postgresql:// option {name}: {error}") from None
        elif name not in _LIBPQ:
            known = ", ".join([*OPTIONS, *sorted(_LIBPQ - _PASSWORDS)])
            raise InvalidAddress(f"postgresql:// knows no option {name!r:.60}, only {known}")
    return named


def _secured(ssl: bool | str | Mapping[str, Any] | None) -> dict[str, str]:
    """``ssl`` of the source documents as libpq has it: whether, and with ``rejectUnauthorized``, whose certificate."""
    if ssl is None:
        return {}
    if isinstance(ssl, str):
        return {"sslmode": ssl}
    if isinstance(ssl, bool):
        return {"sslmode": "verify-full", "sslrootcert": "system"} if ssl else {"sslmode": "disable"}
    given = dict(ssl)
    strict = given.pop("reject_unauthorized", given.pop("rejectUnauthorized", True))
    ca, cert, key = (given.pop(name, None) for name in ("ca", "cert", "key"))
    if given:
        raise InvalidAddress(
            f"ssl knows no {', '.join(map(repr, given))}; it has reject_unauthorized, ca, cert and key"
        )
    files = {"sslrootcert": ca or ("system" if strict else None), "sslcert": cert, "sslkey": key}
    mode = "verify-full" if strict else "require"
    return {"sslmode": mode} | {name: str(Path(path)) for name, path in files.items() if path is not None}


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is true or false, not {text!r:.80}")
    return text == "true"


def _ssl(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text


def _indexes(text: str) -> tuple[Index, ...]:
    try:
        return tuple(index_of(each) for each in json.loads(text))
    except (TypeError, json.JSONDecodeError):
        raise ValueError(
            f'is a JSON list of indexes, such as [{{"name": ..., "table": ..., "columns": [...]}}], not {text!r:.80}'
        ) from None


OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "schema_name": str,
    "ssl": _ssl,
    "skip_default_indexes": _truth,
    "indexes": _indexes,
    "pool_size": int,
    "prepare": _truth,
}
"""What may follow the question mark, besides the options of libpq."""
