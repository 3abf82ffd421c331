"""What is asked of the server for ``Search`` and ``Nearest``: rows that the waist ranks and compares itself.

A search gets every row that may hold the words, newest first; neighbours come in the server's own order, exact, in 64
bits. There is an index of words and none of vectors: the server has one for a fixed number of dimensions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from colonnade.engine.plan import Contains, Nearest, Scan, Search
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE
from colonnade.engine.stores.clickhouse.sql import ClickHouseRenderer
from colonnade.engine.stores.clickhouse.words import normal, tokens

MOST: Final = 16
"""Of more words that a row must hold the longest are looked for: enough to tell, and statements stay short."""


class RankedRenderer(ClickHouseRenderer):
    """Renders one ranked read."""

    def searched(self, plan: Search, scan: Scan) -> str:
        """``SELECT`` of what a scan gives of the rows that may hold the words."""
        return self._select(scan, [self._some(plan) if plan.some else self._all(plan)])

    def neighbours(self, plan: Nearest, columns: tuple[str, ...]) -> str:
        """``SELECT`` of columns of the nearest rows."""
        return self.nearest(plan, columns).sql

    def _all(self, plan: Search) -> str:
        parts = []
        for word in sorted(plan.words, key=len, reverse=True)[:MOST]:
            found = tokens(word)
            parts.append(
                _any(self._has("hasAllTokens", plan, name, found) for name in plan.columns)
                if found
                else self._contains(plan, word)
            )
        return " AND ".join(parts)

    def _some(self, plan: Search) -> str:
        """One token of each word is enough where any of the words will do."""
        telling = {word: max(tokens(word), key=len, default="") for word in plan.words}
        parts = [self._contains(plan, word) for word, token in telling.items() if not token]
        if found := list(filter(None, telling.values())):
            parts += [self._has("hasAnyTokens", plan, name, found) for name in plan.columns]
        return _any(parts)

    def _has(self, function: str, plan: Search, name: str, found: list[str]) -> str:
        column = plan.table.columns[name]
        return f"{function}({normal(CLICKHOUSE.ident(name), column.kind.name)}, {self._bind(found)})"

    def _contains(self, plan: Search, word: str) -> str:
        return _any(self._filter(Contains(name, word)) for name in plan.columns)


def _any(parts: Iterable[str]) -> str:
    return f"({' OR '.join(parts)})"
