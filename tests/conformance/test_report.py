"""``colonnade conform``: what passes, what fails and how it is said, and what is left of the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import Phase, settings

import colonnade
from colonnade import cli
from colonnade.engine import fold
from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Delete, Plan, Put, Scan, Summarize
from colonnade.engine.store import AnyStore, AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.schemas import STORED
from colonnade.testing import report as report_module
from colonnade.testing.questions import QUESTIONS
from colonnade.testing.report import Report, Row, conform

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}


def _by_name(report: Report) -> dict[str, Row]:
    return {row.name: row for row in report.rows}


def _register(monkeypatch: pytest.MonkeyPatch, scheme: str, opened: Callable[[str], AnyStore]) -> None:
    class Entry:
        def load(self) -> Callable[[str], AnyStore]:
            return opened

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: [Entry()] if name == scheme else [])


@pytest.mark.parametrize("address", [":memory:", "duckdb:///{folder}/store.duckdb", "{folder}/agent"])
def test_our_own_stores_conform_and_are_left_empty(address: str, tmp_path: Path) -> None:
    url = address.format(folder=tmp_path)
    report = conform(url, examples=2)
    assert report.passed, str(report)
    rows = _by_name(report)
    assert {question.caption for question in QUESTIONS} <= rows.keys()
    assert rows["everything is deleted again"].outcome == "passed"
    with colonnade.open(url) as storage:
        assert [table.name for table in STORED if storage.execute(Scan(table)).num_rows] == []


def test_abilities_are_shown_as_native_or_excused_with_the_reason() -> None:
    rows = _by_name(conform(":memory:", examples=1))
    assert rows["transactions"] == Row(
        "transactions",
        "excused",
        None,
        "never: It compares and sets on purpose, so that every atomic operation is tested on that road too (ADR 002).",
    )
    natives = next(row for row in rows.values() if row.detail == "native")
    assert (natives.outcome, natives.seconds) == ("passed", None)
    assert {"compare_and_set", "order", "count", "p99"} <= set(natives.name.split(", "))


def test_each_half_of_a_folder_is_tried_with_what_it_can(tmp_path: Path) -> None:
    rows = _by_name(conform(str(tmp_path / "agent"), examples=1))
    assert rows["transactions (scores, observability)"].detail.startswith("notimpl: ")
    assert rows["p50, p95, p99 (memory, workflows, agents)"].detail.startswith("notimpl: ")
    halves = ("threads, messages, memory_messages, workflows", "spans, scores, evals, traces")
    assert {f"random plans over {half}" for half in halves} <= set(rows)


class Plain(MemoryStore):
    """Somebody's store, which does next to nothing natively."""

    abilities: ClassVar[Abilities] = Abilities(compare_and_set=True)

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label


def test_what_somebodys_store_cannot_do_is_by_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "plain", Plain)
    report = conform("plain://there", examples=2)
    assert report.passed, str(report)
    rows = _by_name(report)
    assert rows["order"] == Row("order", "passed", None, "by fallback: rows are scanned and sorted in Arrow")
    assert rows["count, sum, min, max, mean, p50, p95, p99"].detail.startswith("by fallback: ")
    assert rows["transactions"].detail.startswith("by fallback: ")


class Awaitable(AsyncStore):
    """A store with a natively async driver, and without any ability."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._inner = MemoryStore()

    async def execute(self, plan: Plan) -> Any:
        return self._inner.execute(plan)


def test_an_async_store_is_tried_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "awaitable", Awaitable)
    report = conform("awaitable://there", examples=1)
    assert report.passed, str(report)
    both = _by_name(report)["transactions, compare_and_set"]
    assert (both.outcome, both.detail) == ("excused", "no fallback: what reads and then writes is refused")


class IgnoresFinal(MemoryStore):
    """A running copy of a span replaces the ended one."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def put(self, plan: Put) -> int:
        for place in range(plan.data.num_rows if plan.table.name == "spans" else 0):
            row = plan.data.slice(place, 1)
            stored = self._rows(plan.table)
            same = pc.is_in(fold.key_of(plan.table, stored), value_set=fold.key_of(plan.table, row))
            self._tables["spans"] = stored.filter(pc.invert(same))
            super().put(Put(plan.table, row))
        return int(plan.data.num_rows) if plan.table.name == "spans" else super().put(plan)


def test_a_broken_store_fails_and_says_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[MemoryStore] = []

    def open_broken(label: str) -> MemoryStore:
        opened.append(IgnoresFinal(label))
        return opened[-1]

    monkeypatch.setattr(MemoryStore, "close", lambda self: None)  # so that it can be looked at afterwards
    full, found = report_module._settings, [Phase.generate]  # the shortest sequence takes a minute to find
    monkeypatch.setattr(report_module, "_settings", lambda examples: settings(full(examples), phases=found))
    _register(monkeypatch, "broken", open_broken)
    with pytest.raises(SystemExit) as ended:
        cli.main(["conform", "broken://there", "--examples", "2"])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "failed      0.0" in out
    failed = [line[18:] for line in out.splitlines() if line.startswith("failed")]
    assert "an ended span outlives a running copy" in failed
    assert "also within one put of spans" in failed
    assert "nulls come last, ascending" not in failed
    assert "    -'ended'\n    +'late'\n" in out
    assert out.splitlines()[-1].endswith("failed: broken://there does not conform")
    assert [table.name for table in STORED if opened[0].scan(Scan(table)).num_rows] == []


