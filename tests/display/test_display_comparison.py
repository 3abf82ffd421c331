"""Comparisons as people see them: in a terminal, in a notebook, as a page, in a pull request."""

import re
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from rich.cells import cell_len

import colonnade
from colonnade.display.comparison_words import linked
from colonnade.display.terminal import comparison_view, plain
from colonnade.errors import InvalidInput
from colonnade.queries.comparing.comparison import Comparison

EVIL = "<script>alert('x')</script> | *b* @someone #1 https://x.example"
RIGHT = {
    "old": {"same": [1, 1], "worse": [1, 1], "better [b]": [0, 0], "also better": [0, 1], "gone": [1, 1]},
    "new": {"same": [1, 1], "worse": [0, 1], "better [b]": [1, 1], "also better": [1, 1], "added": [0]},
}


def table(sides: Any, **more: Any) -> pl.DataFrame:
    rows = [
        {"version": side, "task": item, "trial": trial, "right": value, "traceId": f"{side} {item} {trial}", **more}
        for side, items in sides.items()
        for item, values in items.items()
        for trial, value in enumerate(values)
    ]
    return pl.DataFrame(rows)


def compared(data: pl.DataFrame, candidate: Any = "new", **how: Any) -> Comparison:
    how = {"side": "version", "item": "task", "trial": "trial", "metric": "right", **how}
    return colonnade.compare(data, "old", candidate, **how)


@pytest.fixture(scope="module")
def small() -> Comparison:
    """Two versions over four items."""
    return compared(table(RIGHT))


@pytest.fixture(scope="module")
def large() -> Comparison:
    """Two candidates, two metrics, slices, a name that is an attack, and clear differences."""
    levels = {"old": 0.5, "new": 0.3, EVIL: 0.9}
    rows = [
        {"version": side, "task": f"{n} {EVIL}", "right": level + n / 200, "cost": (1.1 - level) * (1 + n / 50)}
        | {"tier": "gold" if n % 2 else EVIL, "traceId": f"{side} {n}"}
        for side, level in levels.items()
        for n in range(24)
    ]
    how: dict[str, Any] = {"metric": ["right", "cost"], "by": "tier", "trial": None, "tolerance": 0.05}
    return compared(pl.DataFrame(rows), ["new", EVIL], **how)


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_comparison_says_both_means_the_difference_and_its_interval(small: Comparison) -> None:
    text = plain(comparison_view(small))
    assert "version new against version old: 4 items that both ran, 2 trials each" in text
    assert re.search(r"^right +0\.625 +0\.875 +\+0\.250 +-0\.777 to \+1\.277 ", text, re.MULTILINE)
    assert "right: The interval holds 0: the difference may be chance. So few items would have shown" in words(text)
    assert "(p = 0.495, paired t; exact McNemar 1.000)" in words(text)
    assert re.search(r"^pass\^k old +0\.625 +0\.500$", text, re.MULTILINE)


def test_regressions_come_first_the_worst_on_top(small: Comparison) -> None:
    text = plain(comparison_view(small))
    assert "2 better, 1 worse, 1 the same" in text
    places = [text.index(name) for name in ("worse   ", "better [b]", "also better")]
    assert places == sorted(places)
    assert "new worse 0" in text  # the trial that failed is the one to look at
    assert "-0.500" in text and "+1.000" in text


def test_items_of_one_side_only_are_named_as_left_out(small: Comparison) -> None:
    for text in (words(plain(comparison_view(small))), words(small.to_markdown()), words(shown(small.to_html()))):
        assert "Left out, because only old ran them: gone." in text
        assert "Left out, because only new ran them: added." in text


def test_a_short_comparison_says_what_it_does_not_list(small: Comparison) -> None:
    text = plain(comparison_view(small, limit=1))
    assert "also better" not in text
    assert "1 more item changed." in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_comparisons_fit_their_width(small: Comparison, large: Comparison, width: int) -> None:
    assert all(cell_len(line) <= width for line in plain(comparison_view(small), width).splitlines())
    lines = plain(comparison_view(large), max(width, 80)).splitlines()
    assert all(cell_len(line) <= max(width, 80) for line in lines)


def test_clear_differences_are_said_with_the_interval_that_decides(large: Comparison) -> None:
    text = words(plain(comparison_view(large), 120))
    assert (
        "right, new: new is worse. The interval at 99.58 % (Holm's for this many questions) lies wholly beyond" in text
    )
    assert "the tolerance of 0.05" in text
    assert "cost, new: new is worse." in text
    assert "by tier" in text


def test_intervals_are_drawn_on_the_side_that_they_are_on(large: Comparison) -> None:
    rows = [line for line in plain(comparison_view(large), 160).splitlines() if "◆" in line]
    assert len(rows) == 12
    for row in rows:
        better = "right, <" in row or "cost, <" in row
        assert (row.index("◆") > row.index("│")) == better, row


# --- HTML ---


