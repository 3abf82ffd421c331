"""Merging segments: small ones that follow one another in time become larger ones, and exceptions are folded in.

Rows are copied segment by segment, without sorting them again: each is in order, and the index copes with a trace that
lies in two places. The manifest may change meanwhile, when logs are sealed between two steps; what the copied segments
lose by that is carried over to the merged one by row id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from colonnade.engine.stores.embedded.folder import Folder, Manifest, Segment
from colonnade.engine.stores.embedded.index import empty_columns, index_path
from colonnade.engine.stores.embedded.segment_writer import SegmentWriter
from colonnade.engine.stores.embedded.segments import VERSION_COLUMN

TIERS: Final = ((250_000, 16), (4_000_000, 8))
"""Segments with fewer rows than the first number are merged as soon as there are so many as the second says ..."""
LARGE: Final = 8_000_000
"""... as long as the merged one has no more rows than this ..."""
LARGE_BYTES: Final = 2 * 2**30
"""... and not many more bytes than this: what is pruned is pruned by whole segments as far as possible."""
WORN: Final = 0.1
"""A segment of which more than this part does not hold any more is written anew."""


def compact(folder: Folder, *, force: bool = False, between: Callable[[], object] = lambda: None) -> int:
    """Merge what is due, or with ``force`` all that may be merged; how many segments became fewer or fresh ones.

    The caller holds the lease. ``between`` is called between steps of a second or so, and may seal.
    """
    merged = 0
    while group := _due(folder, force=force):
        if not merge(folder, group, between):
            break
        merged += len(group)
    return merged


def _due(folder: Folder, *, force: bool) -> list[Segment]:
    """The segments to merge next, in the order of time."""
    manifest = folder.manifest()
    ordered = sorted(manifest.segments, key=lambda each: (min(each.first.values()), each.file))
    sizes = {each.file: (folder.segments / each.file).stat().st_size for each in ordered}
    if force:
        for group in _groups(ordered, sizes):
            if len(group) > 1 or _loses(manifest, group[0]) or (manifest.cleared and len(ordered) == 1):
                return group
        return []
    for segment in ordered:
        if _loses(manifest, segment) > WORN * segment.size:
            return [segment]
    at_least = 0
    for rows, many in TIERS:
        tier = [each for each in ordered if at_least <= each.size < rows]
        at_least = rows
        if len(tier) >= many and len(group := max(_groups(tier, sizes), key=len)) >= many // 2:
            return group
    return []


def _groups(segments: Sequence[Segment], sizes: dict[str, int]) -> list[list[Segment]]:
    """Segments that follow one another, together as long as they stay small enough."""
    groups: list[list[Segment]] = []
    rows = size = 0
    for segment in segments:
        rows, size = rows + segment.size, size + sizes[segment.file]
        if groups and rows <= LARGE and size <= LARGE_BYTES:
            groups[-1].append(segment)
        else:
            groups.append([segment])
            rows, size = segment.size, sizes[segment.file]
    return groups


def _loses(manifest: Manifest, segment: Segment) -> int:
    """How many of its rows do not hold any more, as far as is known."""
    return sum(map(len, manifest.exceptions.get(segment.file, {}).values()))


def merge(folder: Folder, group: Sequence[Segment], between: Callable[[], object]) -> bool:
    """Write one segment in place of some; ``False`` where the manifest changed in a way that cannot be carried over."""
    before = folder.manifest()
    path = folder.segments / f"{before.generation + 1:08d}-{uuid4().hex[:8]}.duckdb"
    starts: dict[str, dict[str, int]] = {}
    with SegmentWriter(path, empty_columns(index_path(folder.segments / each.file) for each in group)) as writer:
        for segment in group:
            starts[segment.file] = dict(writer.rows)
            for _ in writer.copy(folder.segments / segment.file, _conditions(before, segment)):
                between()
        merged = writer.finish()
    now = folder.manifest()
    files = [each.file for each in group]
    moved = _moved(before, now, starts)
    if moved is None or not set(files) <= {each.file for each in now.segments}:
        for left in (path, index_path(path)):
            left.unlink(missing_ok=True)
        return False
    kept = tuple(each for each in now.segments if each.file not in files)
    exceptions = {file: tables for file, tables in now.exceptions.items() if file not in files}
    folder.install(
        now.next(
            segments=(*kept, *([merged] if merged.size else [])),
            exceptions=exceptions | ({merged.file: moved} if moved and merged.size else {}),
            cleared=now.cleared if kept else {},
        )
    )
    for name in [*files, *([] if merged.size else [path.name])]:
        for left in (folder.segments / name, index_path(folder.segments / name)):
            left.unlink(missing_ok=True)
    return True


def _conditions(manifest: Manifest, segment: Segment) -> dict[str, str]:
    """By table, which rows of a segment hold."""
    conditions = {}
    for table in segment.rows:
        parts = []
        if places := manifest.exceptions.get(segment.file, {}).get(table):
            parts.append(f"rowid NOT IN ({', '.join(map(str, map(int, places)))})")
        if cleared := manifest.cleared.get(table):
            parts.append(f"{VERSION_COLUMN} > {int(cleared)}")
        if parts:
            conditions[table] = " AND ".join(parts)
    return conditions


def _moved(before: Manifest, now: Manifest, starts: dict[str, dict[str, int]]) -> dict[str, list[int]] | None:
    """What the copied segments lost since the copy began, as rows of the merged one; ``None`` where that is unknown."""
    if before.cleared != now.cleared:
        return None
    moved: dict[str, list[int]] = {}
    for file, start in starts.items():
        left_out, gone = before.exceptions.get(file, {}), now.exceptions.get(file, {})
        for table, places in gone.items():
            old = left_out.get(table, [])
            new = sorted(set(places).difference(old))
            if new and before.cleared.get(table):
                return None  # rows were left out by their version, so it is not known where the others went
            moved.setdefault(table, []).extend(start[table] + place - bisect_left(old, place) for place in new)
    return {table: sorted(places) for table, places in moved.items() if places}
