"""The embedded store: a folder of SQLite for what changes, and of logs and DuckDB segments for what accumulates."""