class NeverDeletes(MemoryStore):
    """It says that it deleted."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def delete(self, plan: Delete) -> int:
        return int(self.scan(Scan(plan.table, plan.where)).num_rows)


class CannotRead(MemoryStore):
    """Its server is not well."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def scan(self, plan: Scan) -> pa.Table:
        raise RuntimeError("the server is not well")


def test_a_store_that_deletes_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "keeps", NeverDeletes)
    report = conform("keeps://there", examples=1)
    assert not report.passed
    row = _by_name(report)["everything is deleted again"]
    assert row.outcome == "failed"
    assert "rows of threads are still there" in row.detail


def test_what_a_store_raises_is_in_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "sick", CannotRead)
    report = conform("sick://there", examples=1)
    row = _by_name(report)["nulls come last, ascending"]
    assert (row.outcome, row.detail.strip()) == ("failed", "RuntimeError: the server is not well")


def test_a_store_that_holds_rows_is_refused_and_untouched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.db"
    with colonnade.open(path) as storage:
        storage.memory.save_thread(thread=THREAD)
        before = storage.execute(Scan(STORED[0])).to_pylist()
    with pytest.raises(InvalidInput, match=r"holds rows \(1 in threads\); conform deletes everything"):
        conform(str(path))
    with pytest.raises(SystemExit) as ended:
        cli.main(["conform", str(path)])
    assert ended.value.code == 1
    assert "holds rows (1 in threads)" in capsys.readouterr().err
    with colonnade.open(path) as storage:
        assert storage.execute(Scan(STORED[0])).to_pylist() == before


def test_a_store_that_is_interrupted_is_left_empty(tmp_path: Path) -> None:
    def interrupt(name: str) -> None:
        if name == QUESTIONS[3].caption:
            raise KeyboardInterrupt

    path = tmp_path / "store.db"
    with pytest.raises(KeyboardInterrupt):
        conform(str(path), examples=1, progress=interrupt)
    with colonnade.open(path) as storage:
        assert [table.name for table in STORED if storage.execute(Summarize(table)).column("count")[0].as_py()] == []


def test_examples_must_be_a_number_of_them() -> None:
    with pytest.raises(InvalidInput, match="examples must be a whole number >= 1, not 0"):
        conform(":memory:", examples=0)


def test_the_command_prints_the_table_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["conform", ":memory:", "--examples", "1"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("outcome  seconds  what\n")
    assert out.splitlines()[-1].endswith("0 failed: :memory: conforms")


def test_the_table_is_aligned_and_fits_in_80_columns() -> None:
    report = Report(
        "there",
        (
            Row("a rule that is said in a great many words, so many that they do not fit into one line", "passed", 1.5),
            Row("patch", "excused", None, "notimpl: " + "we could do that " * 8),
            Row("order", "failed", 12.25, "AssertionError: rows\n- 'a'\n+ 'b'"),
        ),
    )
    assert not report.passed
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [
        "outcome  seconds  what",
        "-" * 80,
        "passed      1.50  a rule that is said in a great many words, so many that they",
        "                  do not fit into one line",
        "excused           patch",
        "                    notimpl: we could do that we could do that we could do that",
        "                    we could do that we could do that we could do that we could",
        "                    do that we could do that",
        "failed     12.25  order",
        "    AssertionError: rows",
        "    - 'a'",
        "    + 'b'",
        "-" * 80,
        "1 passed, 1 excused, 1 failed: there does not conform",
    ]


WITHOUT_HYPOTHESIS = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError("No module named 'hypothesis'", name=name)

sys.meta_path.insert(0, Missing())
import colonnade, colonnade.testing as kit
with colonnade.open(":memory:") as storage:
    kit.load(storage)
    for question in kit.QUESTIONS:
        kit.ask(storage, question)
    kit.agree(storage.stores[0], kit.EXCUSES["memory"])
kit.Reference
try:
    kit.conform(":memory:")
except colonnade.testing.report.MissingExtra as error:
    print(error)
"""


def test_all_but_the_machine_works_without_hypothesis() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_HYPOTHESIS], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(MissingExtra("the conformance machine", "testing"))


def test_every_name_of_the_kit_is_there() -> None:
    import colonnade.testing as kit

    assert [name for name in kit.__all__ if not hasattr(kit, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kit.nothing
    assert kit.conform is conform


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("plain://ada:s3cret@there/db?auth_token=t0ken", "plain://ada@there/db"),
        ("plain://there", "plain://there"),
        ("agent", "agent"),
        (":memory:", ":memory:"),
    ],
)
def test_no_secret_of_an_address_is_said(address: str, said: str) -> None:
    assert report_module._said(address) == said
