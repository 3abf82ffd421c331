"""How the TDS double runs a statement in SQLite: in which transaction, and what its errors are in SQL Server."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_catalog import TableInfo, schema_version, tables
from tests.servers.tds_double_changes import Compiled, Merge
from tests.servers.tds_double_databases import Database
from tests.servers.tds_double_functions import Refusals
from tests.servers.tds_double_locks import PATIENCE
from tests.servers.tds_double_statements import compiled, condition
from tests.servers.tds_double_values import error
from tests.servers.tds_double_wire import Answer, Count, Rows, column

_WRITING = "writing"
"""The lock of whoever changes a database: one at a time."""


class Running:
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
        self._changed_tables = False
        self.reset()

    def reset(self) -> None:
        """Be as a new connection is."""
        self._end("ROLLBACK")
        self.trancount = self.rowcount = 0
        self.isolation = "READ COMMITTED"
        self.xact_abort = self.nocount = self.implicit = False
        self.lock_timeout = PATIENCE

    def close(self) -> None:
        """What is not committed is undone."""
        self._end("ROLLBACK")
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
            self._end("COMMIT")

    def rollback(self) -> None:
        """ROLLBACK, of everything."""
        if self.trancount == 0:
            raise error(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.trancount = 0
        self._end("ROLLBACK")

    def undo_if_doomed(self, refused: QueryError) -> None:
        """Some errors end the transaction."""
        if self.trancount and (self.xact_abort or refused.number in (1205, 3960)):
            self.trancount = 0
            self._end("ROLLBACK")

    def _end(self, how: str) -> None:
        if self._opened:
            self._opened = False
            try:
                self.connection.execute(how)
            finally:
                if self._changed_tables:
                    self._changed_tables = False
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

    def _prepare(self, statement: Compiled) -> None:
        if self.implicit and self.trancount == 0:
            self.begin()
        lasting = self.trancount > 0 and (statement.locks or self.isolation in ("SERIALIZABLE", "REPEATABLE READ"))
        if statement.writes or lasting:
            self._to_write()
        elif self.trancount and self.isolation == "SNAPSHOT" and not self._opened:
            self._opened = True
            self.connection.execute("BEGIN")

    def tables(self) -> dict[str, TableInfo]:
        """The tables as this session sees them."""
        if self._changed_tables:
            return tables(self.connection)
        version = schema_version(self.connection)
        if version not in self.database.tables:
            self.database.tables[version] = tables(self.connection)
        return self.database.tables[version]

    def _compiled(self, text: str, node: exp.Expr) -> Compiled:
        if self._changed_tables:
            return compiled(node, self.tables(), self.types)
        key = (schema_version(self.connection), f"{text}\0{self.types}")
        if key not in self.database.compiled:
            self.database.compiled[key] = compiled(node, self.tables(), self.types)
        return self.database.compiled[key]

    def holds(self, text: str) -> bool:
        """Whether the condition of an IF holds."""
        found = self._execute(f"SELECT {condition(text, self.tables())}").fetchone()[0]
        return bool(found)

    def evaluated(self, text: str, node: exp.Expr) -> Any:
        """The value of an expression."""
        if (
            isinstance(node, exp.Parameter)
            and isinstance(node.this, exp.Var)
            and node.this.name.lower() in self.variables
        ):
            return self.variables[node.this.name.lower()]
        return self.rows(f"{text}\0{node.sql('tsql')}", exp.Select(expressions=[node.copy()]))[0][0]

    def rows(self, text: str, node: exp.Expr) -> list[Any]:
        """What a SELECT gives."""
        made = self._compiled(text, node)
        self._prepare(made)
        return self._execute(made.sql).fetchall()

    def run_compiled(self, text: str, node: exp.Expr) -> None:
        """Run a statement that reads or changes."""
        made = self._compiled(text, node)
        try:
            self._prepare(made)
            self._do(made)
        except BaseException:
            if self.trancount == 0:
                self._end("ROLLBACK")
            raise
        if self.trancount == 0:
            self._end("COMMIT")

    def _execute(self, sql: str, more: dict[str, Any] | None = None) -> sqlite3.Cursor:
        try:
            return self.connection.execute(sql, {**self.server_values, **self.variables, **(more or {})})
        except (sqlite3.Error, OverflowError) as refused:
            raise self._refusal(refused) from refused

    def _do(self, made: Compiled) -> None:
        if made.command == "SELECT":
            rows = self._all(self._execute(made.sql))
            self._give(made, rows)
        elif made.command == "DDL":
            self._as_one(lambda: self._define(made))
            self.rowcount = 0
            self.answers.parts.append(Count("", None))
        elif made.merge is not None:
            merge = made.merge
            self._as_one(lambda: self._merge(merge))
            self._tell(made)
        else:
            cursor = self._execute(made.sql)
            if made.columns:
                self._give(made, self._all(cursor))
            else:
                self.rowcount = max(cursor.rowcount, 0)
                self._tell(made)

    def _all(self, cursor: sqlite3.Cursor) -> list[Any]:
        try:
            return cursor.fetchall()
        except (sqlite3.Error, OverflowError) as refused:
            raise self._refusal(refused) from refused

    def _give(self, made: Compiled, rows: Sequence[Sequence[Any]]) -> None:
        columns = [
            column(each.name, each.kind, [row[place] for row in rows] if each.kind is None else ())
            for place, each in enumerate(made.columns)
        ]
        self.rowcount = len(rows)
        self.answers.parts.append(Rows(columns, list(rows), made.command))

    def _tell(self, made: Compiled) -> None:
        self.answers.parts.append(Count(made.command, None if self.nocount else self.rowcount))

    def _as_one(self, steps: Any) -> None:
        """All or nothing of it, within a transaction too."""
        self.connection.execute("SAVEPOINT whole")
        try:
            steps()
        except BaseException:
            self.connection.execute("ROLLBACK TO whole")
            raise
        finally:
            self.connection.execute("RELEASE whole")

    def _define(self, made: Compiled) -> None:
        self._changed_tables = True
        for sql in (made.sql, *made.after) if not made.sql.startswith("CREATE TABLE") else self._in_order(made):
            self._execute(sql)

    def _in_order(self, made: Compiled) -> list[str]:
        """The object before its columns, and the table before its indexes."""
        return [made.after[0], made.sql, *made.after[1:]]

    def _merge(self, merge: Merge) -> None:
        changed: set[int] = set()
        added: set[int] = set()
        rows = self._all(self._execute(merge.source))
        for row in rows:
            given = {f"row_{place}": value for place, value in enumerate(row)}
            found = [rowid for (rowid,) in self._all(self._execute(merge.found, given)) if rowid not in added]
            if found and merge.update:
                for rowid in found:
                    if self._execute(merge.update, {**given, "row_id": rowid}).rowcount:
                        if rowid in changed:
                            raise error(8672, "The MERGE statement attempted to UPDATE the same row more than once.")
                        changed.add(rowid)
            elif not found and merge.insert:
                added.add(int(self._execute(merge.insert, given).lastrowid or 0))
        self.rowcount = len(changed) + len(added)

    def _refusal(self, refused: Exception) -> Any:
        if isinstance(refused, QueryError):
            return refused
        said = str(refused)
        if self.refusals.last is not None and "user-defined" in said:
            last, self.refusals.last = self.refusals.last, None
            if isinstance(last, QueryError):
                return last
            return QueryError(f"The TDS double: {type(last).__name__}: {last}", number=50000)
        if said.startswith("UNIQUE"):
            return self._not_unique(said)
        if said.startswith("NOT NULL"):
            name = said.rpartition(".")[2]
            return error(515, f"Cannot insert the value NULL into column '{name}'; column does not allow nulls.")
        if (number := re.match(r"(\d{4}) (.*)", said)) is not None:
            return error(int(number[1]), number[2])
        if "locked" in said or "busy" in said:
            return error(3960, "Snapshot isolation transaction aborted due to update conflict.")
        if "overflow" in said or isinstance(refused, OverflowError):
            return error(8115, "Arithmetic overflow error converting expression to data type bigint.")
        return QueryError(f"The TDS double's engine: {type(refused).__name__}: {said}", number=50000)

    def _not_unique(self, said: str) -> QueryError:
        columns = tuple(each.strip().rpartition(".")[2].lower() for each in said.partition(": ")[2].split(","))
        name = said.partition(": ")[2].split(",")[0].strip().rpartition(".")[0]
        info = self.tables().get(name.lower())
        if info is not None and info.key == columns:
            return error(2627, f"Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object '{name}'.")
        return error(2601, f"Cannot insert duplicate key row in object '{name}' with a unique index.")
