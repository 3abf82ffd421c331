"""T-SQL's functions as SQLite's, for the TDS double: which of them there are, and which types they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from tests.servers.tds_double_catalog import VERSION
from tests.servers.tds_double_expressions import Expressions
from tests.servers.tds_double_typed import Typed, refuse
from tests.servers.tds_double_types import TEXTS
from tests.servers.tds_double_values import error

_KINDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "ISJSON": ("isjson_", "int"),
    "JSON_PATH_EXISTS": ("json_path_exists_", "int"),
    "NCHAR": ("nchar_", "nvarchar"),
    "SQRT": ("sqrt_", "float"),
    "FLOOR": ("floor_", None),
    "CEIL": ("ceiling_", None),
    "ABS": ("abs", None),
    "POW": ("power_", None),
    "POWER": ("power_", None),
    "ROUND": ("round", None),
    "UNICODE": ("unicode_", "int"),
    "NULLIF": ("nullif", None),
    "CONCAT": ("concat_", "nvarchar"),
    "REVERSE": ("reverse_", "nvarchar"),
    "SERVERPROPERTY": ("server_property", None),
}
"""Functions that are called as they are: what they are here, and their type; null for that of what they are given."""
_CONSTANTS: Final = {
    "DB_NAME": "'double'",
    "DB_ID": "5",
    "SCHEMA_NAME": "'dbo'",
    "@@VERSION": f"'{VERSION}'",
    "SYSUTCDATETIME": "strftime('%Y-%m-%d %H:%M:%f0000', 'now')",
}


class Calls(Expressions):
    """Values that are calls of functions."""

    def function(self, node: exp.Expr) -> Typed:
        """A call; of one that the double does not know an error of its own."""
        known: Mapping[type[exp.Expr], Callable[[], Typed]] = {
            exp.Cast: lambda: self._cast(node),
            exp.TryCast: lambda: self._cast(node, "try_as_type"),
            exp.Convert: lambda: self._convert(node),
            exp.Count: lambda: self._count(node),
            exp.Sum: lambda: self._sum(node),
            exp.Avg: lambda: self._average(node),
            exp.Min: lambda: self._extreme("min", node),
            exp.Max: lambda: self._extreme("max", node),
            exp.Window: lambda: self._window(node),
            exp.Coalesce: lambda: self._coalesce(node),
            exp.DateDiff: lambda: self._difference(node),
            exp.DateAdd: lambda: self._added(node),
            exp.JSONExtractScalar: lambda: self._json("json_value_", node),
            exp.JSONExtract: lambda: self._json("json_query_", node),
            exp.StrPosition: lambda: self._place(node),
            exp.Replace: lambda: self._replace(node),
            exp.SHA2: lambda: self._digest(node),
            exp.ObjectId: lambda: self._object(node),
        }
        if type(node) in known:
            return known[type(node)]()
        texts: Mapping[type[exp.Expr], str] = {
            exp.Lower: "lower_",
            exp.Upper: "upper_",
            exp.Left: "left_",
            exp.Right: "right_",
            exp.Substring: "substring_",
            exp.Translate: "translate_",
        }
        if type(node) in texts:
            return self._text(texts[type(node)], node)
        if isinstance(node, exp.Length):
            return Typed(f"len_({self._bare(node.this).sql})", "int")
        name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
        return self._named(node, name.upper())

    def _named(self, node: exp.Expr, name: str) -> Typed:
        arguments = node.expressions if isinstance(node, exp.Anonymous | exp.Concat) else list(node.iter_expressions())
        if name == "ISJSON" and len(arguments) == 2:
            return Typed(f"isjson_({self.value(arguments[0]).sql}, '{arguments[1].name}')", "int")
        if name == "SCHEMA_ID":
            found = f'(SELECT schema_id FROM "double.schemas" WHERE name = {self.value(arguments[0]).sql})'
            return Typed(found, "int")
        if name == "DATALENGTH":
            value = self.value(arguments[0])
            return Typed(f"datalength_({value.sql}, '{value.kind or ''}')", "bigint")
        if name in _CONSTANTS:
            return Typed(_CONSTANTS[name], "int" if name == "DB_ID" else "datetime2" if "TIME" in name else "nvarchar")
        if name not in _KINDS:
            raise refuse(node.sql("tsql"))
        function, kind = _KINDS[name]
        values = [self.value(each) for each in arguments]
        text = f"{function}({', '.join(each.sql for each in values)})"
        by = next(((each.collation, each.explicit) for each in values if each.collation), (None, False))
        return Typed(text, kind or values[0].kind, -1, *by)

    def _bare(self, node: exp.Expr) -> Typed:
        """What a function is given, without the cast to text that sqlglot puts around it."""
        if isinstance(node, exp.Cast) and isinstance(node.to, exp.DataType) and node.to.this == exp.DataType.Type.TEXT:
            node = node.this
        return self.value(node)

    def _text(self, function: str, node: exp.Expr) -> Typed:
        given = list(node.iter_expressions())
        values = [self._bare(each) for each in given]
        first = values[0]
        text = f"{function}({', '.join(each.sql for each in values)})"
        return Typed(text, first.kind or "nvarchar", -1, first.collation, first.explicit)

    def _cast(self, node: exp.Expr, word: str = "as_type") -> Typed:
        assert isinstance(node, exp.Cast)
        to = node.to
        return self.cast(self.value(node.this), to, word=word)

    def _convert(self, node: exp.Expr) -> Typed:
        style = node.args.get("style")
        if style is not None and not isinstance(style, exp.Literal):
            raise refuse("a style of CONVERT that is no number")
        word = "try_as_type" if node.args.get("safe") else "as_type"
        number = int(style.name) if style is not None else 0
        return self.cast(self.value(node.expression), node.this, style=number, word=word)

    def _count(self, node: exp.Expr) -> Typed:
        kind = "bigint" if node.args.get("big_int") else "int"
        if isinstance(node.this, exp.Star):
            return Typed("count(*)", kind)
        if isinstance(node.this, exp.Distinct):
            value = self.value(node.this.expressions[0])
            by = f" COLLATE {self.common_collation(value)}" if value.is_text else ""
            return Typed(f"count(DISTINCT {value.sql}{by})", kind)
        return Typed(f"count({self.value(node.this).sql})", kind)

    def _sum(self, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        if value.kind in ("bit", *TEXTS, "datetime2", "varbinary"):
            raise error(8117, f"Operand data type {value.kind} is invalid for sum operator.")
        if value.kind == "decimal":
            return Typed(f"sum_({value.sql})", "decimal")
        if value.kind in ("int", "smallint", "tinyint", "bigint"):
            kind = "bigint" if value.kind == "bigint" else "int"
            return Typed(f"as_type(sum_({value.sql}), '{kind}')", kind)
        return Typed(f"sum({value.sql})", value.kind)

    def _average(self, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        if value.kind in ("bit", *TEXTS, "datetime2", "varbinary"):
            raise error(8117, f"Operand data type {value.kind} is invalid for avg operator.")
        if value.kind in ("int", "smallint", "tinyint", "bigint"):
            return Typed(f"(sum({value.sql}) / count({value.sql}))", value.kind)  # whole numbers have a whole average
        return Typed(f"avg({value.sql})", value.kind)

    def _extreme(self, function: str, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        if value.kind == "bit":
            raise error(8117, f"Operand data type bit is invalid for {function} operator.")
        by = f" COLLATE {self.common_collation(value)}" if value.is_text else ""
        return Typed(f"{function}({value.sql}{by})", value.kind, value.size, value.collation, value.explicit)

    def ordered(self, node: exp.Order) -> str:
        """What stands after ORDER BY."""
        terms = []
        for term in node.expressions:
            value = self.value(term.this)
            by = f" COLLATE {self.common_collation(value)}" if value.is_text else ""
            terms.append(f"{value.sql}{by} {'DESC' if term.args.get('desc') else 'ASC'}")
        return ", ".join(terms)

    def _window(self, node: exp.Expr) -> Typed:
        of = node.this
        over = []
        if parts := node.args.get("partition_by"):
            over.append("PARTITION BY " + ", ".join(self.value(each).sql for each in parts))
        if isinstance(of, exp.WithinGroup) and isinstance(of.this, exp.PercentileCont):
            value = self.value(of.expression.expressions[0].this)
            return Typed(f"percentile_({value.sql}, {self.value(of.this.this).sql}) OVER ({' '.join(over)})", "float")
        if (order := node.args.get("order")) is not None:
            over.append(f"ORDER BY {self.ordered(order)}")
        if node.args.get("spec") is not None:
            raise refuse("frames of a window")
        ranks = {exp.RowNumber: "row_number()", exp.Rank: "rank()", exp.DenseRank: "dense_rank()"}
        found = Typed(ranks[type(of)], "bigint") if type(of) in ranks else self.function(of)
        return Typed(f"{found.sql} OVER ({' '.join(over)})", found.kind, -1, found.collation)

    def _coalesce(self, node: exp.Expr) -> Typed:
        values = [self.value(each) for each in (node.this, *node.expressions)]
        return self.merged(f"coalesce({', '.join(each.sql for each in values)})", values)

    def _moment(self, node: exp.Expr) -> str:
        value = self.value(node.this if isinstance(node, exp.TimeStrToTime) else node)
        return value.sql if value.kind == "datetime2" else f"as_type({value.sql}, 'datetime2', 7)"

    def _difference(self, node: exp.Expr) -> Typed:
        wide = 1 if node.args.get("big_int") else 0
        end, start = self._moment(node.this), self._moment(node.expression)
        unit = node.args["unit"].name.lower()
        return Typed(f"datediff_('{unit}', {start}, {end}, {wide})", "bigint" if wide else "int")

    def _added(self, node: exp.Expr) -> Typed:
        unit = node.args["unit"].name.lower()
        return Typed(f"dateadd_('{unit}', {self.value(node.expression).sql}, {self._moment(node.this)})", "datetime2")

    def path(self, node: exp.Expr | None) -> str:
        """A path within JSON."""
        if node is None:
            return "'$'"
        if isinstance(node, exp.JSONPath):
            return "'" + node.sql("tsql").strip("'").replace("'", "''") + "'"
        return self.value(node).sql

    def _json(self, function: str, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        text = f"{function}({value.sql}, {self.path(node.expression)})"
        return Typed(text, "nvarchar", -1, value.collation, value.explicit)

    def _place(self, node: exp.Expr) -> Typed:
        hay, needle = self.value(node.this), self.value(node.args["substr"])
        start = self.value(node.args["position"]).sql if node.args.get("position") else "1"
        return Typed(f"charindex_({needle.sql}, {hay.sql}, {start}, '{self.common_collation(hay, needle)}')", "int")

    def _replace(self, node: exp.Expr) -> Typed:
        values = [self.value(node.this), self.value(node.expression), self.value(node.args["replacement"])]
        by = self.common_collation(*values)
        explicit = any(each.explicit for each in values)
        text = f"replace_({', '.join(each.sql for each in values)}, '{by}')"
        return Typed(text, values[0].kind or "nvarchar", -1, by, explicit)

    def _digest(self, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        return Typed(f"digest_({value.sql}, '{value.kind or 'nvarchar'}')", "varbinary", 32)

    def _object(self, node: exp.Expr) -> Typed:
        found = f"full_name = object_name_({self.value(node.this).sql})"
        if (kind := node.args.get("expression")) is not None:
            found += f" AND type = {self.value(kind).sql}"
        return Typed(f'(SELECT object_id FROM "double.objects" WHERE {found})', "int")
