"""What the store does for each plan, as generators of requests: written once, run by a blocking and an async client.

A plan is one statement, but for a put of many rows, which is sent by COPY. Several plans as one are a SERIALIZABLE
transaction: where two of them cannot be thought of as one after the other, the server refuses one, and its operation
runs again from its start.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import pyarrow as pa

from colonnade.engine import fold, neighbours
from colonnade.engine.abilities import Abilities, by_key
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, Bucket, Delete, Nearest, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.relational import Statement
from colonnade.engine.stores.postgres import bulk
from colonnade.engine.stores.postgres.driver import bound
from colonnade.engine.stores.postgres.layout import Layout, Stored, type_of
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.engine.stores.postgres.sql import PostgresRenderer
from colonnade.engine.stores.postgres.values import arrow_rows, few_rows, tuples
from colonnade.engine.stores.postgres.wide import TooWide
from colonnade.errors import AlreadyExists, Conflict, Unsupported
from colonnade.schemas.few import FewRows

R = TypeVar("R")

SINGLY: Final = 40
"""Up to so many rows are sent as parameters of a statement for each; more go by COPY."""
_NEAR: Final = 10_000
"""So many rows besides those that are wanted may be hardly farther away; more are compared page by page."""
_KEYS: Final = 5_000
_EXACT_CSV: Final = 180_000
"""The version of the server from which on CSV may hold any text."""
_ORDERED: Final = Abilities(order=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One statement, answered with its rows, or with how many it changed."""

    sql: str
    values: Sequence[Any] = ()
    rows: bool = False
    many: Sequence[Sequence[Any]] | None = None
    """Values for each time that it is run; all of them as one."""
    copy: Iterator[bytes] | None = None
    """What is sent to ``COPY``."""
    pause: float | None = None
    """Seconds to wait, and nothing else."""
    prepare: bool | None = None
    """Whether the server is to keep it; if used often, unless said."""


Steps = Generator[Request, Any, R]
"""Yields requests, is sent rows (tuples) or counts."""


def ask(sql: str, *values: Any) -> Steps[list[tuple[Any, ...]]]:
    """Rows of a query of our own."""
    found: list[tuple[Any, ...]] = yield Request(sql, values, rows=True)
    return found


def do(sql: str, *values: Any) -> Steps[int]:
    """A statement of our own; how many rows it changed."""
    changed: int = yield Request(sql, values)
    return changed


def is_long(plan: Plan) -> bool:
    """Whether a plan is more than one statement, and has to be run as one."""
    return isinstance(plan, Put) and (plan.expect is not None or plan.data.num_rows > SINGLY)


def query_of(plan: Scan, layout: Layout) -> Request:
    """The statement of a scan."""
    return _request(PostgresRenderer(layout, bound).scan(plan), rows=True)


def _request(statement: Statement, *, rows: bool = False) -> Request:
    return Request(statement.sql, statement.parameters, rows)


def steps_of(plan: Plan, layout: Layout, *, locking: bool = False) -> Steps[Any]:
    """What is asked of the server for a plan; returns its answer. ``locking`` within transactions (``_is_by_key``)."""
    try:
        return (yield from _steps_of(plan, layout, locking=locking))
    except TooWide as refused:
        refused.table = plan.table
        raise


def _is_by_key(plan: Scan) -> bool:
    """Whether a scan finds rows by their keys. Within a transaction that is to write them, so they are locked.

    Else one that is deleted between its reading and its writing, by a statement outside of transactions, would be put
    again, as if it had never been deleted.
    """
    return plan.limit is None and named_columns(plan.where) == set(plan.table.key)


def _steps_of(plan: Plan, layout: Layout, *, locking: bool) -> Steps[Any]:
    if layout.of(plan.table).absent and not isinstance(plan, Put):
        return _nothing(plan)
    match plan:
        case Scan():
            request = query_of(plan, layout)
            if locking and _is_by_key(plan):
                request = replace(request, sql=f"{request.sql} FOR NO KEY UPDATE")
            found = yield request
            return few_rows(found, plan) if plan.few else arrow_rows(found, plan.schema)
        case Summarize():
            found = yield _request(PostgresRenderer(layout, bound).summarize(plan), rows=True)
            return summary_of(plan, found)
        case Nearest():
            return (yield from _nearest(plan, layout))
        case Put():
            return (yield from _put(plan, layout))
        case Patch():
            return (yield _request(PostgresRenderer(layout, bound).patch(plan)))
        case Delete():
            return (yield _request(PostgresRenderer(layout, bound).delete(plan)))
    raise Unsupported(f"{type(plan).__name__} is no plan of a PostgreSQL store")


