"""A look at an embedded folder, which may be in use: is everything there, and can it be read?

It changes nothing. What it finds about a file that meanwhile was sealed, merged or removed is no finding.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from colonnade.engine.stores.embedded.findings import Finding, Remedy, Report, Severity
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment
from colonnade.engine.stores.embedded.index import SUFFIX as INDEX
from colonnade.engine.stores.embedded.locks import holders, is_locked
from colonnade.engine.stores.embedded.salvage import DAMAGED, survey
from colonnade.engine.stores.embedded.segment_check import copies_found, examine
from colonnade.engine.stores.embedded.segments import SUFFIX as SEGMENT
from colonnade.engine.stores.sqlite import reading_address
from colonnade.errors import InvalidInput, NotAStore, SchemaTooNew, StoreError
from colonnade.schemas import VERSION

Progress = Callable[[str, int, int], None]
"""Told what is looked at, how much of it is done, and how much there is."""

_OURS: Final = ("store.json", "manifest.json", "state.db", "segments", "logs")
_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def check(
    path: Path,
    *,
    full: bool = False,
    copies: bool = False,
    alone: bool = False,
    progress: Progress = lambda *_: None,
) -> Report:
    """Look at everything; with ``full``, at every row of every index; with ``copies``, for rows that are there twice.

    ``alone``: the caller has the lease, so nothing is in use that is unfinished.
    ``InvalidInput`` where there is no folder, ``NotAStore`` where it is none of ours, ``SchemaTooNew`` where a newer
    colonnade wrote it.
    """
    if not path.is_dir():
        raise InvalidInput(f"{path} is no folder, and only embedded folders are checked")
    if not any((path / name).exists() for name in _OURS):
        raise NotAStore(f"{path} holds nothing of colonnade's")
    return _Look(Folder(path), full, copies, progress).report(alone=alone)


class _Look:
    def __init__(self, folder: Folder, full: bool, copies: bool, progress: Progress) -> None:
        self._folder = folder
        self._full = full
        self._copies = copies
        self._progress = progress
        self._commits = 0

    def report(self, *, alone: bool) -> Report:
        findings = [*self._marker()]  # a newer store is looked at no further
        lease = self._folder.path / "lease"
        sealer = holders(lease) if not alone and is_locked(lease) else None
        manifest = self._manifest(findings)
        logs = self._log_names()
        if manifest is not None:
            findings += self._segments(manifest)
        findings += self._logs(logs, manifest or Manifest())
        if manifest is not None:
            findings += self._orphans(manifest, in_use=sealer is not None)
        findings += self._leftovers(sealing=sealer is not None)
        findings += self._state()
        findings += self._damaged()
        segments = () if manifest is None else manifest.segments
        rows: dict[str, int] = {}
        for segment in segments:
            for table, count in segment.rows.items():
                rows[table] = rows.get(table, 0) + count
        return Report(
            str(self._folder.path),
            tuple(self._still(findings, manifest)),
            segments=len(segments),
            rows=rows,
            logs=len(logs),
            commits=self._commits,
            sealer=sealer,
        )

    def _marker(self) -> Iterator[Finding]:
        path = self._folder.path / "store.json"
        try:
            found = int(json.loads(path.read_bytes())["schema"])
        except FileNotFoundError:
            yield Finding(_ERROR, path.name, "is missing", Remedy.NEW_MARKER)
            return
        except (ValueError, KeyError, TypeError) as error:
            yield Finding(_ERROR, path.name, f"cannot be read: {error}", Remedy.NEW_MARKER)
            return
        if found > VERSION:
            raise SchemaTooNew(str(self._folder.path), found, VERSION)

    def _manifest(self, findings: list[Finding]) -> Manifest | None:
        try:
            return self._folder.manifest()
        except StoreError as error:
            what = (
                "is missing" if isinstance(error.__cause__, FileNotFoundError) else f"cannot be read: {error.__cause__}"
            )
            findings.append(Finding(_ERROR, "manifest.json", what, Remedy.NEW_MANIFEST))
            return None

    def _segments(self, manifest: Manifest) -> Iterator[Finding]:
        whole = True
        for done, segment in enumerate(manifest.segments):
            self._progress(f"segment {segment.file}", done, len(manifest.segments))
            for finding in examine(self._folder, segment, manifest, full=self._full):
                whole = whole and finding.severity != _ERROR
                yield finding
        if self._copies and whole:
            self._progress("rows that are there twice", 0, 1)
            for file, tables in copies_found(self._folder, manifest).items():
                many = sum(map(len, tables.values()))
                what = f"has {many:,} rows of which there is a later or an equal copy"
                yield Finding(_ERROR, f"segments/{file}", what, Remedy.SETTLE)

    def _log_names(self) -> list[str]:
        return self._folder.log_names() if self._folder.logs.is_dir() else []

    def _logs(self, names: Sequence[str], manifest: Manifest) -> Iterator[Finding]:
        for done, name in enumerate(names):
            self._progress(f"log {name}", done, len(names))
            try:
                is_running = is_locked(self._folder.logs / name)
                found = survey(self._folder.logs / name)
            except FileNotFoundError:
                continue
            if name in manifest.sealed:
                yield Finding(_NOTE, f"logs/{name}", "is in segments, and would be removed next", Remedy.REMOVE)
                continue
            self._commits += len(found.frames)
            if found.damaged:
                what = f"{found.damaged:,} bytes from {found.since:,} on are damaged; "
                what += f"{len(found.frames):,} commits are whole, {found.behind:,} of them behind the damage"
                if is_running:
                    what += f"; it is repaired once {holders(self._folder.logs / name)} has ended"
                yield Finding(_ERROR, f"logs/{name}", what, None if is_running else Remedy.SALVAGE)
            if found.torn and not is_running:
                what = f"ends in {found.torn:,} bytes of a commit that was never finished"
                yield Finding(_NOTE, f"logs/{name}", what)

    def _orphans(self, manifest: Manifest, *, in_use: bool) -> Iterator[Finding]:
        """Segments that no manifest names. The process that seals has some for a moment, now and then."""
        named = {segment.file for segment in manifest.segments}
        severity, unless = (_NOTE, ", unless it is being written right now") if in_use else (_WARNING, "")
        for path in sorted(self._folder.segments.glob("[!.]*")):
            if path.with_suffix(SEGMENT).name not in named and path.suffix in (SEGMENT, INDEX):
                what = f"counts for nothing ({path.stat().st_size:,} bytes): a process was stopped{unless}"
                yield Finding(severity, f"segments/{path.name}", what, Remedy.SET_ASIDE)

    def _leftovers(self, *, sealing: bool) -> Iterator[Finding]:
        for path in self._folder.unfinished(now=time.time(), sealing=sealing):
            what = "was never finished, and will be removed by the next process that seals"
            yield Finding(_NOTE, str(path.relative_to(self._folder.path)), what, Remedy.REMOVE)

    def _state(self) -> Iterator[Finding]:
        path = self._folder.state
        if not path.exists():
            yield Finding(
                _ERROR, path.name, "is missing: threads, messages, resources, workflows and agents", Remedy.EMPTY_STATE
            )
            return
        self._progress(path.name, 0, 1)
        try:
            said, found = _integrity(path)
        except sqlite3.DatabaseError as error:
            yield Finding(_ERROR, path.name, f"cannot be read: {error}", Remedy.NEW_STATE)
            return
        if said != ["ok"]:
            yield Finding(_ERROR, path.name, "; ".join(said), Remedy.NEW_STATE)
        if found > VERSION:
            what = f"has schema version {found}, and this colonnade knows versions up to {VERSION}"
            yield Finding(_ERROR, path.name, what)

    def _damaged(self) -> Iterator[Finding]:
        kept = [path for path in (self._folder.path / DAMAGED).glob("*") if path.is_file()]
        if kept:
            what = f"{len(kept):,} files ({sum(path.stat().st_size for path in kept):,} bytes) were set aside earlier; "
            yield Finding(_NOTE, DAMAGED, what + "remove them when nobody needs them any more")

    def _still(self, findings: Sequence[Finding], before: Manifest | None) -> Iterator[Finding]:
        """The findings that still hold: none about files that came to count, or not to count, while it looked."""
        try:
            now = None if before is None else self._folder.manifest()
        except StoreError:
            now = None
        for finding in findings:
            path = self._folder.path / finding.file
            name = path.with_suffix(SEGMENT).name
            if now is None or before is None or path.parent not in (self._folder.segments, self._folder.logs):
                yield finding
            elif path.parent == self._folder.logs:
                if path.exists() and (path.name in now.sealed) == (path.name in before.sealed):
                    yield finding
            elif _names(now, name) == _names(before, name) and (_names(now, name) or os.path.lexists(path)):
                yield finding


def _integrity(path: Path) -> tuple[list[str], int]:
    """What SQLite says of a file, and the version of its schema; a file that nobody has open gets none beside it."""
    log = path.with_name(f"{path.name}-wal")
    untouched = not log.exists()
    address = f"file:{quote(str(path))}?mode=ro&immutable=1" if untouched else reading_address(path)
    with closing(sqlite3.connect(address, uri=True)) as connection:
        said = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    return _integrity(path) if untouched and log.exists() else (said, found)


def _names(manifest: Manifest, file: str) -> Segment | None:
    return next((segment for segment in manifest.segments if segment.file == file), None)
