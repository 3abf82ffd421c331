"""Markup that text cannot become: whatever is put into an element is text for whoever reads the HTML."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.display.page import Html, element, escape, fragment, joined, page

ANYTHING = st.text(st.characters(codec=None)) | st.text("<>&\"'/!-=\x00\r\n\u202e\ud800 scriptyle")


class Read(HTMLParser):
    """What a reader of HTML finds: elements, attributes and text."""

    def __init__(self, html: object) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.given: dict[str, str | None] = {}
        self.text = ""
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.given |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANYTHING, ANYTHING)
def test_text_stays_text_and_values_stay_values(text: str, value: str) -> None:
    read = Read(element("p", text, title=value))
    assert read.tags == ["p"]
    assert read.text == Read(escape(text)).text
    assert list(read.given) == ["title"]
    str(element("p", text)).encode()  # halves of characters cannot be written to a file


@given(ANYTHING)
def test_all_that_can_be_seen_of_a_text_is_seen_in_its_order(text: str) -> None:
    shown = iter(Read(escape(text)).text)
    assert all(each in shown for each in text if each.isprintable())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b[0m\x7f", "a␀b␛[0m␡"),
        ("pay \u202e001", "pay [U+202E]001"),
        ("\ud83d", "[U+D83D]"),
        ("hidden\U000e0041", "hidden[U+E0041]"),
        ("one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),
        ("👩‍👩‍👧 שלום", "👩‍👩‍👧 שלום"),
    ],
)
def test_nothing_stays_hidden(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_markup_is_never_taken_from_text() -> None:
    made = element("b", "x")
    assert str(element("p", str(made))) == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert str(element("p", f"{made}")) == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert str(joined([made, None, 3, "<"])) == "<b>x</b>3&lt;"
    with pytest.raises(TypeError):
        "<i>" + made  # type: ignore[operator]
    with pytest.raises(TypeError, match="element"):
        Html()


@pytest.mark.parametrize("tag", ["script", "style", "SCRIPT", "iframe", "b onload", "", "a>"])
def test_elements_whose_text_cannot_be_escaped_are_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="safely"):
        element(tag, "x")


@pytest.mark.parametrize("name", ["onclick", "ONLOAD", "srcdoc", "a b", "x>"])
def test_attributes_that_run_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without scripts"):
        element("p", **{name: "x"})


@pytest.mark.parametrize("style", ["background: url(x)", "width: expression(1)", "}</style>", "color: red; @import x"])
def test_a_style_holds_lengths_and_variables_only(style: str) -> None:
    with pytest.raises(ValueError, match="inline style"):
        element("p", style=style)
    assert 'style="--cn-d:3"' in str(element("p", style="--cn-d:3"))


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", " javascript:x", "data:text/html,x", "//x", "file:///etc", "x"]
)
def test_links_lead_to_the_page_or_the_web_only(link: str) -> None:
    assert str(element("a", "x", href=link)) == "<a>x</a>"
    assert str(element("img", src=link)) == "<img>"


def test_links_that_are_links() -> None:
    assert str(element("a", "x", href="https://a.example/?b=1&c")) == '<a href="https://a.example/?b=1&amp;c">x</a>'
    assert str(element("a", "x", href="#span-1")) == '<a href="#span-1">x</a>'
    assert str(element("img", src="data:image/png;base64,AA==")) == '<img src="data:image/png;base64,AA==">'


def test_a_page_is_whole_and_says_that_nothing_runs() -> None:
    read = Read(page("a < b", element("h1", "x")))
    assert {"html", "head", "title", "style", "body", "main", "h1"} <= set(read.tags)
    assert "script" not in read.tags
    assert "http-equiv" in read.given and "script-src" not in page("t") and "default-src" in page("t")


def test_a_fragment_brings_its_style_and_names_itself() -> None:
    html = fragment("text", label='trace "1"', style=".colonnade .cn-x { color: red; }")
    assert html.startswith("<style>") and ".cn-x" in html
    assert 'aria-label="trace &quot;1&quot;"' in html
    with pytest.raises(ValueError, match="style sheet"):
        fragment("text", label="x", style="</style><script>")


def test_every_rule_of_the_style_is_within_our_pictures() -> None:
    """Many pictures stand in one notebook, among others: no rule may reach beyond them."""
    from colonnade.display import conversation, grid, waterfall_style
    from colonnade.display.page import STYLE

    for style in (STYLE, waterfall_style.STYLE, conversation.STYLE, grid.STYLE):
        for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", style):
            inner = r"\([^()]*\)"  # a comma within :is(... :not()) begins no selector
            outer = re.sub(inner, "", re.sub(inner, "", selectors))
            assert all(".colonnade" in each for each in outer.split(",")), selectors
