"""What the store does for each plan, as generators of requests: written once, run by a blocking and an async client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.plan import Delete, Filter, Nearest, OneOf, Or, Patch, Plan, Put, Scan, Search, Summarize
from colonnade.engine.stores.mongodb import guarded, mastra, summary, vectors
from colonnade.engine.stores.mongodb.documents import Document, arrow_rows, documents, fields_for, fields_of
from colonnade.engine.stores.mongodb.matching import match_of
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of, scanned
from colonnade.engine.stores.mongodb.vectors import VectorIndexes
from colonnade.engine.stores.mongodb.writing import key_of, keys_match, writes
from colonnade.errors import Conflict, Unsupported
from colonnade.schemas.table import Table

_KEYS: Final = 5_000
"""Keys in one filter at most: what is sent has to fit into 16 MB."""
_MANY: Final = 20
"""So many rows are looked for before they are written: mostly they are new, and an insert is cheaper than an upsert."""


def steps_of(
    plan: Plan,
    indexes: VectorIndexes | None = None,
    *,
    alone: bool = False,
    foreign: frozenset[str] = frozenset(),
) -> Steps[Any]:
    """What is asked of the server for a plan; returns its answer.

    ``indexes`` are those of vectors, which no transaction asks. ``alone`` is a server without transactions. ``foreign``
    are the collections that Mastra made.
    """
    is_foreign = name_of(plan.table) in foreign
    steps = _steps_of(plan, indexes, alone=alone, is_foreign=is_foreign)
    return mastra.over(steps, foreign) if is_foreign else steps


def _steps_of(plan: Plan, indexes: VectorIndexes | None, *, alone: bool, is_foreign: bool) -> Steps[Any]:
    match plan:
        case Scan():
            return (yield from scanned(plan))
        case Summarize():
            found = yield Request(
                name_of(plan.table), "aggregate", (summary.pipeline_of(plan),), {"allowDiskUse": True}, rows=True
            )
            return summary.rows_of(plan, found)
        case Put():
            if alone and plan.expect is not None:
                return (yield from guarded.put(plan, is_foreign=is_foreign))
            return (yield from _put(plan))
        case Patch():
            return (yield from _patch(plan))
        case Delete():
            return (yield from _delete(plan))
        case Nearest():
            return (yield from vectors.nearest(plan, indexes))
        case Search():
            raise Unsupported("a MongoDB store has no index of words")


def _put(plan: Put) -> Steps[int]:
    table = plan.table
    data = fold.collapse(table, plan.data)
    if plan.expect is not None:  # within a transaction
        columns = tuple(plan.expect.column_names)
        stored: list[Document] = []
        for part in _parts(data):
            stored += yield from _stored(table, documents(table, part), columns)
        if not fold.is_unchanged(plan, arrow_rows(stored, table, Scan(table, columns=columns).schema)):
            raise Conflict(f"rows of {table.name} changed since they were read")
    for part in _parts(data):
        rows, known = documents(table, part), None
        if len(rows) >= _MANY:
            known = {key_of(table, each) for each in (yield from _stored(table, rows, table.key))}
        yield Request(name_of(table), "bulk_write", (writes(table, rows, known),), {"ordered": False})
    return int(plan.data.num_rows)


def _stored(table: Table, rows: Sequence[Document], columns: tuple[str, ...]) -> Steps[list[Document]]:
    """Some columns of what is stored under the keys of rows."""
    kept = {name: 1 for column in columns for name in fields_of(table.columns[column])} | {"_id": 0}
    found: list[Document] = yield Request(
        name_of(table), "find", (keys_match(table, rows),), {"projection": kept}, rows=True
    )
    return found


def _parts(data: pa.Table) -> Iterator[pa.Table]:
    yield from (data.slice(at, _KEYS) for at in range(0, max(data.num_rows, 1), _KEYS))


def _patch(plan: Patch) -> Steps[int]:
    fields = fields_for(plan.table, plan.values)
    change: Document = {}
    if there := {name: value for name, value in fields.items() if value is not None}:
        change["$set"] = there
    if gone := [name for name, value in fields.items() if value is None]:
        change["$unset"] = dict.fromkeys(gone, "")
    done = yield Request(name_of(plan.table), "update_many", (match_of(plan.table, plan.where), change))
    return int(done.matched_count)


def _delete(plan: Delete) -> Steps[int]:
    count = 0
    for where in _pieces(plan.where):
        done = yield Request(name_of(plan.table), "delete_many", (match_of(plan.table, where),))
        count += int(done.deleted_count)
    return count


def _pieces(where: Filter) -> Iterator[Filter]:
    """A filter that names very many keys, as several that name fewer."""
    match where:
        case OneOf(name, values) if len(values) > _KEYS:
            distinct: Sequence[Any] = tuple(dict.fromkeys(values))
            yield from (OneOf(name, tuple(distinct[at : at + _KEYS])) for at in range(0, len(distinct), _KEYS))
        case Or(parts) if len(parts) > _KEYS:
            yield from (Or(parts[at : at + _KEYS]) for at in range(0, len(parts), _KEYS))
        case _:
            yield where
