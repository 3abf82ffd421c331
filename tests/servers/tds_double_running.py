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
from tests.servers.tds_double_statements import compiled, condition
from tests.servers.tds_double_transactions import Transactions
from tests.servers.tds_double_values import error
from tests.servers.tds_double_wire import Count, Rows, column


class Running(Transactions):
    """Statements in SQLite."""

    def tables(self) -> dict[str, TableInfo]:
        """The tables as this session sees them."""
        if self.changed_tables:
            return tables(self.connection)
        version = schema_version(self.connection)
        if version not in self.database.tables:
            self.database.tables[version] = tables(self.connection)
        return self.database.tables[version]

    def _compiled(self, text: str, node: exp.Expr) -> Compiled:
        if self.changed_tables:
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
        self.prepare(made)
        return self._execute(made.sql).fetchall()

    def run_compiled(self, text: str, node: exp.Expr) -> None:
        """Run a statement that reads or changes."""
        made = self._compiled(text, node)
        try:
            self.prepare(made)
            self._do(made)
        except BaseException:
            if self.trancount == 0:
                self.end("ROLLBACK")
            raise
        if self.trancount == 0:
            self.end("COMMIT")

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
        self.changed_tables = True
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
