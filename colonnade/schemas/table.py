"""``table()`` builds a schema; ``Table`` is the view of it that the rest of the house works with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any, Final

import pyarrow as pa

from colonnade.errors import InvalidInput
from colonnade.schemas.kinds import Column
from colonnade.schemas.values import speller

_TABLE: Final = b"colonnade.table"


@dataclass(frozen=True, slots=True)
class Index:
    """A look-up that every store must serve quickly: equal on ``column``, newest ``newest`` first."""

    columns: tuple[str, ...]
    newest: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a schema's metadata says of its table."""

    name: str
    domain: str
    record: str
    mastra: str
    description: str
    key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    final: str | None = None
    reading_of: str | None = None
    renames: tuple[tuple[str, str], ...] = ()


class Table:
    """A frozen view of an Arrow schema. It keeps nothing but the schema, so ``Table(schema)`` is the table again."""

    def __init__(self, schema: pa.Schema) -> None:
        if _TABLE not in (schema.metadata or {}):
            raise ValueError("this Arrow schema was not made by table(): its metadata names no colonnade table")
        self.schema = schema

    @cached_property
    def facts(self) -> Facts:
        """Name, domain, key, indexes and physical names, read from the schema's metadata."""
        said = json.loads(self.schema.metadata[_TABLE])
        said["key"] = tuple(said["key"])
        said["indexes"] = tuple(Index(tuple(columns), newest) for columns, newest in said["indexes"])
        said["renames"] = tuple((here, there) for here, there in said["renames"])
        return Facts(**said)

    @cached_property
    def name(self) -> str:
        """The logical name: what DuckDB, SQL users and exports call it."""
        return self.facts.name

    @cached_property
    def domain(self) -> str:
        """The domain that keeps it: memory, workflows, scores, observability or agents."""
        return self.facts.domain

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return self.facts.key

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Every column by name, in order."""
        return {declared.name: Column.of(declared) for declared in self.schema}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(self.columns)

    @cached_property
    def by_api(self) -> Mapping[str, Column]:
        """Every column by the name that records give it (``threadId`` for ``thread_id``)."""
        return {column.api: column for column in self.columns.values()}

    @cached_property
    def once(self) -> tuple[str, ...]:
        """Columns that keep their first value when a row is written again."""
        return tuple(column.name for column in self.columns.values() if column.once)

    @cached_property
    def guarded(self) -> frozenset[str]:
        """Columns that cannot be set to just any value of their kind where a row is changed."""
        vectors = [column.name for column in self.columns.values() if column.kind.name == "vector"]
        return frozenset([*self.key, *self.once, *vectors, *([self.facts.final] if self.facts.final else [])])

    @cached_property
    def light(self) -> tuple[str, ...]:
        """All columns but the wide ones: what lists and trees read."""
        return tuple(column.name for column in self.columns.values() if not column.payload)

    @cached_property
    def spellers(self) -> Mapping[str, Callable[[Any], Any]]:
        """What checks one non-null value of a column and gives it in stored form, by the column's name."""
        return {column.name: speller(column) for column in self.columns.values()}

    def schema_of(self, columns: tuple[str, ...]) -> pa.Schema:
        """The Arrow schema of some of its columns, in the order given."""
        return _chosen(self, columns)

    def column(self, name: str) -> Column:
        """The column of that name; ``InvalidInput`` that names the nearest one where there is none."""
        try:
            return self.columns[name]
        except KeyError:
            raise InvalidInput(unknown_column(name, self.name, self.columns)) from None

    def __repr__(self) -> str:
        return f"Table({self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.schema.equals(other.schema, check_metadata=True)

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=256)
def _chosen(table: Table, columns: tuple[str, ...]) -> pa.Schema:
    return pa.schema([table.schema.field(name) for name in columns], table.schema.metadata)


def unknown_column(name: str, table: str, known: Mapping[str, object]) -> str:
    """The sentence for a column that is not there: it offers the nearest name, or lists all."""
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    offer = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
    return f"{table} has no column {name!r}; {offer}"


def table(
    name: str,
    fields: Sequence[pa.Field],
    *,
    domain: str,
    record: str,
    mastra: str,
    description: str,
    key: Sequence[str],
    indexes: Sequence[Index] = (),
    final: str | None = None,
    reading_of: str | None = None,
    renames: Mapping[str, str] | None = None,
) -> Table:
    """Build a table from its fields.

    ``mastra`` is the physical name in server databases, ``record`` the name of its TypedDict. ``final`` names a column
    that ends a row's life: a row where it is set is never replaced by one where it is null. ``reading_of`` and
    ``renames`` (here -> there) make the table a reading of another: nothing is stored under its own name.
    """
    names = [declared.name for declared in fields]
    mentioned = [*key, *(column for index in indexes for column in (*index.columns, index.newest))]
    if missing := sorted({column for column in mentioned if column not in names}):
        raise ValueError(f"{name}: no such column: {', '.join(missing)}")
    facts = {
        "name": name,
        "domain": domain,
        "record": record,
        "mastra": mastra,
        "description": description,
        "key": list(key),
        "indexes": [[list(index.columns), index.newest] for index in indexes],
        "final": final,
        "reading_of": reading_of,
        "renames": list((renames or {}).items()),
    }
    return Table(pa.schema(fields, metadata={_TABLE: json.dumps(facts)}))
