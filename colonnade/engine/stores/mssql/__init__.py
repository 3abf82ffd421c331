"""Microsoft SQL Server, over pymssql: ``mssql://user:password@host:1433/database``."""
