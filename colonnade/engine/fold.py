"""Filter, order, cut, summarize and merge in Arrow: what a store cannot do natively is scanned and folded here.

All functions take plans as ``abilities`` normalized them, and leave their input unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.plan import (
    TRUE,
    Among,
    And,
    At,
    Bucket,
    Contains,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Put,
    Scan,
    Summarize,
)
from colonnade.errors import InvalidInput
from colonnade.schemas.payloads import from_json
from colonnade.schemas.table import Table
from colonnade.schemas.words import lower, pattern

_MISSING: Final = object()
_COMPARE: Final = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_FEW: Final = 256
_LONG: Final = 1_000
"""Letters of a text that is looked for: of many more, Arrow makes no pattern."""
_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def scan(plan: Scan, data: pa.Table) -> pa.Table:
    """Answer a scan from all rows of its table."""
    # Nothing is made of nothing: Arrow's first value from Python loads pandas, where it is there.
    kept = data.filter(mask(plan.where, data)) if plan.where != TRUE and data.num_rows else data
    return cut(plan, kept)


def cut(plan: Scan, data: pa.Table) -> pa.Table:
    """Order, slice and project rows that the filter has already kept."""
    names = list(plan.projection)
    chosen = data if data.schema.names == names else data.select(names)
    terms = plan.complete_order
    if not terms or data.num_rows < 2:
        return chosen.slice(plan.offset, plan.limit)
    places = _sorted(data, terms)
    if data.num_rows <= _FEW and places.to_pylist() == list(range(data.num_rows)):
        # As a trace comes: moving forty columns takes as long as finding it.
        return chosen.slice(plan.offset, plan.limit)
    # Only what is left after the cut is carried, of the columns that are asked for.
    return chosen.take(places.slice(plan.offset, plan.limit))


def order(data: pa.Table, terms: tuple[Order, ...]) -> pa.Table:
    """Sort rows; nulls last unless a term says otherwise."""
    return data.take(_sorted(data, terms)) if terms and data.num_rows > 1 else data


def _sorted(data: pa.Table, terms: tuple[Order, ...]) -> pa.Array:
    keys = [
        (
            term.column,
            "descending" if term.descending else "ascending",
            "at_start" if term.nulls_first else "at_end",
        )
        for term in terms
    ]
    return pc.sort_indices(data, sort_keys=keys)


def mask(filter: Filter, data: pa.Table) -> pa.ChunkedArray:
    """For each row: true, false or null."""
    match filter:
        case Is(At() as place, op, value):
            return _by_row(data, place, lambda found: _compare_json(found, op, value))
        case Is(str() as name, op, value):
            column = data.column(name)
            if value is None:
                return pa.chunked_array([pa.nulls(data.num_rows, pa.bool_())])
            return _COMPARE[op](column, pa.scalar(value, column.type))
        case OneOf(name, values):
            column = _without_signed_zeros(data.column(name))
            known = _without_signed_zeros(pa.array([value for value in values if value is not None], column.type))
            found = pc.is_in(column, value_set=known)
            # x IN (a, NULL) is true or unknown, never false; and a null is never among values, unless there are none.
            false = pa.scalar(None if None in values else False, pa.bool_())
            answer = pc.if_else(found, True, false)
            return pc.if_else(pc.is_null(column), pa.scalar(None if values else False, pa.bool_()), answer)
        case Null(At() as place):
            return _by_row(data, place, lambda found: found is _MISSING or found is None)
        case Null(str() as name):
            return data.column(name).is_null()
        case Contains(name, text) if len(text) > _LONG:
            wanted, texts = lower(text), data.column(name).to_pylist()
            found = [None if stored is None else wanted in lower(stored) for stored in texts]
            return pa.chunked_array([pa.array(found, pa.bool_())])
        case Contains(name, text):
            return pc.match_substring_regex(data.column(name), pattern(text))
        case Not(of):
            return pc.invert(mask(of, data))
        case And(parts):
            return _join(pc.and_kleene, (mask(part, data) for part in parts), data, empty=True)
        case Or(parts):
            return _join(pc.or_kleene, (mask(part, data) for part in parts), data, empty=False)
        case Among():
            raise TypeError("a semi-join must be answered before it is folded")
    raise TypeError(f"{filter!r} is no filter")


def _join(joint: Any, masks: Iterable[Any], data: pa.Table, *, empty: bool) -> Any:
    answer = None
    for part in masks:
        answer = part if answer is None else joint(answer, part)
    return pa.chunked_array([pa.repeat(pa.scalar(empty), data.num_rows)]) if answer is None else answer


def _by_row(data: pa.Table, place: At, judge: Callable[[Any], bool | None]) -> pa.ChunkedArray:
    texts = data.column(place.column).to_pylist()
    judged = (judge(_MISSING if text is None else walk(from_json(text), place.path)) for text in texts)
    return pa.chunked_array([pa.array(judged, pa.bool_())])


def walk(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path, or a mark that there is none."""
    for step in path:
        match value:
            case list() if isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
            case dict() if step in value:
                value = value[step]
            case _:
                return _MISSING
    return value


