"""User SQL over an embedded folder: a database of its own that sees segments, fresh rows and state tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import Scan
from colonnade.engine.relational import create_view
from colonnade.engine.stores.embedded.columnar import ColumnarStore
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.segments import connect, quoted
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.errors import QueryError
from colonnade.schemas import READINGS, STORED

_BATCH = 65_536


def ask(
    columnar: ColumnarStore, state: SQLiteStore, query: str, parameters: list[Any] | Mapping[str, Any] | None
) -> pa.RecordBatchReader:
    """Run a query that has been checked; the database it runs on can reach no file once it is set up."""
    connection = connect()
    try:
        attached: dict[str, str] = {}
        for table in TABLES.values():
            picture = columnar.picture(table)
            for segment in picture.manifest.segments:
                if segment.file not in attached:
                    attached[segment.file] = f"s{len(attached)}"
                    path = columnar.folder.segments / segment.file
                    connection.execute(f"ATTACH '{quoted(path)}' AS {attached[segment.file]} (READ_ONLY)")
            for name, relation in picture.relations().items():
                connection.register(f"{table.name}_{name}", relation)
            connection.register(f"fresh_{table.name}", picture.fresh)
            columns = ", ".join(map(DUCKDB.ident, table.columns))
            sources = [*picture.sources(attached, prefix=f"{table.name}_"), f"fresh_{table.name}"]
            union = " UNION ALL ".join(f"SELECT {columns} FROM {source}" for source in sources)
            connection.execute(f"CREATE TEMP VIEW {DUCKDB.ident(table.name)} AS {union}")
        lowered = query.lower()
        for table in STORED:
            if table.name not in {each.name for each in TABLES.values()}:
                # State is small, but not so small as to be copied for a question that does not concern it.
                rows = state.scan(Scan(table)) if table.name in lowered else table.schema.empty_table()
                connection.register(table.name, rows)
        for reading in READINGS:
            connection.execute(create_view(DUCKDB, reading).replace("CREATE OR REPLACE", "CREATE TEMP", 1))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute("BEGIN TRANSACTION READ ONLY")
        reader = connection.sql(query, params=parameters or None).to_arrow_reader(_BATCH)
    except (duckdb.Error, ValueError) as error:
        connection.close()
        raise QueryError(str(error)) from None

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        finally:
            connection.close()

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
