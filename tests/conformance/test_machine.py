"""The conformance machine on every store: in both colours, and on a store that can do next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.plan import TRUE, And, Delete, Filter, Is, OneOf, Or, Put, Scan
from colonnade.engine.store import Store
from colonnade.schemas import EVALS, MESSAGES, THREADS, VECTORS, WORKFLOWS
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, machine_for, run_machine

Row = dict[str, Any]


def fewer(part: int) -> settings:
    """A part of the profile's examples, where the code below was searched already."""
    return settings(max_examples=max(settings().max_examples // part, 10), stateful_step_count=STEPS, deadline=None)


TestMemory = machine_for(lambda: colonnade.open(":memory:"), excused={"transactions"})


def test_a_duckdb_file_answers_as_the_reference_does(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "store.duckdb") as storage:
        run_machine(storage, settings=fewer(2))  # a quarter of a second each; it is awaited below, too


def test_an_sqlite_file_answers_as_the_reference_does(tmp_path: Path) -> None:
    with colonnade.open(f"sqlite:///{tmp_path / 'store.sqlite'}") as storage:
        # Without spans and scores: SQLite keeps no sign of zero, and these have floats.
        run_machine(storage, tables=(THREADS, MESSAGES, VECTORS, WORKFLOWS, EVALS), settings=fewer(2))


@pytest.mark.parametrize("name", [":memory:", "store.duckdb"])
def test_async_storages_answer_as_the_reference_does(name: str, tmp_path: Path) -> None:
    excused = {"transactions"} if name == ":memory:" else set()
    storage = Awaited(colonnade.aopen(name if name == ":memory:" else tmp_path / name))
    try:
        run_machine(storage, excused=excused, settings=fewer(5))
    finally:
        storage.close()


class Bare(Store):
    """The least that a store may be: it puts rows, gives all of them in any order, and deletes by key."""

    label = "bare"

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[Any, ...], Row]] = {}

    def scan(self, plan: Scan) -> pa.Table:
        assert plan == Scan(plan.table, TRUE, columns=plan.columns), f"it can only give all rows, not {plan}"
        schema = pa.schema([plan.table.schema.field(name) for name in plan.projection])
        rows = list(self._rows.get(plan.table.name, {}).values())
        return pa.Table.from_pylist([{name: row[name] for name in plan.projection} for row in rows], schema)

    def put(self, plan: Put) -> int:
        assert plan.expect is None, "it cannot compare and set"
        rows = self._rows.setdefault(plan.table.name, {})
        final = plan.table.facts.final
        for row in plan.data.to_pylist():
            key = tuple(row[name] for name in plan.table.key)
            before = rows.get(key)
            if before is None:
                rows[key] = row
            elif final is None or before[final] is None or row[final] is not None:
                rows[key] = row | {name: before[name] for name in plan.table.once}
        return int(plan.data.num_rows)

    def delete(self, plan: Delete) -> int:
        rows = self._rows.get(plan.table.name, {})
        return sum(rows.pop(key, None) is not None for key in _keys(plan.where, plan.table.key))


def _keys(where: Filter, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    match where:
        case OneOf(column, values) if (column,) == names:
            yield from ((value,) for value in values)
        case Or(parts):
            for part in parts:
                yield from _keys(part, names)
        case And(parts) if all(isinstance(part, Is) and part.op == "=" for part in parts):
            found = {part.place: part.value for part in parts if isinstance(part, Is)}
            assert tuple(found) == names, f"{found} is no key"
            yield tuple(found.values())
        case _:
            raise AssertionError(f"it can only delete by key, not where {where}")


def test_a_store_without_any_ability_answers_as_the_reference_does() -> None:
    run_machine(Storage(Bare()), excused={"transactions", "compare_and_set"}, settings=fewer(2))
