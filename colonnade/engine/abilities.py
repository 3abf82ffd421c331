"""What a store can do, and the one place where a plan is refused or rewritten for it.

``perform`` turns any plan into plans that its store can run natively, and folds the rest in Arrow. It never
approximates: what can be neither run nor folded is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from operator import is_
from typing import Any

import pyarrow as pa

from colonnade.engine.normalize import P, named_columns, normalize, rename
from colonnade.engine.plan import (
    TRUE,
    Among,
    And,
    At,
    Contains,
    Delete,
    Filter,
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
)
from colonnade.errors import Unsupported
from colonnade.schemas import table_named
from colonnade.schemas.few import FewRows
from colonnade.schemas.table import Table


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a store does natively. The zero value can only put rows, give all of them, and delete by key."""

    transactions: bool = False
    """Several plans as one, all or nothing; a read inside one sees its writes."""
    compare_and_set: bool = False
    """``Put`` with ``expect``."""
    filters: bool = False
    """Column comparisons, one-of, null, not, and, or."""
    json_equal: bool = False
    """``Is(At(...), "=" | "!=", text | number | boolean)`` and ``Null(At(...))``."""
    json_has: bool = False
    """``Is(At(...), "has", text)``."""
    contains: bool = False
    """``Contains``."""
    longest: int | None = None
    """Letters that a text may have at most that ``Contains`` looks for, if there is such a limit."""
    semijoin: bool = False
    """``Among`` over another table of the same store."""
    order: bool = False
    """Order, limit and offset."""
    aggregates: frozenset[str] = frozenset()
    """The functions of ``Summarize``, with buckets."""
    patch: bool = False
    """``Patch`` by a native filter."""
    delete: bool = False
    """``Delete`` by a native filter."""
    nearest: bool = False
    """``Nearest``: the store gives the nearest rows with their vectors, which are compared again above it."""
    search: bool = False
    """``Search``, by an index of words: the store gives rows that may be among the best, which are ranked above it."""


@dataclass(frozen=True)
class Lesser:
    """What ``perform`` asks of a store: one that leaves to a fold what it can do otherwise, but not of this plan."""

    abilities: Abilities
    few: bool = False


Route = Callable[[Table], Any]
"""Which store keeps a table."""

Native = Generator[tuple[Any, Plan], Any, Any]
"""Yields a store with a plan that it can run, is sent the answer."""


def perform(plan: Plan, route: Route) -> Native:
    """Run any plan: yields native ones, returns its answer (``pa.Table`` for reads, a count for changes)."""
    plan = normalize(plan)
    if not plan.table.facts.reading_of and _is_native_as_it_is(plan, store := route(plan.table)):
        return (yield store, plan)
    return (yield from _perform(plan, route))


def _is_native_as_it_is(plan: Plan, store: Any) -> bool:
    """Whether it is plain that nothing of a plan is to be rewritten for its store, as nothing is of most."""
    abilities: Abilities = store.abilities
    match plan:
        case Scan():
            return (abilities.order or not plan.complete_order) and _is_checked(plan.where, abilities)
        case Put():
            return plan.expect is None and store.few and bool(plan.data.num_rows)
        case Patch():
            return abilities.patch and _is_checked(plan.where, abilities)
        case Delete():
            return abilities.delete and _is_checked(plan.where, abilities)
    return False


def _is_checked(where: Filter, abilities: Abilities) -> bool:
    return _asks_columns(where) if abilities.filters else where == TRUE


def _asks_columns(filter: Filter) -> bool:
    """Whether all that a filter asks is what columns hold, which every store checks that has filters."""
    match filter:
        case Is(place) | Null(place):
            return isinstance(place, str)
        case OneOf():
            return True
        case And(parts) | Or(parts):
            return all(map(_asks_columns, parts))
        case Not(of):
            return _asks_columns(of)
    return False


