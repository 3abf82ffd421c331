"""Pages: the first rows of an order, without sorting a table.

Where an index finds few rows, it gives their addresses, and they are taken from there. Of more rows only the columns of
the order are read, cut, and those of the page are read whole. Where the order begins with an indexed time, they are
looked for in a stretch of time at the end where the page begins: one that should hold enough of them, if rows were
spread evenly, and that is made longer or shorter until it holds the page and not much more. All that it takes is
counting by indexes. What is outside the stretch comes later in the order, so the page is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold
from colonnade.engine.plan import TRUE, And, Filter, Is, OneOf, Scan
from colonnade.engine.stores.lance.commits import ADDRESS
from colonnade.engine.stores.lance.filters import between, expression
from colonnade.engine.stores.lance.tables import indexes
from colonnade.schemas.moments import micros_of, moment_of
from colonnade.schemas.table import Table

FEW: Final = 8_192
"""So many rows are ordered without a look for a stretch of time."""
_WHOLE: Final = 64
"""So few rows are read whole at once, without a look at their order first."""
_SPARE: Final = 4
"""A stretch should hold so many times the rows of the page."""
_LEAST: Final = 256
"""And no fewer than so many."""
_STEP: Final = 16
"""How much longer or shorter a stretch is made."""
_TRIES: Final = 24


def page(dataset: lance.LanceDataset, plan: Scan) -> pa.Table:
    """The rows of an ordered scan."""
    if plan.limit == 0:
        return plan.schema.empty_table()
    counts = _counts(plan.where, plan.table)
    if counts and (few := _addresses(dataset, plan.table, plan.where)).num_rows <= FEW:
        return _taken(dataset, plan, few)
    if plan.limit is None:
        return _whole(dataset, plan)
    wanted = plan.limit + plan.offset
    total = _count(dataset, plan.table, plan.where) if counts else dataset.count_rows()
    if total <= max(wanted, _WHOLE):
        return _whole(dataset, plan)
    return _taken(dataset, plan, _candidates(dataset, plan, wanted, total, plan.where if counts else TRUE))


def _addresses(dataset: lance.LanceDataset, table: Table, where: Filter) -> pa.Table:
    """Where the rows are that pass, and nothing else of them; of more than a few, one more than a few."""
    return _read(dataset, table, where, (), with_row_address=True, limit=FEW + 1)


def _taken(dataset: lance.LanceDataset, plan: Scan, found: pa.Table) -> pa.Table:
    """The page, of rows that pass by their addresses, and perhaps the columns of the order.

    Taking rows from addresses costs what they are; a filtered scan prepares all columns of all fragments first.
    """
    first = plan.complete_order[0]
    order = [term.column for term in plan.complete_order]
    end = found.num_rows if plan.limit is None else plan.offset + plan.limit
    if found.num_rows > max(end, _WHOLE) and not plan.table.columns[first.column].nullable:
        # By the first column alone, which seldom leaves more than the page.
        found = _with(dataset, found, [first.column])
        values = found.column(first.column)
        last = values.sort("descending" if first.descending else "ascending")[end - 1]
        found = found.filter((pc.greater_equal if first.descending else pc.less_equal)(values, last))
    if plan.limit is not None and found.num_rows > max(plan.limit, _WHOLE):
        found = fold.cut(plan.but(columns=(ADDRESS,)), _with(dataset, found, order))
        plan = plan.but(offset=0)
    return fold.cut(plan, _with(dataset, found, [*plan.projection, *order])).cast(plan.schema)


def _with(dataset: lance.LanceDataset, found: pa.Table, columns: list[str]) -> pa.Table:
    """Rows with the columns that they lack, taken from their addresses."""
    if lacking := [name for name in dict.fromkeys(columns) if name not in found.column_names]:
        taken = dataset._take_rows(found.column(ADDRESS).to_pylist(), columns=lacking)
        for name in lacking:
            found = found.append_column(taken.schema.field(name), taken.column(name))
    return found


def _whole(dataset: lance.LanceDataset, plan: Scan) -> pa.Table:
    """All rows that pass are read as they are, and ordered."""
    needed = dict.fromkeys((*plan.projection, *(term.column for term in plan.complete_order)))
    return fold.cut(plan, _read(dataset, plan.table, plan.where, tuple(needed))).cast(plan.schema)


def _read(
    dataset: lance.LanceDataset, table: Table, where: Filter, columns: tuple[str, ...], **options: Any
) -> pa.Table:
    return dataset.scanner(columns=list(columns), filter=expression(where, table), **options).to_table()


def _count(dataset: lance.LanceDataset, table: Table, where: Filter) -> int:
    return int(dataset.scanner(filter=expression(where, table)).count_rows())


def _counts(where: Filter, table: Table) -> bool:
    """Whether indexes can count what passes, for about the price of a look: where one value is asked for."""
    match where:
        case And(parts):
            return any(_counts(part, table) for part in parts)
        case Is(str() as name, "=", _) | OneOf(name, _):
            return name in indexes(table)
    return False


def _candidates(dataset: lance.LanceDataset, plan: Scan, wanted: int, total: int, counted: Filter) -> pa.Table:
    """Rows among which the page is: addresses and, where they are many, the columns of the order.

    ``total`` rows are ``counted``, the filter itself or one that lets all pass.
    """
    columns = tuple(term.column for term in plan.complete_order)

    def read(where: Filter) -> pa.Table:
        return _read(dataset, plan.table, where, columns, with_row_address=True)

    first = plan.complete_order[0]
    column = plan.table.columns[first.column]
    timely = column.kind.name == "timestamp" and not column.nullable and column.name in indexes(plan.table)
    span = _span(dataset, column.name, plan.where) if timely and total > max(FEW, wanted) else None
    if span is None:
        return read(plan.where)
    # Where only all rows together are counted, there should be enough for a filter that leaves few of them.
    least = _LEAST if counted == plan.where else FEW // _SPARE
    width = span.width * max(_SPARE * wanted, least) // total + 1
    too_short, evenly = 0, True
    for _ in range(_TRIES):
        if width >= span.width:
            break
        stretch = span.stretch(column.name, width, first.descending)
        rows = _count(dataset, plan.table, counted & stretch)
        if evenly and rows > _STEP * max(_SPARE * wanted, FEW) and width > 2 * too_short:
            width = max(width // _STEP, 2 * too_short)
            continue
        if rows >= wanted:
            where = plan.where & stretch
            found = read(where) if rows > FEW else _addresses(dataset, plan.table, where)
            if found.num_rows >= wanted:
                return found
            evenly = False  # it is the filter that leaves few
        too_short, width = width, width * _STEP
    return read(plan.where)


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
            return Is(column, ">=", moment_of(self.last - width))
        return Is(column, "<=", moment_of(self.first + width))


def _span(dataset: lance.LanceDataset, column: str, where: Filter) -> _Span | None:
    """From when to when rows are that pass: by what the index knows, by rows not in it yet, and by the filter."""
    bounds = list(_bounds(dataset, column))
    low, high = between(where, column)
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    if not bounds:
        return None
    first = max([min(starts), *([micros_of(low)] if low else [])])
    last = min([max(ends), *([micros_of(high)] if high else [])])
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
    for fragment in dataset.get_fragments():
        if fragment.fragment_id not in indexed and (bounds := _bounds_of(fragment, column)) is not None:
            yield bounds


_KNOWN: Final[dict[tuple[str, str], tuple[int, int] | None]] = {}
_REMEMBERED: Final = 1_024


def _bounds_of(fragment: lance.LanceFragment, column: str) -> tuple[int, int] | None:
    """The first and the last time in a fragment that no index knows. Files never change, so each is read once."""
    file = (str(fragment.metadata.files[0].path), column)
    with suppress(KeyError):
        return _KNOWN[file]
    found = pc.min_max(fragment.to_table(columns=[column]).column(column).cast(pa.int64())).as_py()
    bounds = None if found["min"] is None else (found["min"], found["max"])
    if len(_KNOWN) >= _REMEMBERED:
        _KNOWN.clear()
    _KNOWN[file] = bounds
    return bounds
