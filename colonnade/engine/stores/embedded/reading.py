"""One consistent picture of what accumulates: fresh rows over segments, each row once.

A copy in a log and a copy in a segment can be of the same row. Which holds is settled per key and only where it can
matter: for the keys of the fresh rows that a read may see, the segments are asked whether they know them. What a fresh
copy or a delete replaces is hidden from the segments' part, and a fresh copy that a final one in a segment outlives is
left out. Usually nothing overlaps, and both parts are read plainly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.dialect import DUCKDB
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import And, Bucket, Filter, Is, OneOf, Scan, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.stores.embedded.folder import Manifest, Segment
from colonnade.engine.stores.embedded.fresh import Fresh, FreshTable, keys_of, wins
from colonnade.engine.stores.embedded.segments import TIME, VERSION_COLUMN, Segments
from colonnade.schemas.table import Table

_FEW: Final = 64
"""A filter on at most so many traces is looked up in the trace index."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Keys that logs and segments share: what to hide from the segments, and what to leave out of the fresh rows."""

    hidden: pa.Table | None = None
    outlived: frozenset[Any] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """What is there of a table at one moment, or of some traces of it; nothing that comes later changes it."""

    table: Table
    manifest: Manifest
    segments: Segments
    fresh: pa.Table
    overlap: Overlap
    cleared: int

    @classmethod
    def of(
        cls, table: Table, traces: tuple[str, ...] | None, manifest: Manifest, segments: Segments, fresh: Fresh
    ) -> Picture:
        """Take the picture. The caller keeps others from changing what it is taken of."""
        known = fresh.table(table.name)
        cleared = max(manifest.cleared.get(table.name, 0), known.cleared)
        blank = cls(table, manifest, segments, table.schema.empty_table(), Overlap(), cleared)
        overlap = blank._overlap(known, traces)
        rows = known.live(traces)
        if overlap.outlived:
            keep = [key not in overlap.outlived for key in keys_of(table, rows)]
            rows = rows.filter(pa.array(keep, pa.bool_()))
        return cls(table, manifest, segments, rows, overlap, cleared)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows of segments and logs, filtered, ordered, cut and projected."""
        traces = traces_of(plan.where)
        needed = _needed(plan)
        parts = [fold.scan(Scan(plan.table, plan.where, columns=needed), self.fresh)]
        for group in self._walk(plan, traces):
            parts.append(self._from_segments(plan, needed, group, traces))
            if _is_full(plan, parts, self._later(plan, group)):
                break
        return fold.cut(plan, pa.concat_tables(parts))

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same as a stream: segment by segment where no order is asked for."""
        if plan.complete_order:
            yield from self.scan(plan).to_batches()
            return
        for segment in self._held():
            yield from self._from_segments(plan, plan.projection, [segment], None).to_batches()
        yield from fold.scan(plan, self.fresh).to_batches()

    def summarize(self, plan: Summarize) -> pa.Table:
        """One statement over everything."""
        named = named_columns(plan.where) | {measure.column for measure in plan.measures if measure.column}
        named |= {term.column if isinstance(term, Bucket) else term for term in plan.by}
        columns = ", ".join(DUCKDB.ident(name) for name in plan.table.columns if name in named) or "1 AS one"
        sources = [self._source(segment, self.overlap) for segment in self._held()]
        union = " UNION ALL ".join(f"SELECT {columns} FROM {source}" for source in (*sources, "fresh"))
        statement = Renderer(DUCKDB, source=lambda _: f"({union})").summarize(plan)
        found = self.segments.query(statement, {"fresh": self.fresh, **self._relations(self.overlap)})
        return fold.typed_summary(plan, found)

    def _held(self) -> list[Segment]:
        return [segment for segment in self.manifest.segments if self.table.name in segment.rows]

    def _walk(self, plan: Scan, traces: tuple[str, ...] | None) -> Iterator[list[Segment]]:
        """Segments in the order in which they should be read: one by one where that may end early, else all at once."""
        segments = self._held()
        if traces is not None and plan.table.name == "spans":
            ranges = self.segments.traces(segments, traces)
            segments = [segment for segment in segments if segment.file in ranges]
        by_time = plan.limit is not None and bool(plan.order) and plan.order[0].column == TIME[plan.table.name]
        if not by_time:
            if segments:
                yield segments
            return
        times = "last" if plan.order[0].descending else "first"
        segments.sort(key=lambda each: getattr(each, times)[plan.table.name], reverse=plan.order[0].descending)
        yield from ([segment] for segment in segments)

    def _later(self, plan: Scan, group: list[Segment]) -> int | None:
        """The best time that a segment after this one may hold, or ``None`` where there is none after it."""
        if len(group) != 1 or not plan.order or plan.order[0].column != TIME[plan.table.name]:
            return None
        name, descending = plan.table.name, plan.order[0].descending
        times = [getattr(each, "last" if descending else "first")[name] for each in self._held()]
        times.sort(reverse=descending)
        here = getattr(group[0], "last" if descending else "first")[name]
        rest = times[times.index(here) + 1 :]
        return rest[0] if rest else None

    def _from_segments(
        self,
        plan: Scan,
        columns: tuple[str, ...],
        segments: list[Segment],
        traces: tuple[str, ...] | None,
    ) -> pa.Table:
        """One statement; each segment has its own order and limit, since a union of all would prune nothing."""
        limit = None if plan.limit is None else plan.limit + plan.offset
        ranges = self.segments.traces(segments, traces) if traces and plan.table.name == "spans" else {}
        statements = []
        for segment in segments:
            where = plan.where
            if segment.file in ranges:
                first, last = ranges[segment.file]
                where = And((where, Is("startedAt", ">=", first), Is("startedAt", "<=", last)))
            source = self._source(segment, self.overlap)
            branch = plan.but(columns=columns, limit=limit, offset=0, where=where, order=plan.order if limit else ())
            statements.append(Renderer(DUCKDB, source=lambda _, source=source: source).scan(branch))  # type: ignore[misc]
        schema = plan.but(columns=columns).schema
        if not statements:
            return schema.empty_table()
        sql = " UNION ALL ".join(f"({statement.sql})" for statement in statements)
        parameters = tuple(value for statement in statements for value in statement.parameters)
        found = self.segments.query(Statement(sql, parameters), self._relations(self.overlap))
        return found.cast(schema)

    def sources(self, names: Mapping[str, str], *, prefix: str) -> list[str]:
        """What to read of each segment, for a database that knows segments by other names and relations by a prefix."""
        return [self._source(each, self.overlap, f"{names[each.file]}.", prefix) for each in self._held()]

    def relations(self) -> dict[str, pa.Table]:
        """The relations that ``sources`` name, without their prefix."""
        return self._relations(self.overlap)

    def _source(self, segment: Segment, overlap: Overlap, home: str | None = None, prefix: str = "") -> str:
        """What to read of a segment: the plain table, or the rows of it that hold."""
        table = self.table
        plain = f"{home or self.segments.name(segment) + '.'}{DUCKDB.ident(table.name)}"
        conditions = []
        if self.manifest.exceptions.get(segment.file, {}).get(table.name):
            conditions.append(f"rowid NOT IN (SELECT place FROM {prefix}exceptions WHERE segment = '{segment.file}')")
        if self.cleared:
            conditions.append(f"{VERSION_COLUMN} > {int(self.cleared)}")
        if overlap.hidden is not None:
            same = " AND ".join(f"hidden.{name} = held.{name}" for name in map(DUCKDB.ident, table.key))
            conditions.append(f"NOT EXISTS (SELECT 1 FROM {prefix}hidden AS hidden WHERE {same})")
        return f"(SELECT * FROM {plain} AS held WHERE {' AND '.join(conditions)})" if conditions else plain

    def _relations(self, overlap: Overlap) -> dict[str, pa.Table]:
        relations = {} if overlap.hidden is None else {"hidden": overlap.hidden}
        name, exceptions = self.table.name, self.manifest.exceptions
        rows = [(file, place) for file, tables in exceptions.items() for place in tables.get(name, ())]
        if rows:
            files, places = zip(*rows, strict=True)
            relations["exceptions"] = pa.table({"segment": list(files), "place": pa.array(places, pa.int64())})
        return relations

    def _overlap(self, fresh: FreshTable, traces: tuple[str, ...] | None) -> Overlap:
        if not self._held():
            return Overlap()
        keys: Iterable[Any] = {**fresh.rows, **fresh.deleted}
        if traces is not None:
            chosen = set(traces)
            keys = [key for key in keys if fresh.table.name != "spans" or key[0] in chosen]
        hidden, outlived = [], set()
        for key, version, final in self.sealed_copies(list(keys)):
            row = fresh.rows.get(key)
            if row is not None and wins(row.final, row.version, final, version):
                hidden.append(key)
            elif row is not None and fresh.deleted.get(key, 0) <= version:
                outlived.add(key)
            if fresh.deleted.get(key, 0) > version:
                hidden.append(key)
        if not hidden:
            return Overlap(None, frozenset(outlived))
        return Overlap(key_table(fresh.table, hidden), frozenset(outlived))

    def sealed_copies(self, keys: list[Any]) -> list[tuple[Any, int, bool]]:
        """Of these keys, those that a segment has a row of: the key, the row's version, whether it is final."""
        if not keys:
            return []
        table = self.table
        relations = {"candidates": key_table(table, keys), **self._relations(Overlap())}
        final = f"held.{DUCKDB.ident(table.facts.final)} IS NOT NULL" if table.facts.final else "TRUE"
        same = " AND ".join(f"held.{name} = candidates.{name}" for name in map(DUCKDB.ident, table.key))
        chosen = ", ".join(f"held.{DUCKDB.ident(name)}" for name in table.key)
        statements = []
        for segment in self._held():
            source = self._source(segment, Overlap())
            index = f"{self.segments.name(segment)}.trace_index"
            narrowed = ""
            if table.name == "spans":
                # Most fresh traces are in no segment, which the small index tells without a look at the rows.
                narrowed = (
                    f' AND held."traceId" IN (SELECT "traceId" FROM {index} WHERE hash IN '
                    '(SELECT md5_number_lower("traceId") FROM candidates))'
                )
            statements.append(
                f"SELECT {chosen}, held.{VERSION_COLUMN}, {final} FROM {source} AS held, candidates "
                f"WHERE {same}{narrowed}"
            )
        found = self.segments.query(Statement(" UNION ALL ".join(statements)), relations)
        columns = [column.to_pylist() for column in found.columns]
        width = len(table.key)
        copied = columns[0] if width == 1 else list(zip(*columns[:width], strict=True))
        return list(zip(copied, columns[width], columns[width + 1], strict=True))


