"""A store with something of everything in it, made once and copied for each test that damages it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade

WHEN = "2026-01-01T00:00:00Z"
ASKED = {
    "spans": "select * from spans order by traceId, spanId",
    "scores": "select * from scores order by id",
    "evals": "select * from evals order by id",
    "messages": "select * from messages order by id",
}


def span(trace: int, number: int, **more: Any) -> dict[str, Any]:
    """A span of a trace."""
    ids = {"traceId": f"t{trace:03}", "spanId": f"{number}"}
    parent = {"parentSpanId": "0"} if number else {}
    return {**ids, **parent, "name": "n", "startedAt": WHEN, "endedAt": WHEN, "input": f"what {trace} said", **more}


def score(number: int) -> dict[str, Any]:
    """A score of a trace."""
    given = {"scorerId": "s", "entityId": "e", "runId": "r", "output": "o", "score": 0.5, "source": "TEST"}
    return {**given, "id": f"s{number:03}", "traceId": f"t{number:03}", "scorer": {"id": "s"}, "entity": {"id": "e"}}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, the first with rows that are replaced and deleted; a log of eight commits; messages."""
    path = tmp_path_factory.mktemp("whole") / "agent"
    with colonnade.open(path) as store:
        embedded: Any = store.stores[0]
        store.observability.batch_create_spans(records=[span(trace, n) for trace in range(100) for n in range(3)])
        store.scores.save_scores(scores=[score(number) for number in range(20)])
        embedded.optimize(merge=False)
        store.observability.batch_create_spans(records=[span(trace, n) for trace in range(100, 150) for n in range(3)])
        store.observability.update_span(trace_id="t007", span_id="1", updates={"name": "updated"})
        store.observability.batch_delete_traces(trace_ids=["t009"])
        embedded.optimize(merge=False)
        for trace in range(200, 208):
            store.observability.batch_create_spans(records=[span(trace, n) for n in range(3)])
        store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
        store.memory.save_messages(
            messages=[
                {"id": f"m{n:03}", "threadId": "t", "resourceId": "r", "role": "user", "content": f"said {n} " * 50}
                for n in range(100)
            ]
        )
    return path


@pytest.fixture
def agent(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "agent"))


Answers = dict[str, list[dict[str, Any]]]


def answers(path: Path) -> Answers:
    """All rows of it."""
    with colonnade.open(path) as store:
        return {name: store.sql(query).rows() for name, query in ASKED.items()}


@pytest.fixture(scope="session")
def right(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """All rows, while nothing is damaged."""
    return answers(Path(shutil.copytree(whole, tmp_path_factory.mktemp("right") / "agent")))


@pytest.fixture
def ask() -> Callable[[Path], Answers]:
    """Gives all rows of a store."""
    return answers
