"""Recorded runs in a storage: threads, messages, traces and scores, each exactly once."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import Scan, asc
from colonnade.errors import InvalidInput
from colonnade.ingest.load import ImportReport, import_file
from colonnade.ingest.rows import RunRows, Source, rows_of
from colonnade.ingest.transcripts import read_transcripts
from colonnade.schemas import MESSAGES, SCORES, SPANS, THREADS
from colonnade.schemas.records import decode, encode

TABLES = (THREADS, MESSAGES, SPANS, SCORES)


def call(id: str, name: str = "find", **arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


TRAJ: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Find Ada."},
    {"role": "assistant", "content": None, "tool_calls": [call("c1", user="ada")]},
    {"role": "tool", "tool_call_id": "c1", "name": "find", "content": "Error: who?"},
    {"role": "assistant", "content": "Once more.", "tool_calls": [call("c1", user="Ada")]},
    {"role": "tool", "tool_call_id": "c1", "name": "find", "content": '{"id": 1}'},
    {"role": "assistant", "content": "Ada is 1."},
    {"role": "user", "content": "Thanks."},
]
INFO = {"task": {"instruction": "find ada"}, "reward_info": {"reward": 1.0}, "user_cost": 0.25, "source": "user"}
RUN: dict[str, Any] = {"task_id": 3, "trial": 2, "reward": 1.0, "traj": TRAJ, "info": INFO}


def write(folder: Path, *runs: dict[str, Any], name: str = "runs.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(runs))
    return path


def rows(folder: Path, *runs: dict[str, Any]) -> list[RunRows]:
    return [rows_of(run, Source("night")) for run in read_transcripts(write(folder, *(runs or (RUN,))))]


def contents(storage: Any) -> list[pa.Table]:
    return [storage.execute(Scan(table, order=tuple(asc(name) for name in table.key))) for table in TABLES]


def scores(storage: Any) -> list[dict[str, Any]]:
    return decode(SCORES, storage.execute(Scan(SCORES, order=(asc("createdAt"),))))


# --- the shared recording ---


@pytest.mark.parametrize("storage", ["memory-sync", "duckdb-async", "embedded-sync", "postgres-async"], indirect=True)
def test_the_airline_runs_are_200_threads_5308_messages_200_traces_and_200_scores(storage: Any, shared: Path) -> None:
    told: list[tuple[int, int]] = []
    path = shared / "data" / "tau-bench" / "gpt-4o-airline.json"
    report = import_file(storage, path, progress=lambda done, total: told.append((done, total)))
    # 200 roots, 2,454 turns of the assistant, 1,164 calls of tools.
    assert report == ImportReport(runs=200, threads=200, messages=5308, spans=3818, scores=200)
    assert told == [(done, 200) for done in range(20, 201, 20)]
    before = contents(storage)
    assert [table.num_rows for table in before] == [200, 5308, 3818, 200]
    spans = before[2]
    assert len(set(spans.column("traceId").to_pylist())) == 200
    assert spans.column("parentSpanId").null_count == 200

    assert import_file(storage, path) == report
    assert [after.equals(table) for after, table in zip(contents(storage), before, strict=True)] == [True] * 4


def test_every_store_keeps_the_first_40_of_them_exactly_once(storage: Any, shared: Path, tmp_path: Path) -> None:
    runs = json.loads((shared / "data" / "tau-bench" / "gpt-4o-airline.json").read_text())[:40]
    path = write(tmp_path, *runs)
    report = import_file(storage, path)
    before = contents(storage)
    assert [table.num_rows for table in before] == [40, report.messages, report.spans, 40]
    assert report.messages > 1000

    assert import_file(storage, path) == report
    assert [after.equals(table) for after, table in zip(contents(storage), before, strict=True)] == [True] * 4


# --- the rows of a run ---


def test_records_carry_every_field_and_read_back_as_they_are(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    for table, records in zip(TABLES, (found.threads, found.messages, found.spans, found.scores), strict=True):
        assert all(record.keys() == table.by_api.keys() for record in records)
        assert decode(table, encode(table, records)) == records


def test_a_run_is_a_thread_with_one_message_for_each_of_the_transcript(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    (thread,) = found.threads
    assert thread["metadata"] == {
        "item": "3",
        "trial": 2,
        "batch": "night",
        "dataset": None,
        "reward": 1.0,
        "timesMade": True,
    }
    assert [message["role"] for message in found.messages] == [message["role"] for message in TRAJ]
    assert {message["threadId"] for message in found.messages} == {thread["id"]}
    assert found.messages[1]["content"] == {
        "format": 2,
        "parts": [{"type": "text", "text": "Find Ada."}],
        "content": "Find Ada.",
        "metadata": {"timesMade": True},
    }
    assert (thread["createdAt"], thread["updatedAt"]) == (
        found.messages[0]["createdAt"],
        found.messages[-1]["createdAt"],
    )


def test_calls_and_results_are_tool_invocation_parts(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    asked, told = found.messages[4]["content"], found.messages[5]["content"]
    invocation = {"toolCallId": "c1", "toolName": "find", "args": {"user": "Ada"}}
    assert asked["parts"] == [
        {"type": "text", "text": "Once more."},
        {"type": "tool-invocation", "toolInvocation": {"state": "call", **invocation}},
    ]
    assert told["parts"] == [
        {"type": "tool-invocation", "toolInvocation": {"state": "result", **invocation, "result": '{"id": 1}'}}
    ]
    assert told["content"] == '{"id": 1}'


def test_a_run_is_a_trace_of_one_agent_with_its_models_and_tools_below_it(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    root, *steps = found.spans
    assert (root["spanType"], root["parentSpanId"], root["kind"]) == ("agent_run", None, 0)
    assert (root["input"], root["output"]) == ("Find Ada.", "Ada is 1.")
    assert [step["name"] for step in steps] == ["chat", "execute_tool find", "chat", "execute_tool find", "chat"]
    assert [step["spanType"] for step in steps[:2]] == ["model_generation", "tool_call"]
    assert {step["parentSpanId"] for step in steps} == {root["spanId"]}
    assert {step["traceId"] for step in steps} == {root["traceId"]}
    assert len({span["spanId"] for span in found.spans}) == 6
    assert (len(root["traceId"]), len(root["spanId"])) == (32, 16)
    assert all(span["threadId"] == found.threads[0]["id"] for span in found.spans)


def test_a_models_input_is_what_came_since_its_last_turn(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    models = [span for span in found.spans if span["spanType"] == "model_generation"]
    assert [span["input"] for span in models] == [TRAJ[0:2], TRAJ[3:4], TRAJ[5:6]]
    assert [span["output"] for span in models] == [TRAJ[2], TRAJ[4], TRAJ[6]]


def test_a_tools_span_has_its_arguments_result_and_error(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    failed, answered = (span for span in found.spans if span["spanType"] == "tool_call")
    assert (failed["input"], failed["output"]) == ({"user": "ada"}, "Error: who?")
    assert (failed["error"], failed["status"]) == ({"message": "Error: who?"}, {"code": 2})
    # The recording uses the id c1 twice: each result answers the call that waits for one.
    assert (answered["input"], answered["output"]) == ({"user": "Ada"}, '{"id": 1}')
    assert (answered["error"], answered["status"]) == (None, {"code": 0})
    assert answered["entityName"] == "find"


def test_a_call_that_is_never_answered_ends_with_the_run(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, {**RUN, "traj": TRAJ[:3]})
    (tool,) = (span for span in found.spans if span["spanType"] == "tool_call")
    assert (tool["output"], tool["error"], tool["endedAt"]) == (None, None, found.messages[-1]["createdAt"])


def test_results_without_an_id_answer_the_oldest_call_of_their_tool(tmp_path: Path) -> None:
    asked = {"role": "assistant", "tool_calls": [call("", "one"), call("", "two"), call("", "one")]}
    told = [
        {"role": "tool", "name": name, "content": text} for name, text in (("two", "b"), ("one", "a"), ("one", "c"))
    ]
    (found,) = rows(tmp_path, {**RUN, "traj": [asked, *told]})
    tools = [span for span in found.spans if span["spanType"] == "tool_call"]
    assert [(span["entityName"], span["output"]) for span in tools] == [("one", "a"), ("two", "b"), ("one", "c")]


def test_times_of_spans_are_those_of_their_messages_in_both_units(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    at = [message["createdAt"] for message in found.messages]
    root, model, tool, *_ = found.spans
    assert (root["startedAt"], root["endedAt"]) == (at[0], at[-1])
    assert (model["startedAt"], model["endedAt"]) == (at[1], at[2])
    assert (tool["startedAt"], tool["endedAt"]) == (at[2], at[3])
    assert root["startTime"] == int(at[0].timestamp()) * 1_000_000_000
    assert root["endTime"] - root["startTime"] == 7_000_000_000


def test_made_times_are_marked_everywhere_and_recorded_ones_nowhere(tmp_path: Path) -> None:
    noted = [{**message, "timestamp": 1_715_785_200 + place} for place, message in enumerate(TRAJ)]
    made, recorded = rows(tmp_path, RUN, {**RUN, "traj": noted})
    for found, marked in ((made, True), (recorded, None)):
        told = [thread["metadata"] for thread in found.threads]
        told += [message["content"].get("metadata") for message in found.messages]
        told += [row["metadata"] for row in (*found.spans, *found.scores)]
        assert [(metadata or {}).get("timesMade") for metadata in told] == [marked] * len(told)


def test_the_score_knows_item_trial_batch_and_what_was_scored(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    (score,) = found.scores
    assert (score["scorerId"], score["score"], score["source"]) == ("reward", 1.0, "TEST")
    assert (score["datasetItemId"], score["trial"], score["batchId"]) == ("3", 2, "night")
    assert (score["traceId"], score["spanId"]) == (found.spans[0]["traceId"], found.spans[0]["spanId"])
    assert (score["threadId"], score["runId"]) == (found.threads[0]["id"], found.spans[0]["runId"])
    assert (score["input"], score["output"]) == ("Find Ada.", "Ada is 1.")
    assert score["metadata"] == {
        "reward_info": {"reward": 1.0},
        "user_cost": 0.25,
        "source": "user",
        "timesMade": True,
    }
    assert score["additionalContext"] == {"task": {"instruction": "find ada"}}


def test_the_simulated_users_cost_is_not_the_agents(tmp_path: Path) -> None:
    (found,) = rows(tmp_path)
    assert [span["cost"] for span in found.spans] == [None] * 6
    assert found.spans[0]["metadata"]["user_cost"] == 0.25


def test_a_model_that_the_recording_names_is_kept(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, {**RUN, "model": "gpt-4o"})
    assert {(span["name"], span["model"]) for span in found.spans if span["kind"] == 2} == {("chat gpt-4o", "gpt-4o")}


def test_what_else_a_message_says_is_kept(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, {**RUN, "traj": [{"role": "user", "content": "Hi", "name": "ada"}]})
    assert found.messages[0]["content"]["metadata"]["recorded"] == {"name": "ada"}


def test_a_developer_message_keeps_its_role(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, {**RUN, "traj": [{"role": "developer", "content": "Be kind."}, *TRAJ[1:]]})
    assert found.messages[0]["role"] == "developer"


# --- identity ---


def test_identical_runs_of_two_trials_are_two(storage: Any, tmp_path: Path) -> None:
    report = import_file(storage, write(tmp_path, RUN, {**RUN, "trial": 3}))
    assert report == ImportReport(runs=2, threads=2, messages=16, spans=12, scores=2)
    assert [table.num_rows for table in contents(storage)] == [2, 16, 12, 2]


def test_a_run_that_is_in_the_file_twice_is_one_and_is_counted_as_repeated(storage: Any, tmp_path: Path) -> None:
    report = import_file(storage, write(tmp_path, RUN, RUN))
    assert report == ImportReport(runs=1, threads=1, messages=8, spans=6, scores=1, repeated=1)
    assert [table.num_rows for table in contents(storage)] == [1, 8, 6, 1]


def test_a_reward_that_was_corrected_replaces_the_score(storage: Any, tmp_path: Path) -> None:
    import_file(storage, write(tmp_path, RUN))
    import_file(storage, write(tmp_path, {**RUN, "reward": 0.0}))
    assert [score["score"] for score in scores(storage)] == [0.0]


def test_batches_are_named_by_the_file_and_kept_apart(storage: Any, tmp_path: Path) -> None:
    import_file(storage, write(tmp_path, RUN, name="monday.json"))
    import_file(storage, write(tmp_path, RUN, name="tuesday.json"), dataset="finding", scorer="success")
    import_file(storage, write(tmp_path, RUN, name="tuesday.json"), batch="wednesday")
    found = sorted((score["batchId"], score["scorerId"], score["datasetId"]) for score in scores(storage))
    assert found == [
        ("monday", "reward", tmp_path.name),
        ("tuesday", "success", "finding"),
        ("wednesday", "reward", tmp_path.name),
    ]
    assert [table.num_rows for table in contents(storage)][:3] == [3, 24, 18]


def test_strange_text_in_a_recording_comes_back(storage: Any, tmp_path: Path) -> None:
    strange = "NUL \0, half an emoji \ud83d, \ufdd0"
    import_file(storage, write(tmp_path, {**RUN, "traj": [{"role": "user", "content": strange}]}))
    (message,) = decode(MESSAGES, storage.execute(Scan(MESSAGES)))
    assert message["content"]["content"] == strange


# --- errors ---


def test_nothing_is_written_where_one_run_is_wrong(storage: Any, tmp_path: Path) -> None:
    many = [{**RUN, "trial": trial} for trial in range(30)]
    with pytest.raises(InvalidInput, match="element 30: has no reward"):
        import_file(storage, write(tmp_path, *many, {**RUN, "reward": None}))
    assert [table.num_rows for table in contents(storage)] == [0, 0, 0, 0]


def test_an_import_that_was_interrupted_is_completed_by_another(storage: Any, tmp_path: Path) -> None:
    path = write(tmp_path, *({**RUN, "trial": trial} for trial in range(30)))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(storage, path, progress=stop)
    assert [table.num_rows for table in contents(storage)] == [20, 160, 120, 20]
    assert import_file(storage, path).runs == 30
    assert [table.num_rows for table in contents(storage)] == [30, 240, 180, 30]


@pytest.mark.parametrize("name", ["batch", "scorer", "dataset"])
def test_a_name_that_no_store_takes_is_refused(tmp_path: Path, name: str) -> None:
    arguments: dict[str, Any] = {name: "a\0b"}
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match=f"{name} must be text without NUL"):
        import_file(store, write(tmp_path, RUN), **arguments)


def test_an_awaited_storage_is_refused(tmp_path: Path) -> None:
    store: Any = colonnade.aopen(":memory:")
    with pytest.raises(InvalidInput, match=r"open it with colonnade\.open\(\)"):
        import_file(store, write(tmp_path, RUN))
