"""How rows are searched for words and ranked: one definition for all stores.

A row's rank is told by its own words, and by nothing else, so that it is the same on every store and today as tomorrow.
Rows with more different words of those that are looked for come first. Within these the score counts, which is that of
BM25, without the part about how rare a word is elsewhere: for each word

    tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / PIVOT))

where ``tf`` is how often the searched columns have the word and ``length`` how many words they have at all. Then the
newest come first. Of more than ``DEPTH`` rows that hold the words only the newest are ranked.

A store with an index of words that cannot rank gives the newest rows that may hold them, page by page.
A store without one is read by stretches of time and page by page, newest first, and only where its own
text search finds the words (``Contains``), if it has one. What it gives is looked at again here, word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from heapq import nsmallest
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.abilities import Abilities, Native
from colonnade.engine.plan import (
    And,
    Contains,
    Filter,
    Is,
    Measure,
    Or,
    Order,
    Scan,
    Search,
    Summarize,
    after,
    asc,
    desc,
)
from colonnade.queries.times import time_of
from colonnade.schemas.moments import moment_of
from colonnade.schemas.payloads import escape_text
from colonnade.schemas.table import Table
from colonnade.schemas.words import WORD, lower, text_of

K1: Final = 1.2
B: Final = 0.75
PIVOT: Final = 256
DEPTH: Final = 10_000
WINDOW: Final = 20_000
"""Rows in the first stretch of time that is looked at, about."""
SNIPPET: Final = 160
"""Letters in a snippet, about."""
_PLACES: Final = 100
"""Words that are looked at for the best place of a snippet."""
PAGE: Final = 1_000
"""Rows on the first page; further ones have as many as fit into ``BYTES``, up to ``DEPTH``."""
BYTES: Final = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row that holds the words: what it is sorted by, first its negated rank, and where the words are."""

    place: tuple[Any, ...]
    key: tuple[str, ...]
    score: float
    column: str
    text: str


def needed(plan: Search) -> tuple[str, ...]:
    """The columns of a row by which it is ranked."""
    return tuple(dict.fromkeys((*plan.table.key, time_of(plan.table), *plan.columns)))


def scanned(plan: Search, abilities: Abilities, perform: Callable[[Scan | Summarize], Native]) -> Native:
    """Search by scans: of pages where the store gives them in order, else of all rows at once."""
    table = plan.table
    where = plan.where & holding(plan) if abilities.contains else plan.where
    scan = newest(plan)
    if not abilities.order:
        found = yield from perform(scan.but(where=where, order=(), limit=None))
        return _answer(plan, _rank(plan, _newest(found, table), DEPTH))
    windows = (yield from _windows(plan, perform)) if plan.limit else ()

    def ask(rest: Filter, size: int) -> Native:
        return (yield from perform(scan.but(where=rest, limit=size)))

    return _answer(plan, (yield from _paged(plan, [window & where for window in windows], ask)))


def newest(plan: Search) -> Scan:
    """The scan that gives the newest rows of those in which a search looks."""
    order = (desc(time_of(plan.table)), *map(asc, plan.table.key))
    return Scan(plan.table, plan.where, order, plan.limit, columns=needed(plan))


