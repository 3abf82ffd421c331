"""Indexes: those that every store needs, under the names of the source documents, and the ones that a user wants.

Names, methods and the like become text of a statement. So do expressions, conditions and operator classes, which come
from whoever configures the store, as the rest of its schema does, and never from data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, Final

from colonnade.engine.stores.postgres import wide as widths
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.errors import InvalidInput
from colonnade.schemas import STORED, table_named
from colonnade.schemas.lookups import lookups
from colonnade.schemas.table import Table

METHODS: Final = ("btree", "hash", "gin", "gist", "spgist", "brin")
_LONGEST: Final = 63
"""Bytes of a name, of which PostgreSQL would silently cut off the rest."""
_WORD: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_TURN: Final = r"((?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?)"
_COLUMN: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|\"[^\"]+\")" + _TURN, re.I)
_EXPRESSION: Final = re.compile(r"(.+?)" + _TURN, re.I | re.S)
_NAMES: Final[Mapping[tuple[str, tuple[str, ...]], str]] = {
    ("scores", ("traceId", "spanId", "createdAt")): "mastra_scores_trace_id_span_id_created_at_idx",
}
"""Where the source documents call an index otherwise than by its table and columns."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a user wants, as the source documents describe it.

    ``columns`` are names of columns, with ``DESC`` or not, and expressions such as ``metadata->>'type'``. ``storage``
    has parameters such as ``fillfactor``. It is made without keeping anybody from writing, unless ``concurrent=False``.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    unique: bool = False
    where: str | None = None
    method: str = "btree"
    opclass: str | None = None
    storage: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tablespace: str | None = None
    concurrent: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or {'"', "\0"} & set(self.name):
            raise InvalidInput(f"{self.name!r:.80} is no name of an index")
        if (
            isinstance(self.columns, str)
            or not self.columns
            or not all(isinstance(e, str) and e.strip() for e in self.columns)
        ):
            raise InvalidInput(
                f"index {self.name}: columns is a list of columns and expressions, not {self.columns!r:.80}"
            )
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.method not in METHODS:
            raise InvalidInput(
                f"index {self.name}: {self.method!r:.40} is no method; it is one of {', '.join(METHODS)}"
            )
        if self.unique and self.method != "btree":
            raise InvalidInput(f"index {self.name}: only a btree index can be unique, not {self.method}")
        for name in self.storage:
            if not _WORD.fullmatch(str(name)):
                raise InvalidInput(f"index {self.name}: {name!r:.40} is no storage parameter; fillfactor is one")
        for value in (self.opclass, self.tablespace):
            if value is not None and {'"', "\0", ";"} & set(value):
                raise InvalidInput(f"index {self.name}: {value!r:.40} is no name")
        table_of(self)


def index_of(given: Index | Mapping[str, Any]) -> Index:
    """An index, from a mapping with its options."""
    if isinstance(given, Index):
        return given
    known = [each.name for each in fields(Index)]
    if not isinstance(given, Mapping) or not {"name", "table", "columns"} <= given.keys():
        raise InvalidInput(f"an index has a name, a table and columns, unlike {given!r:.120}")
    if unknown := [name for name in given if name not in known]:
        raise InvalidInput(
            f"index {given['name']!r:.60} knows no {', '.join(map(repr, unknown))}, only {', '.join(known)}"
        )
    return Index(**given)


@dataclass(frozen=True, slots=True)
class Made:
    """An index as it is made: its physical name and the DDL, with a gap for ``CONCURRENTLY``."""

    name: str
    text: str
    concurrent: bool = True

    def ddl(self, *, concurrently: bool) -> str:
        """The statement that makes it."""
        return self.text.format(concurrently=" CONCURRENTLY" if concurrently else "")


def default(table: Table, schema: str, physical: str, *, wide: bool = False) -> list[Made]:
    """The indexes that the schema of a table asks for, which has this name."""
    made = []
    for index in lookups(table):
        columns = (*index.columns, index.newest)
        name = _NAMES.get((table.name, columns)) or "_".join([physical, *columns, "idx"]).lower()
        leads = [_braced(widths.terms(table, index.columns, wide=wide))] if index.columns else []
        terms = ", ".join([*leads, f"{POSTGRES.ident(index.newest)} DESC"])
        text = f"CREATE INDEX{{concurrently}} IF NOT EXISTS {{name}} ON {_on(physical, schema)} ({terms})"
        made.append(_made(name, schema, text))
    return made


