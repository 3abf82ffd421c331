"""T-SQL's expressions as SQLite's, for the TDS double: with the types and collations that SQL Server would see.

A condition is no value and a value no condition, as in T-SQL; texts of two collations are not compared (error 468); and
what the double does not know it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_catalog import TableInfo
from tests.servers.tds_double_types import NUMBERS, TEXTS, type_of
from tests.servers.tds_double_values import collation, error

_COMPARISONS: Final[Mapping[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: Final[Mapping[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
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


@dataclass(frozen=True)
class Typed:
    """An expression of SQLite, with its type in T-SQL; of a parameter that is not known."""

    sql: str
    kind: str | None = None
    size: int = -1
    collation: str | None = None
    explicit: bool = False
    """Whether COLLATE says so."""
    name: str = ""
    """What a column of a result is called."""

    @property
    def is_text(self) -> bool:
        """Whether it can be compared as text."""
        return self.kind is None or self.kind in TEXTS


Scope = dict[str, dict[str, Typed]]
"""Alias -> column -> how it is read. Both in lower case."""


def refuse(what: str) -> QueryError:
    """The double's own limit."""
    return QueryError(f"The TDS double does not know {what[:300]}.", number=50000)


def syntax(near: str) -> QueryError:
    """Error 102."""
    return QueryError(f"Incorrect syntax near '{near[:80]}'.", number=102, severity=15)


class Expressions:
    """Values and conditions, within the tables that a statement reads."""

    def __init__(self, tables: Mapping[str, TableInfo], parameters: Mapping[str, tuple[str, int]]) -> None:
        self.tables = tables
        self.parameters = parameters
        """What is known of the types of variables."""
        self.scopes: list[Scope] = []
        self.locks = False
        """Whether it asks for locks that last."""

    def query(self, node: exp.Expr, names: Sequence[str] = ()) -> tuple[str, list[Typed]]:
        """A SELECT, and what its columns are."""
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

    def value(self, node: exp.Expr) -> Typed:
        """A value; error 102 for a condition."""
        if isinstance(node, (*CONDITIONS, exp.Boolean, exp.Tuple)):
            raise syntax(node.sql("tsql"))
        if type(node) in _ARITHMETIC:
            return self._arithmetic(node)
        match node:
            case exp.Column():
                return self._column(node)
            case exp.Parameter():
                inner = node.this
                name = f"@@{inner.name.lower()}" if isinstance(inner, exp.Parameter) else inner.name.lower()
                return Typed(f":{name.replace('@@', 'server_')}", *self.parameters.get(name, (None,)))
            case exp.National() | exp.Literal(is_string=True):
                return Typed("'" + node.name.replace("'", "''") + "'", "nvarchar")
            case exp.Literal():
                return Typed(node.name, "int" if node.name.isdigit() else "float")
            case exp.HexString():
                return Typed(f"X'{node.name}'", "varbinary")
            case exp.Null():
                return Typed("NULL")
            case exp.Paren():
                inner_value = self.value(node.this)
                return replace(inner_value, sql=f"({inner_value.sql})", name="")
            case exp.Neg():
                inner_value = self.value(node.this)
                return Typed(f"(-{inner_value.sql})", inner_value.kind)
            case exp.Subquery():
                text, columns = self.query(node.this)
                if len(columns) != 1:
                    raise error(116, "Only one expression can be specified in the select list of a subquery.")
                return replace(columns[0], sql=f"({text})", name="")
            case exp.Collate():
                inner_value, by = self.value(node.this), node.expression.name
                return replace(
                    inner_value, collation=collation(by, inner_value.kind or "nvarchar"), explicit=True, name=""
                )
            case exp.Case():
                return self._case(node)
            case exp.If():
                chosen = [self.value(node.args["true"]), self.value(node.args["false"])]
                then, other = chosen
                text = f"CASE WHEN {self.condition(node.this)} THEN {then.sql} ELSE {other.sql} END"
                return self.merged(text, chosen)
        return self.function(node)

    def function(self, node: exp.Expr) -> Typed:
        """A call of a function."""
        raise NotImplementedError

    def _column(self, node: exp.Column) -> Typed:
        name, of = node.name.lower(), node.table.lower()
        for scope in reversed(self.scopes):
            found = [columns[name] for alias, columns in scope.items() if of in ("", alias) and name in columns]
            if len(found) > 1:
                raise error(209, f"Ambiguous column name '{node.name}'.")
            if found:
                return replace(found[0], name=node.name)
        raise QueryError(f"Invalid column name '{node.sql('tsql')}'.", number=207)

    def _arithmetic(self, node: exp.Expr) -> Typed:
        left, right = self.value(node.this), self.value(node.expression)
        kinds, word = {left.kind, right.kind}, _ARITHMETIC[type(node)]
        if word == "+" and kinds & {"varbinary", "binary"}:
            return Typed(f"bytes_({left.sql}, {right.sql})", "varbinary")
        if word == "+" and kinds & set(TEXTS):
            by = next((part.collation for part in (left, right) if part.collation), None)
            return Typed(f"({left.sql} || {right.sql})", "nvarchar", -1, by, left.explicit or right.explicit)
        if "decimal" in kinds and word == "-" and "float" not in kinds:
            return Typed(f"less_({left.sql}, {right.sql})", "decimal")
        if word in "/%":
            right = replace(right, sql=f"nonzero_({right.sql})")
        return self.merged(f"({left.sql} {word} {right.sql})", (left, right))

    def _case(self, node: exp.Case) -> Typed:
        of = self.value(node.this) if node.this is not None else None
        text, chosen = "CASE", []
        for each in node.args["ifs"]:
            when = self.compare(of, "=", self.value(each.this)) if of else self.condition(each.this)
            chosen.append(self.value(each.args["true"]))
            text += f" WHEN {when} THEN {chosen[-1].sql}"
        if (default := node.args.get("default")) is not None:
            chosen.append(self.value(default))
            text += f" ELSE {chosen[-1].sql}"
        return self.merged(f"{text} END", chosen)

    def merged(self, sql: str, parts: Sequence[Typed]) -> Typed:
        """An expression that gives one of some values, or is made of them: the type is that which comes first."""
        order = ("datetime2", "float", "decimal", "bigint", "int", "bit", "nvarchar", "varchar", "varbinary")
        kinds = [part.kind for part in parts if part.kind]
        kind = min(kinds, key=lambda each: order.index(each) if each in order else 9, default=None)
        if kind is not None and any(part.kind is None and part.sql != "NULL" for part in parts) and kind in NUMBERS:
            kind = None  # a parameter may be wider
        explicit = [part for part in parts if part.explicit]
        by = next((part.collation for part in (*explicit, *parts) if part.collation), None)
        return Typed(sql, kind, -1, by, bool(explicit))

    def cast(self, value: Typed, to: exp.DataType, strict: int = 0, style: int = 0, word: str = "as_type") -> Typed:
        """A value as a type."""
        kind, size = type_of(to)
        inner = value.sql
        if kind in ("varbinary", "binary") and value.kind == "varchar" and not style:
            inner = f"utf8_({inner})"
        by = (value.collation, value.explicit) if value.kind in TEXTS and kind in TEXTS else (None, False)
        return Typed(f"{word}({inner}, '{kind}', {size}, {strict}, {style})", kind, size, *by)


Handler = Callable[[Any, Any], Typed]
