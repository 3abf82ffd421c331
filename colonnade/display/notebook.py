"""What a notebook is given of a value: HTML that needs no script and no server, and the same as plain text."""

from __future__ import annotations

from functools import singledispatch
from importlib import import_module
from typing import Any, Final

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


def mimebundle(value: Any) -> dict[str, str]:
    """A value in every form that there is of it, by MIME type."""
    _load()
    html = html_of(value)
    return {PLAIN: text_of(value)} | ({} if html is None else {HTML: html})


def plain(value: Any) -> str:
    """A value as plain text."""
    _load()
    return text_of(value)


def _load() -> None:
    """Have all pictures registered; when the first one is asked for, for they stand above this module."""
    import_module("colonnade.display.pictures")
