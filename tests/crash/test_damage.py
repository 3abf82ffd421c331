"""Damaged files: what is read is right, what cannot be read is said, and what can be saved is saved."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.stores.embedded import segment_check, segment_repair, segments
from colonnade.engine.stores.embedded.folder import Folder, Manifest
from colonnade.engine.stores.embedded.log import MAGIC, Commit, LogReader
from colonnade.engine.stores.embedded.salvage import mend, survey
from colonnade.errors import ColonnadeError, StoreError

Answers = dict[str, list[dict[str, Any]]]
Ask = Callable[[Path], Answers]
LOGGED = tuple(f"t{number}" for number in range(200, 208))
"""The traces of the store that are in its log, one a commit."""


def log(agent: Path) -> Path:
    """Its log."""
    return next((agent / "logs").glob("*.log"))


def traces(found: Answers) -> list[str]:
    """Those of the traces in the log that are there, each once."""
    there = [row["traceId"] for row in found["spans"] if row["traceId"] in LOGGED]
    assert all(there.count(trace) == 3 for trace in there), "a commit is there in part"
    return list(dict.fromkeys(there))


def without(right: Answers, *lost: str) -> Answers:
    """All rows but those of some traces."""
    return {**right, "spans": [row for row in right["spans"] if row["traceId"] not in lost]}


# Logs: on whole stores.


def test_a_commit_that_was_never_finished_is_none(agent: Path, ask: Ask, right: Answers) -> None:
    data = log(agent).read_bytes()
    last = survey(log(agent)).frames[-1]
    begin, length = last.start - 16, last.end - last.start + 16
    for part in (1, 8, 15, 16, 17, 24, length // 3, length // 2, length - 8, length - 1):
        log(agent).write_bytes(data[: begin + part])
        assert ask(agent) == without(right, LOGGED[-1])
        report = colonnade.fsck(agent, repair=True)
        assert report.clean and [each.remedy for each in report.findings] == [None]
        assert f"ends in {part:,} bytes of a commit that was never finished" in report.findings[0].what
    with colonnade.open(agent) as store:
        store.optimize()
    assert ask(agent) == without(right, LOGGED[-1])
    assert colonnade.fsck(agent, full=True).findings == ()


@pytest.mark.parametrize("by", ["repairing", "sealing"])
def test_what_lies_behind_the_damage_in_a_log_is_saved(agent: Path, ask: Ask, right: Answers, by: str) -> None:
    data = bytearray(log(agent).read_bytes())
    name = log(agent).name
    third = survey(log(agent)).frames[2]
    data[(third.start + third.end) // 2] ^= 4
    log(agent).write_bytes(data)
    assert ask(agent) == without(right, *LOGGED[2:])
    report = colonnade.fsck(agent)
    assert not report.clean
    assert "7 commits are whole, 5 of them behind the damage" in report.findings[0].what
    if by == "repairing":
        assert colonnade.fsck(agent, repair=True).clean
    else:
        with colonnade.open(agent) as store:
            store.optimize()
    assert (agent / "damaged" / name).read_bytes() == data
    assert ask(agent) == without(right, LOGGED[2])
    assert colonnade.fsck(agent, full=True).clean


@pytest.mark.parametrize("place", ["beginning", "first commit", "all"])
def test_a_log_that_is_damaged_where_everything_begins(agent: Path, ask: Ask, right: Answers, place: str) -> None:
    data = bytearray(log(agent).read_bytes())
    first = survey(log(agent)).frames[0]
    if place == "beginning":
        data[3] ^= 1
    elif place == "first commit":
        data[first.start + 200] ^= 1  # the schema, without which no other commit can be read
    else:
        data[:] = bytes(len(data))
    log(agent).write_bytes(data)
    if place == "first commit":
        assert ask(agent) == without(right, *LOGGED)
    else:
        with pytest.raises(ColonnadeError, match="fsck"):
            ask(agent)
    assert colonnade.fsck(agent, repair=True).clean
    lost = {"beginning": (), "first commit": LOGGED[:1], "all": LOGGED}[place]
    assert ask(agent) == without(right, *lost)


def test_a_reader_that_follows_a_log_sees_it_mended(agent: Path, right: Answers) -> None:
    data = bytearray(log(agent).read_bytes())
    third = survey(log(agent)).frames[2]
    data[third.start + 5] ^= 4
    log(agent).write_bytes(data)
    with colonnade.open(agent) as store:
        query = "select distinct traceId from spans where traceId >= 't200' order by traceId"
        assert [row["traceId"] for row in store.sql(query).rows()] == list(LOGGED[:2])
        mend(Folder(agent), log(agent).name)
        assert [row["traceId"] for row in store.sql(query).rows()] == [*LOGGED[:2], *LOGGED[3:]]


# Logs: any damage.


def commits(path: Path) -> list[tuple[int, list[Any]]]:
    """What a reader makes of a log: nothing, where it refuses it."""
    reader = LogReader(path)
    if path.read_bytes()[:8] not in (MAGIC, MAGIC[: path.stat().st_size]):
        with pytest.raises(StoreError, match="fsck"):
            reader.read()
        return []
    return list(map(readable, reader.read()))


def readable(commit: Commit) -> tuple[int, list[Any]]:
    """A commit as plain values."""
    changes = [(each.table.name, each.verb, each.rows and each.rows.to_pylist()) for each in commit.changes]
    return commit.version, changes


@pytest.fixture(scope="module")
def logged(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, bytes, list[Any]]:
    """A folder for one log, what is in it, and the commits in that."""
    path = tmp_path_factory.mktemp("logged")
    folder = Folder(path)
    for each in (folder.logs, folder.segments):
        each.mkdir()
    folder.install(Manifest())
    shutil.copy(log(whole), folder.logs / "1.log")
    return folder, log(whole).read_bytes(), commits(folder.logs / "1.log")


DAMAGES = st.tuples(
    st.sampled_from(["bit", "zeros", "noise", "cut"]), st.floats(0, 1, exclude_max=True), st.integers(1, 5000)
)
"""What kind of damage, where (as a part of the file), and how many bytes long (or which bit)."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DAMAGES, min_size=1, max_size=4))
def test_whatever_is_damaged_in_a_log_nothing_wrong_is_read(
    logged: tuple[Folder, bytes, list[Any]], damages: list[tuple[str, float, int]]
) -> None:
    folder, whole, right = logged
    damaged = bytearray(whole)
    begins = [8, *(each.end for each in survey_of(folder, whole).frames)]
    touched = set()
    for kind, part, number in damages:
        at = int(part * len(whole))
        size = {"bit": 1, "cut": len(whole) - at}.get(kind, number)
        old = bytes(damaged[at : at + size])
        damaged[at : at + size] = {
            "bit": bytes(byte ^ 1 << number % 8 for byte in old),
            "zeros": bytes(len(old)),
            "noise": random.Random(number).randbytes(len(old)),
            "cut": b"",
        }[kind]
        touched |= {place for place in range(len(right)) if at < begins[place + 1] and at + size > begins[place]}
        touched |= {-1} if at < 8 else set()
    path = folder.logs / "1.log"
    path.write_bytes(damaged)
    first = min(touched, default=len(right))
    read = commits(path)
    assert read == right[: len(read)]
    assert len(read) >= max(first, 0) or -1 in touched
    found = survey(path)
    untouched = [commit for place, commit in enumerate(right) if place not in touched]
    mended = mend(folder, "1.log")
    if mended is None:
        assert not found.damaged and len(read) == len(found.frames)
        return
    saved = commits(folder.logs / mended.log)
    (folder.logs / mended.log).unlink()
    assert mended.aside.read_bytes() == damaged
    assert all(commit in right for commit in saved if commit[1])
    assert [commit for commit in untouched if commit not in saved] == []


