"""``colonnade fsck``: what it finds of each kind of damage, what it mends, and that it never makes anything worse."""

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.embedded.findings import Remedy, Report
from colonnade.engine.stores.embedded.folder import Folder
from colonnade.engine.stores.embedded.index import Index, hash_of
from colonnade.errors import ColonnadeError, InvalidInput, NotAStore, SchemaTooNew, StoreError, StoreLocked

Answers = dict[str, list[dict[str, Any]]]
Ask = Callable[[Path], Answers]


def segment(agent: Path, place: int = 0) -> Path:
    """One of its segments, oldest first."""
    return sorted((agent / "segments").glob("*.duckdb"))[place]


def index(agent: Path) -> Path:
    """The index of its oldest segment."""
    return segment(agent).with_suffix(".index")


def log(agent: Path) -> Path:
    """Its log."""
    return next((agent / "logs").glob("*.log"))


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(bytes(data))


def everything(folder: Path) -> dict[Path, bytes]:
    """All files in a folder, with what is in them."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def said(report: Report) -> list[tuple[str, str, Remedy | None]]:
    """What was found: how bad, of what kind of file, and what would be done."""
    return [(each.severity, each.file.split("/")[0], each.remedy) for each in report.findings]


def fails(agent: Path, ask: Ask) -> str:
    """What is said to whoever reads it."""
    with pytest.raises(ColonnadeError) as raised:
        ask(agent)
    return str(raised.value)


@pytest.mark.parametrize("full", [False, True])
def test_a_whole_store_has_no_findings_and_is_left_as_it_is(agent: Path, full: bool) -> None:
    before = everything(agent)
    report = colonnade.fsck(agent, full=full)
    assert report.findings == () and report.clean
    assert (report.segments, report.logs, report.commits) == (2, 1, 8)
    assert report.rows == {"spans": 451, "scores": 20}
    assert everything(agent) == before
    assert colonnade.fsck(agent, repair=True, full=full).repaired == ()


# Segments and their indexes.


def test_a_segment_that_is_missing(agent: Path, ask: Ask, right: Answers) -> None:
    segment(agent).unlink()
    assert "run: colonnade fsck" in fails(agent, ask)
    report = colonnade.fsck(agent)
    assert ("error", "segments", Remedy.FORGET) in said(report)
    assert "320 rows" in report.findings[0].what
    report = colonnade.fsck(agent, repair=True)
    assert report.clean
    assert any("320 rows are lost" in each for each in report.repaired)
    lost = {f"t{number:03}" for number in range(100)}
    left = [row for row in right["spans"] if row["traceId"] not in lost or row["name"] == "updated"]
    assert ask(agent) == {**right, "spans": left, "scores": []}


def test_an_index_that_is_missing(agent: Path, ask: Ask, right: Answers) -> None:
    index(agent).unlink()
    assert "fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "segments", Remedy.REINDEX)]
    assert colonnade.fsck(agent, repair=True).clean
    assert ask(agent) == right


@pytest.mark.parametrize("rest", [0, 100, 5000])
def test_an_index_that_is_cut_off(agent: Path, ask: Ask, right: Answers, rest: int) -> None:
    index(agent).write_bytes(index(agent).read_bytes()[:rest])
    assert "run: colonnade fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "segments", Remedy.REINDEX)]
    assert colonnade.fsck(agent, repair=True).clean
    assert ask(agent) == right


def test_any_bit_of_an_index_that_is_wrong(agent: Path, ask: Ask, right: Answers) -> None:
    """An index has no checksum, so a wrong one may hide rows: ``full`` finds each that does."""
    chance = random.Random(5)
    whole = index(agent).read_bytes()
    traces = [f"t{number:03}" for number in range(100)]
    places = [Index(index(agent)).ranges("spans", "traceId", [trace]) for trace in traces]
    found = 0
    for _ in range(20):
        index(agent).write_bytes(whole)
        flip(index(agent), chance.randrange(len(whole)), chance.randrange(8))
        if colonnade.fsck(agent, full=True).clean:  # it is where nobody looks
            assert [Index(index(agent)).ranges("spans", "traceId", [trace]) for trace in traces] == places
        else:
            found += 1
    assert found > 5
    index(agent).write_bytes(whole)
    flip(index(agent), whole.index((hash_of(traces[0]) >> 32).to_bytes(4, "little")))
    assert colonnade.fsck(agent, full=True, repair=True).clean
    assert index(agent).read_bytes() == whole
    assert ask(agent) == right


def test_an_index_that_calls_a_column_empty(agent: Path, ask: Ask, right: Answers) -> None:
    data = index(agent).read_bytes()
    assert data.count(b'"output"') > 1  # in the schema at both ends of the file
    index(agent).write_bytes(data.replace(b'"output"', b'"input" '))
    assert said(colonnade.fsck(agent)) == [("error", "segments", Remedy.REINDEX)]
    assert colonnade.fsck(agent, repair=True).clean
    assert ask(agent) == right


def test_a_segment_that_is_no_database_any_more(agent: Path, ask: Ask, right: Answers) -> None:
    segment(agent).write_bytes(b"nothing" * 1000)
    assert "run: colonnade fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "segments", Remedy.REWRITE)]
    report = colonnade.fsck(agent, repair=True)
    assert report.clean
    assert len(list((agent / "damaged").iterdir())) == 2  # with its index
    assert ask(agent)["messages"] == right["messages"]
    assert {row["traceId"] for row in ask(agent)["spans"]} > {"t100", "t149", "t200"}


def test_what_the_manifest_says_of_a_segment_and_is_not_so(agent: Path, ask: Ask, right: Answers) -> None:
    folder = Folder(agent)
    manifest = folder.manifest()
    first, second = manifest.segments
    folder.install(manifest.next(segments=(replace(first, rows={"spans": 7}), second)))
    assert said(colonnade.fsck(agent)) == [("error", "segments", Remedy.CORRECT)]
    assert colonnade.fsck(agent, repair=True).clean
    assert {row["name"] for row in ask(agent)["spans"]} == {"n", "updated"}
    assert len(ask(agent)["scores"]) == 20


# The manifest and store.json.


@pytest.mark.parametrize("text", [None, b"", b"{", b"[]", b"{}", b'{"crc": 1, "manifest": {}}', b"\0" * 300])
def test_a_manifest_that_is_missing_or_garbage(agent: Path, ask: Ask, right: Answers, text: bytes | None) -> None:
    manifest = agent / "manifest.json"
    manifest.unlink()
    if text is not None:
        manifest.write_bytes(text)
    assert "run: colonnade fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "manifest.json", Remedy.NEW_MANIFEST)]
    report = colonnade.fsck(agent, repair=True)
    assert report.clean
    assert "may come back" in Remedy.NEW_MANIFEST
    found = ask(agent)
    back = [row for row in found["spans"] if row["traceId"] == "t009"]
    assert len(back) == 3  # deleted, and nobody knows any more
    assert [row for row in found["spans"] if row not in back] == right["spans"]
    assert {name: found[name] for name in ("scores", "evals", "messages")} == {
        name: right[name] for name in ("scores", "evals", "messages")
    }


def test_any_bit_of_a_manifest_that_is_wrong(agent: Path) -> None:
    manifest = agent / "manifest.json"
    whole = manifest.read_bytes()
    right = Folder(agent).manifest()
    for at in range(0, len(whole), 7):
        flip(manifest, at, at % 7)
        with pytest.raises(StoreError, match="run: colonnade fsck"):
            assert Folder(agent).manifest() != right
        manifest.write_bytes(whole)


def test_segments_that_were_merged_are_not_counted_twice_when_the_manifest_is_rebuilt(
    agent: Path, ask: Ask, right: Answers
) -> None:
    kept = everything(agent / "segments")
    with colonnade.open(agent) as store:
        embedded: Any = store.stores[0]
        embedded.optimize()
    for path, data in kept.items():
        path.write_bytes(data)
    assert said(colonnade.fsck(agent)) == [("warning", "segments", Remedy.SET_ASIDE)] * 4
    (agent / "manifest.json").unlink()
    report = colonnade.fsck(agent, repair=True)
    assert report.clean
    found = ask(agent)
    assert [row for row in found["spans"] if row["traceId"] != "t009"] == right["spans"]
    assert found["scores"] == right["scores"]


def test_a_store_that_lost_its_marker(agent: Path, ask: Ask, right: Answers) -> None:
    (agent / "store.json").write_text("{}")
    assert "run: colonnade fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "store.json", Remedy.NEW_MARKER)]
    assert colonnade.fsck(agent, repair=True).clean
    (agent / "store.json").unlink()
    assert said(colonnade.fsck(agent))[0] == ("error", "store.json", Remedy.NEW_MARKER)
    assert ask(agent) == right  # what only lacks its marker gets it when it is opened


def test_a_newer_store_is_left_alone(agent: Path, ask: Ask) -> None:
    (agent / "store.json").write_text('{"schema": 999}')
    before = everything(agent)
    for look in (ask, lambda path: colonnade.fsck(path, repair=True)):
        with pytest.raises(SchemaTooNew, match="999"):
            look(agent)
    assert everything(agent) == before


# state.db


def test_a_state_that_is_missing(agent: Path, ask: Ask, right: Answers) -> None:
    (agent / "state.db").unlink()
    assert "state.db should be there and is not; run: colonnade fsck" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "state.db", Remedy.EMPTY_STATE)]
    assert colonnade.fsck(agent, repair=True).clean
    assert ask(agent) == {**right, "messages": []}


def test_a_state_that_is_no_database_any_more(agent: Path, ask: Ask, right: Answers) -> None:
    (agent / "state.db").write_bytes(b"nothing" * 1000)
    assert "no SQLite database" in fails(agent, ask)
    assert said(colonnade.fsck(agent)) == [("error", "state.db", Remedy.NEW_STATE)]
    report = colonnade.fsck(agent, repair=True)
    assert report.clean and (agent / "damaged" / "state.db").read_bytes() == b"nothing" * 1000
    assert ask(agent) == {**right, "messages": []}


def test_a_state_of_which_pages_are_damaged(agent: Path, ask: Ask, right: Answers) -> None:
    with sqlite3.connect(agent / "state.db") as connection:
        size = connection.execute("pragma page_size").fetchone()[0]
        (root,) = connection.execute("select rootpage from sqlite_master where name = 'messages'").fetchone()
        (count,) = connection.execute("pragma page_count").fetchone()
    connection.close()
    data = bytearray((agent / "state.db").read_bytes())
    middle = (root + count) // 2
    data[middle * size : (middle + 1) * size] = random.Random(1).randbytes(size)
    (agent / "state.db").write_bytes(bytes(data))
    assert said(colonnade.fsck(agent)) == [("error", "state.db", Remedy.NEW_STATE)]
    report = colonnade.fsck(agent, repair=True)
    assert report.clean
    found = ask(agent)["messages"]
    assert 50 < len(found) <= 100
    assert all(row in right["messages"] for row in found)


# What was left behind.


def test_what_was_never_finished_is_no_problem_and_is_removed(agent: Path, ask: Ask, right: Answers) -> None:
    (agent / "segments" / ".00000003-0a0a0a0a.duckdb.4711").write_bytes(b"half")
    report = colonnade.fsck(agent)
    assert report.clean and said(report) == [("note", "segments", Remedy.REMOVE)]
    assert colonnade.fsck(agent, repair=True).findings == ()
    assert ask(agent) == right


def test_a_segment_that_nobody_names_is_set_aside_and_kept(agent: Path, ask: Ask, right: Answers) -> None:
    orphan = agent / "segments" / "00000009-0a0a0a0a.duckdb"
    orphan.write_bytes(segment(agent).read_bytes())
    assert said(colonnade.fsck(agent)) == [("warning", "segments", Remedy.SET_ASIDE)]
    report = colonnade.fsck(agent, repair=True)
    assert report.clean and said(report) == [("note", "damaged", None)]
    assert (agent / "damaged" / orphan.name).read_bytes() == segment(agent).read_bytes()
    assert ask(agent) == right


def test_a_log_that_is_in_segments_already(agent: Path, ask: Ask, right: Answers) -> None:
    data = log(agent).read_bytes()
    name = log(agent).name
    with colonnade.open(agent) as store:
        store.optimize()
        folder = Folder(agent)
        assert name in folder.manifest().sealed
    (agent / "logs" / name).write_bytes(data)
    report = colonnade.fsck(agent)
    assert report.clean and said(report) == [("note", "logs", Remedy.REMOVE)]
    assert ask(agent) == right
    assert not (agent / "logs" / name).exists() or colonnade.fsck(agent, repair=True).findings == ()


def test_rows_that_are_there_twice(agent: Path, ask: Ask, right: Answers) -> None:
    """Should never happen; ``full`` looks for it."""
    copy = segment(agent, 1).with_name("00000009-0a0a0a0a.duckdb")
    copy.write_bytes(segment(agent, 1).read_bytes())
    copy.with_suffix(".index").write_bytes(segment(agent, 1).with_suffix(".index").read_bytes())
    folder = Folder(agent)
    manifest = folder.manifest()
    again = type(manifest.segments[1])(
        copy.name, *(getattr(manifest.segments[1], n) for n in ("rows", "first", "last"))
    )
    folder.install(manifest.next(segments=(*manifest.segments, again)))
    assert colonnade.fsck(agent).clean
    assert said(colonnade.fsck(agent, full=True)) == [("error", "segments", Remedy.SETTLE)]
    assert colonnade.fsck(agent, full=True, repair=True).clean
    assert ask(agent) == right


# In use.


@pytest.fixture
def running(agent: Path) -> Any:
    """Another process that has the store open, seals it, and has a log that it writes to."""
    code = f"""
