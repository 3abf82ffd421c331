"""Copying between stores: everything arrives once, is compared, and a copy that was stopped goes on."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade import cli
from colonnade.engine import copying
from colonnade.engine.checksum import canonical, checksum, digests, pieces
from colonnade.engine.plan import Put, Scan, count
from colonnade.errors import InvalidInput
from colonnade.schemas import MESSAGES, SCORES, SPANS, STORED, THREADS
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table
from colonnade.testing.questions import QUESTIONS, ask, load
from colonnade.testing.strategies import crowd

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def address(store: str, folder: Path) -> str:
    return {
        "memory": ":memory:",
        "duckdb": f"duckdb:///{folder / 'store.duckdb'}",
        "sqlite": f"sqlite:///{folder / 'store.sqlite'}",
        "folder": str(folder / "agent"),
    }[store]


def spans(rows: int, *, ended: bool = True, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "traceId": f"t{place // 3}",
            "spanId": str(place),
            "name": "chat",
            "spanType": "generic",
            "kind": 0,
            "isEvent": False,
            "startedAt": NOON + timedelta(minutes=place),
            "startTime": place,
            "endedAt": NOON + timedelta(minutes=place + 1) if ended else None,
            "input": {"text": f"question {place}"},
            "createdAt": NOON,
        }
        for place in range(start, start + rows)
    ]


def rows_of(storage: Any, table: Table = SPANS) -> int:
    return int(storage.run(lambda: count(table), table.domain, atomic=False))


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "RANGE", 10)
    monkeypatch.setattr(copying, "RANGES", 100)


def test_a_copy_of_a_copy_answers_every_question_as_the_first_store_did(tmp_path: Path) -> None:
    with colonnade.open(":memory:") as first:
        load(first)
        copied = colonnade.copy(first, address("duckdb", tmp_path))
    checksums = [table.checksum for table in copied.tables]
    for here, there in (("duckdb", "folder"), ("folder", "sqlite"), ("sqlite", "memory")):
        with colonnade.open(address(here, tmp_path)) as source, colonnade.open(address(there, tmp_path)) as target:
            copied = colonnade.copy(source, target)
            assert copied.verified
            assert [table.checksum for table in copied.tables] == checksums, f"{here} to {there}"
            assert [table.target_checksum for table in copied.tables] == checksums
            for question in QUESTIONS:
                ask(target, question)


def test_every_stored_table_is_copied_and_counted() -> None:
    with colonnade.open(":memory:") as source, colonnade.open(":memory:") as target:
        for table in STORED:
            source.execute(Put(table, crowd(table, 3)))
        copied = colonnade.copy(source, target)
        assert copied.verified
        for table, found in zip(STORED, copied.tables, strict=True):
            assert found.table == table.name
            assert found.rows == found.written == rows_of(source, table) == rows_of(target, table) > 0
            assert (found.differing, found.others, found.checksum) == (0, 0, found.target_checksum)


@pytest.mark.parametrize("store", ["memory", "duckdb", "folder"])
@pytest.mark.usefixtures("small_ranges")
def test_a_copy_that_was_stopped_goes_on_where_it_was(store: str, tmp_path: Path) -> None:
    with colonnade.open(":memory:") as source, colonnade.open(address(store, tmp_path)) as target:
        source.execute(Put(SPANS, encode(SPANS, spans(100))))

        def stop(what: str, done: int, total: int) -> None:
            assert total == 100
            if what.startswith("copying") and done >= 55:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            colonnade.copy(source, target, progress=stop)
        there = rows_of(target)
        assert 50 <= there < 100
        copied = colonnade.copy(source, target, tables=["spans"]).tables[0]
        assert (copied.rows, copied.written, copied.others) == (100, 100 - there // 10 * 10, 0)
        assert copied.differing == 0
        assert rows_of(target) == 100
        assert colonnade.copy(source, target, tables=["spans"]).tables[0].written == 0


KILLED = """
import os, signal, sys, colonnade
from colonnade.engine import copying
copying.RANGE, copying.RANGES = 10, 100
def kill(what, done, total):
    if done >= 45:
        os.kill(os.getpid(), signal.SIGKILL)
