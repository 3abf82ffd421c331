"""Pictures for the terminal: data in, something to print out.

Each function is pure and gives a ``Picture`` that fits the width it is printed at:
``console().print(trace_tree(spans))``. ``str(picture)`` and ``plain(picture, width)`` are the same as plain text. Text
from the data is shown as text: markup in it is not interpreted, and what could steer a terminal is taken out.
"""

from __future__ import annotations

from colonnade.display.comparison import comparison_view
from colonnade.display.evals import pass_k_table
from colonnade.display.figures import figures_table, usage_table
from colonnade.display.findings import findings_table
from colonnade.display.hits import hits_view
from colonnade.display.screen import Picture, console, heading, note, plain, stacked
from colonnade.display.tables import rows_table, spans_table, traces_table
from colonnade.display.tree import trace_tree

__all__ = [
    "Picture",
    "comparison_view",
    "console",
    "figures_table",
    "findings_table",
    "heading",
    "hits_view",
    "note",
    "pass_k_table",
    "plain",
    "rows_table",
    "spans_table",
    "stacked",
    "trace_tree",
    "traces_table",
    "usage_table",
]
