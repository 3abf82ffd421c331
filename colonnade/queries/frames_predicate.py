"""What Polars asks of rows, as a filter of the store: exactly what it says, or less, and never more.

A lazy frame checks all that Polars asks once more on the rows that the store gives. So a filter may leave out what has
no equal here, but it must not be false of a row that Polars would keep. Under *not* it must say exactly the same.

Polars shows an expression as JSON, whose form its versions may change: what is not understood is left to Polars.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from colonnade.engine.plan import FALSE, TRUE, And, Comparison, Filter, Is, Not, Null, OneOf, Or
from colonnade.errors import InvalidInput
from colonnade.schemas.kinds import Column
from colonnade.schemas.records import spell_value
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    import polars

_COMPARISONS: Final[Mapping[str, Comparison]] = {
    "Eq": "=",
    "NotEq": "!=",
    "Lt": "<",
    "LtEq": "<=",
    "Gt": ">",
    "GtEq": ">=",
}
_TURNED: Final[Mapping[Comparison, Comparison]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EXACT_FLOATS: Final = 2**53
_LONGEST: Final = 10_000
"""Values of a list that are handed to a store at most."""


def filter_of(predicate: polars.Expr, table: Table) -> Filter:
    """A filter that is true of every row for which the predicate is; ``TRUE`` where nothing of it is understood."""
    try:
        said = json.loads(predicate.meta.serialize(format="json"))
    except Exception:  # a function of Python's, for instance, which Polars does not write down
        return TRUE
    return _implied(said, table)


def _implied(node: Any, table: Table) -> Filter:
    match node:
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            return _implied(left, table) & _implied(right, table)
    found = _same(node, table)
    return TRUE if found is None else found


def _same(node: Any, table: Table) -> Filter | None:
    """The filter that is true, false and null where the expression is; ``None`` where there is none."""
    match node:
        case {"Column": str(name)} if _kind(table, name) == "boolean":
            return Is(name, "=", True)
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            return _joined(And, left, right, table)
        case {"BinaryExpr": {"left": left, "op": "Or" | "LogicalOr", "right": right}}:
            return _joined(Or, left, right, table)
        case {"BinaryExpr": {"left": {"Column": str(name)}, "op": str(op), "right": value}} if op in _COMPARISONS:
            return _comparison(name, _COMPARISONS[op], value, table)
        case {"BinaryExpr": {"left": value, "op": str(op), "right": {"Column": str(name)}}} if op in _COMPARISONS:
            turned = _COMPARISONS[op]
            return _comparison(name, _TURNED.get(turned, turned), value, table)
        case {"Function": {"input": inputs, "function": {"Boolean": asked}}}:
            return _function(asked, inputs, table)
    return None


def _joined(joint: type[And | Or], left: Any, right: Any, table: Table) -> Filter | None:
    parts = (_same(left, table), _same(right, table))
    return None if parts[0] is None or parts[1] is None else joint((parts[0], parts[1]))


def _function(asked: Any, inputs: list[Any], table: Table) -> Filter | None:
    match asked, inputs:
        case "Not", [of]:
            inner = _same(of, table)
            return None if inner is None else Not(inner)
        case "IsNull", [{"Column": str(name)}] if name in table.columns:
            return Null(name)
        case "IsNotNull", [{"Column": str(name)}] if name in table.columns:
            return Not(Null(name))
        case {"IsIn": {"nulls_equal": False}}, [{"Column": str(name)}, values]:
            return _one_of(name, values, table)
        case {"IsBetween": {"closed": closed}}, [{"Column": str(name)}, least, most]:
            ends = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}.get(closed)
            if ends is None:
                return None
            parts = (_comparison(name, ends[0], least, table), _comparison(name, ends[1], most, table))
            return None if parts[0] is None or parts[1] is None else And((parts[0], parts[1]))
    return None


def _comparison(name: str, op: Any, node: Any, table: Table) -> Filter | None:
    found = _values(node)
    if found is None or len(found) != 1 or name not in table.columns:
        return None
    return Is(name, op, found[0]) if _means_the_same(table.columns[name], found[0], table) else None


def _one_of(name: str, node: Any, table: Table) -> Filter | None:
    found = _values(node)
    if found is None or len(found) > _LONGEST or name not in table.columns:
        return None
    values = [value for value in found if value is not None]  # a null among them makes nothing true
    if len(values) < len(found) or not all(_means_the_same(table.columns[name], value, table) for value in values):
        return None
    return OneOf(name, tuple(values)) if values else FALSE


def _values(node: Any) -> list[Any] | None:
    """The values that a literal stands for; ``None`` for what is none."""
    if not isinstance(node, dict) or list(node) != ["Literal"]:
        return None
    import polars

    try:
        # Polars reads what it wrote, dates and lists too.
        found = polars.select(polars.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")).to_series()
        return list((found.explode() if found.dtype == polars.List else found).to_list())
    except Exception:
        return None


def _kind(table: Table, name: str) -> str | None:
    column = table.columns.get(name)
    return None if column is None else column.kind.name


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"integer": (int,), "bigint": (int,), "float": (float, int)}


def _means_the_same(column: Column, value: Any, table: Table) -> bool:
    """Whether a store compares a column with a value as Polars does.

    Not where text is kept escaped, nor where a UUID has other spellings; Polars sees only what is stored.
    """
    kind = column.kind.name
    if kind in _TYPES and type(value) not in _TYPES[kind]:
        return False
    if kind == "float" and isinstance(value, int) and abs(value) > _EXACT_FLOATS:
        return False
    if kind not in ("text", "uuid", "boolean", "timestamp", *_TYPES):
        return False
    try:
        spelled = spell_value(table, column.name, value)
    except InvalidInput:
        return False
    return bool(spelled == value)
