"""A trace as a waterfall: every span has its row, whatever the trace is like, and what is left out is said."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from bench.one_trace import START, one_trace
from colonnade.display.folding import OPEN, SIBLINGS, Fold, Folding
from colonnade.display.forest import Node, forest
from colonnade.display.notebook import HTML, PLAIN, mimebundle
from colonnade.display.timeline import Timeline
from colonnade.display.waterfall import ROWS, trace_html, trace_page
from colonnade.errors import NotFound
from colonnade.queries.traces import Trace
from colonnade.schemas import SCORES, SPANS
from colonnade.schemas.records import encode

SECOND = 1_000_000_000
KEPT = {"createdAt": START, "kind": 0, "isEvent": False}


def trace_of(records: list[dict[str, Any]], scores: list[dict[str, Any]] | None = None) -> Trace:
    """A trace of records as a store keeps them."""
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=records)
        for score in scores or ():
            store.scores.save_score(score=score)
        return store.trace(records[0]["traceId"] if records else "none")


def span(id: str, parent: str | None = None, seconds: float | None = 1.0, **more: Any) -> dict[str, Any]:
    ended = None if seconds is None else START + timedelta(seconds=seconds)
    known = {"traceId": "t", "spanId": id, "parentSpanId": parent, "name": f"span {id}", "spanType": "generic"}
    return known | {"startedAt": START, "endedAt": ended} | more


def rows(html: str) -> list[str]:
    """The names in the rows, as they are drawn."""
    return [re.sub(r"<[^>]*>", "", each) for each in re.findall(r'<span class="cn-name">(.*?)</span> ?<i', html)]


def test_a_row_says_what_a_span_was() -> None:
    root = span("a", spanType="agent_run", name="agent", seconds=4)
    chat = span("b", "a", 2, name="chat", model="small-1", inputTokens=1200, outputTokens=34, cost=0.0021)
    html = trace_html(trace_of([root, chat]))
    assert rows(html) == ["span", "agent", "\u2003chat small-1"]
    for said in ("2.00 s", "1,200 → 34", "$0.0021", "2 spans", "took <b>4.00 s</b>"):
        assert said in html


def test_a_failure_is_marked_by_a_sign_and_by_words() -> None:
    html = trace_html(trace_of([span("a", error={"name": "ValueError", "message": "no such order"})]))
    assert "✗" in html and "failed: " in html and "ValueError: no such order" in html and "1 failed" in html


def test_a_running_span_has_no_end_and_an_orphan_says_whom_it_misses() -> None:
    html = trace_html(trace_of([span("a", seconds=None), span("b", "gone", 3)]))
    assert "stroke-dasharray" in html and ">running<" in html and "1 running" in html
    assert "its parent gone is not here: still running, or never kept" in html
    assert "took <b>" not in html, "nobody knows as yet how long the trace takes"


def test_a_moment_is_a_mark_and_took_no_time() -> None:
    html = trace_html(trace_of([span("a", seconds=2), span("b", "a", 0, isEvent=True, name="retry")]))
    assert html.count("<path") == 1
    assert "<i></i>" in html


def test_scores_stand_beside_what_they_are_about() -> None:
    kept = {"scorer": {}, "source": "LIVE", "output": {}, "runId": "r", "entityId": "e", "entity": {}, "traceId": "t"}
    scores = [{**kept, "scorerId": "polite", "score": 0.5, "spanId": "b"}, {**kept, "scorerId": "solved", "score": 1.0}]
    trace = trace_of([span("a"), span("b", "a")], scores)
    html = trace_html(trace)
    assert rows(html)[2] == "\u2003span b polite 0.5"
    assert "solved <b>1</b>" in html


def test_a_trace_that_is_not_kept_says_so() -> None:
    with colonnade.open(":memory:") as store:
        trace = store.trace("<nobody>")
    assert "No span of trace &lt;nobody&gt; is kept here" in trace_html(trace)
    assert repr(trace) == "<Trace <nobody>: 0 spans>"
    assert str(trace) == "No span of trace <nobody> is kept here."


def test_a_notebook_gets_html_and_a_terminal_gets_text() -> None:
    trace = trace_of(one_trace(20))
    bundle = trace._repr_mimebundle_()
    assert bundle.keys() == {HTML, PLAIN}
    assert bundle[PLAIN] == str(trace) == mimebundle(trace)[PLAIN]
    assert "├ step" in bundle[PLAIN]
    assert "<script" not in bundle[HTML]


def test_of_a_large_trace_the_beginning_is_printed() -> None:
    text = str(trace_of(one_trace(600)))
    assert text.endswith("100 more spans are not printed")
    assert "600 spans" in text and len(text.splitlines()) < 520


def test_without_payloads_the_picture_says_that_there_are_none() -> None:
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=[span("a", input="secret plan")])
        assert "secret plan" in trace_html(store.trace("t"))
        light = trace_html(store.trace("t", payloads=False))
    assert "secret plan" not in light
    assert "Input and output were not read: they are with payloads=True." in light


def test_of_a_large_payload_the_beginning_is_shown_and_the_size_is_said() -> None:
    html = trace_html(trace_of([span("a", output="x" * 5_000_000)]))
    assert len(html) < 100_000
    assert re.search(r"the first 20,000 of 5,000,000 characters", html)


def test_of_many_payloads_those_of_failures_are_kept_and_the_rest_is_counted() -> None:
    records = [span("root")]
    records += [span(f"s{number}", "root", input="much " * 4000) for number in range(2000)]
    records += [span("bad", "root", input="needle", error={"message": "no"})]
    html = trace_html(trace_of(records))
    assert len(html) < 5_000_000
    assert "needle" in html
    assert re.search(r"Of [\d,]+ spans the input, output and attributes are left out of this picture", html)
    assert "store.trace(&quot;t&quot;).spans has them" in html


def test_a_trace_beyond_all_bounds_is_cut_and_says_so() -> None:
    spans = encode(SPANS, [span(f"{number:05}") | KEPT | {"startTime": number} for number in range(ROWS + 7)])
    html = trace_html(Trace("t", spans, SCORES.schema.empty_table()))
    assert len(html) < 5_500_000
    assert "7 more spans are not drawn, only counted above" in html
    assert f"{ROWS + 7:,} spans" in html


def test_a_chain_deeper_than_browsers_nest_is_drawn() -> None:
    records = [span(f"s{number}", f"s{number - 1}" if number else None) for number in range(3000)]
    html = trace_html(trace_of(records))
    assert html.count("cn-span") >= 3000
    depth = deepest = 0
    for tag in re.findall(r"<(/?)(?:div|details)\b", html):
        depth += -1 if tag else 1
        deepest = max(deepest, depth)
    assert deepest < 400
    assert "2999 span s2999" in html, "how deep it is, where it can no longer be indented"


def test_a_part_of_a_trace_is_a_trace_with_a_scale_of_its_own() -> None:
    kept = {"scorer": {}, "source": "LIVE", "output": {}, "runId": "r", "entityId": "e", "entity": {}, "traceId": "t"}
    scores = [{**kept, "scorerId": "polite", "score": 1.0, "spanId": id} for id in ("b", "d")]
    spans = [span("a", seconds=100), span("b", "a", 4), span("c", "b", 1), span("d", "a", 50), span("e", "c", 1)]
    trace = trace_of(spans, scores)
    part = trace.below("b")
    assert part.spans["spanId"].to_pylist() == ["b", "c", "e"]
    assert part.scores["spanId"].to_pylist() == ["b"]
    html = trace_html(part)
    assert "a part of trace" in html and "took <b>4.00 s</b>" in html
    for picture in (html, str(part)):
        assert "is not here" not in picture
    assert trace.below("a").spans.equals(trace.spans)
    with pytest.raises(NotFound, match="trace t has no span 'z'"):
        trace.below("z")


def test_a_page_of_its_own_holds_the_same() -> None:
    trace = trace_of(one_trace(20))
    assert trace_page(trace).startswith("<!doctype html>")
    assert rows(trace_page(trace)) == rows(trace_html(trace))


@given(st.lists(st.integers(-1, 60), max_size=60), st.integers(1, 80))
def test_every_span_is_drawn_once_whatever_its_parents(parents: list[int], limit: int) -> None:
    records = [
        span(f"s{number}", None if parent < 0 else f"s{parent}") | KEPT | {"startTime": number}
        for number, parent in enumerate(parents)
    ]
    _drawn_once(Folding(forest(records), limit), min(len(records), limit))


@pytest.mark.parametrize("width", [1, 3, 50, 1000])
def test_large_traces_are_folded_and_lose_nothing(width: int) -> None:
    count = OPEN + 1000
    records = [
        span(f"s{number}", None if not number else f"s{(number - 1) // width}") | KEPT | {"startTime": number}
        for number in range(count)
    ]
    folding = Folding(forest(records), ROWS)
    _drawn_once(folding, count)
    visible = _visible(folding, folding.roots)
    assert visible < 200, "what is open at first fits some screens"


def _drawn_once(folding: Folding, count: int) -> None:
    seen: list[int] = []
    waiting: list[Node | Fold] = list(folding.roots)
    while waiting:
        item = waiting.pop()
        if isinstance(item, Node):
            seen.append(id(item))
        waiting.extend(folding.inside(item))
    assert len(seen) == len(set(seen)) == count


def _visible(folding: Folding, items: Any) -> int:
    opened = [item for item in items if isinstance(item, Node) and folding.is_open(item)]
    return len(items) + sum(_visible(folding, folding.inside(item)) for item in opened)


def test_a_fold_says_what_is_in_it() -> None:
    records = [span("root", seconds=900) | KEPT | {"startTime": 0}]
    for number in range(OPEN):
        error = {"message": "no"} if number == OPEN - 1 else None
        more: dict[str, Any] = {"startTime": number, "name": "chat" if number % 2 else "search", "error": error}
        records.append(span(f"s{number}", "root") | KEPT | more)
    folding = Folding(forest(records), ROWS)
    last = folding.inside(folding.roots[0])[-1]
    assert isinstance(last, Fold)
    assert re.fullmatch(r"(chat|search) × 15, (chat|search) × 15", last.said)  # noqa: RUF001
    assert last.failed == 1
    assert len(folding.inside(folding.roots[0])) == SIBLINGS + 3


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["0"]),
        (1e-7, ["0", "20 ns", "40 ns", "60 ns", "80 ns"]),
        (0.0042, ["0", "1 ms", "2 ms", "3 ms"]),
        (6.18, ["0", "2 s", "4 s"]),
        (50.3, ["0", "20 s", "40 s"]),
        (290, ["0", "1 min", "2 min", "3 min", "4 min"]),
        (4000, ["0", "20 min", "40 min"]),
        (90_000, ["0", "6 h", "12 h", "18 h"]),
        (40 * 86_400, ["0", "240 h", "480 h", "720 h"]),
    ],
)
def test_the_axis_has_round_numbers(seconds: float, labels: list[str]) -> None:
    axis = str(Timeline(1_795_662_264 * SECOND, round(seconds * SECOND)).axis())
    assert re.findall(r">([^<]+)</text>", axis) == labels


@given(st.integers(0, 10**19))
def test_the_axis_has_few_marks_at_any_length(length: int) -> None:
    marks = str(Timeline(0, length).axis()).count("<line")
    assert 1 <= marks <= 6