def custom(index: Index, schema: str) -> Made:
    """An index that a user wants."""
    table = table_of(index)
    opclass = f" {index.opclass}" if index.opclass else ""
    terms = ", ".join(_term(column, table, index, opclass) for column in index.columns)
    text = f"CREATE{' UNIQUE' if index.unique else ''} INDEX{{concurrently}} IF NOT EXISTS {{name}}"
    text += f" ON {_on(POSTGRES.table_name(table), schema)} USING {index.method} ({_braced(terms)})"
    if index.storage:
        stored = ", ".join(f"{name} = {_setting(value)}" for name, value in index.storage.items())
        text += f" WITH ({_braced(stored)})"
    if index.tablespace:
        text += f" TABLESPACE {_braced(POSTGRES.ident(index.tablespace))}"
    if index.where:
        text += f" WHERE {_braced(_quoted(index.where, table))}"
    return _made(index.name, schema, text, index.concurrent)


def _made(name: str, schema: str, text: str, concurrent: bool = True) -> Made:
    full = physical_name(name, schema)
    return Made(full, text.replace("{name}", _braced(POSTGRES.ident(full))), concurrent)


def physical_name(name: str, schema: str) -> str:
    """The name of an index in a schema: with the schema's before it, unless that is the usual one."""
    full = name if schema == "public" else f"{schema}_{name}"
    if len(full.encode()) <= _LONGEST:
        return full
    digest = sha256(full.encode()).hexdigest()[:8]
    return full.encode()[: _LONGEST - 9].decode(errors="ignore") + "_" + digest


def table_of(index: Index) -> Table:
    """The table of an index; ``InvalidInput`` where there is none of that name."""
    try:
        found = table_named(index.table)
    except InvalidInput as error:
        raise InvalidInput(f"index {index.name}: {error}") from None
    if found not in STORED:
        raise InvalidInput(f"index {index.name}: {found.name} is a reading of {found.facts.reading_of}: index that")
    return found


def _on(name: str, schema: str) -> str:
    return _braced(f"{POSTGRES.ident(schema)}.{POSTGRES.ident(name)}")


def _term(text: str, table: Table, index: Index, opclass: str) -> str:
    """A column by its name, or an expression; a name that is no column is a key of the metadata."""
    plain = _COLUMN.fullmatch(text.strip())
    if plain is None:
        said = _EXPRESSION.fullmatch(text.strip())
        assert said is not None  # it is not empty
        return f"({_quoted(said[1], table)}){opclass}{said[2]}"
    name, direction = plain[1].strip('"'), plain[2]
    if name not in table.columns:
        return f"({_metadata(table, index)} ->> '{_word(name, index)}'){opclass}{direction}"
    column = POSTGRES.ident(name)
    if index.method == "gin" and table.columns[name].kind.name == "json":
        column = f"({column}::jsonb)"  # json itself has no operators that an index could serve
    return f"{column}{opclass}{direction}"


def _metadata(table: Table, index: Index) -> str:
    """Where the metadata of a row is; that of a message is in its content."""
    if table.name == "messages":
        return "\"content\" -> 'metadata'"
    if "metadata" not in table.columns:
        raise InvalidInput(f"index {index.name}: {table.name} has none of these columns: {', '.join(index.columns)}")
    return '"metadata"'


def _word(name: str, index: Index) -> str:
    if not _WORD.fullmatch(name):
        raise InvalidInput(f"index {index.name}: {name!r:.60} is neither a column nor a plain key of metadata")
    return name


def _quoted(expression: str, table: Table) -> str:
    """An expression whose columns are in quotation marks: SQL would read their capitals as small letters."""
    parts = re.split(r"('(?:[^']|'')*'|\"[^\"]*\")", expression)
    capitals = [name for name in table.columns if name != name.lower()]
    for place in range(0, len(parts), 2):
        for name in capitals:
            parts[place] = re.sub(rf"\b{name}\b", POSTGRES.ident(name), parts[place])
        if table.name == "messages":
            parts[place] = re.sub(r"\bmetadata\b(?=\s*->)", "\"content\" -> 'metadata'", parts[place])
    return "".join(parts)


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float) or (isinstance(value, str) and _WORD.fullmatch(value)):
        return str(value)
    raise InvalidInput(f"{value!r:.60} is no value of a storage parameter: give a number, a word, or True or False")


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
