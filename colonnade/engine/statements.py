"""Statements by the shape of their plan: what differs in values alone is rendered once, and then only bound.

Building the text of a statement takes longer than SQLite takes to find a row. But a domain asks the same few questions
again and again, of other values: their *shape* is the plan without its values. Conditions whose text depends on what is
asked for (places inside JSON, contained texts, semi-joins) have no shape, and are rendered each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from itertools import count
from typing import Any, Final

from colonnade.engine.dialect import Dialect
from colonnade.engine.plan import And, Delete, Filter, Is, Not, Null, OneOf, Or, Patch, Scan, each_leaf
from colonnade.engine.relational import INLINE, Renderer, Statement

Shaped = Scan | Patch | Delete

_MOST: Final = 512
"""So many shapes are remembered. Who asks in more ways than that, for instance page after page, begins anew."""


class _NoShape(Exception):
    """The text depends on values."""


class Statements:
    """The statements of one dialect, for any number of threads."""

    def __init__(self, dialect: Dialect, bind: Callable[[Any], Any] = lambda value: value) -> None:
        """``bind`` brings values into the driver's form."""
        self._dialect = dialect
        self._bind = bind
        self._known: dict[Hashable, tuple[str, tuple[int, ...]]] = {}

    def of(self, plan: Shaped) -> Statement:
        """The statement of a plan, as ``Renderer`` renders it."""
        values: list[Any] = []
        try:
            shape = _shape(plan, values)
            known = self._known.get(shape)
        except (_NoShape, TypeError):  # a TypeError where a plan was made with a list, which has no hash
            return _rendered(plan, Renderer(self._dialect, self._bind))
        if known is None:
            known = self._with_gaps(plan)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[shape] = known
        sql, places = known
        bind = self._bind
        return Statement(sql, tuple([bind(values[place]) for place in places]))

    def _with_gaps(self, plan: Shaped) -> tuple[str, tuple[int, ...]]:
        """The text, and for each of its gaps which of the values of the plan is bound there."""
        numbers = count()

        def numbered(leaf: Filter) -> Filter:
            match leaf:
                case Is(place, op, value) if value is not None:
                    return Is(place, op, next(numbers))
                case OneOf(column, values):
                    return OneOf(column, tuple(next(numbers) for _ in values))
            return leaf

        if isinstance(plan, Patch):
            plan = replace(plan, values={name: next(numbers) for name in plan.values})
        statement = _rendered(replace(plan, where=each_leaf(plan.where, numbered)), Renderer(self._dialect))
        return statement.sql, statement.parameters


def _rendered(plan: Shaped, renderer: Renderer) -> Statement:
    match plan:
        case Scan():
            return renderer.scan(plan)
        case Patch():
            return renderer.patch(plan)
        case Delete():
            return renderer.delete(plan)


def _shape(plan: Shaped, values: list[Any]) -> Hashable:
    """All that the text depends on; the values, in their order, go to ``values``."""
    if isinstance(plan, Scan):
        where = _of_filter(plan.where, values)
        return Scan, plan.table, where, plan.order, plan.limit, plan.offset, plan.columns
    if isinstance(plan, Patch):
        values.extend(plan.values.values())
        return Patch, plan.table, tuple(plan.values), _of_filter(plan.where, values)
    return Delete, plan.table, _of_filter(plan.where, values)


def _of_filter(filter: Filter, values: list[Any]) -> Hashable:
    if isinstance(filter, Is) and isinstance(filter.place, str):
        if filter.value is None:
            return Is, filter.place, None
        values.append(filter.value)
        return Is, filter.place, filter.op
    if isinstance(filter, (And, Or)):
        return type(filter), *[_of_filter(part, values) for part in filter.of]
    if isinstance(filter, OneOf) and len(filter.values) <= INLINE and None not in filter.values:
        values.extend(filter.values)
        return OneOf, filter.column, len(filter.values)
    if isinstance(filter, Null) and isinstance(filter.place, str):
        return Null, filter.place
    if isinstance(filter, Not):
        return Not, _of_filter(filter.of, values)
    raise _NoShape
