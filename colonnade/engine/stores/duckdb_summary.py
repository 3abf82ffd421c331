"""Summaries by DuckDB over Arrow rows, for stores whose own engine adds up otherwise, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import TRUE, Summarize
from colonnade.engine.relational import Renderer
from colonnade.engine.running import Query
from colonnade.engine.stores.duckdb_database import Read, Rows, over_arrow
from colonnade.schemas import TABLES

FUNCTIONS = frozenset(DUCKDB.functions or ())
"""The functions of ``Summarize`` that it knows: all."""


def summarize(plan: Summarize, read: Read) -> pa.Table:
    """A summary of the rows that ``read`` gives in some columns, which the plan's filter was applied to already."""
    statement = Renderer(DUCKDB).summarize(replace(plan, where=TRUE))
    query = Query(statement.sql, list(statement.parameters), {plan.table: ()})
    schemas = {table.name: table.schema for table in TABLES.values()}
    engine = over_arrow(query, schemas, {plan.table.name: Rows(plan.table.schema, read)})
    try:
        engine.bind()
        schema = engine.run()
        batches = list(iter(engine.read, None))
    finally:
        engine.close()
    return fold.typed_summary(plan, pa.Table.from_batches(batches, schema))
