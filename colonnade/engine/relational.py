"""Plans as SQL: one implementation for every SQL store; the dialect says how it is spelled.

Values are always bound, never pasted. Each gap of a dialect's template that takes a value becomes a placeholder, and
the value is appended to the parameters at that moment, so text and parameters cannot fall out of step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

import pyarrow as pa

from colonnade.engine.dialect import Dialect, JsonSpelling
from colonnade.engine.plan import (
    Among,
    And,
    At,
    Bucket,
    Contains,
    Delete,
    Filter,
    Is,
    Measure,
    Nearest,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Scan,
    Summarize,
)
from colonnade.schemas import table_named
from colonnade.schemas.payloads import escape_text
from colonnade.schemas.table import Table
from colonnade.schemas.words import lower, pattern, two_cases

INLINE = 64
"""Up to so many values of a one-of are bound one by one, which lets a store prune by them; more go as one array."""
LONG = 1_000
"""Letters of a text that is looked for by a pattern: of many more, none can be made."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with the values to bind, in order."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Renderer:
    """Renders one statement."""

    def __init__(
        self,
        dialect: Dialect,
        bind: Callable[[Any], Any] = lambda value: value,
        source: Callable[[Table], str] | None = None,
    ) -> None:
        """``bind`` brings values into the driver's form; ``source`` gives what reads of a table read from."""
        self._dialect = dialect
        self._bind_value = bind
        self._source = source or dialect.table
        self._parameters: list[Any] = []

    def _done(self, sql: str) -> Statement:
        return Statement(sql, tuple(self._parameters))

    def _bind(self, value: Any) -> str:
        self._parameters.append(self._bind_value(value))
        return self._dialect.placeholder.format(number=len(self._parameters))

    def _fill(self, template: str, **gaps: Any) -> str:
        """Fill a template: callables are called once for every time their gap occurs, in order."""
        parts = []
        for literal, gap, _, _ in Formatter().parse(template):
            parts.append(literal)
            if gap is not None:
                value = gaps[gap]
                parts.append(value() if callable(value) else value)
        return "".join(parts)

    def scan(self, plan: Scan, within: Sequence[str] = ()) -> Statement:
        """``SELECT`` of the projection, where, ordered, paged; ``within`` are conditions besides, as SQL."""
        return self._done(self._select(plan, within))

    def _select(self, plan: Scan, within: Sequence[str] = ()) -> str:
        columns = ", ".join(map(self._chosen, plan.projection))
        conditions = [*within, *([] if plan.where == And(()) else [self._filter(plan.where)])]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {columns} FROM {self._source(plan.table)}{where}{self._page(plan)}"

    def _chosen(self, name: str) -> str:
        """What is selected of a column."""
        return self._dialect.ident(name)

    def _operand(self, name: str) -> str:
        """What of a column is compared, ordered and summarized."""
        return self._dialect.ident(name)

    def _page(self, plan: Scan) -> str:
        order = ", ".join(map(self._order, plan.complete_order))
        text = f" ORDER BY {order}" if order else ""
        if plan.limit is not None or plan.offset:
            limit = self._dialect.no_limit if plan.limit is None else str(int(plan.limit))
            text += self._dialect.page.format(limit=limit, offset=int(plan.offset))
        return text

    def _order(self, term: Order) -> str:
        return self._dialect.order.format(
            column=self._operand(term.column),
            direction="DESC" if term.descending else "ASC",
            nulls="FIRST" if term.nulls_first else "LAST",
        )

    def _where(self, where: Filter) -> str:
        return "" if where == And(()) else f" WHERE {self._filter(where)}"

    def _filter(self, filter: Filter) -> str:
        ident = self._dialect.ident
        match filter:
            case And(parts):
                return f"({' AND '.join(map(self._filter, parts))})" if parts else "1 = 1"
            case Is(str() as name, op, value):
                if value is None:
                    return "CAST(NULL AS BOOLEAN)"
                return f"{self._operand(name)} {'<>' if op == '!=' else op} {self._bind(value)}"
            case Is(At() as place, op, value):
                return self._json(place, op, value)
            case OneOf(_, ()):
                return "1 = 0"
            case OneOf(name, values) if None in values:
                # A null is said apart: one in the list of an IN is looked up in an index by DuckDB, and found.
                known = tuple(value for value in values if value is not None)
                return f"({self._filter(OneOf(name, known))} OR 1 = NULL)"
            case OneOf(name, values):
                if self._dialect.array and len(values) > INLINE:
                    return self._fill(self._dialect.array, column=self._operand(name), values=self._bind(list(values)))
                return f"{self._operand(name)} IN ({', '.join(map(self._bind, values))})"
            case Among(name, scan, of):
                inner = self._select(scan)
                if scan.table.columns[of].nullable:  # one null would make every row that is not found unknown
                    inner = f"SELECT {ident(of)} FROM ({inner}) AS found WHERE {ident(of)} IS NOT NULL"
                return f"{self._operand(name)} IN ({self._dialect.among.replace('{inner}', inner)})"
            case Contains(name, text):
                if self._dialect.contains is None:
                    raise TypeError(f"{self._dialect.name} does not look for texts")
                gaps = {"pattern": lambda: self._bind(pattern(text)), "text": lambda: self._bind(lower(text))}
                if self._dialect.contains_long is None or len(text) <= LONG:
                    return self._fill(self._dialect.contains, column=ident(name), **gaps)
                gaps |= {"upper": lambda: self._bind(two_cases()[0]), "lower": lambda: self._bind(two_cases()[1])}
                return self._fill(self._dialect.contains_long, column=ident(name), **gaps)
            case Null(At() as place):
                spelling, kind = self._place(place)
                return f"coalesce({kind()}, '{spelling.null}') = '{spelling.null}'"
            case Null(str() as name):
                return f"{self._operand(name)} IS NULL"
            case Not(of):
                return f"NOT ({self._filter(of)})"
            case Or(parts):
                return f"({' OR '.join(map(self._filter, parts))})" if parts else "1 = 0"
        raise TypeError(f"{filter!r} has no SQL")

    def _place(self, place: At) -> tuple[JsonSpelling, Callable[[], str]]:
        spelling = self._dialect.json
        if spelling is None:
            raise TypeError(f"{self._dialect.name} does not look into JSON")
        return spelling, lambda: self._json_gap(spelling, spelling.kind, place)

    def _json_gap(self, spelling: JsonSpelling, template: str, place: At, value: Any = None) -> str:
        steps = "".join(spelling.step.format(key=step) for step in place.path)
        return self._fill(
            template,
            column=self._operand(place.column),
            path=lambda: self._bind(spelling.path.format(steps=steps)),
            value=lambda: self._bind(value),
            text=lambda: self._json_gap(spelling, spelling.text, place),
        )

    def _json(self, place: At, op: str, value: Any) -> str:
        """Typed equality at a place: the JSON type must fit, then the value. Null where there is nothing."""
        spelling, kind = self._place(place)
        if op == "has":
            return self._json_gap(spelling, spelling.has_text, place, escape_text(value))
        wanted: str | float
        if isinstance(value, bool):
            kinds, found, wanted = spelling.booleans, spelling.boolean, "true" if value else "false"
        elif isinstance(value, str):
            kinds, found, wanted = spelling.strings, spelling.text, escape_text(value)
        else:
            kinds, found, wanted = spelling.numbers, spelling.number, float(value)
        fits = ", ".join(f"'{kind}'" for kind in kinds)
        equal = f"CASE WHEN {kind()} IS NULL THEN CAST(NULL AS BOOLEAN) WHEN {kind()} IN ({fits}) THEN "
        equal += f"{self._json_gap(spelling, found, place)} = {self._bind(wanted)} ELSE FALSE END"
        return equal if op == "=" else f"NOT ({equal})"

    def summarize(self, plan: Summarize) -> Statement:
        """``SELECT`` of groups and measures, sorted by group."""
        groups = [self._group(term) for term in plan.by]
        selected = [f"{text} AS {self._dialect.ident(name)}" for name, text in groups]
        selected += [f"{self._measure(m)} AS {self._dialect.ident(m.name)}" for m in plan.measures]
        sql = f"SELECT {', '.join(selected)} FROM {self._source(plan.table)}{self._where(plan.where)}"
        if groups:
            places = [str(place) for place in range(1, len(groups) + 1)]
            order = ", ".join(self._dialect.order.format(column=at, direction="ASC", nulls="LAST") for at in places)
            sql += f" GROUP BY {', '.join(places)} ORDER BY {order}"
        return self._done(sql)

    def _group(self, term: str | Bucket) -> tuple[str, str]:
        if isinstance(term, str):
            return term, self._operand(term)
        micros = str(int(term.width.total_seconds() * 1_000_000))
        return term.column, self._dialect.bucket.format(column=self._dialect.ident(term.column), micros=micros)

    def _measure(self, measure: Measure) -> str:
        return (self._dialect.functions or {})[measure.function].format(column=self._measured(measure))

    def _measured(self, measure: Measure) -> str:
        inner = "*" if measure.column is None else self._operand(measure.column)
        if measure.minus is None:
            return inner
        return self._dialect.difference.format(column=inner, minus=self._operand(measure.minus))

    def nearest(self, plan: Nearest, columns: Sequence[str]) -> Statement:
        """``SELECT`` of columns, ordered by how near a vector is."""
        ident, column = self._dialect.ident, self._dialect.ident(plan.column)
        chosen = ", ".join(map(ident, columns))
        same = f"{self._dialect.dimensions.format(column=column)} = {len(plan.vector)}"
        where = f"{self._where(plan.where)} AND {same}" if plan.where != And(()) else f" WHERE {same}"
        near = self._fill(self._dialect.nearest or "", column=column, vector=lambda: self._bind(list(plan.vector)))
        order = ", ".join([f"{near} DESC", *map(ident, plan.table.key)])
        sql = f"SELECT {chosen} FROM {self._source(plan.table)}{where} ORDER BY {order}"
        return self._done(sql + self._dialect.page.format(limit=plan.k, offset=0))

    def patch(self, plan: Patch) -> Statement:
        """``UPDATE``."""
        changes = ", ".join(f"{self._dialect.ident(name)} = {self._bind(v)}" for name, v in plan.values.items())
        return self._done(f"UPDATE {self._dialect.table(plan.table)} SET {changes}{self._where(plan.where)}")

    def delete(self, plan: Delete) -> Statement:
        """``DELETE``."""
        return self._done(f"DELETE FROM {self._dialect.table(plan.table)}{self._where(plan.where)}")

    def matching(self, table: Table, columns: Sequence[str], source: str, leads: Sequence[str]) -> Statement:
        """``SELECT`` of the rows that are stored under the keys of a relation; ``leads`` as in ``_same``."""
        here, there = self._dialect.table(table), self._dialect.ident(source)
        chosen = ", ".join(f"{here}.{self._dialect.ident(name)}" for name in columns)
        return self._done(f"SELECT {chosen} FROM {here}, {there} WHERE {self._same(table, source, leads)}")

    def delete_matching(self, table: Table, source: str, leads: Sequence[str]) -> Statement:
        """``DELETE`` of the rows that are stored under the keys of a relation; ``leads`` as in ``_same``."""
        here, there = self._dialect.table(table), self._dialect.ident(source)
        return self._done(f"DELETE FROM {here} USING {there} WHERE {self._same(table, source, leads)}")

    def insert_from(self, table: Table, source: str) -> Statement:
        """``INSERT`` of the rows of a relation that holds the table's columns."""
        columns = ", ".join(map(self._dialect.ident, table.columns))
        return self._done(
            f"INSERT INTO {self._dialect.table(table)} ({columns}) SELECT {columns} FROM {self._dialect.ident(source)}"
        )

    def _same(self, table: Table, source: str, leads: Sequence[str]) -> str:
        """Equal keys. Few different values of the first key column are bound too, so that an index can find them."""
        here, there = self._dialect.table(table), self._dialect.ident(source)
        parts = [f"{here}.{name} = {there}.{name}" for name in map(self._dialect.ident, table.key)]
        if len(leads) <= INLINE:
            parts.append(f"{here}.{self._dialect.ident(table.key[0])} IN ({', '.join(map(self._bind, leads))})")
        return " AND ".join(parts)

    def put_values(self, table: Table, rows: Sequence[Sequence[Any]]) -> Statement:
        """Upsert bound rows, one row a key."""
        values = ", ".join(f"({', '.join(map(self._bind, row))})" for row in rows)
        return self._done(self._upsert(table, f"VALUES {values}"))

    def _upsert(self, table: Table, source: str) -> str:
        ident, incoming = self._dialect.ident, self._dialect.incoming
        changed = [name for name in table.columns if name not in table.key and name not in table.once]
        changes = ", ".join(f"{ident(name)} = {incoming.format(column=ident(name))}" for name in changed)
        unless = ""
        if final := table.facts.final:
            here, there = f"{self._dialect.table(table)}.{ident(final)}", incoming.format(column=ident(final))
            unless = f" WHERE {here} IS NULL OR {there} IS NOT NULL"
        return self._dialect.upsert.format(
            table=self._dialect.table(table),
            columns=", ".join(map(ident, table.columns)),
            source=source,
            key=", ".join(map(ident, table.key)),
            changes=changes,
            unless=unless,
        )