def _paged(
    plan: Search, parts: Iterable[Filter], ask: Callable[[Filter, int], Native]
) -> Generator[Any, Any, list[Ranked]]:
    """The best of the rows that are asked for, newest first: a part after the other, page by page."""
    order = newest(plan).order
    best: list[Ranked] = []
    size, known = PAGE, 0
    for part in parts:
        rest: Filter | None = part
        while rest is not None and known < DEPTH:
            page = yield from ask(rest, size)
            found = _rank(plan, page, DEPTH - known)
            known += len(found)
            best = _best(plan, (*best, *found))
            rest = part & _beyond(order, page) if page.num_rows == size else None
            if page.num_rows:
                size = max(PAGE // 4, 1, min(DEPTH, BYTES * page.num_rows // max(page.nbytes, 1)))
    return best


def _windows(plan: Search, perform: Callable[[Scan | Summarize], Native]) -> Generator[Any, Any, list[Filter]]:
    """Stretches of time that hold all rows, newest first, each twice as long as the one before.

    A store that sorts would otherwise look at every row for a page that is full of the newest ones.
    """
    when = time_of(plan.table)
    measures = (Measure("count", name="rows"), Measure("min", when, "first"), Measure("max", when, "last"))
    found = yield from perform(Summarize(plan.table, (), measures, plan.where))
    rows, first, last = (found.column(name).cast(pa.int64())[0].as_py() for name in ("rows", "first", "last"))
    if not rows:
        return []
    windows = list[Filter]()
    width, end = max(1, (last - first) * WINDOW // rows), last
    while end - width > first:
        windows.append(Is(when, ">", moment_of(end - width)) & Is(when, "<=", moment_of(end)))
        end, width = end - width, 2 * width
    return [*windows, And((Is(when, "<=", moment_of(end)),))]


def _beyond(order: tuple[Order, ...], page: pa.Table) -> Filter:
    """The rows after the last one of a page."""
    moment, *key = (page.column(term.column)[-1].as_py() for term in order)
    moment = moment.astimezone(UTC)
    return Is(order[0].column, "<=", moment) & after(order, (moment, *key))


def native(plan: Search, store: Any, perform: Callable[[Scan | Summarize], Native]) -> Native:
    """Search by the store's own index: more rows than are asked for, until enough of them are the right ones."""
    if store.newest_first:

        def page(rest: Filter, size: int) -> Native:
            return (yield store, replace(plan, where=rest, limit=size))

        return _answer(plan, (yield from _paged(plan, [plan.where] if plan.limit else [], page)))
    ask = max(100, 4 * plan.limit)
    while True:
        given = yield store, replace(plan, limit=ask)
        if given is None:
            return (yield from scanned(plan, store.abilities, perform))
        found = _rank(plan, given, DEPTH)
        if given.num_rows < ask or len(found) >= plan.limit or ask >= DEPTH:
            return _answer(plan, found)
        ask *= 4


def chosen(plan: Search, pages: Iterable[pa.Table]) -> pa.Table:
    """The best of rows that may hold the words, which are given by pages, newest first: what a store proposes."""
    best: list[Ranked] = []
    rows, known = plan.table.schema_of(needed(plan)).empty_table(), 0
    for page in pages:
        found = _rank(plan, page, DEPTH - known)
        known += len(found)
        best = _best(plan, (*best, *found))
        rows = pa.concat_tables([rows, page.select(rows.column_names)])
        kept = {each.key for each in best}
        keys = zip(*(rows.column(name).to_pylist() for name in plan.table.key), strict=True)
        rows = rows.filter(pa.array([key in kept for key in keys], pa.bool_()))
        if known == DEPTH:
            break
    return rows


def holding(plan: Search) -> Filter:
    """What every row that holds the words as words fulfils: it has them as texts."""
    parts = tuple(Or(tuple(Contains(name, word) for name in plan.columns)) for word in plan.words)
    return Or(parts) if plan.some else And(parts)


def _newest(rows: pa.Table, table: Table) -> pa.Table:
    return rows.sort_by([(time_of(table), "descending"), *((name, "ascending") for name in table.key)])


def _best(plan: Search, found: Iterable[Ranked]) -> list[Ranked]:
    return nsmallest(plan.limit, found, key=lambda each: each.place)


def _rank(plan: Search, rows: pa.Table, most: int) -> list[Ranked]:
    """The rows that hold the words, in the order in which they are given: the first of them, ``most`` at most."""
    names = [*plan.table.key, *plan.columns]
    moments = rows.column(time_of(plan.table)).cast(pa.int64()).to_pylist()
    values = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
    found = []
    for moment, row in zip(moments, values, strict=True):
        key, stored = row[: len(plan.table.key)], row[len(plan.table.key) :]
        if (ranked := _ranked(plan, moment, key, stored)) is not None:
            found.append(ranked)
            if len(found) == most:
                break
    return found


def _ranked(plan: Search, moment: int, key: tuple[str, ...], stored: tuple[str | None, ...]) -> Ranked | None:
    wanted = dict.fromkeys(plan.words, 0)
    length = most = 0
    column, text = plan.columns[0], ""
    for name, value in zip(plan.columns, stored, strict=True):
        if value is None:
            continue
        here = text_of(plan.table.columns[name].kind.name, value)
        there = set[str]()
        for word in WORD.findall(lower(here)):
            length += 1
            if word in wanted:
                wanted[word] += 1
                there.add(word)
        if len(there) > most:
            most, column, text = len(there), name, here
    held = sum(map(bool, wanted.values()))
    if not held or (held < len(wanted) and not plan.some):
        return None
    norm = K1 * (1 - B + B * length / PIVOT)
    # Rounded, since a sum depends on the order of its terms, and equal rows are to come by their time.
    score = round(sum(times * (K1 + 1) / (times + norm) for times in wanted.values()), 9)
    return Ranked((-held, -score, -moment, *key), key, score, column, text)


def _answer(plan: Search, found: Iterable[Ranked]) -> pa.Table:
    best = _best(plan, found)
    columns: dict[str, list[Any]] = {name: [each.key[at] for each in best] for at, name in enumerate(plan.table.key)}
    fields = [plan.table.schema.field(name) for name in plan.table.key]
    fields += [pa.field("score", pa.float64()), pa.field("column", pa.string()), pa.field("snippet", pa.string())]
    columns["score"] = [each.score for each in best]
    columns["column"] = [each.column for each in best]
    columns["snippet"] = [escape_text(snippet(each.text, plan.words)) for each in best]
    return pa.table(columns, pa.schema(fields))


def snippet(text: str, words: Iterable[str]) -> str:
    """The place of a text where most different words are near each other, on one line; … where more is left out."""
    wanted = set(words)
    found = list(islice((match for match in WORD.finditer(lower(text)) if match[0] in wanted), _PLACES))
    if not found:
        return _line(text[:SNIPPET])
    groups = [[each for each in found[at:] if each.end() <= first.start() + SNIPPET] for at, first in enumerate(found)]
    best = max(groups, key=lambda group: len({each[0] for each in group}))
    start, end = (best[0].start(), best[-1].end()) if best else found[0].span()
    room = max(0, SNIPPET - (end - start))
    first = max(0, min(start - room // 2, len(text) - SNIPPET))
    last = min(len(text), max(end, first + SNIPPET))
    if first and (blank := text.find(" ", first, start)) >= 0:
        first = blank + 1
    if last < len(text) and (blank := text.rfind(" ", end, last)) >= 0:
        last = blank
    return f"{'… ' if first else ''}{_line(text[first:last])}{' …' if last < len(text) else ''}"


def _line(text: str) -> str:
    return " ".join(text.split())
