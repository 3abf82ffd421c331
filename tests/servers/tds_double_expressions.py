"""T-SQL's expressions as SQLite's, for the TDS double; what it does not know it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_comparisons import CONDITIONS, Comparisons
from tests.servers.tds_double_typed import Typed, syntax
from tests.servers.tds_double_types import NUMBERS, TEXTS, type_of
from tests.servers.tds_double_values import collation, error

_ARITHMETIC: Final[Mapping[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
}


class Expressions(Comparisons):
    """Values, within the tables that a statement reads."""

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