def _perform(plan: Plan, route: Route) -> Native:
    if plan.table.facts.reading_of:
        return (yield from _read_through(plan, route))
    store = route(plan.table)
    if isinstance(plan, Put):
        if plan.expect is not None and not (store.abilities.compare_and_set or store.abilities.transactions):
            raise Unsupported(f"{store} has neither transactions nor compare-and-set")
        if isinstance(plan.data, FewRows) and not (store.few and plan.expect is None):
            plan = replace(plan, data=plan.data.arrow())
        return (yield store, plan) if plan.data.num_rows else 0
    pushed, rest = yield from _divide(plan.where, store, route)
    match plan:
        case Scan():
            return (yield from _scan(plan, pushed, rest, store))
        case Summarize():
            wanted = {measure.function for measure in plan.measures}
            if rest == TRUE and wanted <= store.abilities.aggregates:
                return (yield store, replace(plan, where=pushed))
            named = named_columns(rest) | {name for measure in plan.measures for name in measure.columns}
            named |= {term if isinstance(term, str) else term.column for term in plan.by}
            data = yield store, Scan(plan.table, pushed, columns=_some(plan.table, named))
            from colonnade.engine import fold  # pyarrow.compute is not loaded by `import colonnade`

            return fold.summarize(replace(plan, where=rest), data)
        case Patch():
            if rest == TRUE and store.abilities.patch:
                return (yield store, plan if pushed is plan.where else replace(plan, where=pushed))
            found = yield from _scan(Scan(plan.table), pushed, rest, store)
            if not found.num_rows:
                return 0
            safe = store.abilities.compare_and_set or store.abilities.transactions
            guard = found if safe else None  # else a change between the scan and the put would be overwritten
            return (yield store, Put(plan.table, patched(found, plan), expect=guard))
        case Delete():
            if rest == TRUE and store.abilities.delete:
                return (yield store, plan if pushed is plan.where else replace(plan, where=pushed))
            keys = yield from _scan(Scan(plan.table, columns=plan.table.key), pushed, rest, store)
            return (yield store, Delete(plan.table, by_key(plan.table, keys))) if keys.num_rows else 0
        case Nearest():
            from colonnade.engine import neighbours

            if rest == TRUE and store.abilities.nearest:
                return (yield from neighbours.native(replace(plan, where=pushed), store))
            near = replace(plan, where=pushed & rest)
            return (yield from neighbours.scanned(near, store.abilities, lambda inner: _perform(inner, route)))
        case Search():
            from colonnade.engine import searching

            if rest == TRUE and store.abilities.search:
                native = replace(plan, where=pushed)
                return (yield from searching.native(native, store, lambda inner: _perform(inner, route)))
            whole = replace(plan, where=pushed & rest)
            return (yield from searching.scanned(whole, store.abilities, lambda inner: _perform(inner, route)))


def _scan(plan: Scan, pushed: Filter, rest: Filter, store: Any) -> Native:
    if is_native(plan, rest, store.abilities):
        return (yield store, plan if pushed is plan.where else plan.but(where=pushed))
    needed = named_columns(rest) | set(plan.projection) | {term.column for term in plan.complete_order}
    data = yield store, Scan(plan.table, pushed, columns=_some(plan.table, needed))
    from colonnade.engine import fold

    return fold.scan(plan.but(where=rest), data)


def native_scan(plan: Scan, route: Route) -> tuple[Any, Scan] | None:
    """The store and the scan that it runs natively, where nothing is left to fold; ``None`` otherwise."""
    store = route(plan.table)
    scan = normalize(plan)
    if plan.table.facts.reading_of or not isinstance(scan, Scan) or _joins(scan.where):
        return None
    pushed, rest = split(scan.where, store.abilities)
    return (store, scan.but(where=pushed)) if is_native(scan, rest, store.abilities) else None


def _joins(where: Filter) -> bool:
    match where:
        case Not(of):
            return _joins(of)
        case And(parts) | Or(parts):
            return any(map(_joins, parts))
    return isinstance(where, Among)


def is_native(plan: Scan, rest: Filter, abilities: Abilities) -> bool:
    """Whether nothing of a scan is left to fold."""
    return rest == TRUE and (abilities.order or not plan.complete_order)


def split(where: Filter, abilities: Abilities) -> tuple[Filter, Filter]:
    """A filter as what the store can check and what is left: a row is kept where both are true."""
    parts = where.of if isinstance(where, And) else (where,)
    if all(can_push(part, abilities) for part in parts):
        return where, TRUE
    pushed = tuple(part for part in parts if can_push(part, abilities))
    rest = tuple(part for part in parts if not can_push(part, abilities))
    return And(pushed), And(rest)


