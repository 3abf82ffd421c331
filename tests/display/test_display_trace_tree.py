"""A trace as a tree, whatever the spans say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from colonnade.display.forest import forest
from colonnade.display.terminal import plain, trace_tree

BEGIN = datetime(2026, 1, 31, 12, 0, 0, 120_000, tzinfo=UTC)


def span(id: str, parent: str | None, name: str, start: int, end: int | None, **fields: Any) -> dict[str, Any]:
    """A span from ``start`` to ``end`` milliseconds after the beginning."""
    return {
        "traceId": "t" * 32,
        "spanId": id,
        "parentSpanId": parent,
        "name": name,
        "spanType": "generic",
        "startedAt": BEGIN + timedelta(milliseconds=start),
        "endedAt": None if end is None else BEGIN + timedelta(milliseconds=end),
        **fields,
    }


RUN = [
    span("a", None, "agent", 0, 2000, spanType="agent_run", cost=0.0123),
    span("c", "a", "lookup", 900, 1000, error={"name": "net.Timeout", "message": "gave up after 1 s"}),
    span("b", "a", "chat", 10, 800, model="large-1", inputTokens=1312, outputTokens=20, cost=0.0123),
    span("d", "b", "token", 500, 500, isEvent=True),
]


def lines(spans: list[dict[str, Any]], width: int = 120) -> list[str]:
    return plain(trace_tree(spans), width).splitlines()


def test_children_stand_below_their_parent_by_start() -> None:
    starts = [line.split("  ")[0].rstrip() for line in lines(RUN)[3:]]
    assert starts == ["span", "agent", "├ chat (large-1)", "│ └ token", "└ ✗ lookup", ""]


def test_the_title_says_when_and_how_much_with_utc() -> None:
    title = " ".join(lines(RUN)[:2])
    assert "t" * 32 in title
    assert "began 2026-01-31 12:00:00.120 UTC, took 2.00 s, 4 spans, 1 failed" in title
    assert "1,312 tokens in, 20 tokens out" in title


def test_a_sum_kept_by_the_agent_is_not_counted_again() -> None:
    assert forest(RUN).total("cost") == pytest.approx(0.0123)
    assert forest(RUN).total("reasoningTokens") is None


def test_figures_are_right_aligned_below_their_headings() -> None:
    heading, agent, chat = lines(RUN)[3:6]
    assert heading.endswith("  took    cost  tok in  tok out")
    assert chat.endswith("790 ms  $0.012   1,312       20")
    assert agent.endswith("2.00 s  $0.012")
    assert len(agent) == len(chat) - len("   1,312       20")


def test_a_failed_span_is_marked_and_says_why() -> None:
    text = plain(trace_tree(RUN))
    assert "✗ lookup" in text
    assert "    Timeout: gave up after 1 s" in text  # without its module
    bare = plain(trace_tree([span("a", None, "x", 0, 1, status={"code": 2, "message": "no"})]))
    assert "✗ x" in bare
    assert "no" in bare


def test_a_running_span_is_not_given_an_end() -> None:
    text = plain(trace_tree([span("a", None, "agent", 0, None), span("b", "a", "done", 5, 900)]), 100)
    assert "1 running" in text
    assert "took" not in text.splitlines()[1]  # nobody knows yet
    (agent,) = [line for line in text.splitlines() if line.startswith("agent")]
    assert agent.endswith("running")
    assert "┄" in agent


def test_an_orphan_is_drawn_and_says_so() -> None:
    text = plain(trace_tree([span("b", "gone", "late", 5, 900), span("c", "b", "below", 6, 7)]))
    assert "late" in text
    assert "its parent gone is not here" in text
    assert text.count("is not here") == 1  # what hangs from it is no orphan


def test_bars_show_when_a_span_ran() -> None:
    spans = [span("a", None, "all", 0, 100), span("b", "a", "first", 0, 50), span("c", "a", "second", 50, 100)]
    whole, first, second = lines(spans, 60)[4:]
    bar = whole.index("━"), whole.rindex("━")
    assert first.index("━") == bar[0]
    assert second.rindex("━") == bar[1]
    assert second.index("━") == first.rindex("━") + 1


def test_markup_and_escapes_in_names_are_text() -> None:
    text = plain(trace_tree([span("a", None, "[red]x[/red] \x1b[31mevil\x1b[0m\x07", 0, 1, error="[/] [bold]no")]))
    assert "✗ [red]x[/red] evil" in text
    assert "[/] [bold]no" in text
    assert "\x1b" not in text


def test_spans_that_are_their_own_ancestors_are_drawn_once() -> None:
    circle = [
        span("a", "b", "first", 0, 1),
        span("b", "a", "second", 1, 2),
        span("c", "b", "hangs on", -5, 2),
        span("s", "s", "self", 3, 4),
    ]
    drawn = [node.span["name"] for node in forest(circle).walk()]
    assert drawn == ["first", "second", "hangs on", "self"]
    text = plain(trace_tree(circle))
    assert "its parent b is below it: they name each other as parents" in text
    assert "it names itself as its parent" in text
    assert "is not here" not in text


def test_a_trace_thousands_deep_is_drawn() -> None:
    chain = [span(str(i), str(i - 1) if i else None, f"step {i}", i, 6_000 - i) for i in range(3_000)]
    text = lines(chain, 80)
    assert len(text) == 3_000 + 4
    assert all(cell_len(line) <= 80 for line in text)
    assert "step 2999" in text[-1]


def test_no_spans_is_said() -> None:
    assert plain(trace_tree([])) == "This trace has no spans."


@pytest.mark.parametrize("width", [30, 50, 80, 120, 200])
def test_a_tree_fits_its_width(width: int) -> None:
    spans = [*RUN, span("x", "a", "名前 " * 30, 10, 20), span("y", "a", "n" * 300, 10, None, error="e" * 300)]
    assert all(cell_len(line) <= width for line in lines(spans, width))


def test_names_and_durations_stay_where_it_is_narrow() -> None:
    narrow = "\n".join(lines(RUN, 30))
    assert "chat" in narrow
    assert "790 ms" in narrow
    assert "tok in" not in narrow


names = st.sampled_from("abcdef")


@given(st.lists(st.tuples(names, st.none() | names, st.integers(-5, 5), st.none() | st.integers(-5, 9)), max_size=8))
def test_every_span_is_drawn_exactly_once(given_spans: list[tuple[str, str | None, int, int | None]]) -> None:
    spans = [span(id, parent, f"s{n}", start, end) for n, (id, parent, start, end) in enumerate(given_spans)]
    drawn = [node.span["name"] for node in forest(spans).walk()]
    assert sorted(drawn) == sorted(each["name"] for each in spans)
    plain(trace_tree(spans))
