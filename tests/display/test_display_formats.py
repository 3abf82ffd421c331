"""Numbers, times and strange text as people read them."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.display.formats import decimals_for, duration, moment, money, moneys, number, payload, plural, safe


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.50 µs"),
        (12_340_000, "12.3 ms"),
        (999_499_999, "999 ms"),
        (999_500_000, "1.00 s"),  # rounds up into the next unit
        (3_210_000_000, "3.21 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "1 m 00 s"),
        (125_000_000_000, "2 m 05 s"),
        (3_599_600_000_000, "1 h 00 m"),
        (26 * 3600 * 10**9, "1 d 02 h"),
        (-1_500_000, "-1.50 ms"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(nanoseconds: int | None, text: str) -> None:
    assert duration(nanoseconds) == text


@given(st.integers(1, 59 * 10**9))
def test_a_duration_is_within_half_a_percent(nanoseconds: int) -> None:
    amount, unit = duration(nanoseconds).split()
    size = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(amount) * size == pytest.approx(nanoseconds, rel=0.005)


def test_money_shows_small_amounts() -> None:
    assert [money(value) for value in (12.3, 0.0042, 1234.5, 0, -0.5, None)] == [
        "$12.30",
        "$0.00420",
        "$1,234.50",
        "$0.00",
        "-$0.500",
        "–",  # noqa: RUF001
    ]


def test_a_column_of_money_has_its_points_under_each_other() -> None:
    assert moneys([12.5, 0.00042, None, 0]) == ["$12.50000", "$0.00042", "–", "$0.00000"]  # noqa: RUF001
    assert decimals_for([1e-12]) == 6  # there is an end


def test_counts_are_in_full() -> None:
    assert [number(12345), number(0), number(None)] == ["12,345", "0", "–"]  # noqa: RUF001
    assert [plural(1, "span"), plural(0, "span"), plural(2104, "span")] == ["1 span", "0 spans", "2,104 spans"]


def test_times_are_utc() -> None:
    time = datetime(2026, 1, 31, 1, 2, 3, 456_789, tzinfo=timezone(timedelta(hours=2)))
    assert moment(time) == "2026-01-30 23:02:03"
    assert moment(time, date=False, fraction=True) == "23:02:03.456"
    assert moment(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31 00:00:00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x9b31mC1", "C1"),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("two\nlines\tand\r\nmore", "two lines and more"),
        ("abc\u202edcba", "abcdcba"),
        ("half \ud83d an emoji", "half \ufffd an emoji"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("\x1b", ""),
    ],
)
def test_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
def test_no_text_gets_a_control_character_through(text: str) -> None:
    shown = safe(text)
    kinds = {unicodedata.category(character) for character in shown if character not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()


def test_long_text_is_cut_and_says_so() -> None:
    assert safe("a" * 100, 10) == "a" * 9 + "…"
    assert safe("a" * 10, 10) == "a" * 10
    assert len(safe("x" * 50_000_000, 20)) == 20


def test_a_payload_is_json_unless_it_is_text() -> None:
    assert payload({"a": [1, None, float("nan")]}) == '{"a": [1, null, NaN]}'
    assert payload("plain") == "plain"
