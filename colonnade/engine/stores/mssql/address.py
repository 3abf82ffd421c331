"""Where an SQL Server store is: a connection string of any kind, or its parts. What is secret is in no ``repr``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from colonnade.engine.certificates import trusted
from colonnade.errors import InvalidAddress

FORM: Final = "mssql://user:password@host:1433/database?schema_name=agent"
_ADO: Final = "Server=host,1433;Database=database;User Id=user;Password=..."
_PORT: Final = 1433


@dataclass(frozen=True, slots=True)
class Place:
    """A schema of a database, and how to get there."""

    server: str
    database: str
    user: str
    password: str = field(repr=False)
    port: int = _PORT
    schema: str = "dbo"
    encrypt: bool | None = None
    """Whether what is said is encrypted; where it is not said, if the server can."""
    trust_server_certificate: bool | None = None
    """Whether any certificate will do. Unless it is said, one is checked where ``encrypt`` is asked for."""
    ca: str | None = None
    """Whose certificates will do, as a PEM file; those that the machine trusts unless given."""
    connect_timeout: int = 15
    """Seconds for which a login is waited for."""
    application_name: str = "colonnade"
    read_only: bool = False
    """Whether a replica for readers will do (``ApplicationIntent=ReadOnly``)."""
    pool_size: int = 8
    """Connections at most, for each process."""

    @property
    def label(self) -> str:
        """The address without anything secret."""
        port = f":{self.port}" if self.port != _PORT else ""
        schema = f"?schema_name={quote(self.schema)}" if self.schema != "dbo" else ""
        return f"mssql://{quote(self.server)}{port}/{quote(self.database)}{schema}"

    @property
    def is_checked(self) -> bool:
        """Whether the server has to prove who it is."""
        if self.trust_server_certificate is None:
            return bool(self.encrypt)
        return self.encrypt is not False and not self.trust_server_certificate

    @property
    def encryption(self) -> str | None:
        """What pymssql calls it."""
        if self.encrypt is None and not self.is_checked:
            return None
        return "off" if self.encrypt is False else "require"


def place_of(
    connection_string: str | None = None,
    *,
    server: str | None = None,
    port: int | None = None,
    database: str | None = None,
    user: str | None = None,
    password: str | None = None,
    schema_name: str | None = None,
    pool_size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Place:
    """The place that a connection string names, or its parts; what neither says comes from the environment.

    That is ``MSSQL_CONNECTION_STRING`` where nothing else says where the database is, and ``MSSQL_USER`` and
    ``MSSQL_PASSWORD``. ``InvalidAddress`` says what is wrong.
    """
    parts = {"server": server, "port": port, "database": database, "user": user, "password": password}
    given = {name: value for name, value in parts.items() if value is not None}
    if connection_string is not None and given:
        raise InvalidAddress(f"give a connection string or its parts, not both: {', '.join(given)} is in both")
    if connection_string is None and not given.keys() & {"server", "database"}:
        connection_string = os.environ.get("MSSQL_CONNECTION_STRING")
        if connection_string is None:
            raise InvalidAddress(
                f"this names no SQL Server database: give connection_string={_ADO!r}, or server and database"
            )
    named = dict(given) if connection_string is None else _read(connection_string)
    for name, value in (options or {}).items():
        named |= _named(name, value, "options")
    besides = {"schema_name": schema_name, "pool_size": pool_size}
    named |= {name: value for name, value in besides.items() if value is not None}
    return _checked(named)


def _checked(named: dict[str, Any]) -> Place:
    named.setdefault("user", os.environ.get("MSSQL_USER"))
    named.setdefault("password", os.environ.get("MSSQL_PASSWORD"))
    server, port = _server(named.pop("server", None) or "localhost", named.pop("port", None))
    user, password = named.pop("user"), named.pop("password")
    if not user or password is None:
        raise InvalidAddress(
            "SQL Server asks for a login: give user and password, or MSSQL_USER and MSSQL_PASSWORD in the environment"
        )
    trusted(named.get("ca"))
    schema = named.pop("schema_name", None) or "dbo"
    database = named.pop("database", None) or "master"
    for what, name in (("schema", schema), ("database", database)):
        if "\0" in name or len(name) > 128:
            raise InvalidAddress(f"{name!r:.80} is no name of a {what}: it has at most 128 letters")
    pool_size, timeout = named.get("pool_size", 8), named.get("connect_timeout", 15)
    if not 1 <= pool_size <= 4_000:
        raise InvalidAddress(f"pool_size must be from 1 to 4000 connections, not {pool_size}")
    if timeout < 1:
        raise InvalidAddress(f"connect_timeout is a number of seconds, at least 1, not {timeout}")
    return Place(server, database, user, password, port, schema, **named)


def _server(name: str, port: int | None) -> tuple[str, int]:
    """The host and its port, from ``tcp:host,1433``."""
    name = name.removeprefix("tcp:")
    host, comma, number = name.partition(",")
    if comma:
        if not number.strip().isdecimal():
            raise InvalidAddress(f"{number!r:.40} is no port of a server; write host,{_PORT}")
        port = int(number)
    port = _PORT if port is None else port
    if not 1 <= port <= 65_535:
        raise InvalidAddress(f"a port is from 1 to 65535, not {port}")
    host = host.strip()
    return ("localhost" if host in (".", "(local)") else host), port


def _read(text: str) -> dict[str, Any]:
    """The parts of a connection string: a URL, or ``name=value;`` as Microsoft's drivers have it."""
    scheme, separator, rest = text.partition("://")
    if separator and "=" not in scheme:
        if scheme not in ("mssql", "sqlserver"):
            raise InvalidAddress(f"{scheme!r:.40} is no scheme of SQL Server; write {FORM}")
        return _of_url(rest)
    named: dict[str, Any] = {}
    for name, value in _pairs(text):
        known = _SAID.get(name.lower().replace(" ", ""))
        if known is None:
            raise InvalidAddress(f"a connection string knows no {name!r:.60}; write {_ADO}")
        named |= _named(known, value, "a connection string") if known not in _UNHEARD else {}
    if not {"server", "database"} & named.keys():
        raise InvalidAddress(f"this names no SQL Server database; write {FORM} or {_ADO}")
    return named


