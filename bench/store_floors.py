"""The floors of ``stores``: the same spans in what each store is made of, asked by the plain driver's own best query.

All are written in one go. None has to look for older copies of a row, or to give Python objects instead of Arrow.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bench import floors
from bench.analytics import HOUR
from bench.reads import LATEST, LIGHT
from colonnade.schemas import SPANS

LIMIT: Final = 50
_HOURLY: Final = f"""
    SELECT name, {HOUR} AS hour, count(*) AS calls, quantile_cont("outputTokens", 0.95) AS p95, sum(cost) AS cost
    FROM spans GROUP BY ALL ORDER BY ALL
"""


class Floor(Protocol):
    """A table of spans without a library on top. What it is asked gives rows, of which only the number counts."""

    def fill(self, rows: pa.Table) -> None:
        """Write all rows, with what makes looking them up fast."""

    def latest(self, column: str, value: str | None) -> Any:
        """The latest 50 with a value, light columns."""

    def page(self, moment: datetime) -> Any:
        """The latest 50 of a moment and before, light columns."""

    def trace(self, trace: str) -> Any:
        """A trace, all columns, first started first."""


class Summed(Floor, Protocol):
    """A table that can be summed up, too."""

    def hourly(self) -> Any:
        """How many spans, the exact p95 of output tokens, and the cost, by name and hour."""


class PlainDuckDB:
    """One plain DuckDB file, as ``floors`` has it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        warnings.filterwarnings("ignore", "Arrow output on a DB-API result")  # of fifty rows
        return floors.duckdb_file(self._path, read_only=True)

    def fill(self, rows: pa.Table) -> None:
        """One bulk insert."""
        floors.duckdb_insert(self._path, rows)

    def _ask(self, sql: str, *values: str | datetime) -> pa.Table:
        return self._connection.execute(sql, values).to_arrow_table()

    def latest(self, column: str, value: str | None) -> pa.Table:
        """By zone maps, and late materialization."""
        if value is None:
            return self._ask(f'SELECT {LIGHT} FROM spans WHERE "{column}" IS NULL {LATEST}')
        return self._ask(f'SELECT {LIGHT} FROM spans WHERE "{column}" = ? {LATEST}', value)

    def page(self, moment: datetime) -> pa.Table:
        """By zone maps, and late materialization."""
        return self._ask(f'SELECT {LIGHT} FROM spans WHERE "startedAt" <= ? {LATEST}', moment)

    def trace(self, trace: str) -> pa.Table:
        """By zone maps."""
        return self._ask('SELECT * FROM spans WHERE "traceId" = ? ORDER BY "startedAt", "spanId"', trace)

    def hourly(self) -> pa.Table:
        """In one statement."""
        return self._ask(_HOURLY)


class PlainLance:
    """One dataset with the scalar indexes that the Lance store has."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    @cached_property
    def _dataset(self) -> Any:
        import lance

        return lance.dataset(self._path)

    def fill(self, rows: pa.Table) -> None:
        """One write, then the indexes."""
        import lance

        from colonnade.engine.stores.lance.tables import indexes

        made = lance.write_dataset(rows, self._path)
        for column, kind in indexes(SPANS).items():
            made.create_scalar_index(column, kind)

    def latest(self, column: str, value: str | None) -> pa.Table:
        """Ordered by the time alone, then taken: whole rows would be sorted, which takes seconds."""
        from lance.dataset import ColumnOrdering

        where = pc.field(column).is_null() if value is None else pc.field(column) == value
        options: dict[str, Any] = {"columns": ["startedAt"], "filter": where, "with_row_id": True}
        if SPANS.columns[column].identifier and value is not None:  # few rows: Arrow sorts them sooner than Lance
            found = self._dataset.scanner(**options).to_table().sort_by([("startedAt", "descending")]).slice(0, LIMIT)
        else:
            newest = ColumnOrdering("startedAt", ascending=False)
            found = self._dataset.scanner(**options, order_by=[newest], limit=LIMIT).to_table()
        return self._take(found, SPANS.light)

    def page(self, moment: datetime) -> pa.Table:
        """Ordered by the time alone, then taken."""
        from lance.dataset import ColumnOrdering

        where = pc.field("startedAt") <= pa.scalar(moment, SPANS.schema.field("startedAt").type)
        newest = ColumnOrdering("startedAt", ascending=False)
        options: dict[str, Any] = {"columns": ["startedAt"], "filter": where, "with_row_id": True}
        return self._take(self._dataset.scanner(**options, order_by=[newest], limit=LIMIT).to_table(), SPANS.light)

    def trace(self, trace: str) -> pa.Table:
        """By its index; rows are taken, which is faster than reading them by the filter."""
        found = self._dataset.scanner([], pc.field("traceId") == trace, with_row_id=True).to_table()
        return self._take(found, SPANS.columns).sort_by([("startedAt", "ascending"), ("spanId", "ascending")])

    def _take(self, found: pa.Table, columns: Any) -> pa.Table:
        return self._dataset._take_rows(found.column("_rowid").to_pylist(), columns=list(columns))

    def hourly(self) -> pa.Table:
        """Read by Lance, added up by DuckDB: Lance itself has no exact quantiles."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        columns = ["name", "startedAt", "outputTokens", "cost"]
        connection.register("spans", self._dataset.scanner(columns).to_reader())
        return connection.sql(_HOURLY).to_arrow_table()


