"""T-SQL's SELECT as SQLite's, for the TDS double, with what SQL Server refuses in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_sources import Sources, quoted
from tests.servers.tds_double_typed import Typed, refuse, syntax
from tests.servers.tds_double_values import error


def _has_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.Subquery | exp.Window | exp.Exists):
        return False
    return isinstance(node, exp.AggFunc) or any(map(_has_aggregate, node.iter_expressions()))


class Queries(Sources):
    """SELECT, and what it reads from."""

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