def key_table(table: Table, keys: list[Any]) -> pa.Table:
    """Keys as an Arrow table of the key's columns."""
    columns = [keys] if len(table.key) == 1 else list(zip(*keys, strict=True))
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(table.key, columns, strict=True)})


def traces_of(where: Filter) -> tuple[str, ...] | None:
    """The traces to which a filter narrows spans, where it does and they are few."""
    for part in where.of if isinstance(where, And) else (where,):
        match part:
            case Is("traceId", "=", str() as trace):
                return (trace,)
            case OneOf("traceId", values) if len(values) <= _FEW and None not in values:
                return tuple(dict.fromkeys(values))
            case And():
                if (found := traces_of(part)) is not None:
                    return found
    return None


def _needed(plan: Scan) -> tuple[str, ...]:
    wanted = {*plan.projection, *(term.column for term in plan.complete_order)}
    return tuple(name for name in plan.table.columns if name in wanted)


def _is_full(plan: Scan, parts: list[pa.Table], later: int | None) -> bool:
    """Whether no later segment can change the page: it is full, and its end is better than all that follows."""
    if later is None or plan.limit is None:
        return False
    found = fold.cut(plan.but(columns=_needed(plan), limit=plan.limit + plan.offset, offset=0), pa.concat_tables(parts))
    if found.num_rows < plan.limit + plan.offset:
        return False
    ends = found.column(plan.order[0].column).cast(pa.int64())[-1].as_py()
    if ends is None:
        return False
    return bool(ends > later if plan.order[0].descending else ends < later)
