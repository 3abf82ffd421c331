"""Filters as match documents, with nulls as everywhere: a comparison with null is unknown, and so is its opposite.

A match document knows true and false only. So a filter has two of them: what says where it is true, and what says where
it is false; where neither matches it is unknown. Every value is an operand of an operator (``$eq``, ``$in``), never a
document of its own: whatever it holds, it is compared and not obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from colonnade.engine.plan import And, Filter, Is, Not, Null, OneOf, Or
from colonnade.engine.stores.mongodb.documents import Document, date_of, micros_field, value_of
from colonnade.schemas.moments import micros_of
from colonnade.schemas.table import Table

EVERYTHING: Final[Document] = {}
NOTHING: Final[Document] = {"_id": {"$in": []}}

_OPPOSITE: Final = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_OPERATORS: Final = {"=": "$eq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


def match_of(table: Table, filter: Filter) -> Document:
    """The documents where a filter is true."""
    return _match(table, filter, holds=True)


def _match(table: Table, filter: Filter, *, holds: bool) -> Document:
    match filter:
        case Is(str() as name, op, value):
            return _compared(table, name, op if holds else _OPPOSITE[op], value)
        case OneOf(name, values):
            return _one_of(table, name, values, holds=holds)
        case Null(str() as name):
            return {name: {"$eq" if holds else "$ne": None}}
        case Not(of):
            return _match(table, of, holds=not holds)
        case And(parts):
            found = [_match(table, part, holds=holds) for part in parts]
            return every(found) if holds else some(found)
        case Or(parts):
            found = [_match(table, part, holds=holds) for part in parts]
            return some(found) if holds else every(found)
    raise TypeError(f"{filter!r} has no match document")


def every(parts: Sequence[Document]) -> Document:
    """Where all match; everything of none."""
    if NOTHING in parts:
        return NOTHING
    left = [part for part in parts if part != EVERYTHING]
    return left[0] if len(left) == 1 else {"$and": left} if left else EVERYTHING


def some(parts: Sequence[Document]) -> Document:
    """Where any matches; nothing of none."""
    if EVERYTHING in parts:
        return EVERYTHING
    left = [part for part in parts if part != NOTHING]
    return left[0] if len(left) == 1 else {"$or": left} if left else NOTHING


def same(table: Table, name: str, value: Any) -> Document:
    """Where a column is as it was read, a null too."""
    return {name: {"$eq": None}} if value is None else _compared(table, name, "=", value)


def _compared(table: Table, name: str, op: str, value: Any) -> Document:
    if value is None:
        return NOTHING
    column = table.columns[name]
    if column.kind.name == "timestamp":
        return _compared_time(name, op, micros_of(value))
    held = value_of(column, value)
    return {name: {"$nin": [held, None]} if op == "!=" else {_OPERATORS[op]: held}}


def _compared_time(name: str, op: str, micros: int) -> Document:
    """By the date first, which an index knows, and within one millisecond by what is left; none left is no field."""
    date, left = date_of(micros)
    rest = micros_field(name)
    match op:
        case "=":
            return {name: {"$eq": date}, rest: {"$in": [left] if left else [None, 0]}}
        case "!=":
            other = {rest: {"$ne": left} if left else {"$nin": [None, 0]}}
            return {name: {"$ne": None}, "$or": [{name: {"$ne": date}}, other]}
        case "<" | ">=" if not left:
            return {name: {_OPERATORS[op]: date}}
        case "<" | "<=":
            within = [{rest: {"$eq": None}}, {rest: {_OPERATORS[op]: left}}]
            return {name: {"$lte": date}, "$or": [{name: {"$lt": date}}, *within]}
    return {name: {"$gte": date}, "$or": [{name: {"$gt": date}}, {rest: {_OPERATORS[op]: left}}]}


def _one_of(table: Table, name: str, values: Sequence[Any], *, holds: bool) -> Document:
    known = [value for value in values if value is not None]
    column = table.columns[name]
    if holds:
        if column.kind.name == "timestamp":
            return some([_compared(table, name, "=", value) for value in known])
        # In order, since the server that tests run on (SecantusDB 0.7.0b3) gives rows in the order of this list where
        # it should sort by the column.
        return {name: {"$in": [value_of(column, value) for value in sorted(known)]}} if known else NOTHING
    if not values:
        return EVERYTHING  # it is false even where the column is null
    if len(known) < len(values):
        return NOTHING  # a null among them: who is none of the others may be it
    if column.kind.name == "timestamp":
        return every([_compared(table, name, "!=", value) for value in known])
    return {name: {"$nin": [*(value_of(column, value) for value in known), None]}}
