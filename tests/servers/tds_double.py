"""A double of SQL Server for tests, for none is to be had: TDS as drivers speak it, T-SQL as sqlglot reads it, SQLite.

The wire is pysqlbridge's, so real drivers are at work; the engine is SQLite. It is strict where SQL Server is: equal
texts may differ in trailing spaces, a database's own collation knows no case, NVARCHAR is in the order of UTF-16 units,
a condition is no value, nulls come first, JSON_VALUE gives nothing that is longer than 4000, keys have at most 900
bytes, READ COMMITTED keeps nobody from changing what was read. But it is a double: it says nothing of SQL Server's
speed, plans, locks of single rows, or of statements that it does not know (error 50000). ``mssql.py`` is the real one.

The name of a database is enough to make it, but for one with ``missing`` in it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

USER = "tester"
PASSWORD = "p:a/s@s %w?rd#;{'"
"""It needs percent signs in an address."""
DATABASE = "double"
_PATIENCE = 60.0
_ROOT = Path(__file__).parents[2]


class Server:
    """The double's process: it can be killed, and started again over the same data."""

    is_double = True
    user, password, database = USER, PASSWORD, DATABASE

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "tests.servers.tds_double_node",
            str(self.folder),
            str(self.port),
            USER,
            PASSWORD,
        ]
        until = time.monotonic() + _PATIENCE
        with (self.folder / "output.log").open("ab") as output:
            environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=_ROOT, env=environment)
        while True:
            try:
                self.command("SELECT 1")
            except Exception:
                said = (self.folder / "output.log").read_text(errors="replace")
                assert time.monotonic() < until and self._process.poll() is None, f"the double does not answer:\n{said}"
                time.sleep(0.05)
            else:
                return

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    stop = kill

    def address(self, schema: str = "", options: str = "", database: str = DATABASE) -> str:
        """The address of a store in one of its schemas."""
        query = "&".join(filter(None, [f"schema_name={schema}" if schema else "", options]))
        where = f"{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{quote(database, safe='')}"
        return f"mssql://{where}{query and '?' + query}"

    def connect(self, database: str = DATABASE, **options: Any) -> Any:
        """A connection of pymssql."""
        import pymssql

        given = {"user": USER, "password": PASSWORD, "autocommit": True, **options}
        return pymssql.connect(server="127.0.0.1", port=str(self.port), database=database, **given)

    def command(self, *sql: str, database: str = DATABASE) -> list[Any]:
        """Run statements, each by itself; what the last one gives."""
        connection = self.connect(database)
        try:
            cursor = connection.cursor()
            for each in sql:
                cursor.execute(each)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def empty(self, schema: str, database: str = DATABASE) -> None:
        """Delete all rows of a schema; its tables stay."""
        from colonnade.schemas import STORED

        self.command(";".join(f"DELETE FROM [{schema}].[{t.facts.mastra}]" for t in STORED), database=database)

    def statements(self) -> list[str]:
        """Each statement that was run so far, once."""
        log = self.folder / "statements.sql"
        return log.read_text(encoding="utf-8").split("\n;;\n")[:-1] if log.exists() else []


@contextmanager
def served(folder: Path | None = None) -> Iterator[Server]:
    """The double, running."""
    with ExitStack() as stack:
        if folder is None:
            place = os.environ.get("PYTEST_DEBUG_TEMPROOT")
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="colonnade-tds-double-", dir=place)))
        server = Server(folder)
        stack.callback(server.stop)
        server.start()
        yield server
