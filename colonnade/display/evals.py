"""Pictures of evals: how reliable an agent is, as text and as HTML."""

from __future__ import annotations

from typing import Final

from rich.console import RenderableType
from rich.text import Text

from colonnade.display.comparison_words import named
from colonnade.display.formats import number, plural, safe
from colonnade.display.notebook import html_of, text_of
from colonnade.display.page import element, fragment, scrolled
from colonnade.display.screen import Column, Picture, fitted, stacked
from colonnade.queries.results import PassK

_BAR: Final = 20


def pass_k_table(found: PassK) -> Picture:
    """pass^k and pass@k for each k, with what they were counted over."""
    return Picture(lambda width: stacked(*_pass_k(found, width)))


def _pass_k(found: PassK, width: int) -> list[RenderableType]:
    if not found.items:
        return [Text(_nothing(found))]
    title = Text.assemble("scorer ", (safe(found.scorer), "bold"), _over(found))
    ks = range(1, len(found.pass_hat) + 1)
    columns = [
        Column("k", [str(k) for k in ks], "right"),
        Column("pass^k", [f"{value:.3f}" for value in found.pass_hat], "right"),
        Column("", [Text("━" * round(_BAR * value), style="magenta") for value in found.pass_hat], rank=2),
        Column("pass@k", [f"{value:.3f}" for value in found.pass_at], "right"),
        Column("", [Text("━" * round(_BAR * value), style="cyan") for value in found.pass_at], rank=1),
    ]
    return [title, Text(), fitted(columns, width), *(Text(note, style="dim") for note in _notes(found))]


def _nothing(found: PassK) -> str:
    return f"No scores by {safe(found.scorer)!r} say their item, so there is nothing to count."


def _over(found: PassK) -> str:
    batches = f", {named(found.batches)}" if found.batches else ""
    each = f"{plural(found.trials, 'trial')} each" if not found.uneven else f"{number(found.scores)} trials"
    return f"{batches}: {plural(found.items, 'item')}, {each}"


def _notes(found: PassK) -> list[str]:
    notes = [
        "pass^k: all of k trials of an item succeed. pass@k: at least one of them does. "
        f"A success is a score of at least {found.threshold:g}."
    ]
    if found.uneven:
        few = [f"{item} ({count})" for item, count in found.uneven]
        notes.append(f"k ends at {found.trials}, the fewest trials of an item. Fewer than others have {named(few)}.")
    if len(found.batches) > 1:
        notes.append("The trials of all these batches are counted together; a batch can be named.")
    if found.rescored:
        notes.append(f"{plural(found.rescored, 'score')} replaced by a later one of the same trial.")
    if found.without_item:
        notes.append(f"Left out, because they name no item: {plural(found.without_item, 'score')}.")
    return notes


@text_of.register
def _(found: PassK) -> str:
    return str(pass_k_table(found))


@html_of.register
def _(found: PassK) -> str:
    if not found.items:
        return fragment(element("p", _nothing(found)), label="pass^k")
    head = element("p", "scorer ", element("b", safe(found.scorer)), _over(found))
    heads = [element("th", name, scope="col", class_="cn-number") for name in ("k", "pass^k", "pass@k")]
    rows = [
        element("tr", *(element("td", cell, class_="cn-number") for cell in (str(k), f"{hat:.3f}", f"{at:.3f}")))
        for k, (hat, at) in enumerate(zip(found.pass_hat, found.pass_at, strict=True), start=1)
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="cn-table")
    notes = [element("p", note, class_="cn-soft") for note in _notes(found)]
    return fragment(head, scrolled(table, "pass^k and pass@k by k"), *notes, label="pass^k and pass@k")
