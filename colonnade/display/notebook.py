"""What a notebook is given of a value: HTML that needs no script and no server, and the same as plain text."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final

from colonnade.queries.shown import ShownRows

HTML: Final = "text/html"
PLAIN: Final = "text/plain"


@singledispatch
def html_of(value: Any) -> str | None:
    """A value as self-contained HTML; ``None`` where it has no picture but its text. Register one for each type."""
    return None


@singledispatch
def text_of(value: Any) -> str:
    """A value as plain text, for terminals and logs."""
    return repr(value)


@html_of.register
def _(value: ShownRows) -> str | None:
    frame = value.shown_frame()
    return None if frame is None else frame._repr_html_()  # which escapes what is in it


@text_of.register
def _(value: ShownRows) -> str:
    return str(value)


def mimebundle(value: Any) -> dict[str, str]:
    """A value in every form that there is of it, by MIME type."""
    html = html_of(value)
    return {PLAIN: text_of(value)} | ({} if html is None else {HTML: html})
