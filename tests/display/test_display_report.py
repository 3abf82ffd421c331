"""The page of a report: what is on it, that nothing in it is markup but ours, and that it tells no secrets."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.display.report import name_of, report_page
from colonnade.display.report_tables import compact, percent
from colonnade.errors import InvalidInput
from colonnade.queries.report import width_for

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = {"since": NOON - timedelta(hours=12), "until": NOON + timedelta(hours=12)}
EVIL = "<script>alert(1)</script>"


def trace(
    name: str, start: datetime, seconds: float | None, *steps: dict[str, Any], **more: Any
) -> list[dict[str, Any]]:
    ended = None if seconds is None else start + timedelta(seconds=seconds)
    root = {"traceId": name, "spanId": "1", "name": "agent", "spanType": "agent_run", "startedAt": start}
    return [
        {**root, "endedAt": ended, **more},
        *(
            {"traceId": name, "spanId": f"{n}", "parentSpanId": "1", "startedAt": start, "endedAt": ended, **step}
            for n, step in enumerate(steps, 2)
        ),
    ]


@pytest.fixture
def store() -> Iterator[Any]:
    chat = {"name": "chat", "spanType": "model_generation", "model": EVIL, "cost": 0.5, "inputTokens": 12_000}
    tool = {"name": f"tool {EVIL}", "spanType": "tool_call", "error": {"message": f"no {EVIL}"}}
    with colonnade.open(":memory:") as opened:
        opened.observability.batch_create_spans(
            records=[
                *trace("before", NOON - timedelta(hours=20), 4, chat),
                *trace(f"failed {EVIL}", NOON, 10, chat, tool, error={"message": "gave up"}),
                *trace("fine", NOON + timedelta(hours=3), 2, chat),
                *trace("running", NOON + timedelta(hours=4), None),
            ]
        )
        opened.scores.save_scores(
            scores=[
                {
                    "scorerId": EVIL,
                    "scorer": {},
                    "score": score,
                    "source": "LIVE",
                    "output": {},
                    "runId": "r",
                    "entityId": "e",
                    "entity": {},
                    "createdAt": NOON + timedelta(hours=hours),
                }
                for hours, score in enumerate([0.25, 0.75, -0.5])
            ]
        )
        yield opened


def test_a_report_counts_what_began_in_its_time_and_in_the_time_before(store: Any) -> None:
    found = store.queries.report(**DAY)
    assert found.every == "1h"
    assert (found.total["traces"], found.total["failed"], found.total["running"], found.total["cost"]) == (3, 1, 1, 1.0)
    assert (found.before["traces"], found.before["p95Ms"]) == (1, 4000.0)
    hours = found.traces.to_pylist()
    assert (len(hours), sum(row["traces"] for row in hours)) == (24, 3)
    assert hours[0] == {"startedAt": DAY["since"], "traces": 0, "failed": 0, "ended": 0, "p50Ms": None, "p95Ms": None}
    assert found.slowest.column("traceId").to_pylist() == [f"failed {EVIL}", "fine"]
    assert found.failing.column("traceId").to_pylist() == [f"failed {EVIL}"]


def test_the_page_says_it_all_and_escapes_it(store: Any) -> None:
    page = report_page(store.queries.report(**DAY), "/srv/agents/helpdesk")
    assert "<title>helpdesk: last day</title>" in page
    for text in (
        "33.3 %",
        "$1.00",
        "24 k",
        "gave up",
        "1 still running",
        "\u00d73",
        "Traces per hour",
        "Cost per hour",
    ):
        assert text in page
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)  # it needs nothing beside it
    assert "/srv" not in page


def test_a_score_below_zero_is_below_the_line(store: Any) -> None:
    page = report_page(store.queries.report(**DAY), "s")
    assert ">-0.50<" in page
    assert ">1.00<" in page


def test_a_report_of_nothing_says_so() -> None:
    with colonnade.open(":memory:") as empty:
        assert "Nothing was recorded in this time." in report_page(empty.queries.report(), "s")


def test_a_report_of_one_moment_is_drawn() -> None:
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=trace("t", NOON, 0))
        found = store.queries.report(since=NOON, until=NOON + timedelta(seconds=1))
        assert (found.every, found.traces.num_rows) == ("1m", 1)
        assert "Traces per minute" in report_page(found, "s")


def test_a_report_shows_itself_in_notebooks(store: Any) -> None:
    bundle = store.queries.report(**DAY)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("last day: 3 traces, 1 failed, ")
    assert bundle["text/html"].startswith("<style>")


def test_a_report_ends_after_it_begins() -> None:
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match="ends after it begins"):
        store.queries.report(since=NOON, until=NOON)


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ("agents/helpdesk", "helpdesk"),
        ("duckdb:////srv/agent%20one.db?read_only=true", "agent one.db"),
        ("clickhouse://user:secret@db.example:8123/traces?token=secret", "db.example/traces"),
        (":memory:", ":memory:"),
    ],
)
def test_a_page_names_no_secret_and_no_path(store: str, name: str) -> None:
    assert name_of(store) == name


@pytest.mark.parametrize(
    ("length", "every"),
    [
        (timedelta(minutes=30), "1m"),
        (timedelta(hours=1), "2m"),
        (timedelta(days=1), "1h"),
        (timedelta(days=7), "6h"),
        (timedelta(days=30), "1d"),
        (timedelta(days=3650), "92d"),
    ],
)
def test_intervals_are_as_many_as_can_be_read(length: timedelta, every: str) -> None:
    assert width_for(length) == every


def test_figures_are_short() -> None:
    assert [compact(value) for value in (None, 0, 9_999, 12_340, 1_234_000, 5e9)] == [
        "–",  # noqa: RUF001
        "0",
        "9,999",
        "12.3 k",
        "1.23 M",
        "5 G",
    ]
    assert [percent(value) for value in (None, 0.0, 0.0123, 0.999, 1.0)] == ["–", "0 %", "1.2 %", "100 %", "100 %"]  # noqa: RUF001
