"""What a span holds, on demand: its payloads and whatever else is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from colonnade.display.forest import Node
from colonnade.display.formats import duration, number
from colonnade.display.page import Html, element
from colonnade.display.payloads import block, facts
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record, decode

BUDGET: Final = 1_200_000
"""Characters of all panels of a trace."""
_LARGEST: Final = 20_000
_SMALLEST: Final = 600
"""Characters of one payload: the largest share that a span of a small trace has, the smallest in a large one."""

_BLOCKS: Final = ("error", "input", "output")
_TABLES: Final = ("attributes", "metadata")
_DRAWN: Final = frozenset(
    {"traceId", "name", "startedAt", "endedAt", "startTime", "endTime", "isEvent", "status", "createdAt", "updatedAt"}
    | {"kind", "instrumentationScope", "events", "links", "other", *_BLOCKS, *_TABLES}
)
# Instrumentation puts messages into attributes, and ingest reads them from there into input and output.
_TWICE: Final = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")

STYLE: Final = """
.colonnade .cn-panel { margin: 0 0 6px 20px; padding: 8px 12px 6px; border: 1px solid var(--cn-line);
  border-left: 3px solid var(--cn-soft); border-radius: 3px; }
.colonnade table.cn-table.cn-named { font-size: 12px; margin: 2px 0 8px; }
.colonnade table.cn-table.cn-named :is(td, th) { padding: 1px 12px 1px 0; border: 0; font-weight: 400;
  max-width: none; overflow-wrap: anywhere; }
.colonnade table.cn-table.cn-named th { white-space: nowrap; }
.colonnade .cn-more > summary { cursor: pointer; color: var(--cn-soft); font-size: 11px; font-weight: 600;
  line-height: 24px; }
"""


class Panels:
    """The panels of a trace's spans, as many as its budget has room for: ask for the important ones first."""

    def __init__(self, spans: pa.Table, begin: int) -> None:
        self._spans = spans
        self._begin = begin
        self._limit = max(_SMALLEST, min(_LARGEST, BUDGET // (3 * max(spans.num_rows, 1))))
        self._left = BUDGET
        self.left_out = 0

    def of(self, node: Node, row: int) -> Html | None:
        """The panel of a span, the ``row``-th of the table; ``None`` where there is no room for it."""
        if self._left <= 0:
            self.left_out += 1
            return None
        panel = span_panel(decode(SPANS, self._spans.slice(row, 1))[0], node, self._begin, self._limit)
        self._left -= len(panel)
        return panel


def span_panel(span: Record, node: Node, begin: int, limit: int) -> Html:
    """All that a span's record says which the picture does not: payloads of at most ``limit`` characters each."""
    blocks = [
        block(name, _error(span[name]) if name == "error" else span[name], limit) for name in _BLOCKS if _is(span, name)
    ]
    more = []
    if events := span.get("events"):
        more.append(
            _closed(
                f"events, {number(len(events))}" if isinstance(events, list) else "events", block("", events, limit)
            )
        )
    for name in _TABLES:
        if isinstance(values := span.get(name), Mapping) and values:
            shown = {str(key): value for key, value in values.items() if key not in _TWICE}
            more.append(_closed(f"{name}, {number(len(values))}", facts(shown)))
        elif _is(span, name):
            more.append(block(name, values, limit))
    for name in ("links", "other"):
        if span.get(name):
            more.append(_closed(name, block("", span[name], limit)))
    known: dict[str, Any] = {"starts": f"{duration(node.start - begin)} after the trace begins"}
    known |= {name: value for name, value in span.items() if name not in _DRAWN and value is not None}
    return element("div", *blocks, *more, _closed("about the span", facts(known)), class_="cn-panel")


def _is(span: Record, name: str) -> bool:
    return span.get(name) is not None


def _error(error: Any) -> Any:
    """An error with its stack as text, in which lines are lines."""
    if not isinstance(error, Mapping) or not isinstance(error.get("stack"), str):
        return error
    said = {key: value for key, value in error.items() if key not in ("name", "message", "stack")}
    first = ": ".join(str(error[key]) for key in ("name", "message") if error.get(key))
    return "\n".join([first, *(f"{key}: {value}" for key, value in said.items()), "", error["stack"]])


def _closed(title: str, content: Html) -> Html:
    return element("details", element("summary", title), content, class_="cn-more")
