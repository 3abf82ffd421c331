"""Mending an embedded folder. No data is deleted: what is replaced is kept in ``damaged``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb

from colonnade.engine.stores.embedded import segment_repair, state_repair
from colonnade.engine.stores.embedded.checking import Progress, check
from colonnade.engine.stores.embedded.findings import Finding, Remedy, Report
from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment
from colonnade.engine.stores.embedded.locks import holders
from colonnade.engine.stores.embedded.salvage import mend, set_aside
from colonnade.engine.stores.embedded.segment_check import describe
from colonnade.engine.stores.embedded.segments import duckdb_reading
from colonnade.errors import StoreError, StoreLocked
from colonnade.schemas import VERSION

_ROUNDS: Final = 6
"""Repairs that follow from repairs, at most."""


def fsck(
    path: str | os.PathLike[str],
    *,
    repair: bool = False,
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> Report:
    """Check an embedded folder, which may be in use, and with ``repair`` mend what can be mended.

    The report is of the folder as it is afterwards. ``full`` looks at every row of every index, and for rows that are
    there twice. Repairing needs the folder for itself: ``StoreLocked`` while another process seals it.
    """
    place = Path(path)
    report = check(place, full=full, copies=full, progress=progress)
    if not repair:
        return report
    folder = Folder(place)
    lease = folder.lease()
    if lease is None:
        who = holders(place / "lease")
        raise StoreLocked(
            f"{place} is in use by {who}, which seals it: close it there, then repair; nothing was changed"
        )
    with closing(lease):
        report, done = _repaired(folder, full, progress)
    return replace(report, repaired=tuple(done))


def _repaired(folder: Folder, full: bool, progress: Progress) -> tuple[Report, list[str]]:
    done: list[str] = []
    rebuilt = False
    for _ in range(_ROUNDS):
        report = check(folder.path, full=full, copies=full or rebuilt, alone=True, progress=progress)
        due = [(finding, finding.remedy) for finding in report.findings if finding.remedy]
        if not due:
            break
        # What the manifest says is known only once there is one; and so on.
        due.sort(key=lambda each: _ORDER[each[1]])
        rebuilt = rebuilt or due[0][1] == Remedy.NEW_MANIFEST
        for finding, remedy in due:
            if _ORDER[due[0][1]] > _ORDER[Remedy.NEW_MANIFEST] or remedy == due[0][1]:
                done.append(f"{finding.file}: {_REPAIRS[remedy](folder, finding)}")
    return report, done


def _new_marker(folder: Folder, finding: Finding) -> str:
    _aside(folder, finding)
    folder.mark()
    return f"written anew, with schema version {VERSION}"


def _new_manifest(folder: Folder, finding: Finding) -> str:
    """Name all segments that can be opened. Rows that are in several are settled by the next round."""
    _aside(folder, finding)
    segments, closed = [], 0
    for path in sorted(folder.segments.glob("[!.]*.duckdb")):
        try:
            with duckdb_reading(path) as connection:
                segments.append(describe(connection, path.name))
        except (duckdb.Error, StoreError):
            closed += 1
    generation = max((_generation(segment) for segment in segments), default=0)
    folder.install(Manifest(generation, tuple(segments)).next())
    rest = f"; {closed} cannot be opened" if closed else ""
    return f"rebuilt from {len(segments)} segments with {sum(each.size for each in segments):,} rows{rest}"


def _generation(segment: Segment) -> int:
    number = segment.file.split("-")[0]
    return int(number) if number.isdecimal() else 0


def _salvage(folder: Folder, finding: Finding) -> str:
    mended = mend(folder, Path(finding.file).name)
    if mended is None:
        return "is whole"
    return f"{mended.commits:,} commits are in {mended.log}, the damaged log is {mended.aside.relative_to(folder.path)}"


def _set_aside(folder: Folder, finding: Finding) -> str:
    return f"moved to {set_aside(folder, folder.path / finding.file).relative_to(folder.path)}"


def _remove(folder: Folder, finding: Finding) -> str:
    (folder.path / finding.file).unlink(missing_ok=True)
    return "removed"


def _aside(folder: Folder, finding: Finding) -> None:
    if (folder.path / finding.file).exists():
        set_aside(folder, folder.path / finding.file)


_ORDER: Final = {remedy: place for place, remedy in enumerate(Remedy)}
_REPAIRS: Final[Mapping[Remedy, Callable[[Folder, Finding], str]]] = {
    Remedy.NEW_MARKER: _new_marker,
    Remedy.NEW_MANIFEST: _new_manifest,
    Remedy.FORGET: segment_repair.forget,
    Remedy.REWRITE: segment_repair.rewrite,
    Remedy.CORRECT: segment_repair.correct,
    Remedy.REINDEX: segment_repair.reindex,
    Remedy.SETTLE: segment_repair.settle,
    Remedy.SALVAGE: _salvage,
    Remedy.NEW_STATE: state_repair.new_state,
    Remedy.EMPTY_STATE: state_repair.empty_state,
    Remedy.SET_ASIDE: _set_aside,
    Remedy.REMOVE: _remove,
}