import colonnade, sys, time
store = colonnade.open({str(agent)!r})
span = {{"traceId": "x", "spanId": "1", "name": "n", "startedAt": "2026-01-01T00:00:00Z"}}
store.observability.create_span(span=span)
while not store.stores[0]._upkeep._lease: time.sleep(0.01)
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.communicate()


def test_a_store_in_use_is_checked_and_not_repaired(agent: Path, running: Any) -> None:
    report = colonnade.fsck(agent)
    assert report.findings == ()
    assert report.sealer is not None
    if sys.platform == "linux":
        assert report.sealer == f"process {running.pid}"
    index(agent).rename(agent / "elsewhere")
    with pytest.raises(StoreLocked, match="close it there, then repair"):
        colonnade.fsck(agent, repair=True)
    assert not index(agent).exists()


def test_a_damaged_log_that_is_being_written_is_left_alone(agent: Path, running: Any) -> None:
    live = max((agent / "logs").glob("*.log"))
    with live.open("r+b") as file:  # in place: its writer has it open
        file.seek(100)
        file.write(b"damage")
    report = colonnade.fsck(agent)
    assert said(report) == [("error", "logs", None)]
    assert "it is repaired once" in report.findings[0].what


# The command.


def command(*arguments: object) -> tuple[int, str, str]:
    """Run it."""
    ran = subprocess.run(
        [sys.executable, "-m", "colonnade", "fsck", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_the_command(agent: Path, tmp_path: Path) -> None:
    code, out, err = command(agent)
    assert (code, err) == (0, "")
    assert "2 segments with 451 spans, 20 scores; 1 log with 8 commits to be sealed." in out
    assert "Nothing is wrong." in out
    index(agent).unlink()
    code, out, err = command(agent)
    assert (code, err) == (1, "")
    assert "is missing" in out and "1 error" in out
    code, out, _ = command(agent, "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["remedy"] == str(Remedy.REINDEX)
    code, out, err = command(agent, "--repair")
    assert (code, err) == (0, "")
    assert "Repaired segments/" in out
    assert command(tmp_path / "nowhere")[0] == 1


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no folder"):
        colonnade.fsck(tmp_path / "nowhere")
    with pytest.raises(NotAStore, match="nothing of colonnade's"):
        colonnade.fsck(tmp_path)
