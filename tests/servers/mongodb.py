"""A MongoDB server for tests: SecantusDB, which speaks MongoDB's protocol and stands in for mongod.

Where ``MONGODB_URI`` is set, all tests run on that server instead, in databases of their own that are dropped again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from tests.servers.process import Process, free_port, listens

REAL = os.environ.get("MONGODB_URI")
_SERVED = """
import sys, threading
from secantus import SecantusDBServer
with SecantusDBServer(storage_path=sys.argv[1], port=int(sys.argv[2]), require_auth="auth" in sys.argv,
                     sync_on_commit="sync" in sys.argv):
    threading.Event().wait()
"""


class Server(Process):
    """One server."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        super().__init__(folder)
        self.port = 0 if uri else free_port()
        self.uri = uri or f"mongodb://127.0.0.1:{self.port}/"
        self._client: Any = None
        self._prefix = f"colonnade_{uuid4().hex[:8]}_" if uri else ""
        self._names: set[str] = set()

    def start(self, *arguments: str) -> None:
        """Start it, and wait until it answers; with ``auth`` it knows no users, and refuses all.

        With ``sync`` it writes its journal before it acknowledges, as MongoDB does: by itself it does not.
        """
        self.run([sys.executable, "-c", _SERVED, self.folder / "data", str(self.port), *arguments])
        self.until(lambda: listens(self.port))

    def name(self, database: str) -> str:
        """What one of its databases is called: on a server that is not ours, as nothing else there."""
        self._names.add(self._prefix + database)
        return self._prefix + database

    def there(self, database: str) -> Any:
        """One of its databases, as pymongo has it."""
        return self.client[self.name(database)]

    def address(self, database: str, options: str = "") -> str:
        """The address of a store in one of its databases."""
        parts = urlsplit(self.uri)
        database = self.name(database)
        query = "&".join(filter(None, (parts.query, options)))
        return urlunsplit((parts.scheme, parts.netloc, f"/{database}", query, ""))

    @property
    def client(self) -> Any:
        """A client of our own."""
        if self._client is None:
            from pymongo import MongoClient

            self._client = MongoClient(self.uri, tz_aware=True)
        return self._client

    def empty(self, database: str) -> None:
        """Delete all documents of a store, whose collections stay."""
        from colonnade.engine.stores.mongodb.requests import name_of
        from colonnade.schemas import STORED

        there = self.there(database)
        for table in STORED:
            there[name_of(table)].delete_many({})

    def close(self) -> None:
        """Let go of our own client; a server that is not ours is left as it was."""
        if self._prefix:
            for name in self._names:
                self.client.drop_database(name)
        if self._client is not None:
            self._client.close()


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server, running: a real one where ``MONGODB_URI`` names it."""
    server = Server(folder, REAL)
    if REAL is None:
        server.start()
    try:
        yield server
    finally:
        server.close()
        server.kill()
