"""Settling what logs say of a table: of each key the row that holds, and what is removed.

It is done in Arrow, not row by row in Python: the agent in this process goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.stores.embedded.fresh import Key, keys_of
from colonnade.engine.stores.embedded.log import Change, Commit, Verb
from colonnade.engine.stores.embedded.segments import VERSION_COLUMN, segment_schema
from colonnade.schemas.table import Table

_ORDINALS: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows of one table after all commits of some logs: each once, with ``_version``; and what was removed."""

    table: Table
    rows: pa.Table
    deleted: dict[Key, int]
    cleared: int
    epoch: int = 1

    @classmethod
    def of(cls, table: Table, commits: Iterable[Commit], elsewhere: Callable[[], Removals]) -> Settled:
        """Settle commits, which come in the order of their versions.

        ``elsewhere`` tells what other logs remove. It is asked only where a running row is later than the final one
        that beats it: a delete between the two would spare it.
        """
        removals = Removals()
        batches: list[pa.RecordBatch] = []
        versions: list[pa.Array] = []
        for commit in commits:
            for change in commit.changes:
                if change.table.name == table.name and change.verb == Verb.PUT and change.rows is not None:
                    batches.append(change.rows)
                    versions.append(pa.repeat(pa.scalar(commit.version, pa.int64()), change.rows.num_rows))
                elif change.table.name == table.name:
                    removals.take(commit.version, change)
        schema = segment_schema(table)
        rows = pa.Table.from_batches(batches, table.schema)
        rows = rows.append_column(schema.field(VERSION_COLUMN), pa.chunked_array(versions, pa.int64()))
        rows = removals.spare(table, rows)
        newest, is_sure = _newest(table, rows)
        if not is_sure:
            newest, _ = _newest(table, elsewhere().spare(table, rows))
        return cls(table, newest, removals.deleted.get(table.name, {}), removals.cleared.get(table.name, 0))

    @property
    def touched(self) -> list[str]:
        """What the keys of its rows and deletes are looked up by."""
        name = self.table.key[0]
        removed = [key if len(self.table.key) == 1 else key[0] for key in self.deleted]
        return list(dict.fromkeys([*self.rows.column(name).unique().to_pylist(), *removed]))

    def without(self, keys: set[Key]) -> pa.Table:
        """Its rows but some."""
        if not keys:
            return self.rows
        return self.rows.filter(pa.array([key not in keys for key in keys_of(self.table, self.rows)], pa.bool_()))

    def among(self, groups: Iterable[str]) -> dict[Key, tuple[int, bool]]:
        """The keys of its rows of some traces (or with some keys): the version of each, and whether it is final."""
        table = self.table
        final = table.facts.final
        names = [*table.key, VERSION_COLUMN, *([final] if final else [])]
        few = self.rows.select(names).filter(pc.is_in(self.rows.column(table.key[0]), pa.array(groups, pa.string())))
        ended = few.column(final).is_valid().to_pylist() if final else [True] * few.num_rows
        versions = few.column(VERSION_COLUMN).to_pylist()
        return dict(zip(keys_of(table, few), zip(versions, ended, strict=True), strict=True))


def _newest(table: Table, rows: pa.Table) -> tuple[pa.Table, bool]:
    """Of each key the row that holds: the last one, of those that are final if any is.

    And whether that is sure: not where one that is not final is later.
    """
    if not rows.num_rows:
        return rows, True
    rank = pa.array(range(rows.num_rows), pa.int64())
    keys = rows.select(list(table.key)).append_column("rank", rank)
    if final := table.facts.final:
        ended = rows.column(final).is_valid().combine_chunks()
        ranked = pc.add(rank, pc.multiply(ended.cast(pa.int64()), pa.scalar(_ORDINALS, pa.int64())))
        keys = keys.append_column("ranked", ranked)
    best = keys.group_by(list(table.key)).aggregate([(name, "max") for name in keys.column_names[len(table.key) :]])
    if len(best) == rows.num_rows:
        return rows, True
    if not final:
        return rows.take(best.column("rank_max")), True
    chosen = pc.bit_wise_and(best.column("ranked_max"), pa.scalar(_ORDINALS - 1, pa.int64()))
    return rows.take(chosen), chosen.equals(best.column("rank_max"))


@dataclass(slots=True)
class Removals:
    """What logs remove: by table, the version of the last delete of each key, and that of the last clear."""

    deleted: dict[str, dict[Key, int]] = field(default_factory=dict)
    cleared: dict[str, int] = field(default_factory=dict)

    def take(self, version: int, change: Change) -> None:
        """Take in a delete or a clear."""
        name = change.table.name
        if change.verb == Verb.CLEAR:
            self.cleared[name] = max(version, self.cleared.get(name, 0))
        elif change.verb == Verb.DELETE and change.rows is not None:
            known = self.deleted.setdefault(name, {})
            for key in keys_of(change.table, change.rows):
                known[key] = max(version, known.get(key, 0))

    def spare(self, table: Table, rows: pa.Table) -> pa.Table:
        """The rows that are not removed: those that came later."""
        if cleared := self.cleared.get(table.name):
            rows = rows.filter(pc.greater_equal(rows.column(VERSION_COLUMN), cleared))
        if deleted := self.deleted.get(table.name):
            aged = zip(keys_of(table, rows), rows.column(VERSION_COLUMN).to_pylist(), strict=True)
            rows = rows.filter(pa.array([version >= deleted.get(key, 0) for key, version in aged], pa.bool_()))
        return rows

    def of(self, table: Table, key: Key) -> int:
        """The version up to which a key is removed; 0 where it is not."""
        return max(self.cleared.get(table.name, 0), self.deleted.get(table.name, {}).get(key, 0))
