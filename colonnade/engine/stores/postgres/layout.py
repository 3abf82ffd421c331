"""How tables lie in a database: as colonnade makes them, or as Mastra made them.

A table of Mastra's is read through a query that gives our columns, which PostgreSQL makes one with the query around it,
and written column by column (``mastra``). All else needs to know neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from colonnade.engine.stores.postgres import wide
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.schemas import VERSION
from colonnade.schemas.table import Table

_AGAIN: Final = 16
"""Puts of many rows after which it is tried again whether they are new."""
MARK: Final = "colonnade"
"""What the comment on a table of ours begins with; the version of its schema follows."""


@dataclass(frozen=True, slots=True)
class Write:
    """A physical column, and what is written there: SQL with gaps named as our columns."""

    column: str
    text: str
    of: tuple[str, ...]
    """The columns of ours that it depends on."""


@dataclass(frozen=True)
class Stored:
    """A table where it lies. ``reads`` has SQL for each column that is not there just so."""

    table: Table
    name: str
    """Quoted, with its schema."""
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: tuple[Write, ...] = ()
    """How it is written; nothing where it is column by column as it is."""
    foreign: frozenset[str] = frozenset()
    """Text columns that the database would compare by its own language."""
    binary: frozenset[str] = frozenset()
    """JSON columns that are kept as ``jsonb``."""
    wide: bool = False
    """Whether its key and indexes are of short texts (``wide``)."""
    absent: bool = False
    """Whether it is not there, in a database whose other tables are, and that we may not change."""

    @cached_property
    def source(self) -> str:
        """What is read from: the table, or a query that gives our columns."""
        if not self.reads:
            return self.name
        ident = POSTGRES.ident
        columns = (f"{self.reads.get(name, ident(name))} AS {ident(name)}" for name in self.table.columns)
        return f"(SELECT {', '.join(columns)} FROM {self.name}) AS {POSTGRES.table(self.table)}"

    @cached_property
    def shortened(self) -> frozenset[str]:
        """The columns whose short texts are indexed."""
        return wide.columns_of(self.table) if self.wide else frozenset()

    def selected(self, name: str) -> str:
        """A column as it is fetched."""
        return f"{POSTGRES.ident(name)}::text" if name in self.binary else POSTGRES.ident(name)

    def json_type(self, name: str) -> str:
        """The type of a JSON column, with which the names of functions begin."""
        return "jsonb" if name in self.binary else "json"

    def written(self, given: Mapping[str, str], partly: bool = False) -> Iterator[tuple[str, str]]:
        """Physical columns with what is written there, from SQL for our columns; of a change, some."""
        ident = POSTGRES.ident
        if not self.writes:
            yield from ((ident(name), text) for name, text in given.items())
            return
        for write in self.writes:
            if not partly or not given.keys().isdisjoint(write.of):
                texts = {name: given.get(name) or self.reads.get(name, ident(name)) for name in write.of}
                yield ident(write.column), write.text.format(**texts)

    def changes(self, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """What is set where a row is changed. Values have a type, for they may stand in an expression."""
        if self.writes:
            kinds = {name: type_of(self.table, name) for name in given}
            given = {name: f"{text}::{kinds[name]}" for name, text in given.items()}
        return self.written(given, partly=True)

    def upsert(self, source: str) -> str:
        """``INSERT`` of what a query gives in our columns, or of ``VALUES``, by the rules of ``Put``."""
        table, ident = self.table, POSTGRES.ident
        if self.writes:
            columns = dict(self.written({name: f"incoming.{ident(name)}" for name in table.columns}))
            names = ", ".join(map(ident, table.columns))
            source = f"SELECT {', '.join(columns.values())} FROM ({source}) AS incoming({names})"
        else:
            columns = {ident(name): name for name in table.columns}
        fixed = self._fixed
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in fixed)
        unless = ""
        if table.facts.final:
            final = ident(table.facts.final)
            unless = f" WHERE stored.{final} IS NULL OR excluded.{final} IS NOT NULL"
        key = wide.terms(table, table.key, wide=self.wide)
        return (
            f"INSERT INTO {self.name} AS stored ({', '.join(columns)}) {source} "
            f"ON CONFLICT ({key}) DO UPDATE SET {changes}{unless}"
        )

    @cached_property
    def single(self) -> str:
        """The statement that puts one row."""
        names = self.table.columns
        gaps = [f"${place}" for place in range(1, len(names) + 1)]
        if self.writes:
            gaps = [f"{gap}::{type_of(self.table, name)}" for gap, name in zip(gaps, names, strict=True)]
        return self.upsert(f"VALUES ({', '.join(gaps)})")

    @cached_property
    def _fixed(self) -> frozenset[str]:
        """Physical columns that keep what they hold when a row is written again."""
        kept = {*self.table.key, *self.table.once}
        if not self.writes:
            return frozenset(map(POSTGRES.ident, kept))
        return frozenset(POSTGRES.ident(write.column) for write in self.writes if kept.issuperset(write.of))


class Layout:
    """All tables of a database, and where pgvector is, if it is there."""

    def __init__(self, stored: Collection[Stored], *, server: int, vectors: str | None = None) -> None:
        self._stored = {each.table.name: each for each in stored}
        self.server = server
        """The version of the server, as a number: 180006."""
        self.vectors = vectors
        """The quoted schema that pgvector is in."""
        self._old: dict[str, int] = {}

    def of(self, table: Table) -> Stored:
        """Where a table lies."""
        return self._stored[table.name]

    def expects_new(self, table: Table) -> bool:
        """Whether rows are likely to be new: the last of a table were, or it is a while ago that they were not."""
        left = self._old.get(table.name, 0)
        self._old[table.name] = max(left - 1, 0)
        return left == 0

    def was_there(self, table: Table) -> None:
        """Rows of a table turned out to be there already."""
        self._old[table.name] = _AGAIN


def own(table: Table, schema: str, name: str) -> Stored:
    """A table as colonnade makes it."""
    return Stored(table, f"{POSTGRES.ident(schema)}.{POSTGRES.ident(name)}")


def type_of(table: Table, name: str) -> str:
    """The type of the values of a column, without how they are compared."""
    return POSTGRES.type_of(table.columns[name]).partition(" COLLATE")[0]


def comment() -> str:
    """What marks a table as ours."""
    return f"{MARK} {VERSION}"


def version_of(said: str | None) -> int | None:
    """The version of the schema that a table was made with; ``None`` where it is not ours."""
    mark, _, version = (said or "").partition(" ")
    return int(version) if mark == MARK and version.isdecimal() else None
