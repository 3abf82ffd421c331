"""The embedded store as one: its two halves by domain, its upkeep, and SQL over both."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import pyarrow as pa

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Scan
from colonnade.engine.store import Store
from colonnade.engine.stores.embedded.columnar import ColumnarStore
from colonnade.engine.stores.embedded.folder import Folder, Lease
from colonnade.engine.stores.embedded.log import NUMBERS
from colonnade.engine.stores.embedded.sealing import Sealed, compact, seal
from colonnade.engine.stores.sqlite import SQLiteStore
from colonnade.errors import ColonnadeError
from colonnade.schemas import STORED

_LOG: Final = logging.getLogger("colonnade")
_INTERVAL: Final = 2.0
"""Seconds between looks for something to seal, while this process writes."""

Durability = Literal["process", "power"]


class EmbeddedStore(Store):
    """A folder that any number of threads and processes write and read at once; nothing runs beside them.

    ``durability`` is what a returned call survives: ``process`` (the default) the end of this process by any means,
    ``power`` the loss of power too.
    """

    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, path: Path, *, durability: Durability = "process") -> None:
        self.label = str(path)
        self.folder = Folder(path)
        self.folder.init()
        state = [table for table in STORED if table.name not in NUMBERS]
        self.state = SQLiteStore(self.folder.state, durability=durability, tables=state)
        self.columnar = ColumnarStore(self.folder, power=durability == "power")
        self._upkeep: _Upkeep | None = None

    def init(self) -> None:
        """Make or migrate the state tables, and begin the upkeep in the background."""
        self.state.init()
        self._upkeep = _Upkeep(self.folder)

    def home(self, domain: str) -> Store:
        """Spans, scores and evals accumulate; the rest changes."""
        return self.columnar if domain in ("observability", "scores") else self.state

    def optimize(self, *, merge: bool = True) -> Sealed:
        """Seal all closed logs, this process's own included, and (``merge``) merge small segments, now.

        Nothing is done where another process has the lease: it does the same.
        """
        self.columnar.rotate()
        return Sealed() if self._upkeep is None else self._upkeep.round(force=True, merge=merge)

    def sql(self, query: str, parameters: list[Any] | Mapping[str, Any] | None) -> pa.RecordBatchReader | None:
        """Read-only SQL over segments, fresh rows and state tables."""
        from colonnade.engine.stores.embedded.sql import ask

        return ask(self.columnar, self.state, query, parameters)

    def scan(self, plan: Scan) -> pa.Table:
        """Rows, from the half that keeps them."""
        return self.home(plan.table.domain).scan(plan)

    def close(self) -> None:
        """Stop the upkeep and let all files go."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self.columnar.close()
        self.state.close()


class _Upkeep:
    """Seals and merges while this process has the lease, in a background thread that dies with its process."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._lease: Lease | None = None
        self._thread = threading.Thread(target=self._run, name="colonnade-upkeep", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                self.round()
            except ColonnadeError as error:  # a full disk, a damaged file: reported, tried again, never the agent's end
                _LOG.warning("upkeep of %s: %s", self._folder.path, error)
            except Exception:
                _LOG.exception("upkeep of %s failed; what was written is safe, and is tried again", self._folder.path)

    def round(self, *, force: bool = False, merge: bool = True) -> Sealed:
        """Seal and (``merge``) compact what is due, or with ``force`` everything; nothing without the lease."""
        with self._turn:
            self._lease = self._lease or self._folder.lease()
            if self._lease is None:
                return Sealed()
            sealed = seal(self._folder, force=force)
            return Sealed(sealed.logs, sealed.rows, compact(self._folder, force=force and merge))

    def stop(self) -> None:
        """Let the round that runs come to its end, and give the lease back."""
        self._stopped.set()
        if self._process == os.getpid():
            self._thread.join()
            if self._lease is not None:
                self._lease.release()
