"""The demo runs, says what is true, and every line that it suggests works."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
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
from colonnade.errors import AlreadyExists, InvalidInput, StoreLocked

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


def python(lines: Sequence[str], folder: Path) -> str:
    """What lines of Python give that are run in a folder."""
    (folder / "snippet.py").write_text("\n".join(lines))
    return shell(f'"{sys.executable}" snippet.py', folder)


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
    with colonnade.open("colonnade-demo") as store:
        assert store.sql("select count(*) as n from spans").rows() == [{"n": done.spans}]
        assert store.sql("select count(*) as n from spans where startTime > endTime").rows() == [{"n": 0}]
        assert store.sql("select count(*) as n from spans where endedAt > now()").rows() == [{"n": 0}]
        assert store.sql("select count(*) as n from scores").rows() == [{"n": len(PROMPTS) * len(TASKS) * 3}]
        found = store.queries.compare(baseline="prompt-v1", candidate="prompt-v2", metric="resolved")
        assert found.difference().delta > 0
        assert found.regressions
        assert [run["runId"] for run in store.workflows.list_workflow_runs(status="suspended")["runs"]] == [
            "today/refund-boots"
        ]
        messages = store.memory.list_messages(thread_id="today/refund-boots")["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
    assert polars.read_parquet("colonnade-demo-spans.parquet").height == done.spans
    assert sorted(path.name for path in tmp_path.iterdir()) == ["colonnade-demo", "colonnade-demo-spans.parquet"]
    assert "in one folder" in " ".join(lines)

    # Every line works.
    answers = {
        suggestion.about: shell(line, tmp_path)
        for suggestion in done.suggestions
        if suggestion.shell
        for line in suggestion.lines
    }
    assert len(answers) == 8
    assert "invoke_agent helpdesk" in answers["the latest runs"]
    assert done.trace_id in answers["the run from above"]
    assert "execute_tool refund" in answers["spans by name"]
    assert "execute_tool refund" in answers["any question, in SQL"]
    assert "prompt-v2" in answers["the comparison, in full"]
    assert "pass^k" in answers["how reliable the first prompt was"]
    of_store, of_export = (
        python(suggestion.lines, tmp_path) for suggestion in done.suggestions if not suggestion.shell
    )
    assert "demo-large" in of_store
    assert "execute_tool refund" in of_export


def contents(folder: Path) -> dict[Path, bytes]:
    """All files in a folder, with what they hold."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["colonnade-demo", "colonnade-demo.db"])
def test_a_demo_takes_the_place_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    first, _ = told(Path(name))
    with colonnade.open(name) as store:
        store.optimize()  # as the upkeep does a minute later: where it is a folder, there are other files now
    second, text = told(Path(name))
    assert (first.trace_id, first.spans) == (second.trace_id, second.spans)  # chance is seeded
    assert "is there already" not in text
    with colonnade.open(name) as store:
        assert store.sql("select count(*) as n from spans").rows() == [{"n": second.spans}]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*sorted((name, "colonnade-demo-spans.parquet"))]


