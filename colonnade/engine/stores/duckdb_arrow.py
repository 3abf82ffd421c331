"""DuckDB's answers as Arrow."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from colonnade.engine.relational import Statement

_AT_ONCE = 131_072
"""Rows of a record batch, at most: DuckDB's own default."""


def arrow_of(connection: duckdb.DuckDBPyConnection, statement: Statement) -> pa.Table:
    """All rows of a statement.

    ``connection.sql()`` binds a statement once to say what it will give, and again to run it: of a look-up in wide
    tables, that is a third. The step that it takes last does without, where this version of DuckDB has it.
    """
    values = list(statement.parameters)
    submit = getattr(connection, "_submit", None)
    if submit is None:
        return connection.sql(statement.sql, params=values).to_arrow_table()
    return submit(statement.sql, values, "arrow", _AT_ONCE).arrow_table()
