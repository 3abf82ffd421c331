"""How near vectors are, computed once for all stores: exactly, in 64 bits, with Arrow.

What an index gives is compared again here, so that a similarity means the same everywhere. A store that cannot compare
vectors is read page by page, in the order of the key.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.abilities import Abilities, Native
from colonnade.engine.plan import And, Is, Nearest, Scan, after, asc

BYTES: Final = 64 * 2**20
"""Bytes of vectors that are compared at once."""
_SIMILARITY: Final = pa.field("similarity", pa.float64())


def needed(plan: Nearest) -> tuple[str, ...]:
    """The columns of a row that is to be compared and given."""
    return tuple(dict.fromkeys((*plan.table.key, *plan.projection, plan.column)))


def scanned(plan: Nearest, abilities: Abilities, perform: Callable[[Scan], Native]) -> Native:
    """Compare every row: page by page where the store gives them in order, else all at once."""
    order = tuple(map(asc, plan.table.key))
    scan = Scan(plan.table, plan.where, columns=needed(plan))
    size = max(100, BYTES // (4 * len(plan.vector)))
    paged = abilities.order and bool(plan.k)
    best_so_far, page = None, None
    while page is None or (paged and page.num_rows == size):
        if page is not None:
            last = tuple(page.column(name)[-1].as_py() for name in plan.table.key)
            lead = Is(order[0].column, ">=", last[0])
            scan = scan.but(where=And((plan.where, lead, after(order, last))))
        page = yield from perform(scan.but(order=order, limit=size) if paged else scan)
        found = best(plan, page)
        best_so_far = best(plan, pa.concat_tables([best_so_far, found])) if best_so_far is not None else found
    return _answer(plan, best_so_far)


def native(plan: Nearest, store: Any) -> Native:
    """Ask the store for some more than are wanted, which what it rounds cannot push out."""
    given = yield store, replace(plan, k=plan.k + max(10, plan.k // 2))
    return _answer(plan, best(plan, given))


def best(plan: Nearest, rows: pa.Table) -> pa.Table:
    """The nearest of some rows, nearest first; in the same columns."""
    near = similarities(rows.column(plan.column), plan.vector)
    rows = rows.append_column(_SIMILARITY, near).filter(near.is_valid())
    keys = [("similarity", "descending"), *((name, "ascending") for name in plan.table.key)]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)[: plan.k]).drop_columns(["similarity"])


def _answer(plan: Nearest, rows: pa.Table) -> pa.Table:
    near = similarities(rows.column(plan.column), plan.vector)
    return rows.select(list(plan.projection)).append_column(_SIMILARITY, near)


def similarities(vectors: pa.ChunkedArray, vector: tuple[float, ...]) -> pa.ChunkedArray:
    """The cosine between a vector and each of others, to nine digits: null for nulls and those of other dimensions."""
    step = max(1, BYTES // (8 * len(vector)))
    length = math.sqrt(math.fsum(each * each for each in vector))
    found = [_some(vectors.slice(at, step), vector, length) for at in range(0, len(vectors), step)]
    return pa.chunked_array(found, pa.float64())


def _some(vectors: pa.ChunkedArray, vector: tuple[float, ...], length: float) -> pa.Array:
    size = len(vector)
    fits = pc.fill_null(pc.equal(pc.list_value_length(vectors), size), False)
    flat = pc.list_flatten(vectors.filter(fits)).cast(pa.float64()).combine_chunks()
    count = len(flat) // size
    if not count:
        return pa.nulls(len(vectors), pa.float64())
    theirs = pa.concat_arrays([pa.array(vector, pa.float64())] * count)
    products = pa.table(
        {
            "row": pc.cast(pc.floor(pc.divide(pa.array(range(count * size), pa.int64()), size)), pa.int64()),
            "dot": pc.multiply(flat, theirs),
            "square": pc.multiply(flat, flat),
        }
    )
    sums = products.group_by("row", use_threads=False).aggregate([("dot", "sum"), ("square", "sum")])
    norm = pc.multiply(pc.sqrt(sums.column("square_sum")), length)
    cosine = pc.round(pc.if_else(pc.equal(norm, 0.0), 0.0, pc.divide(sums.column("dot_sum"), norm)), 9)
    return pc.replace_with_mask(pa.nulls(len(vectors), pa.float64()), fits.combine_chunks(), cosine.combine_chunks())
