"""Comparisons as Markdown, for a pull request: what code hosts render, and readable where nothing does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from colonnade.display.comparison import first
from colonnade.display.comparison_words import (
    NAME,
    about,
    change,
    counted,
    interval,
    level,
    linked,
    notes,
    probability,
    reliability,
    sides,
    tests,
    value,
    values,
    verdict,
)
from colonnade.display.formats import plural, safe
from colonnade.queries.comparing.comparison import Comparison
from colonnade.queries.comparing.values import Difference, ItemPair

SHOWN: Final = 20
"""Items of each metric and kind that are listed, and all together at most three times as many."""
_ROWS: Final = 40
"""Differences of each kind that are listed: code hosts refuse comments of more than 65,536 characters."""

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~&$])")
_POINTERS: Final = re.compile(r"(?i)(?<!\w)[@#](?=\w)|\b(?:https?|www)(?=[:.])")
_MARKS: Final = {"better": "✅ better", "worse": "❌ worse", "undecided": "undecided"}


def markdown(found: Comparison, trace_url: str | None = None) -> str:
    """A comparison as Markdown. ``Comparison.to_markdown`` says what ``trace_url`` is."""
    parts = [
        f"### {_text(sides(found))}",
        f"{_text(counted(found))}.",
        *_differences(found, overall := _clearest(found.overall), len(found.overall)),
        "\n".join(_said(each, found) for each in overall),
        *(_reliability(each) for each in overall if reliability(each)),
    ]
    if found.slices:
        parts += [f"#### By {_text(safe(found.by))}"]
        parts += _differences(found, _clearest(found.slices), len(found.slices))
    for what, pairs in (("got worse", found.regressions), ("got better", found.improvements)):
        if shown := first(pairs, max(1, min(SHOWN, 3 * SHOWN // len(found.metrics))))[: 3 * SHOWN]:
            more = f", the first {len(shown):,} of them" if len(shown) < len(pairs) else ""
            summary = f"<summary>{plural(len(pairs), 'item')} {what}{more}</summary>"
            parts.append(f"<details>{summary}\n\n{_items(found, shown, trace_url)}\n\n</details>")
    parts += [_text(note) for note in notes(found)]
    return "\n\n".join(parts) + "\n"


def _clearest(given: Sequence[Difference]) -> list[Difference]:
    """All differences, or of very many those that are decided and those nearest to it, in their order."""
    ranked = sorted(given, key=lambda each: (each.verdict == "undecided", 1.0 if each.p is None else each.p))
    kept = {id(each) for each in ranked[:_ROWS]}
    return [each for each in given if id(each) in kept]


def _differences(found: Comparison, shown: Sequence[Difference], all: int) -> list[str]:
    one, corrected = len(found.candidates) == 1, len(found.differences) > 1
    heads = ["metric", safe(found.baseline, NAME), safe(found.candidates[0], NAME) if one else "candidate"]
    heads += ["difference", f"{level(found.confidence)} interval", *(["p, Holm"] if corrected else []), "verdict"]
    rows = [
        [
            about(each, found),
            value(each.metric, each.baseline.mean),
            value(each.metric, each.candidate.mean),
            change(each, each.delta),
            interval(each),
            *([probability(each.p_holm)] if corrected else []),
            _MARKS[each.verdict],
        ]
        for each in shown
    ]
    table = _table(heads, [[_text(cell) for cell in row] for row in rows], left=(0, len(heads) - 1))
    more = f"Of {all:,} differences these {len(shown)} are the clearest; the report as .html or .json has all."
    return [table, more] if len(shown) < all else [table]


def _said(each: Difference, found: Comparison) -> str:
    tested = f" ({tests(each)})" if each.p is not None else ""
    return f"- **{_text(about(each, found))}**: {_text(verdict(each, found) + tested)}"


def _reliability(each: Difference) -> str:
    names = (safe(each.baseline.name, NAME), safe(each.candidate.name, NAME))
    rows = reliability(each)
    size = min(len(values) for _, before, after in rows for values in (before, after))
    lines = [
        [_text(f"{what} {name}"), *(f"{values[k]:.3f}" for k in range(size))]
        for what, before, after in rows
        for name, values in zip(names, (before, after), strict=True)
    ]
    return _table([f"{safe(each.metric, 40)}, k =", *(str(k + 1) for k in range(size))], lines)


def _items(found: Comparison, pairs: Sequence[ItemPair], trace_url: str | None) -> str:
    several, versions = len(found.metrics) > 1, len(found.candidates) > 1
    heads = ["item", *(["metric"] if several else []), *(["candidate of"] if versions else [])]
    left = range(len(heads))
    heads += ["baseline", "candidate", "difference", "trace of the candidate"]
    rows = [
        [
            _text(safe(pair.item, 120)),
            *([_text(pair.metric)] if several else []),
            *([_text(safe(pair.version, NAME))] if versions else []),
            *map(_text, values(pair)),
            _trace(pair.telling, trace_url),
        ]
        for pair in pairs
    ]
    return _table(heads, rows, left=(*left, len(heads) - 1))


def _trace(trace: str | None, trace_url: str | None) -> str:
    if trace is None:
        return ""
    said = _text(safe(trace, 64))
    return f"[{said}]({linked(trace_url, trace)})" if trace_url else said


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    lines = [
        [_text(head) for head in heads],
        ["---" if place in left else "---:" for place in range(len(heads))],
        *rows,
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text that stays text: nothing in it is markup, a mention or a link."""
    return _POINTERS.sub(lambda found: f"{found[0]}&#8203;", _SPECIAL.sub(r"\\\1", text))
