"""LanceDB Cloud, and any other LanceDB that is reached by its own API: ``lancedb+db://database``.

A service shows no fragments and takes no commits of ours, so this store can do less than the one on folders and object
stores: it filters, upserts and deletes. Operations that read and then write what depends on it are refused, since
nothing would keep others out in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.plan import TRUE, Delete, Put, Scan
from colonnade.engine.store import Store
from colonnade.engine.stores.lance.spelling import Spelling
from colonnade.engine.stores.lance.tables import indexes, layout
from colonnade.errors import ColonnadeError, NotAStore, SchemaTooNew, StoreClosed, StoreError
from colonnade.schemas import STORED, VERSION
from colonnade.schemas.table import Table

_KEYS: Final = 500
"""So many keys are looked up at once: a condition is text, and text has a limit."""


class LanceCloudStore(Store):
    """The tables of a LanceDB connection."""

    abilities: ClassVar[Abilities] = Abilities(filters=True, delete=True)

    def __init__(self, connection: Any, label: str, secrets: tuple[str, ...] = ()) -> None:
        """``secrets`` are left out of all errors."""
        self.label = label
        self._connection = connection
        self._secrets = secrets
        self._tables: dict[str, Any] = {}

    def init(self) -> None:
        """Make the tables that are missing, with their indexes."""
        with self._translated():
            known = set(self._connected.list_tables(limit=1_000).tables)
            for table in STORED:
                if table.name not in known:
                    self._create(table)
                self._look_at(table)

    def _create(self, table: Table) -> None:
        made = self._connected.create_table(table.name, schema=layout(table), exist_ok=True)
        from lancedb.index import Bitmap, BTree

        for column, kind in indexes(table).items():
            made.create_index(column, config=BTree() if kind == "BTREE" else Bitmap())

    def _look_at(self, table: Table) -> None:
        metadata: Mapping[bytes, bytes] = self._table(table).schema.metadata or {}
        version = int(metadata.get(b"colonnade.version", b"0"))
        if not version:
            raise NotAStore(
                f"{self.label} has a table {table.name} that is not ours; give colonnade a place of its own"
            )
        if version > VERSION:
            raise SchemaTooNew(self.label, version, VERSION)

    def close(self) -> None:
        """Let go of the connection."""
        self._tables.clear()
        self._connection = None

    @property
    def _connected(self) -> Any:
        if self._connection is None:
            raise StoreClosed(f"{self.label} is closed; open it again with colonnade.open()")
        return self._connection

    def _table(self, table: Table) -> Any:
        if self._connection is None or table.name not in self._tables:
            self._tables[table.name] = self._connected.open_table(table.name)
        return self._tables[table.name]

    def scan(self, plan: Scan) -> pa.Table:
        """Rows where the filter holds, in no order."""
        with self._translated():
            query = self._table(plan.table).search().select(list(plan.projection))
            if plan.where != TRUE:
                query = query.where(Spelling().condition(plan.where))
            return query.limit(None).to_arrow().select(list(plan.projection)).cast(plan.schema)

    def put(self, plan: Put) -> int:
        """Upsert by key. Rows that have ended stay by a condition; what is written once is read first."""
        table, data = plan.table, fold.collapse(plan.table, plan.data)
        if table.once:
            data = fold.merged(table, self._stored(table, data), data)
        final = f"`{table.facts.final}`"
        condition = f"target.{final} IS NULL OR source.{final} IS NOT NULL" if table.facts.final else None
        with self._translated():
            merge = self._table(table).merge_insert(list(table.key)).when_matched_update_all(where=condition)
            merge.when_not_matched_insert_all().execute(data.cast(layout(table)))
        return int(plan.data.num_rows)

    def _stored(self, table: Table, data: pa.Table) -> pa.Table:
        columns = (*table.key, *table.once, *filter(None, [table.facts.final]))
        parts = [data.slice(start, _KEYS) for start in range(0, data.num_rows, _KEYS)]
        return pa.concat_tables([self.scan(Scan(table, by_key(table, part), columns=columns)) for part in parts])

    def delete(self, plan: Delete) -> int:
        """Delete, and count before."""
        with self._translated():
            table, where = self._table(plan.table), Spelling().condition(plan.where)
            found = int(table.count_rows(where))
            if found:
                table.delete(where)
            return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ColonnadeError:
            raise
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            said = str(error)
            for secret in self._secrets:
                said = said.replace(secret, "...")
            raise StoreError(f"{self.label}: {said}") from None
