"""Filters as Lance takes them: Arrow expressions, handed over as Substrait, with values that are bound and never text.

This is the only place where a value of a user becomes part of what Lance is asked.
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.plan import TRUE, And, Filter, Is, Not, Null, OneOf, Or
from colonnade.schemas.table import Table


def expression(where: Filter, table: Table) -> pc.Expression | None:
    """The filter as an expression; ``None`` where every row passes."""
    return None if where == TRUE else _expression(where, table)


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
            return reduce(and_, (_expression(part, table) for part in parts), pc.scalar(True))
        case Or(parts):
            return reduce(or_, (_expression(part, table) for part in parts), pc.scalar(False))
    raise TypeError(f"{where!r} is not for Lance")


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
