"""How far scorers agree, as text and as HTML."""

from __future__ import annotations

from rich.text import Text

from colonnade.display.formats import ABSENT, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import element, fragment, scrolled
from colonnade.display.screen import Column, Picture, fitted, stacked
from colonnade.queries.agreement import Agreement

_HEADS = ("scorer", "and", "both scored", "agreed", "Cohen's kappa")


def agreement_view(found: Agreement) -> Picture:
    """Krippendorff's alpha of all scorers, and a row for each two of them."""
    rows = _rows(found)
    columns = [
        Column(head, [row[place] for row in rows], "left" if place < 2 else "right", least=12 if place < 2 else None)
        for place, head in enumerate(_HEADS)
    ]
    return Picture(lambda width: stacked(Text(_said(found)), Text(), fitted(columns, width)))


@text_of.register
def _(found: Agreement) -> str:
    return str(agreement_view(found))


@html_of.register
def _(found: Agreement) -> str:
    heads = [element("th", head, scope="col", class_=_class(place)) for place, head in enumerate(_HEADS)]
    rows = [
        element("tr", *(element("td", cell, class_=_class(place)) for place, cell in enumerate(row)))
        for row in _rows(found)
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="cn-table")
    return fragment(
        element("p", _said(found)), scrolled(table, "agreement of each two scorers"), label="Agreement of scorers"
    )


def _class(place: int) -> str | None:
    return "cn-number" if place >= 2 else None


def _said(found: Agreement) -> str:
    if not found.things:
        return (
            "Nothing was scored by two of these scorers: a score belongs to a run, and where it names one, to a span."
        )
    alpha = "cannot be told, for all scores are alike" if found.alpha is None else f"is {found.alpha:.3f}"
    return (
        f"{plural(len(found.raters), 'scorer')}, {plural(found.things, 'thing')} that at least two of them scored: "
        f"Krippendorff's alpha ({found.measurement}) {alpha}."
    )


def _rows(found: Agreement) -> list[tuple[str, ...]]:
    return [
        (
            safe(each.first, 40),
            safe(each.second, 40),
            f"{each.things:,}",
            f"{100 * each.agreed:.1f} %",
            ABSENT if each.kappa is None else f"{each.kappa:.3f}",
        )
        for each in found.pairs
    ]
