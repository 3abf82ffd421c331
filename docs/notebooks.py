"""Run the notebooks and make pages of them: `make docs`. Tests run them in the same way."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILT = ROOT / "build" / "docs"
SECONDS = 300
"""What a cell may take, at most."""


async def run(names: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> list[Any]:
    """Run notebooks at the same time, each in a kernel of this interpreter, all in one folder; what they hold then.

    A cell that fails raises ``nbclient.exceptions.CellExecutionError``.
    """
    import nbclient
    import nbformat

    books = [nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4) for name in names]
    clients = [
        nbclient.NotebookClient(book, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}) for book in books
    ]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.async_execute(env={**os.environ, **environment}))
    return books


TOGETHER = ("embedded-agent", "embedded-agent-watch")
"""Two that talk with each other through one store, and run at the same time."""
ALONE = ("trace-analysis", "eval-comparison", "polars-exports")


def main() -> None:
    """Make a page of each notebook, with what its cells give, in build/docs."""
    import nbconvert

    BUILT.mkdir(parents=True, exist_ok=True)
    shared = os.environ.get("COLONNADE_SHARED", str(ROOT.parent / "shared"))
    for names in (*((name,) for name in ALONE), TOGETHER):
        print(f"Running {' and '.join(names)} ...")
        with TemporaryDirectory() as folder:
            books = asyncio.run(run(names, Path(folder), {"COLONNADE_SHARED": shared}))
        for name, book in zip(names, books, strict=True):
            html, _ = nbconvert.HTMLExporter().from_notebook_node(book, resources={"metadata": {"name": name}})
            (BUILT / f"{name}.html").write_text(html, encoding="utf-8")
    print(f"The pages are in {BUILT.relative_to(ROOT)}.")


if __name__ == "__main__":
    sys.exit(main())
