"""Pruning an embedded folder: what becomes of its files, of other processes' logs, and of what is written meanwhile."""

import errno
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.embedded import handover, sealing
from colonnade.engine.stores.embedded import store as embedded
from colonnade.engine.stores.embedded.folder import Folder, Manifest
from colonnade.engine.stores.embedded.segment_writer import SegmentWriter
from colonnade.errors import Conflict, StoreClosed, StoreError, StoreLocked

CUTOFF = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD, YOUNG = CUTOFF - 9 * HOUR, CUTOFF + HOUR


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "agent")


@pytest.fixture
def opened(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Opens the folder, as another process would, as often as it is called."""
    monkeypatch.setattr(embedded, "_INTERVAL", 0.01)
    stores: list[Any] = []

    def open_it() -> Any:
        stores.append(colonnade.open(folder.path))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()
    assert colonnade.fsck(folder.path, full=True).findings == ()


@pytest.fixture
def store(opened: Callable[[], Any]) -> Any:
    return opened()


def spans(names: range, start: datetime, *, each: int = 3, prefix: str = "t") -> list[dict[str, Any]]:
    """Traces of a few spans, each of which takes a minute."""
    return [
        {
            "traceId": f"{prefix}{number:04}",
            "spanId": f"{place}",
            "name": "n",
            "startedAt": start + number * timedelta(seconds=1) + place * timedelta(minutes=1),
            "endedAt": start + number * timedelta(seconds=1) + (place + 1) * timedelta(minutes=1),
        }
        for number in names
        for place in range(each)
    ]


def put(store: Any, records: list[dict[str, Any]]) -> None:
    store.observability.batch_create_spans(records=records)


def seal(store: Any) -> None:
    store.stores[0].optimize(merge=False)


def put_and_seal(store: Any, *parts: list[dict[str, Any]]) -> None:
    for part in parts:
        put(store, part)
    seal(store)


def traces(store: Any) -> dict[str, int]:
    """How many spans each trace has; none may be there twice."""
    rows = store.sql('select "traceId" t, "spanId" s from spans').rows()
    assert len({(row["t"], row["s"]) for row in rows}) == len(rows), "a span is there twice"
    names = [row["t"] for row in rows]
    return {name: names.count(name) for name in sorted(set(names))}


def whole(names: range, prefix: str = "t") -> dict[str, int]:
    return {f"{prefix}{number:04}": 3 for number in names}


def files(folder: Folder) -> set[str]:
    return {path.name for path in folder.segments.iterdir()}


def disk(folder: Folder) -> int:
    return sum(path.stat().st_size for path in folder.segments.iterdir())


# What becomes of segments.


def test_a_segment_nothing_of_which_stays_is_unlinked_and_none_is_written(store: Any, folder: Folder) -> None:
    put_and_seal(store, spans(range(100), OLD))
    put_and_seal(store, spans(range(100, 200), OLD))
    put_and_seal(store, spans(range(200, 300), YOUNG))
    before, size = files(folder), disk(folder)
    foreseen = store.prune(older_than=CUTOFF, dry_run=True)
    assert files(folder) == before
    done = store.prune(older_than=CUTOFF)
    assert files(folder) < before
    assert len(files(folder)) == 2  # a segment and its index
    assert done.bytes == foreseen.bytes == size - disk(folder) > 0
    assert traces(store) == whole(range(200, 300))


def test_one_of_which_much_goes_is_written_anew(store: Any, folder: Folder) -> None:
    put_and_seal(store, spans(range(100), OLD), spans(range(100, 200), YOUNG))
    before = files(folder)
    store.prune(older_than=CUTOFF)
    assert not files(folder) & before
    (segment,) = folder.manifest().segments
    assert segment.rows == {"spans": 300}
    assert folder.manifest().exceptions == {}
    assert traces(store) == whole(range(100, 200))
    assert len(store.observability.get_trace(trace_id="t0150")["spans"]) == 3
    assert store.observability.get_trace(trace_id="t0050") is None


def test_a_few_rows_become_exceptions(store: Any, folder: Folder) -> None:
    put_and_seal(store, spans(range(2), OLD), spans(range(2, 200), YOUNG))
    before = files(folder)
    pruned = store.prune(older_than=CUTOFF)
    assert (pruned.traces, pruned.spans, pruned.bytes) == (2, 6, 0)
    assert files(folder) == before
    assert [len(tables["spans"]) for tables in folder.manifest().exceptions.values()] == [6]
    assert traces(store) == whole(range(2, 200))
    store.optimize()
    assert folder.manifest().exceptions == {}
    assert traces(store) == whole(range(2, 200))


def test_nothing_to_do_leaves_everything_as_it_is(store: Any, folder: Folder) -> None:
    put_and_seal(store, spans(range(10), YOUNG))
    before = folder.manifest()
    store.prune(older_than=CUTOFF)
    assert folder.manifest() == before


def test_segments_that_do_not_count_are_unlinked(store: Any, folder: Folder) -> None:
    put_and_seal(store, spans(range(10), YOUNG))
    before = files(folder)
    for name in ("00000099-deadbeef.duckdb", "00000099-deadbeef.index", "00000098-deadbeef.index"):
        (folder.segments / name).write_bytes(b"left behind")
    store.prune(older_than=CUTOFF, dry_run=True)
    assert len(files(folder)) == len(before) + 3
    store.prune(older_than=CUTOFF)
    assert files(folder) == before


def fail_to_finish(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """As if the disk were full so many times when a segment is written."""
    left = [None] * times
    finish = SegmentWriter.finish

    def finish_later(writer: SegmentWriter) -> Any:
        if left:
            left.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return finish(writer)

    monkeypatch.setattr(SegmentWriter, "finish", finish_later)


def two_segments(store: Any) -> None:
    """One of which nothing stays, one of which half does, and a trace that lies in both and is old."""
    put_and_seal(store, spans(range(100), OLD), spans(range(999, 1000), OLD, each=1))
    put_and_seal(store, spans(range(100, 200), OLD), spans(range(200, 300), YOUNG), spans(range(999, 1000), OLD)[1:])


def test_on_a_full_disk_whole_segments_go_first_and_make_room(
    store: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_segments(store)
    fail_to_finish(monkeypatch, 1)
    manifests: list[Manifest] = []
    install = Folder.install

    def install_and_tell(self: Folder, manifest: Manifest) -> None:
        manifests.append(manifest)
        install(self, manifest)

    monkeypatch.setattr(Folder, "install", install_and_tell)
    pruned = store.prune(older_than=CUTOFF)
    assert (pruned.traces, pruned.spans) == (201, 603)
    assert traces(store) == whole(range(200, 300))
    first, second = manifests
    assert [segment.size for segment in first.segments] == [602]
    assert [len(tables["spans"]) for tables in first.exceptions.values()] == [2]  # of the trace that lies in both
    assert ([segment.size for segment in second.segments], second.exceptions) == ([300], {})


def test_without_any_room_it_says_what_is_done(store: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    two_segments(store)
    fail_to_finish(monkeypatch, 2)
    with pytest.raises(StoreError, match=r"no room to write 602 rows anew.*So far: 101 traces with 303 spans"):
        store.prune(older_than=CUTOFF)
    assert traces(store) == whole(range(100, 300))
    assert len(files(folder)) == 2
    assert store.prune(older_than=CUTOFF).traces == 100
    assert traces(store) == whole(range(200, 300))


# Traces in several places, and other processes' logs.


def test_a_trace_is_judged_by_all_its_rows_wherever_they_are(opened: Callable[[], Any]) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(3), OLD, each=1))
    later = [{**span, "spanId": "later"} for span in spans(range(3), OLD + HOUR, each=1)]
    put_and_seal(store, [later[0]])
    put(other, later[1:])
    put(other, [{**span, "spanId": "latest"} for span in spans(range(1, 2), YOUNG, each=1)])
    pruned = store.prune(older_than=CUTOFF)
    assert (pruned.traces, pruned.spans) == (2, 4)
    assert traces(store) == traces(other) == {"t0001": 3}


def test_old_rows_in_the_log_of_a_process_that_goes_on_writing_go_for_good(opened: Callable[[], Any]) -> None:
    store, other = opened(), opened()
    put(other, spans(range(10), OLD) + spans(range(10, 20), YOUNG))
    pruned = store.prune(older_than=CUTOFF)
    assert (pruned.traces, pruned.spans) == (10, 30)
    put(other, spans(range(20, 30), YOUNG))
    assert traces(store) == traces(other) == whole(range(10, 30))
    other.close()
    seal(store)
    assert traces(store) == whole(range(10, 30))
    assert sum(segment.size for segment in store.stores[0].folder.manifest().segments) == 60
    store.close()
    assert traces(opened()) == whole(range(10, 30))


def test_an_older_copy_in_a_log_does_not_come_back_when_the_later_one_goes(opened: Callable[[], Any]) -> None:
    store, other = opened(), opened()
    (span,) = spans(range(1), OLD, each=1)
    put(other, [{**span, "endedAt": None}])
    store.observability.update_span(trace_id="t0000", span_id="0", updates={"endedAt": OLD + HOUR})
    seal(store)
    pruned = store.prune(older_than=CUTOFF)
    assert (pruned.traces, pruned.spans) == (1, 1)
    assert traces(store) == traces(other) == {}
    other.close()
    seal(store)
    assert traces(store) == {}
    assert traces(opened()) == {}


def test_nor_does_one_in_a_segment(opened: Callable[[], Any]) -> None:
    store, other = opened(), opened()
    young, old = spans(range(1), YOUNG, each=1), spans(range(1), OLD, each=1)
    put_and_seal(store, young, spans(range(1, 9), YOUNG))
    put(other, old)  # a later copy, which says that it was long ago
    assert store.prune(older_than=CUTOFF).spans == 1
    assert traces(store) == traces(other) == whole(range(1, 9))
    other.close()
    seal(store)
    assert traces(opened()) == whole(range(1, 9))


# What happens meanwhile.


def during(what: str, act: Callable[[], None], *, every: bool = False) -> Callable[[str, int, int | None], None]:
    """Progress to be told, which acts once something has begun."""
    acted = False

    def told(now: str, done: int, total: int | None) -> None:
        nonlocal acted
        if now == what and (not acted or (every and not done)):
            acted = True
            act()

    return told


STAGES = ["judging", "writing segments anew"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_trace_that_is_written_to_meanwhile_stays_whole(opened: Callable[[], Any], stage: str) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))
    new = [{**spans(range(3, 4), YOUNG, each=1)[0], "spanId": "new"}]
    pruned = store.prune(older_than=CUTOFF, progress=during(stage, lambda: put(other, new)))
    assert (pruned.traces, pruned.spans) == (9, 27)
    assert traces(store) == traces(other) == whole(range(10, 20)) | {"t0003": 4}


@pytest.mark.parametrize("stage", STAGES)
def test_a_trace_that_is_scored_meanwhile_stays_where_scored_ones_do(opened: Callable[[], Any], stage: str) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))
    score = {"scorerId": "s", "scorer": {}, "score": 1.0, "source": "LIVE", "output": {}, "runId": "r"}
    score |= {"entityId": "e", "entity": {}, "traceId": "t0003"}
    pruned = store.prune(
        older_than=CUTOFF,
        keep_scored=True,
        progress=during(stage, lambda: other.scores.save_score(score=score)),
    )
    assert pruned.traces == 9
    assert traces(store) == whole(range(10, 20)) | whole(range(3, 4))


@pytest.mark.parametrize("stage", STAGES)
def test_old_rows_that_come_meanwhile_go_with_their_trace_or_wait(opened: Callable[[], Any], stage: str) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))
    new = [{**spans(range(3, 4), OLD, each=1)[0], "spanId": "new"}, *spans(range(99, 100), OLD)]
    store.prune(older_than=CUTOFF, progress=during(stage, lambda: put(other, new)))
    assert {name: count for name, count in traces(other).items() if name < "t0010"} == {}
    store.prune(older_than=CUTOFF)
    assert traces(store) == traces(other) == whole(range(10, 20))
    other.close()
    seal(store)
    assert traces(store) == whole(range(10, 20))


def test_logs_are_sealed_while_segments_are_written_anew(
    opened: Callable[[], Any], folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SEAL_AGE", 0.0)
    store, other = opened(), opened()
    put_and_seal(store, spans(range(40), OLD), spans(range(40, 80), YOUNG))
    sealed = []

    def write() -> None:
        """New traces; a later copy of a row that is being copied, and of one that goes; a row that is deleted."""
        put(other, spans(range(80, 90), YOUNG))
        put(other, [{**span, "name": "again"} for span in spans(range(60, 61), YOUNG) + spans(range(5, 6), OLD)])
        other.observability.batch_delete_traces(trace_ids=["t0070"])
        other.stores[0].columnar.rotate()
        sealed.append(len(folder.manifest().segments))

    pruned = store.prune(older_than=CUTOFF, progress=during("writing segments anew", write))
    assert sealed == [1]
    assert len(folder.manifest().segments) == 2
    assert pruned.traces == 40
    expected = {name: 3 for name in whole(range(40, 90)) if name != "t0070"}
    assert traces(store) == traces(other) == expected
    assert [span["name"] for span in store.observability.get_trace(trace_id="t0060")["spans"]] == ["again"] * 3
    store.optimize()
    assert traces(store) == expected


def test_a_trace_that_was_written_to_and_sealed_meanwhile_stays_whole(
    opened: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SEAL_AGE", 0.0)
    store, other = opened(), opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))

    def write() -> None:
        put(other, [{**spans(range(3, 4), YOUNG, each=1)[0], "spanId": "new"}])
        other.stores[0].columnar.rotate()

    assert store.prune(older_than=CUTOFF, progress=during("writing segments anew", write)).traces == 9
    assert traces(store) == whole(range(10, 20)) | {"t0003": 4}


def test_what_is_written_to_all_the_time_is_not_pruned_by_half(opened: Callable[[], Any], folder: Folder) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))
    numbers = iter(range(10))

    def write() -> None:
        put(other, [{**spans(range(number := next(numbers), number + 1), YOUNG, each=1)[0], "spanId": "new"}])

    before = files(folder)
    with pytest.raises(Conflict, match="So far: 0 traces"):
        store.prune(older_than=CUTOFF, progress=during("judging", write, every=True))
    assert files(folder) == before
    assert set(traces(store)) == set(whole(range(20)))


def test_closing_the_store_stops_it(opened: Callable[[], Any], folder: Folder) -> None:
    store = opened()
    put_and_seal(store, spans(range(10), OLD), spans(range(10, 20), YOUNG))
    closing = threading.Thread(target=store.close)

    def close() -> None:
        closing.start()
        while not store.stores[0]._upkeep._stopped:
            time.sleep(0.001)

    before = files(folder)
    with pytest.raises(StoreClosed, match="closed while it was pruned"):
        store.prune(older_than=CUTOFF, progress=during("writing segments anew", close))
    closing.join()
    assert files(folder) == before
    assert traces(opened()) == whole(range(20))


# The lease.


def test_the_process_that_has_the_lease_hands_it_over(opened: Callable[[], Any]) -> None:
    holder, store = opened(), opened()
    put_and_seal(holder, spans(range(10), OLD))
    assert holder.stores[0]._upkeep._lease is not None
    assert store.prune(older_than=CUTOFF).traces == 10
    assert traces(holder) == {}
    store.close()
    put_and_seal(holder, spans(range(10), YOUNG))
    assert holder.stores[0]._upkeep._lease is not None


def test_a_lease_that_is_not_handed_over_is_a_clear_error(
    store: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, spans(range(10), OLD))
    lease = handover.hand_over(folder)  # and who has it now never looks whether it is wanted
    monkeypatch.setattr(handover, "PATIENCE", 0.1)
    with pytest.raises(StoreLocked, match="did not let go of it within"):
        store.prune(older_than=CUTOFF)
    assert store.prune(older_than=CUTOFF, dry_run=True).traces == 10
    lease.close()
    monkeypatch.undo()
    assert store.prune(older_than=CUTOFF).traces == 10


# Readers in other processes.

READER = """
    import os, sys
    import colonnade

    def held():
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        there = [os.readlink(link) for link in links if os.path.islink(link)]
        mapped = [line for line in open("/proc/self/maps") if "segments" in line]
        return [name for name in there + mapped if "segments" in name and "(deleted)" in name]

    with colonnade.open(sys.argv[1]) as store:
        print("ready", flush=True)
        looks = 0
        while not os.path.exists("over"):
            rows = store.sql('select "traceId", count(*) as n from spans group by 1').rows()
            assert all(row["n"] == 3 for row in rows), rows
            assert len(rows) in (200, 100, 0), len(rows)  # all, or all but what goes at once
            found = store.observability.get_trace(trace_id="t0005")
            assert found is None or len(found["spans"]) == 3
            looks += 1
        store.observability.get_trace(trace_id="t0005")
        store.sql("select count(*) from spans").rows()
        print(looks, held(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what a process holds")
def test_another_process_reads_all_or_nothing_of_a_trace_and_lets_go_of_files(
    opened: Callable[[], Any], folder: Folder
) -> None:
    store, other = opened(), opened()
    put_and_seal(store, spans(range(50), OLD), spans(range(100, 150), YOUNG))
    put_and_seal(store, spans(range(50, 80), OLD), spans(range(150, 180), YOUNG))
    put(other, spans(range(80, 100), OLD) + spans(range(180, 200), YOUNG))
    path = f"import sys; sys.path.insert(0, {str(Path(colonnade.__file__).parent.parent)!r})\n"
    reader = subprocess.Popen(
        [sys.executable, "-c", path + textwrap.dedent(READER), folder.path],
        cwd=folder.path.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    with reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        time.sleep(0.2)
        store.prune(older_than=CUTOFF)
        store.prune(older_than=YOUNG + 9 * HOUR)
        (folder.path.parent / "over").touch()
        looks, _, held = reader.stdout.read().partition(" ")
    assert reader.returncode == 0
    assert int(looks) > 0
    assert held.strip() == "[]"
