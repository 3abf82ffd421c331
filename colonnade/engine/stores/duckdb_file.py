"""The DuckDB file itself: connecting with clear errors, its schema version, and bringing older files forward."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

import duckdb

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.relational import create_table, create_view
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreError, StoreLocked, StoreReadOnly
from colonnade.schemas import READINGS, STORED, VERSION
from colonnade.schemas.table import Table

_VERSION_TABLE: Final = "colonnade_schema"
_OPENING: Final = threading.Lock()


def connect(
    path: Path | None, *, read_only: bool, memory_limit: str | None, threads: int | None
) -> duckdb.DuckDBPyConnection:
    """Open the file. User SQL runs on this database, so it can reach no file and no Python variable."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
    }
    if memory_limit:
        config["memory_limit"] = memory_limit
    if threads:
        config["threads"] = str(threads)
    if path is not None:
        _look_before(path, read_only=read_only)
    try:
        connection = duckdb.connect(":memory:" if path is None else str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        raise _explained(path, str(error)) from error
    with _OPENING:  # what this process has open already is one database, and prepared
        if connection.execute("SELECT NOT current_setting('lock_configuration')").fetchall() == [(True,)]:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # not known before the connection has loaded icu
            connection.execute("SET lock_configuration = true")  # user SQL runs here
    return connection


def _look_before(path: Path, *, read_only: bool) -> None:
    if path.is_dir():
        raise NotAStore(f"{path} is a folder; a DuckDB store is one file, such as {path / 'agent.db'}")
    if path.exists():
        return
    if read_only:
        raise InvalidAddress(f"{path} does not exist, so it cannot be opened for reading only")
    if not path.parent.is_dir():
        raise InvalidAddress(f"{path.parent} is no folder; make it first, then open {path.name} in it")
    if not os.access(path.parent, os.W_OK):
        raise StoreReadOnly(f"{path.parent} cannot be written, so no store can be made there")


def _explained(path: Path | None, message: str) -> StoreError:
    if "Could not set lock" in message or "Conflicting lock" in message:
        return StoreLocked(
            f"{path} is open in another process, and a DuckDB file belongs to one process at a time. "
            "Close it there, or open a copy of the file."
        )
    if "not a valid DuckDB database file" in message:
        return NotAStore(f"{path} is no DuckDB database; it was left as it is")
    if "Permission denied" in message or "Read-only file system" in message or "read-only" in message.lower():
        return StoreReadOnly(f"{path} cannot be written; open it with ?read_only=true to read it")
    return StoreError(f"{path}: {message}")


def migrate(connection: duckdb.DuckDBPyConnection, label: str, *, read_only: bool) -> None:
    """Make the tables of a new file, or bring an older one to this version, in one transaction.

    Files of before ADR 024 keep their indexes.
    """
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    found = _version(connection) if _VERSION_TABLE in tables else None
    if found is not None and found > VERSION:
        raise SchemaTooNew(label, found, VERSION)
    if found == VERSION:
        return
    if found is None and (taken := sorted(tables & {table.name for table in STORED})):
        raise NotAStore(f"{label} has tables of its own named {', '.join(taken)}; give colonnade a file of its own")
    if read_only:
        state = "holds no colonnade tables" if found is None else f"has the older schema version {found}"
        raise StoreReadOnly(f"{label} {state}; open it once without read_only to prepare it")
    connection.execute("BEGIN TRANSACTION")
    try:
        for table in STORED:
            connection.execute(create_table(DUCKDB, table))
            _add_columns(connection, table)
        for reading in READINGS:
            connection.execute(create_view(DUCKDB, reading))
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_VERSION_TABLE} (version INTEGER NOT NULL)")
        connection.execute(f"DELETE FROM {_VERSION_TABLE}")
        connection.execute(f"INSERT INTO {_VERSION_TABLE} VALUES (?)", [VERSION])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(f"SELECT version FROM {_VERSION_TABLE}").fetchone()
    return int(row[0]) if row else 0


def _add_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    known = {row[0] for row in connection.execute(f"DESCRIBE {DUCKDB.table(table)}").fetchall()}
    for column in table.columns.values():
        if column.name not in known:
            kind = DUCKDB.type_of(column)
            connection.execute(f"ALTER TABLE {DUCKDB.table(table)} ADD COLUMN {DUCKDB.ident(column.name)} {kind}")
