"""Rows as an HTML table: all of a few, the first and the last of many, and always how many there are."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from colonnade.display.formats import number, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import Html, element, fragment, joined, scrolled
from colonnade.display.tables import cells_of, is_number, rows_table, spans_table
from colonnade.queries.pages import Page
from colonnade.queries.shown import Rows

WHOLE: Final = 60
"""Rows of a table that is shown whole."""
HEAD: Final = 20
TAIL: Final = 10
COLUMNS: Final = 60
"""Columns that are shown, the first ones."""
_CELL: Final = 160
_SHORT: Final = 40
"""Characters of a cell, at most, and of one that is not wrapped."""

STYLE: Final = """
.colonnade table.cn-table.cn-grid thead th { white-space: nowrap; }
.colonnade table.cn-table.cn-grid tbody td { line-height: 1.4; }
.colonnade table.cn-table.cn-grid td.cn-short { white-space: nowrap; }
.colonnade table.cn-table.cn-grid td.cn-gap { text-align: center; color: var(--cn-soft); padding: 3px; }
.colonnade .cn-type { display: block; font-weight: 400; font-size: 11px; color: var(--cn-soft); }
"""


def table_html(rows: pa.Table, label: str = "table") -> str:
    """Any Arrow table for the output of a notebook's cell."""
    return fragment(grid(rows), label=label, style=STYLE)


def grid(rows: pa.Table) -> Html:
    """Any Arrow table, to be put into a page whose style has ``STYLE``: numbers to the right, types below names."""
    if not rows.num_columns:
        return element("p", "No columns.")
    names, kinds = rows.column_names[:COLUMNS], rows.schema.types[:COLUMNS]
    sides = ["cn-number" if is_number(kind) else None for kind in kinds]
    heads = [
        element("th", safe(name, 60), " ", element("span", str(kind), class_="cn-type"), scope="col", class_=side)
        for name, kind, side in zip(names, kinds, sides, strict=True)
    ]
    many = rows.num_rows > WHOLE
    body = _rows(rows.slice(0, HEAD if many else WHOLE), sides)
    if many:
        gap = f"{number(rows.num_rows - HEAD - TAIL)} rows between"
        body.append(element("tr", element("td", gap, colspan=len(names), class_="cn-gap")))
        body += _rows(rows.slice(rows.num_rows - TAIL), sides)
    shown = element(
        "table", element("thead", element("tr", *heads)), element("tbody", *body), class_="cn-table cn-grid"
    )
    said = plural(rows.num_rows, "row")
    if many:
        said = f"the first {HEAD} and the last {TAIL} of {said}"
    more = rows.num_columns - len(names)
    said += f", the first {COLUMNS} of {rows.num_columns:,} columns" if more else ""
    return joined([scrolled(shown, said), element("p", said, class_="cn-soft")])


def _rows(rows: pa.Table, sides: list[str | None]) -> list[Html]:
    columns = [cells_of(rows.column(place), _CELL) for place in range(len(sides))]
    return [
        element("tr", *(_cell(text.plain, text.style == "dim", side) for text, side in zip(row, sides, strict=True)))
        for row in zip(*columns, strict=True)
    ]


def _cell(text: str, is_null: bool, side: str | None) -> Html:
    if is_null:
        return element("td", element("span", text, class_="cn-soft"), class_=side)
    short = "cn-short" if len(text) <= _SHORT else None
    return element("td", text, class_=side or short, dir="auto" if side is None else None)


@html_of.register
def _(rows: Rows) -> str:
    if rows.plan is not None:
        return fragment(element("pre", rows.plan), label="plan of a query")
    return table_html(rows.arrow(), "rows of a query")


@text_of.register
def _(rows: Rows) -> str:
    return str(rows_table(rows.arrow(), WHOLE)) if rows.plan is None else rows.plan


@html_of.register
def _(page: Page) -> str:
    known = _known(page.rows)
    empty = [name for name in page.rows.column_names if name not in known]
    rest = "the last page" if page.cursor is None else "there are more rows: ask again with after=page.cursor"
    notes = [element("p", rest, class_="cn-soft")]
    if empty:
        notes.append(element("p", f"without a value in these rows: {', '.join(empty)}", class_="cn-soft"))
    return fragment(grid(page.rows.select(known)), *notes, label="a page of rows", style=STYLE)


@text_of.register
def _(page: Page) -> str:
    if {"spanId", "startedAt"} <= set(page.rows.column_names):
        return str(spans_table(page.rows))
    return str(rows_table(page.rows.select(_known(page.rows))))


def _known(rows: pa.Table) -> list[str]:
    """The columns that have a value; all, where none has."""
    return [name for name in rows.column_names if rows[name].null_count < rows.num_rows] or rows.column_names
