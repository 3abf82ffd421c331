"""Pictures for the terminal and the notebook."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext colonnade.display``: notebooks show every Arrow table as ours are shown."""
    from colonnade.display.grid import table_html

    shell.display_formatter.formatters["text/html"].for_type_by_name("pyarrow.lib", "Table", table_html)
