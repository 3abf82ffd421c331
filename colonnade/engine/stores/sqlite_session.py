"""Plans on one SQLite connection, which somebody else opens, gives turns to and closes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import ClassVar, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.dialect import SQLITE
from colonnade.engine.plan import TRUE, Delete, Patch, Put, Scan, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.sqlite_values import arrow_rows, bound, few_rows, tuples
from colonnade.engine.statements import Statements
from colonnade.engine.store import Store
from colonnade.errors import ColonnadeError, Conflict, NotAStore, StoreError, StoreReadOnly
from colonnade.schemas.table import Table

ABILITIES: Final = Abilities(
    transactions=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(SQLITE.functions or ()),
    patch=True,
    delete=True,
)
_BATCH: Final = 8_192
_STATEMENTS: Final = Statements(SQLITE, bound)


class Session(Store):
    """Plans on one connection."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = True

    def __init__(self, connection: sqlite3.Connection, label: str) -> None:
        self.connection = connection
        self.label = label

    def _run(self, statement: Statement) -> sqlite3.Cursor:
        try:
            return self.connection.execute(statement.sql, statement.parameters)
        except sqlite3.DatabaseError as error:
            raise translation(error, self.label) from error

    def scan(self, plan: Scan) -> pa.Table:
        """``SELECT``, column by column into Arrow."""
        found = self._run(_STATEMENTS.of(plan)).fetchall()
        return few_rows(found, plan) if plan.few else arrow_rows(found, plan.schema)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream."""
        cursor = self._run(_STATEMENTS.of(plan))
        while rows := cursor.fetchmany(_BATCH):
            yield from arrow_rows(rows, plan.schema).to_batches()

    def summarize(self, plan: Summarize) -> pa.Table:
        """``SELECT`` with ``GROUP BY``."""
        try:
            return arrow_rows(self._run(Renderer(SQLITE, bound).summarize(plan)).fetchall(), fold.summary_schema(plan))
        except StoreError as error:
            if "integer overflow" not in str(error):
                raise
            # A sum of whole numbers left 64 bits, if only on its way: the fold adds them up exactly, or refuses.
            return fold.summarize(replace(plan, where=TRUE), self.scan(Scan(plan.table, plan.where)))

    def put(self, plan: Put) -> int:
        """``INSERT ... ON CONFLICT``, row by row, within a transaction."""
        if plan.expect is not None:
            keys = plan.data.select(list(plan.table.key))
            stored = pa.concat_tables(
                self.scan(Scan(plan.table, by_key(plan.table, part), columns=tuple(plan.expect.column_names)))
                for part in _parts(keys)
            )
            if not fold.is_unchanged(plan, stored):
                raise Conflict(f"rows of {plan.table.name} changed since they were read")
        try:
            self.connection.executemany(_upsert(plan.table), tuples(plan.data))
        except sqlite3.DatabaseError as error:
            raise translation(error, self.label) from error
        return int(plan.data.num_rows)

    def patch(self, plan: Patch) -> int:
        """``UPDATE``."""
        return self._run(_STATEMENTS.of(plan)).rowcount

    def delete(self, plan: Delete) -> int:
        """``DELETE``."""
        return self._run(_STATEMENTS.of(plan)).rowcount


@cache
def _upsert(table: Table) -> str:
    return Renderer(SQLITE).put_values(table, [[None] * len(table.columns)]).sql


def _parts(data: pa.Table, size: int = 500) -> Iterator[pa.Table]:
    # An OR of very many keys would be too deep for SQLite's parser.
    yield from (data.slice(at, size) for at in range(0, max(data.num_rows, 1), size))


@contextmanager
def translated(label: str) -> Iterator[None]:
    """SQLite's errors as ours: a lock that was not to be had is ``Conflict``, the rest ``StoreError``."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise translation(error, label) from error


def translation(error: sqlite3.DatabaseError, label: str) -> ColonnadeError:
    """The error that is raised in its place."""
    said = str(error)
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in said or "busy" in said:
            return Conflict(f"{label}: {said}")
        if "readonly" in said or "unable to open" in said:
            return StoreReadOnly(f"{label} cannot be written: {said}")
    elif "not a database" in said:
        return NotAStore(f"{label} is no SQLite database; it was left as it is")
    return StoreError(f"{label}: {said}")
