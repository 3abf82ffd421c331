"""A real SQL Server for tests: the one that MSSQL_DSN names. None can be had here, so mostly it is the TDS double.

``MSSQL_DSN`` is a connection string or an address, such as ``mssql://sa:...@localhost:1433/colonnade_tests``. The
database must be there; each test has a schema of its own in it, and what was in such a schema is deleted.
"""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import quote, urlencode

from colonnade.schemas import READINGS, STORED

DSN: Final = os.environ.get("MSSQL_DSN")
WHY_SKIPPED: Final = "no SQL Server: set MSSQL_DSN to the address of a database for tests, and all of this runs there"


class Real:
    """The server that ``MSSQL_DSN`` names. It is not ours to kill."""

    is_double = False

    def __init__(self, dsn: str) -> None:
        from colonnade.engine.stores.mssql.address import place_of

        self.place = place_of(dsn)
        self.port = self.place.port
        self.user, self.password = self.place.user, self.place.password
        self._emptied: set[str] = set()

    def address(self, schema: str = "", options: str = "", database: str = "") -> str:
        """The address of a store in a schema, which is emptied when it is first asked for."""
        place = self.place
        if schema and schema not in self._emptied:
            self._emptied.add(schema)
            self.drop(schema)
        query = urlencode({"schema_name": schema} if schema else {})
        said = {"encrypt": place.encrypt, "trust_server_certificate": place.trust_server_certificate}
        query += "".join(f"&{name}={str(value).lower()}" for name, value in said.items() if value is not None)
        query += f"&ca={quote(place.ca, safe='')}" if place.ca else ""
        who = f"{quote(place.user, safe='')}:{quote(place.password, safe='')}"
        where = f"{quote(place.server, safe='')}:{place.port}/{quote(database or place.database, safe='')}"
        text = "&".join(filter(None, [query.removeprefix("&"), options]))
        return f"mssql://{who}@{where}{text and '?' + text}"

    def drop(self, schema: str) -> None:
        """Drop what tests made in a schema."""
        name = schema.replace("]", "]]")
        names = [table.facts.mastra for table in STORED]
        views = [f"DROP VIEW IF EXISTS [{name}].[{reading.facts.mastra}]" for reading in READINGS]
        self.command(*views, *(f"DROP TABLE IF EXISTS [{name}].[{table}]" for table in (*names, "colonnade_version")))

    def empty(self, schema: str) -> None:
        """Delete all rows of a schema; its tables stay."""
        self.command(*(f"DELETE FROM [{schema}].[{table.facts.mastra}]" for table in STORED))

    def command(self, *sql: str) -> list[Any]:
        """Run statements, each by itself; the rows of the last one."""
        from colonnade.engine.stores.mssql.driver import connect

        connection = connect(self.place)
        try:
            cursor = connection.cursor()
            for each in sql:
                cursor.execute(each)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()
