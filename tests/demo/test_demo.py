"""The demo runs, says what is true, and every line that it suggests works."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import pytest
from rich.cells import cell_len

import colonnade
from colonnade.demo import run as demo_run
from colonnade.demo.place import Place, place, quoted
from colonnade.demo.run import Demo, demo
from colonnade.demo.tasks import PROMPTS, TASKS
from colonnade.display.terminal import console
from colonnade.errors import AlreadyExists, InvalidInput

ROOT = Path(__file__).parents[2]
FEW = tuple(task for task in TASKS if task.id in ("where-lamp", "refund-boots", "two-cards"))


def told(path: Path | None = None, **options: Any) -> tuple[Demo, str]:
    """A demo and what it says on a screen of 80 columns."""
    file = io.StringIO()
    return demo(path, console=console(file, width=80), **options), file.getvalue()


def shell(line: str, folder: Path) -> str:
    """What a line gives that is typed in a folder; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of three requests, once each."""
    monkeypatch.setattr(demo_run, "TASKS", FEW)
    monkeypatch.setattr(demo_run, "TRIALS", 1)


def test_the_whole_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done, text = told()
    lines = [line.rstrip() for line in text.splitlines()]

    # It says what is simulated, shows each picture, and what it shows is worth looking at.
    assert "is simulated" in " ".join(lines)
    assert "✗ execute_tool lookup_order" in text
    assert "ToolTimeout: the order system did not answer within 2 s" in text
    assert "8 spans named execute_tool lookup_order" in text
    assert "demo-large" in text
    assert "The interval leaves out 0" in text
    assert "pass^k" in text
    assert "today/refund-boots is suspended" in text
    suggested = {line for suggestion in done.suggestions for line in suggestion.lines}
    assert suggested <= set(lines)  # each on one line, to be copied
    assert all(cell_len(line) <= 80 for line in lines if line not in suggested)

    # What it says is in the files.
    with colonnade.open("duckdb:///colonnade-demo.db?read_only=true") as store:
        assert store.sql("select count(*) as n from spans").rows() == [{"n": done.spans}]
        assert store.sql("select count(*) as n from spans where startTime > endTime").rows() == [{"n": 0}]
        assert store.sql("select count(*) as n from spans where endedAt > now()").rows() == [{"n": 0}]
        assert store.sql("select count(*) as n from scores").rows() == [{"n": len(PROMPTS) * len(TASKS) * 3}]
        found = store.queries.compare(baseline="prompt-v1", candidate="prompt-v2", scorer="resolved")
        assert found.difference > 0
        assert found.regressions
        assert [run["runId"] for run in store.workflows.list_workflow_runs(status="suspended")["runs"]] == [
            "today/refund-boots"
        ]
        messages = store.memory.list_messages(thread_id="today/refund-boots")["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
    assert polars.read_parquet("colonnade-demo-spans.parquet").height == done.spans
    assert sorted(path.name for path in tmp_path.iterdir()) == ["colonnade-demo-spans.parquet", "colonnade-demo.db"]

    # Every line works.
    answers = {
        suggestion.about: shell(line, tmp_path)
        for suggestion in done.suggestions
        if suggestion.shell
        for line in suggestion.lines
    }
    assert len(answers) == 6
    assert "invoke_agent helpdesk" in answers["the latest runs"]
    assert done.trace_id in answers["the run from above"]
    assert "execute_tool refund" in answers["spans by name"]
    assert "execute_tool refund" in answers["any question, in SQL"]
    assert "prompt-v2" in answers["the comparison, in full"]
    assert "pass^k" in answers["how reliable the first prompt was"]
    (snippet,) = [suggestion.lines for suggestion in done.suggestions if not suggestion.shell]
    (tmp_path / "snippet.py").write_text("\n".join(snippet))
    assert "execute_tool refund" in shell(f'"{sys.executable}" snippet.py', tmp_path)


@pytest.mark.usefixtures("small")
def test_a_demo_takes_the_place_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, _ = told()
    second, text = told()
    assert (first.trace_id, first.spans) == (second.trace_id, second.spans)  # chance is seeded
    assert "is there already" not in text
    with colonnade.open("duckdb:///colonnade-demo.db?read_only=true") as store:
        assert store.sql("select count(*) as n from spans").rows() == [{"n": second.spans}]

    # Somebody puts something of their own into it, and from then on it is theirs.
    with colonnade.open("colonnade-demo.db") as store:
        store.memory.save_thread(thread={"id": "mine", "resourceId": "me"})
    before = Path("colonnade-demo.db").read_bytes()
    with pytest.raises(AlreadyExists, match=r"colonnade demo --path other\.db"):
        told()
    assert Path("colonnade-demo.db").read_bytes() == before
    assert Path("colonnade-demo-spans.parquet").exists()


@pytest.mark.usefixtures("small")
def test_lines_work_from_here_wherever_the_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    there = tmp_path / "Ada's $HOME folder"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    done, text = told(there / "my demo.duckdb")
    assert "my demo-spans.parquet" in text
    for suggestion in done.suggestions:
        if suggestion.shell and suggestion.about in ("the run from above", "any question, in SQL"):
            assert shell(suggestion.lines[0], here)
        elif not suggestion.shell:
            (here / "snippet.py").write_text("\n".join(suggestion.lines))
            assert shell(f'"{sys.executable}" snippet.py', here)


@pytest.mark.usefixtures("small")
def test_a_demo_that_is_not_kept_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done, text = told(keep=False)
    assert not done.place.database.parent.exists()
    assert list(tmp_path.iterdir()) == []
    assert "Try next" not in text


def untouched(here: Place) -> None:
    """Clearing the place is refused, and nothing is changed."""
    before = {path: path.read_bytes() for path in here.database.parent.iterdir()}
    with pytest.raises(AlreadyExists, match="left as it is"):
        here.clear()
    assert {path: path.read_bytes() for path in here.database.parent.iterdir()} == before


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.database.write_text("my notes")
    untouched(here)


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import duckdb

    here = place(tmp_path / "shop.db")
    with duckdb.connect(str(here.database)) as connection:
        connection.execute("create table orders (id integer)")
    untouched(here)


def test_a_store_of_an_agent_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path / "agent.db")
    with colonnade.open(str(here.database)) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
    untouched(here)


def test_an_export_without_its_demo_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path / "agent.db")
    here.export.write_bytes(b"mine")
    untouched(here)


def test_a_demo_is_a_duckdb_file(tmp_path: Path) -> None:
    assert place(tmp_path).database == tmp_path / "colonnade-demo.db"
    assert place(None).database == Path("colonnade-demo.db")
    with pytest.raises(InvalidInput, match=r"end .*notes.txt in .db or .duckdb"):
        place(tmp_path / "notes.txt")


def test_disabled_tracing_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(InvalidInput, match="OTEL_SDK_DISABLED"):
        told(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="the words of another shell")
def test_words_survive_the_shell() -> None:
    for word in ("plain.db", "two words.db", "it's.db", "$HOME.db", 'a"b.db'):
        assert shell(f"printf %s {quoted(word)}", ROOT) == word
    assert shutil.which("printf")
