"""Floor 1: what is kept. Arrow schemas are the single source of truth; everything else is a reading of them."""

from __future__ import annotations

from typing import Final

from colonnade.errors import InvalidInput
from colonnade.schemas.agents import AGENTS
from colonnade.schemas.memory import MESSAGES, RESOURCES, THREADS, VECTORS
from colonnade.schemas.observability import SPANS, TRACES
from colonnade.schemas.scores import EVALS, SCORES
from colonnade.schemas.table import Table, unknown_column
from colonnade.schemas.workflows import WORKFLOWS

VERSION: Final = 2
"""Version of the schemas as a whole; a store remembers the one that it was written with."""

STORED: Final = (THREADS, MESSAGES, RESOURCES, VECTORS, WORKFLOWS, EVALS, SCORES, SPANS, AGENTS)
"""The tables that a store keeps."""

READINGS: Final = (TRACES,)
"""Tables that are read out of a stored one."""

TABLES: Final = {table.name: table for table in (*STORED, *READINGS)}
"""Every table by its logical name."""

DOMAINS: Final = ("memory", "workflows", "scores", "observability", "agents")
"""The domains, each kept whole by one store."""


def table_named(name: str) -> Table:
    """The table of that name, logical (``spans``) or Mastra's (``mastra_ai_spans``)."""
    for table in TABLES.values():
        if name in (table.name, table.facts.mastra):
            return table
    raise InvalidInput(unknown_column(name, "colonnade", TABLES).replace("column", "table"))


__all__ = [
    "AGENTS",
    "DOMAINS",
    "EVALS",
    "MESSAGES",
    "READINGS",
    "RESOURCES",
    "SCORES",
    "SPANS",
    "STORED",
    "TABLES",
    "THREADS",
    "TRACES",
    "VECTORS",
    "VERSION",
    "WORKFLOWS",
    "Table",
    "table_named",
]
