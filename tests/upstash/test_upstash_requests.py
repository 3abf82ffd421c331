"""What is paid for: requests and commands of each operation, as the page says, and when something is sent again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.upstash.address import place_of
from colonnade.engine.stores.upstash.requests import Command, Request, Steps
from colonnade.engine.stores.upstash.talking import Counter, Post, Reply, talk
from colonnade.errors import StoreError
from tests.servers.upstash import Server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "upstash.md"
START = datetime(2026, 1, 31, tzinfo=UTC)
_fresh = count()
_going: list[list[str]] = []
_leaving: list[str] = []
"""Messages and threads that are to be deleted."""


def messages(number: int, thread: str = "t1") -> list[dict[str, Any]]:
    return [
        {
            "id": f"m{next(_fresh)}", "threadId": thread, "resourceId": "ada", "role": "user",
            "content": {"format": 2, "parts": [{"type": "text", "text": "Hello"}]},
        }
        for _ in range(number)
    ]  # fmt: skip


def spans(number: int, trace: str) -> list[dict[str, Any]]:
    return [
        {
            "traceId": trace, "spanId": f"s{place}", "name": "chat", "parentSpanId": "s0" if place else None,
            "startedAt": START + timedelta(seconds=place),
        }
        for place in range(number)
    ]  # fmt: skip


def score(trace: str) -> dict[str, Any]:
    return {
        "scorerId": "judge", "entityId": "a", "runId": "r", "traceId": trace, "output": "o", "score": 0.5,
        "scorer": {"id": "judge"}, "source": "LIVE", "entity": {}, "entityType": "AGENT",
    }  # fmt: skip


@pytest.fixture(scope="module")
def store(upstash: Server) -> Iterator[Any]:
    with colonnade.open(upstash.address("paid")) as store:
        for thread in ("t1", "t2"):
            store.memory.save_thread(thread={"id": thread, "resourceId": "ada", "title": "Hi"})
            store.memory.save_messages(messages=messages(60, thread))
        for thread in ("t3", "t4", "t5"):
            store.memory.save_thread(thread={"id": thread, "resourceId": "cid", "title": "Hi"})
            said = messages(10, thread)
            store.memory.save_messages(messages=said)
            _leaving.append(thread)
            _going.append([each["id"] for each in said])
        for trace in ("tr1", "tr2"):
            store.observability.batch_create_spans(records=spans(50, trace))
        for _ in range(3):
            store.scores.save_score(score=score("tr1"))
        for run in ("r1", "r2"):
            store.workflows.persist_workflow_snapshot(workflow_name="w", run_id=run, snapshot={"context": {}})
        for operation in OPERATIONS.values():
            operation(store)  # the server knows every script from here on
        yield store


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "a thread by its id": lambda s: s.memory.get_thread_by_id(thread_id="t1"),
    "a new thread": lambda s: s.memory.save_thread(
        thread={"id": f"t{next(_fresh)}", "resourceId": "bob", "title": "Hi"}
    ),
    "a page of a resource's threads": lambda s: s.memory.list_threads_by_resource_id(resource_id="ada"),
    "20 of a thread's messages": lambda s: s.memory.list_messages(thread_id="t1", per_page=20),
    "the last 10 messages": lambda s: s.memory.last_messages(thread_id="t1"),
    "10 new messages": lambda s: s.memory.save_messages(messages=messages(10)),
    "10 messages, deleted": lambda s: s.memory.delete_messages(_going.pop()),
    "a thread with its messages, deleted": lambda s: s.memory.delete_thread(thread_id=_leaving.pop()),
    "working memory, read": lambda s: s.memory.get_resource_by_id(resource_id="ada"),
    "working memory, changed": lambda s: s.memory.update_resource(resource_id="ada", working_memory="# Ada"),
    "100 new spans": lambda s: s.observability.batch_create_spans(records=spans(100, f"n{next(_fresh)}")),
    "a span that ends": lambda s: s.observability.update_span(
        trace_id="tr2", span_id="s1", updates={"endedAt": START + timedelta(minutes=1)}
    ),
    "a trace of 50 spans": lambda s: s.observability.get_trace(trace_id="tr1"),
    "the newest traces, a page": lambda s: s.observability.list_traces(pagination={"perPage": 2}),
    "a new score": lambda s: s.scores.save_score(score=score("tr2")),
    "the scores of a trace": lambda s: s.scores.list_scores_by_span(trace_id="tr1", span_id="s0"),
    "a workflow's snapshot, kept": lambda s: s.workflows.persist_workflow_snapshot(
        workflow_name="w", run_id="r1", snapshot={"context": {}}
    ),
    "a workflow's snapshot, read": lambda s: s.workflows.load_workflow_snapshot(workflow_name="w", run_id="r1"),
    "a workflow's step, kept": lambda s: s.workflows.update_workflow_results(
        workflow_name="w", run_id="r1", step_id="a", result={"status": "success"}
    ),
}

ROW: re.Pattern[str] = re.compile(r"^\| ([^|`]+) \| `([a-z_.]+)` \| (\d+) \| (\d+) \|$", re.M)


def priced() -> dict[str, tuple[int, int]]:
    return {what: (int(requests), int(commands)) for what, _, requests, commands in ROW.findall(PAGE.read_text())}


@pytest.mark.parametrize("what", OPERATIONS)
def test_an_operation_costs_what_the_page_says(store: Any, what: str) -> None:
    before = store.stats()
    OPERATIONS[what](store)
    after = store.stats()
    assert (after["requests"] - before["requests"], after["commands"] - before["commands"]) == priced()[what]


def test_the_page_prices_nothing_else() -> None:
    assert list(priced()) == list(OPERATIONS)


def test_what_is_done_all_the_time_takes_three_requests_at_most() -> None:
    assert max(requests for what, (requests, _) in priced().items() if "deleted" not in what) <= 3
    assert priced()["20 of a thread's messages"][0] <= 2
    assert priced()["a trace of 50 spans"][0] <= 2
    assert priced()["10 new messages"][0] <= 3


def test_pages_of_a_long_thread_cost_the_same_wherever_they_are(store: Any) -> None:
    store.memory.save_thread(thread={"id": "long", "resourceId": "ada", "title": "Hi"})
    store.memory.save_messages(messages=messages(500, "long"))
    for page in (0, 12, 24):
        before = store.stats()["requests"]
        assert len(store.memory.list_messages(thread_id="long", per_page=20, page=page)["messages"]) == 20
        assert store.stats()["requests"] - before <= 2


# When something is sent again: the talk, without a server.

PLACE = place_of("https://db.upstash.io", "s3cret", retries=2)


def steps(repeatable: bool) -> Steps[Any]:
    (answer,) = yield Request([Command(("GET", "a"))], repeatable)
    return answer


def told(replies: list[Reply], repeatable: bool) -> tuple[Any, list[Post], Counter]:
    counter, posts = Counter(), list[Post]()
    talking = talk(steps(repeatable), PLACE, counter)
    reply: Any = None
    waiting = iter(replies)
    while True:
        try:
            posts.append(talking.send(reply))
        except StopIteration as stop:
            return stop.value, posts, counter
        reply = next(waiting)


FINE = Reply(200, json.dumps({"result": "aGk="}).encode())
BUSY = Reply(429, b"slow down", after="1.5")
BROKEN = Reply(503, b"away")
RESET = Reply(failure="ReadError: reset")
UNREACHED = Reply(failure="ConnectError: refused", arrived=False)


@pytest.mark.parametrize("first", [BUSY, BROKEN, RESET, UNREACHED], ids=["429", "503", "reset", "unreached"])
def test_what_may_be_repeated_is_sent_again(first: Reply) -> None:
    answer, posts, counter = told([first, FINE], repeatable=True)
    assert answer == "hi"
    assert [post.body for post in posts] == [b'["GET","colonnade:a"]'] * 2
    assert posts[0].pause == 0 < posts[1].pause
    assert counter.stats() == {"requests": 2, "commands": 2}, "what is sent again is paid for again"


def test_the_server_says_how_long_to_wait() -> None:
    assert told([BUSY, FINE], repeatable=True)[1][1].pause == 1.5


@pytest.mark.parametrize("first", [BUSY, UNREACHED], ids=["429", "unreached"])
def test_what_was_turned_away_is_sent_again_in_any_case(first: Reply) -> None:
    assert told([first, FINE], repeatable=False)[0] == "hi"


@pytest.mark.parametrize("first", [BROKEN, RESET], ids=["503", "reset"])
def test_a_write_that_may_have_run_is_not(first: Reply) -> None:
    with pytest.raises(StoreError, match="it may have been carried out all the same"):
        told([first, FINE], repeatable=False)


def test_patience_ends() -> None:
    with pytest.raises(StoreError, match="takes no more requests for now"):
        told([BUSY] * 3, repeatable=True)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401, b"{}"), "refuses the token"),
        (Reply(413, b""), "larger than it takes"),
        (Reply(200, b"<html>"), "is no JSON: is the address right"),
        (Reply(200, b"[1]"), "is not Upstash's REST"),
        (Reply(400, b'{"error": "ERR s3cret is wrong"}'), "ERR ... is wrong"),
        (Reply(400, b'{"error": "OOM command not allowed"}'), "OOM command not allowed"),
        (Reply(404, b"no such page s3cret"), "answered 404: no such page ..."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_without_the_token(reply: Reply, said: str) -> None:
    with pytest.raises(StoreError, match=re.escape(said)) as error:
        told([reply], repeatable=True)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_script_that_the_server_forgot_is_sent_again_as_a_whole(store: Any, upstash: Server) -> None:
    upstash.command('["SCRIPT", "FLUSH"]')
    before = store.stats()["requests"]
    assert store.memory.get_thread_by_id(thread_id="t1")["title"] == "Hi"
    assert store.stats()["requests"] - before == 2
