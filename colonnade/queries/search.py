"""Full-text search: the rows that hold words, best first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from colonnade.engine.plan import TRUE, And, Filter, Is, Or, Scan, Search, Steps, rows
from colonnade.errors import InvalidInput
from colonnade.queries.pages import When, window
from colonnade.queries.times import time_of
from colonnade.schemas import table_named
from colonnade.schemas.payloads import unescape_text
from colonnade.schemas.records import Record, decode
from colonnade.schemas.table import Table
from colonnade.schemas.words import SEARCHED, words


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that holds what was searched for: its record without wide fields, and where the words are in it.

    ``field`` is the field that has most of the words, ``snippet`` the place in it, on one line. ``score`` compares hits
    of one search.
    """

    record: Record
    score: float
    field: str
    snippet: str


def search_table(
    text: str,
    *,
    table: Table,
    fields: Collection[str] | None,
    some: bool,
    limit: int,
    since: When | None,
    until: When | None,
    where: Filter = TRUE,
) -> Steps[list[Hit]]:
    """Rows of a table that hold the words of a text, best first; as ``store.search`` says."""
    wanted = tuple(dict.fromkeys(words(text))) if isinstance(text, str) else ()
    if not wanted:
        raise InvalidInput(f"search for some words: {text!r:.80} has no letters and no digits")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidInput(f"limit must be a whole number >= 1, not {limit!r:.80}")
    if fields is None and table.name not in SEARCHED:
        raise InvalidInput(f"{table.name} is searched in no field unless you name some; search {', '.join(SEARCHED)}")
    columns = SEARCHED[table.name] if fields is None else tuple(_columns(table, fields))
    where &= window(time_of(table), since, until)
    found = (yield from rows(Search(table, wanted, columns, where, limit, some))).to_pylist()
    if not found:
        return []
    keys = [tuple(row[name] for name in table.key) for row in found]
    mine = Or(tuple(And(tuple(map(_is, table.key, key))) for key in keys))
    light = tuple(name for name in table.light)
    records = decode(table, (yield from rows(Scan(table, mine, columns=light))))
    known = {tuple(record[table.columns[name].api] for name in table.key): record for record in records}
    return [
        Hit(known[key], row["score"], table.columns[row["column"]].api, unescape_text(row["snippet"]))
        for key, row in zip(keys, found, strict=True)
        if key in known  # else it was deleted since
    ]


def table_to_search(table: Table | str) -> Table:
    """The table that is meant; of a reading, that which it reads."""
    found = table_named(table) if isinstance(table, str) else table
    return table_named(found.facts.reading_of) if found.facts.reading_of else found


def _is(name: str, value: str) -> Filter:
    return Is(name, "=", value)


def _columns(table: Table, fields: Collection[str]) -> list[str]:
    if isinstance(fields, str):
        raise InvalidInput(f"fields must be a list of names, such as [{fields!r}]")
    return [table.by_api[name].name if name in table.by_api else table.column(name).name for name in fields]
