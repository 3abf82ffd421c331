"""Pictures of pass^k, as text and as HTML."""

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

import colonnade
from colonnade.display.notebook import mimebundle
from colonnade.display.terminal import pass_k_table, plain


def score(batch: str, item: str, trial: int, value: float) -> dict[str, Any]:
    """A score of one trial of an item."""
    return {
        "scorerId": "right",
        "entityId": "agent",
        "entity": {},
        "scorer": {},
        "source": "TEST",
        "output": "",
        "runId": f"{batch}/{item}/{trial}",
        "score": value,
        "batchId": batch,
        "datasetItemId": item,
        "trial": trial,
    }


RIGHT = {
    "old": {"same": [1, 1], "worse": [1, 1], "better [b]": [0, 0], "also better": [0, 1], "gone": [1, 1]},
    "new": {"same": [1, 1], "worse": [0, 1], "better [b]": [1, 1], "also better": [1, 1], "added": [0]},
}


@pytest.fixture(scope="module")
def queries() -> Any:
    """Questions over two batches of scores."""
    scores = [
        score(batch, item, trial, value)
        for batch, items in RIGHT.items()
        for item, values in items.items()
        for trial, value in enumerate(values)
    ]
    with colonnade.open(":memory:") as store:
        store.scores.save_scores(scores=scores)
        yield store.queries


def test_pass_k_of_a_batch(queries: Any) -> None:
    text = plain(pass_k_table(queries.pass_hat_k(scorer="right", batch="old")))
    assert "scorer right, old: 5 items, 2 trials each" in text
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    assert [[cell for cell in row if "━" not in cell] for row in rows] == [
        ["1", "0.700", "0.700"],
        ["2", "0.600", "0.800"],
    ]
    assert "A success is a score of at least 1." in " ".join(text.split())


def test_uneven_trials_are_said(queries: Any) -> None:
    text = " ".join(plain(pass_k_table(queries.pass_hat_k(scorer="right", batch="new"))).split())
    assert "5 items, 9 trials" in text
    assert "k ends at 1, the fewest trials of an item. Fewer than others have added (1)." in text
    assert "counted together" in " ".join(plain(pass_k_table(queries.pass_hat_k(scorer="right"))).split())


def test_no_scores_are_said(queries: Any) -> None:
    assert "No scores by 'other' say their item" in plain(pass_k_table(queries.pass_hat_k(scorer="other")))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_pictures_of_pass_k_fit_their_width(queries: Any, width: int) -> None:
    picture = pass_k_table(queries.pass_hat_k(scorer="right"))
    assert all(cell_len(line) <= width for line in plain(picture, width).splitlines())


def test_pass_k_shows_itself_in_a_notebook(queries: Any) -> None:
    found = queries.pass_hat_k(scorer="right", batch="old")
    bundle = mimebundle(replace(found, scorer="<b>reward</b>"))
    assert "&lt;b&gt;reward&lt;/b&gt;" in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["text/html"].count("<tr>") == 1 + len(found.pass_hat)
    assert "pass^k" in bundle["text/plain"]
