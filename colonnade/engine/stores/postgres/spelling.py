"""How PostgreSQL spells things."""

from __future__ import annotations

from typing import Final

from colonnade.engine.dialect import Dialect

POSTGRES: Final = Dialect(
    name="postgres",
    types={
        # By code point, whatever language the database speaks: so are all comparisons, orders and indexes.
        "text": 'text COLLATE "C"',
        "uuid": 'text COLLATE "C"',  # a filter with a value that is no UUID is then false, not an error
        # As it was written, to the last digit and in its order: jsonb would keep numbers and fields its own way.
        "json": "json",
        "integer": "integer",
        "bigint": "bigint",
        "float": "double precision",
        "boolean": "boolean",
        "timestamp": "timestamp(6) with time zone",
        "binary": "bytea",
        # An array, whether pgvector is there or not: it takes one as a vector, and a row's may have any dimensions.
        "vector": "real[]",
    },
    placeholder="${number}",
    mastra_names=True,
    bucket="date_bin('{micros} microseconds', {column}, '1970-01-01 00:00:00+00')",
    functions={
        "count": "count({column})",
        "sum": "sum({column})",
        "min": "min({column})",
        "max": "max({column})",
        "mean": "avg({column}::double precision)",
        "p50": "percentile_cont(0.5) WITHIN GROUP (ORDER BY {column})",
        "p95": "percentile_cont(0.95) WITHIN GROUP (ORDER BY {column})",
        "p99": "percentile_cont(0.99) WITHIN GROUP (ORDER BY {column})",
    },
    difference="({column}::numeric - {minus}::numeric)::double precision",
    array="{column} = ANY({values})",
    view="CREATE OR REPLACE VIEW",
)
"""Of ``relational``, whose renderer ``sql`` refines."""