def can_push(filter: Filter, abilities: Abilities) -> bool:
    """Whether a store checks a filter natively."""
    match filter:
        case Is(At() as place, "=" | "!=", value):
            return abilities.json_equal and _plain_path(place) and _plain_value(value)
        case Is(At() as place, "has", value):
            return abilities.json_has and _plain_path(place) and isinstance(value, str)
        case Is(At()):
            return False
        case Null(At() as place):
            return abilities.json_equal and _plain_path(place)
        case Is() | OneOf() | Null():
            return abilities.filters
        case Contains(_, text):
            return abilities.contains and (abilities.longest is None or len(text) <= abilities.longest)
        case Not(of):
            return abilities.filters and can_push(of, abilities)
        case And(parts) | Or(parts):
            return abilities.filters and all(can_push(part, abilities) for part in parts)
        case Among():
            return True  # those that the store cannot run are already answered
    return False


def _plain_path(place: At) -> bool:
    # Other keys would need each store's own quoting of paths; they are rare, and folding them is right everywhere.
    return all(isinstance(step, str) and step.replace("_", "a").isalnum() and step.isascii() for step in place.path)


def _plain_value(value: object) -> bool:
    # From 2**53 on a store may compare numbers as doubles, which would call different integers equal.
    return isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) < 2**53)


def _divide(where: Filter, store: Any, route: Route) -> Generator[tuple[Any, Plan], Any, tuple[Filter, Filter]]:
    """A filter as what the store checks natively and what is left to fold, free of semi-joins that neither can run."""
    pushed, rest = split((yield from _semijoins(where, store, route, native=True)), store.abilities)
    return pushed, (yield from _semijoins(rest, store, route, native=False))


def _semijoins(where: Filter, store: Any, route: Route, *, native: bool) -> Generator[tuple[Any, Plan], Any, Filter]:
    """The filter with semi-joins replaced by what they find: all, or with ``native`` those the store cannot run."""
    match where:
        case Among(column, scan, of):
            scan = scan.but(columns=(of,))
            if scan.table.facts.reading_of:
                scan = _over_origin(scan)
            if native and store.abilities.semijoin and route(scan.table) is store:
                inner = yield from _semijoins(scan.where, store, route, native=True)
                if is_native(scan, split(inner, store.abilities)[1], store.abilities):
                    return Among(column, scan.but(where=inner), scan.projection[0])
            found = yield from _perform(scan, route)
            return OneOf(column, tuple(value for value in found.column(0).unique().to_pylist() if value is not None))
        case Not(inner):
            return Not((yield from _semijoins(inner, store, route, native=native)))
        case And(parts) | Or(parts):
            answered = []
            for part in parts:
                answered.append((yield from _semijoins(part, store, route, native=native)))
            return where if all(map(is_, answered, parts)) else type(where)(tuple(answered))
    return where


def _over_origin(plan: P) -> P:
    """A plan over a reading (``traces``) as one over the table that it reads."""
    facts = plan.table.facts
    return rename(plan, table_named(str(facts.reading_of)), dict(facts.renames))


def _read_through(plan: Plan, route: Route) -> Native:
    """A plan over a reading, with the answer's columns named as the reading has them."""
    match plan:
        case Scan():
            answer = yield from _perform(_over_origin(plan), route)
            return answer.rename_columns(plan.projection)
        case Summarize():
            answer = yield from _perform(_over_origin(plan), route)
            return answer.rename_columns(plan.names)
    other = "search" if isinstance(plan, Search) else "write"
    raise Unsupported(f"{plan.table.name} is a reading of {plan.table.facts.reading_of}: {other} that instead")


def by_key(table: Table, keys: pa.Table) -> Filter:
    """The rows with these keys."""
    if len(table.key) == 1:
        return OneOf(table.key[0], tuple(keys.column(table.key[0]).to_pylist()))
    rows = keys.select(list(table.key)).to_pylist()
    return Or(tuple(And(tuple(Is(name, "=", row[name]) for name in table.key)) for row in rows))


def _some(table: Table, wanted: set[str]) -> tuple[str, ...]:
    # A scan of no columns has no row count in Arrow, so the key is always among them.
    return tuple(name for name in table.columns if name in wanted or name in table.key)


def patched(found: pa.Table, plan: Patch) -> pa.Table:
    """Rows with the values of a patch."""
    for name, value in plan.values.items():
        declared = plan.table.schema.field(name)
        at = found.schema.get_field_index(name)
        found = found.set_column(at, declared, pa.repeat(pa.scalar(value, declared.type), found.num_rows))
    return found
