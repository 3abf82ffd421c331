"""A store in a database of a PostgreSQL server: its own, or one that Mastra made."""
