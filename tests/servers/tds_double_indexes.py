"""T-SQL's indexes as SQLite's, for the TDS double, with the size that SQL Server allows a key."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp

from tests.servers.tds_double_catalog import TableInfo
from tests.servers.tds_double_changes import Changes, Compiled
from tests.servers.tds_double_sources import quoted
from tests.servers.tds_double_typed import Typed
from tests.servers.tds_double_types import TEXTS
from tests.servers.tds_double_values import error

CLUSTERED, NONCLUSTERED = 900, 1700
"""Bytes that a key may have."""
THE_OBJECT: Final = '(SELECT object_id FROM "double.objects" WHERE full_name = {name})'


def literal(value: Any) -> str:
    return (
        "NULL" if value is None else str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
    )


class Indexes(Changes):
    """Statements that make indexes."""

    def full(self, node: exp.Expr) -> str:
        assert isinstance(node, exp.Table)
        return f"{(node.db or 'dbo').lower()}.{node.name.lower()}"

    def create_index(self, node: exp.Create) -> Compiled:
        index = node.this
        info = self.tables.get(self.full(index.args["table"]))
        if info is None:
            raise error(1088, f'Cannot find the object "{index.args["table"].sql("tsql")}".')
        given = index.args["params"]
        key = [(self.key_name(term), bool(term.args.get("desc"))) for term in given.args["columns"]]
        where = given.args.get("where")
        if where is not None:
            self.scopes.append({"": {n: Typed(quoted(c.name), c.kind) for n, c in info.columns.items()}})
            where = self.condition(where.this)
        included = [each.name for each in given.args.get("include") or ()]
        unique = bool(node.args.get("unique"))
        made = self.index(info, index.name, key, included, unique=unique, primary=False, clustered=False, where=where)
        return Compiled("DDL", made[0], after=tuple(made[1:]))

    def index(
        self,
        info: TableInfo,
        name: str,
        key: list[tuple[str, bool]],
        included: list[str],
        *,
        unique: bool,
        primary: bool,
        clustered: bool,
        where: str | None,
    ) -> list[str]:
        the = THE_OBJECT.format(name=literal(info.name))
        number = f'(SELECT count(*) + 1 FROM "double.indexes" WHERE object_id = {the})'
        last = f'(SELECT max(index_id) FROM "double.indexes" WHERE object_id = {the})'
        flags = f"{int(unique)}, {int(primary)}, {1 if clustered else 2}, {literal(where)}"
        made = [f'INSERT INTO "double.indexes" VALUES ({the}, {number}, {literal(name)}, {flags})']
        columns = [(each, place, down, 0) for place, (each, down) in enumerate(key, 1)]
        columns += [(each, 0, False, 1) for each in included]
        for place, (each, ordinal, down, extra) in enumerate(columns, 1):
            column = info.columns.get(each.lower())
            if column is None:
                raise error(1911, f"Column name '{each}' does not exist in the target table or view.")
            if not extra and column.size == -1 and column.kind in (*TEXTS, "varbinary"):
                raise error(
                    1919, f"Column '{each}' in table '{info.name}' is of a type that is invalid for use as a key."
                )
            of = f'(SELECT column_id FROM "double.columns" WHERE object_id = {the} AND name = {literal(each)})'
            made.append(
                f'INSERT INTO "double.index_columns" '
                f"VALUES ({the}, {last}, {place}, {ordinal}, {of}, {int(down)}, {extra})"
            )
        physical = quoted(f"{info.name}.{name}")
        listed = ", ".join(f"{quoted(each)} {'DESC' if down else 'ASC'}" for each, down in key)
        only = f" WHERE {where}" if where else ""
        made.insert(0, f"CREATE {'UNIQUE ' if unique else ''}INDEX {physical} ON {quoted(info.name)} ({listed}){only}")
        limit = CLUSTERED if clustered else NONCLUSTERED
        if any(info.columns[each.lower()].size * 2 > limit // 2 for each, _ in key):
            made += self._guards(info, name, [each for each, _ in key], limit)
        return made

    def _guards(self, info: TableInfo, name: str, key: list[str], limit: int) -> list[str]:
        """Triggers that refuse what makes an entry of the index too long (error 1946)."""
        sizes = ", ".join(f"NEW.{quoted(each)}, '{info.columns[each.lower()].kind}'" for each in key)
        raised = f"SELECT RAISE(ABORT, '1946 The index entry exceeds the maximum length of {limit} bytes.')"
        return [
            f"CREATE TRIGGER {quoted(f'{info.name}.{name}.{when}')} AFTER {when} ON {quoted(info.name)} "
            f"WHEN key_size({sizes}) > {limit} BEGIN {raised}; END"
            for when in ("INSERT", "UPDATE")
        ]

    def key_name(self, term: exp.Expr) -> str:
        return term.this.name if isinstance(term, exp.Ordered) else term.name
