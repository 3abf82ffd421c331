"""Tables that Mastra made: how they are read as ours, and written so that Mastra reads on.

Its columns are of other types: JSON is ``jsonb``, or text in older databases; a time is a ``timestamp`` in UTC, and
beside it in a shadow ``...Z`` a ``timestamptz``, which is the one that it reads; ``scope`` is an object. What it has no
column for is added as a column that may be null. What is null there because Mastra wrote the row follows from what
Mastra did write, where it can: exact times from times, model and tokens of a call from its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from colonnade.engine.stores.postgres.layout import Stored, Write, type_of, version_of
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table

_TEXTS: Final = ("text", "character varying")
_NAIVE: Final = "timestamp without time zone"
_AWARE: Final = "timestamp with time zone"
_IS_JSON: Final = 160_000
"""The version of the server that can tell JSON from other text."""
_DEFAULTS: Final[Mapping[str, str]] = {
    "text": "''",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
    "json": "'null'",
    "integer": "0",
    "bigint": "0",
    "float": "0",
    "boolean": "false",
    "timestamp": "'1970-01-01 00:00:00+00'",
    "binary": "''",
    "vector": "'{}'",
}
"""What stands where there is nothing and must be something."""


@dataclass(frozen=True, slots=True)
class Physical:
    """A column as the catalog has it."""

    kind: str
    required: bool
    collation: str | None


@dataclass
class Found:
    """A table as the catalog has it."""

    comment: str | None
    server: int
    columns: dict[str, Physical] = field(default_factory=dict)
    unique: set[frozenset[str]] = field(default_factory=set)

    @property
    def version(self) -> int | None:
        """The version of the schema that it was made with; ``None`` where it is not ours."""
        return version_of(self.comment)


def is_known(table: Table, there: Found) -> bool:
    """Whether a table that is not ours is what Mastra makes under this name: most of its columns are known."""
    known = [name for name in there.columns if name in table.columns or _is_shadow(table, name, there)]
    return 2 * len(known) > len(there.columns) and len(known) > 2


def is_told(table: Table, name: str, there: Found) -> bool:
    """Whether a column of ours needs none of its own, for another one tells it."""
    return table.name == "spans" and name == "instrumentationScope" and _has_scopes(there)


def added(table: Table, name: str, there: Found) -> str:
    """DDL of a column that a table does not have."""
    text = f"{POSTGRES.ident(name)} {POSTGRES.type_of(table.columns[name])}"
    if name in table.key and there.version is None:  # rows that are there get identifiers of their own
        text += " NOT NULL DEFAULT gen_random_uuid()::text"
    return text


def stored(own: Stored, there: Found) -> Stored:
    """How a table of Mastra's is read and written."""
    table = own.table
    reads = {name: _read(table, column, there) for name, column in table.columns.items()}
    reads |= _derived(table, reads, there)
    plain = {name: text for name, text in reads.items() if text != POSTGRES.ident(name)}
    kinds = {name: there.columns[name] for name in table.columns if name in there.columns}
    return replace(
        own,
        reads=plain or {table.key[0]: POSTGRES.ident(table.key[0])},
        writes=tuple(_writes(table, there)),
        foreign=frozenset(name for name, each in kinds.items() if each.collation != "C" and _is_text(table, name)),
        binary=frozenset(name for name in table.columns if _is_binary(table, name, there)),
    )


def _is_text(table: Table, name: str) -> bool:
    return table.columns[name].kind.name in ("text", "uuid")


def _is_shadow(table: Table, name: str, there: Found) -> bool:
    base = name[:-1]
    shadow = there.columns.get(name)
    return shadow is not None and name.endswith("Z") and base in table.columns and shadow.kind == _AWARE


def _has_scopes(there: Found) -> bool:
    return "scope" in there.columns and there.columns["scope"].kind == "jsonb"


def _is_binary(table: Table, name: str, there: Found) -> bool:
    if is_told(table, name, there):
        return True
    return table.columns[name].kind.name == "json" and name in there.columns and there.columns[name].kind == "jsonb"


