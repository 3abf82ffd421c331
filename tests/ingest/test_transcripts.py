"""Files of recorded runs: what is read, under which names, and what is said where something is missing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import InvalidInput
from colonnade.ingest.chat import Call, calls_of, content_of, error_of, text_of
from colonnade.ingest.made_times import EPOCH, times_of
from colonnade.ingest.transcripts import Run, read_transcripts

SECOND = timedelta(seconds=1)
HELLO = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]


def run(**more: Any) -> dict[str, Any]:
    return {"task_id": 7, "trial": 0, "reward": 1.0, "traj": HELLO, **more}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in run().items() if key != name}


def write(folder: Path, *runs: Any, lines: bool = False) -> Path:
    path = folder / ("runs.jsonl" if lines else "runs.json")
    path.write_text("\n".join(json.dumps(found) for found in runs) if lines else json.dumps(runs), encoding="utf-8")
    return path


def read(folder: Path, *runs: Any, lines: bool = False) -> list[Run]:
    return list(read_transcripts(write(folder, *runs, lines=lines)))


def refused(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        list(read_transcripts(path))
    return str(caught.value)


# --- what is read ---


@pytest.mark.parametrize("lines", [False, True], ids=["list", "jsonl"])
def test_a_list_and_json_lines_are_the_same_runs(tmp_path: Path, lines: bool) -> None:
    first, second = read(tmp_path, run(), run(task_id="b", trial=3, reward=0), lines=lines)
    assert (first.item, first.trial, first.reward) == ("7", 0, 1.0)
    assert (second.item, second.trial, second.reward) == ("b", 3, 0.0)
    assert list(first.messages) == HELLO


@pytest.mark.parametrize("messages", ["traj", "messages", "conversation"])
@pytest.mark.parametrize("reward", ["reward", "score"])
@pytest.mark.parametrize("item", ["task_id", "item", "id"])
def test_keys_go_by_several_names(tmp_path: Path, messages: str, reward: str, item: str) -> None:
    (found,) = read(tmp_path, {messages: HELLO, reward: 0.5, item: "x"})
    assert (list(found.messages), found.reward, found.item) == (HELLO, 0.5, "x")


def test_true_and_false_are_rewards(tmp_path: Path) -> None:
    assert [found.reward for found in read(tmp_path, run(reward=True), run(reward=False))] == [1.0, 0.0]


def test_runs_without_a_trial_are_counted_in_the_order_of_the_file(tmp_path: Path) -> None:
    unnumbered = without("trial")
    found = read(tmp_path, unnumbered, unnumbered, run(task_id="other"), unnumbered, run(trial=4), unnumbered)
    assert [(each.item, each.trial) for each in found] == [
        ("7", 0),
        ("7", 1),
        ("other", 0),
        ("7", 2),
        ("7", 4),
        ("7", 3),
    ]


def test_info_and_what_else_a_run_says_are_kept(tmp_path: Path) -> None:
    (found,) = read(tmp_path, run(info={"user_cost": 0.1}, model="gpt-4o"))
    assert found.info == {"user_cost": 0.1}
    assert found.more == {"model": "gpt-4o"}


def test_json_lines_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(run()) + "\nno json\n")
    runs = read_transcripts(path)
    assert next(runs).item == "7"  # the broken second line has not been looked at yet
    with pytest.raises(InvalidInput, match=r"runs\.jsonl, line 2"):
        next(runs)


def test_blank_lines_and_a_byte_order_mark_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text("\ufeff\n" + json.dumps(run()) + "\n\n", encoding="utf-8")
    assert len(list(read_transcripts(path))) == 1


# --- what is refused, and in which words ---


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("traj", "has no messages; give 'traj', 'messages' or 'conversation'"),
        ("reward", "has no reward; give 'reward' or 'score'"),
        ("task_id", "has no item; give 'task_id', 'item' or 'id'"),
    ],
)
@pytest.mark.parametrize(("lines", "place"), [(False, "element 1"), (True, "line 2")])
def test_what_is_missing_is_named_with_its_place(
    tmp_path: Path, missing: str, words: str, lines: bool, place: str
) -> None:
    said = refused(write(tmp_path, run(), without(missing), lines=lines))
    assert place in said
    assert words in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (["a list"], "not a run"),
        (run(traj=[]), "empty list"),
        (run(traj="Hello"), "not a list"),
        (run(traj=["Hello"]), "message 0 is a str"),
        (run(traj=[*HELLO, {"content": "?"}]), "message 2 has no role"),
        (run(traj=[{"role": "user", "content": 3}]), "message 0 has content that is a int"),
        (run(traj=[{"role": "assistant", "tool_calls": [{"id": "c"}]}]), "message 0 has a tool call without a name"),
        (run(traj=[{"role": "assistant", "tool_calls": {"id": "c"}}]), "message 0 has tool_calls that are a dict"),
        (run(reward="good"), "reward must be a finite number"),
        (run(reward=float("nan")), "reward must be a finite number"),
        (run(task_id=1.5), "item must be text or a whole number"),
        (run(task_id=""), "item must be text"),
        (run(task_id="a\0"), "item must be text without NUL"),
        (run(trial=-1), "trial must be a whole number from 0"),
        (run(trial="first"), "trial must be a whole number from 0"),
        (run(info="none"), "info is a str"),
        (run(traj=[{"role": "user", "timestamp": "2024-05-15T15:00:00"}]), "message 0: timestamp is a naive datetime"),
        (run(traj=[{"role": "user", "created_at": [1]}]), "message 0: created_at must be a datetime"),
    ],
)
def test_wrong_shapes_are_named_with_their_place(tmp_path: Path, found: Any, words: str) -> None:
    said = refused(write(tmp_path, run(), found))
    assert said.startswith("runs.json, element 1: ")
    assert words in said


@pytest.mark.parametrize("content", ["", "  \n", "[]"])
def test_a_file_without_runs_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "runs.json"
    path.write_text(content)
    assert "holds no runs" in refused(path)


@pytest.mark.parametrize("content", [b"[1,", b"hello", b'{"task_id": 1', b"\xff\xfe\x00"])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.json"
    path.write_bytes(content)
    said = refused(path)
    assert "is no JSON" in said or "is no UTF-8 text" in said
    assert "JSON list of runs, or one run a line" in said


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(tmp_path / "nowhere.json")


# --- times ---


def test_made_times_give_each_message_a_second_and_runs_do_not_overlap(tmp_path: Path) -> None:
    first, second = read(tmp_path, run(), run(trial=1))
    assert first.times.at == (EPOCH, EPOCH + SECOND)
    assert second.times.at == (EPOCH + 2 * SECOND, EPOCH + 3 * SECOND)
    assert first.times.made == (True, True)


@pytest.mark.parametrize(
    "said",
    [
        "2024-05-15T15:00:00.25Z",
        "2024-05-15T17:00:00.25+02:00",
        1715785200.25,
        1715785200250,
        1715785200250000,
        1715785200250000000,
    ],
)
@pytest.mark.parametrize("key", ["timestamp", "created_at", "createdAt"])
def test_recorded_times_are_used(key: str, said: Any) -> None:
    times = times_of([{"role": "user", key: said}], 0)
    assert times.at == (datetime(2024, 5, 15, 15, 0, 0, 250_000, UTC),)
    assert times.made == (False,)


def test_where_only_some_times_are_recorded_the_others_are_made_around_them() -> None:
    said = "2024-05-15T15:00:00Z"
    times = times_of([{"role": "user"}, {"role": "user", "timestamp": said}, {"role": "user"}], 0)
    noted = datetime(2024, 5, 15, 15, tzinfo=UTC)
    assert times.at == (noted - timedelta(microseconds=1), noted, noted + timedelta(microseconds=1))
    assert times.made == (True, False, True)


@given(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=12))
def test_times_increase_strictly_whatever_is_recorded(seconds: list[int | None]) -> None:
    messages = [{"role": "user"} if at is None else {"role": "user", "timestamp": at} for at in seconds]
    times = times_of(messages, 5)
    assert all(before < after for before, after in zip(times.at, times.at[1:], strict=False))
    assert times.made == tuple(at is None for at in seconds)


# --- one message ---


def test_the_text_of_parts_is_their_text() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "here"}]
    assert text_of({"role": "user", "content": parts}) == "Look\nhere"
    assert text_of({"role": "assistant", "content": None}) == ""


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]},
        {"tool_calls": [{"id": "c", "name": "add", "args": {"a": 1}}]},
    ],
)
def test_tool_calls_are_read_nested_or_flat(message: dict[str, Any]) -> None:
    assert calls_of(message) == [Call("c", "add", {"a": 1})]


def test_the_older_function_call_is_a_tool_call() -> None:
    assert calls_of({"function_call": {"name": "add", "arguments": "{}"}}) == [Call(None, "add", {})]


def test_arguments_that_are_no_json_stay_text() -> None:
    assert calls_of({"tool_calls": [{"function": {"name": "add", "arguments": "{a: 1"}}]}) == [
        Call(None, "add", "{a: 1")
    ]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"content": "Error: no such user"}, "Error: no such user"),
        ({"content": "denied", "is_error": True}, "denied"),
        ({"content": "denied", "status": "error"}, "denied"),
        ({"content": "No Error here"}, None),
    ],
)
def test_a_result_that_begins_with_error_or_is_marked_is_an_error(message: dict[str, Any], error: str | None) -> None:
    assert error_of({"role": "tool", **message}) == error


def test_parts_that_are_no_text_stay_as_they_were_recorded() -> None:
    image = {"type": "image_url", "image_url": {"url": "x"}}
    content = content_of({"role": "user", "content": [{"type": "text", "text": "Look"}, image]}, None, {})
    assert content == {"format": 2, "parts": [{"type": "text", "text": "Look"}, image], "content": "Look"}
