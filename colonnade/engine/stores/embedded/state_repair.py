"""Mending ``state.db``: a new one of the rows that can be read. The caller has the lease."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

from colonnade.engine.dialect import SQLITE
from colonnade.engine.stores.embedded.findings import Finding
from colonnade.engine.stores.embedded.folder import Folder, sync_folder
from colonnade.engine.stores.embedded.locks import holders, locked_by
from colonnade.engine.stores.embedded.log import NUMBERS
from colonnade.engine.stores.embedded.salvage import set_aside
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.errors import StoreLocked
from colonnade.schemas import STORED
from colonnade.schemas.table import Table


def new_state(folder: Folder, finding: Finding) -> str:
    """A new state.db of the rows of the old one that can be read, from either end of each table."""
    _alone_with_state(folder)
    unfinished = folder.state.with_name(f".{folder.state.name}.{uuid4().hex[:8]}")
    tables = [table for table in STORED if table.name not in NUMBERS]
    made = SQLiteStore(unfinished, tables=tables)
    made.init()
    made.close()
    saved = 0
    with closing(sqlite3.connect(unfinished)) as new, closing(sqlite3.connect(folder.state)) as old:
        for table in tables:
            for names, row in _rows(old, table):
                into = f"{SQLITE.table(table)} ({', '.join(map(SQLITE.ident, names))})"
                marks = ", ".join("?" * len(names))
                saved += new.execute(f"INSERT OR IGNORE INTO {into} VALUES ({marks})", row).rowcount
        new.commit()
    _clear_state(folder)
    unfinished.rename(folder.state)
    sync_folder(folder.path)
    return f"made anew of the {saved:,} rows that could be read, the damaged one is in damaged/"


def _rows(connection: sqlite3.Connection, table: Table) -> Iterator[tuple[list[str], tuple[Any, ...]]]:
    """The rows of a table, with the names of its columns: from its beginning, and from its end where that breaks."""
    for order in ("", " ORDER BY rowid DESC"):
        try:
            rows = connection.execute(f"SELECT * FROM {SQLITE.table(table)}{order}")
            names = [name for name, *_ in rows.description]
            for row in rows:
                yield names, row
        except sqlite3.DatabaseError:
            continue
        return


def empty_state(folder: Folder, finding: Finding) -> str:
    _alone_with_state(folder)
    _clear_state(folder)
    folder.state.touch()
    return "made anew, empty"


def _alone_with_state(folder: Folder) -> None:
    for path in (folder.state, folder.state.with_name(f"{folder.state.name}-shm")):
        if locked_by(path) - {os.getpid()}:
            raise StoreLocked(f"{folder.state} is in use by {holders(path)}: close it there, then repair")


def _clear_state(folder: Folder) -> None:
    for ending in ("", "-wal", "-shm"):
        path = folder.state.with_name(folder.state.name + ending)
        if path.exists():
            set_aside(folder, path)
