"""Rows as HTML tables, and threads as conversations."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.display import load_ipython_extension
from colonnade.display.conversation import FIRST, LATEST
from colonnade.display.grid import HEAD, TAIL, WHOLE, table_html
from colonnade.display.notebook import HTML, PLAIN, mimebundle
from colonnade.display.payloads import one_message
from colonnade.display.said import Message, Part
from colonnade.display.tables import cells_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def cells(html: str) -> list[list[str]]:
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
        for row in re.findall(r"<tr>.*?</tr>", body)
    ]


def test_few_rows_are_shown_whole() -> None:
    html = table_html(pa.table({"n": [1, None], "text": ["<b>", "long " * 200], "at": [NOON, None]}))
    assert cells(html)[0] == ["1", "&lt;b&gt;", "2026-01-31 12:00:00 UTC"]
    assert cells(html)[1][::2] == ["null", "null"]
    assert cells(html)[1][1].endswith("…") and len(cells(html)[1][1]) < 200
    assert "2 rows</p>" in html
    assert "int64" in html, "the types are said"


def test_of_many_rows_the_first_and_the_last_are_shown_and_all_are_counted() -> None:
    html = table_html(pa.table({"n": range(100_000)}))
    shown = [row[0] for row in cells(html)]
    assert shown == [*map(str, range(HEAD)), "99,970 rows between", *map(str, range(100_000 - TAIL, 100_000))]
    assert f"the first {HEAD} and the last {TAIL} of 100,000 rows" in html
    assert len(cells(table_html(pa.table({"n": range(WHOLE)})))) == WHOLE


def test_no_columns_and_very_many_are_said() -> None:
    assert "No columns." in table_html(pa.table({}))
    assert "the first 60 of 75 columns" in table_html(pa.table({f"c{number}": [1] for number in range(75)}))


def test_a_result_of_sql_shows_itself_and_can_be_read_after() -> None:
    with colonnade.open(":memory:") as store:
        result = store.sql("select range as n from range(3)")
        bundle = mimebundle(result)
        assert [row[0] for row in cells(bundle[HTML])] == ["0", "1", "2"]
        assert bundle[PLAIN].endswith("3 rows")
        assert result.rows() == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert "<pre>" in mimebundle(store.sql("explain select 1"))[HTML]


def test_a_page_shows_columns_that_have_values_and_whether_more_come() -> None:
    record = {"traceId": "t", "name": "chat", "spanType": "generic", "startedAt": NOON, "endedAt": NOON, "model": "m"}
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=[record | {"spanId": str(number)} for number in range(3)])
        first = store.queries.spans(limit=2)
        last = store.queries.spans(limit=2, after=first.cursor)
    bundle = mimebundle(first)
    assert "there are more rows: ask again with after=page.cursor" in bundle[HTML]
    assert "without a value in these rows:" in bundle[HTML] and "reasoningTokens" in bundle[HTML]
    assert ">reasoningTokens " not in bundle[HTML]
    assert "2 spans named chat" in bundle[PLAIN]
    assert "the last page" in mimebundle(last)[HTML]
    with colonnade.open(":memory:") as store:
        assert mimebundle(store.queries.messages(thread_id="none"))[HTML]


def test_every_arrow_table_in_a_notebook_that_asks_for_it() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell: Any = InteractiveShell()  # type: ignore[no-untyped-call]
    load_ipython_extension(shell)
    shown: Any = shell.display_formatter.format(pa.table({"n": [1]}))[0]
    assert cells(shown[HTML]) == [["1"]]


def test_of_a_long_thread_the_beginning_and_the_end_are_shown() -> None:
    count = FIRST + LATEST + 50
    with colonnade.open(":memory:") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": ""})
        said = [
            {"id": f"{number:04}", "threadId": "t", "resourceId": "ada", "role": "user", "content": f"said {number}."}
            | {"createdAt": NOON + timedelta(hours=number)}
            for number in range(count)
        ]
        store.memory.save_messages(messages=said)
        thread = store.thread("t")
    for text in (mimebundle(thread)[HTML], str(thread)):
        assert "50 messages between are left out of this picture" in text
        assert "said 19." in text and "said 20." not in text and "said 69." not in text and "said 70." in text


@pytest.mark.parametrize(
    "content", ["", {}, {"format": 2, "parts": []}, {"format": 2, "parts": [], "content": "x"}, [], 3]
)
def test_a_message_that_says_little_is_still_there(content: Any) -> None:
    with colonnade.open(":memory:") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "x"})
        message = {
            "id": "m",
            "threadId": "t",
            "resourceId": "ada",
            "role": "odd",
            "content": content,
            "createdAt": NOON,
        }
        store.memory.save_messages(messages=[message])
        html = mimebundle(store.thread("t"))[HTML]
    assert html.count("cn-said cn-other") == 1


def test_a_difference_of_moments_is_told_in_days_and_seconds() -> None:
    spans = [pa.MonthDayNano([0, 0, 2_091_156_000]), pa.MonthDayNano([1, 2, 0]), pa.MonthDayNano([0, 0, 0]), None]
    cells = cells_of(pa.chunked_array([pa.array(spans, pa.month_day_nano_interval())]))
    assert [cell.plain for cell in cells] == ["2.09116 s", "1 months 2 d", "0 s", "null"]


@pytest.mark.parametrize(
    ("role", "words", "folded"), [("system", 400, True), ("system", 4, False), ("user", 400, False)]
)
def test_long_instructions_are_folded_and_nothing_else(role: str, words: int, folded: bool) -> None:
    html = str(one_message(Message(role, (Part("text", "be polite " * words),)), 20_000))
    assert ("<details" in html) is folded and html.count("be polite") == words