THINGS: dict[str, Callable[[colonnade.Storage], object]] = {
    "thread": lambda store: store.memory.save_thread(thread={"id": "mine", "resourceId": "me"}),
    "memory": lambda store: store.memory.update_resource(resource_id="me", working_memory="mine"),
    "run": lambda store: store.workflows.persist_workflow_snapshot(
        workflow_name="mine", run_id="1", snapshot={"status": "running"}
    ),
    "agent": lambda store: store.agents.create_agent(
        agent={"id": "mine", "name": "Mine", "instructions": "", "model": {"provider": "acme", "name": "small"}}
    ),
    "span": lambda store: store.observability.create_span(
        span={"traceId": "mine", "spanId": "1", "name": "chat", "startedAt": "2026-01-31T12:00:00Z"}
    ),
    "score": lambda store: store.scores.save_score(
        score={
            "scorerId": "mine",
            "scorer": {},
            "score": 1.0,
            "source": "LIVE",
            "entityId": "helpdesk",
            "entity": {},
            "output": {},
            "runId": "prompt-v1/where-lamp/0",
        }
    ),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo, to be copied."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_run, "TASKS", FEW)
        patch.setattr(demo_run, "TRIALS", 1)
        told(folder)
    return folder


@pytest.fixture
def earlier(made: Path, tmp_path: Path) -> Place:
    """A demo that was made earlier."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return place(tmp_path)


def test_an_earlier_demo_goes(earlier: Place) -> None:
    earlier.clear()
    assert list(earlier.store.parent.rglob("*")) == [earlier.store]


@pytest.mark.parametrize("thing", THINGS)
def test_a_demo_with_something_of_ones_own_in_it_is_left_alone(earlier: Place, thing: str) -> None:
    with colonnade.open(earlier.store) as store:
        THINGS[thing](store)
    untouched(earlier)


@pytest.mark.parametrize("name", ["notes.txt", "logs/notes.txt", "segments/notes.txt", "folder/notes.txt"])
def test_a_demo_with_other_files_in_it_is_left_alone(earlier: Place, name: str) -> None:
    path = earlier.store / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    untouched(earlier)


def test_what_a_link_points_to_is_left_alone(earlier: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (earlier.store / "segments").rename(elsewhere)
    (elsewhere / "00000001-0123abcd.duckdb").write_text("mine")
    (earlier.store / "segments").symlink_to(elsewhere)
    untouched(earlier)


def test_files_that_come_while_a_demo_is_deleted_stay(
    earlier: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_demo(here: Place) -> bool:
        (here.store / "notes.txt").write_text("mine")
        return True

    monkeypatch.setattr(Place, "_is_demo", is_demo)
    earlier.clear()
    assert contents(tmp_path) == {earlier.store / "notes.txt": b"mine"}


def test_a_demo_that_is_open_is_not_deleted(earlier: Place) -> None:
    with colonnade.open(earlier.store) as store:
        store.optimize()  # and so it has the lease
        with pytest.raises(StoreLocked, match="is open elsewhere"):
            earlier.clear()
        assert store.agents.get_agent_by_id(id="helpdesk") is not None
    earlier.clear()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["my demo", "my demo.duckdb"])
def test_lines_work_from_here_wherever_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = tmp_path / "here"
    there = tmp_path / "Ada's $HOME folder"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    done, text = told(there / name)
    assert "my demo-spans.parquet" in text
    for suggestion in done.suggestions:
        if suggestion.shell and suggestion.about in ("the run from above", "any question, in SQL"):
            assert shell(suggestion.lines[0], here)
        elif not suggestion.shell:
            assert python(suggestion.lines, here)


@pytest.mark.usefixtures("small")
def test_a_demo_that_is_not_kept_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done, text = told(keep=False)
    assert not done.place.store.parent.exists()
    assert list(tmp_path.iterdir()) == []
    assert "Try next" not in text


def untouched(here: Place) -> None:
    """Clearing the place is refused, and nothing is changed."""
    before = contents(here.store.parent)
    with pytest.raises(AlreadyExists, match=r"left as it is.*: colonnade demo --path other"):
        here.clear()
    assert contents(here.store.parent) == before


@pytest.mark.parametrize("name", ["colonnade-demo", "colonnade-demo.db"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    here = place(tmp_path / name)
    here.store.write_text("my notes")
    untouched(here)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = place(None)
    here.store.mkdir()
    here.clear()  # there is nothing in it
    for name in ("store.json", "manifest.json", "state.db"):
        (here.store / name).write_text('{"schema": "mine"}')
        untouched(here)


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import duckdb

    here = place(tmp_path / "shop.db")
    with duckdb.connect(str(here.store)) as connection:
        connection.execute("create table orders (id integer)")
    untouched(here)


@pytest.mark.parametrize("name", ["agent", "agent.db"])
def test_a_store_of_an_agent_is_left_alone(tmp_path: Path, name: str) -> None:
    here = place(tmp_path / name)
    with colonnade.open(here.store) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
    untouched(here)


def test_an_empty_store_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path / "agent")
    colonnade.open(here.store).close()
    untouched(here)


@pytest.mark.parametrize("name", ["agent", "agent.db"])
def test_an_export_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    here = place(tmp_path / name)
    here.export.write_bytes(b"mine")
    untouched(here)
    polars.DataFrame({"serviceName": ["colonnade-demo", "mine"]}).write_parquet(here.export)
    untouched(here)


def test_a_demo_is_a_folder_or_a_duckdb_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place(None) == Place(Path("colonnade-demo"))
    assert place("mine.db").export == Path("mine-spans.parquet")
    assert place("mine").export == Path("mine-spans.parquet")
    with pytest.raises(InvalidInput, match=r"leave away the ending of notes\.txt, or end it in \.db or \.duckdb"):
        place("notes.txt")


def test_a_folder_that_is_no_store_holds_the_demo(earlier: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = earlier.store
    assert store == store.parent / "colonnade-demo"
    assert place(store) == earlier
    monkeypatch.chdir(store)
    assert place(".") == earlier
    assert place("..").store.samefile(store)


@pytest.mark.usefixtures("small")
def test_a_demo_in_the_current_folder_is_replaced(earlier: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(earlier.store)
    done, text = told(Path())
    assert done.place == earlier
    assert "colonnade trace . " in text
    assert all(shell(line, Path()) for each in done.suggestions[:2] for line in each.lines)


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
