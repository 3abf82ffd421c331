"""Texts that mean something to some database are only texts, in every place that takes one, on every store.

Each is a row's id, its key and its value at once; so a text that were read as a condition, a pattern, an operator or a
command would find, change or delete the rows of all the others too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import At, Contains, Delete, Filter, Is, Not, Null, OneOf, Patch, Put, Scan
from colonnade.errors import InvalidInput
from colonnade.schemas import AGENTS, MESSAGES, RESOURCES, SCORES, SPANS, STORED, THREADS, WORKFLOWS
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table
from colonnade.testing.searched import in_lower_case, words_of

NOW = "2026-01-31T12:00:00Z"
LIVES = (
    *("x' OR '1'='1", "'; DROP TABLE mastra_threads; DROP TABLE threads; --", 'say "hi"', "`id`"),
    *("%", "_", "100%", "100", "1_0", "1a0", "*", "\\", "back\\slash", "\\'"),
    *("$where", '{"$gt": ""}', "null", "$.a[0]", ":id", "$1", "{id:String}", "__proto__"),
    *("thread:id", "redis.call('FLUSHALL')", "\r\n$3\r\nFOO", "a ", "a", "A"),
    *("\U0001f600", "e\u0301", "\xe9", "\u05e9\u05dc\u05d5\u05dd", "\u202etfel", "\uffff"),
)
"""Quotes, wildcards, escapes, operators, placeholders and commands of all the stores, and writing of other kinds."""

STRANGE = ("NUL \0 here", "cut \ud83d", "\ufdd0")
"""What keys and values of metadata may be, and identifiers may not."""


def rows(table: Table, text: str) -> dict[str, Any]:
    """A record that has a text wherever it may."""
    said = {text: text, "value": text, "list": [text, {text: [text]}]}
    dates = {"createdAt": NOW, "updatedAt": NOW}
    records: dict[str, dict[str, Any]] = {
        "threads": {"id": text, "resourceId": text, "title": text, "metadata": said},
        "messages": {
            "id": text, "threadId": text, "resourceId": text, "role": "user", "type": text,
            "content": {"format": 2, "parts": [{"type": "text", "text": text}], "metadata": said}, "createdAt": NOW,
        },
        "resources": {"id": text, "workingMemory": text, "metadata": said},
        "workflows": {
            "workflowName": text, "runId": text, "resourceId": text, "snapshot": {"runId": text, "context": said},
        },
        "scores": {
            "id": text, "scorerId": text, "traceId": text, "spanId": text, "runId": text, "entityId": text,
            "entity": said, "scorer": said, "output": text, "source": "TEST", "score": 1.0, "reason": text,
        },
        "spans": {
            "traceId": text, "spanId": text, "name": text, "scope": text, "spanType": text, "startedAt": NOW,
            "input": text, "metadata": said, "tags": [text], "attributes": said, "userId": text,
        },
        "agents": {"id": text, "name": text, "instructions": text, "model": said, "metadata": said},
    }  # fmt: skip
    return records[table.name] | ({} if table is MESSAGES else dates)


@pytest.fixture
def filled(storage: Any) -> Any:
    """A storage with a row of each text in every table."""
    keep(storage, *LIVES)
    return storage


def keep(storage: Any, *texts: str) -> None:
    """Keep a row of each text in every table."""
    storage.memory.save_messages(messages=[rows(MESSAGES, text) for text in texts])
    storage.scores.save_scores(scores=[rows(SCORES, text) for text in texts])
    storage.observability.batch_create_spans(records=[rows(SPANS, text) for text in texts])
    for table in (THREADS, RESOURCES, WORKFLOWS, AGENTS):
        storage.execute(Put(table, encode(table, [rows(table, text) for text in texts])))


def ids(storage: Any, table: Table, where: Filter) -> list[str]:
    """The texts whose rows are found."""
    (*_, name) = table.key
    return sorted(storage.execute(Scan(table, where, columns=(name,))).column(0).to_pylist())


def test_a_text_finds_its_own_rows_and_no_other(filled: Any) -> None:
    everything = sorted(LIVES)
    for text in LIVES:
        seen = filled.memory.get_thread_by_id(thread_id=text)
        assert {name: seen[name] for name in ("id", "resourceId", "title", "metadata")} == {
            name: rows(THREADS, text)[name] for name in ("id", "resourceId", "title", "metadata")
        }
        (found,) = filled.memory.list_threads_by_resource_id(resource_id=text)["threads"]
        assert found["id"] == text
        (said,) = filled.memory.list_messages(thread_id=text, resource_id=text)["messages"]
        assert said["content"] == rows(MESSAGES, text)["content"] and said["id"] == said["threadId"] == text
        assert filled.memory.get_resource_by_id(resource_id=text)["workingMemory"] == text
        run = filled.workflows.get_workflow_run_by_id(run_id=text, workflow_name=text)
        assert run["snapshot"] == rows(WORKFLOWS, text)["snapshot"] and run["resourceId"] == text
        (span,) = filled.observability.get_trace(trace_id=text)["spans"]
        for name in ("spanId", "name", "scope", "input", "metadata", "tags", "attributes"):
            assert span[name] == rows(SPANS, text)[name], name
        filters = {"metadata": {text: text}, "tags": [text], "userId": text}
        (root,) = filled.observability.list_traces(filters=filters)["spans"]
        assert root["traceId"] == text
        (score,) = filled.scores.list_scores_by_span(trace_id=text, span_id=text)["scores"]
        assert score["id"] == score["reason"] == text
        assert filled.agents.get_agent_by_id(id=text)["instructions"] == text
    assert ids(filled, THREADS, Not(Null("id"))) == everything


def test_sealed_rows_and_fresh_ones_alike(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as store:
        keep(store, *LIVES[::2])
        store.optimize()
        keep(store, *LIVES[1::2])
        test_a_text_finds_its_own_rows_and_no_other(store)
        test_a_text_in_a_filter_is_compared_and_nothing_else(store)


@pytest.mark.parametrize("place", [":memory:", "duckdb", "folder", "lance", "sqlite"])
def test_a_text_too_long_for_a_pattern_is_looked_for_letter_by_letter(tmp_path: Path, place: str) -> None:
    address = {
        ":memory:": ":memory:",
        "duckdb": f"duckdb:///{tmp_path / 'store.duckdb'}",
        "folder": str(tmp_path / "agent"),
        "lance": f"lancedb:///{tmp_path / 'lance'}",
        "sqlite": f"sqlite:///{tmp_path / 'store.sqlite'}",
    }[place]
    with colonnade.open(address) as store:
        for length in (999, 1_000, 1_001, 50_000):
            name = ("\xc9'\\%\u03a3\u0130\xdf\ud7ff$()[]" * length)[:length]
            names = {"upper": name, "lower": in_lower_case(name), "within": f"a{name}b", "other": name[:-1] + "x"}
            spans = [rows(SPANS, id) | {"name": text, "traceId": str(length)} for id, text in names.items()]
            store.observability.batch_create_spans(records=spans)
            for sealed in (False, True):
                if sealed:
                    store.optimize()
                of = Is("traceId", "=", str(length))
                found = ids(store, SPANS, of & Contains("name", name))
                assert found == ["lower", "upper", "within"]
                assert ids(store, SPANS, of & Not(Contains("name", name))) == ["other"]


def test_a_text_in_a_filter_is_compared_and_nothing_else(filled: Any) -> None:
    everything = set(LIVES)
    for text in LIVES:
        only, others = [text], sorted(everything - {text})
        where = Is("title", "=", text) & OneOf("resourceId", (text, "nobody"))
        assert ids(filled, THREADS, where & Is(At("metadata", ("value",)), "=", text)) == only
        assert (
            ids(filled, THREADS, Is(At("metadata", (text,)), "=", text) & Is(At("metadata", ("list",)), "has", text))
            == only
        )
        assert ids(filled, THREADS, Not(Null(At("metadata", ("list", 1, text))))) == only
        assert ids(filled, SPANS, Is("name", "!=", text)) == others
        lower = in_lower_case(text)
        holding = sorted(each for each in LIVES if lower in in_lower_case(each))
        assert ids(filled, SPANS, Contains("name", text)) == holding
        assert ids(filled, MESSAGES, Is("type", "<", text)) == sorted(each for each in LIVES if each < text)


def test_a_text_is_a_text_in_questions_sql_and_search(filled: Any) -> None:
    for text in LIVES:
        found = filled.sql('select id from threads where title = ? and "resourceId" = ?', [text, text])
        assert found.rows() == [{"id": text}]
        words = words_of(text)
        if not words:
            with pytest.raises(InvalidInput, match="word"):
                filled.search(text, table="threads", fields=["title"])
            continue
        hits = {hit.record["id"] for hit in filled.search(text, table="threads", fields=["title"], limit=100)}
        assert hits == {each for each in LIVES if set(words) <= set(words_of(each))}


def test_a_text_changes_and_deletes_its_own_rows_and_no_other(filled: Any) -> None:
    left, gone = LIVES[::3], [text for at, text in enumerate(LIVES) if at % 3]
    for text in gone:
        filled.memory.update_thread(id=text, title=text + "!", metadata={text: "changed", text + text: text})
        assert filled.execute(Patch(SPANS, Is("name", "=", text), {"scope": text + "!"})) == 1
    for text in gone:
        thread = filled.memory.get_thread_by_id(thread_id=text)
        said = rows(THREADS, text)["metadata"]
        assert (thread["title"], thread["metadata"]) == (text + "!", said | {text: "changed", text + text: text})
    assert ids(filled, THREADS, OneOf("title", tuple(text + "!" for text in LIVES))) == sorted(gone)
    assert ids(filled, SPANS, OneOf("scope", tuple(text + "!" for text in LIVES))) == sorted(gone)
    for text in gone[::2]:
        filled.memory.delete_thread(thread_id=text)
    filled.observability.batch_delete_traces(trace_ids=gone[::2])
    for text in gone[::4]:
        filled.workflows.update_workflow_results(workflow_name=text, run_id=text, step_id=text + ".", result=text)
        assert filled.workflows.load_workflow_snapshot(workflow_name=text, run_id=text)["context"][text + "."] == text
        filled.workflows.delete_workflow_run_by_id(workflow_name=text, run_id=text)
        filled.agents.delete_agent(id=text)
        assert filled.execute(Delete(SCORES, Is("scorerId", "=", text))) == 1
    for table, without in {
        THREADS: gone[::2],
        MESSAGES: gone[::2],
        SPANS: gone[::2],
        WORKFLOWS: gone[::4],
        AGENTS: gone[::4],
        SCORES: gone[::4],
    }.items():
        assert ids(filled, table, Not(Null(table.key[0]))) == sorted(set(LIVES) - set(without)), table.name
    for text in left:
        assert filled.memory.get_thread_by_id(thread_id=text)["metadata"] == rows(THREADS, text)["metadata"]


def contents(storage: Any) -> dict[str, Any]:
    """Everything that is kept."""
    return {
        table.name: storage.execute(Scan(table)).sort_by([(name, "ascending") for name in table.key])
        for table in STORED
    }


@pytest.mark.parametrize("text", STRANGE, ids=ascii)
def test_a_nul_is_kept_in_metadata_and_refused_in_identifiers(storage: Any, text: str) -> None:
    keep(storage, "here")
    said = {text: text, "list": [text, {text: None}]}
    storage.memory.update_thread(id="here", title=text, metadata=said)
    storage.observability.update_span(trace_id="here", span_id="here", updates={"name": text, "metadata": said})
    assert storage.memory.get_thread_by_id(thread_id="here")["title"] == text
    assert said.items() <= storage.memory.get_thread_by_id(thread_id="here")["metadata"].items()
    span = storage.observability.get_span(trace_id="here", span_id="here")["span"]
    assert (span["name"], span["metadata"]) == (text, said)
    assert ids(storage, THREADS, Is(At("metadata", (text,)), "=", text) & Is("title", "=", text)) == ["here"]
    assert ids(storage, THREADS, Contains("title", text)) == ["here"]
    assert ids(storage, SPANS, OneOf("name", (text, "nobody"))) == ["here"]
    (found,) = storage.observability.list_traces(filters={"metadata": {text: text}})["spans"]
    assert found["traceId"] == "here"
    if text == "\ufdd0":
        return  # a letter like any other, but for how it is kept
    before = contents(storage)
    memory, message = storage.memory, rows(MESSAGES, "m")
    refusals: tuple[Callable[[], Any], ...] = (
        lambda: memory.save_thread(thread={"id": text, "resourceId": "r"}),
        lambda: memory.save_thread(thread={"id": "t", "resourceId": text}),
        lambda: memory.save_messages(messages=[message, message | {"id": text}]),
        lambda: memory.save_messages(messages=[message | {"threadId": text}]),
        lambda: memory.save_resource(resource={"id": text}),
        lambda: memory.get_thread_by_id(thread_id=text),
        lambda: memory.list_messages(thread_id=text),
        lambda: memory.delete_thread(thread_id=text),
        lambda: memory.delete_messages(["here", text]),
        lambda: storage.workflows.persist_workflow_snapshot(workflow_name=text, run_id="r", snapshot={}),
        lambda: storage.workflows.persist_workflow_snapshot(workflow_name="w", run_id=text, snapshot={}),
        lambda: storage.observability.create_span(span=rows(SPANS, "s") | {"traceId": text}),
        lambda: storage.observability.create_span(span=rows(SPANS, "s") | {"spanId": text}),
        lambda: storage.observability.get_trace(trace_id=text),
        lambda: storage.observability.batch_delete_traces(trace_ids=["here", text]),
        lambda: storage.scores.save_score(score=rows(SCORES, "n") | {"scorerId": text}),
        lambda: storage.execute(Scan(SPANS, OneOf("traceId", ("here", text)))),
        lambda: storage.execute(Delete(SPANS, Is("traceId", "=", text))),
    )
    for refused in refusals:
        with pytest.raises(InvalidInput, match=r"holds a (NUL|lone surrogate)"):
            refused()
    assert all(found.equals(before[name]) for name, found in contents(storage).items())


MEGABYTE = "\xe9'\\%" * 210_000
"""1.05 MB in UTF-8, and more as JSON."""


@pytest.mark.parametrize(
    "place", ["title", "key of metadata", "value of metadata", "content", "input", "id", "resource"]
)
def test_a_megabyte_comes_back(storage: Any, place: str) -> None:
    storage.execute(Put(THREADS, encode(THREADS, [rows(THREADS, "here")])))
    before = contents(storage)
    thread: dict[str, Any] = {"id": "t", "resourceId": "r", "title": "T", "metadata": {}}
    changed: dict[str, dict[str, Any]] = {
        "title": {"title": MEGABYTE}, "id": {"id": MEGABYTE}, "resource": {"resourceId": MEGABYTE},
        "key of metadata": {"metadata": {MEGABYTE: 1}}, "value of metadata": {"metadata": {"value": MEGABYTE}},
    }  # fmt: skip
    thread |= changed.get(place, {})
    if place == "content":
        storage.memory.save_messages(messages=[rows(MESSAGES, "m"), rows(MESSAGES, "n") | {"content": MEGABYTE}])
        (found,) = storage.memory.list_messages(thread_id="n")["messages"]
        assert found["content"] == MEGABYTE
    elif place == "input":
        spans = [rows(SPANS, "s"), rows(SPANS, "n") | {"input": MEGABYTE}]
        storage.observability.batch_create_spans(records=spans)
        assert storage.observability.get_span(trace_id="n", span_id="n")["span"]["input"] == MEGABYTE
    else:
        storage.memory.save_thread(thread=thread)
        storage.memory.update_thread(id=thread["id"], metadata={"more": 1})
        thread["metadata"] = {**thread["metadata"], "more": 1}
        kept = storage.memory.get_thread_by_id(thread_id=thread["id"])
        assert {name: kept[name] for name in thread} == thread
        (listed,) = storage.memory.list_threads_by_resource_id(resource_id=thread["resourceId"])["threads"]
        assert listed["id"] == thread["id"]
        wheres: dict[str, Filter] = {
            "title": Is("title", "=", MEGABYTE) & Contains("title", MEGABYTE),
            "key of metadata": Is(At("metadata", (MEGABYTE,)), "=", 1),
            "value of metadata": Is(At("metadata", ("value",)), "=", MEGABYTE),
        }
        if place in wheres:
            assert ids(storage, THREADS, wheres[place]) == ["t"]
        storage.memory.delete_thread(thread_id=thread["id"])
        assert contents(storage)["threads"].equals(before["threads"])
