"""The folder of an embedded store: what is where, who may do what, and the manifest that says which files count.

::

    agent/
      store.json       schema version
      state.db         SQLite: threads, messages, resources, workflows, agents
      logs/            one append-only log a writing process
      segments/        immutable DuckDB files
      manifest.json    the segments that count, the logs that are in them; replaced by rename
      lease            held by the one process that seals and compacts
      wanted           held by who wants the lease from it
      reserve          room for pruning when the disk is full
      changing         held shared by those who write, alone by those who read and write as one
      waiting          held by who waits to be alone
      clock            the last version that was given to a commit
      damaged/         what was damaged and has been replaced; never read
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from colonnade.engine.stores.embedded.locks import Gate, LockFile, is_locked
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreError, StoreReadOnly
from colonnade.schemas import VERSION

_STORE: Final = "store.json"
_MANIFEST: Final = "manifest.json"
FILES: Final = {
    "": r"\.?(store|manifest)\.json(\.\w+)?|state\.db(-wal|-shm|-journal)?"
    r"|lease|wanted|reserve|changing|waiting|clock",
    "logs": r"\d{20}-\w+-\w{8}\.(log|new)",
    "segments": r"\.?\d{8}-\w{8}\.(duckdb|index)[.\w]*",
}
"""The names of a store's files, by where in its folder they are."""
_UNFINISHED: Final = 60.0
"""Seconds after which a file that is about to be renamed never will be."""
_FORBIDDEN: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
_BEFORE_MANIFEST: Final = b'"manifest": '


@dataclass(frozen=True, slots=True)
class Segment:
    """One immutable file: its rows by table, and the range of their times (microseconds since the epoch)."""

    file: str
    rows: dict[str, int]
    first: dict[str, int]
    last: dict[str, int]

    @property
    def size(self) -> int:
        """All its rows."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which files count.

    ``sealed`` are logs that are in segments, but may not be unlinked yet. ``exceptions`` names, by segment and table,
    the rows there that a later copy or a delete has replaced; ``cleared``, by table, the version up to which all rows
    are gone.
    """

    generation: int = 0
    segments: tuple[Segment, ...] = ()
    sealed: tuple[str, ...] = ()
    cleared: dict[str, int] = field(default_factory=dict)
    exceptions: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def next(self, **changes: Any) -> Manifest:
        """The manifest that follows this one."""
        return replace(self, generation=self.generation + 1, **changes)


