"""HTML that is safe to show whatever it is about, and the page and the style that all pictures share.

Markup is a value of its own, ``Html``, that only ``element`` makes; text that is put into it is escaped, always, and
there is no way to say that it shall not be. So a payload cannot become markup by being forgotten somewhere. ``Html`` is
no ``str``: joined to one it is an error, formatted into one it is text again, and escaped where that is used.

There is no script in any of it, and the page forbids scripts. ``fragment`` is for the output of a notebook cell, where
many stand below each other; ``page`` is a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape as _entities
from typing import Final

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they reorder what is read
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"  # annotations, no characters, halves of characters
    "\U000e0000-\U000e007f]"  # invisible twins of ASCII: text that models read and people do not see
)
_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_RAW: Final = frozenset({"script", "style", "iframe", "object", "embed", "template", "noscript", "xmp", "plaintext"})
_VOID: Final = frozenset({"br", "col", "hr", "img", "meta", "wbr"})
_LINK: Final = re.compile(r"#|https?://", re.IGNORECASE)
_IMAGE: Final = re.compile(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]*\Z")
_STYLE: Final = re.compile(r"(?:[-\w .,:;%#]|\b(?:calc|var)\(|\))*\Z", re.ASCII)


class Html:
    """Markup that is complete and safe. ``str(html)`` is its text, which is text like any other."""

    __slots__ = ("_text",)

    _text: str

    def __init__(self) -> None:
        raise TypeError("markup is made with element() and joined(), of text that they escape")

    def __str__(self) -> str:
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __repr__(self) -> str:
        return f"<Html of {len(self._text):,} characters>"


Content = Html | str | int | None
"""What an element may hold: markup as it is, text and numbers escaped; ``None`` is left out."""


def _html(text: str) -> Html:
    made = object.__new__(Html)
    made._text = text
    return made


def escape(text: str) -> str:
    """Text as it is written in HTML, in an element or a quoted attribute.

    Nothing in it stays hidden: control characters become their pictures (``␀``), what would reorder the line or is
    invisible is named (``[U+202E]``).
    """
    if not text.isprintable():
        text = _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))
    return _entities(text)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"[U+{code:04X}]"


def scrolled(table: Html, label: str) -> Html:
    """A table that is scrolled where it does not fit, by the keyboard too; ``label`` is what is heard of it."""
    return element("div", table, class_="cn-scroll", tabindex=0, role="group", aria_label=label)


def joined(parts: Iterable[Content]) -> Html:
    """Contents one after the other."""
    return _html("".join([_written(part) for part in parts]))


def element(tag: str, *content: Content, **attributes: str | float | bool | None) -> Html:
    """One element: ``element("td", text, class_="cn-number", stroke_width=2)``.

    In names of attributes a trailing ``_`` is left out, others become ``-``. ``True`` is an attribute without a value,
    ``None`` and ``False`` are none. A link that leads anywhere but to a place on the page or to the web is left out,
    and so is an image that is not within the page. ``ValueError`` for elements whose content cannot be escaped, such
    as ``script``, and for handlers of events.
    """
    _checked(tag)
    opening = f"<{tag}"
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = _attribute(key)
        if value is True:
            opening += f" {name}"
        elif name not in _GUARDED or _GUARDED[name].match(str(value)):
            opening += f' {name}="{escape(value) if isinstance(value, str) else value}"'
        elif name == "style":
            raise ValueError("an inline style holds lengths, colours and variables, and nothing else")
    if tag in _VOID:
        return _html(f"{opening}>")
    return _html(f"{opening}>{''.join([_written(part) for part in content])}</{tag}>")


_GUARDED: Final = {"href": _LINK, "src": _IMAGE, "style": _STYLE}


def _written(part: Content) -> str:
    if isinstance(part, Html):
        return part._text
    return "" if part is None else escape(part if isinstance(part, str) else str(part))


@lru_cache(maxsize=256)
def _checked(tag: str) -> None:
    if not _NAME.fullmatch(tag) or tag.lower() in _RAW:
        raise ValueError(f"no element that text can be put into safely: {tag!r}")


@lru_cache(maxsize=256)
def _attribute(key: str) -> str:
    name = key.removesuffix("_").replace("_", "-")
    if not _NAME.fullmatch(name) or name.lower().startswith("on") or name.lower() == "srcdoc":
        raise ValueError(f"no attribute of a page without scripts: {name!r}")
    return name


STYLE: Final = """
.colonnade { color-scheme: light dark;
  --cn-paper: light-dark(#ffffff, #15181d); --cn-wash: light-dark(#f5f6f8, #1d2128);
  --cn-ink: light-dark(#1f2430, #e3e6eb); --cn-soft: light-dark(#5a6372, #a0a9b6);
  --cn-line: light-dark(#e2e5ea, #2d333c); --cn-link: light-dark(#2559a8, #8ab4f5);
  --cn-good: light-dark(#1a7540, #57c98c); --cn-bad: light-dark(#c0262d, #ff8a84);
  --cn-warn: light-dark(#855800, #e3b554);
  --cn-agent: light-dark(#4a73b8, #76a1e5); --cn-model: light-dark(#8457bd, #b794ec);
  --cn-tool: light-dark(#1f877a, #52bdae); --cn-other: light-dark(#6f7a8b, #8d98a8);
  --cn-mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--cn-paper); color: var(--cn-ink); text-align: left; overflow-x: auto; container-type: inline-size;
  padding: 12px 14px;
  font: 13px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
[data-jp-theme-light="true"] .colonnade, [data-theme="light"] .colonnade, html[theme="light"] .colonnade,
.vscode-light .colonnade { color-scheme: light; }
[data-jp-theme-light="false"] .colonnade, [data-theme="dark"] .colonnade, html[theme="dark"] .colonnade,
.vscode-dark .colonnade { color-scheme: dark; }
.colonnade *, .colonnade *::before { box-sizing: border-box; }
.colonnade :focus-visible { outline: 2px solid var(--cn-link); outline-offset: -2px; border-radius: 3px; }
.colonnade h1, .colonnade h2, .colonnade h3 { margin: 0; font-weight: 600; line-height: 1.3; color: var(--cn-ink); }
.colonnade h1 { font-size: 20px; } .colonnade h2 { font-size: 15px; margin-top: 28px; }
.colonnade h3 { font-size: 13px; } .colonnade p + h3 { margin-top: 12px; }
.colonnade p { margin: 4px 0; } .colonnade a { color: var(--cn-link); }
.colonnade code, .colonnade pre { font-family: var(--cn-mono); font-size: 12px; background: none; padding: 0;
  color: inherit; }
.colonnade .cn-soft { color: var(--cn-soft); } .colonnade .cn-good { color: var(--cn-good); }
.colonnade .cn-bad { color: var(--cn-bad); } .colonnade .cn-warn { color: var(--cn-warn); }
.colonnade .cn-number { text-align: right; white-space: nowrap; }
.colonnade .cn-facts { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 2px 0 10px; color: var(--cn-soft); }
.colonnade .cn-facts b:not([class]) { color: var(--cn-ink); }
.colonnade .cn-facts b { font-weight: 600; }
.colonnade .cn-scroll { overflow-x: auto; max-width: 100%; }
.colonnade table.cn-table { border-collapse: collapse; border: 0; margin: 8px 0; font-size: 13px; color: inherit;
  table-layout: auto; }
.colonnade table.cn-table :is(td, th) { padding: 4px 14px 4px 0; border: 0; text-align: left; vertical-align: top;
  max-width: 480px; overflow-wrap: break-word; white-space: normal; background: none; }
.colonnade table.cn-table :is(td, th).cn-number { text-align: right; white-space: nowrap; }
.colonnade table.cn-table :is(td, th):last-child { padding-right: 0; }
.colonnade table.cn-table thead th { font-weight: 600; border-bottom: 1px solid var(--cn-soft);
  vertical-align: bottom; }
.colonnade table.cn-table tbody tr:nth-child(n) { background: none; }
.colonnade table.cn-table tbody tr + tr > * { border-top: 1px solid var(--cn-line); }
.colonnade table.cn-table caption { caption-side: top; text-align: left; color: var(--cn-soft); padding: 0 0 4px; }
.colonnade.cn-page { max-width: 1120px; margin: 0 auto; padding: 28px 24px 48px; }
"""
"""What all pictures share: colours as variables (``--cn-ink``, ``--cn-bad`` ...) and classes (``cn-table`` ...).

Colours follow the system, and the theme of JupyterLab, VS Code, Colab and documentation where these say one.
"""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def fragment(*content: Content, label: str, style: str = "") -> str:
    """A picture for a notebook's cell: a group called ``label`` with the common style and ``style``, CSS of ours.

    It is no landmark: those have names of their own, and a notebook may hold the same picture twice.
    """
    return f"{_sheet(style)}{element('div', *content, class_='colonnade', role='group', aria_label=label)}"


def page(title: str, *content: Content, style: str = "") -> str:
    """A picture or a report as a file of its own, that needs nothing beside it and lets no script run."""
    head = joined(
        [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
        ]
    )
    body = element("main", *content, class_="colonnade cn-page")
    canvas = "html { background: light-dark(#ffffff, #15181d); } body { margin: 0; }"
    return f'<!doctype html>\n<html lang="en"><head>{head}{_sheet(canvas + style)}</head><body>{body}</body></html>\n'


def _sheet(style: str) -> str:
    if "<" in style:
        raise ValueError("a style sheet holds no markup, and nothing that was not written for it")
    return f"<style>{STYLE}{style}</style>"
