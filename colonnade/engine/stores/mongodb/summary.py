"""``Summarize`` as a pipeline, and its groups as rows.

Sums of whole numbers are taken in two halves, which no number of rows carries beyond 64 bits: MongoDB itself goes on in
doubles where a sum leaves them. Quantiles are not asked of it: its own is a value that occurs, and ours interpolates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.plan import Bucket, Measure, Order, Summarize
from colonnade.engine.stores.mongodb.documents import Document, micros_field
from colonnade.engine.stores.mongodb.matching import EVERYTHING, match_of
from colonnade.errors import InvalidInput
from colonnade.schemas.table import Table

FUNCTIONS: Final = frozenset({"count", "sum", "min", "max", "mean"})
_HALF: Final = 2**32


def pipeline_of(plan: Summarize) -> list[Document]:
    """The stages: what matches, in groups ``_id.g0`` ..., with the parts of each measure ``m0`` ..."""
    groups = {f"g{place}": _group(plan.table, term) for place, term in enumerate(plan.by)}
    parts: Document = {}
    for place, measure in enumerate(plan.measures):
        parts |= {f"m{place}{part}": how for part, how in _parts(plan.table, measure).items()}
    where = match_of(plan.table, plan.where)
    return [*([{"$match": where}] if where != EVERYTHING else []), {"$group": {"_id": groups or None, **parts}}]


def rows_of(plan: Summarize, found: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Groups as the rows of the answer, sorted."""
    groups: Sequence[Mapping[str, Any]] = found
    if not plan.by and not found:
        groups = [{}]  # what there is nothing of is summarized all the same
    columns: dict[str, pa.Array] = {}
    for place, term in enumerate(plan.by):
        field = plan.table.schema.field(fold.name_of(term))
        values = [group["_id"].get(f"g{place}") for group in groups]
        columns[field.name] = _array(values, field.type)
    for place, measure in enumerate(plan.measures):
        values = [_measured(plan, measure, group, f"m{place}") for group in groups]
        columns[measure.name] = _array(values, fold.measure_type(measure, plan.table))
    answer = pa.table(columns)
    return fold.order(answer, tuple(Order(fold.name_of(term)) for term in plan.by))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_floating(kind):
        values = [None if value is None else float(value) + 0.0 for value in values]  # no sign of zero
    return pa.array(values, kind)


def _value(table: Table, name: str) -> Any:
    """An expression for a column: a time in microseconds, null where there is none."""
    if table.columns[name].kind.name != "timestamp":
        return {"$ifNull": [f"${name}", None]}
    from bson.int64 import Int64

    millis = {"$multiply": [{"$toLong": f"${name}"}, Int64(1000)]}
    return {"$add": [millis, {"$ifNull": [f"${micros_field(name)}", 0]}]}


def _group(table: Table, term: str | Bucket) -> Any:
    if isinstance(term, str):
        return _value(table, term)
    from bson.int64 import Int64

    width = Int64(int(term.width.total_seconds() * 1_000_000))
    micros = _value(table, term.column)
    over = {"$mod": [{"$add": [{"$mod": [micros, width]}, width]}, width]}  # before 1970 the first rest is negative
    return {"$subtract": [micros, over]}


def _operand(table: Table, measure: Measure) -> Any:
    """What is measured: a column, or the exact difference of two, as a double."""
    if measure.minus is None:
        return _value(table, str(measure.column))
    return {"$toDouble": {"$subtract": [{"$toDecimal": f"${name}"} for name in measure.columns]}}


def _is_whole(table: Table, measure: Measure) -> bool:
    return measure.minus is None and table.columns[str(measure.column)].kind.name != "float"


def _parts(table: Table, measure: Measure) -> Document:
    """What is gathered of a group for a measure, by the part of it."""
    if measure.column is None:
        return {"n": {"$sum": 1}}
    value = _operand(table, measure)
    known = {"$sum": {"$cond": [{"$eq": [{"$ifNull": [value, None]}, None]}, 0, 1]}}
    match measure.function:
        case "count":
            return {"n": known}
        case "min" | "max":
            return {"v": {f"${measure.function}": value}}
    if not _is_whole(table, measure):
        return {"n": known, "v": {"$sum": value}}
    from bson.int64 import Int64

    low = {"$mod": [value, Int64(_HALF)]}
    high = {"$toLong": {"$divide": [{"$subtract": [value, low]}, Int64(_HALF)]}}
    return {"n": known, "l": {"$sum": low}, "h": {"$sum": high}}


def _measured(plan: Summarize, measure: Measure, group: Mapping[str, Any], at: str) -> Any:
    match measure.function:
        case "count":
            return group.get(f"{at}n", 0)
        case "min" | "max":
            return group.get(f"{at}v")
    count = group.get(f"{at}n", 0)
    if not count:
        return None
    whole = _is_whole(plan.table, measure)
    total = group[f"{at}h"] * _HALF + group[f"{at}l"] if whole else group[f"{at}v"]
    if measure.function == "mean":
        return total / count
    if whole and not -(2**63) <= total < 2**63:
        raise InvalidInput(f"a sum over {plan.table.name} does not fit into 64 bits: {measure.column}")
    return total