def _nothing(plan: Plan) -> Any:
    """The answer of a table that is not there."""
    match plan:
        case Scan():
            return few_rows([], plan) if plan.few else plan.schema.empty_table()
        case Summarize():
            return fold.summarize(replace(plan, where=TRUE), plan.table.schema.empty_table())
        case Nearest():
            return Scan(plan.table, columns=neighbours.needed(plan)).schema.empty_table()
    return 0


def summary_of(plan: Summarize, found: list[tuple[Any, ...]]) -> pa.Table:
    """Groups and measures. Sums of whole numbers come as decimals, which have no end, and buckets as microseconds."""
    given = {term.column: pa.int64() for term in plan.by if isinstance(term, Bucket)} | {
        measure.name: pa.decimal128(38)
        for measure in plan.measures
        if measure.function == "sum" and pa.types.is_integer(fold.measure_type(measure, plan.table))
    }
    schema = pa.schema([each.with_type(given.get(each.name, each.type)) for each in fold.summary_schema(plan)])
    return fold.typed_summary(plan, arrow_rows(found, schema))


def _nearest(plan: Nearest, layout: Layout) -> Steps[pa.Table]:
    columns = neighbours.needed(plan)
    if layout.vectors is not None and plan.k:
        statement = PostgresRenderer(layout, bound).nearest(plan, columns)
        most = plan.k + _NEAR
        found = yield Request(f"{statement.sql} LIMIT {most + 1}", statement.parameters, rows=True)
        if len(found) <= most:
            return arrow_rows(found, Scan(plan.table, columns=columns).schema)

    def perform(scan: Scan) -> Steps[pa.Table]:
        return steps_of(scan, layout)

    whole = replace(plan, columns=columns)
    found = yield from neighbours.scanned(whole, _ORDERED, perform)  # type: ignore[arg-type, misc]  # no plans
    return found.select(columns)


def _put(plan: Put, layout: Layout) -> Steps[int]:
    table, data = plan.table, plan.data
    stored = layout.of(table)
    if plan.expect is not None:
        yield from _compared(plan, layout)
    count = int(data.num_rows)
    if count == 1:
        (row,) = tuples(data)
        yield Request(stored.single, row)
        return count
    if isinstance(data, FewRows):
        data = data.arrow()
    data = fold.collapse(table, data)
    if count <= SINGLY or (layout.server < _EXACT_CSV and bulk.is_cut_short(data)):
        # In the order of their keys, so that two who write the same rows do not wait for each other in a circle.
        data = data.sort_by([(name, "ascending") for name in table.key])
        yield Request(stored.single, many=tuples(data))
    else:
        yield from _copied(layout, stored, data)
    return count


def _compared(plan: Put, layout: Layout) -> Steps[None]:
    """``Conflict`` unless what is expected is stored."""
    assert plan.expect is not None
    keys = plan.data.select(list(plan.table.key))
    parts = []
    for at in range(0, max(keys.num_rows, 1), _KEYS):
        scan = Scan(plan.table, by_key(plan.table, keys.slice(at, _KEYS)), columns=tuple(plan.expect.column_names))
        parts.append((yield from steps_of(scan, layout)))
    if not fold.is_unchanged(plan, pa.concat_tables(parts)):
        raise Conflict(f"rows of {plan.table.name} changed since they were read")


def _copied(layout: Layout, stored: Stored, data: pa.Table) -> Steps[None]:
    """Rows by COPY: to where they belong, if all of them are new, as spans mostly are; else by way of a table aside."""
    table, ident = stored.table, POSTGRES.ident
    names = ", ".join(map(ident, table.columns))
    if layout.expects_new(table) and not stored.writes:
        yield Request("SAVEPOINT copied")
        try:
            yield Request(f"COPY {stored.name} ({names}) FROM STDIN (FORMAT csv)", copy=bulk.csv(data))
        except AlreadyExists:
            layout.was_there(table)
            yield Request("ROLLBACK TO SAVEPOINT copied")
        else:
            return
    aside = ident(f"colonnade_{table.name}")
    columns = ", ".join(f"{ident(name)} {type_of(table, name)}" for name in table.columns)
    yield Request(f"CREATE TEMPORARY TABLE IF NOT EXISTS {aside} ({columns}) ON COMMIT DELETE ROWS")
    yield Request(f"TRUNCATE {aside}")
    yield Request(f"COPY {aside} ({names}) FROM STDIN (FORMAT csv)", copy=bulk.csv(data))
    # In the order of their keys, so that two who write the same rows do not wait for each other in a circle.
    key = ", ".join(f'{ident(name)} COLLATE "C"' for name in table.key)
    yield Request(stored.upsert(f"SELECT {names} FROM {aside} ORDER BY {key}"), prepare=False)
