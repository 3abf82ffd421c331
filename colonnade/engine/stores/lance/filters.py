"""Filters as Lance takes them: Arrow expressions, handed over as Substrait, with values that are bound and never text.

Substrait has no word for regular expressions, by which texts are found within texts, so a filter that looks for one is
spelled as SQL instead, all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import and_, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.plan import TRUE, And, Contains, Filter, Is, Not, Null, OneOf, Or
from colonnade.engine.stores.lance.spelling import Spelling
from colonnade.schemas.table import Table


def expression(where: Filter, table: Table) -> pc.Expression | str | None:
    """The filter as an expression, or as SQL where it looks into texts; ``None`` where every row passes."""
    if where == TRUE:
        return None
    return Spelling().condition(where) if _looks_into_texts(where) else _expression(where, table)


def _looks_into_texts(where: Filter) -> bool:
    match where:
        case Not(of):
            return _looks_into_texts(of)
        case And(parts) | Or(parts):
            return any(map(_looks_into_texts, parts))
    return isinstance(where, Contains)


def _expression(where: Filter, table: Table) -> pc.Expression:
    match where:
        case Is(str() as name, op, value):
            return _UNKNOWN if value is None else _compare(pc.field(name), op, pa.scalar(value, _type(table, name)))
        case OneOf(_, ()):
            return pc.scalar(False)
        case OneOf(name, values):
            known = [value for value in values if value is not None]
            found = pc.field(name).isin(pa.array(known, _type(table, name))) if known else _UNKNOWN
            # x IN (a, NULL) is true or unknown, never false.
            return found | _UNKNOWN if len(known) < len(values) else found
        case Null(str() as name):
            return pc.field(name).is_null()
        case Not(of):
            return ~_expression(of, table)
        case And(parts):
            return _joined(and_, [_expression(part, table) for part in parts]) if parts else pc.scalar(True)
        case Or(parts):
            return _joined(or_, [_expression(part, table) for part in parts]) if parts else pc.scalar(False)
    raise TypeError(f"{where!r} is not for Lance")


def _joined(joint: Callable[[Any, Any], Any], parts: list[pc.Expression]) -> pc.Expression:
    """The parts joined two by two: thousands of them, one within the other, would be too deep for Lance's stack."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [*(joint(*pair) for pair in pairs), *parts[len(parts) // 2 * 2 :]]
    return parts[0]


_UNKNOWN: pc.Expression = pc.scalar(pa.scalar(None, pa.bool_()))


def _compare(place: pc.Expression, op: str, value: pa.Scalar) -> pc.Expression:
    match op:
        case "=":
            return place == value
        case "!=":
            return place != value
        case "<":
            return place < value
        case "<=":
            return place <= value
        case ">":
            return place > value
        case ">=":
            return place >= value
    raise TypeError(f"{op!r} is not for Lance")


def _type(table: Table, name: str) -> pa.DataType:
    return table.columns[name].kind.arrow


def keys_in(where: Filter, table: Table) -> pa.Table | None:
    """The keys that a filter lists, where that is all it does and they have more than one column."""
    if not isinstance(where, Or) or len(table.key) < 2:
        return None
    rows = []
    for part in where.of:
        if not isinstance(part, And) or not all(isinstance(each, Is) and each.op == "=" for each in part.of):
            return None
        row = {each.place: each.value for each in part.of if isinstance(each, Is)}
        if len(row) != len(part.of) or row.keys() != set(table.key) or None in row.values():
            return None
        rows.append(row)
    return pa.Table.from_pylist(rows, table.schema_of(table.key))


Moment = datetime | None


def between(where: Filter, column: str) -> tuple[Moment, Moment]:
    """The earliest and the latest value of a column with which a row can pass; ``None`` where there is no bound."""
    match where:
        case Is(str() as name, "=" | "<" | "<=" | ">" | ">=" as op, datetime() as value) if name == column:
            return (value if op in ("=", ">", ">=") else None), (value if op in ("=", "<", "<=") else None)
        case And(parts):
            bounds = [between(part, column) for part in parts]
            return _tightest(max, [low for low, _ in bounds]), _tightest(min, [high for _, high in bounds])
        case Or(parts) if parts:
            bounds = [between(part, column) for part in parts]
            return _widest(min, [low for low, _ in bounds]), _widest(max, [high for _, high in bounds])
    return None, None


def _tightest(choose: Any, bounds: list[Moment]) -> Moment:
    return choose((bound for bound in bounds if bound is not None), default=None)  # type: ignore[no-any-return]


def _widest(choose: Any, bounds: list[Moment]) -> Moment:
    return None if None in bounds else choose(bounds)
