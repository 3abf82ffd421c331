"""What is asked for each plan, as generators of batches of statements: a file, sqld and D1 all run the same steps.

**Compare-and-set is a statement too.** It looks for the rows that are expected, and fails where one is missing: with it
the whole batch fails, and nothing is written. No lock outlives a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, Lesser, by_key, perform
from colonnade.engine.dialect import SQLITE
from colonnade.engine.driving import drive_by
from colonnade.engine.plan import (
    TRUE,
    And,
    Contains,
    Delete,
    Filter,
    Not,
    Or,
    Patch,
    Plan,
    Put,
    Scan,
    Summarize,
    after,
    asc,
)
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.batches import Batch, Steps, TooMuch, ask
from colonnade.engine.sqlite_served.spelling import CASES, ServedDialect, ServedRenderer, cases_of, operand
from colonnade.engine.sqlite_served.values import arrow_of, compared, tuples
from colonnade.errors import Conflict, StoreError, Unsupported
from colonnade.schemas.table import Table

ABILITIES: Final = Abilities(
    compare_and_set=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(SQLITE.functions or ()),
    patch=True,
    delete=True,
)

CHANGED: Final = "malformed JSON"
"""What SQLite says when a guard fails, whose condition is then no JSON."""
_GUARDED: Final = 64
"""Rows that one statement compares."""


_KEYS: Final = 200
_PAGE: Final = 1024
STREAMED: Final = 4096
"""Rows of a page of a stream."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the row with this key; and how many rows it has."""

    size: int
    last: tuple[Any, ...] | None = None


