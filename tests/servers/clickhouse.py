"""Real ClickHouse servers for tests: one, or three that make up a cluster, on free ports, killed by their ids."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.servers.clickhouse_node import PASSWORD, USER

_NODE = Path(__file__).parent / "clickhouse_node.py"
_PATIENCE = 60.0
"""Seconds in which a server has to come up; it takes two or three."""


class Server:
    """One server: it can be killed, and started again over the same data."""

    def __init__(self, folder: Path, ports: Sequence[int], shards: Sequence[int] = ()) -> None:
        self.folder = folder
        self.http, self.tcp = ports
        self._shards = shards
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(_NODE), str(self.folder), *map(str, (self.http, self.tcp, *self._shards))]
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/ping", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                said = (self.folder / "output.log").read_text(errors="replace")
                assert self._process is not None
                assert self._process.poll() is None, f"the server ended:\n{said}"
                assert time.monotonic() < until, f"the server does not answer:\n{said}"
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it without warning."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def counted(self, sql: str, parameters: Mapping[str, object], **settings: object) -> int:
        """How many rows it reads to answer a query."""
        with self._client() as client:
            found = client.query(sql, dict(parameters), settings={**settings, "wait_end_of_query": 1})
            return int(found.summary["read_rows"])

    @contextmanager
    def _client(self) -> Iterator[Any]:
        from clickhouse_connect import get_client

        options: dict[str, Any] = {"host": "127.0.0.1", "port": self.http, "username": USER, "password": PASSWORD}
        client = get_client(**options, autogenerate_session_id=False)
        try:
            yield client
        finally:
            client.close()

    def address(self, database: str, options: str = "") -> str:
        """The address of a store in one of its databases."""
        return address_of([self], database, options)

    def command(self, sql: str) -> str:
        """What it answers to SQL, as text."""
        with self._client() as client:
            found = client.command(sql)
            return "\n".join(found) if isinstance(found, list) else str(found)


def address_of(servers: Sequence[Server], database: str, options: str = "") -> str:
    """The address of a store on some servers."""
    hosts = ",".join(f"127.0.0.1:{server.http}" for server in servers)
    return f"clickhouse://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{database}{options and '?' + options}"


@contextmanager
def served(folder: Path, nodes: int = 1) -> Iterator[list[Server]]:
    """Some servers, running; of several, each is a shard of the cluster ``tested``."""
    ports = _free_ports(2 * nodes)
    shards = ports[1::2] if nodes > 1 else []
    servers = [Server(folder / f"node{place}", ports[2 * place : 2 * place + 2], shards) for place in range(nodes)]
    with ExitStack() as ends:
        for server in servers:
            server.start()
            ends.callback(server.kill)
        for server in servers:
            server.wait()
        yield servers


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
