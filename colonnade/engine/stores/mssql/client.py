"""Statements on connections of a pool, with transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql.address import Place
from colonnade.engine.stores.mssql.batch import batch_of
from colonnade.engine.stores.mssql.driver import pymssql, translated
from colonnade.engine.stores.mssql.pool import Pool

_FETCHED: Final = 2_048
"""Rows of a stream that are fetched at a time."""

Rows = list[tuple[Any, ...]]


class Client:
    """Statements for a store, from any number of threads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.pool = Pool(place)

    def run(self, connection: Any, statement: Statement) -> Rows:
        """Run a statement; its rows, if it has any."""
        with translated(self.place):
            cursor = connection.cursor()
            cursor.execute(batch_of(statement))
            return cursor.fetchall() if cursor.description else []

    def stream(self, connection: Any, statement: Statement) -> Iterator[Rows]:
        """Run a statement; its rows as they come."""
        with translated(self.place):
            cursor = connection.cursor()
            cursor.execute(batch_of(statement))
        while True:
            with translated(self.place):
                rows = cursor.fetchmany(_FETCHED)
            if not rows:
                return
            yield rows

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection on which all that is done is one: committed at the end, undone on an error."""
        with self.pool.connection() as connection:
            usual = f"SET TRANSACTION ISOLATION LEVEL {self.pool.base(connection)}"
            cursor = connection.cursor()
            try:
                with translated(self.place):
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRANSACTION")
                yield connection
                with translated(self.place):
                    cursor.execute(f"COMMIT TRANSACTION; {usual}")
            except BaseException:
                with suppress(pymssql.Error):  # where the line is broken, the server undoes what was not committed
                    cursor.execute(f"IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; {usual}")
                raise

    def close(self) -> None:
        """Let go of the connections."""
        self.pool.close()
