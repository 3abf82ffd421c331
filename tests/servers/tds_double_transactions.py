"""Transactions of the TDS double: those of SQL Server, in SQLite, where one at a time can change a database."""

from __future__ import annotations

from typing import Any

from pysqlbridge.tds.result import QueryError

from tests.servers.tds_double_changes import Compiled
from tests.servers.tds_double_databases import Database
from tests.servers.tds_double_functions import Refusals
from tests.servers.tds_double_locks import PATIENCE
from tests.servers.tds_double_values import error
from tests.servers.tds_double_wire import Answer

_WRITING = "writing"
"""The lock of whoever changes a database: one at a time."""
_OF_COMPUTED = frozenset(
    (
        *("ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT"),
        *("CONCAT_NULL_YIELDS_NULL", "QUOTED_IDENTIFIER"),
    )
)
"""Options that have to be ON where indexes on computed columns are made or kept. To DB-Library they are OFF."""


class Transactions:
    """A connection to SQLite with the state of a session."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.refusals = Refusals()
        self.connection = database.connect(self.refusals)
        self.variables: dict[str, Any] = {}
        self.types: dict[str, tuple[str, int]] = {}
        self.answers = Answer()
        self.held: set[str] = set()
        """Locks of sp_getapplock that end with the transaction."""
        self.session_locks: set[str] = set()
        """Those that end with the session."""
        self.trying = 0
        self._opened = False
        self._writing = False
        self.changed_tables = False
        self.reset()

    def reset(self) -> None:
        """Be as a new connection is."""
        self.end("ROLLBACK")
        self.trancount = self.rowcount = 0
        self.isolation = "READ COMMITTED"
        self.xact_abort = self.nocount = self.implicit = False
        self.options: set[str] = set()
        self.lock_timeout = PATIENCE

    def close(self) -> None:
        """What is not committed is undone."""
        self.end("ROLLBACK")
        self.database.locks.release_all(self, self.session_locks)
        self.connection.close()

    @property
    def server_values(self) -> dict[str, Any]:
        """What @@ names stand for."""
        raise NotImplementedError

    def begin(self) -> None:
        """BEGIN TRANSACTION."""
        self.trancount += 1

    def commit(self) -> None:
        """COMMIT: the outermost one does it."""
        if self.trancount == 0:
            raise error(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.trancount -= 1
        if self.trancount == 0:
            self.end("COMMIT")

    def rollback(self) -> None:
        """ROLLBACK, of everything."""
        if self.trancount == 0:
            raise error(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.trancount = 0
        self.end("ROLLBACK")

    def undo_if_doomed(self, refused: QueryError) -> None:
        """Some errors end the transaction."""
        if self.trancount and (self.xact_abort or refused.number in (1205, 3960)):
            self.trancount = 0
            self.end("ROLLBACK")

    def end(self, how: str) -> None:
        if self._opened:
            self._opened = False
            try:
                self.connection.execute(how)
            finally:
                if self.changed_tables:
                    self.changed_tables = False
                    self.database.compiled.clear()
                    self.database.tables.clear()
        if self._writing:
            self._writing = False
            self.database.locks.release_all(self, {_WRITING})
        if self.held:
            self.database.locks.release_all(self, self.held)
            self.held = set()

    def _to_write(self) -> None:
        if self._writing:
            return
        if (
            self.database.locks.acquire(self, _WRITING, self.lock_timeout if self.lock_timeout >= 0 else PATIENCE)
            is False
        ):
            raise error(1222, "Lock request time out period exceeded.")
        self._writing = True
        if not self._opened:
            self._opened = True
            self.connection.execute("BEGIN IMMEDIATE")

    def prepare(self, statement: Compiled) -> None:
        if statement.computed and not self.options >= _OF_COMPUTED:
            missing = ", ".join(sorted(_OF_COMPUTED - self.options))
            raise error(1934, f"Statement failed because these SET options have incorrect settings: '{missing}'.")
        if self.implicit and self.trancount == 0:
            self.begin()
        lasting = self.trancount > 0 and (statement.locks or self.isolation in ("SERIALIZABLE", "REPEATABLE READ"))
        if statement.writes or lasting:
            self._to_write()
        elif self.trancount and self.isolation == "SNAPSHOT" and not self._opened:
            self._opened = True
            self.connection.execute("BEGIN")
