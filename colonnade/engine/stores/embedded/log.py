"""The append-only log of one writing process: checksummed frames of Arrow record batches.

A file begins with ``MAGIC``. Then come frames, each one commit, all or nothing::

    length   u32   bytes of the body
    crc      u32   CRC-32 of version and body
    version  u64   microseconds since the epoch, strictly increasing within a log
    body           entries

An entry is ``(table u8, verb u8, two bytes of nothing, length u32, bytes)``. All lengths are multiples of eight, so
that Arrow may read a mapped log where it lies. The bytes of a PUT are an IPC record batch of the table's rows,
those of a DELETE one of its keys; a SCHEMA entry holds the table's schema and comes before the first batch of that
table in the file; a CLEAR has no bytes. All numbers are little-endian.

A frame is written with one ``write``, so a process that is killed leaves at most a torn last frame, which no reader
takes for a commit: its checksum does not match.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.stores.embedded.folder import sync_folder
from colonnade.engine.stores.embedded.locks import LockFile
from colonnade.errors import InvalidInput, StoreError
from colonnade.schemas import EVALS, SCORES, SPANS
from colonnade.schemas.table import Table

MAGIC: Final = b"COLOLOG1"
FRAME: Final = struct.Struct("<IIQ")
ENTRY: Final = struct.Struct("<BBxxI")
VERSION: Final = struct.Struct("<Q")

TABLES: Final[Mapping[int, Table]] = {1: SPANS, 2: SCORES, 3: EVALS}
"""The tables that accumulate, by the number that logs know them by. A number is never given to another table."""
LONGEST: Final = 2**28
"""Bytes that a commit has at most."""
_MAPPED: Final = 2**18

NUMBERS: Final = {table.name: number for number, table in TABLES.items()}


class Verb(IntEnum):
    """What an entry does."""

    SCHEMA = 0
    PUT = 1
    DELETE = 2
    CLEAR = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a commit: rows that are put, keys that are deleted, or a table that is cleared."""

    table: Table
    verb: Verb
    rows: pa.RecordBatch | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A frame that was read: its version and its changes."""

    version: int
    changes: tuple[Change, ...]


class TooLong(InvalidInput):
    """Rows of too many bytes for one commit. Nothing was written."""


class LogWriter:
    """Appends commits to a log of its own."""

    def __init__(self, path: Path, *, power: bool = False) -> None:
        self.path = path
        self._power = power
        self._known: set[str] = set()
        # It gets its name only once it is locked: a log without a lock is one whose writer is gone.
        unborn = path.with_suffix(".new")
        self._file = LockFile(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            self._file.try_lock(alone=True)
            self.size = os.write(self._file.descriptor, MAGIC)
            if self.size != len(MAGIC):
                raise OSError(errno.ENOSPC, "no room for a log", str(path))
            unborn.rename(path)
            if power:
                os.fsync(self._file.descriptor)
                sync_folder(path.parent)
        except BaseException:
            self.close()
            unborn.unlink(missing_ok=True)
            raise
        self.rows = 0

    def append(self, version: int, changes: Sequence[Change]) -> None:
        """Write one commit. When it returns, the commit survives the end of this process.

        After an ``OSError`` (a full disk) the log ends in a torn frame, which is no commit: close it and begin another.
        It is not cut off, because readers may have it mapped.
        """
        parts = [part for change in changes for part in self._entries(change)]
        crc = zlib.crc32(VERSION.pack(version))
        for part in parts:
            crc = zlib.crc32(part, crc)
        length = sum(map(len, parts))
        if length > LONGEST:
            raise TooLong(f"{self.path.name}: one commit has at most {LONGEST:,} bytes, not {length:,}")
        written = os.writev(self._file.descriptor, [FRAME.pack(length, crc, version), *parts])
        if written != FRAME.size + length:
            raise OSError(
                errno.ENOSPC, f"only {written} of {FRAME.size + length} bytes could be written", str(self.path)
            )
        if self._power:
            os.fdatasync(self._file.descriptor)
        self._known.update(change.table.name for change in changes)
        self.size += written
        self.rows += sum(change.rows.num_rows for change in changes if change.rows is not None)

    def _entries(self, change: Change) -> Iterator[bytes | pa.Buffer]:
        number = NUMBERS[change.table.name]
        if change.table.name not in self._known:
            schema = change.table.schema.serialize().to_pybytes()
            yield ENTRY.pack(number, Verb.SCHEMA, len(schema))
            yield schema
        data = b"" if change.rows is None else change.rows.serialize()
        yield ENTRY.pack(number, change.verb, len(data))
        yield data

    def sync(self) -> None:
        """Make what was written survive a loss of power."""
        os.fdatasync(self._file.descriptor)

    def close(self) -> None:
        """Close the file, which gives up its lock."""
        self._file.close()


class LogReader:
    """Follows one log from its beginning, commit by commit, as far as it is whole.

    ``trusted``: this process wrote it, so its checksums need no look. What is read in one piece is mapped, not copied,
    if it is large: processes that read the same log then share the memory.
    """

    def __init__(self, path: Path, *, trusted: bool = False) -> None:
        self.path = path
        self.position = 0
        self._trusted = trusted
        self._schemas: dict[int, pa.Schema] = {}
        self._file: int | None = None

    def size(self) -> int:
        """How long it is now. ``FileNotFoundError`` where it has been sealed before it was ever read."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._file).atexit = False
        return os.fstat(self._file).st_size

    def read(self, size: int | None = None) -> list[Commit]:
        """The commits that came since the last read, as far as they lie within ``size`` bytes."""
        size = self.size() if size is None else size
        if size <= self.position or self._file is None:
            return []
        start = self.position - self.position % mmap.ALLOCATIONGRANULARITY
        data: Any
        if size - self.position < _MAPPED:
            data = os.pread(self._file, size - self.position, self.position)
        else:
            whole = mmap.mmap(self._file, size - start, prot=mmap.PROT_READ, offset=start)
            data = memoryview(whole)[self.position - start :]
        return list(self._commits(data))

    @property
    def unread(self) -> int:
        """Bytes at its end that are no whole commit."""
        return self.path.stat().st_size - self.position

    def _commits(self, data: bytes | memoryview) -> Iterator[Commit]:
        at = 0
        if self.position == 0:
            if len(data) < len(MAGIC):
                return
            if data[: len(MAGIC)] != MAGIC:
                raise StoreError(f"{self.path.name} is no log of colonnade's; run: colonnade fsck")
            at = len(MAGIC)
            self.position = at
        begin = self.position - at
        while (frame := whole_frame(data, at, trusted=self._trusted)) is not None:
            version, start, at = frame
            self.position = begin + at
            yield Commit(version, tuple(self._changes(memoryview(data)[start:at])))

    def _changes(self, body: memoryview) -> Iterator[Change]:
        at = 0
        while at < len(body):
            number, verb, length = ENTRY.unpack_from(body, at)
            at += ENTRY.size
            data = pa.py_buffer(body[at : at + length])
            at += length
            if verb == Verb.SCHEMA:
                self._schemas[number] = pa.ipc.read_schema(data)
                continue
            table, schema = TABLES[number], self._schemas[number]
            if verb == Verb.DELETE:
                schema = pa.schema([schema.field(name) for name in table.key])
            rows = pa.ipc.read_record_batch(data, schema) if verb != Verb.CLEAR else None
            yield Change(table, Verb(verb), rows)


def whole_frame(data: bytes | memoryview, at: int, *, trusted: bool = False) -> tuple[int, int, int] | None:
    """The frame at a place: its version, where its body begins and ends; ``None`` where it is torn or damaged."""
    if at + FRAME.size > len(data):
        return None
    length, crc, version = FRAME.unpack_from(data, at)
    start, end = at + FRAME.size, at + FRAME.size + length
    if end > len(data):
        return None
    if not trusted and zlib.crc32(memoryview(data)[start:end], zlib.crc32(VERSION.pack(version))) != crc:
        return None
    return version, start, end
