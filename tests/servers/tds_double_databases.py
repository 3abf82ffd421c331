"""The databases of the TDS double: each is a file of SQLite, made when it is first asked for."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from tests.servers.tds_double_catalog import TableInfo, prepare
from tests.servers.tds_double_changes import Compiled
from tests.servers.tds_double_functions import Refusals, install
from tests.servers.tds_double_locks import Locks


class Database:
    """One database, with what is known of the statements that were run in it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.path = folder / f"{name.encode().hex()}.sqlite"
        self.locks = Locks()
        self.compiled: dict[tuple[int, str], Compiled] = {}
        self.tables: dict[int, dict[str, TableInfo]] = {}
        self._log = folder / "statements.sql"
        self._noted: set[str] = set()
        connection = self.connect(Refusals())
        prepare(connection)
        connection.close()

    def connect(self, refusals: Refusals) -> sqlite3.Connection:
        """A new connection of SQLite, with T-SQL's functions."""
        made = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=1000)
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = OFF")
        made.execute("PRAGMA busy_timeout = 5000")
        install(made, refusals)
        return made

    def note(self, text: str) -> None:
        """Keep each statement that was run, once, so that a test can look at them."""
        if text not in self._noted and len(text) < 20_000:
            self._noted.add(text)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{text}\n;;\n")


class Databases:
    """All databases of a server. One whose name says that it is ``missing`` is never there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Database] = {}
        self._making = threading.Lock()

    def has(self, name: str) -> bool:
        """Whether there is such a database."""
        return "missing" not in name.lower()

    def named(self, name: str) -> Database:
        """A database, which is made if it is not there."""
        with self._making:
            key = name.lower()
            if key not in self._open:
                self._open[key] = Database(name, self._folder)
            return self._open[key]
