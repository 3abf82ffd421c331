"""Comparisons, agreement and pass^k in a browser: all that opens is accessible, wide and narrow."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import colonnade
from bench.one_trace import START
from colonnade.display.notebook import HTML, mimebundle

OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"


@pytest.fixture(scope="module")
def compared() -> Any:
    """Three versions, three metrics, slices, several trials, items that are missing."""
    level = {"old": 0.5, "new": 0.2, "newer version of the prompt": 0.9}
    rows = [
        {"version": version, "item": f"item {n}", "trial": trial, "tier": "gold" if n % 2 else "free"}
        | {"right": (n * 7 + trial) % 10 < 10 * least, "style": least + n / 90, "cost": (1.1 - least) * (1 + n / 50)}
        | {"traceId": f"{version} {n} {trial}" * 2}
        for version, least in level.items()
        for n in range(9 if version == "old" else 8)
        for trial in range(3)
    ]
    how: dict[str, Any] = {"metric": ["right", "style", "cost"], "by": "tier", "tolerance": 0.05, "resamples": 999}
    return colonnade.compare(
        pl.DataFrame(rows), "old", list(level)[1:], side="version", item="item", trial="trial", **how
    )


@pytest.fixture(scope="module")
def notebook(compared: Any) -> str:
    """What a notebook shows of each, one below the other."""
    marks = pl.DataFrame({"human": [1, 1, 0, 0, 1, 0, 1, 1], "judge": [1, 1, 0, 1, 1, 0, 0, 1], "other": [1, 0] * 4})
    kept = {"scorer": {}, "source": "TEST", "output": "", "entity": {}, "entityId": "a", "scorerId": "reward"}
    with colonnade.open(":memory:") as store:
        runs = [(item, trial) for item in "abc" for trial in range(4)]
        scores = [
            {**kept, "runId": f"{item}{trial}", "datasetItemId": item, "trial": trial, "score": trial % 2}
            for item, trial in runs
        ]
        store.scores.save_scores(scores=scores)
        known = {"threadId": "t", "resourceId": "ada", "createdAt": START}
        said = [("system", "rules " * 400), ("user", "Where?"), ("tool", {"role": "tool", "name": "f", "content": "x"})]
        store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "Order 17"})
        store.memory.save_messages(
            messages=[{**known, "id": f"m{n}", "role": role, "content": text} for n, (role, text) in enumerate(said)]
        )
        values = [
            compared,
            colonnade.agreement(marks, ["human", "judge", "other"]),
            store.queries.pass_hat_k(scorer="reward"),
            store.thread("t"),
            store.sql("select range as number, 'row ' || range as name, repeat('wide ', 40) as text from range(30)"),
        ]
        values.append(store.sql("select 1 as number"))  # called like the other, as pictures in notebooks may be
        shown = "".join(mimebundle(value)[HTML] for value in values)
    return f'<!doctype html><html lang="en"><title>t</title><main><h1>t</h1><h2>t</h2>{shown}</main>'


@pytest.mark.parametrize(("dark", "width"), [(False, 480), (True, 1200)], ids=["light and narrow", "dark and wide"])
def test_everything_that_opens_is_accessible(
    dark: bool, width: int, compared: Any, notebook: str, open_html: Any, accessible: Callable[[Any], list[str]]
) -> None:
    for name, html in (("page", compared.to_html("https://example.com/{trace}")), ("notebook", notebook)):
        page = open_html(html, dark=dark, width=width, name=name)
        page.evaluate(OPEN)
        assert page.locator("details:not([open])").count() == 0
        # A thread below it, and its style, change nothing.
        assert page.locator(".cn-verdict").first.evaluate("each => getComputedStyle(each).borderLeftWidth") == "0px"
        assert accessible(page) == []
        assert page.happened == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
