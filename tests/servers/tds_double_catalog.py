"""What a database of the TDS double holds: tables, their columns and keys, and the catalog views that tell of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.servers.tds_double_values import collation

VERSION: Final = "TDS double of colonnade's tests, not Microsoft SQL Server - 16.0 (pysqlbridge, sqlglot, SQLite)"

_BASE: Final = """
CREATE TABLE IF NOT EXISTS "double.schemas" (schema_id INTEGER PRIMARY KEY, name TEXT COLLATE any_case UNIQUE);
INSERT OR IGNORE INTO "double.schemas" VALUES (1, 'dbo'), (3, 'INFORMATION_SCHEMA'), (4, 'sys');
CREATE TABLE IF NOT EXISTS "double.objects" (object_id INTEGER PRIMARY KEY AUTOINCREMENT, schema_id INTEGER,
  name TEXT COLLATE any_case, type TEXT, full_name TEXT UNIQUE, definition TEXT);
CREATE TABLE IF NOT EXISTS "double.columns" (object_id INTEGER, column_id INTEGER, name TEXT COLLATE any_case,
  kind TEXT, size INTEGER, collation_name TEXT COLLATE any_case, is_nullable INTEGER, is_computed INTEGER);
CREATE TABLE IF NOT EXISTS "double.indexes" (object_id INTEGER, index_id INTEGER, name TEXT COLLATE any_case,
  is_unique INTEGER, is_primary_key INTEGER, type INTEGER, filter_definition TEXT);
CREATE TABLE IF NOT EXISTS "double.index_columns" (object_id INTEGER, index_id INTEGER, index_column_id INTEGER,
  key_ordinal INTEGER, column_id INTEGER, is_descending_key INTEGER, is_included_column INTEGER);
CREATE VIEW IF NOT EXISTS "sys.schemas" AS SELECT name, schema_id FROM "double.schemas";
CREATE VIEW IF NOT EXISTS "sys.objects" AS SELECT name, object_id, schema_id, type FROM "double.objects";
CREATE VIEW IF NOT EXISTS "sys.tables" AS SELECT name, object_id, schema_id, type FROM "double.objects"
  WHERE type = 'U';
CREATE VIEW IF NOT EXISTS "sys.views" AS SELECT name, object_id, schema_id, type FROM "double.objects" WHERE type = 'V';
CREATE VIEW IF NOT EXISTS "sys.columns" AS SELECT object_id, name, column_id, collation_name, is_nullable, is_computed,
  CASE WHEN size > 0 AND kind = 'nvarchar' THEN 2 * size ELSE size END AS max_length FROM "double.columns";
CREATE VIEW IF NOT EXISTS "sys.indexes" AS SELECT object_id, name, index_id, type, is_unique, is_primary_key,
  filter_definition IS NOT NULL AS has_filter, filter_definition FROM "double.indexes";
CREATE VIEW IF NOT EXISTS "sys.index_columns" AS SELECT * FROM "double.index_columns";
CREATE VIEW IF NOT EXISTS "INFORMATION_SCHEMA.TABLES" AS SELECT s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME,
  CASE o.type WHEN 'U' THEN 'BASE TABLE' ELSE 'VIEW' END AS TABLE_TYPE
  FROM "double.objects" AS o JOIN "double.schemas" AS s ON s.schema_id = o.schema_id;
CREATE VIEW IF NOT EXISTS "INFORMATION_SCHEMA.COLUMNS" AS SELECT s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME,
  c.name AS COLUMN_NAME, c.column_id AS ORDINAL_POSITION,
  CASE c.is_nullable WHEN 1 THEN 'YES' ELSE 'NO' END AS IS_NULLABLE,
  c.kind AS DATA_TYPE, c.size AS CHARACTER_MAXIMUM_LENGTH, c.collation_name AS COLLATION_NAME
  FROM "double.columns" AS c JOIN "double.objects" AS o ON o.object_id = c.object_id
  JOIN "double.schemas" AS s ON s.schema_id = o.schema_id;
CREATE VIEW IF NOT EXISTS "sys.databases" AS SELECT 'double' AS name, 5 AS database_id, 160 AS compatibility_level,
  1 AS is_read_committed_snapshot_on, 1 AS snapshot_isolation_state, 'SQL_Latin1_General_CP1_CI_AS' AS collation_name;
