"""What is expensive to make, made once and kept: stores, plain files and spans as Arrow, in the cache folder.

Everything is made under another name and renamed when it is whole. Beside each store lies what to ask of it: traces and
parents that it has, spread over its time, so that whoever asks need not look for them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from rich.progress import Progress

import bench.spans
import colonnade
from bench import floors
from bench.findings import Run
from bench.spans import NAMES, SCOPES, full, light
from colonnade.engine.plan import Put
from colonnade.engine.stores import embedded
from colonnade.schemas import SPANS

FULL_SIZE: Final = 3000
SMALL_SIZE: Final = 1700
"""Bytes of a full span as Arrow: as a model call with its conversation, and as a shorter one."""
FLOORS: Final = (Path(bench.spans.__file__), Path(floors.__file__))
ENGINE: Final = (FLOORS[0], *sorted(Path(embedded.__file__).parent.glob("*.py")))
"""The code that decides what is in the cache: of plain files, and of stores."""
ASKED: Final = 500
HELD: Final = 2_048
"""Rows in a batch of an Arrow file."""
PUT: Final = 20_480
"""Rows in a put where a store is only to be filled."""


def spans(rows: int, size: int = 0, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """The spans that everything here is made of: light ones, or full ones of a size."""
    return full(rows, size=size, seed=seed) if size else light(rows, seed=seed)


def arrow_file(run: Run, rows: int, size: int) -> Path:
    """The spans as an uncompressed Arrow file: read from there, making them costs a measurement nothing."""

    def make(path: Path, told: Callable[[int], None]) -> None:
        with pa.ipc.new_file(path, SPANS.schema) as file:
            for batch in spans(rows, size):
                for start in range(0, batch.num_rows, HELD):
                    file.write_batch(batch.slice(start, HELD))
                told(batch.num_rows)

    return cached(run, f"{_kind(size)}-{rows}.arrow", rows, make)


def read(path: Path) -> pa.Table:
    """The spans of an Arrow file, mapped into memory."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def stream(path: Path) -> Iterator[pa.RecordBatch]:
    """The spans of an Arrow file, a few at a time, read and let go: memory holds no more of it."""
    with pa.OSFile(str(path)) as file:
        held = pa.ipc.open_file(file)
        for place in range(held.num_record_batches):
            yield held.get_batch(place)


def store(run: Run, rows: int, size: int = 0) -> Path:
    """A folder with so many sealed spans, written through the public face."""

    def make(path: Path, told: Callable[[int], None]) -> None:
        asked: list[list[Any]] = []
        path.mkdir()
        with colonnade.open(path / "agent") as opened:
            for batch in spans(rows, size):
                remember(asked, batch, rows)
                for start in range(0, batch.num_rows, PUT):
                    opened.execute(Put(SPANS, pa.Table.from_batches([batch.slice(start, PUT)])))
                told(batch.num_rows)
            opened.optimize()
        (path / "asks.json").write_text(json.dumps(asked))

    return cached(run, f"{_kind(size)}-{rows}.store", rows, make, ENGINE)


def remember(asked: list[list[Any]], batch: pa.RecordBatch, rows: int) -> None:
    """Add what to ask of a store: of all its ``rows`` some that have a parent, as ``asks`` gives them."""
    children = batch.select(["traceId", "parentSpanId", "startedAt"])
    children = children.filter(children.column("parentSpanId").is_valid())
    step = max(1, rows // ASKED)
    for place in range(0, children.num_rows, step):
        trace, parent, moment = (column[place].as_py() for column in children.columns)
        asked.append([trace, parent, moment.isoformat()])


def asks(path: Path) -> list[tuple[str, str, datetime]]:
    """Of a store: traces, in each a span that has children, and when; in the order of time, known to be there."""
    said = json.loads((path / "asks.json").read_text())
    return [(trace, parent, datetime.fromisoformat(moment)) for trace, parent, moment in said]


COMMON: Final = NAMES[0]
RARE: Final = NAMES[-2]
"""One span in some five thousand has this name. (The last of the names stands for all that are rarer.)"""
SCOPE: Final = SCOPES[3]


def plain_duckdb(run: Run, rows: int, size: int = 0) -> Path:
    """The same spans in one plain DuckDB file."""

    def make(path: Path, told: Callable[[int], None]) -> None:
        made = pa.RecordBatchReader.from_batches(SPANS.schema, _counted(spans(rows, size), told))
        floors.duckdb_insert(path, made)

    return cached(run, f"{_kind(size)}-{rows}.duckdb", rows, make)


def plain_sqlite(run: Run, rows: int, size: int = 0) -> Path:
    """The same spans in one SQLite file with the indexes of the source documents."""

    def make(path: Path, told: Callable[[int], None]) -> None:
        connection = floors.sqlite_file(path)
        for batch in _counted(spans(rows, size), told):
            floors.sqlite_insert(connection, floors.sqlite_rows(batch))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()

    return cached(run, f"{_kind(size)}-{rows}.sqlite", rows, make)


def clone(path: Path, to: Path) -> Path:
    """A store that may be written to: segments never change, so they are shared; all else is copied."""
    if to.exists():
        shutil.rmtree(to)

    def link(source: str, target: str) -> None:
        if Path(source).parent.name == "segments":
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(path / "agent", to, copy_function=link)
    return to


def _kind(size: int) -> str:
    return f"full{size}" if size else "light"


def _counted(batches: Iterator[pa.RecordBatch], told: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        told(batch.num_rows)


def cached(
    run: Run,
    name: str,
    rows: int,
    make: Callable[[Path, Callable[[int], None]], None],
    sources: Iterable[Path] = FLOORS,
) -> Path:
    """What is in the cache by that name; made first where it is not there, or was made by another code than this.

    ``make`` is given where to, and what to tell each time that rows are done, of ``rows`` altogether.
    """
    path, stamp = run.cache / name, run.cache / f"{name}.made-by"
    code = _digest(sources)
    if path.exists() and (name in run.made or (not run.anew and (run.keep or _read(stamp) == code))):
        return path
    run.made.add(name)
    run.cache.mkdir(parents=True, exist_ok=True)
    unfinished = run.cache / f".{os.getpid()}-{name}"
    try:
        with Progress(console=run.console, transient=True) as progress:
            task = progress.add_task(f"making {name}", total=rows)
            make(unfinished, lambda done: progress.advance(task, done))
        remove(path)
        unfinished.rename(path)
        stamp.write_text(code)
    finally:
        for left in run.cache.glob(f".{os.getpid()}-{name}*"):
            remove(left)
    return path


def _digest(sources: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _read(stamp: Path) -> str:
    return stamp.read_text() if stamp.exists() else ""


def remove(path: Path) -> None:
    """Take away a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
