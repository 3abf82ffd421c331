"""Logs with damage in them: which commits are whole, also behind the damage, and a new log of just those.

A reader stops at the first bytes that are no commit: it cannot know whether more will come. A log whose writer is gone
does not grow any more, so what lies behind can be looked for: a commit begins at a multiple of eight bytes, its length
and those of its entries add up, and its checksum is right.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa

from colonnade.engine.stores.embedded.folder import Folder, sync_folder
from colonnade.engine.stores.embedded.log import ENTRY, FRAME, MAGIC, TABLES, VERSION, Verb, whole_frame

DAMAGED: Final = "damaged"
"""The folder within a store for files that were replaced because they are damaged. They are never read again."""

_LOG: Final = logging.getLogger("colonnade")
_STEP: Final = 8
_LENGTH: Final = 4
# The end of a version, and the entry that follows: a table, a verb, two bytes of nothing.
_BEGIN: Final = re.compile(rb"(?=[\x00-\x0f]\x00[\x01-%c][\x00-\x03]\x00\x00)" % max(TABLES), re.DOTALL)
_BEFORE_BEGIN: Final = FRAME.size - 2


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole commit: its version, and where its body begins and ends."""

    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in a log.

    ``damaged`` are bytes that are no commit although they should be, the first of them at ``since``; ``behind`` is how
    many of the whole commits lie behind those. ``torn`` are bytes at the end that are the beginning of a commit which
    was never finished, and so never acknowledged.
    """

    size: int
    frames: tuple[Frame, ...]
    damaged: int = 0
    since: int = 0
    behind: int = 0
    torn: int = 0


def survey(path: Path) -> Survey:
    """Look through a whole log. What a running writer is about to append is ``torn`` for the moment."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return Survey(0, ())
        with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as data:
            return _survey(data)


def _survey(data: mmap.mmap) -> Survey:
    frames: list[Frame] = []
    gaps: list[tuple[int, int]] = []
    at, torn, behind = len(MAGIC), 0, 0
    if data[:at] != MAGIC:
        if len(data) < at:
            return Survey(len(data), (), torn=len(data))
        gaps.append((0, at))
    while at < len(data):
        frame = _frame(data, at)
        if frame is None:
            end, frame = _next(data, at)
            if frame is None and _is_begun(data, at):
                torn = len(data) - at
                break
            misses_all = frame is None or frame.start > at + FRAME.size
            gaps.append((at, end if misses_all else at + _LENGTH))
        if frame is None:
            break
        frames.append(frame)
        behind += bool(gaps)
        at = frame.end
    damaged = sum(end - start for start, end in gaps)
    return Survey(len(data), tuple(frames), damaged, gaps[0][0] if gaps else 0, behind, torn)


def _frame(data: mmap.mmap, at: int) -> Frame | None:
    with memoryview(data) as view:
        found = whole_frame(view, at)
    return Frame(*found) if found else None


def _next(data: mmap.mmap, at: int) -> tuple[int, Frame | None]:
    """Where bytes that are no whole commit end, and the commit that is found: behind them, or in them after all.

    Where nothing but the length of a commit is damaged, the checksum tells that it reaches up to the next one.
    """
    end, after = len(data), None
    for match in _BEGIN.finditer(data, at + _STEP + _BEFORE_BEGIN):
        place = match.start() - _BEFORE_BEGIN
        if place % _STEP == 0 and _adds_up(data, place) and (after := _frame(data, place)):
            end = place
            break
    start = at + FRAME.size
    if start <= end:
        _, crc, version = FRAME.unpack_from(data, at)
        with memoryview(data) as view, view[start:end] as body:
            if zlib.crc32(body, zlib.crc32(VERSION.pack(version))) == crc:
                return end, Frame(version, start, end)
    return end, after


def _adds_up(data: mmap.mmap, at: int) -> bool:
    """Whether what begins here has the form of a commit. Cheaper than a checksum, and nearly always no."""
    length: int = FRAME.unpack_from(data, at)[0]
    end = at + FRAME.size + length
    return length > 0 and length % _STEP == 0 and end <= len(data) and _entries_end(data, at + FRAME.size, end) == end


