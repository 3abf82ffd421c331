"""Plans as PostgreSQL's SQL. Values are always bound; names are spelled out, and paths of letters and digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from colonnade.engine.plan import (
    TRUE,
    Among,
    At,
    Bucket,
    Contains,
    Delete,
    Filter,
    Is,
    Measure,
    Nearest,
    Null,
    OneOf,
    Order,
    Patch,
    Scan,
    Summarize,
)
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.stores.postgres import wide
from colonnade.engine.stores.postgres.layout import Layout, Stored
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.schemas.payloads import escape_text
from colonnade.schemas.table import Table
from colonnade.schemas.words import alike, lower, two_cases

_PATTERN: Final = 256
"""Letters of a text that is looked for by a pattern: PostgreSQL's engine gives up on patterns that are much longer."""
_LONG: Final = "length({text}) > 300 OR {text} ~ '[eE][+-]?[0-9]{{3}}'"
"""JSON numbers that may be beyond doubles, and are compared as they are written."""


class PostgresRenderer(Renderer):
    """Renders one statement over tables as they lie in a database."""

    def __init__(self, layout: Layout, bind: Callable[[Any], Any] = lambda value: value) -> None:
        super().__init__(POSTGRES, bind, lambda table: layout.of(table).source)
        self._layout = layout
        self._stored: Stored | None = None

    def _over(self, table: Table) -> Stored:
        self._stored = self._layout.of(table)
        return self._stored

    def _column(self, name: str, *, ordered: bool = False) -> str:
        """A column as a value that can be compared; ``ordered`` where it matters what is smaller."""
        stored, text = self._stored, self._dialect.ident(name)
        assert stored is not None
        match stored.table.columns[name].kind.name:
            case "json":
                return f"{text}::text" + (' COLLATE "C"' if ordered else "")
            case "text" | "uuid" if ordered and name in stored.foreign:
                return f'{text} COLLATE "C"'
        return text

    def _select(self, plan: Scan, within: Sequence[str] = ()) -> str:
        outer, stored = self._stored, self._over(plan.table)
        columns = ", ".join(map(stored.selected, plan.projection))
        text = f"SELECT {columns} FROM {stored.source}{self._where(plan.where)}{self._page(plan)}"
        self._stored = outer
        return text

    def _order(self, term: Order) -> str:
        """Nulls are not mentioned where there are none, so that indexes are in the same order."""
        assert self._stored is not None
        text = f"{self._column(term.column, ordered=True)} {'DESC' if term.descending else 'ASC'}"
        if not self._stored.table.columns[term.column].nullable:
            return text
        return f"{text} NULLS {'FIRST' if term.nulls_first else 'LAST'}"

    def _filter(self, filter: Filter) -> str:
        match filter:
            case Is(str() as name, "=", value) if value is not None and self._is_shortened(name):
                return self._by_short(name, (value,))
            case Is(str() as name, op, value) if value is not None:
                column = self._column(name, ordered=op not in ("=", "!="))
                return f"{column} {'<>' if op == '!=' else op} {self._bind(value)}"
            case OneOf(name, values) if values and None not in values and self._is_shortened(name):
                return self._by_short(name, values)
            case OneOf(name, values) if len(values) > 1 and None not in values:
                return f"{self._column(name)} = ANY({self._bind(list(values))})"
            case OneOf(name, (value,)) if value is not None:
                return f"{self._column(name)} = {self._bind(value)}"
            case Among(name, scan, of):
                column, inner = self._column(name), self._select(scan)
                if scan.table.columns[of].kind.name == "json":
                    inner = f"SELECT found::text FROM ({inner}) AS rows(found)"
                if scan.table.columns[of].nullable:  # one null would make every row that is not found unknown
                    inner = f"SELECT found FROM ({inner}) AS rows(found) WHERE found IS NOT NULL"
                return f"{column} IN ({inner})"
            case Contains(name, text):
                return self._contains(name, text)
            case Null(At() as place):
                kind = self._kind(place)
                return f"coalesce({kind}, 'null') = 'null'"
        return super()._filter(filter)

    def _is_shortened(self, name: str) -> bool:
        return self._stored is not None and name in self._stored.shortened

    def _by_short(self, name: str, values: tuple[str, ...]) -> str:
        """One of some texts, by their short texts, which are indexed; where one is a digest, by itself as well."""
        column, shorts = self._column(name), [wide.short(value) for value in values]
        equal = f"({wide.shortened(column)}) = ANY({self._bind(shorts)})"
        return equal if shorts == list(values) else f"({equal} AND {column} = ANY({self._bind(list(values))}))"

    def _contains(self, name: str, text: str) -> str:
        column = self._column(name)
        if len(text) <= _PATTERN:
            return f"{column} ~ {self._bind(_pattern(text))}"
        upper, lowered = map(self._bind, two_cases())
        return f"strpos(translate({column}, {upper}, {lowered}), {self._bind(lower(text))}) > 0"

    def _at(self, place: At, *, text: bool = False) -> str:
        """The value at a place, as JSON or as text. A step of a path is no place in a list, and so never a number."""
        column = self._dialect.ident(place.column)
        if not place.path:
            return f"({column} #>> '{{}}')" if text else column
        steps = [f"'{_plain(step)}'" for step in place.path]
        arrows = ["->"] * (len(steps) - 1) + ["->>" if text else "->"]
        return f"({column} {' '.join(f'{arrow} {step}' for arrow, step in zip(arrows, steps, strict=True))})"

    def _prefix(self, place: At) -> str:
        assert self._stored is not None
        return self._stored.json_type(place.column)

    def _kind(self, place: At) -> str:
        return f"{self._prefix(place)}_typeof({self._at(place)})"

    def _json(self, place: At, op: str, value: Any) -> str:
        """Typed equality at a place: null where there is nothing, false where the type is another."""
        kind, text = self._kind(place), self._at(place, text=True)
        if op == "has":
            item = f"{self._prefix(place)}_array_elements({self._at(place)})"
            item = f"SELECT 1 FROM {item} AS item WHERE {self._prefix(place)}_typeof(item) = 'string'"
            item += f" AND item #>> '{{}}' = {self._bind(escape_text(value))}"
            return f"CASE {kind} WHEN 'array' THEN EXISTS ({item}) END"
        if isinstance(value, bool):
            equal = f"({kind} = 'boolean' AND {text} = '{'true' if value else 'false'}')"
        elif isinstance(value, str):
            equal = f"({text} = {self._bind(escape_text(value))} AND {kind} = 'string')"
        else:
            number = f"CASE WHEN {_LONG.format(text=text)} THEN {text} = {self._bind(repr(value))} "
            number += f"ELSE {text}::double precision = {self._bind(float(value))} END"
            equal = f"CASE WHEN {kind} = 'number' THEN {number} WHEN {kind} IS NOT NULL THEN false END"
        return equal if op == "=" else f"NOT ({equal})"

    def _group(self, term: str | Bucket) -> tuple[str, str]:
        if isinstance(term, Bucket):
            # As a number: a multiple of its width may be before the year 1, from which on Python has times.
            name, text = super()._group(term)
            return name, f"(extract(epoch FROM {text}) * 1000000)::bigint"
        return term, self._column(term, ordered=True)

    def _measured(self, measure: Measure) -> str:
        inner = "*" if measure.column is None else self._column(measure.column, ordered=True)
        if measure.minus is None:
            return inner
        return self._dialect.difference.format(column=inner, minus=self._dialect.ident(measure.minus))

    def scan(self, plan: Scan, within: Sequence[str] = ()) -> Statement:
        """``SELECT`` of the projection, where, ordered, paged."""
        return self._done(self._select(plan, within))

    def summarize(self, plan: Summarize) -> Statement:
        """``SELECT`` of groups and measures, sorted by group."""
        self._over(plan.table)
        return super().summarize(plan)

    def nearest(self, plan: Nearest, columns: Sequence[str]) -> Statement:
        """``SELECT`` of all rows that may be among the nearest: pgvector counts in 32 bits, and they are sorted above.

        Those are the nearest by its count, and all that are hardly farther away than the last of them.
        """
        stored, size = self._over(plan.table), len(plan.vector)
        column = self._dialect.ident(plan.column)
        vector = self._bind("[" + ",".join(map(repr, plan.vector)) + "]")
        of = f"{self._layout.vectors}.vector({size})"
        distance = f"{column}::{of} OPERATOR({self._layout.vectors}.<=>) {vector}::{of}"
        distance = f"coalesce(nullif({distance}, 'NaN'), 1)"
        where = f" WHERE cardinality({column}) = {size}"
        if plan.where != TRUE:
            where += f" AND {self._filter(plan.where)}"
        near = f"SELECT {distance} AS distance FROM {stored.source}{where} ORDER BY 1 LIMIT {int(plan.k)}"
        chosen = ", ".join(map(stored.selected, columns))
        sql = f"WITH near AS ({near}) SELECT {chosen} FROM {stored.source}{where}"
        return self._done(f"{sql} AND {distance} <= (SELECT max(distance) FROM near) + 0.00002")

    def patch(self, plan: Patch) -> Statement:
        """``UPDATE``."""
        stored = self._over(plan.table)
        given = {name: self._bind(value) for name, value in plan.values.items()}
        changes = ", ".join(f"{column} = {text}" for column, text in stored.changes(given))
        return self._done(f"UPDATE {stored.name} SET {changes}{self._which(stored, plan.where)}")

    def delete(self, plan: Delete) -> Statement:
        """``DELETE``."""
        stored = self._over(plan.table)
        return self._done(f"DELETE FROM {stored.name}{self._which(stored, plan.where)}")

    def _which(self, stored: Stored, where: Filter) -> str:
        """The rows of a table that a filter holds for; of one that is read in another form, by their keys."""
        if stored.source == stored.name or where == TRUE:
            return self._where(where)
        key = ", ".join(map(self._dialect.ident, stored.table.key))
        inner = ", ".join(f"found.{self._dialect.ident(name)}" for name in stored.table.key)
        return f" WHERE ({key}) IN (SELECT {inner} FROM (SELECT * FROM {stored.source}{self._where(where)}) AS found)"


def _plain(step: str | int) -> str:
    if not isinstance(step, str) or not re.fullmatch("[A-Za-z0-9_]+", step):
        raise TypeError(f"{step!r} is no plain step of a path")  # abilities.can_push lets no other through
    return step


def _pattern(text: str) -> str:
    """A regular expression of PostgreSQL that finds a text with letters that are alike."""
    return "".join(_spelled(alike(letter)) for letter in text)


def _spelled(letters: tuple[str, ...]) -> str:
    spelled = [each if each.isascii() and each.isalnum() else f"\\U{ord(each):08x}" for each in letters]
    return spelled[0] if len(spelled) == 1 else f"[{''.join(spelled)}]"
