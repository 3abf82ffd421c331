"""Whatever a payload says, a browser shows it as text: nothing in it runs, loads, or changes how the rest is read."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import colonnade
from bench.one_trace import START
from colonnade.display.notebook import HTML, mimebundle

NASTY = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</pre></details></div></section><script>document.body.innerHTML = ''</script>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>here</a>",
    "<style>* { display: none }</style>",
    "<!-- no end",
    "<![CDATA[ no end",
    "<textarea><title><plaintext>",
    "\"'><b onmouseover=alert(1)>",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "&lt;script&gt; &amp;amp; &#x3C;",
    "<link rel=stylesheet href=//example.invalid/x.css><meta http-equiv=refresh content='0;url=//example.invalid'>",
    "<base href=//example.invalid><form action=//example.invalid><button autofocus onfocus=alert(1)>",
    "a\x00b\x01c\x1b[31mred\x07\x7f\x9b",
    "pay \u202e000,01\u202c dollars \u2066isolated\u2069",
    "\ufeff\u2028\u2029\uffff\ufffe",
    "secret\U000e0041\U000e0042 twins",
    "שלום <script>alert(1)</script> عالم",
    "a\u0301\u0302\u0303" * 40,
    "]]>-->*/</title></textarea></noscript></template>",
)
"""Strings that have broken other viewers."""

WHERE = ("name", "model", "input", "output", "error", "attributes", "key", "event", "id", "message", "stack")


def span(number: int, where: str, text: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "traceId": "nasty",
        "spanId": f"s{number}",
        "name": f"{where} {number}",
        "spanType": "generic",
    }
    known |= {"startedAt": START, "endedAt": START + timedelta(seconds=1)}
    plain = text.replace("\x00", "")  # names and identifiers cannot hold it
    match where:
        case "name" | "model":
            return known | {where: plain}
        case "id":
            return known | {"spanId": f"s{number} {plain}", "parentSpanId": f"gone {plain}", "userId": plain}
        case "attributes" | "key":
            return known | {"attributes": {text: 1} if where == "key" else {"said": text, "deep": {"er": [text]}}}
        case "event":
            return known | {"events": [{"name": text, "attributes": {text: text}}]}
        case "error":
            return known | {"error": text}
        case "stack":
            return known | {"error": {"name": text, "message": text, "stack": text}}
        case "message":
            said = [{"role": text, "content": text}, {"role": "tool", "name": text, "content": text}]
            calls = [{"type": "function", "function": {"name": text, "arguments": text}}]
            return known | {"input": [*said, {"role": "assistant", "content": None, "tool_calls": calls}]}
    return known | {where: text}


def shown(text: str) -> list[str]:
    """Pieces of a payload that are certain to be seen: between what cannot be drawn."""
    pieces = "".join(each if each.isprintable() else "\n" for each in text).split("\n")
    return [" ".join(piece.split()) for piece in pieces if len(piece) > 3]


@pytest.mark.parametrize("first", range(0, len(NASTY), 4))
def test_nothing_in_a_trace_runs(first: int, open_html: Any) -> None:
    nasty = NASTY[first : first + 4]
    pairs = [(where, text) for text in nasty for where in WHERE]
    with colonnade.open(":memory:") as store:
        records = [span(number, where, text) for number, (where, text) in enumerate(pairs)]
        store.observability.batch_create_spans(records=records)
        html = mimebundle(store.trace("nasty"))[HTML]
    page = open_html(f'<!doctype html><title>t</title>{html}<p id="after">after</p>')
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.mouse.move(300, 150)
    text = " ".join(page.locator("body").inner_text().split())
    for piece in (piece for each in nasty for piece in shown(each)):
        assert text.count(piece) >= len(WHERE)
    assert page.happened == []
    assert page.locator(".cn-span").count() == len(pairs)
    assert page.locator("#after").is_visible(), "what comes after the picture is outside of it"
    ours = "section div span b i p h3 h4 details summary svg rect path line text pre code table tbody tr th td style"
    made = page.evaluate("[...new Set([...document.body.querySelectorAll('*')].map(each => each.localName))]")
    assert set(made) <= set(ours.split()), "no element came out of a payload"


def test_nothing_in_a_thread_or_a_table_runs(open_html: Any, accessible: Callable[[Any], list[str]]) -> None:
    with colonnade.open(":memory:") as store:
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": NASTY[0]})
        known = {"threadId": "t", "resourceId": "ada", "createdAt": START}
        said = [
            known | {"id": f"{number}-{kind}", "role": ("user", "tool", NASTY[0])[kind], "content": content}
            for number, text in enumerate(NASTY)
            for kind, content in enumerate((text, {"role": "tool", "name": text, "content": text}, {text: [text]}))
        ]
        store.memory.save_messages(messages=said)
        thread = mimebundle(store.thread("t"))[HTML]
        rows = mimebundle(store.queries.messages(thread_id="t", limit=60))[HTML]
        names = [f"'{text.replace(chr(39), chr(39) * 2)}'" for text in NASTY if "\x00" not in text]
        sql = mimebundle(store.sql(f'select unnest([{", ".join(names)}]) as "{NASTY[1]}"'))[HTML]
    head = '<!doctype html><html lang="en"><title>t</title>'
    page = open_html(f"{head}<main><h1>t</h1><h2>t</h2>{thread}{rows}{sql}<p id=after>after</p></main>")
    text = " ".join(page.locator("body").inner_text().split())
    for piece in (piece for each in NASTY for piece in shown(each)):
        assert text.count(piece) >= 4
    assert page.locator(".cn-said").count() == 3 * len(NASTY)
    assert page.locator("#after").is_visible()
    assert page.happened == []
    assert accessible(page) == []
    page.emulate_media(color_scheme="dark")
    assert accessible(page) == []


def test_a_page_forbids_scripts_that_somebody_puts_into_it(open_html: Any) -> None:
    from colonnade.display.page import element, page

    html = page("t", element("p", "text")).replace("</p>", "</p><script>alert(1)</script><img src=x onerror=alert(2)>")
    opened = open_html(html)
    assert not [each for each in opened.happened if each.startswith("dialog")]
