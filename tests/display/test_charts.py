"""Charts that draw: what is in them, in both themes, and what they say where Altair is not installed."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.display.charts import cost_chart, latency_chart, score_chart
from colonnade.errors import InvalidInput, MissingExtra

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def store() -> Any:
    with colonnade.open(":memory:") as opened:
        records = [
            {"traceId": "t", "spanId": str(number), "name": "chat", "spanType": "model_generation", "cost": 0.01}
            | {"model": "small" if number % 2 else "large", "startedAt": NOON + timedelta(minutes=number)}
            | {"endedAt": NOON + timedelta(minutes=number, seconds=2)}
            for number in range(120)
        ]
        opened.observability.batch_create_spans(records=records)
        kept = {"scorer": {}, "source": "LIVE", "output": {}, "runId": "r", "entityId": "e", "entity": {}}
        for number in range(4):
            at = {"createdAt": NOON + timedelta(hours=number)}
            opened.scores.save_score(score=kept | at | {"scorerId": "polite", "score": number / 4})
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("chart", [latency_chart, cost_chart, score_chart])
def test_a_chart_of_a_storage_is_drawn(chart: Any, dark: bool, store: Any) -> None:
    vl_convert = pytest.importorskip("vl_convert")
    made = chart(store, dark=dark)
    svg = vl_convert.vegalite_to_svg(made.to_dict())
    assert svg.count("<path") > 4
    assert ("#15181d" if dark else "#ffffff") in svg
    assert "time (UTC)" in svg


def test_a_chart_holds_buckets_and_not_rows(store: Any) -> None:
    values = latency_chart(store, every="1h").to_dict()["data"]
    assert values == latency_chart(store.sql("select * from spans"), every="1h").to_dict()["data"]
    assert [row["calls"] for row in values["values"]] == [30, 30, 30, 30]
    assert {row["time"] for row in values["values"]} == {"2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z"}


def test_since_leaves_out_what_was_before(store: Any) -> None:
    values = cost_chart(store, by=None, every="1h", since="2026-01-31T13:30:00Z").to_dict()["data"]["values"]
    assert [row["calls"] for row in values] == [30]


def test_without_altair_a_chart_says_what_to_install(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[charts\]'"):
        latency_chart(store)


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Arrow data or a blocking storage, not str"):
        latency_chart("spans")  # type: ignore[arg-type]
