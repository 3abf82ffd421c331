"""The folder of an embedded store: what is where, who may do what, and the manifest that says which files count.

::

    agent/
      store.json       schema version
      state.db         SQLite: threads, messages, resources, workflows, agents
      logs/            one append-only log a writing process
      segments/        immutable DuckDB files
      manifest.json    the segments that count, the logs that are in them; replaced by rename
      lease            held by the one process that seals and compacts
      changing         held shared by those who write, alone by those who read and write as one
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakSet

from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreError, StoreReadOnly
from colonnade.schemas import VERSION

_STORE: Final = "store.json"
_MANIFEST: Final = "manifest.json"


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

    def init(self) -> None:
        """Make the folder, or check that it is one of ours that this version can read."""
        if self.path.exists() and not self.path.is_dir():
            raise NotAStore(f"{self.path} is a file, and an embedded store is a folder")
        marker = self.path / _STORE
        try:
            if marker.exists():
                found = int(json.loads(marker.read_text())["schema"])
                if found > VERSION:
                    raise SchemaTooNew(str(self.path), found, VERSION)
            elif self.path.exists() and any(self.path.iterdir()):
                raise NotAStore(f"{self.path} holds other files; give colonnade a folder of its own")
            elif not self.path.parent.is_dir():
                raise InvalidAddress(
                    f"{self.path.parent} is no folder; make it first, then open {self.path.name} in it"
                )
            self.logs.mkdir(parents=True, exist_ok=True)
            self.segments.mkdir(exist_ok=True)
            if not marker.exists():
                self._replace(marker, json.dumps({"format": "colonnade", "schema": VERSION}))
        except PermissionError as error:
            raise StoreReadOnly(f"{self.path} cannot be written, so no store can be made there") from error
        except (ValueError, KeyError, TypeError) as error:
            raise NotAStore(f"{marker} cannot be read: {error}") from error

    def manifest(self) -> Manifest:
        """The manifest as it is now."""
        try:
            said = json.loads((self.path / _MANIFEST).read_bytes())
        except FileNotFoundError:
            return Manifest()
        except ValueError as error:
            raise StoreError(f"{self.path / _MANIFEST} is damaged: {error}; run: colonnade fsck {self.path}") from error
        segments = tuple(Segment(**segment) for segment in said["segments"])
        return Manifest(said["generation"], segments, tuple(said["sealed"]), said["cleared"], said["exceptions"])

    def stamp(self) -> tuple[int, int]:
        """What changes when the manifest does: its inode and time. Cheaper than reading it."""
        try:
            found = (self.path / _MANIFEST).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def install(self, manifest: Manifest) -> None:
        """Make a manifest the one that counts. Only the holder of the lease may."""
        self._replace(self.path / _MANIFEST, json.dumps(asdict(manifest)))

    def _replace(self, path: Path, text: str) -> None:
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
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

    @contextmanager
    def changing(self, *, alone: bool) -> Iterator[None]:
        """While writing: shared with other writers, or alone for a read and a write that are one."""
        descriptor = os.open(self.path / "changing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def lease(self) -> Lease | None:
        """The right to seal and compact, or ``None`` where another process has it."""
        descriptor = os.open(self.path / "lease", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        lease = Lease(descriptor)
        closed_in_children(lease)
        return lease


@dataclass(slots=True, eq=False, weakref_slot=True)
class Lease:
    """The right to seal and compact, until it is given back or its process ends."""

    descriptor: int

    def close(self) -> None:
        """Give it back."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class _Closes(Protocol):
    def close(self) -> None: ...


_HELD: Final[WeakSet[_Closes]] = WeakSet()


def closed_in_children(held: _Closes) -> None:
    """Close it in processes that are forked off: a lock is held until the last copy of its descriptor is closed."""
    _HELD.add(held)


def _close_held() -> None:
    for held in list(_HELD):
        held.close()


os.register_at_fork(after_in_child=_close_held)


def is_alive(log: Path) -> bool:
    """Whether a process still writes to a log: it holds a lock on it."""
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sync_folder(path: Path) -> None:
    """Make renames in a folder survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
