"""libSQL: a file, memory, or a server of it (sqld, Turso), with the tables as Mastra has them."""

from colonnade.engine.stores.libsql.store import AsyncLibSQLStore, LibSQLStore

__all__ = ["AsyncLibSQLStore", "LibSQLStore"]
