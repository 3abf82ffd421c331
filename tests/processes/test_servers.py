"""Real web servers with several workers, asked by a real client: every worker writes and sees what the others wrote."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

import colonnade

FOLDER = Path(__file__).parent
GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", f"--chdir={FOLDER}", "served:wsgi"]
COMMANDS = {
    "gunicorn": [*GUNICORN, "--workers=3"],
    "gunicorn, preloaded, with threads": [*GUNICORN, "--workers=2", "--threads=4", "--preload"],
    "uvicorn": ["uvicorn", "--workers=3", "--port=0", f"--app-dir={FOLDER}", "served:asgi"],
}
LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")
REQUESTS = 40


class Server:
    """A server that runs, and its log."""

    def __init__(self, command: list[str], agent: Path, log: Path) -> None:
        self._log = log
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=out, stderr=out, env={**os.environ, "AGENT": str(agent)}
            )
        self.address = self._listening()

    def _listening(self) -> str:
        for _ in range(600):
            if found := LISTENING.search(self.log):
                return found[0]
            assert self._process.poll() is None, self.log
            time.sleep(0.1)
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text()

    def ask(self, path: str, method: str = "GET") -> dict[str, Any]:
        """Ask it, again where the worker that was asked is gone."""
        for _ in range(100):
            try:
                with urlopen(Request(f"{self.address}/{path}", method=method), timeout=60) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except HTTPError as error:
                raise AssertionError(f"{error}\n{self.log}") from error
            except (ConnectionError, URLError):
                time.sleep(0.1)
        raise AssertionError(self.log)

    def stop(self) -> int:
        """End it as a system does; its exit code."""
        self._process.terminate()
        return self._process.wait(60)

    def kill(self) -> None:
        """Whatever is left of it."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[Server]:
    """A server on a folder's store, stopped at the end."""
    server = Server(command, folder / "agent", folder / "log")
    try:
        yield server
        code = server.stop()
        assert code == 0, f"exit code {code}\n{server.log}"
        for trouble in ("Traceback", "Fatal", "core dumped", "SIGSEGV", "SIGABRT", "leaked"):
            assert trouble not in server.log, server.log
    finally:
        server.kill()


@pytest.mark.parametrize("name", COMMANDS)
def test_workers_write_and_see_each_other(name: str, tmp_path: Path) -> None:
    with running(COMMANDS[name], tmp_path) as server, ThreadPoolExecutor(4) as clients:
        written = list(clients.map(lambda n: server.ask(f"{n}", "POST")["by"], range(REQUESTS)))
        seen = [server.ask("") for _ in range(12)]
        assert {(each["spans"], each["messages"]) for each in seen} == {(REQUESTS, REQUESTS)}
        assert server.ask("sql")["spans"] == REQUESTS

        os.kill(written[0], signal.SIGKILL)
        list(clients.map(lambda n: server.ask(f"{n}", "POST"), range(REQUESTS, 2 * REQUESTS)))
        seen = [server.ask("") for _ in range(6)]
        assert {(each["spans"], each["messages"]) for each in seen} == {(2 * REQUESTS, 2 * REQUESTS)}

    with colonnade.open(tmp_path / "agent") as store:
        store.optimize()
        assert store.observability.list_traces()["pagination"]["total"] == 2 * REQUESTS
