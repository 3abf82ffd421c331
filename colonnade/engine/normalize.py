"""Check a plan against its table's schema and bring its values into stored form, once, before anything runs."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import is_
from typing import Final, TypeVar, get_args

from colonnade.engine.plan import (
    Among,
    And,
    At,
    Bucket,
    Comparison,
    Contains,
    Delete,
    Filter,
    Function,
    Is,
    Nearest,
    Not,
    Null,
    OneOf,
    Or,
    Patch,
    Plan,
    Put,
    Scan,
    Search,
    Summarize,
    each_leaf,
)
from colonnade.errors import InvalidInput
from colonnade.schemas.check import check
from colonnade.schemas.few import FewRows
from colonnade.schemas.kinds import NUMERIC, WHOLE
from colonnade.schemas.payloads import escape_text, from_json, to_json
from colonnade.schemas.records import spell_value
from colonnade.schemas.table import Table
from colonnade.schemas.words import words

P = TypeVar("P", Scan, Summarize)

_COMPARISONS: Final[tuple[str, ...]] = get_args(Comparison)
_FUNCTIONS: Final[tuple[str, ...]] = get_args(Function)


def normalize(plan: Plan) -> Plan:
    """The plan with every value in stored form; ``InvalidInput`` names what is wrong with it.

    What is in stored form already, as almost everything is that domains say, is given back and not made again.
    """
    table = plan.table
    match plan:
        case Put():
            if isinstance(plan.data, FewRows) and plan.data.table is table:
                return plan  # made by encode_few(), which lets nothing else through
            return replace(plan, data=check(table, plan.data))
        case Patch():
            return Patch(table, _filter(plan.where, table), _values(plan, table))
        case Delete():
            where = _filter(plan.where, table)
            return plan if where is plan.where else Delete(table, where)
        case Scan():
            return _scan(plan)
        case Summarize():
            _summary(plan)
            return replace(plan, where=_filter(plan.where, table))
        case Nearest():
            return replace(_nearest(plan), where=_filter(plan.where, table))
        case Search():
            return replace(_search(plan), where=_filter(plan.where, table))
    raise InvalidInput(f"{type(plan).__name__} is no plan")


def _scan(plan: Scan) -> Scan:
    table = plan.table
    for term in plan.order:
        table.column(term.column)
    if plan.columns is not None and plan.columns is not table.light:
        for name in plan.columns:
            table.column(name)
        if len(set(plan.columns)) != len(plan.columns) or not plan.columns:
            raise InvalidInput("a scan gives at least one column, and each only once")
    if (plan.limit is not None and plan.limit < 0) or plan.offset < 0:
        raise InvalidInput(f"limit and offset must be >= 0, not {plan.limit} and {plan.offset}")
    where = _filter(plan.where, table)
    return plan if where is plan.where else plan.but(where=where)


def _search(plan: Search) -> Search:
    for name in plan.columns:
        _text_column(plan.table, name)
    if not plan.columns or not plan.words or any(words(word) != [word] for word in plan.words):
        raise InvalidInput(f"a search needs columns and words in lower case, such as 'refund', not {plan.words!r:.80}")
    if plan.limit < 0:
        raise InvalidInput(f"limit must be >= 0, not {plan.limit}")
    return replace(plan, words=tuple(dict.fromkeys(plan.words)), columns=tuple(dict.fromkeys(plan.columns)))


def _nearest(plan: Nearest) -> Nearest:
    if plan.table.column(plan.column).kind.name != "vector":
        raise InvalidInput(f"{plan.column} of {plan.table.name} is no vector")
    try:
        vector = tuple(array("f", spell_value(plan.table, plan.column, plan.vector)))  # as exact as those that are kept
    except TypeError as error:
        raise InvalidInput(f"{plan.table.name}: {plan.column} {error}") from None
    if not any(vector):
        raise InvalidInput("a vector of zeros points nowhere, so nothing is near to it")
    if plan.k < 0:
        raise InvalidInput(f"k must be >= 0, not {plan.k}")
    _scan(Scan(plan.table, columns=plan.columns))
    return replace(plan, vector=vector)


def _text_column(table: Table, name: str) -> None:
    if (kind := table.column(name).kind.name) not in ("text", "json"):
        raise InvalidInput(f"{name} of {table.name} is {kind}, and only text and JSON hold words")


def _values(plan: Patch, table: Table) -> dict[str, object]:
    values = {name: spell_value(table, name, value) for name, value in plan.values.items()}
    if values and None not in values.values() and values.keys().isdisjoint(table.guarded):
        return values
    if not values:
        raise InvalidInput(f"nothing to change in {table.name}: give at least one value")
    if fixed := [name for name in values if name in table.key]:
        raise InvalidInput(f"{', '.join(sorted(fixed))} identifies a row of {table.name} and cannot be changed")
    if kept := [name for name in values if name in table.once]:
        raise InvalidInput(f"{', '.join(sorted(kept))} of {table.name} is written once and cannot be changed")
    if table.facts.final in values and values[table.facts.final] is None:
        raise InvalidInput(f"{table.facts.final} of {table.name} ends a row and cannot be taken back")
    if vectors := [name for name in values if table.columns[name].kind.name == "vector"]:
        raise InvalidInput(f"{', '.join(vectors)} of {table.name} is a vector: put the whole row instead")
    if missing := [name for name, value in values.items() if value is None and not table.columns[name].nullable]:
        raise InvalidInput(f"{table.name}: {', '.join(missing)} cannot be null")
    return values


def _summary(plan: Summarize) -> None:
    names = []
    for term in plan.by:
        names.append(term.column if isinstance(term, Bucket) else term)
        if isinstance(term, Bucket) and plan.table.column(term.column).kind.name != "timestamp":
            raise InvalidInput(f"{term.column} is no timestamp, so it cannot be cut into buckets")
    for measure in plan.measures:
        names.append(measure.name)
        if measure.function not in _FUNCTIONS:
            raise InvalidInput(f"{measure.function!r} is no measure; the measures are {', '.join(_FUNCTIONS)}")
        if measure.column is None:
            if measure.function != "count" or measure.minus is not None:
                raise InvalidInput(f"{measure.function} needs a column")
            continue
        kind = plan.table.column(measure.column).kind.name
        if measure.minus is not None and not {kind, plan.table.column(measure.minus).kind.name} <= WHOLE:
            raise InvalidInput(f"{measure.column} minus {measure.minus} makes no sense: both must be whole numbers")
        ordered = kind in {"text", "uuid", "timestamp"} and measure.function in ("min", "max")
        if measure.function != "count" and kind not in NUMERIC and not ordered:
            raise InvalidInput(f"{measure.function} of {measure.column} makes no sense: it is {kind}")
    for name in names[: len(plan.by)]:
        plan.table.column(name)
    if len(set(names)) != len(names) or not names:
        raise InvalidInput("a summary gives at least one column, and each only once: name its measures")


def _filter(filter: Filter, table: Table) -> Filter:
    return each_leaf(filter, partial(_leaf, table))


def _leaf(table: Table, filter: Filter) -> Filter:
    if isinstance(filter, Is) and isinstance(filter.place, str):  # what most filters are made of
        return _comparison(filter, filter.place, table)
    if isinstance(filter, OneOf):
        return _one_of(filter, table)
    match filter:
        case Is(_, op, _) if op not in _COMPARISONS:
            raise _unknown(op)
        case Is(At(column)) | Null(At(column)):
            if table.column(column).kind.name != "json":
                raise InvalidInput(f"{column} of {table.name} is no JSON column, so there is no place inside it")
            return Is(filter.place, filter.op, _as_json(filter.value)) if isinstance(filter, Is) else filter
        case Contains(name, text):
            _text_column(table, name)
            if not isinstance(text, str) or not text:
                raise InvalidInput(f"to be contained in {name} takes some text, not {text!r:.80}")
            return Contains(name, escape_text(text))
        case Among(name, scan, of):
            if table.column(name).kind != scan.table.column(of).kind:
                raise InvalidInput(f"{name} and {of} are of different kinds")
            return Among(name, _scan(scan.but(columns=(of,))), of)
        case Null(str() as name):
            table.column(name)
            return filter
    raise InvalidInput(f"{filter!r} is no filter")


def _comparison(filter: Is, name: str, table: Table) -> Is:
    if filter.op not in _COMPARISONS:  # it becomes text of a statement, so nothing else may pass
        raise _unknown(filter.op)
    if filter.op == "has":
        raise InvalidInput(f"'has' looks into JSON: write Is(At({name!r}), 'has', ...)")
    value = spell_value(table, name, filter.value)
    return filter if value is filter.value else Is(name, filter.op, value)


def _one_of(filter: OneOf, table: Table) -> OneOf:
    name, values = filter.column, filter.values
    table.column(name)
    spelled = tuple([spell_value(table, name, value) for value in values])
    return filter if type(values) is tuple and all(map(is_, spelled, values)) else OneOf(name, spelled)


def _unknown(op: object) -> InvalidInput:
    return InvalidInput(f"{op!r} is no comparison; the comparisons are {', '.join(_COMPARISONS)}")


def _as_json(value: object) -> object:
    """A value as JSON has it: tuples are lists, dates and UUIDs texts."""
    try:
        return from_json(to_json(value))
    except (TypeError, ValueError) as error:
        raise InvalidInput(str(error)) from None


def named_columns(filter: Filter) -> set[str]:
    """The columns that a filter looks at."""
    match filter:
        case Is(place) | Null(place):
            return {place.column if isinstance(place, At) else place}
        case OneOf(name) | Among(name) | Contains(name):
            return {name}
        case Not(of):
            return named_columns(of)
        case And(parts) | Or(parts):
            return set().union(*(named_columns(part) for part in parts))
    return set()


def rename(plan: P, table: Table, names: dict[str, str]) -> P:
    """The same plan over another table, with columns renamed."""

    def to(name: str) -> str:
        return names.get(name, name)

    where = each_leaf(plan.where, lambda leaf: _rename(leaf, to))
    if isinstance(plan, Scan):
        return plan.but(
            table=table,
            where=where,
            order=tuple(replace(term, column=to(term.column)) for term in plan.order),
            columns=tuple(map(to, plan.projection)),
        )
    return replace(
        plan,
        table=table,
        where=where,
        by=tuple(to(term) if isinstance(term, str) else replace(term, column=to(term.column)) for term in plan.by),
        measures=tuple(
            replace(m, column=to(m.column), minus=m.minus and to(m.minus)) if m.column else m for m in plan.measures
        ),
    )


def _rename(filter: Filter, to: Callable[[str], str]) -> Filter:
    match filter:
        case Is(At(column, path), op, value):
            return Is(At(to(column), path), op, value)
        case Is(str() as name, op, value):
            return Is(to(name), op, value)
        case Null(At(column, path)):
            return Null(At(to(column), path))
        case Null(str() as name):
            return Null(to(name))
        case OneOf(name, values):
            return OneOf(to(name), values)
        case Contains(name, text):
            return Contains(to(name), text)
        case Among(name, scan, of):
            return Among(to(name), scan, of)
    return filter