def same_json(left: Any, right: Any) -> bool:
    """Typed deep equality: as JSON, ``1`` equals ``1.0``, but neither ``True`` nor ``"1"``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    match left, right:
        case dict(), Mapping():
            return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
        case list(), list() | tuple():
            return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def _compare_json(found: Any, op: str, value: Any) -> bool | None:
    if found is _MISSING:
        return None
    match op:
        case "=":
            return same_json(found, value)
        case "!=":
            return not same_json(found, value)
        case "has":
            return any(same_json(item, value) for item in found) if isinstance(found, list) else None
    if (_is_number(found) and _is_number(value)) or (isinstance(found, str) and isinstance(value, str)):
        return _ORDERINGS[op](found, value)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def summarize(plan: Summarize, data: pa.Table) -> pa.Table:
    """Answer a summary from all rows of its table."""
    kept = data.filter(mask(plan.where, data))
    groups = {name_of(term): _group(term, kept) for term in plan.by}
    values = {measure.name: _measured(measure, kept) for measure in plan.measures if measure.column}
    rows = pa.table({**{f"g{i}": column for i, column in enumerate(groups.values())}, "n": pa.repeat(1, kept.num_rows)})
    keys = [f"g{i}" for i in range(len(groups))]
    if not keys:
        everything = pa.array([range(kept.num_rows)], pa.list_(pa.int64()))
        grouped = pa.table({"at_list": everything})
    else:
        rows = rows.append_column("at", pa.array(range(kept.num_rows), pa.int64()))
        grouped = rows.group_by(keys, use_threads=False).aggregate([("at", "list")])
        grouped = order(grouped, tuple(Order(key) for key in keys))
    picks = grouped.column("at_list").to_pylist()
    columns = {name: grouped.column(key) for name, key in zip(groups, keys, strict=True)}
    for measure in plan.measures:
        column = values.get(measure.name)
        found = [
            len(pick) if column is None else _measure(measure, column.take(pa.array(pick, pa.int64())))
            for pick in picks
        ]
        columns[measure.name] = pa.chunked_array([pa.array(found, measure_type(measure, plan.table))])
    return pa.table(columns)


def _measured(measure: Measure, data: pa.Table) -> pa.ChunkedArray:
    column = data.column(measure.column)
    if measure.minus is None:
        return column
    # 64 bits may be too few for a difference, and a float too coarse for what it is between.
    wide = pa.decimal128(19)
    return pc.subtract(column.cast(wide), data.column(measure.minus).cast(wide)).cast(pa.float64())


def _without_signed_zeros(column: Any) -> Any:
    """-0.0 as 0.0: they are equal, but Arrow's hashing kernels tell them apart."""
    return pc.add(column, 0.0) if pa.types.is_floating(column.type) else column


def name_of(term: str | Bucket) -> str:
    """The column name under which a group term is given."""
    return term if isinstance(term, str) else term.column


def summary_schema(plan: Summarize) -> pa.Schema:
    """The Arrow schema of a summary's answer."""
    groups = [plan.table.schema.field(name_of(term)) for term in plan.by]
    return pa.schema([*groups, *(pa.field(each.name, measure_type(each, plan.table)) for each in plan.measures)])


def typed_summary(plan: Summarize, found: pa.Table) -> pa.Table:
    """What an SQL engine found, in the types of the answer; ``InvalidInput`` where a sum does not fit into 64 bits."""
    try:
        return found.cast(summary_schema(plan))
    except pa.ArrowInvalid as error:  # only a sum of whole numbers can be too large for the type of its answer
        raise InvalidInput(f"a sum over {plan.table.name} does not fit into 64 bits: {error}") from None


