"""``Nearest``: by ``$vectorSearch`` where the server has an index of vectors for it, exactly otherwise.

MongoDB's search service has an index for one number of dimensions, and follows writes after a moment. It is asked where
it has such an index and can check the filter; else all vectors that match are read and compared. What either gives is
compared again above the store.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from colonnade.engine import neighbours
from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import TRUE, And, Filter, Is, Nearest, OneOf, Scan
from colonnade.engine.stores.mongodb.documents import Document, arrow_rows, fields_of, vector_of
from colonnade.engine.stores.mongodb.matching import EVERYTHING, match_of
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of, scanned
from colonnade.errors import InvalidInput, StoreError, Unsupported
from colonnade.schemas.memory import VECTORS
from colonnade.schemas.table import Table

_FRESH: Final = 60.0
"""Seconds after which the server is asked again which indexes it has."""
_CANDIDATES: Final = 10_000
"""Rows that the server looks at in its index, at most."""
_LEAST: Final = 200


@dataclass(slots=True)
class VectorIndexes:
    """What is known of a server's indexes of vectors."""

    there: bool = True
    """Whether it can have any."""
    found: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """The names of those that can be asked, by collection, and when that was said."""


def index_name(table: Table, column: str, dimensions: int) -> str:
    """The name of the index for vectors of so many dimensions."""
    return f"{name_of(table)}_{column}_{dimensions}".lower()


def filtered(table: Table) -> tuple[str, ...]:
    """The columns that an index can filter by: those that the table is looked up by, and the model."""
    columns = (*(name for index in table.facts.indexes for name in index.columns), "model")
    return tuple(name for name in dict.fromkeys(columns) if name in table.columns)


def definition(table: Table, column: str, dimensions: int) -> Document:
    """An index as the server is told of it."""
    vector = {"type": "vector", "path": column, "numDimensions": dimensions, "similarity": "cosine"}
    return {"fields": [vector, *({"type": "filter", "path": name} for name in filtered(table))]}


def create(dimensions: int, indexes: VectorIndexes, label: str) -> Steps[str]:
    """Make the index for embeddings of so many dimensions; its name. It is there already: nothing."""
    from pymongo.operations import SearchIndexModel

    if not isinstance(dimensions, int) or isinstance(dimensions, bool) or not 1 <= dimensions <= 8192:
        raise InvalidInput(f"a vector index is for 1 to 8192 dimensions, not {dimensions!r:.80}")
    name = index_name(VECTORS, "embedding", dimensions)
    model = SearchIndexModel(definition(VECTORS, "embedding", dimensions), name=name, type="vectorSearch")
    try:
        made = yield Request(name_of(VECTORS), "list_search_indexes", (), {}, rows=True)
        if name not in {each["name"] for each in made}:
            yield Request(name_of(VECTORS), "create_search_index", (model,))
    except StoreError as error:
        raise Unsupported(
            f"{label}: this server has no vector search, which MongoDB Atlas has and a server with mongot; without it "
            f"vectors are compared exactly ({error})"
        ) from error
    indexes.found.clear()
    return name


def nearest(plan: Nearest, indexes: VectorIndexes | None) -> Steps[pa.Table]:
    """The nearest rows, with all that they are compared by."""
    if indexes is not None and 0 < plan.k <= _CANDIDATES // 2 and _can_filter(plan.table, plan.where):
        name = index_name(plan.table, plan.column, len(plan.vector))
        if name in (yield from _queryable(plan.table, indexes)):
            found = yield Request(name_of(plan.table), "aggregate", (search_of(plan, name),), {}, rows=True)
            return arrow_rows(found, plan.table, Scan(plan.table, columns=neighbours.needed(plan)).schema)
    return (yield from _compared(plan))


def search_of(plan: Nearest, index: str) -> list[Document]:
    """The pipeline that asks an index."""
    asked: Document = {
        "index": index,
        "path": plan.column,
        "queryVector": vector_of(plan.vector),
        "numCandidates": min(_CANDIDATES, max(_LEAST, 20 * plan.k)),
        "limit": plan.k,
    }
    where = match_of(plan.table, plan.where)
    if where != EVERYTHING:
        asked["filter"] = where
    kept = dict.fromkeys(_fields(plan), 1)
    return [{"$vectorSearch": asked}, {"$project": kept | {"_id": 0}}]


def _fields(plan: Nearest) -> list[str]:
    return [name for column in neighbours.needed(plan) for name in fields_of(plan.table.columns[column])]


def _can_filter(table: Table, where: Filter) -> bool:
    """Whether an index checks it: equality of columns that it knows."""
    match where:
        case And(parts):
            return all(_can_filter(table, part) for part in parts)
        case Is(str() as name, "=", value):
            return name in filtered(table) and value is not None
        case OneOf(name, values):
            return name in filtered(table) and bool(values) and None not in values
    return where == TRUE


def _queryable(table: Table, indexes: VectorIndexes) -> Steps[frozenset[str]]:
    name = name_of(table)
    said, names = indexes.found.get(name, (-_FRESH, frozenset[str]()))
    if not indexes.there or time.monotonic() - said < _FRESH:
        return names
    try:
        found = yield Request(name, "list_search_indexes", (), {}, rows=True)
    except StoreError:
        indexes.there = False  # most servers know no such thing
        return frozenset()
    names = frozenset(each["name"] for each in found if each.get("queryable"))
    indexes.found[name] = (time.monotonic(), names)
    return names


def _compared(plan: Nearest) -> Steps[pa.Table]:
    """Every row that matches, page by page: exact."""
    whole = replace(plan, columns=neighbours.needed(plan))

    def perform(scan: Scan) -> Any:
        return scanned(scan)

    found: Any = yield from neighbours.scanned(whole, Abilities(order=True), perform)  # type: ignore[misc]
    rows: pa.Table = found.drop_columns(["similarity"])
    return rows