"""
_VIEWS: Final[Mapping[str, str]] = {
    "sys.schemas": "name schema_id",
    "sys.objects": "name object_id schema_id type",
    "sys.tables": "name object_id schema_id type",
    "sys.views": "name object_id schema_id type",
    "sys.columns": "object_id name column_id collation_name is_nullable is_computed max_length",
    "sys.indexes": "object_id name index_id type is_unique is_primary_key has_filter filter_definition",
    "sys.index_columns": (
        "object_id index_id index_column_id key_ordinal column_id is_descending_key is_included_column"
    ),
    "sys.databases": (
        "name database_id compatibility_level is_read_committed_snapshot_on snapshot_isolation_state collation_name"
    ),
    "information_schema.tables": "TABLE_SCHEMA TABLE_NAME TABLE_TYPE",
    "information_schema.columns": (
        "TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION IS_NULLABLE DATA_TYPE CHARACTER_MAXIMUM_LENGTH "
        "COLLATION_NAME"
    ),
}
_BITS: Final = frozenset(
    (
        *("is_nullable", "is_computed", "is_unique", "is_primary_key", "has_filter", "is_descending_key"),
        *("is_included_column", "is_read_committed_snapshot_on"),
    )
)
_NUMBERS: Final = ("_id", "_ordinal", "_length", "_level", "_POSITION", "_LENGTH", "_state")


@dataclass(frozen=True)
class ColumnInfo:
    """A column: its type, and for texts the collation that compares them."""

    name: str
    kind: str
    size: int = -1
    collation: str | None = None
    nullable: bool = True
    computed: bool = False


@dataclass
class TableInfo:
    """A table or view; ``name`` is ``schema.table``, which is what SQLite calls it."""

    name: str
    object_id: int = 0
    is_view: bool = False
    columns: dict[str, ColumnInfo] = field(default_factory=dict)
    key: tuple[str, ...] = ()


def prepare(connection: sqlite3.Connection) -> None:
    """Make the catalog of a new database."""
    connection.executescript(_BASE)


def schema_version(connection: sqlite3.Connection) -> int:
    """A number that is another one after each change of tables."""
    return int(connection.execute("PRAGMA schema_version").fetchone()[0])


def tables(connection: sqlite3.Connection) -> dict[str, TableInfo]:
    """Every table, view and catalog view, by its name in lower case."""
    found = {name.lower(): _view(name, columns.split()) for name, columns in _VIEWS.items()}
    by_id: dict[int, TableInfo] = {}
    for object_id, kind, full in connection.execute('SELECT object_id, type, full_name FROM "double.objects"'):
        by_id[object_id] = found[full] = TableInfo(full, object_id, kind == "V")
    rows = connection.execute(
        "SELECT object_id, name, kind, size, collation_name, is_nullable, is_computed "
        'FROM "double.columns" ORDER BY object_id, column_id'
    )
    for object_id, name, kind, size, collated, nullable, computed in rows:
        by = collation(collated, kind) if kind in ("nvarchar", "varchar") else None
        info = ColumnInfo(name, kind, size, by, bool(nullable), bool(computed))
        by_id[object_id].columns[name.lower()] = info
    keys = connection.execute(
        'SELECT c.object_id, c.name FROM "double.indexes" AS i JOIN "double.index_columns" AS k '
        "ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0 "
        'JOIN "double.columns" AS c ON c.object_id = k.object_id AND c.column_id = k.column_id '
        "WHERE i.is_primary_key = 1 ORDER BY k.key_ordinal"
    )
    for object_id, name in keys:
        by_id[object_id].key += (name.lower(),)
    return found


def _view(name: str, columns: list[str]) -> TableInfo:
    made = TableInfo(name, is_view=True)
    for each in columns:
        kind = "bit" if each in _BITS else "int" if each.endswith(_NUMBERS) and each != "snapshot" else "nvarchar"
        by = "any_case" if kind == "nvarchar" else None
        made.columns[each.lower()] = ColumnInfo(each, kind, -1, by)
    return made