def _entries_end(data: mmap.mmap, at: int, end: int) -> int:
    """Where the entries end that begin here, as far as they have the form of entries."""
    while at + ENTRY.size <= end:
        number, verb, length = ENTRY.unpack_from(data, at)
        if number not in TABLES or verb > max(Verb) or data[at + 2 : at + 4] != b"\0\0" or length % _STEP:
            break
        at += ENTRY.size + length
    return at


def _is_begun(data: mmap.mmap, at: int) -> bool:
    """Whether the rest of a log is the beginning of one commit: its writer was stopped, or found no room."""
    if len(data) - at < FRAME.size:
        return True
    length, _, version = FRAME.unpack_from(data, at)
    end = at + FRAME.size + length
    entries = _entries_end(data, at + FRAME.size, len(data))
    return bool(end > len(data) and length % _STEP == 0 and 0 < version < 2**63 and entries + ENTRY.size > len(data))


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a damaged log: the new one, how many commits are in it, and where the damaged one is now."""

    log: str
    commits: int
    aside: Path


def mend(folder: Folder, log: str) -> Mended | None:
    """Write the whole commits of a damaged log into a new one and set the damaged one aside; ``None`` if it is whole.

    The caller has the lease, and the log has no writer. A crash at any moment leaves both or one of them: commits that
    are there twice are there once, since their versions are the same.
    """
    path = folder.logs / log
    found = survey(path)
    if not found.damaged:
        return None
    schemas, commits = _readable(path, found)
    name = f"{_born(log)}-salvaged-{uuid4().hex[:8]}.log"
    unborn = (folder.logs / name).with_suffix(".new")
    with unborn.open("xb") as file:
        file.writelines([MAGIC, *schemas, *commits])
        file.flush()
        os.fsync(file.fileno())
    unborn.rename(folder.logs / name)
    sync_folder(folder.logs)
    # Who looks at the logs at this moment sees that something has changed, and looks again.
    folder.install(folder.manifest().next())
    mended = Mended(name, len(commits), set_aside(folder, path))
    _LOG.warning(
        "%s: %s was damaged: its %d whole commits are saved, and the file is kept as %s",
        folder.path,
        log,
        mended.commits,
        mended.aside.relative_to(folder.path),
    )
    return mended


def set_aside(folder: Folder, path: Path) -> Path:
    """Move a file into ``damaged``; where it is now. Nothing there is ever replaced."""
    aside = folder.path / DAMAGED
    aside.mkdir(exist_ok=True)
    to = aside / path.name
    while to.exists():
        to = aside / f"{path.name}.{uuid4().hex[:8]}"
    path.rename(to)
    sync_folder(aside)
    sync_folder(path.parent)
    return to


def _readable(path: Path, found: Survey) -> tuple[list[bytes], list[bytes]]:
    """The commits of a log that make sense, as they are written again; and before them the schemas that it lost."""
    data = path.read_bytes()
    known: set[int] = set()
    lost: set[int] = set()
    commits = []
    for frame in found.frames:
        body = data[frame.start : frame.end]
        known.update(number for number, verb, _ in _entries(body) if verb == Verb.SCHEMA)
        lacking = {number for number, _, _ in _entries(body)} - known
        if lacking and not _fits(body):
            continue
        lost |= lacking
        commits.append(_framed(frame.version, body))
    entries = []
    for number in lost:
        schema = TABLES[number].schema.serialize().to_pybytes()
        entries.append(ENTRY.pack(number, Verb.SCHEMA, len(schema)) + schema)
    return [_framed(found.frames[0].version, b"".join(entries))] if entries else [], commits


def _entries(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(body):
        number, verb, length = ENTRY.unpack_from(body, at)
        at += ENTRY.size
        yield number, verb, body[at : at + length]
        at += length


def _fits(body: bytes) -> bool:
    """Whether the rows of a commit are of the schemas of today, which stand in for those that were lost."""
    for number, verb, data in _entries(body):
        schema: Any = TABLES[number].schema
        if verb == Verb.DELETE:
            schema = pa.schema([schema.field(name) for name in TABLES[number].key])
        if verb in (Verb.PUT, Verb.DELETE):
            try:
                pa.ipc.read_record_batch(pa.py_buffer(data), schema).validate(full=True)
            except (pa.ArrowException, OSError):
                return False
    return True


def _framed(version: int, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(VERSION.pack(version)))
    return FRAME.pack(len(body), crc, version) + body


def _born(log: str) -> str:
    return log.split("-")[0]
