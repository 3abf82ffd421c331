"""Cloudflare's runtime (workerd) with a real D1 database, for tests: the Worker of docs/how-to/d1-worker.md runs in it.

Miniflare, which carries it, is installed by npm into a cache, once for a machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colonnade.engine.sqlite_served.spelling import SERVED
from colonnade.schemas import STORED
from tests.servers.process import Process, free_port

MINIFLARE = "miniflare@4.20260426.0"
"""The last that runs on node 20."""
TOKEN = "t0ken-of-the-worker"
_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "d1-worker.md"
_RUN = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const [port, worker, folder, home, token] = process.argv.slice(2);
const { Miniflare, Log, LogLevel } = createRequire(`${home}/package.json`)("miniflare");
const served = new Miniflare({
  host: "127.0.0.1", port: +port, modules: true, script: readFileSync(worker, "utf8"), log: new Log(LogLevel.ERROR),
  compatibilityDate: "2026-04-01", cf: false, d1Databases: { DB: "colonnade" }, d1Persist: folder,
  bindings: { COLONNADE_TOKEN: token },
});
await served.ready;
console.log("ready");
"""


class Server(Process):
    """A Worker with a database."""

    def __init__(self, folder: Path, home: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._home = home
        folder.mkdir(parents=True, exist_ok=True)
        (worker,) = re.findall(r"^```js\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
        (folder / "worker.js").write_text(worker)
        (folder / "run.mjs").write_text(_RUN)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, prefix: str = "", token: str = TOKEN, database: str = "DB") -> str:
        """The address of a store of its database."""
        return f"d1://worker/{database}?api_url={self.url}&api_token={token}&table_prefix={prefix}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments = [self.port, self.folder / "worker.js", self.folder / "data", self._home, TOKEN]
        # In a group of its own: node starts workerd.
        self.run(["node", self.folder / "run.mjs", *map(str, arguments)], start_new_session=True)
        self.until(self._ask)

    def _ask(self) -> None:
        with suppress(urllib.error.HTTPError):  # it answers, if only that there is no such path
            urllib.request.urlopen(self.url, timeout=5).close()

    def empty(self, prefix: str) -> None:
        """Delete all rows of a store; its tables stay."""
        deletes = [{"sql": f"DELETE FROM {prefix}{SERVED.table_name(table)}"} for table in STORED]
        body = json.dumps({"batch": deletes}).encode()
        url = f"{self.url}/accounts/worker/d1/database/DB/query"
        post = urllib.request.Request(url, body, {"authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(post, timeout=60) as reply:
            assert json.loads(reply.read())["success"]

    def kill(self) -> None:
        """Kill it without warning, and the runtime that it started."""
        self.end(os.killpg, signal.SIGKILL)


def missing() -> str | None:
    """What is to be installed before there can be a server; nothing where all is there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    try:
        installed()
    except subprocess.CalledProcessError as error:
        return f"npm could not install {MINIFLARE}: {error.stderr.decode(errors='replace')[-300:]}"
    return None


def installed() -> Path:
    """The folder with miniflare, installed where it was not."""
    cache = Path(os.environ.get("COLONNADE_TEST_CACHE") or Path(tempfile.gettempdir()) / "colonnade-test-cache")
    home = cache / MINIFLARE.replace("@", "-")
    if not (home / "node_modules" / "miniflare").is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(made), MINIFLARE]
        subprocess.run(command, check=True, capture_output=True, cwd=made)
        try:
            made.rename(home)
        except OSError:
            shutil.rmtree(made)  # another was faster
    return home


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server, running."""
    server = Server(folder, installed())
    server.start()
    try:
        yield server
    finally:
        server.kill()
