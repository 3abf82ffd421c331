"""The machine is worth something only if it fails: stores with one bug each, and it must find every one."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, settings

from colonnade.engine import fold
from colonnade.engine.abilities import Abilities
from colonnade.engine.composite import Storage
from colonnade.engine.plan import (
    And,
    Delete,
    Filter,
    Is,
    Not,
    Null,
    OneOf,
    Order,
    Patch,
    Put,
    Scan,
    Summarize,
    each_leaf,
)
from colonnade.engine.store import Store
from colonnade.engine.stores.memory import MemoryStore
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, WORKFLOWS
from colonnade.schemas.kinds import FLOAT, TIMESTAMP
from colonnade.schemas.table import Table
from colonnade.testing.machine import STEPS, run_machine
from colonnade.testing.questions import QUESTIONS, ask, load

# The same search every time: a test that fails to find a bug once a month would only be run again.
SEARCH = settings(
    max_examples=400,
    stateful_step_count=STEPS,
    deadline=None,
    report_multiple_bugs=False,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _mapped(data: pa.Table, table: Table, arrow: pa.DataType, change: Any) -> pa.Table:
    for at, column in enumerate(table.columns.values()):
        if column.kind.arrow == arrow:
            data = data.set_column(at, table.schema.field(at), change(data.column(at)))
    return data


class IgnoresOnce(MemoryStore):
    """Whole rows are replaced: the time of creation changes with every write."""

    def put(self, plan: Put) -> int:
        keys = fold.key_of(plan.table, plan.data).to_pylist()
        last = {key: place for place, key in enumerate(keys)}
        stored = self._rows(plan.table)
        gone = pc.is_in(fold.key_of(plan.table, stored), value_set=pa.array(list(last), pa.string()))
        written = plan.data.take(pa.array(last.values(), pa.int64()))
        self._tables[plan.table.name] = pa.concat_tables([stored.filter(pc.invert(gone)), written])
        return int(plan.data.num_rows)


class IgnoresFinal(IgnoresOnce):
    """Whole rows are replaced: a running copy of a span replaces the ended one."""


class FirstOfAPutWins(MemoryStore):
    """Of two rows with one key in one put, the first stays."""

    def put(self, plan: Put) -> int:
        super().put(replace(plan, data=plan.data.take(pa.array(range(plan.data.num_rows - 1, -1, -1), pa.int64()))))
        return int(plan.data.num_rows)


class CountsKeys(MemoryStore):
    """A put answers how many rows are new."""

    def put(self, plan: Put) -> int:
        before = self._rows(plan.table).num_rows
        super().put(plan)
        return int(self._rows(plan.table).num_rows - before)


class SortsNullsFirst(MemoryStore):
    """As most databases do where one sorts in descending order."""

    def scan(self, plan: Scan) -> pa.Table:
        return super().scan(plan.but(order=tuple(replace(term, nulls_first=True) for term in plan.order)))


class DropsARow(MemoryStore):
    """A page that is cut one too early."""

    def scan(self, plan: Scan) -> pa.Table:
        found = super().scan(plan)
        return found.slice(0, found.num_rows - 1) if plan.limit is not None and found.num_rows > 1 else found


class CutsBeforeItSorts(MemoryStore):
    """The limit before the order."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = super().scan(plan.but(order=(), limit=plan.limit, offset=plan.offset, columns=None))
        return fold.order(rows, plan.complete_order).select(list(plan.projection))


class IgnoresTheKeyInOrders(MemoryStore):
    """Equal rows come as they like."""

    def scan(self, plan: Scan) -> pa.Table:
        keys = tuple(Order(name, descending=True) for name in plan.table.key)
        return super().scan(plan.but(order=(*plan.order, *keys)) if plan.order else plan)


