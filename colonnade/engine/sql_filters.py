"""What user SQL asks of the rows of a table, as far as it is a filter of the waist too, word for word.

Where a query runs over Arrow (``engine.sql``), a store is asked for the rows that such a filter keeps, and not for all.
DuckDB then runs the query as it was written, so a filter only has to be true of every row that the query can use. It is
made of what stands in a WHERE, AND-ed: a column, compared with values of its own kind (``=``, ``<>``, orderings,
BETWEEN, IN) or with null. Everything else is left to DuckDB. A table that is read several times in a query is asked for
the rows of all its readings, and one of them without a filter asks for everything.

Only texts, whole numbers, booleans and times are compared: about what is told of NaN, of decimal numbers, JSON and
UUIDs, DuckDB and a store may think differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from colonnade.engine.plan import TRUE, And, Comparison, Filter, Is, Not, Null, OneOf, Or
from colonnade.errors import InvalidInput
from colonnade.schemas import TABLES
from colonnade.schemas.records import spell_value
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    from sqlglot import exp

_COMPARED: Final[Mapping[str, tuple[Comparison, Comparison]]] = {
    "EQ": ("=", "="),
    "NEQ": ("!=", "!="),
    "LT": ("<", ">"),
    "LTE": ("<=", ">="),
    "GT": (">", "<"),
    "GTE": (">=", "<="),
}
"""How an expression compares, and how it does with its sides exchanged."""
_LEFT: Final = frozenset({"", "LEFT"})
_PLAIN: Final = frozenset({"", "INNER", "CROSS"})
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?Z?)?")
"""Times that nobody reads differently; without an offset they are UTC, as all times of a query are."""
_COMPARABLE: Final[Mapping[str, type]] = {
    "text": str,
    "integer": int,
    "bigint": int,
    "boolean": bool,
    "timestamp": datetime,
}


class _NoValue(Exception):
    """What a column is compared with is no value that is known to mean the same everywhere."""


def filters(statement: exp.Expr | None, parameters: Any) -> Mapping[Table, Filter]:
    """The rows of each table that a query, which was checked, can use; of tables that are not among them, all."""
    from sqlglot import exp

    if statement is None or statement.find(exp.Pivot, exp.TableSample):
        return {}  # a WHERE looks at what comes out of a pivot; a sample is taken of everything
    own = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    given = _given(statement, parameters)
    found: dict[Table, list[Filter]] = {}
    for source in statement.find_all(exp.Table):
        table = TABLES.get(source.name.lower()) if isinstance(source.this, exp.Identifier) else None
        if table is not None and not source.db:
            where = TRUE if source.name.lower() in own else _of_source(source, table, given)
            found.setdefault(table, []).append(where)
    return {
        table: wheres[0] if len(wheres) == 1 else Or(tuple(dict.fromkeys(wheres)))
        for table, wheres in found.items()
        if TRUE not in wheres
    }


def _given(statement: exp.Expr, parameters: Any) -> Mapping[int, Any]:
    """The values of placeholders, by the identity of their nodes: those of which it is certain which is whose."""
    from sqlglot import exp

    found = list(statement.find_all(exp.Placeholder, bfs=False))
    places = {id(place): str(place.this or "") for place in found}
    if isinstance(parameters, Mapping):
        return {place: parameters[name] for place, name in places.items() if name in parameters}
    if not isinstance(parameters, list | tuple):
        return {}
    if all(name.isdecimal() for name in places.values()):  # $1
        return {place: parameters[int(name) - 1] for place, name in places.items() if 0 < int(name) <= len(parameters)}
    wheres = {_where_of(place) for place in found}
    if any(places.values()) or len(places) != len(parameters) or len(wheres) != 1 or None in wheres:
        return {}  # the parser has no place in the text for a question mark: all must stand in one WHERE, in its order
    return dict(zip(places, parameters, strict=True))


def _where_of(place: exp.Expr) -> int | None:
    """The WHERE in which a value stands in a comparison, as its identity; ``None`` where it stands elsewhere."""
    from sqlglot import exp

    node = place.parent
    if not isinstance(node, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE | exp.In | exp.Between):
        return None
    while isinstance(node := node.parent, exp.And | exp.Or | exp.Not | exp.Paren):
        pass
    return id(node) if isinstance(node, exp.Where) else None


def _of_source(source: exp.Table, table: Table, given: Mapping[int, Any]) -> Filter:
    """What the WHERE beside a table asks of its rows alone."""
    from sqlglot import exp

    if any(value for name, value in source.args.items() if name not in ("this", "alias")):
        return TRUE
    clause = source.parent
    select = clause.parent if clause is not None else None
    if not isinstance(clause, exp.From | exp.Join) or not isinstance(select, exp.Select):
        return TRUE
    joins = select.args.get("joins") or []
    if any(_words(join, "method") or _words(join, "side") not in _LEFT for join in joins):
        return TRUE  # rows of the other side of an outer or an as-of join depend on rows that are left out
    if isinstance(clause, exp.Join) and (_words(clause, "side") or _words(clause, "kind") not in _PLAIN):
        return TRUE
    alias = source.args.get("alias")
    where = select.args.get("where")
    if where is None or (alias is not None and alias.columns) or select.args.get("laterals"):
        return TRUE
    alone = not joins
    parts: list[Filter] = []
    for part in _conjuncts(where.this):
        try:
            parts += _condition(part, source.alias_or_name.lower(), table, alone, given)
        except _NoValue:
            continue
    return And(tuple(parts)) if len(parts) != 1 else parts[0]


def _words(join: exp.Expr, name: str) -> str:
    return str(join.args.get(name) or "").upper()


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.And):
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    else:
        yield node


def _condition(node: exp.Expr, name: str, table: Table, alone: bool, given: Mapping[int, Any]) -> Iterator[Filter]:
    """One condition on a column of the table; nothing where it is another one."""
    from sqlglot import exp

    def column(side: exp.Expr) -> str | None:
        side = side.unnest()
        if not isinstance(side, exp.Column) or side.args.get("db") or not isinstance(side.this, exp.Identifier):
            return None
        if side.table.lower() != name and (side.table or not alone):
            return None
        return next((known for known in table.columns if known.lower() == side.name.lower()), None)

    kind = type(node).__name__
    if isinstance(node, exp.Not) and isinstance(node.this.unnest(), exp.Is):
        for found in _condition(node.this.unnest(), name, table, alone, given):
            yield Not(found)
    elif isinstance(node, exp.Is):
        if (
            (where := column(node.this))
            and isinstance(node.expression, exp.Null)
            and str(table.columns[where].kind) != "json"
        ):
            yield Null(where)
    elif isinstance(node, exp.Between):
        if (where := column(node.this)) and not node.args.get("symmetric"):
            yield Is(where, ">=", _value(node.args["low"], table, where, given))
            yield Is(where, "<=", _value(node.args["high"], table, where, given))
    elif isinstance(node, exp.In):
        if (where := column(node.this)) and node.expressions and not node.args.get("query"):
            yield OneOf(where, tuple(_value(each, table, where, given) for each in node.expressions))
    elif kind in _COMPARED:
        if where := column(node.this):
            yield Is(where, _COMPARED[kind][0], _value(node.expression, table, where, given))
        elif where := column(node.expression):
            yield Is(where, _COMPARED[kind][1], _value(node.this, table, where, given))


def _value(node: exp.Expr, table: Table, column: str, given: Mapping[int, Any]) -> Any:
    """What a column is compared with, as a value of its kind."""
    from sqlglot import exp

    kind = str(table.columns[column].kind)
    node = node.unnest()
    value: object = None
    if isinstance(node, exp.Placeholder):
        value = given.get(id(node))
    elif isinstance(node, exp.Boolean):
        value = bool(node.this)
    elif kind == "timestamp":
        value = _time(node)
    elif isinstance(node, exp.Literal):
        value = node.name if node.is_string else _number(node.name)
    elif isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        value = -number if (number := _number(node.this.name)) is not None else None
    if kind == "timestamp" and isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    if not isinstance(value, _COMPARABLE.get(kind, ())):
        raise _NoValue
    try:
        spelled = spell_value(table, column, value)
    except InvalidInput:  # an empty identifier, a number out of range
        raise _NoValue from None
    if spelled != value:  # a text that is kept otherwise, while SQL shows what is kept
        raise _NoValue
    return value


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _time(node: exp.Expr) -> datetime | None:
    """A time that is written as text, or as ``timestamp '...'``."""
    from sqlglot import exp

    if isinstance(node, exp.Cast) and str(node.to) in ("TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ"):
        node = node.this
    if not isinstance(node, exp.Literal) or not node.is_string or not _TIME.fullmatch(node.name):
        return None
    try:
        return datetime.fromisoformat(node.name)
    except ValueError:  # the thirtieth of February; DuckDB says so
        return None
