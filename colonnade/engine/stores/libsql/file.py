"""A libSQL file, or memory. The file is SQLite's, and so is what opens it: the standard library's ``sqlite3``.

The package ``libsql`` would open it too, and hand back whole numbers beyond 2**53 as floats (ADR 021).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Plan, Scan
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served import setup
from colonnade.engine.sqlite_served.batches import Batch, Result, Steps, at_once
from colonnade.engine.sqlite_served.spelling import SERVED
from colonnade.engine.sqlite_served.steps import STREAMED, Place, Spelled
from colonnade.engine.store import Store
from colonnade.engine.stores.libsql import jsonb
from colonnade.engine.stores.libsql.server import ABILITIES
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.engine.stores.sqlite_session import translation

_SPELLED = Spelled(replace(SERVED, jsonb="text_of_jsonb"))


class FileSession(Store):
    """Plans on one connection."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, connection: sqlite3.Connection, label: str) -> None:
        self.connection = connection
        self.label = label

    def steps(self, steps: Steps[Any]) -> Any:
        """Run steps."""
        return at_once(steps, self._batch)

    def _batch(self, batch: Batch) -> list[Result]:
        if len(batch.statements) == 1 or self.connection.in_transaction:
            return [self._run(each) for each in batch.statements]
        try:
            self.connection.execute("BEGIN IMMEDIATE" if batch.writes else "BEGIN")
            with self.connection:  # commits, or undoes it all on an error
                return [self._run(each) for each in batch.statements]
        except sqlite3.DatabaseError as error:
            raise translation(error, self.label) from error

    def _run(self, statement: Statement) -> Result:
        try:
            cursor = self.connection.execute(statement.sql, statement.parameters)
            return Result(cursor.fetchall(), max(cursor.rowcount, 0))
        except sqlite3.DatabaseError as error:
            raise translation(error, self.label) from error

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        return self.steps(_SPELLED.steps_of(plan))


class LibSQLFile(SQLiteStore):
    """A file, for any number of threads and processes, or memory, for any number of threads."""

    abilities: ClassVar[Abilities] = ABILITIES
    few: ClassVar[bool] = False

    def __init__(self, path: Path | None, label: str) -> None:
        # Each memory has a name, by which all connections of this process find it.
        self._memory = f"file:/colonnade-{uuid4()}?vfs=memdb" if path is None else None
        super().__init__(Path(label) if path is None else path)
        self.label = label
        # It lasts as long as anybody is connected with it, and threads end.
        self._anchor = (
            None if self._memory is None else sqlite3.connect(self._memory, uri=True, check_same_thread=False)
        )

    def _address(self) -> tuple[str, bool]:
        return super()._address() if self._memory is None else (self._memory, True)

    def equip(self, connection: sqlite3.Connection) -> None:
        """Give a connection what reads binary JSON, which an older SQLite cannot."""
        connection.create_function("text_of_jsonb", 1, jsonb.text_of, deterministic=True)

    def session_on(self, connection: sqlite3.Connection) -> Store:
        """What runs plans on a connection."""
        return FileSession(connection, self.label)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The rows of a scan; page by page where any order will do."""
        if plan.complete_order:
            yield from self.execute(plan).to_batches()
            return
        place: Place | None = Place(STREAMED)
        while place is not None:
            with self._session() as session:
                assert isinstance(session, FileSession)
                page, place = session.steps(_SPELLED.next_page(plan, place))
            yield from page.to_batches()

    def init(self) -> None:
        """Make what is missing of Mastra's tables and ours."""
        # Whoever comes at the same time waits for this one's transaction.
        with self.transaction() as session:
            assert isinstance(session, FileSession)
            session.steps(setup.steps(self.label, SERVED))

    def close(self) -> None:
        """Close every connection; a memory is gone with the last."""
        super().close()
        if self._anchor is not None:
            self._anchor.close()
