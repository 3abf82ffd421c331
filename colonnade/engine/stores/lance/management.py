"""Tables by hand: those of the domains, and ones of your own beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from colonnade.engine.execution import run
from colonnade.engine.plan import TRUE, And, Delete, Is, Plan, Put, Scan, Steps
from colonnade.engine.store import Store
from colonnade.engine.stores.lance.tables import Datasets
from colonnade.engine.stores.lance.turns import Turns
from colonnade.errors import InvalidInput, NotFound
from colonnade.schemas import STORED, table_named
from colonnade.schemas.records import Record, decode, encode
from colonnade.schemas.table import Table


class Tables:
    """The tables of a Lance store. Each is given as a ``Table``, or by its name where it is one of a domain's."""

    def __init__(self, store: Store, datasets: Datasets, turns: Turns) -> None:
        self._store: Final = store
        self._datasets: Final = datasets
        self._turns: Final = turns

    def create(self, table: Table | str) -> None:
        """Make a table, or add the columns that it lacks, empty. Twice is once.

        Tables of your own are declared with ``colonnade.schemas.table.table`` and ``colonnade.schemas.kinds.field``.
        """
        table = _table(table)
        with self._datasets.translated(), self._turns.of(table.name):
            self._datasets.make(table)

    def drop(self, table: Table | str) -> None:
        """Delete a table with all that is in it and all its versions; nothing where there is none."""
        table = _table(table)
        with self._datasets.translated(), self._turns.of(table.name):
            self._datasets.drop(table)

    def clear(self, table: Table | str) -> int:
        """Delete all rows; how many."""
        return int(self._run(Delete(_table(table), TRUE)))

    def load(self, table: Table | str, key: Mapping[str, Any]) -> Record | None:
        """The record with a key, such as ``{"id": "t1"}``, or None."""
        table = _table(table)
        columns = {column.api: column.name for column in table.columns.values() if column.name in table.key}
        named = {columns.get(name, name): value for name, value in key.items()}
        if set(named) != set(table.key):
            raise InvalidInput(f"the key of {table.name} is {', '.join(columns)}, not {', '.join(key) or 'nothing'}")
        found = self._run(Scan(table, And(tuple(Is(name, "=", value) for name, value in named.items()))))
        return next(iter(decode(table, found)), None)

    def insert(self, table: Table | str, record: Mapping[str, Any]) -> None:
        """Write a record, over the one with its key if there is one."""
        self.batch_insert(table, [record])

    def batch_insert(self, table: Table | str, records: Iterable[Mapping[str, Any]]) -> int:
        """Write records, all or none, each over the one with its key if there is one; how many."""
        table = _table(table)
        return int(self._run(Put(table, encode(table, list(records)))))

    def _run(self, plan: Plan) -> Any:
        def steps() -> Steps[Any]:
            return (yield plan)

        if not self._datasets.exists(plan.table):
            raise NotFound(f"{self._store} has no table {plan.table.name}: create it first")
        return run(steps, lambda table: self._store, None)


def _table(named: Table | str) -> Table:
    table = table_named(named) if isinstance(named, str) else named
    if table.facts.reading_of:
        raise InvalidInput(f"{table.name} is a reading of {table.facts.reading_of}: use that instead")
    mine = next((each for each in STORED if each.name == table.name), table)
    if mine != table:
        raise InvalidInput(f"{table.name} is a table of the domain {mine.domain}: give yours another name")
    return table
