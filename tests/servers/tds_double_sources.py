"""What a T-SQL statement reads from, for the TDS double: tables, rows of values, OPENJSON, and queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlglot import exp

from tests.servers.tds_double_calls import Calls
from tests.servers.tds_double_typed import Typed, refuse, syntax
from tests.servers.tds_double_types import type_of
from tests.servers.tds_double_values import error

_LASTING: Final = frozenset({"UPDLOCK", "HOLDLOCK", "XLOCK", "TABLOCKX", "SERIALIZABLE", "REPEATABLEREAD"})


def quoted(name: str) -> str:
    """A name in SQLite."""
    return '"' + name.replace('"', '""') + '"'


class Sources(Calls):
    """FROM and its joins."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._known: dict[str, list[Typed]] = {}
        """Common table expressions."""

    def _renamed(self, columns: list[Typed], names: Sequence[str]) -> list[Typed]:
        return [replace(column, name=name) for column, name in zip(columns, names, strict=True)] if names else columns

    def _sources(self, node: exp.Expr) -> str:
        first = node.args.get("from_")
        if first is None:
            return ""
        text = " FROM " + self.source(first.this)
        for join in (*(first.this.args.get("joins") or ()), *(node.args.get("joins") or ())):
            text += self._join(join)
        return text

    def _join(self, join: exp.Join) -> str:
        of = join.this
        if isinstance(of, exp.Lateral):
            if not isinstance(of.this, exp.OpenJSON):
                raise refuse("APPLY of anything but OPENJSON")
            outer = " LEFT JOIN " if of.args.get("cross_apply") is False else " JOIN "
            return f"{outer}{self._open_json(of.this, of.alias)} ON 1"
        side = join.side.upper()
        source = self.source(of)
        condition = join.args.get("on")
        on = f" ON {self.condition(condition)}" if condition is not None else ""
        return f" {side + ' ' if side else ''}{'CROSS ' if not on else ''}JOIN {source}{on}"

    def source(self, node: exp.Expr) -> str:
        """What stands after FROM; its columns can be read from then on."""
        match node:
            case exp.Table() if isinstance(node.this, exp.OpenJSON):
                return self._open_json(node.this, node.alias)
            case exp.Table():
                return self._table(node)
            case exp.Values():
                return self._values(node)
            case exp.Subquery():
                names = [column.name for column in node.args["alias"].columns] if node.args.get("alias") else []
                if not node.alias:
                    raise syntax(")")
                text, columns = self.query(node.this, names)
                columns = self._renamed(columns, names)
                if not all(column.name for column in columns):
                    raise error(8155, f"No column name was specified for a column of '{node.alias}'.")
                self._see(node.alias, columns)
                return f"({text}) AS {quoted(node.alias)}"
        raise refuse(node.sql("tsql"))

    def _see(self, alias: str, columns: Sequence[Typed]) -> None:
        """Columns of what is called ``alias`` can be read."""
        self.scopes[-1][alias.lower()] = {
            column.name.lower(): replace(column, sql=f"{quoted(alias)}.{quoted(column.name)}", explicit=False)
            for column in columns
        }

    def _table(self, node: exp.Table) -> str:
        alias = node.alias or node.name
        for hint in node.args.get("hints") or ():
            words = {each.name.upper() for each in hint.expressions}
            self.locks = self.locks or bool(words & _LASTING)
        if not node.db and node.name.lower() in self._known:
            self._see(alias, self._known[node.name.lower()])
            return f"{quoted(node.name)} AS {quoted(alias)}"
        name = f"{node.db or 'dbo'}.{node.name}"
        info = self.tables.get(name.lower())
        if info is None:
            raise error(208, f"Invalid object name '{name}'.")
        columns = [Typed("", each.kind, each.size, each.collation, name=each.name) for each in info.columns.values()]
        self._see(alias, columns)
        return f"{quoted(info.name)} AS {quoted(alias)}"

    def _values(self, node: exp.Values) -> str:
        names = [column.name for column in node.args["alias"].columns]
        rows = [[self.value(each) for each in row.expressions] for row in node.expressions]
        columns = [
            replace(self.merged("", column), name=name)
            for name, column in zip(names, zip(*rows, strict=True), strict=True)
        ]
        self._see(node.alias, columns)
        text = ", ".join(f"({', '.join(each.sql for each in row)})" for row in rows)
        listed = ", ".join(f"column{place} AS {quoted(name)}" for place, name in enumerate(names, 1))
        return f"(SELECT {listed} FROM (VALUES {text})) AS {quoted(node.alias)}"

    def _open_json(self, node: exp.OpenJSON, alias: str) -> str:
        alias = alias or "openjson"
        text, path = self.value(node.this).sql, self.path(node.args.get("path") or None)
        given = node.expressions
        if given:
            names = [each.name for each in given]
            types = [type_of(each.args["kind"]) for each in given]
            places = [each.args["path"].name if each.args.get("path") else f"$.{each.name}" for each in given]
            columns = [
                [place, kind, size, bool(each.args.get("as_json"))]
                for each, place, (kind, size) in zip(given, places, types, strict=True)
            ]
            call = f"open_json_as({text}, {path}, '{json.dumps(columns).replace(chr(39), chr(39) * 2)}')"
        else:
            names, types = ["key", "value", "type"], [("nvarchar", 4000), ("nvarchar", -1), ("int", -1)]
            call = f"open_json({text}, {path})"
        read: dict[str, Typed] = {}
        for place, (name, (kind, size)) in enumerate(zip(names, types, strict=True)):
            value = f"json_extract({quoted(alias)}.value, '$[{place}]')"
            value = f"as_type({value}, 'float')" if kind == "float" else value
            value = f"unhex_({value})" if kind == "varbinary" else value
            by = (
                "code_units" if name == "key" and not given else "any_case" if kind in ("nvarchar", "varchar") else None
            )
            read[name.lower()] = Typed(value, kind, size, by, name=name)
        self.scopes[-1][alias.lower()] = read
        return f"json_each({call}) AS {quoted(alias)}"
