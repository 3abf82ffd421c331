"""Making a store's schema, tables and indexes, or finding that they are there, and not newer than this colonnade.

All of it is one transaction: DDL of SQL Server can be undone. Those who open at the same time take turns by a lock of
the server that has the schema's name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql.client import Client
from colonnade.engine.stores.mssql.spelling import (
    MSSQL,
    VERSION_TABLE,
    create_indexes,
    create_table,
    ident,
    missing,
    placed,
)
from colonnade.errors import NotAStore, SchemaTooNew, StoreError, Unsupported
from colonnade.schemas import READINGS, STORED, VERSION, table_named
from colonnade.schemas.table import Table

SERVER: Final = (
    "SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS INT) AS [version], "
    "CAST(SERVERPROPERTY('EngineEdition') AS INT) AS [edition], [compatibility_level] AS [level] "
    "FROM sys.databases WHERE [database_id] = DB_ID()"
)
COLUMNS: Final = (
    "SELECT [TABLE_NAME] AS [table], [COLUMN_NAME] AS [column] FROM INFORMATION_SCHEMA.COLUMNS "
    "WHERE [TABLE_SCHEMA] = @p1"
)
SCHEMAS: Final = "SELECT COUNT_BIG(*) AS [count] FROM sys.schemas WHERE [name] = @p1"
TURN: Final = (
    "DECLARE @got INT; EXEC @got = sp_getapplock @Resource = @p1, @LockMode = N'Exclusive', "
    "@LockOwner = N'Transaction', @LockTimeout = 60000; SELECT @got AS [got]"
)
_OLDEST: Final = 15
"""SQL Server 2019, the first that has UTF-8."""
_LEVEL: Final = 130
"""The compatibility level of a database that has OPENJSON."""
_IN_THE_CLOUD: Final = frozenset({5, 6, 8, 9, 11, 12})
"""Editions whose version says nothing: they are never old."""


@dataclass
class Found:
    """What is in a schema: columns by the names of tables and views, and the version of the schema that they have."""

    columns: dict[str, set[str]] = field(default_factory=dict)
    version: int | None = None


def init(client: Client) -> None:
    """Make what is missing."""
    with client.pool.connection() as connection:
        _check_server(client, connection)
        found = look(client, connection)
    _check(client, found)
    if is_whole(found):
        return
    with client.transaction() as connection:
        ((got,),) = client.run(connection, Statement(TURN, (f"colonnade {client.place.schema}",)))
        if got < 0:
            raise StoreError(f"{client.place.label}: somebody else has been making its tables for a minute; try again")
        found = look(client, connection)  # another process may have been faster
        _check(client, found)
        for sql in ddl(client.place.schema, found, has_schema=_has_schema(client, connection)):
            client.run(connection, Statement(sql))


def _check_server(client: Client, connection: Any) -> None:
    ((version, edition, level),) = client.run(connection, Statement(SERVER))
    if edition not in _IN_THE_CLOUD and version < _OLDEST:
        raise Unsupported(
            f"{client.place.label}: version {version} of SQL Server knows no UTF-8; 2019 (version 15) and later do"
        )
    if level < _LEVEL:
        raise Unsupported(
            f"{client.place.label}: the database has compatibility level {level}, and OPENJSON needs {_LEVEL}: "
            f"ALTER DATABASE ... SET COMPATIBILITY_LEVEL = {_LEVEL}"
        )


def look(client: Client, connection: Any) -> Found:
    """Read what there is from the catalog."""
    found = Found()
    for table, column in client.run(connection, Statement(COLUMNS, (client.place.schema,))):
        found.columns.setdefault(table, set()).add(column)
    if VERSION_TABLE in found.columns:
        name = placed(client.place.schema, VERSION_TABLE)
        rows = client.run(connection, Statement(f"SELECT [version] AS [version] FROM {name}"))
        found.version = max((version for (version,) in rows), default=None)
    return found


def _check(client: Client, found: Found) -> None:
    label = client.place.label
    if found.version is not None and found.version > VERSION:
        raise SchemaTooNew(label, found.version, VERSION)
    there = [name for name in _names(STORED) if name in found.columns]
    if found.version is None and there:
        raise NotAStore(
            f"{label} has a table {there[0]} that colonnade did not make; it was left as it is. Give the store a "
            "schema of its own (schema_name)"
        )


def _names(tables: Collection[Table]) -> list[str]:
    return [MSSQL.table_name(table) for table in tables]


def is_whole(found: Found) -> bool:
    """Whether nothing is missing."""
    return found.version == VERSION and all(name in found.columns for name in _names((*STORED, *READINGS)))


def ddl(schema: str, found: Found, *, has_schema: bool) -> list[str]:
    """Every statement that makes what is missing."""
    statements = [] if has_schema else [f"CREATE SCHEMA {ident(schema)}"]
    for table in STORED:
        there = found.columns.get(MSSQL.table_name(table))
        if there is None:
            statements += [create_table(schema, table), *create_indexes(schema, table)]
        else:
            if added := missing(table, there):
                name = placed(schema, MSSQL.table_name(table))
                statements.append(f"ALTER TABLE {name} ADD {', '.join(added)}")
    for reading in READINGS:
        if MSSQL.table_name(reading) not in found.columns:
            statements.append(_view(schema, reading))
    versions = placed(schema, VERSION_TABLE)
    if VERSION_TABLE not in found.columns:
        statements.append(f"CREATE TABLE {versions} ([version] INT NOT NULL)")
    if found.version is None:
        statements.append(f"INSERT INTO {versions} ([version]) VALUES ({VERSION})")
    elif found.version < VERSION:
        statements.append(f"UPDATE {versions} SET [version] = {VERSION}")
    return statements


def _view(schema: str, reading: Table) -> str:
    there = dict(reading.facts.renames)
    columns = ", ".join(f"{ident(there.get(name, name))} AS {ident(name)}" for name in reading.columns)
    origin = table_named(str(reading.facts.reading_of))
    name, source = placed(schema, MSSQL.table_name(reading)), placed(schema, MSSQL.table_name(origin))
    return f"{MSSQL.view} {name} AS SELECT {columns} FROM {source}"


def _has_schema(client: Client, connection: Any) -> bool:
    ((count,),) = client.run(connection, Statement(SCHEMAS, (client.place.schema,)))
    return bool(count)
