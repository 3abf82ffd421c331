"""Run the notebooks: those that belong together at the same time. Tests do, and `make docs`."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

NOTEBOOKS: Final = Path(__file__).parent.parent / "notebooks"
TOGETHER: Final = ("embedded-agent", "embedded-agent-watch")
"""Two that talk with each other through one store, and run at the same time."""
ALONE: Final = ("trace-analysis", "eval-comparison", "polars-exports")
_SECONDS: Final = 300
"""What a cell may take, at most."""


async def run(names: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> list[Any]:
    """Run notebooks at the same time, each in a kernel of this interpreter, all in one folder; what they hold then.

    A cell that fails raises ``nbclient.exceptions.CellExecutionError``, in an ``ExceptionGroup``, and ends the others.
    """
    import nbclient
    import nbformat

    books = [nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4) for name in names]
    clients = [
        nbclient.NotebookClient(book, timeout=_SECONDS, resources={"metadata": {"path": str(folder)}}) for book in books
    ]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.async_execute(env={**os.environ, **environment}))
    return books