def create_table(dialect: Dialect, table: Table, empty: Collection[str] = (), besides: Sequence[str] = ()) -> str:
    """DDL of a table: every column with its type and nullability, those ``besides`` as they are, and the primary key.

    What the dialect says of payloads is left out for columns that will be ``empty``.
    """
    lines = []
    for column in table.columns.values():
        required = "" if column.nullable else " NOT NULL"
        is_wide = column.payload and column.kind.name != "vector" and column.name not in empty
        wide = dialect.payload if is_wide else ""
        lines.append(f"  {dialect.ident(column.name)} {dialect.type_of(column)}{required}{wide}")
    lines += [f"  {column}" for column in besides]
    if dialect.indexes:
        lines.append(f"  PRIMARY KEY ({', '.join(map(dialect.ident, table.key))})")
    return f"CREATE TABLE IF NOT EXISTS {dialect.table(table)} (\n" + ",\n".join(lines) + f"\n){dialect.suffix}"


def create_view(dialect: Dialect, table: Table) -> str:
    """DDL of a reading: a view of the table that it reads."""
    there = dict(table.facts.renames)
    columns = ", ".join(f"{dialect.ident(there.get(name, name))} AS {dialect.ident(name)}" for name in table.columns)
    origin = dialect.table(table_named(str(table.facts.reading_of)))
    return f"{dialect.view} {dialect.table(table)} AS SELECT {columns} FROM {origin}"


def create_indexes(dialect: Dialect, table: Table) -> list[str]:
    """DDL of the indexes that the schema asks for, where the dialect's database gains from them."""
    indexes = [(*index.columns, f"{index.newest} DESC") for index in table.facts.indexes] if dialect.indexes else []
    statements = []
    for columns in indexes:
        name = "_".join([dialect.table_name(table), *(column.split()[0] for column in columns), "idx"]).lower()
        terms = ", ".join(" ".join([dialect.ident(column.split()[0]), *column.split()[1:]]) for column in columns)
        statements.append(f"CREATE INDEX IF NOT EXISTS {dialect.ident(name)} ON {dialect.table(table)} ({terms})")
    return statements


def ddl(dialect: Dialect, table: Table) -> list[str]:
    """Every statement that makes a table, with its indexes; of a reading, its view."""
    if table.facts.reading_of:
        return [create_view(dialect, table)]
    return [create_table(dialect, table), *create_indexes(dialect, table)]


def rows_of(data: pa.Table) -> list[tuple[Any, ...]]:
    """Arrow rows as tuples, for drivers that bind rows."""
    return list(zip(*(column.to_pylist() for column in data.columns), strict=True))