class Reader(HTMLParser):
    """What a page says, and of which elements it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def shown(page: str) -> str:
    return " ".join(read(page).said)


def test_a_page_draws_every_interval_and_nothing_in_it_runs(large: Comparison) -> None:
    page = large.to_html("https://traces.example.com/t/{trace}")
    reader = read(page)
    tags = [tag for tag, _ in reader.elements]
    assert "script" not in tags and "b" in tags
    assert page.startswith("<!doctype html>")
    drawn = [attributes for tag, attributes in reader.elements if tag == "svg"]
    assert len(drawn) == len(large.differences) == 12
    label = drawn[0]["aria-label"] or ""
    assert label.startswith("right, new: -0.200, 95 % interval -0.200 to -0.200")
    links = [attributes["href"] for tag, attributes in reader.elements if tag == "a"]
    assert "https://traces.example.com/t/new%200" in links
    assert EVIL.split(" ")[0] in shown(page)  # as text


def test_a_point_is_within_its_interval_and_better_is_to_the_right(large: Comparison) -> None:
    page = large.to_html()
    points = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)"', page)]
    verdicts = re.findall(r'class="cn-forest cn-(\w+)"', page)
    assert len(points) == len(verdicts) == 12
    for point, verdict in zip(points, verdicts, strict=True):
        assert {"better": point > 120, "worse": point < 120, "undecided": True}[verdict]
        assert 0 <= point <= 240


def test_a_notebook_is_given_html_and_text(small: Comparison) -> None:
    bundle = small._repr_mimebundle_()
    assert "<svg" in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["text/plain"] == str(small) == plain(comparison_view(small))


def test_a_notebook_shows_agreement() -> None:
    found = colonnade.agreement(pl.DataFrame({"human": [1, 0, 1], "judge <b>": [1, 1, 1]}), ["human", "judge <b>"])
    bundle = found._repr_mimebundle_()
    assert "Krippendorff's alpha (nominal) is 0.000" in words(bundle["text/plain"])
    assert "66.7 %" in bundle["text/plain"]
    assert "judge <b>" in shown(bundle["text/html"])
    assert "b" not in [tag for tag, _ in read(bundle["text/html"]).elements]


def test_links_to_traces_are_web_addresses_and_nothing_else(small: Comparison) -> None:
    assert linked("https://x.example/{trace}", "a/b?c") == "https://x.example/a%2Fb%3Fc"
    for address in ("javascript:alert(1)//{trace}", "https://x.example/"):
        with pytest.raises(InvalidInput, match="web address"):
            small.to_html(address)
        with pytest.raises(InvalidInput, match="web address"):
            small.to_markdown(address)


# --- Markdown ---


def test_markdown_is_a_table_with_a_verdict_and_items_to_unfold(small: Comparison) -> None:
    text = small.to_markdown("https://traces.example.com/{trace}")
    assert "| right | 0.625 | 0.875 | +0.250 | -0.777 to +1.277 | undecided |" in text
    assert "<details><summary>1 item got worse</summary>" in text
    assert "| worse | 1.000 | 0.500 | -0.500 | [new worse 0](https://traces.example.com/new%20worse%200) |" in text
    assert r"| better \[b\] | 0.000 | 1.000 |" in text


def test_text_in_markdown_stays_text(large: Comparison) -> None:
    text = large.to_markdown()
    own = text.replace("<details>", "").replace("</details>", "").replace("<summary>", "").replace("</summary>", "")
    assert not re.search(r"(?<!\\)[<>]", own)
    assert not re.search(r"(?<![\w&])[@#]\w|https?:", own)
    for line in text.splitlines():
        if line.startswith("|"):  # a bar in a name opens no column
            assert len(re.findall(r"(?<!\\)\|", line)) in (6, 7, 8, 9)
    assert "❌ worse" in text and "✅ better" in text


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (0.9, 0.9004, r"0\.900 +0\.900 +\+0\.000400 "),  # what is small beside its values is not rounded away
        (2e-9, 3e-9, r"2e-09 +3e-09 +\+1e-09 "),
        (2e12, 3e12, r"2e\+12 +3e\+12 +\+1e\+12 "),
        (20_000.4, 20_000.9, r"20,000 +20,001 +\+0\.500 "),
        (1234.5, 1235.5, r"1,234\.500 +1,235\.500 +\+1\.000 "),
    ],
)
def test_numbers_of_any_size_are_shown_with_digits_that_tell(old: float, new: float, shown: str) -> None:
    found = compared(table({"old": {f"i{n}": [old] for n in range(8)}, "new": {f"i{n}": [new] for n in range(8)}}))
    text = plain(comparison_view(found), 120)
    assert re.search(rf"^right +{shown}", text, re.MULTILINE)
    assert re.search(rf"^i3 +{shown.strip()}", text, re.MULTILINE)


def test_of_few_passes_and_failures_no_difference_is_named_that_cannot_be() -> None:
    few = compared(table({"old": {"a": [1], "b": [0], "c": [1]}, "new": {"a": [0], "b": [1], "c": [1]}}))
    detectable = few.difference().detectable
    assert detectable is not None
    assert detectable > 1
    text = words(plain(comparison_view(few)))
    assert "So few items would have shown hardly any true difference." in text
    assert "would have been found" not in text


def test_markdown_of_very_many_differences_fits_a_comment() -> None:
    import numpy as np

    random, names = np.random.default_rng(1), [f"metric {n}" for n in range(60)]
    frame = pl.DataFrame({"version": ["old"] * 30 + ["new"] * 30, "task": [f"{n} {EVIL}" for n in range(30)] * 2})
    frame = frame.with_columns(pl.Series(name, random.normal(size=60)) for name in names)
    frame = frame.with_columns((pl.col("task").str.slice(0, 1)).alias("digit"), traceId=pl.col("task"))
    frame = frame.with_columns(pl.when(pl.col("version") == "new").then(9.0).otherwise(0.0).alias("metric 40"))
    found = compared(frame, metric=names, trial=None, by="digit", resamples=999)
    text = found.to_markdown("https://traces.example.com/projects/agents/{trace}")
    assert len(found.differences) > 100
    assert len(text) < 65_536
    assert "Of 60 differences these 40 are the clearest" in text
    assert "| metric 40 |" in text
    assert text.count("<details>") == 2
