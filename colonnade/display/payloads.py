"""Payloads as HTML: messages as they were said, anything else as JSON, and never more of it than is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from colonnade.display.formats import number
from colonnade.display.page import Content, Html, element, joined
from colonnade.display.said import Message, Part, messages_in, unpacked

_LINE: Final = 90
"""Characters of JSON that stay on one line."""
_LONG: Final = 600
"""Characters of instructions that are shown at once; more are folded."""

STYLE: Final = """
.colonnade .cn-payload { margin: 6px 0 10px; }
.colonnade .cn-title, .colonnade .cn-role { display: block; margin: 0 0 2px; font-size: 11px; font-weight: 600;
  line-height: 1.5; color: var(--cn-soft); letter-spacing: .02em; }
.colonnade pre.cn-value { margin: 0; padding: 6px 9px; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--cn-wash); border-radius: 4px; max-height: 280px; overflow-y: auto; line-height: 1.45; }
.colonnade .cn-said { border-left: 3px solid var(--cn-line); padding: 2px 0 2px 10px; margin: 0 0 8px; }
.colonnade .cn-said.cn-user { border-color: var(--cn-agent); }
.colonnade .cn-said.cn-assistant { border-color: var(--cn-model); }
.colonnade .cn-said.cn-tool { border-color: var(--cn-tool); }
.colonnade .cn-text { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 92ch; }
.colonnade .cn-instructions > summary { cursor: pointer; color: var(--cn-soft); font-size: 12px; }
.colonnade .cn-thought { font-style: italic; color: var(--cn-soft); }
.colonnade .cn-call { font-family: var(--cn-mono); font-size: 12px; }
.colonnade .cn-cut { color: var(--cn-soft); font-size: 12px; }
"""


def block(title: str, value: Any, limit: int) -> Html:
    """A payload below its title. Of more than ``limit`` characters, the first are shown and the total is said."""
    said = messages_in(value)
    shown = messages(said, limit) if said is not None else shown_value(value, limit)
    return element("div", element("b", title, class_="cn-title"), shown, class_="cn-payload")


def messages(said: Iterable[Message], limit: int) -> Html:
    """Messages below each other; the newest say most, so of those that do not fit the oldest are left out."""
    shown: list[Html] = []
    left, out, unsaid = limit, 0, 0
    for message in reversed(list(said)):
        size = sum(len(as_text(part.value)) for part in message.parts)
        if shown and size > left:
            out, unsaid, left = out + 1, unsaid + size, 0
            continue
        shown.append(one_message(message, max(left, 200)))
        left -= size
    if out:
        shown.append(_cut(f"{number(out)} earlier messages, {number(unsaid)} characters, are left out of this picture"))
    return joined(reversed(shown))


def one_message(message: Message, limit: int, aside: Content = None) -> Html:
    """What one speaker says; ``aside`` stands beside the name."""
    role = message.role if message.role in ("user", "assistant", "tool", "system") else "other"
    name = element("div", message.role, aside, class_="cn-role")
    said = joined(_part(part, limit) for part in message.parts)
    size = sum(len(as_text(part.value)) for part in message.parts)
    if role == "system" and size > _LONG:
        # The same in every conversation of an agent, and often longer than the rest of it.
        summary = element("summary", f"{number(size)} characters of instructions")
        said = element("details", summary, said, class_="cn-instructions")
    return element("div", name, said, class_=f"cn-said cn-{role}")


def _part(part: Part, limit: int) -> Html:
    if part.kind in ("text", "reasoning") and isinstance(part.value, str):
        kind = "cn-text" if part.kind == "text" else "cn-text cn-thought"
        text, cut = cut_off(part.value, limit)
        return joined([element("div", text, class_=kind, dir="auto"), cut])
    if part.kind == "value":
        return shown_value(part.value, limit)
    name = element("b", part.name)
    title = ("→ calls ", name) if part.kind == "call" else ("← ", name, " gave")
    return joined([element("div", *title, class_="cn-call"), shown_value(part.value, limit)])


def shown_value(value: Any, limit: int) -> Html:
    """A value as text or JSON."""
    text, cut = cut_off(as_text(unpacked(value)), limit)
    return joined([element("pre", text, class_="cn-value", dir="auto", tabindex=0), cut])


def facts(values: Mapping[str, Any], limit: int = 300) -> Html:
    """Names and values, a line each, each value on one line and at most ``limit`` characters of it."""
    rows = []
    for name, value in values.items():
        text, cut = cut_off(as_text(value, indent=None), limit)
        said = element("td", element("code", text, dir="auto"), " " if cut else None, cut)
        rows.append(element("tr", element("th", name, scope="row", class_="cn-soft"), said))
    return element("table", element("tbody", *rows), class_="cn-table cn-named")


def as_text(value: Any, indent: int | None = 2) -> str:
    """A value as people read it: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    line = json.dumps(value, ensure_ascii=False, default=str)
    if indent is None or len(line) <= _LINE:
        return line
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def cut_off(text: str, limit: int) -> tuple[str, Html | None]:
    """The beginning of a text, and a note on how much there is in all where it is longer."""
    if len(text) <= limit:
        return text, None
    return text[:limit] + "…", _cut(f"the first {number(limit)} of {number(len(text))} characters")


def _cut(text: str) -> Html:
    return element("span", f"({text})", class_="cn-cut")
