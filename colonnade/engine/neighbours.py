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
LEAST: Final = 100
"""Rows on a page, however many dimensions they have."""
_SIMILARITY: Final = pa.field("similarity", pa.float64())


def needed(plan: Nearest) -> tuple[str, ...]:
    """The columns of a row that is to be compared and given."""
    return tuple(dict.fromkeys((*plan.table.key, *plan.projection, plan.column)))


def scanned(plan: Nearest, abilities: Abilities, perform: Callable[[Scan], Native]) -> Native:
    """Compare every row: page by page where the store gives them in order, else all at once."""
    order = tuple(map(asc, plan.table.key))
    scan = Scan(plan.table, plan.where, columns=needed(plan))
    paged = abilities.order
    size = max(LEAST, BYTES // (4 * len(plan.vector))) if plan.k else 0
    nearest: Any = None
    page: Any = None
    while page is None or (paged and size and page.num_rows == size):
        if page is not None:
            last = tuple(page.column(name)[-1].as_py() for name in plan.table.key)
            lead = Is(order[0].column, ">=", last[0])
            scan = scan.but(where=And((plan.where, lead, after(order, last))))
        page = yield from perform(scan.but(order=order, limit=size) if paged else scan)
        found = compared(plan, page)
        nearest = best(plan, pa.concat_tables([nearest, found]) if nearest is not None else found)
    return nearest.select([*plan.projection, "similarity"])


def native(plan: Nearest, store: Any) -> Native:
    """Ask the store for some more than are wanted, which what it rounds cannot push out."""
    given = yield store, replace(plan, k=plan.k + max(10, plan.k // 2))
    return best(plan, compared(plan, given)).select([*plan.projection, "similarity"])


def compared(plan: Nearest, rows: pa.Table) -> pa.Table:
    """Rows with their similarity; without those that cannot be compared."""
    near = similarities(rows.column(plan.column), plan.vector)
    return rows.append_column(_SIMILARITY, near).filter(near.is_valid())


def best(plan: Nearest, rows: pa.Table) -> pa.Table:
    """The nearest of rows that were compared, nearest first."""
    keys = [("similarity", "descending"), *((name, "ascending") for name in plan.table.key)]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)[: plan.k])


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
    # A dimension at a time over all rows: what Arrow has for sums within each list takes thirty times as long.
    rows = pa.FixedSizeListArray.from_arrays(flat, size)
    dot = square = pa.array([0.0] * count, pa.float64())
    for place, number in enumerate(vector):
        theirs = pc.list_element(rows, place)
        dot = pc.add(dot, pc.multiply(theirs, number))
        square = pc.add(square, pc.multiply(theirs, theirs))
    norm = pc.multiply(pc.sqrt(square), length)
    cosine = pc.round(pc.if_else(pc.equal(norm, 0.0), 0.0, pc.divide(dot, norm)), 9)
    return pc.replace_with_mask(pa.nulls(len(vectors), pa.float64()), fits.combine_chunks(), cosine)