colonnade.copy(sys.argv[1], sys.argv[2], progress=kill)
"""


@pytest.mark.usefixtures("small_ranges")
def test_a_killed_copy_has_lost_nothing_and_begins_nothing_twice(tmp_path: Path) -> None:
    here, there = address("duckdb", tmp_path), address("folder", tmp_path)
    with colonnade.open(here) as source:
        source.execute(Put(SPANS, encode(SPANS, spans(100))))
    killed = subprocess.run([sys.executable, "-c", KILLED, here, there], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    copied = colonnade.copy(here, there, tables=["spans"])
    assert copied.verified
    assert copied.tables[0].rows == 100
    assert copied.tables[0].written == 50
    with colonnade.open(there) as target:
        assert rows_of(target) == 100


@pytest.mark.usefixtures("small_ranges")
def test_rows_that_differ_are_written_again_and_others_stay() -> None:
    with colonnade.open(":memory:") as source, colonnade.open(":memory:") as target:
        source.execute(Put(SPANS, encode(SPANS, spans(30))))
        changed = [{**span, "name": "changed"} for span in spans(30)[12:14]]
        target.execute(Put(SPANS, encode(SPANS, [*spans(30)[:12], *changed, *spans(30)[14:]])))
        other = {**spans(1)[0], "traceId": "other"}
        target.execute(Put(SPANS, encode(SPANS, [other])))
        copied = colonnade.copy(source, target, tables=["spans"]).tables[0]
        assert (copied.rows, copied.written, copied.differing, copied.others) == (30, 10, 0, 1)
        assert copied.checksum != copied.target_checksum
        assert set(target.execute(Scan(SPANS)).column("name").to_pylist()) == {"chat"}


def test_a_row_that_holds_against_the_source_is_said_to_differ(capsys: pytest.CaptureFixture[str]) -> None:
    with colonnade.open(":memory:") as source, colonnade.open(":memory:") as target:
        source.execute(Put(SPANS, encode(SPANS, spans(3, ended=False))))
        target.execute(Put(SPANS, encode(SPANS, spans(1))))
        copied = colonnade.copy(source, target, tables=["spans"])
        assert not copied.verified
        assert copied.tables[0].differing == 1
        assert "1 DIFFER in the target" in str(copied)


def test_only_what_is_asked_for_is_copied() -> None:
    with colonnade.open(":memory:") as source, colonnade.open(":memory:") as target:
        load(source)
        source.execute(Put(SPANS, encode(SPANS, spans(10))))
        copied = colonnade.copy(source, target, tables=["mastra_ai_spans", "scores"], since=NOON + timedelta(minutes=5))
        assert [table.table for table in copied.tables] == ["spans", "scores"]
        assert min(target.execute(Scan(SPANS)).column("startedAt").to_pylist()) == NOON + timedelta(minutes=5)
        assert rows_of(target, MESSAGES) == 0


def test_what_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    with colonnade.open(":memory:") as source:
        with pytest.raises(InvalidInput, match="traces is a reading of spans"):
            colonnade.copy(source, ":memory:", tables=["traces"])
        with pytest.raises(InvalidInput, match="no table 'spanz'"):
            colonnade.copy(source, ":memory:", tables=["spanz"])
        with pytest.raises(InvalidInput, match="list of names"):
            colonnade.copy(source, ":memory:", tables="spans")
        with pytest.raises(InvalidInput, match="the same store"):
            colonnade.copy(source, source)
    with pytest.raises(InvalidInput, match="the same store"):
        colonnade.copy(str(tmp_path / "a"), str(tmp_path / "a"))


@given(seed=st.integers(0, 63), size=st.integers(1, 12))
def test_the_ranges_of_a_table_hold_each_row_once(seed: int, size: int) -> None:
    with colonnade.open(":memory:") as source, pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "RANGE", size)
        for table in (SPANS, THREADS):
            source.execute(Put(table, crowd(table, seed)))
            ranges = list(copying._ranges(source, table, None))
            counts = [source.execute(Scan(table, part.where)).num_rows for part in ranges]
            assert counts == [part.rows for part in ranges]
            assert sum(counts) == rows_of(source, table)


@given(seed=st.integers(0, 63), order=st.permutations(range(12)))
def test_a_checksum_says_what_rows_there_are_and_not_their_order(seed: int, order: list[int]) -> None:
    for table in STORED:
        data = crowd(table, seed)
        whole = checksum(digests(table, data))
        assert checksum(digests(table, data.take(pa.array(order)))) == whole
        assert checksum(digests(table, data.slice(0, 5)), checksum(digests(table, data.slice(5)))) == whole
        assert checksum(digests(table, data.slice(1))) != whole
        assert checksum(digests(table, pa.concat_tables([data, data.slice(0, 1)]))) != whole


def test_a_checksum_does_not_depend_on_how_a_store_spells_a_value() -> None:
    assert canonical(b'{"b": 1, "a": [1.50, "\\u00e9"]}') == canonical('{"a":[1.5,"\xe9"],"b":1}'.encode())
    assert canonical(b'{"a":18446744073709551616}') != canonical(b'{"a":18446744073709551617}')
    assert canonical(b"no JSON") == b"no JSON"
    record: dict[str, Any] = {
        "id": "s",
        "scorerId": "s",
        "runId": "r",
        "source": "LIVE",
        "scorer": {},
        "input": {},
        "output": {},
    }
    record |= {"createdAt": NOON, "updatedAt": NOON}
    plus, minus, other = (digests(SCORES, encode(SCORES, [record | {"score": score}])) for score in (0.0, -0.0, 1e-300))
    assert plus == minus != other


def test_pieces_join_small_batches_and_cut_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = pa.table({"a": range(100)}).to_batches(max_chunksize=7)
    assert [piece.num_rows for piece in pieces(batches)] == [100]
    monkeypatch.setattr("colonnade.engine.checksum.PIECE", 80)
    found = list(pieces(batches))
    assert max(piece.nbytes for piece in found) <= 80
    assert pa.concat_tables(found).column("a").to_pylist() == list(range(100))
    assert list(pieces([])) == []


def test_the_command_copies_and_says_what_it_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, there = address("folder", tmp_path), address("duckdb", tmp_path)
    with colonnade.open(here) as source:
        source.execute(Put(SPANS, encode(SPANS, spans(5))))
    cli.app(["copy", here, there, "--tables", "spans,threads"], result_action="return_value")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [["spans", "5", "rows", "5"], ["threads", "0", "rows", "0"]]
    assert all(line.endswith("the same in both") for line in lines)
    with colonnade.open(there) as target:
        target.observability.update_span(trace_id="t0", span_id="0", updates={"name": "mine"})
    with pytest.raises(SystemExit) as left:
        cli.main(["copy", str(tmp_path / "nothing"), there])
    assert left.value.code == 1
    assert "there is no store" in capsys.readouterr().err
