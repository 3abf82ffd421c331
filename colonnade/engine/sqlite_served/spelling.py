"""How these tables are spelled: Mastra's names, times as texts, and texts looked for without a function of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from colonnade.engine.dialect import SQLITE, Dialect
from colonnade.engine.plan import Among, And, Bucket, Contains, Delete, Filter, Is, OneOf, Or, Patch, Scan, Summarize
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.sqlite_served.values import bound, compared
from colonnade.schemas import TABLES
from colonnade.schemas.lookups import lookups
from colonnade.schemas.table import Index, Table
from colonnade.schemas.words import lower, two_cases

_OWN: Final = {"memory_messages": "colonnade_memory_messages"}
"""Names that differ from Mastra's, whose own table of that name holds something else: an index of vectors."""


def named(*kinds: str) -> frozenset[str]:
    """The columns of some kinds. The name is enough to know a column by."""
    tables = TABLES.values()
    return frozenset(each.name for table in tables for each in table.columns.values() if each.kind.name in kinds)


TIMES: Final = named("timestamp")
JSONS: Final = named("json")
"""Columns of JSON, in some table: there are texts of the same names."""
CASES: Final = 60
"""So many letters with two cases, beyond ASCII, are looked for: SQLite nests expressions only so deep."""

_FLAT: Final = 8
"""So many conditions are joined as a chain."""


@dataclass(frozen=True, slots=True)
class ServedDialect(Dialect):
    """SQLite's spelling, with a prefix of all names of tables."""

    prefix: str = ""
    jsonb: str = "json"
    """The function that makes JSON text of binary JSON."""

    def table_name(self, table: Table) -> str:
        """The table's physical name."""
        return self.prefix + _OWN.get(table.name, table.facts.mastra)


def _dialect() -> ServedDialect:
    # ANY: a column of floats would keep a whole one as an integer, which has no -0.0.
    types = {**SQLITE.types, "timestamp": "TEXT", "float": "ANY"}
    own = {"types": types, "mastra_names": True, "contains": None, "bucket": ""}
    return ServedDialect(**{name: getattr(SQLITE, name) for name in Dialect.__dataclass_fields__} | own)


SERVED: Final = _dialect()


def micros(column: str) -> str:
    """Microseconds since the epoch of a column of times."""
    name = SERVED.ident(column)
    seconds = f"CAST(strftime('%s', substr({name}, 1, 19)) AS INTEGER)"
    return f"({seconds} * 1000000 + CAST(substr(rtrim({name}, 'Z') || '000000', 21, 6) AS INTEGER))"


def operand(name: str, jsonb: str = SERVED.jsonb, *, of: str = "") -> str:
    """What of a column is compared, ``of`` a table.

    Mastra's spans have no nanoseconds: theirs are those of their times. Model, tokens and the scope as an object are
    told by what it wrote. Its JSON may be binary (``jsonb(...)``), and the content of old messages is plain text.
    """
    ident = SERVED.ident(name)
    if of == "spans" and (name in _TOLD or name == "instrumentationScope"):
        return _told(name, jsonb)
    if name in TIMES:
        return f"rtrim({ident}, 'Z')"
    if name == "startTime":
        return f"coalesce({ident}, {micros('startedAt')} * 1000)"
    if name == "endTime":
        start = SERVED.ident("startTime")
        return f"CASE WHEN {start} IS NULL THEN {micros('endedAt')} * 1000 ELSE {ident} END"
    if name == "content":
        return _content(_text(ident, jsonb))
    return _text(ident, jsonb) if name in JSONS else ident


_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("provider",),
    "model": ("model",),
    "inputTokens": ("usage.inputTokens", "usage.promptTokens"),
    "outputTokens": ("usage.outputTokens", "usage.completionTokens"),
    "cachedTokens": ("usage.cachedInputTokens", "usage.inputDetails.cacheRead", "usage.promptCacheHitTokens"),
    "reasoningTokens": ("usage.reasoningTokens", "usage.outputDetails.reasoning"),
}
"""Where in a span's ``attributes`` a column is told, as one era of Mastra or another writes it."""


def _told(name: str, jsonb: str) -> str:
    """A column of a span that Mastra has not, told by another one where Mastra wrote the row (without startTime)."""
    ident = SERVED.ident(name)
    source = _text(SERVED.ident("scope" if name == "instrumentationScope" else "attributes"), jsonb)
    if name == "instrumentationScope":
        ident = _text(ident, jsonb)
        found = [f"CASE json_type({source}) WHEN 'object' THEN {source} END"]
    elif name in ("provider", "model"):
        found = [f"CASE json_type({source}, '$.{at}') WHEN 'text' THEN {source} ->> '$.{at}' END" for at in _TOLD[name]]
    else:
        number = "CAST({0} ->> '$.{1}' AS INTEGER)"
        found = [
            f"CASE WHEN json_type({source}, '$.{at}') IN ('integer', 'real') THEN {number.format(source, at)} END"
            for at in _TOLD[name]
        ]
    told = f"coalesce({', '.join(found)})" if len(found) > 1 else found[0]
    theirs = f"{SERVED.ident('startTime')} IS NULL AND json_valid({source})"
    return f"coalesce({ident}, CASE WHEN {theirs} THEN {told} END)"


def _content(text: str) -> str:
    """JSON of a message's content: text that is none is one that was given as such.

    SQLite takes JSON that is nested more than a thousand times for none.
    """
    deep = f"length({text}) >= 2000 AND substr({text}, 1, 1) IN ('{{', '[')"
    return f"CASE WHEN json_valid({text}) OR {deep} THEN {text} ELSE json_quote({text}) END"