class Spelled:
    """The steps of plans in one dialect."""

    abilities: Abilities = ABILITIES
    parameters: int = 30_000
    """Values that one statement may bind."""

    def __init__(
        self, dialect: ServedDialect, renderer: Callable[[ServedDialect], ServedRenderer] = ServedRenderer
    ) -> None:
        self.dialect = dialect
        self._renderer = renderer

    def page_of(self, plan: Scan) -> int | None:
        """How many rows of a scan are asked for at once; ``None`` where it is tried with all of them."""
        return None

    def renderer(self) -> ServedRenderer:
        """What renders one statement."""
        return self._renderer(self.dialect)

    def steps_of(self, plan: Plan) -> Steps[Any]:
        """What is asked for a plan; returns its answer."""
        if not isinstance(plan, Put) and _too_many_cases(plan.where):
            return (yield from self._without_contains(plan))
        match plan:
            case Scan():
                return (yield from self.scan(plan))
            case Summarize():
                return (yield from self._summarize(plan))
            case Put():
                return (yield from self._put(plan))
            case Patch():
                (result,) = yield Batch((self.renderer().patch(plan),))
                return result.changed
            case Delete():
                (result,) = yield Batch((self.renderer().delete(plan),))
                return result.changed
        raise Unsupported(f"{type(plan).__name__} is answered above the store")

    def scan(self, plan: Scan) -> Steps[pa.Table]:
        """``SELECT``; in pages where the server has more to say than it may at once."""
        page = self.page_of(plan)
        if page is None or (plan.limit is not None and plan.limit <= page):
            try:
                return (yield from self._selected(plan))
            except TooMuch:
                pass
        return (yield from self._paged(plan))

    def _selected(self, plan: Scan) -> Steps[pa.Table]:
        (result,) = yield from ask(self.renderer().scan(plan))
        return arrow_of(result.rows, plan.schema)

    def _paged(self, plan: Scan) -> Steps[pa.Table]:
        """The rows page by page in the order of their keys, then in the order that is asked for."""
        terms = {term.column for term in plan.complete_order}
        columns = tuple(name for name in plan.table.columns if name in {*plan.projection, *plan.table.key, *terms})
        if plan.limit is not None:
            keys = yield from self._selected(plan.but(columns=plan.table.key))
            parts = [by_key(plan.table, keys.slice(at, _KEYS)) for at in range(0, keys.num_rows, _KEYS)]
            plan = plan.but(offset=0)  # the keys are of the rows after it
        else:
            parts = [plan.where]
        found = [plan.but(columns=columns).schema.empty_table()]
        for where in parts:
            found += yield from self.pages(Scan(plan.table, where, columns=columns))
        return fold.scan(plan.but(where=TRUE), pa.concat_tables(found))

    def pages(self, plan: Scan) -> Steps[list[pa.Table]]:
        """All pages of a scan in the order of keys."""
        pages: list[pa.Table] = []
        place: Place | None = Place(self.page_of(plan) or _PAGE)
        while place is not None:
            page, place = yield from self.next_page(plan, place)
            pages.append(page)
        return pages

    def next_page(self, plan: Scan, place: Place) -> Steps[tuple[pa.Table, Place | None]]:
        """The page at a place, and the place of the next; ``None`` after the last. Pages shrink until one fits."""
        order = tuple(map(asc, plan.table.key))
        where = plan.where if place.last is None else plan.where & after(order, place.last)
        columns = tuple(name for name in plan.table.columns if name in {*plan.projection, *plan.table.key})
        size = place.size
        while True:
            try:
                page = yield from self._selected(Scan(plan.table, where, order, size, columns=columns))
                break
            except TooMuch:
                if size == 1:
                    raise
                size = max(size // 4, 1)
        if page.num_rows < size:
            return page.select(list(plan.projection)), None
        last = tuple(page.column(name)[-1].as_py() for name in plan.table.key)
        return page.select(list(plan.projection)), Place(size, last)

    def _summarize(self, plan: Summarize) -> Steps[pa.Table]:
        try:
            (result,) = yield from ask(self.renderer().summarize(plan))
        except StoreError as error:
            if "integer overflow" not in str(error):
                raise
            # A sum of whole numbers left 64 bits, if only on its way: the fold adds them up exactly, or refuses.
            found = yield from self.scan(Scan(plan.table, plan.where))
            return fold.summarize(replace(plan, where=TRUE), found)
        return arrow_of(result.rows, fold.summary_schema(plan))

    def _put(self, plan: Put) -> Steps[int]:
        guards = list(self._guards(plan)) if plan.expect is not None else []
        for statements in self.batches(plan.table, plan.data, whole=bool(guards)):
            try:
                yield Batch((*guards, *statements))
            except StoreError as error:
                if not guards or CHANGED not in str(error):
                    raise
                raise Conflict(f"rows of {plan.table.name} changed since they were read") from None
        return int(plan.data.num_rows)

    def batches(self, table: Table, data: pa.Table, *, whole: bool) -> Iterator[list[Statement]]:
        """The upserts of rows, in batches; in one, where they are to be ``whole``."""
        rows = tuples(data)
        size = max(1, self.parameters // len(table.columns))
        yield [
            self.renderer().put_values(table, rows[at : at + size])  # row by row, the last of a key wins
            for at in range(0, len(rows), size)
        ]

    def _guards(self, plan: Put) -> Iterator[Statement]:
        """Statements that fail unless the rows of a put are stored as they are expected, or not at all."""
        table, expect = plan.table, plan.expect
        assert expect is not None
        given, known = fold.key_of(table, plan.data), fold.key_of(table, expect)
        expected = expect.filter(pc.is_in(known, value_set=given))
        missing = plan.data.filter(pc.invert(pc.is_in(given, value_set=known))).select(list(table.key))
        yield from self._counted(table, expected, found=True)
        yield from self._counted(table, missing, found=False)

    def _counted(self, table: Table, rows: pa.Table, *, found: bool) -> Iterator[Statement]:
        names = rows.column_names
        wanted = list(dict.fromkeys(tuples(rows, compared)))
        size = max(1, min(_GUARDED, self.parameters // len(names)))
        for at in range(0, len(wanted), size):
            part = wanted[at : at + size]
            yield self.guard(table, names, part, len(part) if found else 0)

    def guard(self, table: Table, names: Sequence[str], rows: Sequence[Sequence[Any]], count: int) -> Statement:
        """A statement that fails unless so many of some rows are stored as they are given."""
        renderer, ident = self.renderer(), self.dialect.ident
        values = ", ".join(f"({', '.join(map(renderer.bind, row))})" for row in rows)
        same = [
            f"{ident(name)} =" if name in table.key else f"{operand(name, self.dialect.jsonb, of=table.name)} IS"
            for name in names
        ]
        on = " AND ".join(f"{each} expected.column{at}" for at, each in enumerate(same, 1))
        there = f"SELECT count(*) FROM (VALUES {values}) AS expected CROSS JOIN {self.dialect.table(table)} ON {on}"
        return renderer.done(f"SELECT json(CASE WHEN ({there}) = {count} THEN '1' ELSE 'changed' END)")

    def _without_contains(self, plan: Scan | Summarize | Patch | Delete | Any) -> Steps[Any]:
        """A plan whose texts have more letters than can be looked for, answered by the store and a fold."""
        lesser = Lesser(replace(self.abilities, contains=False))
        return drive_by(perform(plan, lambda _: lesser), lambda native: self.steps_of(native[1]))


def _too_many_cases(filter: Filter) -> bool:
    match filter:
        case Contains(_, text):
            return not text.isascii() and len(cases_of(text)) > CASES
        case Not(of):
            return _too_many_cases(of)
        case And(parts) | Or(parts):
            return any(map(_too_many_cases, parts))
    return False
