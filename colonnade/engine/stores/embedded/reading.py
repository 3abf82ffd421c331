"""One consistent picture of what accumulates: fresh rows over segments, each row once.

A copy in a log and a copy in a segment can be of the same row. Which holds is settled per key and only where it can
matter (see ``copies``): what a fresh copy or a delete replaces is left out of its segment by row id, and a fresh copy
that a final one in a segment outlives is left out of the fresh rows. Usually nothing overlaps, and both parts are read
plainly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, And, Filter, Null, OneOf, Scan, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.stores.embedded.copies import Copies, rows_within
from colonnade.engine.stores.embedded.counting import countable, value_of
from colonnade.engine.stores.embedded.folder import Manifest
from colonnade.engine.stores.embedded.fresh import FreshTable, keys_of, wins
from colonnade.engine.stores.embedded.index import Range
from colonnade.engine.stores.embedded.narrowing import (
    beyond,
    looked_at,
    narrowing,
    scanned,
    summarized,
    times_of,
    values_of,
)
from colonnade.engine.stores.embedded.segments import PLACE, ROOTS, TIME, VERSION_COLUMN, Attached, Segments
from colonnade.schemas import SPANS
from colonnade.schemas.table import Table

_INLINE: Final = 64
"""At most so many row ids are written into a statement."""
_ROOT: Final = Null("parentSpanId")
_WHOLE: Final = ((0, 2**62),)

Places = Sequence[tuple[Attached, Sequence[Range]]]
"""Segments, and where in them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is there of a table at one moment, or of some traces of it; nothing that comes later changes it.

    ``fresh`` has the columns that were asked for, of ``traces`` or of all. ``replaced`` has, by segment, the rows there
    that do not hold, in order; rows of segments that are not younger than ``cleared`` do not hold either.
    """

    table: Table
    fresh: pa.Table
    attached: tuple[Attached, ...]
    cleared: int
    replaced: Mapping[str, Sequence[int]]
    segments: Segments = field(repr=False)
    traces: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        table: Table,
        columns: tuple[str, ...],
        traces: tuple[str, ...] | None,
        manifest: Manifest,
        segments: Segments,
        attached: tuple[Attached, ...],
        fresh: FreshTable,
        copies: Copies,
    ) -> Picture:
        """Take the picture. The caller keeps others from changing what it is taken of."""
        cleared = max(manifest.cleared.get(table.name, 0), fresh.cleared)
        gone = {file: tables[table.name] for file, tables in manifest.exceptions.items() if table.name in tables}
        hidden: dict[str, set[int]] = {}
        outlived = set()
        for copy in copies.of(fresh, attached, traces if table.name == "spans" else None):
            if copy.version <= cleared or _holds(gone.get(copy.file, ()), copy.place):
                continue
            row = fresh.rows.get(copy.key)
            beaten = row is not None and wins(row.final, row.version, copy.final, copy.version)
            if beaten or fresh.deleted.get(copy.key, 0) > copy.version:
                hidden.setdefault(copy.file, set()).add(copy.place)
            elif row is not None:
                outlived.add(copy.key)
        replaced = {**gone, **{file: sorted({*gone.get(file, ()), *places}) for file, places in hidden.items()}}
        held = tuple(each for each in attached if table.name in each.segment.rows)
        return cls(table, fresh.live(columns, traces, outlived), held, cleared, replaced, segments, traces)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows of segments and logs, filtered, ordered, cut and projected."""
        columns = scanned(plan)
        if plan.limit is not None and self._of_roots(plan.where) and not self._of_roots(plan.where, columns):
            return self._with_payloads(plan, self.scan(plan.but(columns=plan.table.key)))
        parts = [self._from_fresh(self._beyond_traces(plan.where), columns)]
        for group, later in self._walk(plan):
            parts.append(self._from_segments(plan, columns, group))
            if _is_full(plan, columns, parts, later):
                break
        found = [part for part in parts if part.num_rows] or parts[:1]
        return fold.cut(plan, pa.concat_tables(found) if len(found) > 1 else found[0])

    def _from_fresh(self, where: Filter, columns: tuple[str, ...]) -> pa.Table:
        plain = where == TRUE and self.fresh.schema.names == list(columns)  # a trace, mostly
        return self.fresh if plain else fold.scan(Scan(self.table, where, columns=columns), self.fresh)

    def _beyond_traces(self, where: Filter) -> Filter:
        """What a filter asks of fresh rows besides being of the traces that they are of."""
        if self.traces is None:
            return where
        return beyond(where, lambda part: values_of(part, "traceId") == self.traces)

    def _with_payloads(self, plan: Scan, page: pa.Table) -> pa.Table:
        """The rows of a page whose keys are known already."""
        keys = set(keys_of(self.table, page))
        traces = OneOf("traceId", tuple(page.column("traceId").unique().to_pylist()))
        needed = (*plan.projection, *(name for name in plan.table.key if name not in plan.projection))
        found = self.scan(plan.but(where=plan.where & traces, limit=None, offset=0, columns=needed))
        on_page = pa.array([key in keys for key in keys_of(self.table, found)], pa.bool_())
        return found.filter(on_page).select(list(plan.projection))

    def _of_roots(self, where: Filter, columns: Collection[str] = ()) -> bool:
        """Whether the small table of root spans answers: they alone are asked for, and nothing wide of them."""
        parts = where.of if isinstance(where, And) else (where,)
        return (
            self.table == SPANS
            and _ROOT in parts
            and values_of(where, "traceId") is None
            and {*columns, *named_columns(where)} <= set(SPANS.light)
        )

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same as a stream, where no order is asked for: no more than a few batches are in memory."""
        if plan.complete_order:
            yield from self.scan(plan).to_batches()
            return
        if places := self._places(plan.where):
            statement, relations, whole = self._statement(plan, plan.projection, places)
            for batch in self.segments.stream(statement, relations):
                yield from whole(pa.Table.from_batches([batch])).to_batches()
        yield from fold.scan(plan, self.fresh).to_batches()

    def summarize(self, plan: Summarize) -> pa.Table:
        """One statement over everything."""
        fresh = self.fresh
        if roots := self._of_roots(plan.where, summarized(plan)):  # as all are that are asked below
            fresh = fresh.filter(fresh.column("parentSpanId").is_null())
            plan = replace(plan, where=beyond(plan.where, lambda part: part == _ROOT))
        places = self._places(plan.where)
        counted, places = self._counted(plan, places) if roots and countable(plan) else (0, places)
        if counted and not places:
            found = fold.summarize(plan, fresh)
        else:
            columns = ", ".join(map(DUCKDB.ident, looked_at(plan))) or "1"  # rows alone are counted without a look
            wanted: dict[str, list[int]] = {}
            sources = [self._source(each, ranges, wanted, roots=roots) for each, ranges in places]
            union = " UNION ALL ".join(f"SELECT {columns} FROM {source}" for source in (*sources, "fresh"))
            statement = Renderer(DUCKDB, source=lambda _: f"({union})").summarize(plan)
            found = self.segments.query(statement, {"fresh": fresh, **self._relations(wanted)})
            found = fold.typed_summary(plan, found)
        return pa.table([pc.add(found.column(0), counted)], found.schema) if counted else found

    def _counted(self, plan: Summarize, places: Places) -> tuple[int, Places]:
        """How many rows the segments have that are known to have so many, and the others."""
        counted, others = 0, []
        for each, ranges in places:
            rows = None
            if ranges is _WHOLE and not self.cleared and not self.replaced.get(each.file):
                rows = each.counts.of(value_of(plan), self._plain(each, roots=True), self.segments.query)
            if rows is None:
                others.append((each, ranges))
            else:
                counted += rows
        return counted, others

    def _places(self, where: Filter) -> Places:
        """The segments that may have such rows, and where in them."""
        name = self.table.name
        first, last = times_of(where, TIME[name])
        held = [each for each in self.attached if first <= each.segment.last[name] and each.segment.first[name] <= last]
        narrowed = narrowing(self.table, where)
        if narrowed is None:
            return [(each, _WHOLE) for each in held]
        found = [(each, each.index.ranges(name, *narrowed)) for each in held]
        return [(each, ranges) for each, ranges in found if ranges]

    def _walk(self, plan: Scan) -> Iterator[tuple[Places, int | None]]:
        """Segments in the order in which they should be read, each with the best time that a later one may have.

        One by one where that may end early, else all at once.
        """
        places = self._places(plan.where)
        name = self.table.name
        if plan.limit is None or not plan.order or plan.order[0].column != TIME[name]:
            if places:
                yield places, None
            return
        descending = plan.order[0].descending
        times = [(place[0].segment.last if descending else place[0].segment.first)[name] for place in places]
        order = sorted(range(len(places)), key=times.__getitem__, reverse=descending)
        for place, at in enumerate(order, 1):
            yield [places[at]], times[order[place]] if place < len(order) else None

    def _from_segments(self, plan: Scan, columns: tuple[str, ...], places: Places) -> pa.Table:
        statement, relations, whole = self._statement(plan, columns, places)
        return whole(self.segments.query(statement, relations))

    def _statement(
        self, plan: Scan, columns: tuple[str, ...], places: Places
    ) -> tuple[Statement, dict[str, pa.Table], Callable[[pa.Table], pa.Table]]:
        """What to ask of some segments, with relations, and what makes the answer whole.

        Each segment has its own order and limit, since a union of all would prune nothing.
        """
        limit = None if plan.limit is None else plan.limit + plan.offset
        # Few rows are cut by the caller. (DuckDB 2.0 fails where a limit meets a condition on row ids.)
        if any(ranges is not _WHOLE for _, ranges in places):
            limit = None
        branch = plan.but(limit=limit, offset=0, order=plan.order if limit is not None else ())
        empty = frozenset.intersection(*(attached.index.empty[self.table.name] for attached, _ in places))
        # A column that holds nothing is not read: every column costs a tenth of a millisecond.
        there = [name for name in columns if name not in empty] or [self.table.key[0]]
        if roots := self._of_roots(plan.where, columns):
            branch = branch.but(where=beyond(plan.where, lambda part: part == _ROOT))
        statements = []
        wanted: dict[str, list[int]] = {}
        for attached, ranges in places:
            source, conditions = (
                self._plain(attached, roots=roots),
                self._conditions(attached, ranges, wanted, roots=roots),
            )
            renderer = Renderer(DUCKDB, source=lambda _, source=source: source)  # type: ignore[misc]
            statements.append(renderer.scan(branch.but(columns=tuple(there)), conditions))
        sql = " UNION ALL ".join(f"({statement.sql})" if places[1:] else statement.sql for statement in statements)
        parameters = tuple(value for statement in statements for value in statement.parameters)
        schema = branch.but(columns=columns).schema

        def whole(found: pa.Table) -> pa.Table:
            arrays = dict(zip(found.column_names, found.columns, strict=True))
            data = []
            for declared in schema:
                array = arrays.get(declared.name)
                if array is None:
                    array = pa.nulls(found.num_rows, declared.type)
                data.append(array if array.type == declared.type else array.cast(declared.type))
            return pa.Table.from_arrays(data, schema=schema)

        return Statement(sql, parameters), self._relations(wanted), whole

    def sources(self, names: Mapping[str, str], *, prefix: str) -> list[str]:
        """What to read of each segment, for a database that knows segments by other names and relations by a prefix."""
        return [self._source(each, _WHOLE, {}, names[each.file], prefix) for each in self.attached]

    def relations(self) -> dict[str, pa.Table]:
        """The relations that ``sources`` name, without their prefix."""
        return self._relations({})

    def _relations(self, wanted: Mapping[str, Sequence[int]]) -> dict[str, pa.Table]:
        many = {file: places for file, places in self.replaced.items() if len(places) > _INLINE}
        return {name: _rows(rows) for name, rows in (("replaced", many), ("wanted", wanted)) if rows}

    def _source(
        self,
        attached: Attached,
        ranges: Sequence[Range],
        wanted: dict[str, list[int]],
        name: str | None = None,
        prefix: str = "",
        *,
        roots: bool = False,
    ) -> str:
        """What to read of a segment: its table, or the rows of it that are within ranges and hold."""
        plain = self._plain(attached, name, roots=roots)
        conditions = self._conditions(attached, ranges, wanted, prefix, roots=roots)
        return f"(SELECT * FROM {plain} WHERE {' AND '.join(conditions)})" if conditions else plain

    def _plain(self, attached: Attached, name: str | None = None, *, roots: bool) -> str:
        return f"{name or attached.name}.{DUCKDB.ident(ROOTS if roots else self.table.name)}"

    def _conditions(
        self,
        attached: Attached,
        ranges: Sequence[Range],
        wanted: dict[str, list[int]],
        prefix: str = "",
        *,
        roots: bool = False,
    ) -> list[str]:
        """Which rows of a segment are within ranges and hold.

        Rows that the relation ``wanted`` must name for that are added to ``wanted``, by file.
        """
        place = PLACE if roots else "rowid"
        conditions = []
        if ranges is not _WHOLE:
            within, places = rows_within(ranges, f"(SELECT place FROM wanted WHERE segment = '{attached.file}')", place)
            conditions.append(within)
            if places:
                wanted[attached.file] = places
        if self.cleared:
            conditions.append(f"{VERSION_COLUMN} > {int(self.cleared)}")
        replaced = self.replaced.get(attached.file, ())
        if len(replaced) > _INLINE:
            conditions.append(f"{place} NOT IN (SELECT place FROM {prefix}replaced WHERE segment = '{attached.file}')")
        elif here := [each for each in replaced if any(first <= each <= last for first, last in ranges)]:
            conditions.append(f"{place} NOT IN (SELECT unnest({here}))")
        return conditions


def _rows(places: Mapping[str, Sequence[int]]) -> pa.Table:
    """Rows by segment, as a relation."""
    files = [file for file, rows in places.items() for _ in rows]
    return pa.table(
        {"segment": files, "place": pa.array([row for rows in places.values() for row in rows], pa.int64())}
    )


def _holds(places: Sequence[int], place: int) -> bool:
    """Whether a sorted sequence has a place."""
    at = bisect_left(places, place)
    return at < len(places) and places[at] == place


def _is_full(plan: Scan, columns: tuple[str, ...], parts: list[pa.Table], later: int | None) -> bool:
    """Whether no later segment can change the page: it is full, and its end is better than all that follows."""
    if later is None or plan.limit is None:
        return False
    wanted = plan.limit + plan.offset
    if not wanted:
        return True
    found = fold.cut(plan.but(columns=columns, limit=wanted, offset=0), pa.concat_tables(parts))
    if found.num_rows < wanted:
        return False
    ends: Any = found.column(plan.order[0].column).cast(pa.int64())[-1].as_py()
    if ends is None:
        return False
    return bool(ends > later if plan.order[0].descending else ends < later)
