"""Processes write the same rows one after another; in whatever order their logs are sealed, the last write holds."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from colonnade.engine.plan import Is, Scan
from colonnade.schemas import SPANS
from colonnade.testing.processes import Elsewhere

WHEN = "2026-01-01T00:00:00Z"
Opened = Callable[..., list[Elsewhere]]
Step = Callable[[Elsewhere], Any]


def put(id: str, *, ended: bool = True, **more: Any) -> Step:
    record = {"traceId": "t", "spanId": id, "name": "first", "startedAt": WHEN, "endedAt": WHEN if ended else None}
    return lambda process: process.observability.create_span(span={**record, **more})


def update(id: str, **updates: Any) -> Step:
    return lambda process: process.observability.update_span(trace_id="t", span_id=id, updates=updates)


def delete(process: Elsewhere) -> None:
    process.observability.batch_delete_traces(trace_ids=["t"])


def clear(process: Elsewhere) -> None:
    process.observability.dangerously_clear_all()


def seal(process: Elsewhere) -> None:
    process.optimize()


A, B, C, SEALER = range(4)
SCRIPTS: dict[str, tuple[list[tuple[int, Step]], dict[str, str]]] = {
    "a delete by another": ([(A, put("x")), (B, delete)], {}),
    "a delete, and then the same row again": (
        [(A, put("x")), (B, delete), (A, put("x", name="again"))],
        {"x": "again"},
    ),
    # C's log is older than B's: whoever reads A, C and B in this order meets the last copy before the delete.
    "ended, deleted, and running again": (
        [(A, put("x")), (C, put("y")), (B, delete), (C, put("x", ended=False, name="again"))],
        {"x": "again"},
    ),
    "ended, sealed, deleted, and running again": (
        [(A, put("x")), (A, seal), (SEALER, seal), (B, delete), (C, put("x", ended=False, name="again"))],
        {"x": "again"},
    ),
    "everything cleared, and more after it": ([(A, put("x")), (B, clear), (C, put("y"))], {"y": "first"}),
    "updates by two others": (
        [(A, put("x")), (B, update("x", name="second")), (C, update("x", name="third"))],
        {"x": "third"},
    ),
    "a sealed row that is updated and deleted": (
        [(A, put("x")), (A, put("y")), (A, seal), (SEALER, seal), (B, update("x", name="second")), (C, delete)],
        {},
    ),
    "begun by one, ended by another": (
        [(A, put("x", ended=False)), (B, update("x", endedAt=WHEN, name="ended"))],
        {"x": "ended"},
    ),
    "a start that comes after the end": ([(A, put("x", name="ended")), (B, put("x", ended=False))], {"x": "ended"}),
}


@pytest.mark.parametrize(("steps", "expected"), SCRIPTS.values(), ids=SCRIPTS)
def test_the_last_write_holds(
    steps: list[tuple[int, Step]], expected: dict[str, str], opened: Opened, tmp_path: Path
) -> None:
    processes = opened(4, folder=None)

    def check(sealed: tuple[int, ...]) -> None:
        for process in processes:
            found = process.execute(Scan(SPANS, Is("traceId", "=", "t"), columns=("spanId", "name"))).to_pylist()
            assert {row["spanId"]: row["name"] for row in found} == expected, f"logs sealed in this order: {sealed}"
            assert len(found) == len(expected)

    sealed = {writer for writer, step in steps if step is seal}
    writers = sorted({writer for writer, _ in steps} - sealed - {SEALER})
    for number, order in enumerate(permutations(writers)):
        for process in reversed(processes):  # the sealer is the first, and has the lease
            process.open(str(tmp_path / f"agent{number}"))
            process.optimize()
        for writer, step in steps:
            step(processes[writer])
        check(())
        for place, writer in enumerate(order, 1):
            processes[writer].optimize()  # closes its log, and no more: it has no lease
            processes[SEALER].optimize()
            check(order[:place])
