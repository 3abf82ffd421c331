"""How rows lie in Redis: a hash a row, and sorted sets that give rows in the order of time.

``{prefix}thread:{id}`` is the hash of a thread, a field a column, nulls left out; ``{prefix}message:{id}`` that of a
message, ``{prefix}metadata:{id}`` what is kept of a resource: the keys of the source documents. A key of two columns is
joined by NUL, which no identifier holds. ``{prefix}index:messages`` has the keys of all messages, scored by the time
that orders them, and ``{prefix}index:messages:thread_id:{value}`` those of a thread.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from colonnade.schemas import TABLES
from colonnade.schemas.few import FewRows
from colonnade.schemas.moments import micros_of
from colonnade.schemas.table import Table

ENTITIES: Final = {
    "threads": "thread",
    "messages": "message",
    "resources": "metadata",
    "memory_messages": "vector",
    "workflows": "workflow",
    "evals": "eval",
    "scores": "score",
    "spans": "span",
    "agents": "agent",
}
"""What the key of a row begins with, by table."""

NULLS: Final = {"spans": ("parentSpanId",)}
"""Indexed columns whose nulls are indexed too: the roots of traces."""

_MORE: Final = {"messages": (("resourceId",),), "scores": (("entityId",),)}
"""Indexes for lists of the storage API which the schema has none for."""

LARGEST: Final = 2**53
"""Scores are doubles: microseconds are exact up to here, which is in the year 2255. What lies beyond is cut to it."""


@lru_cache(maxsize=32)
def indexes(table: Table) -> tuple[tuple[str, ...], ...]:
    """The columns of each sorted set of a table, but for that of all rows: each index and what it begins with."""
    declared = [index.columns[:width] for index in table.facts.indexes for width in range(1, len(index.columns) + 1)]
    return tuple(dict.fromkeys((*declared, *_MORE.get(table.name, ()))))


def time_column(table: Table) -> str:
    """The column that all sorted sets of a table are scored by."""
    return table.facts.indexes[0].newest if table.facts.indexes else "createdAt"


def set_name(table: Table, columns: Sequence[str] = (), values: Sequence[str] | None = ()) -> str:
    """The key, without the prefix, of the set of rows with these values; of nulls where ``values`` is None."""
    named = f"index:{table.name}"
    if not columns:
        return named
    named += ":" + ",".join(columns)
    return named if values is None else f"{named}:" + "\0".join(values)


def member(values: Sequence[Any]) -> str:
    """A row's key as sets hold it. It sorts as the columns do, byte by byte, which is by code point."""
    return "\0".join(values)


@lru_cache(maxsize=32)
def facts(table: Table) -> Mapping[str, Any]:
    """What scripts are told of a table."""
    named = indexes(table)
    watched = {column for columns in named for column in columns} | set(table.once) | {table.facts.final or ""}
    return {
        "row": ENTITIES[table.name] + ":",
        "all": set_name(table),
        "sets": [{"name": set_name(table, columns), "columns": columns} for columns in named],
        "nulls": [{"name": set_name(table, (column,), None), "column": column} for column in NULLS.get(table.name, ())],
        "watched": sorted(watched - {""}),
        "once": list(table.once),
        "final": table.facts.final or "",
        "time": time_column(table),
    }


def score(moment: datetime) -> int:
    """Where a moment is in a sorted set."""
    return max(-LARGEST, min(LARGEST, micros_of(moment)))


def _moment(value: datetime) -> str:
    # Always of one width, so that texts sort as moments do.
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _vector(value: Sequence[float]) -> str:
    return base64.b64encode(array("f", value).tobytes()).decode()


def _numbers(text: str) -> list[float]:
    return array("f", base64.b64decode(text)).tolist()


_WRITE: Final[Mapping[str, Callable[[Any], str]]] = {
    "integer": str,
    "bigint": str,
    "float": repr,
    "boolean": lambda value: "true" if value else "false",
    "timestamp": _moment,
    "binary": lambda value: base64.b64encode(value).decode(),
    "vector": _vector,
}
"""The text of a value, by kind; what is not here is text already."""

_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "integer": int,
    "bigint": int,
    "float": float,
    "boolean": lambda text: text == "true",
    "timestamp": datetime.fromisoformat,
    "binary": base64.b64decode,
    "vector": _numbers,
}


def write(table: Table, column: str, value: Any) -> str | None:
    """The text of a value; null stays null."""
    if value is None:
        return None
    kind = table.columns[column].kind.name
    return _WRITE[kind](value) if kind in _WRITE else value


def written(table: Table, data: pa.Table | FewRows) -> list[list[str | None]]:
    """Rows as texts."""
    if isinstance(data, FewRows):
        names, columns = data.names, [list(values) for values in zip(*data.rows, strict=True)]
    else:
        names, columns = tuple(data.column_names), [column.to_pylist() for column in data.columns]
    texts = []
    for name, values in zip(names, columns, strict=True):
        spell = _WRITE.get(table.columns[name].kind.name)
        texts.append(values if spell is None else [None if value is None else spell(value) for value in values])
    return [list(row) for row in zip(*texts, strict=True)]


def read(table: Table, names: tuple[str, ...], rows: Sequence[Sequence[str | None]]) -> FewRows:
    """Rows of texts as rows of a table."""
    if not rows:
        return FewRows(table, names, [])
    columns: list[Sequence[Any]] = []
    for name, texts in zip(names, zip(*rows, strict=True), strict=True):
        reader = _READ.get(table.columns[name].kind.name)
        columns.append(texts if reader is None else [None if text is None else reader(text) for text in texts])
    return FewRows(table, names, list(zip(*columns, strict=True)))


assert set(ENTITIES) == {name for name, table in TABLES.items() if not table.facts.reading_of}
