"""Write a file of recorded runs into a storage."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from colonnade.engine.plan import Plan, Put
from colonnade.errors import InvalidInput
from colonnade.ingest.rows import RunRows, Source, rows_of
from colonnade.ingest.transcripts import read_transcripts
from colonnade.schemas import MESSAGES, SCORES, SPANS, THREADS
from colonnade.schemas.records import encode

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Told after each chunk how many runs are written, and of how many."""

CHUNK: Final = 20
"""Runs that are written at once."""


class Executes(Protocol):
    """A storage with blocking methods, as far as writing needs it: what ``colonnade.open`` gives."""

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many of each a file holds, now in the storage. ``runs`` are traces; each run counts once.

    ``repeated`` counts runs that are in the file again, with the same item, trial and messages: they are one run.
    """

    runs: int = 0
    threads: int = 0
    messages: int = 0
    spans: int = 0
    scores: int = 0
    repeated: int = 0


def import_file(
    storage: Executes,
    path: str | PathLike[str],
    *,
    batch: str | None = None,
    dataset: str | None = None,
    scorer: str = "reward",
    progress: Progress | None = None,
) -> ImportReport:
    """Write the recorded runs of a file (see ``colonnade.ingest.transcripts``) as threads, messages, spans and scores.

    ``batch`` names the runs together (the file's name without its ending unless given), ``dataset`` where their items
    come from (the name of the file's folder unless given), ``scorer`` the rewards. The whole file is checked before
    anything is written. It is written in chunks of whole runs, the scores last; importing it again completes what was
    interrupted, and otherwise changes nothing. ``InvalidInput`` names the element or line that cannot be used.
    """
    if inspect.iscoroutinefunction(getattr(storage, "execute", None)):
        raise InvalidInput("this storage is awaited, and importing a file blocks: open it with colonnade.open()")
    path = Path(path)
    folder = path.resolve().parent.name or None
    source = Source(batch or path.stem, scorer, folder if dataset is None else dataset)
    total = sum(1 for _ in read_transcripts(path))
    report = ImportReport()
    done = 0
    seen: set[str] = set()
    for runs in _chunks(read_transcripts(path), CHUNK):
        chunk = [rows_of(run, source) for run in runs]
        for table, records in _tables(chunk):
            storage.execute(Put(table, encode(table, records)))
        for rows in chunk:
            report = _counted(report, rows, seen)
        done += len(runs)
        if progress is not None:
            progress(done, total)
    return report


def _tables(chunk: list[RunRows]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    # Scores last: a run that has its score is there as a whole.
    yield THREADS, [record for rows in chunk for record in rows.threads]
    yield MESSAGES, [record for rows in chunk for record in rows.messages]
    yield SPANS, [record for rows in chunk for record in rows.spans]
    yield SCORES, [record for rows in chunk for record in rows.scores]


def _counted(report: ImportReport, rows: RunRows, seen: set[str]) -> ImportReport:
    thread = rows.threads[0]["id"]
    if thread in seen:
        return replace(report, repeated=report.repeated + 1)
    seen.add(thread)
    return replace(
        report,
        runs=report.runs + 1,
        threads=report.threads + len(rows.threads),
        messages=report.messages + len(rows.messages),
        spans=report.spans + len(rows.spans),
        scores=report.scores + len(rows.scores),
    )


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