def _of_url(rest: str) -> dict[str, Any]:
    try:
        parts = urlsplit(f"mssql://{rest}")
        port = parts.port
    except ValueError:
        raise InvalidAddress(
            f"this names no SQL Server database: write {FORM} (what is special in a name or password is written with "
            "percent signs)"
        ) from None
    found = {
        "server": unquote(parts.hostname or ""),
        "database": unquote(parts.path.strip("/")),
        "user": None if parts.username is None else unquote(parts.username),
        "password": None if parts.password is None else unquote(parts.password),
    }
    named = {name: value for name, value in found.items() if value} | ({} if port is None else {"port": port})
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        named |= _named(name, value, "mssql://")
    return named


_PAIR: Final = re.compile(
    r"""\s*(?P<name>[^=;]+?)\s*=\s*(?:"(?P<double>(?:[^"]|"")*)"|'(?P<single>(?:[^']|'')*)'|"""
    r"""\{(?P<braces>(?:[^}]|\}\})*)\}|(?P<plain>[^;]*?))\s*(?:;|$)"""
)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Names and values. A value may be in quotation marks or braces, which are doubled within."""
    pairs, at = [], 0
    while at < len(text.rstrip("; \t\r\n")):
        found = _PAIR.match(text, at)
        if found is None:
            raise InvalidAddress(f"this is no connection string; write {FORM} or {_ADO}")
        quoted = (("double", '"'), ("single", "'"), ("braces", "}"))
        value = found["plain"]
        for group, mark in quoted:
            if found[group] is not None:
                value = found[group].replace(mark * 2, mark)
        pairs.append((found["name"], value))
        at = found.end()
    return pairs


def _named(name: str, value: Any, where: str) -> dict[str, Any]:
    """An option under its name here, in its type."""
    known = _CAMEL.get(name, name)
    if known not in OPTIONS:
        raise InvalidAddress(f"{where} knows no option {name!r:.60}, only {', '.join(OPTIONS)}")
    try:
        return {known: OPTIONS[known](value) if isinstance(value, str) else value}
    except ValueError as error:
        raise InvalidAddress(f"{where} option {name}: {error}") from None


def _truth(text: str) -> bool:
    small = text.strip().lower()
    if small not in ("true", "false", "yes", "no", "mandatory", "optional"):
        raise ValueError(f"is true or false, not {text!r:.80}")
    return small in ("true", "yes", "mandatory")


def _intent(text: str) -> bool:
    small = text.strip().lower()
    if small not in ("readonly", "readwrite", "true", "false"):
        raise ValueError(f"is true or false, not {text!r:.80}")
    return small in ("readonly", "true")


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"is a whole number, not {text!r:.80}")
    return int(text)


OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "schema_name": str,
    "encrypt": _truth,
    "trust_server_certificate": _truth,
    "ca": str,
    "connect_timeout": _whole,
    "application_name": str,
    "read_only": _intent,
    "pool_size": _whole,
    "server": str,
    "port": _whole,
    "database": str,
    "user": str,
    "password": str,
}
"""What may follow the question mark of an address, or be given as ``options``."""
_CAMEL: Final = {
    "schemaName": "schema_name",
    "trustServerCertificate": "trust_server_certificate",
    "appName": "application_name",
    "readOnlyIntent": "read_only",
}
_UNHEARD: Final = frozenset({"persist", "mars"})
"""Parts of connection strings that mean nothing here."""
_SAID: Final = {
    **dict.fromkeys(("server", "datasource", "address", "addr", "networkaddress"), "server"),
    **dict.fromkeys(("database", "initialcatalog"), "database"),
    **dict.fromkeys(("userid", "uid", "user", "username"), "user"),
    **dict.fromkeys(("password", "pwd"), "password"),
    **dict.fromkeys(("connecttimeout", "connectiontimeout", "timeout"), "connect_timeout"),
    **dict.fromkeys(("applicationname", "app"), "application_name"),
    **dict.fromkeys(("maxpoolsize",), "pool_size"),
    **dict.fromkeys(("persistsecurityinfo",), "persist"),
    **dict.fromkeys(("multipleactiveresultsets",), "mars"),
    "port": "port",
    "encrypt": "encrypt",
    "trustservercertificate": "trust_server_certificate",
    "applicationintent": "read_only",
}
"""What Microsoft's drivers call the parts of a connection string, without spaces."""
