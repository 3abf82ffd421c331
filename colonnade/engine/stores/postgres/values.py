"""Arrow columns as psycopg binds and gives them. It gives times as datetimes in UTC, JSON as text, arrays as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from colonnade.engine.plan import Scan
from colonnade.engine.relational import rows_of
from colonnade.engine.stores.postgres.driver import bound
from colonnade.schemas.few import FewRows


def tuples(data: pa.Table | FewRows) -> Sequence[Sequence[Any]]:
    """Rows as they are bound."""
    rows = data.rows if isinstance(data, FewRows) else rows_of(data)
    return [[bound(value) for value in row] for row in rows]


def few_rows(rows: list[tuple[Any, ...]], plan: Scan) -> FewRows:
    """Rows as they were given, as Python values."""
    return FewRows(plan.table, plan.projection, rows)


def arrow_rows(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as they were given, column by column."""
    if not rows:
        return schema.empty_table()
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, each.type) for values, each in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
