"""What the store does for each plan, as generators of requests: written once, run by a blocking and an async client.

**Writes take turns, table by table.** A server refuses a query whose id is that of a running one; so every write of a
table carries one and the same id, and whoever is refused tries again. Each write is one statement that reads what is
stored, decides, and adds new copies of rows as one part: it is seen whole or not at all. That is what ``Put``'s rules
and compare-and-set stand on, and why no lock is left behind by a client that dies.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold, neighbours, searching
from colonnade.engine.plan import TRUE, Delete, Nearest, Patch, Plan, Put, Scan, Search, Summarize
from colonnade.engine.stores.clickhouse import layout
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE, DELETED_COLUMN, VERSION_COLUMN
from colonnade.engine.stores.clickhouse.ranked import RankedRenderer
from colonnade.engine.stores.clickhouse.sql import ClickHouseRenderer, upsert
from colonnade.errors import Conflict
from colonnade.schemas.table import Table

R = TypeVar("R")

INCOMING: Final = "incoming"
"""What rows that are sent along are called in a statement."""
_BASE: Final = "_base"
_PAGE: Final = 1024
_ROWS: Final = 200_000
_BYTES: Final = 128 * 2**20
"""A put of more is several statements: one part of a table is made of about a million rows or 256 MB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One statement. ``rows`` says whether it gives rows or changes them; ``turn`` names those that take turns."""

    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rows: bool = False
    turn: str | None = None
    incoming: pa.Table | None = None
    structure: str = ""
    node: int = 0
    """Which of the hosts it is for, in the order in which they are named."""
    block: int | None = None
    """Rows that the server works on at a time, where fewer than usual are wanted."""
    database: bool = True
    """Whether the database is there already."""


Steps = Generator[Request, Any, R]
"""Yields requests, is sent rows (``pa.Table``) or how many were written."""


def ask(sql: str, node: int = 0, **values: Any) -> Steps[pa.Table]:
    """Rows of a query of our own, which names the database where it means one."""
    found: pa.Table = yield Request(sql, values, rows=True, node=node, database=False)
    return found


def query_of(plan: Scan) -> Request:
    """The statement of a scan."""
    renderer = ClickHouseRenderer()
    return Request(renderer.selected(plan), renderer.values, rows=True, block=_block(plan))


def _block(plan: Scan) -> int | None:
    """A page in the order in which rows lie: the server need not read on for a whole block of the usual 65,536 rows."""
    lies = layout.sort_columns(plan.table)
    in_order = bool(plan.order) and plan.order[0].column in lies
    return _PAGE if in_order and plan.limit is not None and plan.limit + plan.offset <= _PAGE else None


def steps_of(plan: Plan, *, sharded: bool) -> Steps[Any]:
    """What is asked of the server for a plan; returns its answer."""
    match plan:
        case Scan():
            return (yield from _scan(plan))
        case Summarize():
            return (yield from _summarize(plan))
        case Search():
            return (yield from _search(plan))
        case Nearest():
            return (yield from _nearest(plan))
        case Put():
            return (yield from _put(plan))
        case Patch():
            return (yield from _patch(plan))
        case Delete():
            return (yield from _delete(plan, sharded=sharded))


def _scan(plan: Scan) -> Steps[pa.Table]:
    found = yield query_of(plan)
    return found.cast(plan.schema)


def _summarize(plan: Summarize) -> Steps[pa.Table]:
    renderer = ClickHouseRenderer()
    found = yield Request(renderer.summary(plan), renderer.values, rows=True)
    return fold.typed_summary(plan, found.rename_columns(plan.names))


def search_of(plan: Search) -> Request:
    """The statement of a search."""
    renderer, scan = RankedRenderer(), searching.newest(plan)
    return Request(renderer.searched(plan, scan), renderer.values, rows=True, block=_block(scan))


def _search(plan: Search) -> Steps[pa.Table]:
    found = yield search_of(plan)
    return found.cast(searching.newest(plan).schema)


def _nearest(plan: Nearest) -> Steps[pa.Table]:
    renderer, columns = RankedRenderer(), neighbours.needed(plan)
    found = yield Request(renderer.neighbours(plan, columns), renderer.values, rows=True)
    return found.cast(Scan(plan.table, columns=columns).schema)


def _put(plan: Put) -> Steps[int]:
    table, data = plan.table, fold.collapse(plan.table, plan.data)
    base = None
    if plan.expect is not None:
        data = data.append_column(_BASE, (yield from _versions(plan, data)))
        base = _BASE
    sql = upsert(table, INCOMING, base)
    structure = layout.structure(data.schema, table, more=base or "")
    # Compared and set as one, or not at all; all else may come in pieces, each of them whole.
    for piece in [data] if base else _pieces(data):
        yield Request(sql, turn=turn_of(table), incoming=piece, structure=structure)
    return int(plan.data.num_rows)


def _versions(plan: Put, data: pa.Table) -> Steps[pa.ChunkedArray]:
    """The versions of the rows that a guarded put may replace, 0 of those that were never there."""
    table, expect = plan.table, plan.expect
    assert expect is not None
    renderer = ClickHouseRenderer()
    leads = data.column(table.key[0]).unique().to_pylist()
    sql = renderer.newest_by_key(table, tuple(expect.column_names), leads)
    newest = yield Request(sql, renderer.values, rows=True)
    versions, deleted = newest.column(VERSION_COLUMN), newest.column(DELETED_COLUMN)
    columns = [name for name in newest.column_names if name in table.columns]
    newest = newest.select(columns).cast(pa.schema([table.schema.field(name) for name in columns]))
    if not fold.is_unchanged(plan, newest.filter(pc.equal(deleted, 0))):
        raise Conflict(f"rows of {table.name} changed since they were read")
    places = pc.index_in(fold.key_of(table, data), value_set=fold.key_of(table, newest))
    return pc.fill_null(versions.take(places), 0)


def _pieces(data: pa.Table) -> Iterator[pa.Table]:
    size = max(1, min(_ROWS, data.num_rows * _BYTES // max(data.nbytes, 1)))
    for at in range(0, data.num_rows, size):
        yield data.slice(at, size)


def _patch(plan: Patch) -> Steps[int]:
    renderer = ClickHouseRenderer()
    sql = renderer.changed(plan)
    written: int = yield Request(sql, renderer.values, turn=turn_of(plan.table))
    return written // 2 if any(name in plan.values for name in layout.moving(plan.table)) else written


def _delete(plan: Delete, *, sharded: bool) -> Steps[int]:
    if plan.where == TRUE and not sharded:
        held = yield Request(f"SELECT count() AS held FROM {layout.name_of(plan.table)} FINAL", rows=True)
        yield Request(f"TRUNCATE TABLE {layout.name_of(plan.table)}", turn=turn_of(plan.table))
        return int(held.column("held")[0].as_py())
    renderer = ClickHouseRenderer()
    sql = renderer.deleted(plan)
    written: int = yield Request(sql, renderer.values, turn=turn_of(plan.table))
    return written


def turn_of(table: Table) -> str:
    """What writes of a table have in common, so that they take turns."""
    return CLICKHOUSE.table_name(table)
