"""What was put into the logs that there are, as far as it is judged by: followed, to be judged again in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from colonnade.engine.stores.embedded.folder import Folder
from colonnade.engine.stores.embedded.log import TABLES, Commit, LogReader, Verb
from colonnade.schemas.table import Table

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "spans": ("traceId", "spanId", "isEvent", "startedAt", "endedAt"),
    "scores": ("id", "traceId", "createdAt"),
    "evals": ("id", "created_at"),
}
"""What of each table it takes to judge its rows and to name them."""


class Logs:
    """The keys and times of all rows that were ever put into the logs that there are."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._readers: dict[str, LogReader] = {}
        self._rows: dict[str, list[pa.Table]] = {table.name: [] for table in TABLES.values()}
        self.newest = 0
        self.read()

    def read(self) -> dict[str, pa.Table]:
        """Those that came since the last time, by table."""
        sealed = self._folder.manifest().sealed
        names = [name for name in self._folder.log_names() if name not in sealed]
        for name in names:
            self._readers.setdefault(name, LogReader(self._folder.logs / name))
        # A log that was sealed meanwhile is unlinked, but what was written to it since it was read can still be.
        commits = [commit for reader in self._readers.values() for commit in reader.read()]
        self.newest = max([self.newest, *(commit.version for commit in commits)])
        found = {table.name: _put(table, commits) for table in TABLES.values()}
        for name, rows in found.items():
            self._rows[name].append(rows)
        return found

    def everything(self) -> dict[str, pa.Table]:
        """All that was read so far, by table."""
        return {name: pa.concat_tables(rows) for name, rows in self._rows.items()}


def _put(table: Table, commits: Sequence[Commit]) -> pa.Table:
    """What some commits put into a table, as far as it is judged by."""
    columns = list(COLUMNS[table.name])
    batches = [
        change.rows.select(columns)
        for commit in commits
        for change in commit.changes
        if change.table.name == table.name and change.verb == Verb.PUT and change.rows is not None
    ]
    return pa.Table.from_batches(batches, pa.schema([table.schema.field(name) for name in columns])).combine_chunks()
