"""Whatever a store cannot do is made up for above it, exactly; it is never asked for what it did not promise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine.abilities import Abilities, can_push, native_scan, perform, split
from colonnade.engine.composite import Storage
from colonnade.engine.normalize import named_columns, normalize, rename
from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Among,
    And,
    At,
    Bucket,
    Contains,
    Delete,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Plan,
    Put,
    Scan,
    Summarize,
    asc,
    desc,
    each_leaf,
)
from colonnade.engine.store import Store
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, Unsupported
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, STORED, THREADS, TRACES, WORKFLOWS
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table
from colonnade.testing import plans
from colonnade.testing.machine import agree
from colonnade.testing.reference import Reference
from colonnade.testing.strategies import crowd

TABLES = (THREADS, MESSAGES, WORKFLOWS, SPANS, SCORES, EVALS, TRACES)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BARE = Abilities()
ALL = Abilities(
    transactions=True,
    compare_and_set=True,
    filters=True,
    json_equal=True,
    json_has=True,
    contains=True,
    semijoin=True,
    order=True,
    aggregates=frozenset({"count", "sum", "min", "max", "mean", "p50", "p95", "p99"}),
    patch=True,
    delete=True,
)


class Able(Store):
    """Rows in memory, and a store that fails when it is given a plan that its abilities do not promise."""

    def __init__(self, abilities: Abilities, domains: frozenset[str] | None = None) -> None:
        self.abilities = abilities  # type: ignore[misc]  # each store of this class has its own
        self.label = "able"
        self.inner = MemoryStore()
        self.domains = domains
        self.seen: list[Plan] = []

    def execute(self, plan: Plan) -> Any:
        self.seen.append(plan)
        self._keeps(plan.table)
        able = self.abilities
        match plan:
            case Scan():
                self._scans(plan)
                return self.inner.scan(plan.but(where=self._joined(plan.where)))
            case Summarize(_, _, measures, where):
                assert {measure.function for measure in measures} <= able.aggregates
                self._filters(where)
                return self.inner.summarize(replace(plan, where=self._joined(where)))
            case Put():
                assert plan.expect is None or able.compare_and_set or able.transactions
                return self.inner.put(plan)
            case Patch(table, where, values):
                assert able.patch
                self._filters(where)
                found = self.inner.scan(Scan(table, self._joined(where)))
                for name, value in values.items():
                    at, declared = found.schema.get_field_index(name), table.schema.field(name)
                    found = found.set_column(at, declared, pa.array([value] * found.num_rows, declared.type))
                return self.inner.put(Put(table, found))
            case Delete(table, where):
                if not by_key_only(where, table):  # which every store can
                    assert able.delete, f"not by key: {where}"
                    self._filters(where)
                return self.inner.delete(replace(plan, where=self._joined(where)))
        raise AssertionError(f"{plan!r} is no plan")

    def batches(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        yield from self.execute(plan).to_batches(max_chunksize=3)

    def _keeps(self, table: Table) -> None:
        assert table in STORED, f"nothing is stored as {table.name}"
        assert self.domains is None or table.domain in self.domains, f"{table.name} is kept elsewhere"

    def _scans(self, plan: Scan) -> None:
        assert self.abilities.order or not (plan.order or plan.offset or plan.limit is not None)
        self._filters(plan.where)

    def _filters(self, where: Filter) -> None:
        for part in where.of if isinstance(where, And) else (where,):
            self._filter(part)

    def _filter(self, filter: Filter) -> None:
        able = self.abilities
        match filter:
            case Is(At(_, path), "=" | "!=", value):
                assert able.json_equal and plain_path(path)
                assert isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) < 2**53)
            case Is(At(_, path), op, value):
                assert able.json_has and op == "has" and isinstance(value, str) and plain_path(path)
            case Null(At(_, path)):
                assert able.json_equal and plain_path(path)
            case Is() | OneOf() | Null():
                assert able.filters
            case Contains():
                assert able.contains
            case Among(_, scan, of):
                assert able.semijoin and scan.columns == (of,)
                self._keeps(scan.table)
                self._scans(scan)
            case Not(inner):
                assert able.filters
                self._filter(inner)
            case And(parts) | Or(parts):
                assert able.filters
                for part in parts:
                    self._filter(part)
            case _:
                raise AssertionError(f"{filter!r} is no filter")

    def _joined(self, where: Filter) -> Filter:
        def answer(leaf: Filter) -> Filter:
            if not isinstance(leaf, Among):
                return leaf
            found = self.inner.scan(leaf.scan.but(where=self._joined(leaf.scan.where)))
            return OneOf(leaf.column, tuple(value for value in found.column(0).to_pylist() if value is not None))

        return each_leaf(where, answer)


def plain_path(path: tuple[Any, ...]) -> bool:
    return all(isinstance(step, str) and re.fullmatch("[A-Za-z0-9_]+", step) for step in path)


def by_key_only(where: Filter, of: Table) -> bool:
    """Whether a filter names whole keys, and nothing else."""
    match where:
        case OneOf(column, values):
            return (column,) == of.key and len(values) > 0
        case Or(parts):
            return all(
                isinstance(part, And)
                and [(leaf.place, leaf.op) for leaf in part.of if isinstance(leaf, Is)] == [(n, "=") for n in of.key]
                and len(part.of) == len(of.key)
                for part in parts
            )
    return False


@st.composite
def some_abilities(draw: st.DrawFn) -> Abilities:
    if draw(st.integers(0, 3)) == 0:
        return BARE
    flags = (
        "transactions",
        "compare_and_set",
        "filters",
        "json_equal",
        "json_has",
        "contains",
        "semijoin",
        "order",
        "patch",
    )
    chosen = {flag: draw(st.booleans()) for flag in (*flags, "delete")}
    return Abilities(**chosen, aggregates=draw(st.sampled_from((frozenset(), frozenset({"count"}), ALL.aggregates))))


@cache
def filled(seed: int) -> tuple[dict[str, pa.Table], Reference]:
    store, reference = MemoryStore(), Reference()
    for table in STORED:
        if table in TABLES:
            put = Put(table, crowd(table, seed))
            store.put(put)
            reference.put(put)
    return dict(store._tables), reference


def storage_of(seed: int, first: Abilities, second: Abilities | None) -> tuple[Storage, Reference]:
    """A filled storage of one store, or of two, and what the reference holds."""
    tables, reference = filled(seed)
    if second is None:
        stores = [Able(first)]
        storage = Storage(stores[0])
    else:
        stores = [Able(first, frozenset({"memory", "workflows"})), Able(second, frozenset({"observability", "scores"}))]
        storage = Storage(stores[0], observability=stores[1], scores=stores[1])
    for store in stores:
        store.inner._tables = dict(tables)
    return storage, reference.copy()


a_storage = st.builds(storage_of, st.integers(0, 63), some_abilities(), st.none() | some_abilities())
a_bare_storage = st.builds(storage_of, st.integers(0, 63), st.just(BARE), st.none() | st.just(BARE))


def reads_agree(storage: Storage, reference: Reference, plan: Scan | Summarize) -> None:
    if isinstance(plan, Scan):
        agree(plan, storage.execute(plan), reference.scan(plan))
        batches = [batch.cast(plan.schema) for batch in storage.batches(plan)]
        agree(plan, pa.Table.from_batches(batches, plan.schema), reference.scan(plan))
        return
    try:
        expected = reference.summarize(plan)
    except InvalidInput:
        with pytest.raises(InvalidInput, match="does not fit into 64 bits"):
            storage.execute(plan)
    else:
        agree(plan, storage.execute(plan), expected)


@given(st.data(), a_bare_storage | a_storage, st.sampled_from(TABLES))
def test_every_scan_has_the_same_answer_whatever_the_store_can(
    data: st.DataObject, made: tuple[Storage, Reference], table: Table
) -> None:
    reads_agree(*made, data.draw(plans.scans(table, TABLES)))


@given(st.data(), a_bare_storage | a_storage, st.sampled_from(TABLES))
def test_every_summary_has_the_same_answer_whatever_the_store_can(
    data: st.DataObject, made: tuple[Storage, Reference], table: Table
) -> None:
    reads_agree(*made, data.draw(plans.summaries(table, TABLES)))


@given(st.data(), a_bare_storage | a_storage, st.sampled_from([table for table in TABLES if table is not TRACES]))
def test_every_change_has_the_same_effect_whatever_the_store_can(
    data: st.DataObject, made: tuple[Storage, Reference], table: Table
) -> None:
    storage, reference = made
    plan = data.draw(st.one_of(plans.patches(table, TABLES), plans.deletes(table, TABLES), plans.puts(table)))
    apply: dict[type[Plan], Callable[[Any], int]] = {
        Patch: reference.patch,
        Delete: reference.delete,
        Put: reference.put,
    }
    assert storage.execute(plan) == apply[type(plan)](plan)
    agree(Scan(table), storage.execute(Scan(table)), reference.rows(table))


@given(st.data(), a_bare_storage | a_storage, st.sampled_from([table for table in TABLES if table is not TRACES]))
def test_what_is_wrong_is_refused_before_a_store_hears_of_it(
    data: st.DataObject, made: tuple[Storage, Reference], table: Table
) -> None:
    storage, _ = made
    plan = data.draw(plans.refusals(table))
    with pytest.raises(InvalidInput):
        storage.execute(plan)
    assert all(store.seen == [] for store in storage.stores)  # type: ignore[union-attr]


# --- examples ------------------------------------------------------------------------------------------------------


def thread(id: str, resource: str = "r", **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "resourceId": resource,
        "title": "",
        "metadata": None,
        "createdAt": NOON,
        "updatedAt": NOON,
        **fields,
    }


def message(id: str, thread_id: str) -> dict[str, Any]:
    return {
        "id": id,
        "threadId": thread_id,
        "content": {},
        "role": "user",
        "type": "v2",
        "createdAt": NOON,
        "resourceId": "r",
    }


def span(trace: str, id: str, **fields: Any) -> dict[str, Any]:
    needed = {"name": "n", "spanType": "generic", "kind": 0, "isEvent": False, "startedAt": NOON, "startTime": 1}
    return {"traceId": trace, "spanId": id, **needed, "createdAt": NOON, **fields}


def kept_by(abilities: Abilities, table: Table, *records: dict[str, Any]) -> tuple[Able, Storage]:
    store = Able(abilities)
    store.inner.put(Put(table, encode(table, records)))
    return store, Storage(store)


def test_a_bare_store_gives_all_rows_and_only_the_columns_that_are_needed() -> None:
    store, storage = kept_by(BARE, THREADS, thread("a"), thread("b", title="x"))
    found = storage.execute(
        Scan(THREADS, Is("title", "=", "x"), (desc("createdAt"),), limit=1, columns=("resourceId",))
    )
    assert found.to_pylist() == [{"resourceId": "r"}]
    assert store.seen == [Scan(THREADS, columns=("id", "resourceId", "title", "createdAt"))]


def test_what_a_store_can_check_it_does_and_the_rest_is_folded() -> None:
    store, storage = kept_by(replace(BARE, filters=True), THREADS, thread("a", metadata={"k": 1}), thread("b"))
    where = Is("resourceId", "=", "r") & Is(At("metadata", ("k",)), "=", 1)
    assert storage.execute(Scan(THREADS, where, columns=("id",))).to_pylist() == [{"id": "a"}]
    assert store.seen == [Scan(THREADS, And((Is("resourceId", "=", "r"),)), columns=("id", "metadata"))]


def test_a_limit_is_never_applied_before_what_is_left_to_filter() -> None:
    records = [thread(f"{n}", metadata={"k": n}) for n in range(5)]
    store, storage = kept_by(replace(ALL, json_equal=False), THREADS, *records)
    where = Is(At("metadata", ("k",)), "=", 4)
    assert storage.execute(Scan(THREADS, where, (asc("id"),), limit=1, columns=("id",))).to_pylist() == [{"id": "4"}]
    assert [plan.limit for plan in store.seen if isinstance(plan, Scan)] == [None]


def test_an_empty_put_reaches_no_store() -> None:
    store, storage = kept_by(BARE, THREADS)
    assert storage.execute(Put(THREADS, encode(THREADS, []))) == 0
    assert store.seen == []


def test_changes_that_find_nothing_write_nothing() -> None:
    store, storage = kept_by(BARE, THREADS, thread("a"))
    assert storage.execute(Patch(THREADS, FALSE, {"title": "x"})) == 0
    assert storage.execute(Delete(THREADS, Is("id", "=", "b"))) == 0
    assert all(isinstance(plan, Scan) for plan in store.seen)


def test_a_delete_without_the_ability_is_by_key() -> None:
    store, storage = kept_by(BARE, SPANS, span("t", "a"), span("t", "b"), span("u", "a", name="x"))
    assert storage.execute(Delete(SPANS, Is("name", "=", "n"))) == 2
    assert [row["traceId"] for row in storage.execute(Scan(SPANS)).to_pylist()] == ["u"]
    store, storage = kept_by(BARE, THREADS, thread("a"), thread("b"))
    assert storage.execute(Delete(THREADS, TRUE)) == 2
    assert store.seen[-1] == Delete(THREADS, OneOf("id", ("a", "b")))


def test_a_patch_without_the_ability_is_compared_and_set_where_that_is_possible() -> None:
    for abilities, guarded in ((BARE, False), (replace(BARE, compare_and_set=True), True)):
        store, storage = kept_by(abilities, THREADS, thread("a", "1"), thread("b", "2"))
        assert storage.execute(Patch(THREADS, Is("resourceId", "=", "1"), {"title": "x", "metadata": None})) == 1
        put = store.seen[-1]
        assert isinstance(put, Put) and (put.expect is not None) == guarded
        assert storage.execute(Scan(THREADS, columns=("id", "title"))).to_pylist() == [
            {"id": "b", "title": ""},
            {"id": "a", "title": "x"},
        ]


def test_compare_and_set_is_refused_where_it_would_only_be_hoped_for() -> None:
    store, storage = kept_by(BARE, THREADS, thread("a"))
    data = encode(THREADS, [thread("a", title="x")])
    with pytest.raises(Unsupported, match="able has neither transactions nor compare-and-set"):
        storage.execute(Put(THREADS, data, expect=data))
    assert store.seen == []


def test_an_atomic_operation_that_depends_on_what_it_read_is_refused_too() -> None:
    store, storage = kept_by(BARE, THREADS, thread("a"))
    with pytest.raises(Unsupported, match="neither transactions nor compare-and-set"):
        storage.memory.update_resource(resource_id="r", working_memory="x")
    assert all(isinstance(plan, Scan) for plan in store.seen)


def test_a_reading_is_read_through_its_origin() -> None:
    store, storage = kept_by(ALL, SPANS, span("t", "a", name="x"), span("t", "b", parentSpanId="a"))
    found = storage.execute(Scan(TRACES, Is("id", "=", "a"), (desc("id"),), columns=("name", "id")))
    assert found.to_pylist() == [{"name": "x", "id": "a"}]
    counted = storage.execute(Summarize(TRACES, ("id", Bucket.of("createdAt", "1h")), (Measure("max", "id"),)))
    assert counted.column_names == ["id", "createdAt", "max_id"]
    assert counted.column("max_id").to_pylist() == ["a", "b"]
    assert {plan.table for plan in store.seen} == {SPANS}
    (batch,) = storage.batches(Scan(TRACES, Null("parentSpanId"), columns=("id",)))
    assert batch.to_pylist() == [{"id": "a"}]


@pytest.mark.parametrize("abilities", [BARE, ALL], ids=["bare", "all"])
def test_a_reading_is_never_written(abilities: Abilities) -> None:
    store, storage = kept_by(abilities, SPANS, span("t", "a"))
    for plan in (
        Put(TRACES, TRACES.schema.empty_table()),
        Patch(TRACES, TRUE, {"name": "x"}),
        Delete(TRACES, Is("id", "=", "a")),
    ):
        with pytest.raises(Unsupported, match="traces is a reading of spans: write that instead"):
            storage.execute(plan)
    assert store.seen == []


def test_a_semijoin_within_one_store_is_its_own() -> None:
    store, storage = kept_by(ALL, THREADS, thread("a", "1"), thread("b", "2"))
    store.inner.put(Put(MESSAGES, encode(MESSAGES, [message("m", "a"), message("n", "b")])))
    inner = Scan(THREADS, Is("resourceId", "=", "1"))
    found = storage.execute(Scan(MESSAGES, Among("thread_id", inner, "id"), columns=("id",)))
    assert found.to_pylist() == [{"id": "m"}]
    assert len(store.seen) == 1
    nested = Scan(MESSAGES, Among("thread_id", Scan(THREADS, Among("id", inner, "id")), "id"), columns=("id",))
    assert storage.execute(nested).to_pylist() == [{"id": "m"}]
    assert len(store.seen) == 2


def test_a_semijoin_whose_inner_scan_the_store_cannot_run_is_answered_first() -> None:
    store, storage = kept_by(replace(ALL, json_equal=False), THREADS, thread("a", metadata={"k": 1}), thread("b"))
    store.inner.put(Put(MESSAGES, encode(MESSAGES, [message("m", "a"), message("n", "b")])))
    inner = Scan(THREADS, Is(At("metadata", ("k",)), "=", 1))
    found = storage.execute(Scan(MESSAGES, Among("thread_id", inner, "id"), columns=("id",)))
    assert found.to_pylist() == [{"id": "m"}]
    assert store.seen[-1] == Scan(MESSAGES, OneOf("thread_id", ("a",)), columns=("id",))


@pytest.mark.parametrize("abilities", [BARE, ALL], ids=["bare", "all"])
def test_a_semijoin_across_two_stores_asks_each_for_its_own(abilities: Abilities) -> None:
    memory, spans = Able(abilities, frozenset({"memory"})), Able(abilities, frozenset({"observability"}))
    storage = Storage(memory=memory, observability=spans)
    memory.inner.put(Put(THREADS, encode(THREADS, [thread("a", "1"), thread("b", "2")])))
    records = [span("t", "x", threadId="a"), span("t", "y", threadId="b"), span("t", "z")]
    spans.inner.put(Put(SPANS, encode(SPANS, records)))

    def found(where: Filter) -> list[str]:
        return sorted(storage.execute(Scan(SPANS, where)).column("spanId").to_pylist())

    mine = Among("threadId", Scan(THREADS, Is("resourceId", "=", "1")), "id")
    assert found(mine) == ["x"]
    assert found(Not(mine)) == ["y"]  # of a null nothing is known
    assert found(mine | Null("threadId")) == ["x", "z"]
    nobody = Among("threadId", Scan(THREADS, FALSE), "id")
    assert found(nobody) == [] and found(~nobody) == ["x", "y", "z"]
    back = Among("id", Scan(TRACES, Is("id", "=", "y")), "id")
    assert storage.execute(Scan(THREADS, back)).num_rows == 0
    threads = Among("id", Scan(SPANS, Is("spanId", "=", "y")), "threadId")
    assert storage.execute(Scan(THREADS, threads, columns=("id",))).to_pylist() == [{"id": "b"}]
    newest = Among("threadId", Scan(THREADS, order=(desc("id"),), limit=1), "id")
    assert storage.execute(Delete(SPANS, newest)) == 1
    assert storage.execute(Patch(SPANS, mine, {"name": "mine"})) == 1
    assert storage.execute(Summarize(SPANS, ("name",), where=~nobody)).to_pylist() == [
        {"name": "mine", "count": 1},
        {"name": "n", "count": 1},
    ]


def test_a_null_that_a_semijoin_finds_makes_nothing_unknown() -> None:
    for abilities in (BARE, ALL):
        _, storage = kept_by(abilities, SPANS, span("t", "a"), span("t", "b", parentSpanId="a"))
        childless = ~Among("spanId", Scan(SPANS), "parentSpanId")
        assert storage.execute(Scan(SPANS, childless)).column("spanId").to_pylist() == ["b"]


def test_a_stream_is_native_only_where_nothing_is_left_to_fold() -> None:
    store = Able(ALL)
    assert native_scan(Scan(THREADS, Is("id", "=", "a")), lambda table: store) == (
        store,
        Scan(THREADS, Is("id", "=", "a")),
    )
    folded = (
        Scan(TRACES),
        Scan(THREADS, Is(At("metadata", ("k",)), ">", 1)),
        Scan(THREADS, Not(And((Or((Among("id", Scan(MESSAGES), "thread_id"),)),)))),
    )
    for plan in folded:
        assert native_scan(plan, lambda table: store) is None
    assert native_scan(Scan(THREADS, limit=1), lambda table: Able(replace(ALL, order=False))) is None
    with pytest.raises(InvalidInput):
        native_scan(Scan(THREADS, limit=-1), lambda table: store)


def test_what_can_be_pushed_depends_on_the_path_and_the_value() -> None:
    at = At("metadata", ("user_1", "plan"))
    for where in (Is(at, "=", "x"), Is(at, "!=", True), Is(at, "=", -1.5), Is(at, "has", "x"), Null(at)):
        assert can_push(where, ALL) and not can_push(where, replace(ALL, json_equal=False, json_has=False))
    for path in (("a b",), ("a.b",), (0,), ("",), ("\xe9",), ('"',)):
        for where in (Is(At("metadata", path), "=", "x"), Is(At("metadata", path), "has", "x"), Null(At("m", path))):
            assert not can_push(where, ALL)
    for value in (2**53, -(2**53), 2.0**60, float("inf"), float("nan"), None, [], {"a": 1}):  # type: ignore[var-annotated]
        assert not can_push(Is(at, "=", value), ALL)
    for where in (Is(at, "has", 1), Is(at, "<", 1), Filter()):  # type: ignore[assignment]
        assert not can_push(where, ALL)


def test_a_filter_is_split_at_its_top_only() -> None:
    easy, hard = Is("id", "=", "a"), Is(At("metadata", ("k",)), "<", 1)
    assert split(easy & hard, ALL) == (And((easy,)), And((hard,)))
    assert split(easy | hard, ALL) == (TRUE, And((easy | hard,)))
    assert split(Not(easy & hard), ALL) == (TRUE, And((Not(easy & hard),)))
    assert split(TRUE, BARE) == (TRUE, TRUE)


def test_perform_refuses_what_is_no_plan() -> None:
    class NoPlan:
        table = THREADS

    with pytest.raises(InvalidInput, match="NoPlan is no plan"):
        next(perform(NoPlan(), lambda table: Able(ALL)))  # type: ignore[arg-type]


# --- plans against their schema ------------------------------------------------------------------------------------

WRONG: list[tuple[Plan, str]] = [
    (Scan(THREADS, Is("titel", "=", "x")), "threads has no column 'titel'; did you mean 'title'"),
    (Scan(THREADS, Null("titel")), "no column 'titel'"),
    (Scan(THREADS, OneOf("titel", ())), "no column 'titel'"),
    (Scan(THREADS, Is(At("titel"), "=", 1)), "no column 'titel'"),
    (Scan(THREADS, Null(At("title", ("a",)))), "title"),
    (Scan(THREADS, Is(At("metadata"), "=", object())), "object has no JSON form"),
    (Scan(THREADS, Is("title", "=", 5)), "threads: title must be text, not int"),
    (Scan(THREADS, Is("createdAt", ">", datetime(2026, 1, 1))), "createdAt is a naive datetime"),
    (Scan(THREADS, Is("title", "has", "x")), "title"),
    (Scan(THREADS, Is("title", "=1 OR 1=", "x")), "'=1 OR 1=' is no comparison; the comparisons are =, !=, <,"),  # type: ignore[arg-type]
    (Scan(THREADS, Is(At("metadata"), "~", "x")), "'~' is no comparison"),  # type: ignore[arg-type]
    (Scan(THREADS, Filter()), "is no filter"),
    (Scan(THREADS, Among("id", Scan(MESSAGES), "createdAt")), "id and createdAt are of different kinds"),
    (Scan(THREADS, Among("id", Scan(MESSAGES), "nope")), "messages has no column 'nope'"),
    (Scan(THREADS, Among("id", Scan(MESSAGES, Is("x", "=", 1)), "id")), "messages has no column 'x'"),
    (Scan(THREADS, order=(Order("x"),)), "threads has no column 'x'"),
    (Scan(THREADS, limit=-1), "limit and offset must be >= 0, not -1 and 0"),
    (Scan(THREADS, offset=-2), "limit and offset must be >= 0, not None and -2"),
    (Scan(THREADS, columns=()), "at least one column, and each only once"),
    (Summarize(THREADS, ("id",), (Measure("count", name="id"),)), "each only once: name its measures"),
    (Summarize(SPANS, measures=(Measure("median", "cost"),)), "'median' is no measure; the measures are count, sum"),  # type: ignore[arg-type]
    (Summarize(THREADS, measures=(Measure("sum"),)), "sum needs a column"),
    (Summarize(THREADS, measures=(Measure("mean", "title"),)), "mean of title makes no sense: it is text"),
    (Summarize(THREADS, measures=(Measure("max", "metadata"),)), "max of metadata makes no sense: it is json"),
    (Summarize(SPANS, measures=(Measure("min", "isEvent"),)), "min of isEvent makes no sense: it is boolean"),
    (Summarize(THREADS, (Bucket("title", timedelta(hours=1)),)), "title is no timestamp"),
    (Patch(THREADS, TRUE, {}), "nothing to change in threads: give at least one value"),
    (Patch(THREADS, TRUE, {"id": "x"}), "id identifies a row of threads and cannot be changed"),
    (Patch(MESSAGES, TRUE, {"createdAt": NOON}), "createdAt of messages is written once and cannot be changed"),
    (Patch(SPANS, TRUE, {"endedAt": None}), "endedAt of spans ends a row and cannot be taken back"),
    (Patch(THREADS, TRUE, {"title": None}), "threads: title cannot be null"),
    (Delete(THREADS, Is("id", "=", "")), "threads: id must not be empty"),
    (Put(THREADS, pa.table({"id": ["a"]})), "threads: columns are missing: resourceId"),
]


@pytest.mark.parametrize(("plan", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_plan_that_is_wrong_says_what_is_wrong(plan: Plan, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        normalize(plan)


def test_normalize_spells_values_as_they_are_stored() -> None:
    plan = Scan(SPANS, Is("name", "=", "a\0") & OneOf("startedAt", ("2026-01-31T12:00:00Z", None)) & Not(Null("cost")))
    where = And((Is("name", "=", "a\ufdd00000"), OneOf("startedAt", (NOON, None)), Not(Null("cost"))))
    assert normalize(plan) == plan.but(where=where)
    assert normalize(Scan(EVALS, Is("run_id", "=", "550E8400E29B41D4A716446655440000"))) == Scan(
        EVALS, Is("run_id", "=", "550e8400-e29b-41d4-a716-446655440000")
    )
    inside = Is(At("metadata", ("at",)), "=", (NOON, 1))
    assert normalize(Scan(SPANS, inside)).where == Is(At("metadata", ("at",)), "=", [NOON.isoformat(), 1])  # type: ignore[union-attr]
    patch = normalize(Patch(SPANS, TRUE, {"tags": ["a"], "cost": 1}))
    assert isinstance(patch, Patch) and patch.values == {"tags": '["a"]', "cost": 1.0}


@pytest.mark.parametrize(
    "plan",
    [
        Scan(THREADS, Is("id", "=", "a") & Is("createdAt", "<", NOON) & (Null("metadata") | ~OneOf("id", ("b", "c")))),
        Scan(MESSAGES, Is("id", "=", None), (desc("createdAt"),), 3, 1, ("id", "role")),
        Scan(THREADS, OneOf("id", ())),
        Delete(THREADS, TRUE),
    ],
)
def test_normalize_gives_a_plan_in_stored_form_back_as_it_is(plan: Plan) -> None:
    assert normalize(plan) is plan


def test_normalize_makes_tuples_of_lists_which_have_no_hash() -> None:
    plan = Delete(THREADS, And([OneOf("id", ["a"]), Or([])]))  # type: ignore[arg-type]
    assert normalize(plan) == Delete(THREADS, And((OneOf("id", ("a",)), FALSE)))


@pytest.mark.parametrize("where", [FALSE, And((FALSE,)), Not(TRUE), Is("id", "=", "a"), Null("id"), OneOf("id", ())])
def test_a_bare_store_is_asked_for_everything_and_not_for_a_filter(where: Filter) -> None:
    for plan in (Scan(THREADS, where), Delete(THREADS, where), Patch(THREADS, where, {"title": "t"})):
        _, asked = next(perform(plan, lambda table: Able(BARE)))
        assert isinstance(asked, Scan) and asked.where == TRUE


def test_named_columns_are_all_that_a_filter_looks_at() -> None:
    where = Not(Is("a", "=", 1) & (Null(At("b", ("x",))) | OneOf("c", ()))) | Among("d", Scan(THREADS), "id")
    assert named_columns(where | Is(At("e"), "=", 1) | Null("f")) == set("abcdef")
    assert named_columns(TRUE) == named_columns(Filter()) == set()


def test_rename_reaches_every_column_of_a_plan() -> None:
    names = {"id": "spanId", "attributes": "other"}
    scan, nothing = Scan(THREADS, Is("id", "=", "x")), Filter()
    where = (
        Is("id", "=", "a")
        & Null("id")
        & OneOf("id", ("a",))
        & Among("id", scan, "id")
        & Is(At("attributes", ("id",)), "=", 1)
        & Null(At("attributes", ("id",)))
        & nothing
    )
    renamed = (
        Is("spanId", "=", "a")
        & Null("spanId")
        & OneOf("spanId", ("a",))
        & Among("spanId", scan, "id")
        & Is(At("other", ("id",)), "=", 1)
        & Null(At("other", ("id",)))
        & nothing
    )
    plan = Scan(TRACES, where, (desc("id"),), limit=1, columns=("id", "name"))
    assert rename(plan, SPANS, names) == Scan(SPANS, renamed, (desc("spanId"),), limit=1, columns=("spanId", "name"))
    by: tuple[str | Bucket, ...] = ("id", Bucket("createdAt", timedelta(hours=1)))
    summary = Summarize(TRACES, by, (Measure("count"), Measure("max", "id")), Not(where))
    assert rename(summary, SPANS, names) == Summarize(
        SPANS, ("spanId", by[1]), (Measure("count"), Measure("max", "spanId", "max_id")), Not(renamed)
    )
