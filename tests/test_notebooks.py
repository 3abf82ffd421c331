"""The notebooks run from top to bottom, show what they say they show, and are kept without outputs."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from docs.notebooks import ALONE, NOTEBOOKS, TOGETHER, run

pytest.importorskip("nbclient")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")
pytest.importorskip("scipy")

PICTURES = {
    "trace-analysis": {"waterfall": 1, "conversation": 1, "grid": 6, "chart": 1},
    "eval-comparison": {"waterfall": 1, "forest": 2},
    "polars-exports": {"chart": 4, "frame": 4},
    "embedded-agent": {"waterfall": 1, "grid": 1},
    "embedded-agent-watch": {"waterfall": 2, "conversation": 1, "frame": 1},
}
"""What each shows, at least."""
MARKS = {
    "waterfall": '<summary class="cn-row',
    "conversation": 'class="cn-role"',
    "grid": 'class="cn-table cn-grid"',
    "forest": 'class="cn-forest',
    "frame": "<small>shape: (",
}


def _execute(names: tuple[str, ...], folder: Path, shared: str) -> dict[str, list[dict[str, str]]]:
    """What the cells of notebooks showed, an output each, by MIME type."""
    books = asyncio.run(run(names, folder, {"COLONNADE_SHARED": shared}))
    return {name: [_shown(output) for output in _outputs(book)] for name, book in zip(names, books, strict=True)}


def _outputs(book: Any) -> list[Any]:
    found = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in found if output.output_type == "error" or output.get("name") == "stderr"]
    return found


def _shown(output: Any) -> dict[str, str]:
    return dict(output.data) if "data" in output else {"text/plain": output.text}


def _check(name: str, outputs: list[dict[str, str]]) -> None:
    seen = [output.get("text/html", "") for output in outputs]
    counted = {what: sum(mark in html for html in seen) for what, mark in MARKS.items()}
    counted["chart"] = sum("image/svg+xml" in output for output in outputs)
    for what, least in PICTURES[name].items():
        assert counted[what] >= least, f"{name}: {counted[what]} of {least} {what}"
    assert not any("<script" in html for html in seen), f"{name} needs a script to be read"


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("trace-analysis", True),
        ("trace-analysis", False),
        ("eval-comparison", True),
        ("eval-comparison", False),
        ("polars-exports", False),
    ],
)
def test_a_notebook_runs_and_shows_its_pictures(
    name: str, recorded: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shared = request.getfixturevalue("shared") if recorded else tmp_path / "none"
    outputs = _execute((name,), tmp_path, str(shared))[name]
    _check(name, outputs)
    if name == "eval-comparison" and recorded:
        text = " ".join(output["text/plain"] for output in outputs)
        assert all(chance in text for chance in ("0.420", "0.273", "0.220", "0.200"))
        assert "undecided: +0.020" in text and "could have shown a difference of 0.25" in text


def test_a_second_notebook_looks_into_the_store_of_an_agent_at_work(tmp_path: Path) -> None:
    outputs = _execute(TOGETHER, tmp_path, os.devnull)
    for name, shown in outputs.items():
        _check(name, shown)
    watched = [output["text/plain"] for output in outputs["embedded-agent-watch"]]
    first, later = [text for text in watched if text.startswith("trace ")]
    assert "running" in first and "running" not in later  # it was seen while it ran, and when it had ended
    asked, approved = [output["text/plain"] for output in outputs["embedded-agent"]][:2]
    assert "approve" in asked and "approve" in approved
    assert any("is approved." in text for text in watched)  # each process saw what the other one wrote


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_outputs_are_not_kept(path: Path) -> None:
    assert path.stem in PICTURES and PICTURES.keys() == {*ALONE, *TOGETHER}
    book = json.loads(path.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        assert cell["metadata"] == {} and not cell.get("outputs") and cell.get("execution_count") is None