def survey_of(folder: Folder, data: bytes) -> Any:
    """What lies in a log of these bytes."""
    path = folder.path / "surveyed"
    path.write_bytes(data)
    return survey(path)


# Segments.


def test_any_bit_of_a_segment_that_is_wrong_is_noticed(agent: Path, ask: Ask, right: Answers) -> None:
    """DuckDB has checksums for all that it reads; what it does not read may be wrong."""
    chance = random.Random(9)
    path = sorted((agent / "segments").glob("*.duckdb"))[0]
    whole = path.read_bytes()
    noticed = 0
    for _ in range(25):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        is_clean = colonnade.fsck(agent).clean
        try:
            found = ask(agent)
        except ColonnadeError as error:
            noticed += 1
            found, said = None, str(error)
        assert found == right or (found is None and not is_clean and "colonnade fsck" in said)
    assert noticed > 5
    assert colonnade.fsck(agent, repair=True).clean
    assert all(row in right["spans"] for row in ask(agent)["spans"] if row["traceId"] != "t009")


def test_a_damaged_segment_keeps_the_rows_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (segments, segment_check, segment_repair):
        monkeypatch.setitem(vars(module), "GROUP", 2_048)
    chance = random.Random(2)
    agent = tmp_path / "agent"
    with colonnade.open(agent) as store:
        for start in range(0, 16_384, 2_048):
            store.observability.batch_create_spans(
                records=[
                    {
                        "traceId": f"t{number:05}",
                        "spanId": "0",
                        "name": "n",
                        "startedAt": f"2026-01-01T00:{number // 600:02}:{number // 10 % 60:02}Z",
                        "input": chance.randbytes(200).hex(),
                    }
                    for number in range(start, start + 2_048)
                ]
            )
        store.optimize()
    (path,) = (agent / "segments").glob("*.duckdb")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with colonnade.open(agent) as store, pytest.raises(ColonnadeError, match="colonnade fsck"):
        store.sql("select max(length(input)) from spans").rows()
    report = colonnade.fsck(agent)
    assert "of 16,384 rows cannot be read" in report.findings[0].what
    report = colonnade.fsck(agent, repair=True, full=True)
    assert report.clean, report
    with colonnade.open(agent) as store:
        rows = store.sql("select traceId, length(input) as n from spans order by traceId").rows()
    assert 8_192 < len(rows) < 16_384
    assert len({row["traceId"] for row in rows}) == len(rows)
    assert {row["n"] for row in rows} == {402}


def test_what_is_damaged_does_not_end_the_upkeep(agent: Path, right: Answers) -> None:
    sorted((agent / "segments").glob("*.index"))[0].write_bytes(b"nothing")
    with colonnade.open(agent) as store:
        embedded: Any = store.stores[0]
        with pytest.raises(StoreError, match="fsck"):
            store.optimize()
        store.observability.create_span(
            span={"traceId": "x", "spanId": "1", "name": "n", "startedAt": "2026-01-01T00:00:00Z"}
        )
        embedded._upkeep.hurry()
        assert embedded._upkeep._thread.is_alive()
        assert len(store.memory.list_messages(thread_id="t", per_page=False)["messages"]) == len(right["messages"])
    assert colonnade.fsck(agent, repair=True).clean
    with colonnade.open(agent) as store:
        assert store.observability.get_trace(trace_id="x")
