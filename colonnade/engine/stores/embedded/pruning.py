"""Pruning a folder: what is out of date goes, and the disk gets its room back.

Nobody is kept waiting while rows are judged and copied. At the end, alone for some milliseconds, it is looked whether a
trace that is to go was written to meanwhile, or scored: if so, everything begins anew. What a crash leaves behind are
files that do not count, which the next prune unlinks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from typing import Final

from colonnade.engine.retention import Progress, Pruned, Retention
from colonnade.engine.stores.embedded.columnar import ColumnarStore
from colonnade.engine.stores.embedded.folder import Folder
from colonnade.engine.stores.embedded.judging import Judge
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.logged import COLUMNS, Logs
from colonnade.engine.stores.embedded.retiring import Retiring, is_full, unlink
from colonnade.engine.stores.embedded.sealing import seal
from colonnade.engine.stores.embedded.segments import SUFFIX
from colonnade.errors import Conflict, StoreClosed, StoreError

TRIES: Final = 5
"""How often it begins anew where others keep writing to what is to go."""


def prune(
    folder: Folder,
    retention: Retention,
    tables: Collection[str],
    *,
    stopped: Callable[[], bool],
    let_go: Callable[[], object],
    progress: Progress,
) -> Pruned:
    """Delete what is out of date in some tables. The caller has the lease.

    ``let_go`` has this process close what was unlinked: the disk gets its room back when the last one does.
    ``Conflict`` where others kept writing to what was to go, ``StoreClosed`` once it is ``stopped``, ``StoreError``
    where there is no room for what is to be written anew; each says what was deleted so far.
    """

    done = Pruned(retention.cutoff)

    def between() -> None:
        if stopped():
            raise StoreClosed(f"{folder.path} was closed while it was pruned. So far: {done}")
        _seal(folder)

    _unlink_forgotten(folder)
    _seal(folder, force=True)
    tries = TRIES
    while tries:
        with _judged(folder, retention, tables, progress) as pruning:
            pruning.rewrite(between, progress)
            pruned = pruning.commit()
        if pruned is None:
            tries -= 1
            continue
        done += pruned
        let_go()
        if not pruning.postponed:
            return done
        if not pruned.bytes:  # else what went as a whole made room for the rest
            size = sum(segment.size for segment in pruning.postponed)
            raise StoreError(
                f"{folder.path}: no room to write {size:,} rows anew without what is older. So far: {done}"
            )
    raise Conflict(f"{folder.path}: what is older is being written to all the time; try again later. So far: {done}")


def foresee(folder: Folder, retention: Retention, tables: Collection[str], progress: Progress) -> Pruned:
    """What would be deleted. Nothing is written, and no lease is needed."""
    for left in reversed(range(TRIES)):
        before = folder.stamp()
        try:
            with _judged(folder, retention, tables, progress) as pruning:
                if folder.stamp() == before:
                    return pruning.foreseen()
        except StoreError:  # perhaps a segment was merged away before it could be looked at
            if not left or folder.stamp() == before:
                raise
    raise Conflict(f"{folder.path}: segments are merged faster than they can be looked at; try again later")


@contextmanager
def _judged(folder: Folder, retention: Retention, tables: Collection[str], progress: Progress) -> Iterator[Retiring]:
    logs = Logs(folder)  # it reads first: what it has not read then is looked at again in the end
    with closing(Judge(retention, folder.segments)) as judge:
        with closing(ColumnarStore(folder)) as store:
            pictures = store.pictures({table: COLUMNS[table.name] for table in TABLES.values()})
            judge.judge(pictures, tables, progress)
        pruning = Retiring(folder, retention, judge, logs)
        try:
            yield pruning
        finally:
            pruning.clean_up()


def _seal(folder: Folder, *, force: bool = False) -> None:
    """Seal what is due, so that nobody waits for it; on a full disk it can wait until there is room."""
    try:
        seal(folder, force=force)
    except (OSError, StoreError) as error:
        if not is_full(error):
            raise


def _unlink_forgotten(folder: Folder) -> None:
    """Unlink segments that do not count: a process ended before it could."""
    counts = {segment.file for segment in folder.manifest().segments}
    unlink(folder, {path.with_suffix(SUFFIX).name for path in folder.segments.iterdir()} - counts)
