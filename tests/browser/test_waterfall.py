"""Traces in a browser: they are read in both themes, without style sheets and without scripts, and reach everybody."""

import re
from collections.abc import Callable
from typing import Any

import pytest

import colonnade
from bench.one_trace import one_trace
from colonnade.display.waterfall import trace_html, trace_page
from colonnade.queries.traces import Trace

CLOSED = "document.querySelectorAll('details:not([open]) > :not(summary)').forEach(each => each.remove())"
COUNT = "document.querySelectorAll('.cn-span').length"
VISIBLE = "[...document.querySelectorAll('.cn-span')].filter(each => each.checkVisibility()).length"
PAPER = "each => getComputedStyle(each).backgroundColor"
BARS = ".cn-waterfall .cn-span .cn-bar rect"


def trace_of(records: list[dict[str, Any]]) -> Trace:
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=records)
        return store.trace(records[0]["traceId"])


@pytest.fixture(scope="module")
def small() -> Trace:
    return trace_of(one_trace(40, seed=3))


@pytest.fixture(scope="module")
def large() -> Trace:
    return trace_of(one_trace(10_000))


def notebook(html: str, *, theme: str = "light") -> str:
    """A picture where JupyterLab would put it."""
    is_light = str(theme == "light").lower()
    return (
        f'<!doctype html><html lang="en"><title>notebook</title><body data-jp-theme-light="{is_light}">'
        f"<main><h1>Notebook</h1><h2>Trace</h2>{html}</main>"
    )


def test_a_large_trace_is_accessible(large: Trace, open_html: Any, accessible: Callable[[Any], list[str]]) -> None:
    """In both themes, with one fold open. What is closed axe does not judge, but it takes a minute to pass it by: it is
    taken away.
    """
    page = open_html(notebook(trace_html(large)))
    assert page.evaluate(COUNT) == 10_000
    assert page.evaluate(VISIBLE) < 150, "what is open at first fits a few screens"
    page.locator(".cn-fold > summary").first.click()
    page.evaluate(CLOSED)
    assert page.evaluate(COUNT) == page.evaluate(VISIBLE) > 150
    assert accessible(page) == []
    light = page.locator(".colonnade").evaluate(PAPER)
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert page.locator(".colonnade").evaluate(PAPER) != light
    assert accessible(page) == []
    assert page.happened == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_that_opens_is_accessible(
    dark: bool, small: Trace, open_html: Any, accessible: Callable[[Any], list[str]]
) -> None:
    page = open_html(trace_page(small), dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert accessible(page) == []
    assert page.happened == []


def test_bars_lie_where_the_times_are(open_html: Any) -> None:
    """A span of the second half of its trace is drawn in the second half, under the axis's mark of that time."""
    records = one_trace(10, seed=1)[:1]
    start = records[0]["startedAt"]
    second = start.replace(second=0).__class__.resolution * 1_000_000
    records[0]["endedAt"] = start + 10 * second
    for place, (begin, end) in enumerate([(0, 5), (5, 10), (6, 7)], 2):
        times = {"startedAt": start + begin * second, "endedAt": start + end * second}
        records.append(records[0] | times | {"spanId": f"{place:016x}", "parentSpanId": records[0]["spanId"]})
    page = open_html(trace_html(trace_of(records)))
    boxes = [bar.bounding_box() for bar in page.locator(BARS).all()]
    root, *children = boxes
    for box, (begin, end) in zip(children, [(0, 5), (5, 10), (6, 7)], strict=True):
        assert box["x"] == pytest.approx(root["x"] + root["width"] * begin / 10, abs=1)
        assert box["width"] == pytest.approx(root["width"] * (end - begin) / 10, abs=1)
    marks = [mark.bounding_box()["x"] for mark in page.locator(".cn-head line").all()]
    assert marks[0] == pytest.approx(root["x"], abs=1)
    assert len(marks) == 6, "0, 2, 4, 6, 8 and 10 s"
    assert marks[3] == pytest.approx(children[2]["x"], abs=1), "6 s"


@pytest.mark.parametrize("width", [900, 600])
def test_nothing_is_clipped_at_the_width_of_a_notebook(width: int, small: Trace, open_html: Any) -> None:
    page = open_html(notebook(trace_html(small)), width=width)
    clipped = page.evaluate(
        """[...document.querySelectorAll('.cn-row > i, .cn-head > *, .cn-facts span')]
           .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth).map(each => each.textContent)"""
    )
    assert clipped == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_click_shows_what_a_span_holds_and_another_hides_it(small: Trace, open_html: Any) -> None:
    page = open_html(notebook(trace_html(small)))
    row = page.locator("summary.cn-row", has_text="chat large-1").first
    panel = page.locator("details:has(> summary.cn-row)", has_text="chat large-1").first.locator("> .cn-panel")
    assert not panel.is_visible()
    row.click()
    assert panel.is_visible()
    assert "Who built it?" in panel.inner_text()
    row.click()
    assert not panel.is_visible()


def test_the_spans_below_one_are_hidden_by_its_caret(small: Trace, open_html: Any) -> None:
    page = open_html(notebook(trace_html(small)))
    before = page.locator(".cn-span:visible").count()
    page.locator(".cn-below > summary").nth(1).click(position={"x": 8, "y": 12})
    assert page.locator(".cn-span:visible").count() < before
    assert page.locator(".cn-panel:visible").count() == 0, "and not the panel of the row that the caret lies on"


def test_without_a_style_sheet_bars_stand_beside_names_on_one_scale(small: Trace, open_html: Any) -> None:
    """What code hosts leave of a notebook's HTML: no style sheets, no scripts, no inline styles, no classes."""
    html = re.sub(r"<style>.*?</style>", "", trace_html(small), flags=re.DOTALL)
    html = re.sub(r' (?:style|class)="[^"]*"', "", html)
    page = open_html(html)
    pictures = [each.bounding_box() for each in page.locator("svg[aria-hidden]").all()]
    seen = [box for box in pictures if box is not None and box["width"]]
    assert len(seen) == 41, "40 spans and the axis"
    assert len({round(box["x"]) for box in seen[1:]}) == 1
    assert {round(box["width"]) for box in seen} == {280}
    text = page.locator("body").inner_text()
    for said in ("research agent", "chat large-1", "running", "is not here: still running, or never kept"):
        assert said in text


def test_without_drawings_every_span_is_still_told(small: Trace, open_html: Any) -> None:
    html = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", trace_html(small), flags=re.DOTALL)
    text = open_html(html).locator("body").inner_text()
    assert (
        len(
            re.findall(
                r"^\s*(?:▸|▾)?\s*(?:✗ failed: )?(?:step|chat|search|open|summ|index|answer|research)", text, re.M
            )
        )
        >= 40
    )
