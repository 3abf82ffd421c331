"""The closed vocabulary of column kinds, and how a column is declared.

A kind is what every store must be able to spell. Arrow types are the physical reading of a kind; the kind itself
travels in the field's metadata, so that a schema read back from IPC, Parquet or Lance still knows it.

JSON is kept as utf8 text and not as the ``arrow.json`` extension type, and a uuid as its canonical text and not as
``arrow.uuid``: extension types would surface as extension dtypes in Polars and pandas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

_KIND: Final = b"colonnade.kind"
_DESCRIPTION: Final = b"description"
_API: Final = b"colonnade.api"
_IDENTIFIER: Final = b"colonnade.identifier"
_ONCE: Final = b"colonnade.once"
_PAYLOAD: Final = b"colonnade.payload"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of column: its name, the Arrow type that carries it, and (for vectors) its number of dimensions."""

    name: str
    arrow: pa.DataType
    size: int | None = None

    def __str__(self) -> str:
        return self.name if self.size is None else f"{self.name}[{self.size}]"


TEXT: Final = Kind("text", pa.string())
UUID: Final = Kind("uuid", pa.string())
JSON: Final = Kind("json", pa.string())
INTEGER: Final = Kind("integer", pa.int32())
BIGINT: Final = Kind("bigint", pa.int64())
FLOAT: Final = Kind("float", pa.float64())
BOOLEAN: Final = Kind("boolean", pa.bool_())
TIMESTAMP: Final = Kind("timestamp", pa.timestamp("us", tz="UTC"))
BINARY: Final = Kind("binary", pa.binary())

VECTOR: Final = Kind("vector", pa.list_(pa.field("element", pa.float32())))
"""A vector of any number of dimensions; the rows of one column may differ."""

SCALARS: Final = (TEXT, UUID, JSON, INTEGER, BIGINT, FLOAT, BOOLEAN, TIMESTAMP, BINARY)
NUMERIC: Final = frozenset({"integer", "bigint", "float"})
WHOLE: Final = frozenset({"integer", "bigint"})


def vector(size: int) -> Kind:
    """A vector of ``size`` float32 values, one dimension of an embedding each."""
    if size < 1:
        raise ValueError(f"a vector has at least one dimension, not {size}")
    # "element" is what Parquet calls the items, whatever they were called before.
    return Kind("vector", pa.list_(pa.field("element", pa.float32()), size), size)


def kind_named(name: str) -> Kind:
    """The kind with that name, as ``str(kind)`` writes it: ``text``, ``json``, ``vector[384]`` ..."""
    for kind in (*SCALARS, VECTOR):
        if kind.name == name:
            return kind
    if match := re.fullmatch(r"vector\[(\d+)\]", name):
        return vector(int(match[1]))
    known = ", ".join(kind.name for kind in (*SCALARS, VECTOR))
    raise ValueError(f"{name!r} is no kind of column; the kinds are {known}, vector[n]")


def field(
    name: str,
    kind: Kind,
    description: str,
    *,
    nullable: bool = False,
    api: str | None = None,
    identifier: bool = False,
    once: bool = False,
    payload: bool = False,
) -> pa.Field:
    """Declare a column.

    ``api`` is the record's field name where it differs from the column's. An ``identifier`` is strict: no NUL, no lone
    surrogate. A column written ``once`` keeps its first value when the row is written again. A ``payload`` column may
    be megabytes wide and is left out of light reads.
    """
    metadata = {_KIND: str(kind), _DESCRIPTION: description}
    if api is not None:
        metadata[_API] = api
    for flag, key in ((identifier, _IDENTIFIER), (once, _ONCE), (payload, _PAYLOAD)):
        if flag:
            metadata[key] = "true"
    return pa.field(name, kind.arrow, nullable=nullable, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as colonnade sees it: a reading of one Arrow field."""

    name: str
    api: str
    kind: Kind
    nullable: bool
    description: str
    identifier: bool
    once: bool
    payload: bool

    @classmethod
    def of(cls, declared: pa.Field) -> Column:
        """Read a column back from an Arrow field that ``field()`` made."""
        metadata = declared.metadata or {}
        if _KIND not in metadata:
            raise ValueError(f"column {declared.name!r} does not say its kind; declare it with field()")
        return cls(
            name=declared.name,
            api=metadata.get(_API, declared.name.encode()).decode(),
            kind=kind_named(metadata[_KIND].decode()),
            nullable=declared.nullable,
            description=metadata.get(_DESCRIPTION, b"").decode(),
            identifier=_IDENTIFIER in metadata,
            once=_ONCE in metadata,
            payload=_PAYLOAD in metadata,
        )
