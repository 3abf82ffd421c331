"""Usage: calls, tokens, cost, latency and errors, by a column of spans."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.errors import InvalidInput

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def keep(storage: Any, *spans: dict[str, Any]) -> None:
    storage.observability.batch_create_spans(
        records=[
            {"traceId": "t", "spanId": f"{number}", "name": "chat", "startedAt": NOON, **span}
            for number, span in enumerate(spans)
        ]
    )


def ended(milliseconds: float, **more: Any) -> dict[str, Any]:
    return {"endedAt": NOON + timedelta(milliseconds=milliseconds), **more}


def test_usage_by_model_most_calls_first(storage: Any) -> None:
    keep(
        storage,
        ended(100, model="big", inputTokens=10, outputTokens=1, cost=0.5),
        ended(300, model="big", inputTokens=20, cost=0.25, error={"message": "x"}),
        ended(200.5, model="small"),
        {"model": "big"},
        ended(5000, name="agent", inputTokens=30),  # no call of a model
    )

    assert storage.queries.usage().to_pylist() == [
        {
            "model": "big",
            "calls": 3,
            "errors": 1,
            "inputTokens": 30,
            "outputTokens": 1,
            "cost": 0.75,
            "meanLatencyMs": 200.0,
            "p50LatencyMs": 200.0,
            "p95LatencyMs": pytest.approx(290.0),
        },
        {
            "model": "small",
            "calls": 1,
            "errors": 0,
            "inputTokens": None,
            "outputTokens": None,
            "cost": None,
            "meanLatencyMs": 200.5,
            "p50LatencyMs": 200.5,
            "p95LatencyMs": 200.5,
        },
    ]


def test_latency_is_null_while_nothing_has_ended(storage: Any) -> None:
    keep(storage, {"model": "m"})

    (row,) = storage.queries.usage().to_pylist()
    assert (row["calls"], row["meanLatencyMs"], row["p50LatencyMs"], row["p95LatencyMs"]) == (1, None, None, None)


def test_latency_is_measured_in_nanoseconds(storage: Any) -> None:
    keep(storage, {"model": "m", "startTime": 1, "startedAt": None, "endTime": 1_500_001})

    assert storage.queries.usage().column("p50LatencyMs").to_pylist() == [1.5]


def test_usage_by_any_text_column_ties_by_its_value(storage: Any) -> None:
    keep(storage, {"name": "b"}, {"name": "a"}, {"name": "c"}, {"name": "c", "userId": "ada"})

    assert storage.queries.usage(by="name").select(["name", "calls"]).to_pylist() == [
        {"name": "c", "calls": 2},
        {"name": "a", "calls": 1},
        {"name": "b", "calls": 1},
    ]
    assert storage.queries.usage(by="userId").column("userId").to_pylist() == ["ada"]


def test_usage_may_be_narrowed_by_type_and_by_time(storage: Any) -> None:
    late = NOON + timedelta(hours=1)
    keep(storage, {"spanType": "tool_call"}, {"startedAt": late}, {"startedAt": late, "spanType": "tool_call"})

    assert storage.queries.usage(by="name", span_type="tool_call").column("calls").to_pylist() == [2]
    assert storage.queries.usage(by="name", since=late).column("calls").to_pylist() == [2]
    assert storage.queries.usage(by="name", until=late, span_type="tool_call").column("calls").to_pylist() == [1]


def test_usage_of_nothing_is_an_empty_table_of_the_same_columns(storage: Any) -> None:
    empty = storage.queries.usage(by="provider")
    keep(storage, ended(1, provider="p", inputTokens=1, cost=1))

    full = storage.queries.usage(by="provider")

    assert (empty.num_rows, full.num_rows) == (0, 1)
    assert [(f.name, f.type) for f in empty.schema] == [(f.name, f.type) for f in full.schema]


@pytest.mark.parametrize("by", ["nmae", "cost", "metadata", "startedAt", "input"])
def test_usage_is_counted_by_text_columns_only(storage: Any, by: str) -> None:
    with pytest.raises(InvalidInput, match=by):
        storage.queries.usage(by=by)
