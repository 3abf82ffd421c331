"""ClickHouse: one server, or a cluster of them, for any number of processes on any number of machines."""
