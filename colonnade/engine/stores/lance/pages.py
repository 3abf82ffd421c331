"""Pages: the first rows of an order, without sorting a table.

Rows are found by the columns of the order alone, cut, and only those of the page are read whole. Where the order begins
with an indexed time, they are looked for in a stretch of time at the end where the page begins: one that should hold
enough of them, if rows were spread evenly, and that is made longer or shorter until it holds the page and not much
more. All that it takes is counting by indexes. What is outside the stretch comes later in the order, so the page is
exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, Filter, Is, Scan
from colonnade.engine.stores.lance.commits import ADDRESS
from colonnade.engine.stores.lance.filters import between, expression
from colonnade.engine.stores.lance.tables import indexes
from colonnade.schemas.table import Table

FEW: Final = 8_192
"""So many rows are ordered without a look for a stretch of time."""
_SPARE: Final = 4
"""A stretch should hold so many times the rows of the page."""
_STEP: Final = 16
"""How much longer or shorter a stretch is made."""
_TRIES: Final = 24
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def page(dataset: lance.LanceDataset, plan: Scan) -> pa.Table:
    """The rows of an ordered scan."""
    if plan.limit is None:
        needed = [*plan.projection, *(term.column for term in plan.complete_order)]
        return fold.cut(plan, _read(dataset, plan.table, plan.where, tuple(dict.fromkeys(needed))))
    if plan.limit == 0:
        return plan.schema.empty_table()
    found = fold.cut(_of_addresses(plan), _candidates(dataset, plan))
    if not found.num_rows:
        return plan.schema.empty_table()
    addresses = found.column(ADDRESS).to_pylist()
    return dataset._take_rows(addresses, columns=list(plan.projection)).cast(plan.schema)


def _of_addresses(plan: Scan) -> Scan:
    return plan.but(columns=(ADDRESS,))


def _read(
    dataset: lance.LanceDataset, table: Table, where: Filter, columns: tuple[str, ...], **options: Any
) -> pa.Table:
    return dataset.scanner(columns=list(columns), filter=expression(where, table), **options).to_table()


def _candidates(dataset: lance.LanceDataset, plan: Scan) -> pa.Table:
    """Rows among which the page is: the columns of the order, and addresses."""
    columns = tuple(term.column for term in plan.complete_order)

    def read(where: Filter) -> pa.Table:
        return _read(dataset, plan.table, where, columns, with_row_address=True)

    wanted = (plan.limit or 0) + plan.offset
    total = dataset.count_rows()
    first = plan.complete_order[0]
    column = plan.table.columns[first.column]
    timely = column.kind.name == "timestamp" and not column.nullable and column.name in indexes(plan.table)
    if not timely or total <= max(FEW, wanted):
        return read(plan.where)
    served = named_columns(plan.where) <= {*indexes(plan.table)}
    if served and plan.where != TRUE:
        total = _count(dataset, plan.table, plan.where)
        if total <= max(FEW, wanted):
            return read(plan.where)
    for stretch in _stretches(dataset, plan, first.column, first.descending, wanted, total, served):
        found = read(plan.where & stretch)
        if found.num_rows >= wanted:
            return found
    return read(plan.where)


def _count(dataset: lance.LanceDataset, table: Table, where: Filter) -> int:
    return int(dataset.scanner(filter=expression(where, table)).count_rows())


def _stretches(
    dataset: lance.LanceDataset, plan: Scan, column: str, descending: bool, wanted: int, total: int, served: bool
) -> Iterator[Filter]:
    """Stretches of time that are worth a look, each longer than the last; none where all of the time would be."""
    span = _span(dataset, column, plan.where)
    if span is None:
        return
    width = span.width * max(_SPARE * wanted, FEW // _SPARE) // max(total, 1) + 1
    too_short = 0
    for _ in range(_TRIES):
        if width >= span.width:
            return
        stretch = span.stretch(column, width, descending)
        counted = _count(dataset, plan.table, plan.where & stretch if served else stretch)
        if counted > _STEP * max(_SPARE * wanted, FEW) and width > 2 * too_short:
            width = max(width // _STEP, 2 * too_short)
        elif counted >= wanted:
            yield stretch
            too_short, width = width, width * _STEP  # come back only if the rest of the filter left too few
        else:
            too_short, width = width, width * _STEP


@dataclass(frozen=True, slots=True)
class _Span:
    """The time between the first and the last row, in microseconds since the epoch."""

    first: int
    last: int

    @property
    def width(self) -> int:
        return self.last - self.first

    def stretch(self, column: str, width: int, descending: bool) -> Filter:
        """The last part of it, or the first one. What lies beyond the span counts as well: nothing should."""
        if descending:
            return Is(column, ">=", _moment(self.last - width))
        return Is(column, "<=", _moment(self.first + width))


def _span(dataset: lance.LanceDataset, column: str, where: Filter) -> _Span | None:
    """From when to when rows are that pass: by what the index knows, by rows not in it yet, and by the filter."""
    bounds = list(_bounds(dataset, column))
    low, high = between(where, column)
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    if not bounds:
        return None
    first = max([min(starts), *([_micros(low)] if low else [])])
    last = min([max(ends), *([_micros(high)] if high else [])])
    return _Span(first, last) if first < last else None


def _bounds(dataset: lance.LanceDataset, column: str) -> Iterator[tuple[int, int]]:
    indexed: set[int] = set()
    for index in dataset.describe_indices():
        if index.field_names == [column]:
            for segment in index.segments:
                indexed |= set(segment.fragment_ids)
            for part in dataset.stats.index_stats(index.name)["indices"]:
                if part.get("num_pages"):
                    yield int(part["min"]), int(part["max"])
    fresh = [each for each in dataset.get_fragments() if each.fragment_id not in indexed]
    if fresh:
        values = dataset.scanner(columns=[column], fragments=fresh).to_table().column(column)
        if len(values):
            found = pc.min_max(values.cast(pa.int64())).as_py()
            yield found["min"], found["max"]


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
