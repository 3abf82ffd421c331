"""Four processes that write the same and different keys to one Lance store: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Scan
from colonnade.engine.stores.lance import upkeep
from colonnade.schemas import MESSAGES, SPANS

SECONDS = float(os.environ.get("COLONNADE_LANCE_SOAK", "6"))
WRITER = Path(__file__).with_name("writer.py")
NAMES = ("a", "b", "c", "d")


def written(address: str, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """What four processes say that they have written."""
    command = [sys.executable, str(WRITER), address]
    started = [
        subprocess.Popen([*command, name, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in NAMES
    ]
    said = [process.communicate(timeout=seconds + 240) for process in started]
    for process, (_, errors) in zip(started, said, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in said]


def look(store: Any, reports: list[dict[str, Any]]) -> None:
    """Everything that was acknowledged is there, once, and ended."""
    spans = store.execute(Scan(SPANS, columns=("traceId", "spanId", "endedAt")))
    keys = Counter(zip(spans.column("traceId").to_pylist(), spans.column("spanId").to_pylist(), strict=True))
    assert [key for key, times in keys.items() if times > 1] == []
    assert spans.column("endedAt").null_count == 0
    found = {span for _, span in keys}
    assert found == {span for report in reports for span in (*report["own"], *report["shared"])}

    messages = store.execute(Scan(MESSAGES, columns=("id",))).column("id").to_pylist()
    expected = {
        f"{name}-{place}" for name, report in zip(NAMES, reports, strict=True) for place in range(report["rounds"])
    }
    expected |= {f"m{place}" for report in reports for place in range(min(report["rounds"], 40))}
    assert len(messages) == len(set(messages))
    assert set(messages) == expected

    counter = store.memory.get_resource_by_id(resource_id="counter")
    counted = {
        f"{name}-{place}" for name, report in zip(NAMES, reports, strict=True) for place in range(report["counted"])
    }
    assert set(counter["metadata"]) == counted, "an update of one was undone by another"


def test_four_processes_lose_nothing_and_duplicate_nothing(tmp_path: Path) -> None:
    address = f"lancedb:///{tmp_path / 'agent'}"
    reports = written(address)
    assert all(report["rounds"] > 2 for report in reports), "one of them hardly ever had its turn"
    with colonnade.open(address) as store:
        look(store, reports)
        store.optimize()
        look(store, reports)


def test_neither_do_they_while_it_is_tidied_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Versions are kept for a moment only, but for longer than a read takes.
    monkeypatch.setattr(upkeep, "KEPT", timedelta(seconds=30))
    address = f"lancedb:///{tmp_path / 'agent'}"
    done: list[str] = []
    over = threading.Event()

    def tidy() -> None:
        with colonnade.open(address) as store:
            while not over.wait(0.05):
                done.extend(store.optimize())

    thread = threading.Thread(target=tidy)
    thread.start()
    try:
        reports = written(address)
    finally:
        over.set()
        thread.join()
    assert sum("Compacted 0" not in each for each in done) > 2, done
    with colonnade.open(address) as store:
        look(store, reports)
        for report, name in zip(reports, NAMES, strict=True):  # through indexes, some of them made meanwhile
            last = store.observability.get_trace(trace_id=f"{name}-{report['rounds'] - 1}")
            assert last is not None and len(last["spans"]) == 5


def test_neither_do_they_in_an_object_store(bucket: str) -> None:
    # No file can be locked there: only that commits are refused keeps them apart.
    reports = written(bucket)
    with colonnade.open(bucket) as store:
        look(store, reports)