class Folder:
    """The paths, locks and the manifest of one embedded store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.segments = path / "segments"
        self.state = path / "state.db"
        self._manifest = path / _MANIFEST

    def init(self) -> None:
        """Make the folder, or check that it is one of ours that this version can read."""
        if self.path.exists() and not self.path.is_dir():
            raise NotAStore(f"{self.path} is a file, and an embedded store is a folder")
        marker = self.path / _STORE
        try:
            if marker.exists():
                self._check(marker)
            elif self.path.exists() and any(not _is_ours(entry.name) for entry in self.path.iterdir()):
                raise NotAStore(f"{self.path} holds other files; give colonnade a folder of its own")
            elif not self.path.parent.is_dir():
                raise InvalidAddress(
                    f"{self.path.parent} is no folder; make it first, then open {self.path.name} in it"
                )
            self.logs.mkdir(parents=True, exist_ok=True)
            self.segments.mkdir(exist_ok=True)
            if not (marker.exists() and self._manifest.exists()):
                self._make(marker)
        except OSError as error:
            raise not_written(self.path, error) from error
        if missing := [path.name for path in (self.state, self._manifest) if not path.exists()]:
            raise StoreError(
                f"{self.path}: {' and '.join(missing)} should be there and is not; run: colonnade fsck {self.path}"
            )

    def _check(self, marker: Path) -> None:
        try:
            found = int(json.loads(marker.read_text())["schema"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotAStore(f"{marker} is damaged: {error}; run: colonnade fsck {self.path}") from error
        if found > VERSION:
            raise SchemaTooNew(str(self.path), found, VERSION)

    def _make(self, marker: Path) -> None:
        """Make what a store has from its beginning, ``store.json`` last: what is missing later has been lost."""
        with closing(Gate(self.path)) as gate, gate.passed(alone=True):
            if not self._manifest.exists() and not any(self.segments.glob("*.duckdb")):
                self.install(Manifest())
            if not marker.exists():
                self.state.touch()
                self.mark()

    def mark(self) -> None:
        """Say that this is a store, and of which version."""
        self._replace(self.path / _STORE, json.dumps({"format": "colonnade", "schema": VERSION}).encode())

    def manifest(self) -> Manifest:
        """The manifest as it is now."""
        try:
            return _manifest(self._manifest.read_bytes())
        except FileNotFoundError as error:
            raise StoreError(f"{self._manifest} is missing; run: colonnade fsck {self.path}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._manifest} is damaged: {error}; run: colonnade fsck {self.path}") from error

    def stamp(self) -> tuple[int, int]:
        """What changes when the manifest does: its inode and time. Cheaper than reading it."""
        try:
            found = self._manifest.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def install(self, manifest: Manifest) -> None:
        """Make a manifest the one that counts. Only the holder of the lease may."""
        text = json.dumps(asdict(manifest)).encode()
        self._replace(self._manifest, b'{"crc": %d, %b%b}' % (zlib.crc32(text), _BEFORE_MANIFEST, text))

    def _replace(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def log_names(self) -> list[str]:
        """The logs that are there, oldest first."""
        return sorted(entry.name for entry in os.scandir(self.logs) if entry.name.endswith(".log"))

    def unsealed_bytes(self) -> int:
        """What the logs hold that are in no segment yet; roughly, for they come and go."""
        total = 0
        sealed = self.manifest().sealed
        with os.scandir(self.logs) as entries:
            for entry in entries:
                if entry.name.endswith(".log") and entry.name not in sealed:
                    with suppress(FileNotFoundError):
                        total += entry.stat().st_size
        return total

    def lease(self) -> LockFile | None:
        """The right to seal and merge, or ``None`` where another process has it."""
        lease = LockFile(self.path / "lease")
        if lease.try_lock(alone=True):
            return lease
        lease.close()
        return None

    def tidy(self) -> None:
        """Remove what processes that are gone left unfinished. The caller has the lease."""
        lease = self.path / "lease"
        os.utime(lease)  # by the clock that files have, which need not be the one of this machine
        for left in self.unfinished(now=lease.stat().st_mtime):
            left.unlink(missing_ok=True)

    def unfinished(self, *, now: float, sealing: bool = False) -> Iterator[Path]:
        """What was to get its name later and never will; where another process is ``sealing``, not what may be its."""
        if not sealing:
            yield from self.segments.glob(".*")
        for left in (*self.logs.glob("*.new"), *self.path.glob(".*.json.*"), *self.path.glob(".state.db*")):
            with suppress(FileNotFoundError):
                if now - left.stat().st_mtime > _UNFINISHED and not is_locked(left):
                    yield left


def not_written(path: Path, error: OSError) -> StoreError:
    """What is raised where the system refuses to write: it may not be written, or there is no room."""
    if error.errno in _FORBIDDEN:
        return StoreReadOnly(f"{path} cannot be written: {error.strerror}; nothing was written")
    return StoreError(f"{path}: nothing was written: {error.strerror or error}")


def _manifest(data: bytes) -> Manifest:
    said = json.loads(data)
    if "crc" in said:
        text = data.partition(_BEFORE_MANIFEST)[2][:-1]
        if zlib.crc32(text) != said["crc"]:
            raise ValueError("its checksum is wrong")
        said = said["manifest"]
    segments = tuple(Segment(**segment) for segment in said["segments"])
    return Manifest(said["generation"], segments, tuple(said["sealed"]), said["cleared"], said["exceptions"])


def _is_ours(name: str) -> bool:
    """Whether a file has a name that a store being made has; another process may be making it right now."""
    return name in (*FILES, "damaged") or re.fullmatch(FILES[""], name) is not None


def sync_folder(path: Path) -> None:
    """Make renames in a folder survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
