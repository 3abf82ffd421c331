"""A notebook with pictures in it: run by a kernel, exported as a page, and opened in a browser."""

import re
from typing import Any

import pytest

CELLS = (
    """
import colonnade
from bench.one_trace import START, TRACE, one_trace

store = colonnade.open(":memory:")
store.observability.batch_create_spans(records=one_trace(40, seed=3))
store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "Order 17"})
message = {"id": "m", "threadId": "t", "resourceId": "ada", "role": "user", "content": "Where is it?"}
store.memory.save_messages(messages=[message | {"createdAt": START}])
""",
    "store.trace(TRACE)",
    'store.thread("t")',
    'store.sql("select name, count(*) as spans from spans group by 1 order by 2 desc")',
    "store.queries.spans(limit=3)",
)


@pytest.fixture(scope="module")
def notebook(pytestconfig: pytest.Config) -> Any:
    """A notebook that has run."""
    nbclient = pytest.importorskip("nbclient")
    v4: Any = pytest.importorskip("nbformat.v4")
    made: Any = v4.new_notebook(cells=[v4.new_code_cell(source.strip()) for source in CELLS])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(made, timeout=120, resources={"metadata": {"path": str(pytestconfig.rootpath)}}).execute()
    return made


def test_every_value_gives_html_and_text(notebook: Any) -> None:
    for cell in notebook.cells[1:]:
        (output,) = cell.outputs
        assert {"text/html", "text/plain"} <= output.data.keys()
        assert not re.search(r"<script", output.data["text/html"], re.IGNORECASE)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_exported_notebook_shows_them(theme: str, notebook: Any, open_html: Any) -> None:
    nbconvert: Any = pytest.importorskip("nbconvert")
    html, _ = nbconvert.HTMLExporter(theme=theme).from_notebook_node(notebook)
    # The page's own scripts come from elsewhere, and nothing of ours waits for them.
    html = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    page = open_html(html, dark=theme == "light")  # the theme of the page counts, not that of the system
    assert page.locator(".colonnade:visible").count() == 4
    assert page.locator(".cn-span:visible").count() == 40
    paper = page.locator(".colonnade").first.evaluate("each => getComputedStyle(each).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if theme == "light" else "rgb(21, 24, 29)")
    bars = page.locator(".cn-span .cn-bar rect").all()
    assert all(bar.bounding_box()["width"] > 0 for bar in bars)
    assert page.locator("table.cn-grid").first.locator("tbody tr").count() > 3


def test_two_traces_in_one_notebook_do_not_disturb_each_other(open_html: Any, notebook: Any) -> None:
    html = notebook.cells[1].outputs[0].data["text/html"]
    table = notebook.cells[3].outputs[0].data["text/html"]
    alone = open_html(f"<!doctype html>{html}", name="alone")
    among = open_html(f"<!doctype html>{html}{table}{html}<p id=other>other</p>", name="among")
    first = [page.locator(".cn-span").nth(7).bounding_box() for page in (alone, among)]
    assert first[0] == first[1]
    assert among.locator("#other").evaluate("each => getComputedStyle(each).fontSize") == "16px"
