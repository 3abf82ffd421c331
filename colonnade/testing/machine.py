"""The conformance machine: random plans, run on a store and on the reference, which must agree at every step.

``machine_for(open_storage)`` is a test case for one's own store::

    TestMyStore = machine_for(lambda: colonnade.open("mystore://..."), excused={"transactions"})
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from math import isclose
from typing import Any, ClassVar, Final

import pyarrow as pa
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from colonnade.engine import execution
from colonnade.engine.plan import (
    TRUE,
    Delete,
    Nearest,
    OneOf,
    Patch,
    Plan,
    Put,
    Scan,
    Search,
    Steps,
    Summarize,
)
from colonnade.errors import ColonnadeError, Conflict, InvalidInput, Unsupported
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, TRACES, VECTORS, WORKFLOWS
from colonnade.schemas.table import Table
from colonnade.testing import plans
from colonnade.testing.reference import Anything, Near, Reference, Row, is_same, plain
from colonnade.testing.strategies import crowd

MACHINE_TABLES: Final = (THREADS, MESSAGES, VECTORS, WORKFLOWS, SPANS, SCORES, EVALS, TRACES)
"""Plain keys and composite ones, columns written once, a final column, UUIDs, vectors, and a reading."""

STEPS: Final = 20
"""Plans in one example: enough for a row to be written, patched, ended and deleted."""


class Interrupted(Exception):
    """Raised by the machine in the middle of an operation."""


def machine_for(
    open_storage: Callable[[], Any], *, tables: Sequence[Table] = MACHINE_TABLES, excused: Collection[str] = ()
) -> type[unittest.TestCase]:
    """A test case that runs the machine on a storage, which it opens once and clears between examples.

    ``excused`` names the abilities that the store is known to lack. Only ``transactions`` and ``compare_and_set``
    change what is expected of it, since everything else is made up for above the store.
    """

    class Conformance(unittest.TestCase):
        storage: ClassVar[Any]

        @classmethod
        def setUpClass(cls) -> None:
            cls.storage = open_storage()

        @classmethod
        def tearDownClass(cls) -> None:
            cls.storage.close()

        def test_answers_as_the_reference_does(self) -> None:
            run_machine(self.storage, tables=tables, excused=excused)

    return Conformance


def run_machine(
    storage: Any,
    *,
    tables: Sequence[Table] = MACHINE_TABLES,
    excused: Collection[str] = (),
    settings: settings | None = None,
) -> None:
    """Run the machine on an open, empty storage, or on an async one behind ``colours.Awaited``; it is left empty.

    Without ``settings`` those of the loaded hypothesis profile hold, with ``STEPS`` steps an example.
    """
    machine = _machine(storage, tuple(tables), frozenset(excused))
    run_state_machine_as_test(machine, settings=settings or _settings())
    clear(storage, tables)


def _settings() -> settings:
    return settings(stateful_step_count=STEPS, deadline=None)


def clear(storage: Any, tables: Sequence[Table]) -> None:
    """Delete every row of some tables. A storage that can ``renew`` itself begins with another store instead."""
    if hasattr(storage, "renew"):
        storage.renew()
        return
    for table in tables:
        if not table.facts.reading_of:
            storage.execute(Delete(table, TRUE))


@contextmanager
def impatient() -> Iterator[None]:
    """A conflict shows at once: nobody else is there who could let go of anything."""
    patience = execution.PATIENCE
    execution.PATIENCE = 0.0
    try:
        yield
    finally:
        execution.PATIENCE = patience


def agree(plan: Scan | Summarize, answer: pa.Table, expected: list[Row]) -> None:
    """``AssertionError`` where an answer is not the expected one: columns, types, rows, and their order if any."""
    found = plain(answer)
    if isinstance(plan, Summarize):
        assert answer.column_names == [*plan.names], f"columns {answer.column_names}, not {plan.names}"
        alike: Callable[[Row, Row], bool] = _is_same_group
    else:
        wanted = pa.schema([plan.table.schema.field(name) for name in plan.projection])
        assert answer.schema.names == wanted.names, f"columns {answer.schema.names}, not {wanted.names}"
        assert answer.schema.types == wanted.types, f"types {answer.schema.types}, not {wanted.types}"
        alike = lambda here, there: is_same(plan.table, here, there)  # noqa: E731 - it is as short as this
    assert len(found) == len(expected), f"{len(found)} rows instead of {len(expected)}:\n{found}\nis not\n{expected}"
    if isinstance(plan, Summarize) or plan.complete_order:
        for place, (here, there) in enumerate(zip(found, expected, strict=True)):
            assert alike(here, there), f"row {place} in order:\n{here}\nis not\n{there}"
        return
    left = list(found)
    for there in expected:
        match = next((place for place, here in enumerate(left) if alike(here, there)), None)
        assert match is not None, f"this row is missing or changed:\n{there}\namong\n{left}"
        del left[match]


def _is_same_group(here: Row, there: Row) -> bool:
    for name, wanted in there.items():
        found = here[name]
        if isinstance(wanted, Near | Anything):
            if not wanted.fits(found):
                return False
        elif found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
            return False
    return True


def _machine(storage: Any, tables: tuple[Table, ...], excused: frozenset[str]) -> type[RuleBasedStateMachine]:
    stored = tuple(table for table in tables if not table.facts.reading_of)
    vectors = tuple(t for t in stored if any(column.kind.name == "vector" for column in t.columns.values()))
    readings = tuple(table for table in tables if table.facts.reading_of)
    rolls_back = "transactions" not in excused
    compares = rolls_back or "compare_and_set" not in excused

    @st.composite
    def over(draw: st.DrawFn, strategy: Callable[..., Any], among: Sequence[Table] = stored, *args: Any) -> Any:
        return draw(strategy(draw(st.sampled_from(among)), *args))

    puts, patches, deletes = over(plans.puts), over(plans.patches, stored, tables), over(plans.deletes, stored, tables)
    scans = over(plans.scans, tables, tables)

    class Conformance(RuleBasedStateMachine):
        """Random plans on a store and on the reference."""

        def __init__(self) -> None:
            super().__init__()
            clear(storage, stored)
            self.reference = Reference()
            self.touched: set[Table] = set()

        def check(self, plan: Plan, answer: Any, reference: Reference) -> None:
            match plan:
                case Scan():
                    agree(plan, answer, reference.scan(plan))
                case Summarize():
                    agree(plan, answer, reference.summarize(plan))
                case _:
                    count = _apply(reference, plan)
                    assert answer == count, f"{answer} rows changed, the reference says {count}"

        def change(self, plan: Put | Patch | Delete) -> None:
            self.touched.add(plan.table)
            if isinstance(plan, Put) and plan.data.num_rows < 12:  # a crowd is known by its seed
                note(f"put {plan.data.to_pylist()}")
            with impatient():
                self.check(plan, storage.execute(plan), self.reference)

        @rule(plan=puts)
        def put(self, plan: Put) -> None:
            self.change(plan)

        @rule(plan=patches)
        def patch(self, plan: Patch) -> None:
            self.change(plan)

        @rule(plan=deletes)
        def delete(self, plan: Delete) -> None:
            self.change(plan)

        @initialize(seed=st.integers(0, 63))
        def fill(self, seed: int) -> None:
            for table in stored:
                self.change(Put(table, crowd(table, seed)))

        @rule(several=st.lists(scans, min_size=4, max_size=12))
        def scan(self, several: list[Scan]) -> None:
            for plan in several:
                self.check(plan, storage.execute(plan), self.reference)

        @rule(plan=scans)
        def stream(self, plan: Scan) -> None:
            if hasattr(storage, "batches"):
                schema = pa.schema([plan.table.schema.field(name) for name in plan.projection])
                pieces = [piece.cast(schema) for piece in storage.batches(plan)]
                self.check(plan, pa.Table.from_batches(pieces, schema), self.reference)

        @rule(several=st.lists(over(plans.summaries, tables, tables), min_size=2, max_size=6))
        def summarize(self, several: list[Summarize]) -> None:
            for plan in several:
                self.summarize_one(plan)

        def summarize_one(self, plan: Summarize) -> None:
            try:
                expected = self.reference.summarize(plan)
            except InvalidInput:
                _refuses(storage, plan, InvalidInput)
                return
            try:
                answer = storage.execute(plan)
            except ColonnadeError:
                if any(isinstance(value, Anything) for row in expected for value in row.values()):
                    return
                raise
            agree(plan, answer, expected)

        @rule(several=st.lists(over(plans.searches, stored, tables), min_size=2, max_size=6))
        def search(self, several: list[Search]) -> None:
            for plan in several:
                self.search_one(plan)

        def search_one(self, plan: Search) -> None:
            answer, expected = storage.execute(plan), self.reference.search(plan)
            assert answer.column_names == [*plan.table.key, "score", "column", "snippet"], answer.column_names
            found = answer.drop_columns(["snippet"]).to_pylist()
            assert _without_scores(found) == _without_scores(expected), f"{found}\nis not\n{expected}"
            for here, there in zip(found, expected, strict=True):
                assert isclose(here["score"], there["score"], abs_tol=1e-8), f"{here}\nis not\n{there}"

        if vectors:

            @rule(several=st.lists(over(plans.neighbours, vectors, tables), min_size=2, max_size=6))
            def nearest(self, several: list[Nearest]) -> None:
                for plan in several:
                    answer = storage.execute(plan)
                    assert answer.schema.types[:-1] == [plan.table.schema.field(name).type for name in plan.projection]
                    found, expected = plain(answer), self.reference.nearest(plan)
                    assert len(found) == len(expected), f"{found}\nis not\n{expected}"
                    for here, there in zip(found, expected, strict=True):
                        assert isclose(here.pop("similarity"), there.pop("similarity"), abs_tol=2e-9)
                        assert is_same(plan.table, here, there), f"{here}\nis not\n{there}"

        @rule(plan=puts, spoilt=st.sampled_from(("not", "not", "gone", "incoming")), places=st.sets(st.integers(0, 45)))
        def compare_and_set(self, plan: Put, spoilt: str, places: set[int]) -> None:
            table = plan.table
            columns = [name for at, name in enumerate(table.columns) if at in places or name in table.key]
            expect = storage.execute(_by_key(plan))
            if spoilt == "gone":
                expect = expect.slice(1)
            elif spoilt == "incoming":
                expect = _first_of_each_key(plan)
            guarded = Put(table, plan.data, expect.select(columns))
            self.touched.add(table)
            if not compares:
                _refuses(storage, guarded, Unsupported)
                return
            try:
                _apply(self.reference.copy(), guarded)
            except Conflict:
                with impatient():
                    _refuses(storage, guarded, Conflict)
            else:
                self.change(guarded)

        @rule(plan=puts)
        def read_and_write(self, plan: Put) -> None:
            """What nearly every operation does; refused where nothing could keep others out in between."""
            try:
                self.together([_by_key(plan), plan], interrupted=False)
            except Unsupported:
                if compares:
                    raise

        @rule(sequence=_sequences(stored), interrupted=st.booleans())
        def together(self, sequence: list[Plan], interrupted: bool) -> None:
            """One atomic operation; interrupted at its end, it leaves nothing behind where there are transactions."""
            after = self.reference.copy()

            def steps() -> Steps[None]:
                nonlocal after
                after = self.reference.copy()
                for plan in sequence:
                    self.touched.add(plan.table)
                    answer = yield plan
                    self.check(plan, answer, after)
                if interrupted:
                    raise Interrupted

            with impatient():
                try:
                    storage.run(steps, sequence[0].table.domain, atomic=True)
                except Interrupted:
                    if rolls_back:
                        return
            self.reference = after

        @rule(plan=over(plans.refusals))
        def refuse(self, plan: Plan) -> None:
            self.touched.add(plan.table)
            _refuses(storage, plan, InvalidInput)

        if readings:

            @rule(reading=st.sampled_from(readings), plan=puts)
            def refuse_to_write_a_reading(self, reading: Table, plan: Put) -> None:
                _refuses(storage, Delete(reading, TRUE), Unsupported)

        @invariant()
        def holds_what_the_reference_holds(self) -> None:
            for table in sorted(self.touched, key=lambda each: each.name):
                self.check(Scan(table), storage.execute(Scan(table)), self.reference)
            self.touched.clear()

        def teardown(self) -> None:
            self.touched.update(stored)
            self.holds_what_the_reference_holds()

    return Conformance


def _without_scores(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "score"} for row in rows]


@st.composite
def _sequences(draw: st.DrawFn, tables: Sequence[Table]) -> list[Plan]:
    """Some writes within a domain, then perhaps a read that must see them."""
    domain = draw(st.sampled_from(sorted({table.domain for table in tables})))
    some = st.sampled_from([table for table in tables if table.domain == domain])
    writes: Any = st.sampled_from((plans.puts, plans.patches, plans.deletes))
    made: list[Plan] = [draw(draw(writes)(draw(some))) for _ in range(draw(st.integers(1, 3)))]
    return [*made, draw(plans.scans(draw(some)))] if draw(st.booleans()) else made


def _apply(reference: Reference, plan: Plan) -> int:
    match plan:
        case Put():
            return reference.put(plan)
        case Patch():
            return reference.patch(plan)
        case Delete():
            return reference.delete(plan)
    raise TypeError(f"{plan!r} changes nothing")


def _by_key(plan: Put) -> Scan:
    """The rows that a put may replace, and others that share the first column of their key."""
    lead = plan.table.key[0]
    return Scan(plan.table, OneOf(lead, tuple(set(plan.data.column(lead).to_pylist()))))


def _first_of_each_key(plan: Put) -> pa.Table:
    rows = plan.data.select(list(plan.table.key)).to_pylist()
    first = {tuple(row.values()): place for place, row in reversed(list(enumerate(rows)))}
    return plan.data.take(pa.array(first.values(), pa.int64()))


def _refuses(storage: Any, plan: Plan, error: type[ColonnadeError]) -> None:
    try:
        answer = storage.execute(plan)
    except error:
        return
    note(f"answered {answer}")
    raise AssertionError(f"the plan was not refused with {error.__name__}")
