"""Tables of spans, traces, usage and SQL results, as text."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from rich.cells import cell_len
from rich.console import Console

import colonnade
from colonnade.display.terminal import console, plain, rows_table, spans_table, traces_table, usage_table

BEGIN = datetime(2026, 1, 31, 12, 0, 0, 120_000, tzinfo=UTC)


def span(trace: str, id: str, name: str, **fields: Any) -> dict[str, Any]:
    """A span of half a second, unless fields say otherwise."""
    return {
        "traceId": trace * 32,
        "spanId": id,
        "name": name,
        "startedAt": BEGIN,
        "endedAt": BEGIN + timedelta(milliseconds=500),
        **fields,
    }


SPANS = [
    span("a", "1", "chat large", model="large", inputTokens=1200, outputTokens=30, cost=0.0125),
    span("a", "2", "chat small", model="small", inputTokens=90, outputTokens=3, cost=0.00002),
    span("b", "1", "[bold]tool[/bold]", error={"message": "no\x1b[31m luck"}),
    span("b", "2", "waits", startedAt=BEGIN + timedelta(days=1), endedAt=None),
]


@pytest.fixture(scope="module")
def stored() -> Any:
    """A storage with the spans."""
    with colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=SPANS)
        yield store


def test_spans_as_queries_give_them(stored: Any) -> None:
    text = plain(spans_table(stored.queries.spans().rows), 140)
    title, heading, _, *rows = text.splitlines()
    assert title == "4 spans, 2026-01-31 to 2026-02-01, 1 failed"
    assert heading.split("  ")[0] == "time (UTC)"
    assert [row.split("  ")[0] for row in rows[:2]] == ["02-01 12:00:00", "01-31 12:00:00"]
    assert "running" in rows[0]
    assert "500 ms" in rows[1]
    assert "$0.012500" in text
    assert "$0.000020" in text  # under each other
    assert "✗ [bold]tool[/bold]" in text
    assert "no luck" in text


def test_spans_as_records() -> None:
    assert "chat large" in plain(spans_table([SPANS[0]]))
    assert plain(spans_table([])) == "No spans."
    assert plain(traces_table([])) == "No traces."


def test_what_all_spans_share_is_said_once(stored: Any) -> None:
    text = plain(spans_table(stored.queries.spans(trace_id="a" * 32).rows), 100)
    assert text.splitlines()[0] == f"2 spans of trace {'a' * 32}, 2026-01-31"
    assert text.count("a" * 32) == 1
    assert "12:00:00.120" in text
    same = [span("a", "1", "chat"), span("b", "2", "chat")]
    text = plain(spans_table(same), 100)
    assert text.startswith("2 spans named chat, 2026-01-31\n")
    assert text.count("chat") == 1


def test_whole_trace_ids_are_shown_at_80_columns(stored: Any) -> None:
    text = plain(traces_table(stored.queries.roots().rows), 80)
    assert "a" * 32 in text
    assert "b" * 32 in text
    assert "a wider terminal also shows: error, cost, tok in, tok out, model" in text


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_tables_fit_their_width(stored: Any, width: int) -> None:
    for picture in (
        spans_table(stored.queries.spans().rows),
        usage_table(stored.queries.usage(by="name")),
        rows_table(stored.sql("select * from spans").arrow()),
    ):
        assert all(cell_len(line) <= width for line in plain(picture, width).splitlines())


def test_usage_is_aligned_and_has_units(stored: Any) -> None:
    heading, _, *rows = plain(usage_table(stored.queries.usage(by="model")), 120).splitlines()
    assert heading.split() == [
        "model",
        "calls",
        "failed",
        "tok",
        "in",
        "tok",
        "out",
        "cost",
        "took",
        "mean",
        "took",
        "p50",
        "took",
        "p95",
    ]
    assert [row.split()[:6] for row in rows] == [
        ["large", "1", "0", "1,200", "30", "$0.012500"],
        ["small", "1", "0", "90", "3", "$0.000020"],
    ]
    assert {len(row) for row in rows} == {len(heading)}


def test_usage_of_nothing_is_said() -> None:
    with colonnade.open(":memory:") as store:
        assert "Nothing was used" in plain(usage_table(store.queries.usage(by="model")))


def test_any_arrow_table_is_shown() -> None:
    rows = pa.table(
        {
            "text": ["[i]x[/i]", None, "a\nb"],
            "whole": [2026, -1, None],
            "float": [0.5, 12.25, None],
            "money": [Decimal("1.50"), None, Decimal("20.00")],
            "yes": [True, False, None],
            "day": [date(2026, 1, 31), None, None],
        }
    )
    heading, _, *lines = plain(rows_table(rows), 100).splitlines()
    assert heading == "text      whole  float  money  yes    day"
    assert lines == [
        "[i]x[/i]   2026   0.50   1.50  true   2026-01-31",
        "null         -1  12.25   null  false  null",
        "a b        null   null  20.00  null   null",
        "3 rows",
    ]


def test_times_nested_values_and_blobs_are_shown() -> None:
    rows = pa.table(
        {
            "at": pa.array([BEGIN], pa.timestamp("us", "Europe/Berlin")),
            "naive": pa.array([datetime(2026, 1, 31, 1, 2, 3)]),
            "nested": [{"a": [1, None]}],
            "blob": [b"\x00\xff"],
            "huge": [1e300],
            "tiny": [1e-300],
            "none": pa.nulls(1),
            "nan": [float("nan")],
            "nanoseconds": pa.array([1_234_567_891_234_567_891], pa.timestamp("ns")),
            "far": pa.array([2**62], pa.timestamp("us", "UTC")),
        }
    )
    text = plain(rows_table(rows), 220)
    assert "2026-01-31 12:00:00.12 UTC" in text
    assert "2026-01-31 01:02:03  " in text
    assert '{"a": [1, null]}' in text
    assert "1e+300" in text
    assert "1e-300" in text
    assert "2009-02-13 23:31:31.234567891" in text


def test_a_cut_result_says_how_many_there_are() -> None:
    rows = pa.table({"n": range(1000)})
    assert plain(rows_table(rows, 3)).splitlines()[-2:] == ["2", "the first 3 of 1,000 rows"]
    assert plain(rows_table(rows.slice(0, 0))).splitlines()[-1] == "0 rows"
    assert plain(rows_table(rows.select([]))).endswith("rows")


def test_a_result_too_wide_is_a_list(stored: Any) -> None:
    text = plain(rows_table(stored.sql("select * from spans limit 2").arrow()), 80)
    assert "row 2" in text
    assert any(line.split() == ["inputTokens", "1200"] for line in text.splitlines())
    long = pa.table({f"c{n}": ["x" * 150] for n in range(9)})
    assert plain(rows_table(long), 80).count("x") == 9 * 150  # nothing is cut, and it stays below its name


def test_colours_are_for_terminals_only(stored: Any) -> None:
    file = io.StringIO()
    Console(file=file, width=80, force_terminal=True, color_system="standard").print(
        spans_table(stored.queries.spans().rows)
    )
    assert "\x1b[31m" in file.getvalue()
    assert "\x1b" not in str(spans_table(stored.queries.spans().rows))


def test_where_only_ascii_can_be_printed_it_is_ascii(stored: Any) -> None:
    rows = stored.queries.spans().rows
    assert plain(spans_table(rows), ascii=True).isascii()
    bytes_written = io.BytesIO()
    file = io.TextIOWrapper(bytes_written, encoding="ascii", write_through=True)
    screen = console(file, width=80)
    screen.print(spans_table(rows))
    assert b"x [bold]tool[/bold]" in bytes_written.getvalue()