def _read(table: Table, column: Column, there: Found) -> str:
    """SQL that gives one of our columns, as the type that we keep it in."""
    name, kind = column.name, column.kind.name
    physical = there.columns.get(name)
    if table.name == "spans" and _has_scopes(there) and name in ("scope", "instrumentationScope"):
        text = 'CASE jsonb_typeof("scope") WHEN \'object\' THEN "scope"'
        if name != "scope":
            return f"{text} END"
        called = """jsonb_path_query_first("scope", '$.name ? (@.type() == "string")') #>> '{}'"""
        return f"CASE jsonb_typeof(\"scope\") WHEN 'object' THEN {called} WHEN 'string' THEN \"scope\" #>> '{{}}' END"
    if physical is None:
        text = f"NULL::{type_of(table, name)}"
        return text if column.nullable else f"coalesce({text}, {_DEFAULTS[kind]})"
    text = _converted(POSTGRES.ident(name), kind, physical.kind, there.server)
    if kind == "timestamp" and _is_shadow(table, f"{name}Z", there):
        text = f"coalesce({POSTGRES.ident(f'{name}Z')}, {text})"
        if column.nullable:  # a shadow may have been given the time by default
            text = f"CASE WHEN {POSTGRES.ident(name)} IS NOT NULL THEN {text} END"
    if column.nullable and physical.required and kind == "json" and physical.kind == "jsonb":
        return f"nullif({text}, 'null'::jsonb)"
    if not column.nullable and not physical.required and name not in table.key:
        return f"coalesce({text}, {_DEFAULTS[kind]})"
    return text


def _converted(text: str, kind: str, physical: str, server: int) -> str:
    """A physical column as the type that ours has."""
    match kind:
        case "timestamp":
            return f"({text} AT TIME ZONE 'UTC')" if physical == _NAIVE else text
        case "json" if physical in _TEXTS:
            # What was written before there was a format of messages is text, and no JSON.
            is_json = f"{text} IS JSON" if server >= _IS_JSON else f"{text} ~ '^\\s*[[{{]'"
            return f"CASE WHEN {is_json} THEN {text}::json ELSE to_json({text}) END"
        case "json":
            return text
        case "text" | "uuid":
            return text if physical in _TEXTS else f"{text}::text"
    wanted = POSTGRES.types[kind].partition("(")[0]
    return text if physical == wanted else f"{text}::{wanted}"


def _derived(table: Table, reads: Mapping[str, str], there: Found) -> dict[str, str]:
    """Columns of spans that Mastra does not have, told by others, in rows that it wrote (without startTime)."""
    if table.name != "spans":
        return {}
    told = {}
    for exact, moment in (("startTime", "startedAt"), ("endTime", "endedAt")):
        within = f"{reads[moment]} BETWEEN '1678-01-01' AND '2262-01-01'"  # that many nanoseconds are 64 bits
        told[exact] = f"CASE WHEN {within} THEN (extract(epoch FROM {reads[moment]}) * 1000000)::bigint * 1000 END"
    told["startTime"] = f"coalesce({told['startTime']}, 0)"
    if "attributes" in there.columns and there.columns["attributes"].kind == "jsonb":
        told |= {name: f"\"attributes\" ->> '{name}'" for name in ("provider", "model")}
        for name, paths in _TOKENS.items():
            told[name] = f"coalesce({', '.join(map(_number, paths))})"
    if "startTime" not in there.columns:
        return told
    return {  # what has been written here since counts
        name: f'coalesce({POSTGRES.ident(name)}, CASE WHEN "startTime" IS NULL THEN {text} END)'
        for name, text in told.items()
        if name in there.columns
    }


_TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "inputTokens": ("inputTokens", "promptTokens"),
    "outputTokens": ("outputTokens", "completionTokens"),
    "cachedTokens": ("cachedInputTokens", "inputDetails,cacheRead", "promptCacheHitTokens"),
    "reasoningTokens": ("reasoningTokens", "outputDetails,reasoning"),
}
"""Where in ``attributes.usage`` a number of tokens is, as one era of Mastra or another writes it."""


def _number(path: str) -> str:
    place = f"'{{usage,{path}}}'"
    number = f'trunc(("attributes" #>> {place})::numeric)::bigint'
    return f"CASE jsonb_typeof(\"attributes\" #> {place}) WHEN 'number' THEN {number} END"


def _writes(table: Table, there: Found) -> Iterator[Write]:
    for name, physical in there.columns.items():
        if name in table.columns:
            if table.name == "spans" and name == "scope" and physical.kind == "jsonb":
                either = "coalesce({instrumentationScope}::jsonb, to_jsonb({scope}::text))"
                yield Write(name, either, ("scope", "instrumentationScope"))
                continue
            column = table.columns[name]
            text = _written(column.kind.name, physical.kind).format(value=f"{{{name}}}")
            if physical.required and column.nullable:
                text = f"coalesce({text}, {_DEFAULTS[column.kind.name]})"
            yield Write(name, text, (name,))
        elif _is_shadow(table, name, there):
            yield Write(name, f"{{{name[:-1]}}}", (name[:-1],))


def _written(kind: str, physical: str) -> str:
    match kind:
        case "timestamp" if physical == _NAIVE:
            return "{value} AT TIME ZONE 'UTC'"
        case "timestamp":
            return "{value}"
        case "json" if physical in _TEXTS:
            return "{value}::text"
        case "text" if physical in _TEXTS:
            return "{value}"
    return "{value}::" + physical
