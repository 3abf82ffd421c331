"""Real ClickHouse servers for tests: one, or three that make up a cluster, on free ports, killed by their ids."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.servers.clickhouse_node import PASSWORD, USER
from tests.servers.process import Process, free_ports

_NODE = Path(__file__).parent / "clickhouse_node.py"


class Server(Process):
    """One server."""

    def __init__(self, folder: Path, ports: Sequence[int], shards: Sequence[int] = ()) -> None:
        super().__init__(folder)
        self.http, self.tcp = ports
        self._shards = shards
        self._connected: Any = None

    def start(self) -> None:
        """Start it, without waiting for it."""
        self.run([sys.executable, _NODE, self.folder, *map(str, (self.http, self.tcp, *self._shards))])

    def wait(self) -> None:
        """Wait until it answers."""
        self.until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.http}/ping", timeout=5).close())

    def counted(self, sql: str, parameters: Mapping[str, object], **settings: object) -> int:
        """How many rows it reads to answer a query."""
        found = self.client.query(sql, dict(parameters), settings={**settings, "wait_end_of_query": 1})
        return int(found.summary["read_rows"])

    @property
    def client(self) -> Any:
        """A client of our own."""
        if self._connected is None:
            from clickhouse_connect import get_client

            options: dict[str, Any] = {"host": "127.0.0.1", "port": self.http, "username": USER, "password": PASSWORD}
            self._connected = get_client(**options, autogenerate_session_id=False)
        return self._connected

    def kill(self) -> None:
        """Kill it without warning, and let go of our client."""
        super().kill()
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def address(self, database: str, options: str = "") -> str:
        """The address of a store in one of its databases."""
        return address_of([self], database, options)

    def command(self, sql: str) -> str:
        """What it answers to SQL, as text."""
        found = self.client.command(sql)
        return "\n".join(found) if isinstance(found, list) else str(found)

    def empty(self, database: str) -> None:
        """Delete all rows of a database; its tables stay. Only of those that have any: each takes some milliseconds."""
        filled = f"SELECT name FROM system.tables WHERE database = '{database}' AND total_rows > 0"
        for (name,) in self.client.query(filled).result_rows:
            self.client.command(f"TRUNCATE TABLE {database}.{name}")


def address_of(servers: Sequence[Server], database: str, options: str = "") -> str:
    """The address of a store on some servers."""
    hosts = ",".join(f"127.0.0.1:{server.http}" for server in servers)
    return f"clickhouse://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{database}{options and '?' + options}"


@contextmanager
def served(folder: Path, nodes: int = 1) -> Iterator[list[Server]]:
    """Some servers, running; of several, each is a shard of the cluster ``tested``."""
    ports = free_ports(2 * nodes)
    shards = ports[1::2] if nodes > 1 else []
    servers = [Server(folder / f"node{place}", ports[2 * place : 2 * place + 2], shards) for place in range(nodes)]
    with ExitStack() as ends:
        for server in servers:
            server.start()
            ends.callback(server.kill)
        for server in servers:
            server.wait()
        yield servers
