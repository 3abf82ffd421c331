"""T-SQL's INSERT, UPDATE, DELETE and MERGE as SQLite's, for the TDS double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from tests.servers.tds_double_catalog import ColumnInfo, TableInfo
from tests.servers.tds_double_queries import Queries
from tests.servers.tds_double_sources import quoted
from tests.servers.tds_double_typed import Typed, refuse
from tests.servers.tds_double_values import error

MOST_ROWS = 1000
"""Rows in the VALUES of an INSERT."""


@dataclass(frozen=True)
class Merge:
    """A MERGE, row by row: what is read, how a row of the table is found, and what is done then."""

    source: str
    columns: tuple[str, ...]
    found: str
    update: str | None
    insert: str | None


@dataclass(frozen=True)
class Compiled:
    """A statement of SQLite."""

    command: str
    sql: str
    columns: list[Typed] = field(default_factory=list)
    locks: bool = False
    merge: Merge | None = None
    after: tuple[str, ...] = ()
    """Further statements, of DDL."""
    computed: bool = False
    """Whether it changes a table with computed columns, which are in its key."""

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.command != "SELECT"


class Changes(Queries):
    """Statements that change rows."""

    def select(self, node: exp.Expr) -> Compiled:
        """A SELECT by itself."""
        sql, columns = self.query(node)
        return Compiled("SELECT", sql, columns, locks=self.locks)

    def _target(self, node: exp.Expr) -> TableInfo:
        if not isinstance(node, exp.Table):
            raise refuse(node.sql("tsql"))
        name = f"{node.db or 'dbo'}.{node.name}"
        info = self.tables.get(name.lower())
        if info is None:
            raise error(208, f"Invalid object name '{name}'.")
        if info.is_view:
            raise refuse("changes of a view")
        self.computed = self.computed or any(column.computed for column in info.columns.values())
        return info

    def _see_target(self, info: TableInfo, alias: str) -> None:
        columns = [Typed("", each.kind, each.size, each.collation, name=each.name) for each in info.columns.values()]
        self._see(alias, columns)

    def _column_of(self, info: TableInfo, name: str) -> ColumnInfo:
        column = info.columns.get(name.lower())
        if column is None:
            raise error(207, f"Invalid column name '{name}'.")
        if column.computed:
            raise error(271, f'The column "{name}" cannot be modified because it is a computed column.')
        return column

    def _stored(self, value: Typed, column: ColumnInfo) -> str:
        if column.kind in ("varbinary", "binary") and value.kind in ("nvarchar", "varchar"):
            raise error(257, f"Implicit conversion from data type {value.kind} to {column.kind} is not allowed.")
        same = value.kind == column.kind and (value.size, column.size) == (-1, -1)
        if same or value.sql == "NULL":
            return value.sql
        return f"as_type({value.sql}, '{column.kind}', {column.size}, 1)"

    def insert(self, node: exp.Insert) -> Compiled:
        """INSERT of values or of what is selected."""
        into = node.this
        info = self._target(into.this if isinstance(into, exp.Schema) else into)
        named = [each.name for each in into.expressions] if isinstance(into, exp.Schema) else []
        columns = [
            self._column_of(info, name) for name in named or [c.name for c in info.columns.values() if not c.computed]
        ]
        listed = ", ".join(quoted(column.name) for column in columns)
        self.scopes.append({})
        of = node.expression
        if isinstance(of, exp.Values):
            if len(of.expressions) > MOST_ROWS:
                raise error(10738, "The number of row value expressions in the INSERT statement exceeds 1000.")
            rows = []
            for row in of.expressions:
                if len(row.expressions) != len(columns):
                    raise error(110, "There are fewer or more columns in the INSERT statement than values specified.")
                stored = map(self._stored, map(self.value, row.expressions), columns)
                rows.append(f"({', '.join(stored)})")
            source = f"VALUES {', '.join(rows)}"
        elif of is not None:
            names = [f"c{place}" for place in range(len(columns))]
            text, found = self.query(of, names)
            if len(found) != len(columns):
                raise error(
                    121, "The select list for the INSERT statement contains more or fewer items than the insert list."
                )
            typed = [Typed(quoted(name), each.kind, each.size) for name, each in zip(names, found, strict=True)]
            source = f"SELECT {', '.join(map(self._stored, typed, columns))} FROM ({text}) WHERE 1"
        else:
            source = "DEFAULT VALUES"
        sql = f"INSERT INTO {quoted(info.name)} ({listed}) {source}"
        self.scopes.pop()
        return self._returning(node, info, Compiled("INSERT", sql), info.name.split(".")[1])

    def _returning(self, node: exp.Expr, info: TableInfo, made: Compiled, alias: str) -> Compiled:
        output = node.args.get("returning")
        if output is None:
            return made
        which = "deleted" if made.command == "DELETE" else "inserted"
        chosen = []
        for each in output.expressions:
            inner = each.this if isinstance(each, exp.Alias) else each
            if not isinstance(inner, exp.Column) or inner.table.lower() != which:
                raise refuse(f"OUTPUT {each.sql('tsql')}")
            column = info.columns.get(inner.name.lower())
            if column is None:
                raise error(207, f"Invalid column name '{inner.name}'.")
            chosen.append(Typed(quoted(column.name), column.kind, column.size, name=each.alias_or_name))
        return Compiled(made.command, f"{made.sql} RETURNING {', '.join(each.sql for each in chosen)}", chosen)

    def update(self, node: exp.Update) -> Compiled:
        """UPDATE, also with FROM."""
        self.scopes.append({})
        info, alias, others = self._changed(node, node.this, node.args.get("from_"))
        changes = ", ".join(
            f"{quoted(column.name)} = {self._stored(self.value(each.expression), column)}"
            for each in node.expressions
            for column in (self._column_of(info, each.this.name),)
        )
        sql = f"UPDATE {quoted(info.name)} AS {quoted(alias)} SET {changes}{others}"
        self.scopes.pop()
        return self._returning(node, info, Compiled("UPDATE", sql), alias)

    def delete(self, node: exp.Delete) -> Compiled:
        """DELETE, also with joins."""
        self.scopes.append({})
        joins = node.this.args.get("joins")
        if joins:
            raise refuse("DELETE with joins")
        info, alias, where = self._changed(node, node.this, None)
        sql = f"DELETE FROM {quoted(info.name)} AS {quoted(alias)}{where}"
        self.scopes.pop()
        return self._returning(node, info, Compiled("DELETE", sql), alias)

    def _changed(self, node: exp.Expr, target: exp.Expr, source: exp.Expr | None) -> tuple[TableInfo, str, str]:
        """The table, what it is called, and the FROM and WHERE."""
        conditions, text = [], ""
        if source is not None:
            first = source.this
            joins = [*(first.args.get("joins") or ()), *(node.args.get("joins") or ())]
            if first.alias_or_name.lower() != target.name.lower() and first.name.lower() != target.name.lower():
                raise refuse("UPDATE whose FROM does not begin with the table itself")
            info, alias = self._target(first), first.alias or first.name
            self._see_target(info, alias)
            others = []
            for join in joins:
                if join.side:
                    raise refuse("UPDATE with an outer join")
                others.append(self.source(join.this))
                if join.args.get("on") is not None:
                    conditions.append(self.condition(join.args["on"]))
            text = f" FROM {', '.join(others)}" if others else ""
        else:
            info, alias = self._target(target), target.alias or target.name
            self._see_target(info, alias)
        if node.args.get("where"):
            conditions.append(self.condition(node.args["where"].this))
        return info, alias, text + (f" WHERE {' AND '.join(conditions)}" if conditions else "")

    def merge(self, node: exp.Merge) -> Compiled:
        """MERGE with one WHEN MATCHED THEN UPDATE and one WHEN NOT MATCHED THEN INSERT, or one of them."""
        info, alias = self._target(node.this), node.this.alias or node.this.name
        using = node.args["using"]
        self.scopes.append({})
        self.source(using)
        columns = self.scopes.pop()[using.alias.lower()]
        names = tuple(columns)
        listed = ", ".join(f"{column.sql} AS {quoted(name)}" for name, column in columns.items())
        self.scopes.append({})
        source = f"SELECT {listed} FROM {self.source(using)}"
        self.scopes.pop()
        self.scopes.append({})
        self._see_target(info, alias)
        row = {n: Typed(f":row_{i}", c.kind, c.size, c.collation, name=n) for i, (n, c) in enumerate(columns.items())}
        self.scopes[-1][using.alias.lower()] = row
        on, update, insert = self.condition(node.args["on"]), None, None
        for when in node.args["whens"].expressions:
            if when.args.get("source"):
                raise refuse("WHEN NOT MATCHED BY SOURCE")
            also = when.args.get("condition")
            then = when.args["then"]
            if when.args["matched"] and isinstance(then, exp.Update) and update is None:
                only = f" AND {self.condition(also)}" if also is not None else ""
                update = f"UPDATE {quoted(info.name)} AS {quoted(alias)} SET {self._sets(info, then)}"
                update += f" WHERE {quoted(alias)}.rowid = :row_id{only}"
            elif not when.args["matched"] and isinstance(then, exp.Insert) and insert is None and also is None:
                insert = self._inserted(info, then)
            else:
                raise refuse(when.sql("tsql"))
        found = f"SELECT {quoted(alias)}.rowid FROM {quoted(info.name)} AS {quoted(alias)} WHERE {on}"
        self.scopes.pop()
        if node.args.get("returning") is not None:
            raise refuse("OUTPUT of MERGE")
        return Compiled("MERGE", source, merge=Merge(source, names, found, update, insert))

    def _sets(self, info: TableInfo, then: exp.Update) -> str:
        changes: Sequence[exp.Expr] = then.expressions
        return ", ".join(
            f"{quoted(column.name)} = {self._stored(self.value(each.expression), column)}"
            for each in changes
            for column in (self._column_of(info, each.this.name),)
        )

    def _inserted(self, info: TableInfo, then: exp.Insert) -> str:
        names = [each.name for each in then.this.expressions]
        columns = [self._column_of(info, name) for name in names]
        values = [self.value(each) for each in then.expression.expressions]
        if len(values) != len(columns):
            raise error(10709, "The number of columns for each row in a table value constructor must be the same.")
        listed = ", ".join(quoted(column.name) for column in columns)
        return f"INSERT INTO {quoted(info.name)} ({listed}) VALUES ({', '.join(map(self._stored, values, columns))})"
