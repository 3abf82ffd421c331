"""T-SQL's SELECT as SQLite's, for the TDS double, with what SQL Server refuses in one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_calls import Calls
from tests.servers.tds_double_expressions import Typed, refuse, syntax
from tests.servers.tds_double_types import type_of
from tests.servers.tds_double_values import error

_LASTING: Final = frozenset({"UPDLOCK", "HOLDLOCK", "XLOCK", "TABLOCKX", "SERIALIZABLE", "REPEATABLEREAD"})


def quoted(name: str) -> str:
    """A name in SQLite."""
    return '"' + name.replace('"', '""') + '"'


def _has_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.Subquery | exp.Window | exp.Exists):
        return False
    return isinstance(node, exp.AggFunc) or any(map(_has_aggregate, node.iter_expressions()))


class Queries(Calls):
    """SELECT, and what it reads from."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._known: dict[str, list[Typed]] = {}
        """Common table expressions."""

    def query(self, node: exp.Expr, names: Sequence[str] = ()) -> tuple[str, list[Typed]]:
        """A SELECT, whose columns can be given names."""
        match node:
            case exp.Subquery():
                return self.query(node.this, names)
            case exp.SetOperation():
                return self._both(node, names)
            case exp.Select():
                return self._select(node, names)
        raise refuse(node.sql("tsql"))

    def _both(self, node: exp.SetOperation, names: Sequence[str]) -> tuple[str, list[Typed]]:
        if node.args.get("order") or node.args.get("limit"):
            raise refuse("ORDER BY of a union")
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        left, columns = self.query(node.this, names)
        right, others = self.query(node.expression)
        if len(columns) != len(others):
            raise error(205, "All queries combined using a UNION must have an equal number of expressions.")
        every = " ALL" if isinstance(node, exp.Union) and not node.args.get("distinct") else ""
        merged = [
            replace(self.merged(one.sql, (one, other)), name=one.name)
            for one, other in zip(columns, others, strict=True)
        ]
        return f"SELECT * FROM ({left}) {word}{every} SELECT * FROM ({right})", merged

    def _select(self, node: exp.Select, names: Sequence[str]) -> tuple[str, list[Typed]]:
        before = dict(self._known)
        common = self._with(node)
        self.scopes.append({})
        try:
            source = self._sources(node)
            columns = [column for each in node.expressions for column in self._chosen(each)]
            where = f" WHERE {self.condition(node.args['where'].this)}" if node.args.get("where") else ""
            group = self._group(node)
            having = f" HAVING {self.condition(node.args['having'].this)}" if node.args.get("having") else ""
            paged = self._page(node, columns)
        finally:
            self.scopes.pop()
            self._known = before
        labels = names or [column.name or f"column{place}" for place, column in enumerate(columns)]
        text = ", ".join(f"{column.sql} AS {quoted(label)}" for column, label in zip(columns, labels, strict=True))
        distinct = "DISTINCT " if node.args.get("distinct") else ""
        sql = f"{common}SELECT {distinct}{text}{source}{where}{group}{having}"
        limit = node.args.get("limit")
        options = limit.args.get("limit_options") if isinstance(limit, exp.Limit) else None
        if options is not None and options.args.get("with_ties"):
            order, _, count = paged.partition(" LIMIT ")
            inner = sql.replace(f"SELECT {distinct}{text}", f"SELECT {text}, rank() OVER ({order.strip()}) AS place", 1)
            kept = ", ".join(map(quoted, labels))
            return f"SELECT {kept} FROM ({inner}) WHERE place <= {count}", columns
        return sql + paged, columns

    def _with(self, node: exp.Select) -> str:
        common = node.args.get("with_")
        if common is None:
            return ""
        parts = []
        for each in common.expressions:
            names = [column.name for column in each.args["alias"].columns]
            text, columns = self.query(each.this, names)
            self._known[each.alias.lower()] = self._renamed(columns, names)
            parts.append(f"{quoted(each.alias)} AS ({text})")
        return f"WITH {', '.join(parts)} "

    def _renamed(self, columns: list[Typed], names: Sequence[str]) -> list[Typed]:
        return [replace(column, name=name) for column, name in zip(columns, names, strict=True)] if names else columns

    def _chosen(self, node: exp.Expr) -> list[Typed]:
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            of = node.table.lower() if isinstance(node, exp.Column) else ""
            found = [
                replace(column, name=column.name or name)
                for alias, columns in self.scopes[-1].items()
                if of in ("", alias)
                for name, column in columns.items()
            ]
            if not found:
                raise QueryError("Must specify table to select from.", number=263)
            return found
        if isinstance(node, exp.Alias):
            return [replace(self.value(node.this), name=node.alias)]
        value = self.value(node)
        return [value if isinstance(node, exp.Column) else replace(value, name="")]

    def _group(self, node: exp.Select) -> str:
        group = node.args.get("group")
        if group is None:
            chosen = [each.this if isinstance(each, exp.Alias) else each for each in node.expressions]
            if any(map(_has_aggregate, chosen)):
                for each in chosen:
                    self._check_grouped(each, set())
            return ""
        terms = []
        for each in group.expressions:
            if isinstance(each, exp.Literal | exp.Parameter):
                raise error(164, "Each GROUP BY expression must contain at least one column.")
            value = self.value(each)
            terms.append(value.sql + (f" COLLATE {self.common_collation(value)}" if value.is_text else ""))
        known = {each.sql("tsql").lower() for each in group.expressions}
        for chosen in node.expressions:
            self._check_grouped(chosen.this if isinstance(chosen, exp.Alias) else chosen, known)
        return f" GROUP BY {', '.join(terms)}"

    def _check_grouped(self, node: exp.Expr, known: set[str]) -> None:
        if node.sql("tsql").lower() in known or isinstance(node, exp.AggFunc | exp.Subquery | exp.Window):
            return
        if isinstance(node, exp.Column):
            raise error(8120, f"Column '{node.sql('tsql')}' is invalid in the select list: it is not in the GROUP BY.")
        for each in node.iter_expressions():
            self._check_grouped(each, known)

    def _page(self, node: exp.Select, columns: list[Typed]) -> str:
        order, limit, offset = (node.args.get(name) for name in ("order", "limit", "offset"))
        text, labels = "", {column.name.lower(): column for column in columns if column.name}
        seen: set[str] = set()
        for term in order.expressions if order is not None else ():
            of = term.this
            if (name := of.sql("tsql").lower()) in seen:
                raise error(169, "A column has been specified more than once in the order by list.")
            seen.add(name)
            if isinstance(of, exp.Literal):
                if of.is_string or not 1 <= int(of.name) <= len(columns):
                    raise error(108, f"The ORDER BY position number {of.name} is out of range.")
                value = columns[int(of.name) - 1]
            elif isinstance(of, exp.Column) and not of.table and of.name.lower() in labels:
                value = labels[of.name.lower()]
            else:
                value = self.value(of)
            by = f" COLLATE {self.common_collation(value)}" if value.is_text else ""
            text += f"{', ' if text else ' ORDER BY '}{value.sql}{by} {'DESC' if term.args.get('desc') else 'ASC'}"
        if (offset is not None or isinstance(limit, exp.Fetch)) and order is None:
            raise syntax("OFFSET")
        if isinstance(limit, exp.Fetch):
            if offset is None:
                raise error(153, "Invalid usage of the option NEXT in the FETCH statement.")
            text += f" LIMIT {self.value(limit.args['count']).sql}"
        elif limit is not None:
            if offset is not None:
                raise error(10741, "A TOP can not be used in the same query as a OFFSET.")
            text += f" LIMIT {self.value(limit.expression).sql}"
        elif offset is not None:
            text += " LIMIT -1"
        elif order is not None and node.parent is not None and not isinstance(node.parent, exp.Insert):
            raise error(1033, "The ORDER BY clause is invalid in subqueries unless TOP or OFFSET is also specified.")
        return text + (f" OFFSET {self.value(offset.expression).sql}" if offset is not None else "")

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
