"""What a search found: each row in a line, and below it the words where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from colonnade.display.formats import plural, safe
from colonnade.display.screen import Picture, stacked
from colonnade.schemas.words import WORD, lower, words

_NAMES: Final = ("name", "role", "title", "scorerId")
_IDS: Final = ("traceId", "spanId", "threadId", "id")
_TIMES: Final = ("startedAt", "createdAt")


class Hit(Protocol):
    """A row that was found; ``snippet`` is the place in ``field`` where the words are."""

    @property
    def record(self) -> Mapping[str, Any]: ...
    @property
    def score(self) -> float: ...
    @property
    def field(self) -> str: ...
    @property
    def snippet(self) -> str: ...


def hits_view(hits: Sequence[Hit], text: str) -> Picture:
    """Hits in their order, with the words of ``text`` marked; snippets are wrapped, never cut."""
    wanted = set(words(text))

    def draw(width: int) -> RenderableType:
        if not hits:
            return Text("Nothing holds these words.")
        parts: list[RenderableType] = [Text(plural(len(hits), "hit"), style="bold")]
        for hit in hits:
            parts += [_line(hit), Padding(_marked(hit.snippet, wanted), (0, 0, 0, 2))]
        return stacked(*parts)

    return Picture(draw)


def _line(hit: Hit) -> Text:
    record = hit.record
    time: Any = next((record[name] for name in _TIMES if record.get(name) is not None), None)
    line = Text(f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if isinstance(time, datetime) else "")
    named = next((str(record[name]) for name in _NAMES if record.get(name)), "")
    line.append(f"  {safe(named)}", "bold")
    ids = [f"{name.removesuffix('Id') or name} {safe(str(record[name]))}" for name in _IDS if record.get(name)]
    line.append(f"  {hit.field}", "cyan").append(f"  {', '.join(ids)}", "dim")
    return line


def _marked(snippet: str, wanted: set[str]) -> Text:
    shown = safe(snippet)
    text = Text(shown)
    for match in WORD.finditer(lower(shown)):
        if match[0] in wanted:
            text.stylize("bold yellow", match.start(), match.end())
    return text
