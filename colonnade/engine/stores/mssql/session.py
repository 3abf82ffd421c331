"""Plans on one connection: within a transaction, or each for itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities, Lesser, by_key, perform
from colonnade.engine.driving import drive
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import And, Contains, Delete, Filter, Not, Or, Patch, Plan, Put, Scan, Summarize
from colonnade.engine.relational import Statement
from colonnade.engine.store import Store
from colonnade.engine.stores.mssql import wire
from colonnade.engine.stores.mssql.client import Client
from colonnade.engine.stores.mssql.spelling import MSSQL
from colonnade.engine.stores.mssql.sql import LETTERS, LONGEST, MSSQLRenderer, cases_of
from colonnade.engine.stores.mssql.summary import SummaryRenderer, summary_of
from colonnade.engine.stores.mssql.writing import puts
from colonnade.errors import Conflict

ABILITIES: Final = Abilities(
    transactions=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset(MSSQL.functions or ()),
    patch=True,
    delete=True,
)
_KEYS: Final = 5_000


class Session(Store):
    """Plans on one connection. In a transaction, rows that are read by their keys are locked, for they are written."""

    abilities: ClassVar[Abilities] = ABILITIES

    def __init__(self, client: Client, connection: Any, *, locking: bool) -> None:
        self._client = client
        self._connection = connection
        self._locking = locking
        self._schema = client.place.schema
        self.label = client.place.label

    def execute(self, plan: Plan) -> Any:
        """Run one plan."""
        if not isinstance(plan, Put) and _is_beyond_charindex(plan.where):
            return self._without_contains(plan)
        return super().execute(plan)

    def _run(self, statement: Statement) -> list[tuple[Any, ...]]:
        return self._client.run(self._connection, statement)

    def _renderer(self) -> MSSQLRenderer:
        return MSSQLRenderer(self._schema)

    def scan(self, plan: Scan) -> pa.Table:
        """``SELECT``."""
        # By key, and within a transaction: also what is not there is kept from being written by others.
        locking = self._locking and plan.limit is None and named_columns(plan.where) == set(plan.table.key)
        return wire.arrow_of(self._run(self._renderer().scan(plan, locking=locking)), plan.schema)

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """``SELECT`` as a stream."""
        if _is_beyond_charindex(plan.where):
            yield from self.execute(plan).to_batches()
            return
        for rows in self._client.stream(self._connection, self._renderer().scan(plan)):
            yield from wire.arrow_of(rows, plan.schema).to_batches()

    def summarize(self, plan: Summarize) -> pa.Table:
        """``SELECT`` with ``GROUP BY``."""
        return summary_of(plan, self._run(SummaryRenderer(self._schema).summarize(plan)))

    def put(self, plan: Put) -> int:
        """``MERGE``."""
        if plan.expect is not None:
            self._compare(plan)
        # In the order of their keys, so that two who write the same rows do not wait for each other in a circle.
        data = fold.collapse(plan.table, plan.data).sort_by([(name, "ascending") for name in plan.table.key])
        for statement in puts(self._schema, plan.table, data):
            self._run(statement)
        return int(plan.data.num_rows)

    def _compare(self, plan: Put) -> None:
        """``Conflict`` unless what is expected is stored."""
        assert plan.expect is not None
        keys = plan.data.select(list(plan.table.key))
        columns = tuple(plan.expect.column_names)
        parts = [
            self.scan(Scan(plan.table, by_key(plan.table, keys.slice(at, _KEYS)), columns=columns))
            for at in range(0, max(keys.num_rows, 1), _KEYS)
        ]
        if not fold.is_unchanged(plan, pa.concat_tables(parts)):
            raise Conflict(f"rows of {plan.table.name} changed since they were read")

    def patch(self, plan: Patch) -> int:
        """``UPDATE``."""
        return int(self._run(self._renderer().patch(plan))[0][0])

    def delete(self, plan: Delete) -> int:
        """``DELETE``."""
        return int(self._run(self._renderer().delete(plan))[0][0])

    def _without_contains(self, plan: Plan) -> Any:
        """A plan that looks for a text that CHARINDEX cannot: the store does the rest of it, and a fold looks."""
        lesser = Lesser(replace(self.abilities, contains=False))
        return drive(perform(plan, lambda _: lesser), lambda native: super(Session, self).execute(native[1]))


def _is_beyond_charindex(filter: Filter) -> bool:
    match filter:
        case Contains(_, text):
            return len(text) > LONGEST // 2 or len(cases_of(text)) > LETTERS
        case Not(of):
            return _is_beyond_charindex(of)
        case And(parts) | Or(parts):
            return any(map(_is_beyond_charindex, parts))
    return False
