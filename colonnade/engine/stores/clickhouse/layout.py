"""How ClickHouse keeps a table: engine, sort key, codecs, indexes; on one server or on the shards of a cluster.

What accumulates is sorted by time, so that newest-first pages, time ranges and aggregates read few parts, and parts
that were written one after the other hardly overlap; look-ups by an identifier have Bloom filters. The sort key is not
the table's key: a row whose sort columns change leaves a tombstone in its old place (``statements``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from colonnade.engine.dialect import Dialect
from colonnade.engine.stores.clickhouse import maps, words
from colonnade.schemas import VERSION
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table
from colonnade.schemas.words import SEARCHED

VERSION_COLUMN: Final = "_version"
"""Of the copies of a row, the one with the highest counts."""
DELETED_COLUMN: Final = "_deleted"
"""1 in a tombstone."""
LOCAL: Final = "_local"
"""What follows a table's name on each shard of a cluster."""

CLICKHOUSE: Final = Dialect(
    name="clickhouse",
    types={
        "text": "String",
        "uuid": "String",  # a filter with a value that is no UUID is then false, not an error
        "json": "String",  # as it was written, to the last digit; the JSON type would read numbers as its own
        "integer": "Int32",
        "bigint": "Int64",
        "float": "Float64",
        "boolean": "Bool",
        "timestamp": "DateTime64(6, 'UTC')",
        "binary": "String",
        "vector": "Array(Float32)",
    },
    quote="`{name}`",
    mastra_names=True,
    bucket=(
        "fromUnixTimestamp64Micro(toUnixTimestamp64Micro({column}) - "
        "positiveModulo(toUnixTimestamp64Micro({column}), {micros}), 'UTC')"
    ),
    functions={
        "count": "count({column})",
        "sum": "sumOrNull({column})",
        "min": "minOrNull({column})",
        "max": "maxOrNull({column})",
        "mean": "avgOrNull(toFloat64({column}))",
        "p50": "quantileExactInclusiveOrNull(0.5)({column})",
        "p95": "quantileExactInclusiveOrNull(0.95)({column})",
        "p99": "quantileExactInclusiveOrNull(0.99)({column})",
    },
    difference="toFloat64(toInt128({column}) - toInt128({minus}))",
    contains="match({column}, {pattern})",
    # In 64 bits, as everywhere. A vector of zeros has no angle to any other.
    nearest="round(ifNotFinite(1 - cosineDistance(CAST({column}, 'Array(Float64)'), {vector}), 0), 9)",
    dimensions="length({column})",
)

_SORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "spans": ("startedAt",),
    "scores": ("createdAt",),
    "evals": ("created_at",),
    "messages": ("thread_id", "createdAt"),
}
"""What rows are sorted by before the key; all other tables by their key alone."""
_EXPIRES: Final[Mapping[str, str]] = {
    "spans": "startedAt",
    "scores": "createdAt",
    "evals": "created_at",
    "messages": "createdAt",
    "threads": "updatedAt",
    "resources": "updatedAt",
    "workflows": "updatedAt",
}
"""What a row's age is counted from, where it may expire."""
EXPIRING: Final = tuple(_EXPIRES)
"""The tables that may have a time to live."""
_FEW: Final = frozenset(
    {"name", "scope", "spanType", "provider", "model", "entityType", "entityName", "environment", "source"}
    | {"serviceName", "role", "type", "scorerId", "agent_name", "metric_name", "workflow_name"}
)
"""Text columns that hold few different values."""
_GRANULE: Final = 1024
"""Rows that are read together at least: a trace, or a page, is some dozen rows with payloads of kilobytes."""
_COMPRESSED: Final = 16_384
"""Bytes that are compressed together at least: a look-up unpacks such a block of each of 46 columns for a few rows."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where tables are sharded; ``keeper`` where they are replicated too, and made on all nodes by one statement."""

    name: str
    shards: int
    keeper: bool = False

    @property
    def everywhere(self) -> str:
        """What a statement says that is for all nodes; nothing where each has to be told by itself."""
        return f" ON CLUSTER {CLICKHOUSE.ident(self.name)}" if self.keeper else ""


def sort_columns(table: Table) -> tuple[str, ...]:
    """What a table is sorted by before the rest of its key."""
    return _SORTED.get(table.name, ())


def moving(table: Table) -> tuple[str, ...]:
    """The sort columns that a row may change: those that are not of its key."""
    return tuple(name for name in sort_columns(table) if name not in table.key)


def sort_key(table: Table) -> tuple[str, ...]:
    """All columns of the sort key; the table's key is among them."""
    return tuple(dict.fromkeys((*sort_columns(table), *table.key)))


def name_of(table: Table, *, local: bool = False) -> str:
    """The quoted name of a table, or of its part on each shard."""
    return CLICKHOUSE.ident(CLICKHOUSE.table_name(table) + (LOCAL if local else ""))


def plain_type(column: Column) -> str:
    """The type of a column's values."""
    kind = CLICKHOUSE.type_of(column)
    return f"Nullable({kind})" if column.nullable and column.kind.name != "vector" else kind


def comment_of(cluster: Cluster | None) -> str:
    """What marks a table as ours, with the version of its schema, and the shards that it was made for."""
    return f"colonnade {VERSION}" + (f" over {cluster.shards} shards" if cluster else "")


