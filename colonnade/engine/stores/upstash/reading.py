"""Reads: pages of sorted sets, folded where a filter or an order asks for more than a set knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import TRUE, And, Filter, Scan, Summarize
from colonnade.engine.stores.upstash.covering import Cover, Stretch, cover, direction
from colonnade.engine.stores.upstash.layout import facts, read
from colonnade.engine.stores.upstash.requests import Command, Request, Steps, run_script
from colonnade.engine.stores.upstash.scripts import FETCH, PAGES
from colonnade.schemas.few import FewRows
from colonnade.schemas.table import Table

BYTES: Final = 1_000_000
"""An answer ends at the row with which it gets this large: Upstash takes and gives a limited size at once."""
PAGE_ROWS: Final = 1_000
_AT_ONCE: Final = 200
"""Sets that are asked within one request."""


@dataclass(slots=True)
class Turn:
    """How far a stretch of a set was read."""

    stretch: Stretch
    skip: int = 0
    after: Any = None
    more: bool = True
    kept: int = 0


class _Inexact(Exception):
    """Rows beyond the moments that scores tell apart: their order is not that of the set."""


def scan(plan: Scan) -> Steps[pa.Table | FewRows]:
    """The rows of a scan; one request where keys or one set in its order have them, and a page is not too large."""
    found = cover(plan.where, plan.table)
    way = direction(plan, found.fixed)
    if found.members is not None:
        return _shaped(plan, found, (yield from fetched(plan.table, found.members, _needed(plan, found.rest))))
    if way is not None and plan.limit is not None:
        try:
            return (yield from _in_order(plan, found, way))
        except _Inexact:
            found = replace(found, rest=(plan.where,))
    return (yield from _folded(plan, found))


def fetched(table: Table, members: Sequence[str], columns: tuple[str, ...]) -> Steps[FewRows]:
    """The rows that there are of some keys."""
    rows: list[Any] = []
    members = list(members)
    while members:
        head = {"facts": facts(table), "members": members[:PAGE_ROWS], "columns": columns, "bytes": BYTES}
        answer = orjson.loads((yield from run_script(FETCH, head)))
        rows += answer["rows"]
        members = members[answer["done"] :]
    return read(table, columns, rows)


def _in_order(plan: Scan, found: Cover, way: tuple[bool, bool]) -> Steps[pa.Table | FewRows]:
    """The page of a plan from sets that lie in its order: no more is read than it takes."""
    assert plan.limit is not None
    exact = not found.rest and len(found.stretches) == 1
    wanted = plan.limit if exact else plan.offset + plan.limit
    columns = plan.projection if exact else _needed(plan, found.rest)
    turns = [Turn(stretch, plan.offset if exact else 0) for stretch in found.stretches]
    rows: list[Any] = []
    for at in range(0, len(turns), _AT_ONCE):
        waiting = turns[at : at + _AT_ONCE] if wanted else []
        while waiting := [turn for turn in waiting if turn.more and turn.kept < wanted]:
            some = wanted - min(turn.kept for turn in waiting)
            size = min(max(some, 100), PAGE_ROWS) if found.rest else min(some, PAGE_ROWS)
            for turn, given in zip(waiting, (yield from _turned(plan, waiting, columns, way, size)), strict=True):
                kept = _kept(plan.table, columns, given, found.rest)
                turn.kept += len(kept)
                rows += kept
    if exact:
        page = FewRows(plan.table, columns, rows)
        return page if plan.few else page.arrow()
    return fold.cut(plan, FewRows(plan.table, columns, rows).arrow())


def _folded(plan: Scan, found: Cover) -> Steps[pa.Table]:
    """Every row of the sets, page by page; where there is a limit, no more are kept than it allows."""
    reading = Reading(plan, found)
    wanted = None if plan.limit is None else plan.offset + plan.limit
    whole = replace(plan, where=TRUE, offset=0, limit=wanted, columns=reading.columns)
    rows = FewRows(plan.table, reading.columns, []).arrow()
    pages: list[pa.Table] = []
    while reading.more and wanted != 0:
        pages += yield from reading.following()
        if wanted is not None:
            rows, pages = fold.cut(whole, _once(plan.table, [rows, *pages])), []
    return fold.cut(plan, _once(plan.table, [rows, *pages]))


def _once(table: Table, pages: list[pa.Table]) -> pa.Table:
    """All rows of pages; of one that moved on between two of them, the later copy."""
    rows = pa.concat_tables(pages)
    last = {key: place for place, key in enumerate(fold.key_of(table, rows).to_pylist())}
    return rows if len(last) == rows.num_rows else rows.take(sorted(last.values()))


class Reading:
    """How far the rows of a filter were read, in any order."""

    def __init__(self, plan: Scan, found: Cover) -> None:
        self._plan, self._rest = plan, found.rest
        self._turns = [Turn(stretch) for stretch in found.stretches]
        self.columns = _needed(plan, found.rest)

    @property
    def more(self) -> bool:
        """Whether there may be more."""
        return bool(self._turns)

    def following(self) -> Steps[list[pa.Table]]:
        """The next rows, in one request."""
        some = self._turns[:_AT_ONCE]
        pages = yield from _turned(self._plan, some, self.columns, None, PAGE_ROWS)
        self._turns = [turn for turn in some if turn.more] + self._turns[_AT_ONCE:]
        table = self._plan.table
        return [FewRows(table, self.columns, _kept(table, self.columns, page, self._rest)).arrow() for page in pages]


def streamed(plan: Scan) -> Reading | None:
    """The scan as one that is read on and on; None where its rows are named or ordered, and so read at once."""
    found = cover(plan.where, plan.table)
    return None if found.members is not None or plan.complete_order else Reading(plan, found)


def _turned(
    plan: Scan, turns: list[Turn], columns: tuple[str, ...], way: tuple[bool, bool] | None, size: int
) -> Steps[list[FewRows]]:
    """The next page of each of some stretches, in one request."""
    down, tied_down = way or (False, False)
    head = {
        "facts": facts(plan.table),
        "turns": [{**told(turn.stretch), "skip": turn.skip, "after": turn.after} for turn in turns],
        "down": down,
        "tied_down": tied_down,
        "count": size,
        "columns": columns,
        "bytes": BYTES,
    }
    pages = []
    for turn, answer in zip(turns, orjson.loads((yield from run_script(PAGES, head))), strict=True):
        if answer["inexact"] and way is not None:
            raise _Inexact
        turn.after, turn.more = answer["at"], answer["more"]
        pages.append(read(plan.table, columns, answer["rows"] or []))
    return pages


def told(stretch: Stretch) -> dict[str, str]:
    """A stretch as scripts are told of it."""
    return {"set": stretch.name, "low": stretch.low, "high": stretch.high}


def _kept(table: Table, columns: tuple[str, ...], page: FewRows, rest: Sequence[Filter]) -> list[Any]:
    if not rest or not page.rows:
        return list(page.rows)
    passed = fold.mask(And(tuple(rest)), page.arrow()).to_pylist()
    return [row for row, fits in zip(page.rows, passed, strict=True) if fits]


def _needed(plan: Scan, rest: Sequence[Filter]) -> tuple[str, ...]:
    wanted = set(plan.projection) | {term.column for term in plan.complete_order} | set(plan.table.key)
    wanted |= named_columns(And(tuple(rest)))
    return tuple(name for name in plan.table.names if name in wanted)


def _shaped(plan: Scan, found: Cover, rows: FewRows) -> pa.Table | FewRows:
    if plan.few and not found.rest and not plan.complete_order and rows.names == plan.projection:
        return rows
    return fold.scan(plan.but(where=And(found.rest)), rows.arrow())


def counted(plan: Summarize) -> Steps[pa.Table]:
    """Count rows: by the sets where these know enough."""
    found = cover(plan.where, plan.table)
    if plan.by or found.rest or found.members is not None or any(measure.column for measure in plan.measures):
        named = {measure.column for measure in plan.measures if measure.column}
        named |= {term if isinstance(term, str) else term.column for term in plan.by}
        columns = tuple(name for name in plan.table.names if name in named or name in plan.table.key)
        rows = yield from scan(Scan(plan.table, plan.where, columns=columns))
        data = rows.arrow() if isinstance(rows, FewRows) else rows
        return fold.summarize(replace(plan, where=TRUE), data)
    total = 0
    for at in range(0, len(found.stretches), _AT_ONCE):
        total += sum((yield from _sizes(found.stretches[at : at + _AT_ONCE])))
    return pa.table({measure.name: pa.array([total], pa.int64()) for measure in plan.measures})


def _sizes(stretches: Sequence[Stretch]) -> Steps[list[int]]:
    commands = [Command(("ZCOUNT", each.name, each.low, each.high)) for each in stretches]
    return list(map(int, (yield Request(commands, repeatable=True))))
