"""How SQL Server spells things, and the keys that stand for texts.

Three of its habits would make texts equal, or sorted, that are not. It compares by language, unless told otherwise;
``=`` and ``<`` see no spaces at the end, whatever the collation; and an index takes 900 or 1,700 bytes. So texts are
UTF-8 (``VARCHAR(MAX)``, in a binary collation), and what is compared is never a text, but its bytes: UTF-8 sorts as
code points do. Beside each text that is a key or in an index stands its ``key``: a computed column of at most 200
bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Final

from colonnade.engine.dialect import Dialect
from colonnade.schemas.kinds import Column
from colonnade.schemas.lookups import lookups
from colonnade.schemas.table import Table

COLLATION: Final = "Latin1_General_100_BIN2_UTF8"
KEY: Final = 200
"""Bytes of a key. A shorter text is its own key; of others it is their beginning and their SHA-256."""
_BEGINNING: Final = KEY - 32
VERSION_TABLE: Final = "colonnade_version"
"""The table that says which version of the schema the tables beside it have."""

_TEXT: Final = f"VARCHAR(MAX) COLLATE {COLLATION}"

MSSQL: Final = Dialect(
    name="tsql",
    types={
        "text": _TEXT,
        "uuid": _TEXT,  # a filter with a value that is no UUID is then false, not an error
        "json": _TEXT,  # as it was written; the type of SQL Server 2025 would keep it its own way
        "integer": "INT",
        "bigint": "BIGINT",
        "float": "FLOAT(53)",
        "boolean": "BIT",
        "timestamp": "DATETIME2(6)",
        "binary": "VARBINARY(MAX)",
        "vector": "VARBINARY(MAX)",
    },
    quote="[{name}]",
    placeholder="@p{number}",
    mastra_names=True,
    functions={
        "count": "COUNT_BIG({column})",
        "sum": "SUM({column})",
        "min": "MIN({column})",
        "max": "MAX({column})",
        "mean": "AVG(CAST({column} AS FLOAT(53)))",
    },
    # In decimals: 64 bits may be too few for a difference, and a float too coarse for what it is between.
    difference="CAST(CAST({column} AS DECIMAL(20, 0)) - CAST({minus} AS DECIMAL(20, 0)) AS FLOAT(53))",
    view="CREATE VIEW",
)
"""Of ``relational``, whose renderer ``sql`` refines."""


class Key(bytes):
    """The key of a text, as it is bound."""


def key_of(text: str) -> Key:
    """The key of a text: what the server computes for its key column."""
    data = text.encode()
    return Key(data if len(data) < KEY else data[:_BEGINNING] + sha256(data).digest())


def ident(name: str) -> str:
    """A name in brackets, whatever is in it."""
    return f"[{name.replace(']', ']]')}]"


def key_name(column: str) -> str:
    """The column that holds the keys of a column."""
    return f"{column}_key"


def keyed(table: Table) -> tuple[str, ...]:
    """The columns of a table that have keys: all texts by which rows are found."""
    indexed = {*table.key, *(name for index in table.facts.indexes for name in index.columns)}
    return tuple(each.name for each in table.columns.values() if each.name in indexed and is_text(each))


def is_text(column: Column) -> bool:
    """Whether a column holds texts, JSON among them."""
    return column.kind.name in ("text", "uuid", "json")


def create_table(schema: str, table: Table) -> str:
    """DDL of a table, with the keys of its texts."""
    lines = []
    for column in table.columns.values():
        lines.append(f"  {_column_of(column)}{_required(column)}")
    for name in keyed(table):
        lines.append(f"  {_key_of(name)}{_required(table.columns[name])}")
    name = MSSQL.table_name(table)
    key = ", ".join(ident(key_name(column)) for column in table.key)
    lines.append(f"  CONSTRAINT {ident(f'{name}_pk')} PRIMARY KEY CLUSTERED ({key})")
    return f"CREATE TABLE {placed(schema, name)} (\n" + ",\n".join(lines) + "\n)"


def missing(table: Table, there: Collection[str]) -> list[str]:
    """The columns and keys that an older table does not have. There are rows, so they may be null."""
    columns = [_column_of(column) for column in table.columns.values() if column.name not in there]
    return [*columns, *(_key_of(name) for name in keyed(table) if key_name(name) not in there)]


def _column_of(column: Column) -> str:
    return f"{ident(column.name)} {MSSQL.type_of(column)}"


def _required(column: Column) -> str:
    return "" if column.nullable else " NOT NULL"


def _key_of(column: str) -> str:
    name = ident(column)
    long = f"CAST({name} AS VARBINARY({_BEGINNING})) + HASHBYTES('SHA2_256', {name})"
    short = f"CASE WHEN DATALENGTH({name}) < {KEY} THEN CAST({name} AS VARBINARY({KEY})) ELSE {long} END"
    return f"{ident(key_name(column))} AS CAST({short} AS VARBINARY({KEY})) PERSISTED"


def create_indexes(schema: str, table: Table) -> list[str]:
    """DDL of the indexes that look-ups ask for, under the names that the source documents give them."""
    made = []
    for index in lookups(table):
        table_name = MSSQL.table_name(table)
        name = "_".join([table_name, *index.columns, index.newest, "idx"]).lower()
        columns = ", ".join([*(ident(key_name(each)) for each in index.columns), f"{ident(index.newest)} DESC"])
        made.append(f"CREATE INDEX {ident(name)} ON {placed(schema, table_name)} ({columns})")
    return made


def placed(schema: str, name: str) -> str:
    """A table's quoted name, with its schema."""
    return f"{ident(schema)}.{ident(name)}"
