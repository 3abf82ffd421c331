"""Summaries and neighbours by DuckDB over Arrow rows, for stores whose own engine computes otherwise, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import TRUE, Nearest, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.running import Query
from colonnade.engine.stores.duckdb_database import MEMORY, Read, Rows, over_arrow
from colonnade.schemas import TABLES
from colonnade.schemas.table import Table

FUNCTIONS = frozenset(DUCKDB.functions or ())
"""The functions of ``Summarize`` that it knows: all."""


def summarize(plan: Summarize, read: Read) -> pa.Table:
    """A summary of the rows that ``read`` gives in some columns, which the plan's filter was applied to already."""
    return fold.typed_summary(plan, _answer(Renderer(DUCKDB).summarize(replace(plan, where=TRUE)), plan.table, read))


def nearest(plan: Nearest, read: Read) -> pa.Table:
    """The keys of the nearest of the rows that ``read`` gives, which the plan's filter was applied to already."""
    return _answer(Renderer(DUCKDB).nearest(replace(plan, where=TRUE), plan.table.key), plan.table, read)


def _answer(statement: Statement, table: Table, read: Read) -> pa.Table:
    # The database that all such queries share knows our tables only; one of somebody's own gets a database of its own.
    memory = None if table.name in TABLES else MEMORY
    query = Query(statement.sql, list(statement.parameters), {table: ()}, memory)
    schemas = {each.name: each.schema for each in (*TABLES.values(), table)}
    engine = over_arrow(query, schemas, {table.name: Rows(table.schema, read)})
    try:
        engine.bind()
        schema = engine.run()
        batches = list(iter(engine.read, None))
    finally:
        engine.close()
    return pa.Table.from_batches(batches, schema)