class PlainClickHouse:
    """A MergeTree ordered by time with Bloom filters, in a database of its own beside that of the store."""

    database = "plain"

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    @cached_property
    def _client(self) -> Any:
        from clickhouse_connect import get_client

        return get_client(**self._options, autogenerate_session_id=False)

    def fill(self, rows: pa.Table) -> None:
        """One insert. Granules are of the size that the store has, which is better for look-ups than the usual one."""
        from colonnade.engine.stores.clickhouse.layout import plain_type

        lines = []
        for column in SPANS.columns.values():
            kind = plain_type(column)
            lines.append(f"`{column.name}` {f'LowCardinality({kind})' if column.name in ('name', 'scope') else kind}")
        lines += [f"INDEX `by_{name}` `{name}` TYPE bloom_filter(0.001) GRANULARITY 1" for name in floors.INDEXED]
        self._client.command(f"CREATE DATABASE {self.database}")
        self._client.command(
            f"CREATE TABLE {self.database}.spans ({', '.join(lines)}) ENGINE = MergeTree "
            "ORDER BY (startedAt, traceId, spanId) SETTINGS index_granularity = 1024"
        )
        self._client.insert_arrow("spans", rows, database=self.database)

    def _ask(self, sql: str, value: str | int | None = None, **settings: int) -> pa.Table:
        return self._client.query_arrow(sql, {"value": value}, {"database": self.database, **settings})

    def latest(self, column: str, value: str | None) -> pa.Table:
        """Read from the end, in small blocks, and not ahead: what helps most, of what was tried."""
        where = f'"{column}" IS NULL' if value is None else f'"{column}" = {{value:String}}'
        sql = f"SELECT {LIGHT} FROM spans WHERE {where} {LATEST}"
        return self._ask(sql, value, max_block_size=1024, read_in_order_use_buffering=0)

    def page(self, moment: datetime) -> pa.Table:
        """Read from where it is, in small blocks."""
        sql = f"SELECT {LIGHT} FROM spans WHERE startedAt <= fromUnixTimestamp64Micro({{value:Int64}}, 'UTC') {LATEST}"
        return self._ask(sql, floors.micros(moment), max_block_size=1024, read_in_order_use_buffering=0)

    def trace(self, trace: str) -> pa.Table:
        """By its Bloom filter."""
        return self._ask("SELECT * FROM spans WHERE traceId = {value:String} ORDER BY startedAt, spanId", trace)

    def hourly(self) -> pa.Table:
        """In one statement."""
        return self._ask(
            "SELECT name, toStartOfHour(startedAt) AS hour, count() AS calls, "
            "quantileExactInclusive(0.95)(outputTokens) AS p95, sum(cost) AS cost "
            "FROM spans GROUP BY name, hour ORDER BY name, hour"
        )


class PlainPostgres:
    """A table with the same indexes, in a schema of its own beside that of the store, asked by psycopg."""

    schema = "plain"

    def __init__(self, address: str) -> None:
        self._address = address

    @cached_property
    def _connection(self) -> Any:
        import psycopg

        return psycopg.connect(self._address, autocommit=True, options="-c timezone=UTC -c jit=off")

    def fill(self, rows: pa.Table) -> None:
        """One COPY, then the indexes."""
        from colonnade.engine.stores.postgres import bulk
        from colonnade.engine.stores.postgres.layout import type_of

        columns = ", ".join(f'"{name}" {type_of(SPANS, name)}' for name in SPANS.columns)
        self._connection.execute(f"CREATE SCHEMA {self.schema}; CREATE TABLE {self.schema}.spans ({columns})")
        with self._connection.cursor().copy(f"COPY {self.schema}.spans FROM STDIN (FORMAT csv)") as copy:
            for piece in bulk.csv(rows):
                copy.write(piece)
        for name in floors.INDEXED:
            self._connection.execute(f'CREATE INDEX ON {self.schema}.spans ("{name}", "startedAt" DESC)')
        self._connection.execute(f'CREATE INDEX ON {self.schema}.spans ("startedAt" DESC)')
        self._connection.execute(f"VACUUM ANALYZE {self.schema}.spans")

    def _ask(self, sql: str, *values: str | datetime) -> pa.Table:
        found = self._connection.execute(sql.replace("FROM spans", f"FROM {self.schema}.spans"), values, binary=True)
        names = [column.name for column in found.description]
        return pa.table([pa.array(values) for values in zip(*found.fetchall(), strict=True)], names)

    def latest(self, column: str, value: str | None) -> pa.Table:
        """From the end of an index."""
        where = f'"{column}" IS NULL' if value is None else f'"{column}" = %s'
        return self._ask(f"SELECT {LIGHT} FROM spans WHERE {where} {LATEST}", *([] if value is None else [value]))

    def page(self, moment: datetime) -> pa.Table:
        """From within an index."""
        return self._ask(f'SELECT {LIGHT} FROM spans WHERE "startedAt" <= %s {LATEST}', moment)

    def trace(self, trace: str) -> pa.Table:
        """By its index."""
        return self._ask('SELECT * FROM spans WHERE "traceId" = %s ORDER BY "startedAt", "spanId"', trace)

    def hourly(self) -> pa.Table:
        """In one statement."""
        return self._ask(
            "SELECT name, date_trunc('hour', \"startedAt\") AS hour, count(*) AS calls, "
            'percentile_cont(0.95) WITHIN GROUP (ORDER BY "outputTokens") AS p95, sum(cost) AS cost '
            "FROM spans GROUP BY 1, 2 ORDER BY 1, 2"
        )
