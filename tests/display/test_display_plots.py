"""Charts over time: their axes, their gaps, and that every mark is where its value is."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colonnade.display.plots import HEIGHT, WIDTH, Plot, Series, bars, lines, ticks, time_marks

MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)


def plot(*values: float | None) -> Plot:
    times = [MIDNIGHT + place * HOUR for place in range(len(values))]
    return Plot(times, HOUR, [Series("<b>", values, "s0")], str, "a chart")


@given(st.floats(-1e9, 0), st.floats(1e-6, 1e9))
def test_ticks_are_round_few_and_reach_over_all_values(least: float, most: float) -> None:
    found = ticks(least, most)
    step = (found[-1] - found[0]) / (len(found) - 1)
    assert 3 <= len(found) <= 7
    assert found[0] <= least + 1e-6 * step
    assert found[-1] >= most - 1e-6 * step
    assert float(f"{step:.1e}"[:3].replace("e", "")) in (1.0, 2.0, 2.5, 5.0)


@given(st.integers(1, 10**9))
def test_ticks_of_counts_are_whole(most: int) -> None:
    found = ticks(0, most, whole=True)
    assert all(tick.is_integer() for tick in found) and found[-1] >= most and len(found) <= 7


def test_an_axis_of_nothing_is_from_0_to_1() -> None:
    assert ticks(0, 0) == [0.0, 1.0]


@given(
    st.integers(1, 60),
    st.sampled_from([timedelta(minutes=1), timedelta(minutes=15), HOUR, 6 * HOUR, timedelta(days=1)]),
)
def test_times_are_marked_at_most_seven_times_in_their_order(count: int, width: timedelta) -> None:
    marks = time_marks([MIDNIGHT + place * width for place in range(count)], width)
    places = [place for place, _ in marks]
    assert places == sorted(set(places))
    assert len(marks) <= 8
    assert all(0 <= place < count for place in places)


def test_a_day_is_marked_by_its_hours_and_the_date_at_midnight() -> None:
    times = [MIDNIGHT - 4 * HOUR + place * HOUR for place in range(24)]
    assert [text for _, text in time_marks(times, HOUR)] == ["31 Jan", "06:00", "12:00", "18:00"]


def test_a_line_is_broken_at_a_gap_and_a_lonely_value_is_a_dot() -> None:
    drawn = str(lines(plot(1, 2, None, 3, None, 4, 5)))
    assert drawn.count("<path ") == 2
    assert drawn.count("<circle ") == 1


def test_a_bar_is_as_high_as_its_value() -> None:
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" rx', str(bars(plot(1, 2, 0, 4))))]
    assert heights == pytest.approx([heights[2] / 4, heights[2] / 2, heights[2]], abs=0.1)


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=30))
@example([5e-324])
def test_whatever_the_values_are_marks_are_within_the_picture(values: list[float | None]) -> None:
    drawn = str(lines(plot(*values)))
    for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", drawn):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


def test_marks_say_what_they_show_and_names_are_text() -> None:
    drawn = str(bars(plot(1)))
    assert "<title>2026-01-31 00:00:00 UTC\n&lt;b&gt;: 1</title>" in drawn
    assert 'aria-label="a chart; &lt;b&gt;: 1 to 1"' in drawn


def test_over_years_marks_say_the_year() -> None:
    times = [MIDNIGHT + timedelta(days=28 * place) for place in range(38)]
    marks = [text for _, text in time_marks(times, timedelta(days=28))]
    assert len(set(marks)) == len(marks) > 3
    assert all(re.fullmatch(r"[A-Z][a-z]{2} 20\d\d", text) for text in marks)
