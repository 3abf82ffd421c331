"""User SQL: read-only, over the logical tables of any storage.

Two guards, each enough by itself: the query is parsed and refused unless it only reads, and the engine that runs it
has a read-only transaction and no access to files or Python variables. Where all tables live in one DuckDB store the
SQL runs there; otherwise DuckDB runs over Arrow that is scanned out of the stores, only the tables that are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

from colonnade.engine.plan import Scan
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import InvalidInput, QueryError
from colonnade.schemas import TABLES
from colonnade.schemas.table import Table, unknown_column

if TYPE_CHECKING:
    import polars
    from sqlglot import exp

Parameters = list[Any] | Mapping[str, Any] | None

_ALLOWED: Final = ("Select", "SetOperation", "Subquery", "Values", "Describe", "Summarize", "With", "Show")
_ONLY_READING: Final = (
    "only reading is allowed here: one statement that begins with select, with, from, values, describe, summarize, "
    "show or explain"
)
_FILE_FUNCTIONS: Final = ("read_", "parquet_", "glob", "sniff_", "from_substrait", "query", "query_table", "getenv")


class SqlResult:
    """The rows that a query gave: read them once, in the form you like."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""
        return self._reader.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Record batches, as they come."""
        try:
            yield from self._reader
        except (pa.ArrowException, OSError) as error:
            raise QueryError(str(error)) from None

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def polars(self) -> polars.DataFrame:
        """All rows as a Polars frame."""
        import polars

        frame = polars.from_arrow(self.arrow())
        return frame if isinstance(frame, polars.DataFrame) else frame.to_frame()

    def rows(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return list(self.arrow().to_pylist())


class _Storage(Protocol):
    @property
    def stores(self) -> tuple[AnyStore, ...]: ...
    def store_of(self, domain: str) -> AnyStore: ...
    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]: ...


def ask(storage: _Storage, query: str, parameters: Parameters) -> SqlResult:
    """Check a query and run it; ``QueryError`` says why it was refused or how it failed."""
    tables = check(query)
    homes = {id(store): store for store in (storage.store_of(table.domain) for table in tables)}
    if len(homes) <= 1:
        home = next(iter(homes.values()), storage.stores[0])
        reader = home.sql(query, parameters) if isinstance(home, Store) else None
        if reader is not None:
            return SqlResult(reader)
    return SqlResult(_over_arrow(storage, tables, query, parameters))


def check(query: str) -> tuple[Table, ...]:
    """The tables that a query reads; ``QueryError`` unless it is one statement that only reads."""
    import sqlglot
    from sqlglot import exp

    if not query.strip():
        raise InvalidInput("the query is empty; ask something like: select name, count(*) from spans group by name")
    bare = query.strip()
    explained = bare[:8].lower() == "explain "
    try:
        statements = [found for found in sqlglot.parse(bare[8:] if explained else bare, read="duckdb") if found]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"this SQL cannot be read: {_plain(str(error))}") from None
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, not {len(statements)}")
    statement = statements[0]
    allowed = tuple(getattr(exp, name) for name in _ALLOWED if hasattr(exp, name))
    if not isinstance(statement, allowed):
        raise QueryError(_ONLY_READING)
    for node in statement.walk():
        if isinstance(node, exp.Insert | exp.Update | exp.Delete | exp.Create | exp.Drop | exp.Command | exp.Into):
            raise QueryError(_ONLY_READING)
        if isinstance(node, exp.Func) and _name(node).startswith(_FILE_FUNCTIONS):
            raise QueryError(f"{_name(node)}() reaches outside the store, which queries may not")
    return _tables(statement)


def _tables(statement: exp.Expression) -> tuple[Table, ...]:
    from sqlglot import exp

    own = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    found: dict[str, Table] = {}
    for node in statement.find_all(exp.Table):
        name = node.name
        if not name or name.lower() in own or isinstance(node.this, exp.Func):
            continue
        if name.lower() in TABLES:
            found[name.lower()] = TABLES[name.lower()]
        elif node.db.lower() not in ("information_schema", "pg_catalog"):
            raise QueryError(unknown_column(name, "the store", TABLES).replace("column", "table"))
    return tuple(found.values())


def _over_arrow(
    storage: _Storage, tables: tuple[Table, ...], query: str, parameters: Parameters
) -> pa.RecordBatchReader:
    from colonnade.engine.stores.duckdb import sql_over

    # Tables that the query does not name are there, but empty: `show tables` and `information_schema` know them.
    known = {
        table.name: pa.Table.from_batches(storage.batches(Scan(table)), table.schema)
        if table in tables
        else table.schema.empty_table()
        for table in TABLES.values()
    }
    return sql_over(known, query, parameters)


def _name(node: exp.Func) -> str:
    from sqlglot import exp

    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _plain(message: str) -> str:
    # sqlglot underlines the place with terminal escapes, which belong into no error text.
    return re.sub(r"\x1b\[\d+m", "", message)
