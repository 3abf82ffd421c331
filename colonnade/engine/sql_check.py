"""The parser's guard of user SQL: one statement that only reads, and only the logical tables.

It is one of two. The other is the engine's own (``stores.duckdb_sql``), which holds by itself; this one refuses in
words that help, before anything runs, and finds out what a query reads. What may stand where a table stands is a list
of what is allowed, so that a function that a later engine brings is refused until somebody has looked at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colonnade.errors import InvalidInput, QueryError
from colonnade.schemas import TABLES
from colonnade.schemas.table import Table, unknown_column

if TYPE_CHECKING:
    from sqlglot import exp

_BEGINNINGS: Final = frozenset(
    {"select", "with", "from", "values", "table", "describe", "desc", "summarize", "show", "pivot", "unpivot", "("}
)
_READING: Final = ("Select", "SetOperation", "Subquery", "Values", "Describe", "Summarize", "Pivot", "Show")
_CHANGING: Final = ("DML", "DDL", "Merge", "Create", "Drop", "Command", "Into", "Copy", "Attach", "Detach", "Set")
_ONLY_READING: Final = (
    "only reading is allowed here: one statement that begins with select, with, from, values, describe, summarize, "
    "show or explain"
)
_TABLE_FUNCTIONS: Final = frozenset(
    {"range", "generate_series", "unnest", "explode", "json_each", "json_tree", "repeat"}
    | {"duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types"}
)
"""The functions that may be read like a table; all others might reach for files, settings or text that is SQL."""
_OUTSIDE: Final = re.compile(
    r"read_.*|.*_scan|scan_.*|glob|sniff_.*|parquet_.*|pragma_.*|query|query_table|json_execute_serialized_sql"
    r"|getenv|current_setting|which_secret|write_log|enable_.*|disable_.*|nextval|setval"
)
"""Functions that are refused wherever they stand."""
_CATALOG: Final = "information_schema"


@dataclass(frozen=True, slots=True)
class Reads:
    """What a query reads: tables, and the columns that it may need of them, ``None`` where it may need them all."""

    tables: tuple[Table, ...]
    names: frozenset[str] | None
    statement: exp.Expr | None = None
    """The query as it was parsed."""

    def columns(self, table: Table) -> tuple[str, ...]:
        """The columns of a table that are named, and its first, by which DuckDB counts rows."""
        if self.names is None:
            return tuple(table.columns)
        first, *others = table.columns
        return (first, *(name for name in others if name.lower() in self.names))


def check(query: str) -> Reads:
    """What a query reads; ``QueryError`` unless it is one statement that only reads."""
    import sqlglot

    if not isinstance(query, str):
        raise InvalidInput(f"a query is text, not {type(query).__name__}")
    try:
        if not _words(query):
            raise InvalidInput("the query is empty; ask something like: select name, count(*) from spans group by name")
        query = _explained(query)
        words = [word for word, _ in _words(query)]
        if not words or words[0] not in _BEGINNINGS:
            raise QueryError(_ONLY_READING + (f", and not with {words[0]}" if words else ""))
        if words[0] == "show":
            return _shown(words[1:])
        statements = [found for found in sqlglot.parse(query, read="duckdb") if found]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"this SQL cannot be read: {_plain(str(error))}") from None
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, not {len(statements)}")
    return _read(statements[0])


def _words(query: str) -> list[tuple[str, int]]:
    """The words of a query, without comments, each with the place behind it."""
    import sqlglot

    return [(token.text.lower(), token.end + 1) for token in sqlglot.tokenize(query, read="duckdb")]


def _explained(query: str) -> str:
    """What ``explain`` is to explain; the query itself without one."""
    word, end = _words(query)[0]
    if word != "explain":
        return query
    query = query[end:]
    words = _words(query)
    if words[:1] and words[0][0] == "analyze":
        return query[words[0][1] :]
    if len(words) > 1 and words[0][0] == "(" and words[1][0] not in _BEGINNINGS:
        # explain (analyze, format json) select ...
        return query[next((end for word, end in words if word == ")"), len(query)) :]
    return query


def _shown(words: list[str]) -> Reads:
    match [word for word in words if word != ";"]:
        case ["tables"] | ["all", "tables"]:
            return Reads((), frozenset())
        case [name]:
            return Reads((_known(name),), None)
    raise QueryError("show tables, or the name of one table, is what can be shown")


def _read(statement: exp.Expr) -> Reads:
    from sqlglot import exp

    if not isinstance(statement, _kinds(_READING)):
        raise QueryError(_ONLY_READING)
    changing = _kinds(_CHANGING)
    own = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    tables: dict[str, Table] = {}
    for node in statement.walk():
        if isinstance(node, changing):
            raise QueryError(_ONLY_READING)
        if isinstance(node, exp.Func):
            _check_reach(_name(node))
        if isinstance(node, exp.Table | exp.Lateral) and not isinstance(node.this, exp.Identifier | exp.Query):
            _check_function(node.this)
        elif isinstance(node, exp.Table) and (node.db.lower() != _CATALOG or node.catalog):
            if node.db:
                raise QueryError(f"tables have no schema here: write {node.name}, not {node.sql()}")
            # A table that shares its name with a common table expression may be read within it.
            if node.name.lower() in TABLES or node.name.lower() not in own:
                tables[node.name.lower()] = _known(node.name)
    return Reads(tuple(tables.values()), _names(statement), statement)


def _check_reach(function: str) -> None:
    if _OUTSIDE.fullmatch(function):
        raise QueryError(f"{function}() reaches outside the store, which queries may not")


def _check_function(source: exp.Expr | None) -> None:
    """What stands where a table does and is none: a function, which must be one of the known ones."""
    from sqlglot import exp

    if isinstance(source, exp.Subquery | exp.Unnest | exp.Values):
        return
    found = source.find(exp.Func) if source else None  # the node itself, or within main.read_text()
    name = _name(found) if found else str(source)
    _check_reach(name)
    if name not in _TABLE_FUNCTIONS:
        raise QueryError(f"{name}() cannot be read; beside the tables there are {', '.join(sorted(_TABLE_FUNCTIONS))}")


def _names(statement: exp.Expr) -> frozenset[str] | None:
    """The words that may be columns; ``None`` where the statement may mean columns that it does not name."""
    from sqlglot import exp

    if any(not isinstance(star.parent, exp.Count) for star in statement.find_all(exp.Star)):
        return None
    if any(statement.find_all(exp.Columns, exp.Pivot, exp.Summarize)):
        return None  # columns('a.*'); the columns that a pivot groups by
    if any(join.args.get("method") for join in statement.find_all(exp.Join)):
        return None  # natural join, positional join
    if any(alias.columns for alias in statement.find_all(exp.TableAlias)):
        return None  # from threads t(a, b)
    whole = {table.alias_or_name.lower() for table in statement.find_all(exp.Table)}
    if any(not column.table and column.name.lower() in whole for column in statement.find_all(exp.Column)):
        return None  # select threads from threads
    return frozenset(found.name.lower() for found in statement.find_all(exp.Identifier))


def _known(name: str) -> Table:
    if name.lower() not in TABLES:
        raise QueryError(unknown_column(name, "the store", TABLES).replace("column", "table"))
    return TABLES[name.lower()]


def _kinds(names: tuple[str, ...]) -> tuple[type, ...]:
    from sqlglot import exp

    return tuple(getattr(exp, name) for name in names if hasattr(exp, name))


def _name(node: exp.Func) -> str:
    from sqlglot import exp

    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _plain(message: str) -> str:
    # sqlglot underlines the place with terminal escapes, which belong into no error text.
    return re.sub(r"\x1b\[\d+m", "", message)