def measure_type(measure: Measure, table: Table) -> pa.DataType:
    """The Arrow type of a measure: counts and sums of whole numbers are int64, means and quantiles float64.

    Whatever is measured of a difference is float64.
    """
    if measure.function == "count" or measure.column is None:
        return pa.int64()
    if measure.minus is not None:
        return pa.float64()
    kind = table.column(measure.column).kind
    if measure.function in ("min", "max"):
        return kind.arrow
    whole = measure.function == "sum" and kind.name in ("integer", "bigint")
    return pa.int64() if whole else pa.float64()


def _group(term: str | Bucket, data: pa.Table) -> pa.ChunkedArray:
    if isinstance(term, str):
        return _without_signed_zeros(data.column(term))
    column = data.column(term.column)
    width = int(term.width.total_seconds() * 1_000_000)
    since = column.cast(pa.int64()).to_pylist()
    cut_down = [None if moment is None else moment // width * width for moment in since]
    return pa.chunked_array([pa.array(cut_down, pa.int64()).cast(column.type)])


def _measure(measure: Measure, column: pa.ChunkedArray) -> Any:
    match measure.function:
        case "count":
            return pc.count(column).as_py()
        case "sum" if pa.types.is_integer(column.type):
            total = sum(value for value in column.to_pylist() if value is not None)
            if not -(2**63) <= total < 2**63:
                raise InvalidInput(f"the sum of {measure.column} does not fit into 64 bits")
            return total if column.null_count < len(column) else None
        case "sum" | "min" | "max" | "mean":
            return getattr(pc, measure.function)(column).as_py()
        case quantile:
            found = pc.quantile(column, q=int(quantile[1:]) / 100, interpolation="linear")
            return found[0].as_py()


def key_of(table: Table, data: pa.Table) -> pa.ChunkedArray:
    """One text a row that identifies it; identifiers hold no NUL, so NUL separates the parts."""
    parts = [data.column(name) for name in table.key]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\0")


def without(table: Table, data: pa.Table, known: pa.Table) -> pa.Table:
    """The rows whose keys are not among those of other rows."""
    return data.filter(pc.invert(pc.is_in(key_of(table, data), value_set=key_of(table, known))))


def upsert(table: Table, stored: pa.Table, incoming: pa.Table) -> pa.Table:
    """All rows after a ``Put``: stored rows that were not replaced, then the ones that were written."""
    written = merged(table, stored, collapse(table, incoming))
    return pa.concat_tables([without(table, stored, written), written])


def merged(table: Table, stored: pa.Table, incoming: pa.Table) -> pa.Table:
    """The rows that a ``Put`` writes, by its rules: without those a final row outlives, with what is kept ``once``.

    ``stored`` needs only the key, the ``once`` columns and the ``final`` one. Neither side repeats a key.
    """
    places = pc.index_in(key_of(table, incoming), value_set=key_of(table, stored))
    if places.null_count == len(places):  # nothing is replaced: the usual case
        return incoming
    before = stored.take(places)
    if final := table.facts.final:
        wins = pc.invert(pc.and_(before.column(final).is_valid(), incoming.column(final).is_null()))
        before, incoming = before.filter(wins), incoming.filter(wins)
    for name in table.once:
        at = incoming.schema.get_field_index(name)
        kept = pc.coalesce(before.column(name), incoming.column(name))
        incoming = incoming.set_column(at, table.schema.field(name), kept)
    return incoming


def collapse(table: Table, data: pa.Table) -> pa.Table:
    """One row a key: as if the rows had been put one after the other. Cheap where keys are unique already."""
    keys = key_of(table, data)
    if pc.count_distinct(keys).as_py() == data.num_rows:
        return data
    rows: dict[str, pa.Table] = {}
    for place, key in enumerate(keys.to_pylist()):
        row = data.slice(place, 1)
        written = merged(table, rows[key], row) if key in rows else row
        rows[key] = written if written.num_rows else rows[key]
    return pa.concat_tables(rows.values())


def is_unchanged(plan: Put, stored: pa.Table) -> bool:
    """Whether what a guarded ``Put`` expects is what is stored: for each of its keys the same row, or none.

    ``stored`` needs only the columns of what is expected.
    """
    expected = plan.expect
    if expected is None:
        return True
    keys = key_of(plan.table, plan.data)

    def concerned(data: pa.Table) -> pa.Table:
        rows = data.select(expected.column_names).filter(pc.is_in(key_of(plan.table, data), value_set=keys))
        return order(rows, tuple(Order(name) for name in plan.table.key)).combine_chunks()

    return bool(concerned(stored).equals(concerned(expected)))
