"""A prune that is cut off before each of its changes to the folder, in turn. Run by test_prune_kill.py, alone.

Each trial forks from this process, which never opens a store itself, and so does each look at what is left.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.plan import Scan
from colonnade.schemas import SPANS

CUTOFF = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD, YOUNG = CUTOFF - 9 * HOUR, CUTOFF + HOUR
CUT_OFF = 9
LOCKS = ("lease", "wanted", "changing", "waiting", "clock")


def trace(name: str, start: datetime, *ids: str) -> list[dict[str, Any]]:
    """Spans of a trace."""
    return [{"traceId": name, "spanId": id, "name": "n", "startedAt": start, "endedAt": start} for id in ids]


def prepare(folder: Path) -> None:
    """Three segments: nothing, half and nearly all of which stays, and traces that lie in several."""
    with colonnade.open(folder) as store:
        keeper: Any = store.stores[0]
        for part in (
            [*trace("old", OLD, "1", "2"), *trace("far", OLD, "1"), *trace("long", OLD, "1")],
            [*trace("half", OLD, "1", "2"), *trace("far", OLD, "2"), *trace("new", YOUNG, "1", "2")],
            [*trace("few", OLD, "1"), *(span for n in range(40) for span in trace(f"many{n}", YOUNG, "1"))],
        ):
            store.observability.batch_create_spans(records=part)
            keeper.optimize(merge=False)


def prune(folder: Path, steps: int | None = None) -> None:
    """Prune while another store writes a log of its own, and end before the change of that number."""
    with colonnade.open(folder) as other, colonnade.open(folder) as store:
        written = [*trace("far", OLD, "3"), *trace("logged", OLD, "1"), *trace("long", YOUNG, "2")]
        other.observability.batch_create_spans(records=written)
        if steps is not None:
            cut_off_before(folder, steps)
        store.prune(older_than=CUTOFF)
    os._exit(0)  # without looking at what closing changes


def cut_off_before(folder: Path, steps: int) -> None:
    """End this process, as if it were killed, before that change to the folder."""
    left = steps

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        changes = event in ("os.rename", "os.remove", "os.truncate") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        path = Path(str(arguments[0]))
        if changes and folder in path.parents and path.name not in LOCKS:
            left -= 1
            if left < 0:
                os._exit(CUT_OFF)

    sys.addaudithook(look)


BEFORE = {f"many{n}": 1 for n in range(40)} | {"new": 2, "long": 2}
AFTER = BEFORE.copy()
BEFORE |= {"old": 2, "far": 3, "half": 2, "few": 1, "logged": 1}


def found(store: Any) -> dict[str, int]:
    """How many spans each trace has; none is there twice."""
    rows = store.execute(Scan(SPANS, columns=SPANS.key)).to_pylist()
    assert len({(row["traceId"], row["spanId"]) for row in rows}) == len(rows), "a span is there twice"
    names = [row["traceId"] for row in rows]
    return {name: names.count(name) for name in names}


def look(folder: Path) -> None:
    """All is there, or all but what is out of date; and then it can be pruned, and nothing is left lying about."""
    with colonnade.open(folder) as store:
        there = found(store)
        assert there in (BEFORE, AFTER), f"neither as before nor as after: {there}"
        store.prune(older_than=CUTOFF)
        assert found(store) == AFTER
        keeper: Any = store.stores[0]
        counts = {segment.file for segment in keeper.folder.manifest().segments}
        lies = {path.name for path in keeper.folder.segments.iterdir()}
        assert lies == counts | {file.replace(".duckdb", ".index") for file in counts}, f"{lies} for {counts}"
        store.optimize()
        assert found(store) == AFTER


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked process; how that ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(folder: Path) -> None:
    """Cut it off before every change, one after the other; writes how many there are."""
    import_module("colonnade.engine.stores.embedded.pruning")  # before the forks, so that no trial pays for it
    prepared = folder / "prepared"
    assert in_child(lambda: prepare(prepared)) == 0
    steps = 0
    while True:
        place = folder / "agent"
        shutil.copytree(prepared, place)
        ended = in_child(lambda: prune(place, steps))  # noqa: B023 - it runs at once
        assert ended in (0, CUT_OFF), f"step {steps} ended with {ended}"
        assert in_child(lambda: look(place)) == 0, f"cut off before step {steps}"  # noqa: B023
        shutil.rmtree(place)
        if not ended:
            break
        steps += 1
    sys.stdout.write(f"{steps}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
