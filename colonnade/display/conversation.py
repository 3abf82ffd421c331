"""A thread as a conversation: who said what, when, and which tools were called with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from colonnade.display import payloads
from colonnade.display.formats import moment, payload, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Html, element, fragment, joined
from colonnade.display.payloads import one_message
from colonnade.display.said import Message, parts_of
from colonnade.display.screen import Picture, stacked
from colonnade.queries.conversations import Thread
from colonnade.schemas import MESSAGES, THREADS
from colonnade.schemas.records import Record, decode

FIRST: Final = 20
LATEST: Final = 280
"""Messages of a long thread that are shown: so many of its beginning, and of its end."""
_BUDGET: Final = 1_200_000
_LARGEST: Final = 20_000
_LINE: Final = 400

STYLE: Final = (
    payloads.STYLE
    + """
.colonnade .cn-said > .cn-role time { font-weight: 400; margin-left: 8px; }
.colonnade .cn-gap { margin: 12px 0; color: var(--cn-soft); }
"""
)


def conversation(thread: Thread) -> Html:
    """A thread as a conversation, to be put into a page whose style has ``STYLE``."""
    said = decode(MESSAGES, _shown(thread))
    limit = min(_LARGEST, _BUDGET // max(len(said), 1))
    title, facts = _title(thread)
    parts = [element("h3", title), element("div", *(element("span", fact) for fact in facts), class_="cn-facts")]
    between = thread.messages.num_rows - len(said)
    day = ""
    for place, record in enumerate(said):
        if between and place == FIRST:
            parts.append(element("p", _between(thread, between), class_="cn-gap"))
        at = moment(record["createdAt"])
        time = element("time", at if at[:10] != day else at[11:], datetime=record["createdAt"].isoformat())
        day = at[:10]
        parts.append(one_message(_read(record), limit, time))
    return joined(parts)


def conversation_view(thread: Thread) -> Picture:
    """A thread for the terminal: each message below its speaker."""

    def draw(width: int) -> RenderableType:
        said = decode(MESSAGES, _shown(thread))
        title, facts = _title(thread)
        lines: list[RenderableType] = [Text(title, style="bold"), Text(", ".join(facts)), Text()]
        between = thread.messages.num_rows - len(said)
        for place, record in enumerate(said):
            if between and place == FIRST:
                lines += [Text(_between(thread, between), style="dim"), Text()]
            role = Text(safe(record["role"], 40), style="bold")
            lines += [role.append(f"  {moment(record['createdAt'])}", "dim"), *_lines(_read(record)), Text()]
        return stacked(*lines[:-1])

    return Picture(draw)


def _lines(message: Message) -> Iterator[RenderableType]:
    for part in message.parts:
        text = payload(part.value, _LINE)
        before = {"call": f"→ {part.name} ", "result": f"← {part.name} "}.get(part.kind, "")
        style = {"call": "green", "result": "green", "reasoning": "italic dim"}.get(part.kind, "")
        yield Padding(Text.assemble((safe(before), style), " " if before else "", text), (0, 0, 0, 2))


def _shown(thread: Thread) -> Any:
    messages = thread.messages
    if messages.num_rows <= FIRST + LATEST:
        return messages
    import pyarrow as pa

    return pa.concat_tables([messages.slice(0, FIRST), messages.slice(messages.num_rows - LATEST)])


def _title(thread: Thread) -> tuple[str, list[str]]:
    known: Record = next(iter(decode(THREADS, thread.thread)), {})
    count = thread.messages.num_rows
    if not known and not count:
        return f"No thread {safe(thread.thread_id)} is kept here.", []
    title = safe(known.get("title") or f"Thread {thread.thread_id}", 160)
    facts = [f"thread {safe(thread.thread_id)}"] if known.get("title") else []
    facts += [f"resource {safe(known['resourceId'])}"] if known.get("resourceId") else []
    return title, [*facts, plural(count, "message"), "times in UTC"]


def _between(thread: Thread, count: int) -> str:
    ask = f"store.thread({thread.thread_id!r}).messages"
    return f"{plural(count, 'message')} between are left out of this picture; {ask} has all."


def _read(record: Mapping[str, Any]) -> Message:
    role, content = record["role"], record["content"]
    if isinstance(content, Mapping):
        parts = tuple(parts_of({**content, "role": role}))
        # Parts that hold nothing: what was said stands beside them. No part of anything we know: it is a value.
        return Message(role, parts or tuple(parts_of({"role": role, "content": content.get("content") or content})))
    return Message(role, tuple(parts_of({"role": role, "content": content})))


@html_of.register
def _(thread: Thread) -> str:
    return fragment(conversation(thread), label=f"thread {thread.thread_id}", style=STYLE)


@text_of.register
def _(thread: Thread) -> str:
    return str(conversation_view(thread))
