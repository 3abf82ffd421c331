"""T-SQL's conditions as SQLite's, for the TDS double: with the types and collations that SQL Server would see.

A condition is no value and a value no condition, as in T-SQL; texts of two collations are not compared (error 468).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_catalog import TableInfo
from tests.servers.tds_double_typed import Scope, Typed, syntax
from tests.servers.tds_double_types import NUMBERS, TEXTS
from tests.servers.tds_double_values import error

_COMPARISONS: Final[Mapping[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
CONDITIONS: Final = (
    *_COMPARISONS,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Is,
    exp.In,
    exp.Like,
    exp.Escape,
    exp.Between,
    exp.Exists,
)


class Comparisons:
    """Conditions, within the tables that a statement reads."""

    def __init__(self, tables: Mapping[str, TableInfo], parameters: Mapping[str, tuple[str, int]]) -> None:
        self.tables = tables
        self.parameters = parameters
        """What is known of the types of variables."""
        self.scopes: list[Scope] = []
        self.locks = False
        """Whether it asks for locks that last."""
        self.computed = False
        """Whether it makes or changes a table with computed columns."""

    def query(self, node: exp.Expr, names: Sequence[str] = ()) -> tuple[str, list[Typed]]:
        """A SELECT, and what its columns are."""
        raise NotImplementedError

    def value(self, node: exp.Expr) -> Typed:
        """A value."""
        raise NotImplementedError

    def condition(self, node: exp.Expr) -> str:
        """A condition; error 4145 for a value."""
        match node:
            case exp.And() | exp.Or():
                word = "AND" if isinstance(node, exp.And) else "OR"
                parts = list(node.flatten(unnest=False))
                return "(" + f" {word} ".join(map(self.condition, parts)) + ")"
            case exp.Not():
                return f"NOT ({self.condition(node.this)})"
            case exp.Paren():
                return f"({self.condition(node.this)})"
            case exp.Is():
                if not isinstance(node.expression, exp.Null):
                    raise syntax("IS")
                return f"({self.value(node.this).sql} IS NULL)"
            case exp.In():
                return self._in(node)
            case exp.Between():
                low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
                high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
                return f"({self._compared(low)} AND {self._compared(high)})"
            case exp.Like():
                return self._like(node, "''")
            case exp.Escape():
                return self._like(node.this, self.value(node.expression).sql)
            case exp.Exists():
                return f"EXISTS ({self.query(node.this)[0]})"
        if type(node) in _COMPARISONS:
            return self._compared(node)
        raise QueryError(
            "An expression of non-boolean type specified in a context where a condition is expected, "
            f"near '{node.sql('tsql')[:60]}'.",
            number=4145,
            severity=15,
        )

    def _compared(self, node: exp.Expr) -> str:
        left, right = self.value(node.this), self.value(node.expression)
        return self.compare(left, _COMPARISONS[type(node)], right)

    def compare(self, left: Typed, word: str, right: Typed) -> str:
        """A comparison, as the types of both sides have it."""
        by = self.common_collation(left, right)
        left, right = self._alike(left, right), self._alike(right, left)
        if (left.kind, left.size) == ("varbinary", -1) or (right.kind, right.size) == ("varbinary", -1):
            # Of bytes the shorter are taken as if zeros followed. (A key that is indexed is compared as it is.)
            left, right = Typed(f"filled_({left.sql})"), Typed(f"filled_({right.sql})")
        return f"({left.sql}{f' COLLATE {by}' if by else ''} {word} {right.sql})"

    def _alike(self, one: Typed, other: Typed) -> Typed:
        if other.kind == "datetime2" and one.kind != "datetime2":
            return Typed(f"as_type({one.sql}, 'datetime2', 7)", "datetime2")
        if other.kind in ("varbinary", "binary") and one.kind in TEXTS:
            raise error(257, f"Implicit conversion from data type {one.kind} to {other.kind} is not allowed.")
        if other.kind in NUMBERS and one.kind in TEXTS:
            return Typed(f"as_type({one.sql}, '{other.kind}')", other.kind)
        return one

    def common_collation(self, *parts: Typed) -> str | None:
        """How texts are compared with each other: null where these are no texts; error 468 where they are at odds."""
        if not all(part.is_text for part in parts):
            return None
        for explicit in (True, False):
            found = {part.collation for part in parts if part.collation and (part.explicit or not explicit)}
            if len(found) > 1:
                raise error(468, f"Cannot resolve the collation conflict between {' and '.join(sorted(found))}.")
            if found:
                return found.pop()
        return "any_case"

    def _in(self, node: exp.In) -> str:
        left = self.value(node.this)
        if (inner := node.args.get("query")) is not None:
            query = inner.this if isinstance(inner, exp.Subquery) else inner
            text, columns = self.query(query)
            if len(columns) != 1:
                raise error(116, "Only one expression can be specified in the select list of an IN.")
            by = self.common_collation(left, columns[0])
            return f"({left.sql}{f' COLLATE {by}' if by else ''} IN ({text}))"
        if len(node.expressions) > 30_000:
            raise error(8623, "The query processor ran out of internal resources and could not produce a query plan.")
        items = [self.value(each) for each in node.expressions]
        by = self.common_collation(left, *items)
        listed = ", ".join(self._alike(each, left).sql for each in items)
        return f"({left.sql}{f' COLLATE {by}' if by else ''} IN ({listed}))"

    def _like(self, node: exp.Expr, escape: str) -> str:
        value, pattern = self.value(node.this), self.value(node.expression)
        return f"like_({value.sql}, {pattern.sql}, {escape}, '{self.common_collation(value, pattern)}')"