def _text(ident: str, jsonb: str) -> str:
    return f"CASE typeof({ident}) WHEN 'blob' THEN {jsonb}({ident}) ELSE {ident} END"


class ServedRenderer(Renderer):
    """Renders one statement."""

    def __init__(self, dialect: ServedDialect) -> None:
        super().__init__(dialect, bound)
        self._jsonb = dialect.jsonb
        self._within = False
        self._of = ""
        """The table that is asked."""

    def bind(self, value: Any) -> str:
        """The placeholder of a value of a statement that is written by hand, and ``done``."""
        return self._bind(value)

    def done(self, sql: str) -> Statement:
        """The statement, with what was bound."""
        return self._done(sql)

    def _select(self, plan: Scan, within: Sequence[str] = ()) -> str:
        before, self._of = self._of, plan.table.name
        try:
            return super()._select(plan, within)
        finally:
            self._of = before

    def summarize(self, plan: Summarize) -> Statement:
        """``SELECT`` with ``GROUP BY``."""
        self._of = plan.table.name
        return super().summarize(plan)

    def patch(self, plan: Patch) -> Statement:
        """``UPDATE``."""
        self._of = plan.table.name
        return super().patch(plan)

    def delete(self, plan: Delete) -> Statement:
        """``DELETE``."""
        self._of = plan.table.name
        return super().delete(plan)

    def _chosen(self, name: str) -> str:
        ident = self._dialect.ident(name)
        # Mastra's scope of a span is JSON; it is not looked into, so that the index of ours serves.
        found = _text(ident, self._jsonb) if name == "scope" else self._operand(name)
        if found == ident or (name in TIMES and not self._within):
            return ident
        return f"{found} AS {ident}"

    def _operand(self, name: str) -> str:
        return operand(name, self._jsonb, of=self._of)

    def _filter(self, filter: Filter) -> str:
        match filter:
            case Is(str(), _, datetime() as moment):
                return super()._filter(replace(filter, value=compared(moment)))
            case OneOf(_, values) if any(isinstance(each, datetime) for each in values):
                return super()._filter(replace(filter, values=tuple(map(compared, values))))
            case And(parts) | Or(parts) if len(parts) > _FLAT:
                # Halves of halves, and no chain: D1 takes expressions that are 100 deep.
                middle = len(parts) // 2
                return super()._filter(type(filter)((type(filter)(parts[:middle]), type(filter)(parts[middle:]))))
            case Contains(name, text):
                return f"instr({self._lowered(name, text)}, {self._bind(lower(text))}) > 0"
            case Among():
                before, self._within = self._within, True
                try:
                    return super()._filter(filter)
                finally:
                    self._within = before
        return super()._filter(filter)

    def _lowered(self, name: str, text: str) -> str:
        """A column with all letters in lower case that have one in the text. SQLite's own knows ASCII only."""
        found = f"lower({self._operand(name)})"
        for upper, small in cases_of(text):
            found = f"replace({found}, char({ord(upper)}), char({ord(small)}))"
        return found

    def _group(self, term: str | Bucket) -> tuple[str, str]:
        if isinstance(term, str):
            return super()._group(term)
        width, at = int(term.width.total_seconds() * 1_000_000), micros(term.column)
        return term.column, f"({at} - ({at} % {width} + {width}) % {width})"


def cases_of(text: str) -> list[tuple[str, str]]:
    """The letters beyond ASCII whose lower case is in a text, each with that."""
    letters = set(lower(text))
    return [(upper, small) for upper, small in _cases() if small in letters]


@cache
def _cases() -> tuple[tuple[str, str], ...]:
    return tuple((upper, small) for upper, small in zip(*two_cases(), strict=True) if not upper.isascii())


def create_table(dialect: ServedDialect, table: Table) -> str:
    """DDL of a table."""
    lines = []
    for column in table.columns.values():
        required = "" if column.nullable else " NOT NULL"
        lines.append(f"  {dialect.ident(column.name)} {dialect.type_of(column)}{required}")
    lines.append(f"  PRIMARY KEY ({', '.join(map(dialect.ident, table.key))})")
    return f"CREATE TABLE IF NOT EXISTS {dialect.table(table)} (\n" + ",\n".join(lines) + f"\n){dialect.suffix}"


def create_indexes(dialect: ServedDialect, table: Table) -> list[str]:
    """DDL of the indexes that the schema asks for: of times as they are compared."""
    return [_create_index(dialect, table, index) for index in lookups(table)]


def _create_index(dialect: ServedDialect, table: Table, index: Index) -> str:
    name = "_".join([dialect.table_name(table), *index.columns, index.newest, "idx"]).lower()
    terms = ", ".join([*map(dialect.ident, index.columns), f"{operand(index.newest)} DESC"])
    return f"CREATE INDEX IF NOT EXISTS {dialect.ident(name)} ON {dialect.table(table)} ({terms})"


def key_index(dialect: ServedDialect, table: Table) -> str:
    """DDL that has a table of somebody else know its rows by the key."""
    name = f"{dialect.table_name(table)}_colonnade_key"
    columns = ", ".join(map(dialect.ident, table.key))
    return f"CREATE UNIQUE INDEX IF NOT EXISTS {dialect.ident(name)} ON {dialect.table(table)} ({columns})"


def prefixed(prefix: str) -> ServedDialect:
    """The dialect, with a prefix of the names of tables."""
    return replace(SERVED, prefix=prefix)
