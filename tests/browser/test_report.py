"""The page of a report in a browser: accessible, without scripts, and without anything from elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.display.report import report_page

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)><script>alert(1)</script>"


@pytest.fixture(scope="module")
def html() -> str:
    with colonnade.open(":memory:") as store:
        for number in range(30):
            start = NOON + timedelta(minutes=20 * number)
            given = {"traceId": f"{number:032x}", "startedAt": start}
            error = {"message": EVIL} if number % 7 == 0 else None
            store.observability.batch_create_spans(
                records=[
                    {**given, "spanId": "1", "name": EVIL, "spanType": "agent_run", "endedAt": start, "error": error},
                    {**given, "spanId": "2", "parentSpanId": "1", "name": "chat", "model": EVIL, "cost": 0.1 * number},
                    {
                        **given,
                        "spanId": "3",
                        "parentSpanId": "1",
                        "name": EVIL,
                        "spanType": "tool_call",
                        "error": error,
                    },
                ]
            )
        return report_page(store.queries.report(since=NOON, until=NOON + timedelta(hours=12)), "agent")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_report_is_accessible_and_runs_nothing(
    dark: bool, html: str, open_html: Any, accessible: Callable[[Any], list[str]]
) -> None:
    page = open_html(html, dark=dark, width=1200)
    assert page.locator("svg.cn-plot").count() == 4
    assert page.locator("img, script").count() == 0
    assert accessible(page) == []
    assert page.happened == []


def test_a_report_fits_a_narrow_window(html: str, open_html: Any) -> None:
    page = open_html(html, width=480)
    assert page.evaluate("document.documentElement.scrollWidth") <= 480
