"""``store.db``: SQL of one's own over the store's connections, in the words of the source documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.engine.stores.postgres.awaited import AwaitedClient
from colonnade.engine.stores.postgres.client import BlockingClient
from colonnade.engine.stores.postgres.driver import psycopg, translated
from colonnade.errors import InvalidInput

Row = dict[str, Any]
Values = Sequence[Any] | Mapping[str, Any] | None


class Database:
    """Statements of one's own, each a transaction by itself. Values go for ``%s`` or ``%(name)s``."""

    def __init__(self, client: BlockingClient) -> None:
        self._client = client

    def any(self, sql: str, values: Values = None) -> list[Row]:
        """All rows, each a dict."""
        with self._client.connection() as connection, translated(self._client.place.label, self._client.place.user):
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    def one(self, sql: str, values: Values = None) -> Row:
        """The one row that there is; ``InvalidInput`` where there are none, or more."""
        return _one(self.any(sql, values))

    def none(self, sql: str, values: Values = None) -> None:
        """A statement that gives nothing."""
        self.any(sql, values)


class AsyncDatabase:
    """The same, awaited."""

    def __init__(self, client: AwaitedClient) -> None:
        self._client = client

    async def any(self, sql: str, values: Values = None) -> list[Row]:
        """All rows, each a dict."""
        with translated(self._client.place.label, self._client.place.user):
            async with self._client.connection() as connection:
                cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
                await cursor.execute(sql, values)
                return list(await cursor.fetchall()) if cursor.description else []

    async def one(self, sql: str, values: Values = None) -> Row:
        """The one row that there is; ``InvalidInput`` where there are none, or more."""
        return _one(await self.any(sql, values))

    async def none(self, sql: str, values: Values = None) -> None:
        """A statement that gives nothing."""
        await self.any(sql, values)


def _one(rows: list[Row]) -> Row:
    if len(rows) != 1:
        raise InvalidInput(f"one row was expected, and {len(rows)} were found")
    return rows[0]
