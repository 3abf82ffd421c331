"""Copies in segments of rows that logs have too, and which of the copies holds.

Asked only for the keys of fresh rows, of which few are sealed: a span whose trace goes on across a seal, an update, a
delete, an import that was repeated. The indexes tell which traces a segment knows, without a query; what it has of
them is read once and remembered, for segments never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.relational import Statement
from colonnade.engine.stores.embedded.fresh import Key
from colonnade.engine.stores.embedded.index import INDEXED, Range, hash_of
from colonnade.engine.stores.embedded.segments import VERSION_COLUMN, Attached, Segments
from colonnade.schemas.table import Table

_ALTERNATIVES: Final = 6
_JOINED: Final = 100_000
"""More rows than this are not looked up one by one: everything from the first to the last is read."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A row of a segment: its key, where it is, how old it is, and whether it is final."""

    file: str
    place: int
    key: Key
    version: int
    final: bool


class Touched(Protocol):
    """Fresh rows, as far as is asked here: what their keys are looked up by; another epoch when that begins anew."""

    @property
    def touched(self) -> Sequence[str]: ...
    @property
    def epoch(self) -> int: ...


class Copies:
    """The copies of fresh rows of one table; kept by whoever holds the fresh rows, under their lock."""

    def __init__(self, table: Table, segments: Segments) -> None:
        self.table = table
        self._segments = segments
        self._epoch = 0
        self._checked: dict[str, int] = {}
        self._hashes: list[int] = []
        self._touched: list[str] = []
        self._known: dict[str, dict[str, list[Copy]]] = {}
        self._overlapping: dict[str, set[str]] = {}

    def of(self, fresh: Touched, attached: Sequence[Attached], only: Iterable[str] | None = None) -> Iterator[Copy]:
        """Every row in these segments of the traces (or with the keys) that were touched; ``only`` some of them."""
        self._follow(fresh)
        files = {each.file for each in attached}
        for file in [file for file in self._checked if file not in files]:
            for kept in (self._checked, self._known, self._overlapping):
                kept.pop(file, None)
        for each in attached:
            if self.table.name in each.segment.rows:
                groups = self._groups(each)
                for group in groups if only is None else groups.intersection(only):
                    yield from self._known[each.file][group]

    def _follow(self, fresh: Touched) -> None:
        """Take in the keys that are new since the last time, by what they are looked up by."""
        if fresh.epoch != self._epoch:
            self._epoch = fresh.epoch
            self._touched, self._hashes = [], []
            self._checked.clear()
            self._overlapping.clear()
        new = fresh.touched[len(self._touched) :]
        self._touched += new
        self._hashes += map(hash_of, new)

    def _groups(self, attached: Attached) -> set[str]:
        """Of what was taken in, that which the segment knows; its rows are read if they were not."""
        found = self._overlapping.setdefault(attached.file, set())
        start = self._checked.get(attached.file, 0)
        if start < len(self._touched):
            known = attached.index.among(self.table.name, INDEXED[self.table.name][0], self._hashes[start:])
            if known:
                found.update(
                    value
                    for value, hash in zip(self._touched[start:], self._hashes[start:], strict=True)
                    if hash in known
                )
            self._checked[attached.file] = len(self._touched)
        read = self._known.setdefault(attached.file, {})
        if missing := [value for value in found if value not in read]:
            read.update({value: [] for value in missing})
            for value, copy in self._read(attached, missing):
                read[value].append(copy)
        return found

    def _read(self, attached: Attached, values: list[str]) -> Iterator[tuple[str, Copy]]:
        table, column = self.table, INDEXED[self.table.name][0]
        final = f"{DUCKDB.ident(table.facts.final)} IS NOT NULL" if table.facts.final else "TRUE"
        chosen = ", ".join(map(DUCKDB.ident, table.key))
        within, wanted = rows_within(attached.index.ranges(table.name, column, values), "wanted")
        found = self._segments.query(
            Statement(
                f"SELECT rowid, {VERSION_COLUMN}, {final}, {chosen} FROM {attached.name}.{DUCKDB.ident(table.name)} "
                f"WHERE {within} AND {DUCKDB.ident(column)} IN (SELECT value FROM candidates)"
            ),
            {
                "candidates": pa.table({"value": pa.array(values, pa.string())}),
                "wanted": pa.table({"place": pa.array(wanted, pa.int64())}),
            },
        )
        for place, version, is_final, *key in zip(*(each.to_pylist() for each in found.columns), strict=True):
            yield key[0], Copy(attached.file, place, key[0] if len(key) == 1 else tuple(key), version, is_final)


def rows_within(ranges: Sequence[Range], wanted: str, place: str = "rowid") -> tuple[str, list[int]]:
    """A condition on row ids, within any of the ranges; and the ids that the relation ``wanted`` must hold for it.

    DuckDB looks at every row for each of the alternatives of an ``OR``, but joins with a relation at little cost.
    """
    if not ranges:
        return "FALSE", []
    if len(ranges) > _ALTERNATIVES:
        if sum(last - first for first, last in ranges) <= _JOINED:
            ids = [each for first, last in ranges for each in range(first, last + 1)]
            return f"{place} IN (SELECT place FROM {wanted})", ids
        ranges = [(ranges[0][0], ranges[-1][1])]
    return f"({' OR '.join(f'{place} BETWEEN {first} AND {last}' for first, last in ranges)})", []


def key_table(table: Table, keys: Sequence[Any]) -> pa.Table:
    """Keys as an Arrow table of the key's columns."""
    columns = [keys] if len(table.key) == 1 else list(zip(*keys, strict=True))
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(table.key, columns, strict=True)})