def made_by(comment: str) -> tuple[int, int | None] | None:
    """Schema version and number of shards that a table's comment tells; ``None`` where the table is not ours."""
    told = re.fullmatch(r"colonnade (\d+)(?: over (\d+) shards)?", comment)
    return (int(told[1]), int(told[2]) if told[2] else None) if told else None


def create(table: Table, database: str, *, cluster: Cluster | None = None, ttl: int | None = None) -> list[str]:
    """DDL of a table; on a cluster, of its part on the shard where it is run, and of the whole."""
    keeper = cluster is not None and cluster.keeper
    everywhere = cluster.everywhere if cluster else ""
    lines = [_column(column) for column in table.columns.values()]
    lines += [f"{VERSION_COLUMN} UInt64 CODEC(Delta, ZSTD(1))", f"{DELETED_COLUMN} UInt8 CODEC(ZSTD(1))"]
    whole = f"CREATE TABLE IF NOT EXISTS {name_of(table)}{everywhere} (\n  "
    whole += ",\n  ".join([*lines, *maps.derived(table, whole=True).values()]) + "\n)"
    lines += maps.derived(table).values()
    lines += [
        f"INDEX {CLICKHOUSE.ident(f'by_{name}')} {CLICKHOUSE.ident(name)} TYPE bloom_filter({rate}) GRANULARITY 1"
        for name, rate in _indexed(table).items()
    ]
    lines += [f"INDEX {text}" for text in word_indexes(table).values()]
    part = f"CREATE TABLE IF NOT EXISTS {name_of(table, local=cluster is not None)}{everywhere} (\n  "
    part += ",\n  ".join(lines) + f"\n) ENGINE = {_engine(table, keeper=keeper)}\n"
    part += f"ORDER BY ({', '.join(map(CLICKHOUSE.ident, sort_key(table)))})"
    if ttl is not None:
        part += f"\nTTL {expiry(table, ttl)}"
    part += f"\nSETTINGS index_granularity = {_GRANULE}, min_compress_block_size = {_COMPRESSED}"
    part += ", allow_experimental_replacing_merge_with_cleanup = 1"
    comment = f"\nCOMMENT '{comment_of(cluster)}'"
    if cluster is None:
        return [part + comment]
    where = (cluster.name, database, CLICKHOUSE.table_name(table) + LOCAL)
    distributed = f"{', '.join(map(CLICKHOUSE.ident, where))}, {shard_key(table)}"
    return [part + comment, f"{whole} ENGINE = Distributed({distributed}){comment}"]


def expiry(table: Table, ttl: int) -> str:
    """When a row is to go, ``ttl`` seconds after its time; one that is still running stays."""
    alive = f" DELETE WHERE {CLICKHOUSE.ident(table.facts.final)} IS NOT NULL" if table.facts.final else ""
    return f"toDateTime({CLICKHOUSE.ident(_EXPIRES[table.name])}) + INTERVAL {ttl} SECOND{alive}"


def shard_key(table: Table) -> str:
    """Which shard keeps a row: a trace is kept whole, all else goes by its key, which never changes."""
    columns = table.key[:1] if table.name == "spans" else table.key
    return f"sipHash64({', '.join(map(CLICKHOUSE.ident, columns))})"


def structure(schema: pa.Schema, table: Table, *, more: str = "") -> str:
    """Names and types of rows that are sent along with a statement."""
    named = [f"{CLICKHOUSE.ident(name)} {plain_type(table.columns[name])}" for name in schema.names if name != more]
    return ", ".join([*named, f"{CLICKHOUSE.ident(more)} UInt64"] if more else named)


def word_indexes(table: Table) -> dict[str, str]:
    """The indexes of words, as they are made, by name: of each column that search looks into unless told where."""
    columns = {f"words_{name}": table.columns[name] for name in SEARCHED.get(table.name, ())}
    ident = CLICKHOUSE.ident
    return {name: words.index(ident(name), ident(each.name), each.kind.name) for name, each in columns.items()}


def _engine(table: Table, *, keeper: bool) -> str:
    columns = f"{VERSION_COLUMN}, {DELETED_COLUMN}"
    if not keeper:
        return f"ReplacingMergeTree({columns})"
    where = f"/clickhouse/tables/{{shard}}/{{database}}/{CLICKHOUSE.table_name(table)}"
    return f"ReplicatedReplacingMergeTree('{where}', '{{replica}}', {columns})"


def _column(column: Column) -> str:
    kind = plain_type(column)
    if column.name in _FEW:
        kind = f"LowCardinality({kind})"
    return f"{CLICKHOUSE.ident(column.name)} {kind} CODEC({_codec(column)})"


def _codec(column: Column) -> str:
    if column.payload:
        return "ZSTD(3)"
    ordered = column.kind.name in ("timestamp", "bigint") and column.name.lower().endswith(("at", "time"))
    return "Delta, ZSTD(1)" if ordered else "ZSTD(1)"


def _indexed(table: Table) -> dict[str, str]:
    """The columns with a Bloom filter, and how often it may err: rarely where a put looks for many at once."""
    first = sort_key(table)[0]
    leads = dict.fromkeys(index.columns[0] for index in table.facts.indexes)
    return {name: "0.0001" if name in table.key else "0.001" for name in (table.key[0], *leads) if name != first}
