"""What is asked of the server: the requests that a client sends, and those of a scan."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pyarrow as pa

from colonnade.engine.plan import Scan
from colonnade.engine.stores.mongodb.documents import Document, arrow_rows, fields_of
from colonnade.engine.stores.mongodb.matching import EVERYTHING, match_of
from colonnade.schemas.table import Table

R = TypeVar("R")

_RANK: Final = "_rank"
_OWN: Final = {"memory_messages": "colonnade_memory_messages"}
"""Collections that Mastra has for something else: its index of vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One call of a collection's method (of the database's, without a collection); ``rows``: it gives documents."""

    collection: str | None
    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: bool = False
    raw: bool = False
    """It is about documents as they lie there, whoever wrote them."""


Steps = Generator[Request, Any, R]
"""Yields requests, is sent documents or what the driver answers."""


def name_of(table: Table) -> str:
    """The collection of a table."""
    return _OWN.get(table.facts.mastra, table.facts.mastra)


def scanned(plan: Scan) -> Steps[pa.Table]:
    """The rows of a scan."""
    if plan.limit == 0:  # which to the server means all
        return plan.schema.empty_table()
    found = yield scan_of(plan)
    return arrow_rows(found, plan.table, plan.schema)


def scan_of(plan: Scan) -> Request:
    """The request of a scan: a ``find``, or an ``aggregate`` where the server would sort nulls first."""
    where = match_of(plan.table, plan.where)
    kept = {name: 1 for column in plan.projection for name in fields_of(plan.table.columns[column])} | {"_id": 0}
    sort, ranks = _sort(plan)
    if not ranks:
        options: dict[str, Any] = {"projection": kept}
        if sort:
            options |= {"sort": list(sort.items()), "allow_disk_use": True}
        if plan.offset:
            options["skip"] = plan.offset
        if plan.limit is not None:
            options["limit"] = plan.limit
        return Request(name_of(plan.table), "find", (where,), options, rows=True)
    stages: list[Document] = [{"$match": where}] if where != EVERYTHING else []
    stages += [{"$addFields": ranks}, {"$sort": sort}]
    if plan.offset:
        stages.append({"$skip": plan.offset})
    if plan.limit is not None:
        stages.append({"$limit": plan.limit})
    stages.append({"$project": kept})
    return Request(name_of(plan.table), "aggregate", (stages,), {"allowDiskUse": True}, rows=True)


def _sort(plan: Scan) -> tuple[Document, Document]:
    """The sort of a scan, and what has to be added for it: to the server null is less than anything."""
    sort: Document = {}
    ranks: Document = {}
    for term in plan.complete_order:
        column = plan.table.columns[term.column]
        if column.nullable and term.descending == term.nulls_first:
            there, none = (1, 0) if term.nulls_first else (0, 1)
            rank = f"{_RANK}{len(ranks)}"
            ranks[rank] = {"$cond": [{"$eq": [{"$ifNull": [f"${term.column}", None]}, None]}, none, there]}
            sort[rank] = 1
        sort |= dict.fromkeys(fields_of(column), -1 if term.descending else 1)
    return sort, ranks