class MatchesLike(MemoryStore):
    """Text with LIKE: a percent sign matches anything."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = self._rows(plan.table)
        return fold.cut(plan, rows.filter(fold.mask(each_leaf(plan.where, lambda leaf: _like(leaf, rows)), rows)))


def _like(leaf: Filter, rows: pa.Table) -> Filter:
    match leaf:
        case Is(str() as name, "=", str() as value) if pa.types.is_string(rows.schema.field(name).type):
            known = {found for found in rows.column(name).to_pylist() if found is not None}
            hits = fnmatch.filter(known, value.replace("[", "[[]").replace("%", "*").replace("_", "?"))
            return OneOf(name, tuple(hits))
    return leaf


class IgnoresCase(MemoryStore):
    """A collation that calls a and A the same."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = self._rows(plan.table)

        def both(leaf: Filter) -> Filter:
            match leaf:
                case Is(str() as name, "=", str() as value):
                    return OneOf(name, (value, value.lower(), value.upper()))
            return leaf

        return fold.cut(plan, rows.filter(fold.mask(each_leaf(plan.where, both), rows)))


class TurnsNullIntoFalse(MemoryStore):
    """NOT of a comparison with null is true."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = self._rows(plan.table)
        return fold.cut(plan, rows.filter(_two_valued(plan.where, rows)))


def _two_valued(filter: Filter, rows: pa.Table) -> Any:
    match filter:
        case Not(of):
            return pc.invert(_two_valued(of, rows))
        case And((part,)):
            return _two_valued(part, rows)
    return pc.fill_null(fold.mask(filter, rows), False)


class RoundsTimes(MemoryStore):
    """Milliseconds, as JavaScript has them."""

    def put(self, plan: Put) -> int:
        def cut(column: Any) -> Any:
            return column.cast(pa.timestamp("ms", "UTC"), safe=False).cast(TIMESTAMP.arrow)

        return super().put(replace(plan, data=_mapped(plan.data, plan.table, TIMESTAMP.arrow, cut)))


class KeepsFloat32(MemoryStore):
    """Scores in four bytes."""

    def put(self, plan: Put) -> int:
        def narrow(column: Any) -> Any:
            return column.cast(pa.float32(), safe=False).cast(FLOAT.arrow)

        return super().put(replace(plan, data=_mapped(plan.data, plan.table, FLOAT.arrow, narrow)))


class KeepsIntegersAsDoubles(MemoryStore):
    """Numbers as JSON has them in JavaScript."""

    def put(self, plan: Put) -> int:
        def widen(column: Any) -> Any:
            doubles = pc.min_element_wise(column.cast(pa.float64(), safe=False), 2.0**63 - 1024)
            return doubles.cast(pa.int64())

        return super().put(replace(plan, data=_mapped(plan.data, plan.table, pa.int64(), widen)))


class TrimsText(MemoryStore):
    """Blanks at the end are gone."""

    def put(self, plan: Put) -> int:
        return super().put(replace(plan, data=_mapped(plan.data, plan.table, pa.string(), pc.utf8_rtrim_whitespace)))


class SumsAsFloat(MemoryStore):
    """Sums of whole numbers lose their last digits."""

    def summarize(self, plan: Summarize) -> pa.Table:
        found = super().summarize(plan)
        for at, name in enumerate(found.column_names):
            if name.startswith("sum") and pa.types.is_integer(found.column(at).type):
                rounded = pc.multiply(pc.divide(found.column(at), 8), 8)
                found = found.set_column(at, name, rounded)
        return found


class SumsNothingAsZero(MemoryStore):
    """The sum of no values is 0."""

    def summarize(self, plan: Summarize) -> pa.Table:
        found = super().summarize(plan)
        for at, name in enumerate(found.column_names):
            if name.startswith("sum"):
                found = found.set_column(at, name, pc.fill_null(found.column(at), 0))
        return found


class CountsNulls(MemoryStore):
    """The count of a column counts rows."""

    def summarize(self, plan: Summarize) -> pa.Table:
        measures = tuple(replace(m, column=None) if m.function == "count" else m for m in plan.measures)
        return super().summarize(replace(plan, measures=measures))


class NeverCompares(MemoryStore):
    """Compare-and-set without the comparison."""

    def put(self, plan: Put) -> int:
        return super().put(replace(plan, expect=None))


class DeletesUnknown(MemoryStore):
    """Rows for which the filter is unknown are deleted too."""

    def delete(self, plan: Delete) -> int:
        stored = self._rows(plan.table)
        kept = stored.filter(pc.invert(pc.fill_null(fold.mask(plan.where, stored), True)))
        self._tables[plan.table.name] = kept
        return int(stored.num_rows - kept.num_rows)


class JsonAsText(MemoryStore):
    """Inside JSON, 1 equals "1"."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = self._rows(plan.table)

        def loose(leaf: Filter) -> Filter:
            match leaf:
                case Is(place, "=", bool()) if not isinstance(place, str):
                    return leaf
                case Is(place, "=", int() | float() as value) if not isinstance(place, str):
                    return leaf | Is(place, "=", str(value))
            return leaf

        return fold.cut(plan, rows.filter(fold.mask(each_leaf(plan.where, loose), rows)))


