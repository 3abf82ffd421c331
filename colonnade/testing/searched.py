"""What every store must find: search in plain Python, apart from the engine's."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from colonnade.engine.plan import Search
from colonnade.schemas.payloads import from_json, unescape_text


def in_lower_case(text: str) -> str:
    """A text letter for letter in lower case, where that is one letter."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def words_of(text: str) -> list[str]:
    """Runs of letters and digits in lower case."""
    runs = groupby(in_lower_case(text), str.isalnum)
    return ["".join(letters) for are_letters, letters in runs if are_letters]


def _all_texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _all_texts(each)]


def search(rows: list[dict[str, Any]], plan: Search) -> list[dict[str, Any]]:
    """The best of some rows: key, score and column."""
    when = {"spans": "startedAt", "evals": "created_at"}.get(plan.table.name, "createdAt")
    ranked = []
    for row in rows:
        found = {}
        for name in dict.fromkeys(plan.columns):
            stored = row[name]
            if stored is not None:
                json = plan.table.columns[name].kind.name == "json"
                texts = _all_texts(from_json(stored)) if json else [unescape_text(stored)]
                found[name] = Counter(word for text in texts for word in words_of(text))
        total = sum(found.values(), Counter[str]())
        wanted = set(plan.words)
        held = [word for word in wanted if total[word]]
        if held and (plan.some or len(held) == len(wanted)):
            norm = 1.2 * (0.25 + 0.75 * total.total() / 256)
            score = sum(total[word] * 2.2 / (total[word] + norm) for word in sorted(held))
            column = max(found, key=lambda name: sum(word in found[name] for word in wanted))
            key = {name: row[name] for name in plan.table.key}
            place = (-len(held), -round(score, 9), -row[when], *key.values())
            ranked.append((place, key | {"score": score, "column": column}))
    return [answer for _, answer in sorted(ranked, key=lambda each: each[0])][: plan.limit]