class JsonNullIsNoNull(MemoryStore):
    """A place that holds JSON null is not null."""

    def scan(self, plan: Scan) -> pa.Table:
        rows = self._rows(plan.table)

        def only_missing(leaf: Filter) -> Filter:
            match leaf:
                case Null(place) if not isinstance(place, str):
                    return leaf & ~(Is(place, "=", None) & ~Null(place.column))
            return leaf

        return fold.cut(plan, rows.filter(fold.mask(each_leaf(plan.where, only_missing), rows)))


class PatchesOneRow(MemoryStore):
    """An update stops after the first row."""

    abilities: ClassVar[Abilities] = replace(MemoryStore.abilities, patch=True)

    def patch(self, plan: Patch) -> int:
        found = self.scan(Scan(plan.table, plan.where)).slice(0, 1)
        for name, value in plan.values.items():
            at = found.schema.get_field_index(name)
            field = plan.table.schema.field(name)
            found = found.set_column(at, field, pa.repeat(pa.scalar(value, field.type), found.num_rows))
        return self.put(Put(plan.table, found)) if found.num_rows else 0


class KeepsWhatFailed(MemoryStore):
    """A transaction that cannot be taken back."""

    abilities: ClassVar[Abilities] = replace(MemoryStore.abilities, transactions=True)

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        yield self


BUGS = [
    (IgnoresFinal, SPANS),
    (IgnoresOnce, MESSAGES),
    (FirstOfAPutWins, THREADS),
    (CountsKeys, THREADS),
    (SortsNullsFirst, SPANS),
    (DropsARow, THREADS),
    (CutsBeforeItSorts, THREADS),
    (IgnoresTheKeyInOrders, WORKFLOWS),
    (MatchesLike, THREADS),
    (IgnoresCase, MESSAGES),
    (TurnsNullIntoFalse, WORKFLOWS),
    (RoundsTimes, THREADS),
    (KeepsFloat32, SCORES),
    (KeepsIntegersAsDoubles, SPANS),
    (TrimsText, THREADS),
    (SumsAsFloat, SPANS),
    (SumsNothingAsZero, SPANS),
    (CountsNulls, SPANS),
    (NeverCompares, EVALS),
    (DeletesUnknown, SPANS),
    (JsonNullIsNoNull, THREADS),
    (PatchesOneRow, THREADS),
    (KeepsWhatFailed, THREADS),
]


@pytest.mark.parametrize(("broken", "table"), BUGS, ids=[store.__name__ for store, _ in BUGS])
def test_the_machine_finds(broken: type[MemoryStore], table: Table) -> None:
    excused = set() if broken.abilities.transactions else {"transactions"}
    with pytest.raises(AssertionError):
        run_machine(Storage(broken()), tables=(table,), excused=excused, settings=SEARCH)


@pytest.mark.parametrize("broken", [MatchesLike, IgnoresCase, TurnsNullIntoFalse, CountsNulls, JsonAsText])
def test_the_questions_find(broken: type[MemoryStore]) -> None:
    with Storage(broken()) as storage:
        load(storage)

        def disagree() -> None:
            for question in QUESTIONS:
                ask(storage, question)

        with pytest.raises(AssertionError):
            disagree()
