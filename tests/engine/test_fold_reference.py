"""Filter, order, summarize and merge in Arrow give what a plain-Python reference gives, which was written apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine import fold
from colonnade.engine.normalize import normalize
from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Among,
    And,
    At,
    Bucket,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Put,
    Scan,
    Summarize,
    after,
    asc,
    between,
    desc,
    each_leaf,
    is_equal,
)
from colonnade.errors import Conflict, InvalidInput
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, WORKFLOWS
from colonnade.schemas import kinds as k
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table, table
from colonnade.testing import plans
from colonnade.testing.machine import agree
from colonnade.testing.reference import Reference, is_same, plain
from colonnade.testing.strategies import crowd

ALL_RULES = table(
    "all_rules",
    [
        k.field("a", k.TEXT, "Half of the key.", identifier=True),
        k.field("b", k.TEXT, "The other half.", identifier=True),
        k.field("made", k.TIMESTAMP, "Written once.", once=True),
        k.field("done", k.TIMESTAMP, "Final.", nullable=True),
        *(k.field(kind.name, kind, "One of it.", nullable=True) for kind in k.SCALARS),
        k.field("vector", k.vector(2), "Two numbers.", nullable=True),
    ],
    domain="memory",
    record="AllRules",
    mastra="mastra_all_rules",
    description="Every kind and every rule of a put in one table.",
    key=["a", "b"],
    final="done",
)
TABLES = (THREADS, MESSAGES, WORKFLOWS, SPANS, SCORES, EVALS, ALL_RULES)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

a_table = st.sampled_from(TABLES)


def stored(of: Table, *puts: pa.Table) -> tuple[pa.Table, Reference]:
    """What a table holds after some puts, as Arrow and in the reference."""
    data, reference = of.schema.empty_table(), Reference()
    for each in puts:
        data = fold.upsert(of, data, each)
        reference.put(Put(of, each))
    return data, reference


def same_rows(of: Table, data: pa.Table, reference: Reference) -> None:
    agree(Scan(of), data, reference.rows(of))


@given(st.data(), a_table, st.integers(0, 63))
def test_scans(data: st.DataObject, of: Table, seed: int) -> None:
    rows, reference = stored(of, crowd(of, seed))
    plan = data.draw(plans.scans(of))
    agree(plan, fold.scan(normalize(plan), rows), reference.scan(plan))  # type: ignore[arg-type]


@given(st.data(), a_table, st.integers(0, 63))
def test_summaries(data: st.DataObject, of: Table, seed: int) -> None:
    rows, reference = stored(of, crowd(of, seed))
    plan = data.draw(plans.summaries(of))
    try:
        expected = reference.summarize(plan)
    except InvalidInput:
        with pytest.raises(InvalidInput, match="does not fit into 64 bits"):
            fold.summarize(normalize(plan), rows)  # type: ignore[arg-type]
        return
    answer = fold.summarize(normalize(plan), rows)  # type: ignore[arg-type]
    agree(plan, answer, expected)
    assert answer.schema.types == fold.summary_schema(plan).types
    assert answer.column_names == list(plan.names)


@given(st.data(), a_table)
def test_upserts_one_after_the_other(data: st.DataObject, of: Table) -> None:
    puts = data.draw(st.lists(plans.puts(of), min_size=1, max_size=4))
    rows, reference = stored(of, *(put.data for put in puts))
    same_rows(of, rows, reference)
    assert rows.schema == of.schema


@given(st.data(), a_table)
def test_rows_put_at_once_are_put_one_after_the_other(data: st.DataObject, of: Table) -> None:
    first, second = data.draw(plans.puts(of)), data.draw(plans.puts(of))
    together = pa.concat_tables([first.data, second.data, first.data])
    _, reference = stored(of, first.data, second.data, first.data)
    collapsed = fold.collapse(of, together)
    same_rows(of, collapsed, reference)
    assert fold.collapse(of, collapsed) is collapsed


@given(st.data(), a_table)
def test_a_guarded_put_is_unchanged_where_the_reference_says_so(data: st.DataObject, of: Table) -> None:
    before, between_, incoming = (data.draw(plans.puts(of)) for _ in range(3))
    read, _ = stored(of, before.data)
    rows, reference = stored(of, before.data, between_.data)
    names = data.draw(st.sets(st.sampled_from(list(of.columns))))
    expect = read.select([name for name in of.columns if name in names or name in of.key])
    plan = Put(of, incoming.data, expect)
    try:
        reference.put(plan)
    except Conflict:
        assert not fold.is_unchanged(plan, rows)
    else:
        assert fold.is_unchanged(plan, rows)
    assert fold.is_unchanged(Put(of, incoming.data), rows)


@given(st.data(), a_table, st.integers(0, 63))
def test_inputs_are_left_as_they_are(data: st.DataObject, of: Table, seed: int) -> None:
    rows = crowd(of, seed)
    copy = pa.Table.from_pylist(rows.to_pylist(), rows.schema) if of is not SPANS else rows
    put, scan = data.draw(plans.puts(of)), data.draw(plans.scans(of))
    fold.upsert(of, rows, put.data)
    fold.scan(normalize(scan), rows)  # type: ignore[arg-type]
    assert rows.equals(copy)


# --- examples of the rules that stores differ on -------------------------------------------------------------------

POINTS = table(
    "points",
    [
        k.field("id", k.TEXT, "Who.", identifier=True),
        k.field("n", k.BIGINT, "A number.", nullable=True),
        k.field("x", k.FLOAT, "A float.", nullable=True),
        k.field("t", k.TEXT, "A text.", nullable=True),
        k.field("at", k.TIMESTAMP, "A time.", nullable=True),
        k.field("j", k.JSON, "JSON.", nullable=True),
    ],
    domain="memory",
    record="Point",
    mastra="mastra_points",
    description="For examples.",
    key=["id"],
)


def points(**rows: dict[str, Any]) -> pa.Table:
    return encode(POINTS, [{"id": id, **row} for id, row in rows.items()])


def ids(data: pa.Table, where: Filter = TRUE, order: Sequence[Order] = (), **rest: Any) -> str:
    """The ids that a scan gives, joined; sorted where it has no order."""
    plan = normalize(Scan(POINTS, where, tuple(order), **rest))
    found = fold.scan(plan, data).column("id").to_pylist()  # type: ignore[arg-type]
    return "".join(found if order else sorted(found))


def test_nulls_sort_last_in_both_directions_unless_said_otherwise() -> None:
    data = points(a={"n": 1}, b={"n": None}, c={"n": 2}, d={"n": None})
    assert ids(data, order=[asc("n")]) == "acbd"
    assert ids(data, order=[desc("n")]) == "cabd"
    assert ids(data, order=[Order("n", nulls_first=True)]) == "bdac"
    assert ids(data, order=[Order("n", descending=True, nulls_first=True)]) == "bdca"


def test_text_compares_by_code_point() -> None:
    data = points(a={"t": "Z"}, b={"t": "a"}, c={"t": "\xe9"}, d={"t": "\uffff"}, e={"t": "\U0001f600"}, f={"t": ""})
    assert ids(data, order=[asc("t")]) == "fabcde"
    assert ids(data, Is("t", ">", "\uffff")) == "e"


def test_every_order_is_completed_by_the_key() -> None:
    data = points(c={"n": 1}, a={"n": 1}, b={"n": 1})
    assert ids(data, order=[desc("n")]) == "abc"
    assert ids(data, order=[desc("n")], limit=1, offset=1) == "b"
    assert ids(data, limit=2) == "ab"
    assert Scan(POINTS, order=(asc("n"), desc("n"))).complete_order == (asc("n"), asc("id"))
    assert Scan(POINTS, order=(desc("id"),)).complete_order == (desc("id"),)
    assert Scan(POINTS).complete_order == ()


def test_an_empty_one_of_is_false_even_for_null() -> None:
    data = points(a={"n": 1}, b={"n": None})
    assert ids(data, OneOf("n", ())) == ""
    assert ids(data, Not(OneOf("n", ()))) == "ab"


def test_a_one_of_with_null_is_true_or_unknown() -> None:
    data = points(a={"n": 1}, b={"n": None}, c={"n": 2})
    assert ids(data, OneOf("n", (1, None))) == "a"
    assert ids(data, Not(OneOf("n", (1, None)))) == ""
    assert ids(data, Not(OneOf("n", (1,)))) == "c"


def test_a_comparison_with_null_is_null_and_not_keeps_it() -> None:
    data = points(a={"n": 1}, b={"n": None})
    for where in (Is("n", "=", None), Is("n", "!=", None), Is("n", "<", None)):
        assert ids(data, where) == ids(data, ~where) == ""
    assert ids(data, Is("n", "!=", 2)) == "a"
    assert ids(data, ~Is("n", "=", 2)) == "a"
    assert ids(data, Is("n", "=", 2) | Null("n")) == "b"
    assert ids(data, ~Null("n")) == "a"


def test_the_empty_and_is_true_and_the_empty_or_is_false() -> None:
    data = points(a={}, b={})
    assert ids(data, TRUE) == ids(data, Not(FALSE)) == ids(data, Or((TRUE, Is("n", "=", 1)))) == "ab"
    assert ids(data, FALSE) == ids(data, Not(TRUE)) == ids(data, And((FALSE, Is("n", "=", 1)))) == ""


def test_zero_is_zero_whatever_its_sign() -> None:
    data = points(a={"x": 0.0}, b={"x": -0.0}, c={"x": None})
    assert ids(data, Is("x", "=", -0.0)) == ids(data, OneOf("x", (0.0,))) == ids(data, OneOf("x", (-0.0,))) == "ab"
    grouped = fold.summarize(Summarize(POINTS, by=("x",)), data)
    assert grouped.column("count").to_pylist() == [2, 1]


def test_json_is_compared_by_type_and_value() -> None:
    data = points(
        a={"j": {"v": 1}},
        b={"j": {"v": 1.0}},
        c={"j": {"v": True}},
        d={"j": {"v": "1"}},
        e={"j": {"v": None}},
        f={"j": {}},
        g={"j": {"v": [1, "x", {"k": [1]}]}},
        h={"j": {"v": math.nan}},
        i={"j": None},
    )
    at = At("j", ("v",))
    assert ids(data, Is(at, "=", 1)) == "ab"
    assert ids(data, Is(at, "=", True)) == "c"
    assert ids(data, Is(at, "=", "1")) == "d"
    assert ids(data, Is(at, "=", None)) == "e"
    assert ids(data, Is(at, "=", (1.0, "x", {"k": (1,)}))) == "g"
    assert ids(data, Is(at, "!=", 1)) == "cdegh"  # a missing place is null
    assert ids(data, Null(at)) == "efi"
    assert ids(data, Is(at, "has", "x")) == ids(data, Is(at, "has", {"k": [1]})) == "g"
    assert ids(data, ~Is(at, "has", "y")) == "g"
    assert ids(data, Is(at, "has", True)) == ""
    assert ids(data, Is(at, ">=", 1)) == "ab"
    assert ids(data, Is(at, ">=", "")) == "d"
    assert ids(data, Is(At("j", ("v", 2, "k", 0)), "=", 1)) == "g"
    assert ids(data, Is(At("j", ("v", -1)), "=", "x")) == ids(data, Is(At("j", ("v", 3)), "=", "x")) == ""
    assert ids(data, Is(At("j", ("v", "0")), "=", 1)) == ""
    assert ids(data, Is(At("j"), "=", {"v": True})) == "c"


def test_whole_numbers_are_exact_to_64_bits() -> None:
    big = 2**53
    data = points(a={"n": big}, b={"n": big + 1}, c={"n": 2**63 - 1}, d={"n": -(2**63)})
    assert ids(data, Is("n", "=", big + 1)) == "b"
    assert ids(data, Is("n", ">", big)) == "bc"
    total = fold.summarize(Summarize(POINTS, measures=(Measure("sum", "n"),)), data).column("sum_n")
    assert total.to_pylist() == [2 * big]
    plan = Summarize(POINTS, measures=(Measure("sum", "n"),), where=Is("n", ">", 0))
    with pytest.raises(InvalidInput, match="the sum of n does not fit into 64 bits"):
        fold.summarize(plan, data)


def test_a_summary_of_nothing_is_one_row_without_groups_and_none_with() -> None:
    data = points()
    measures = (Measure("count"), *(Measure(each, "n") for each in ("count", "sum", "min", "max", "mean", "p95")))
    (row,) = plain(fold.summarize(Summarize(POINTS, measures=measures), data))
    assert row == {
        "count": 0,
        "count_n": 0,
        "sum_n": None,
        **dict.fromkeys(("min_n", "max_n", "mean_n", "p95_n")),
    }
    assert fold.summarize(Summarize(POINTS, by=("t",)), data).num_rows == 0


def test_quantiles_interpolate_linearly() -> None:
    data = points(**{f"r{n}": {"n": n} for n in range(11)}, none={"n": None})
    measures = tuple(Measure(each, "n") for each in ("p50", "p95", "p99"))
    (row,) = plain(fold.summarize(Summarize(POINTS, measures=measures), data))
    assert row == {"p50_n": 5.0, "p95_n": pytest.approx(9.5), "p99_n": pytest.approx(9.9)}


def test_buckets_are_multiples_since_the_epoch_and_null_stays_null() -> None:
    before_the_epoch = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    data = points(a={"at": NOON + timedelta(minutes=59)}, b={"at": before_the_epoch}, c={"at": None}, d={"at": NOON})
    (first, second, third) = plain(fold.summarize(Summarize(POINTS, by=(Bucket.of("at", "1h"),)), data))
    assert first == {"at": -3_600_000_000, "count": 1}
    assert second == {"at": int(NOON.timestamp()) * 1_000_000, "count": 2}
    assert third == {"at": None, "count": 1}


def test_a_semijoin_cannot_be_folded_and_what_is_no_filter_neither() -> None:
    data = points(a={})
    with pytest.raises(TypeError, match="a semi-join must be answered before it is folded"):
        fold.mask(Among("id", Scan(POINTS), "id"), data)
    with pytest.raises(TypeError, match="is no filter"):
        fold.mask(Filter(), data)


def test_a_guarded_put_concerns_its_own_keys_only() -> None:
    old, new = points(a={"n": 1}, b={"n": 1}), points(a={"n": 1}, b={"n": 2}, c={"n": 3})
    assert fold.is_unchanged(Put(POINTS, points(a={"n": 9}), old), new)
    assert not fold.is_unchanged(Put(POINTS, points(b={"n": 9}), old), new)
    assert not fold.is_unchanged(Put(POINTS, points(c={"n": 9}), old), new)  # it must not be there yet
    assert not fold.is_unchanged(Put(POINTS, points(a={}), old), old.slice(1))  # it must be there still
    assert fold.is_unchanged(Put(POINTS, points(d={}), old), new)
    assert fold.is_unchanged(Put(POINTS, points(b={}), old.select(["id"])), new)


def test_an_ended_row_outlives_a_running_copy_and_once_is_kept() -> None:
    def row(done: datetime | None, made: datetime, text: str) -> pa.Table:
        return encode(ALL_RULES, [{"a": "a", "b": "b", "made": made, "done": done, "text": text}])

    later = NOON + timedelta(hours=1)
    ended, running, corrected = row(NOON, NOON, "ended"), row(None, later, "running"), row(later, later, "corrected")
    for puts in ([ended, running], [running, ended, running], [pa.concat_tables([ended, running])]):
        data, _ = stored(ALL_RULES, *puts)
        assert data.column("text").to_pylist() == ["ended"]
    data, _ = stored(ALL_RULES, ended, corrected)
    assert data.select(["text", "made", "done"]).to_pylist() == [{"text": "corrected", "made": NOON, "done": later}]


# --- the nodes of the waist ----------------------------------------------------------------------------------------

A, B, D = Is("n", "=", 1), Is("n", "=", 2), Is("n", "=", 3)


def test_filters_combine_and_flatten() -> None:
    assert A & B & D == And((A, B, D)) == A & (B & D)
    assert A | B | D == Or((A, B, D)) == A | (B | D)
    assert And((Or((A, B)), D)) == (A | B) & D
    assert A == A & TRUE == TRUE & A == A | FALSE == FALSE | A
    assert Not(A) == ~A


def test_each_leaf_reaches_every_condition() -> None:
    where = Not(And((A, Or((B, Null("n"))), Not(OneOf("n", (1,))))))
    assert each_leaf(where, lambda leaf: leaf) == where
    seen: list[Filter] = []
    each_leaf(where, lambda leaf: seen.append(leaf) or leaf)  # type: ignore[func-returns-value]
    assert seen == [A, B, Null("n"), OneOf("n", (1,))]
    assert each_leaf(where, lambda leaf: D) == Not(And((D, Or((D, D)), Not(D))))


def test_is_equal_leaves_out_what_is_none() -> None:
    assert is_equal(n=1, t=None, x=0) == And((Is("n", "=", 1), Is("x", "=", 0)))
    assert is_equal() == is_equal(n=None) == TRUE


def test_between_is_inclusive_unless_said_otherwise() -> None:
    later = NOON + timedelta(hours=1)
    assert between("at", NOON, later) == And((Is("at", ">=", NOON), Is("at", "<=", later)))
    assert between("at", NOON, later, start_exclusive=True, end_exclusive=True) == And(
        (Is("at", ">", NOON), Is("at", "<", later))
    )
    assert between("at", None, later) == And((Is("at", "<=", later),))
    assert between("at", NOON, None) == And((Is("at", ">=", NOON),))
    assert between("at", None, None) == TRUE


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz")), max_size=8),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(1, 4),
)
def test_keyset_pages_give_every_row_once_and_in_order(
    rows: list[tuple[int, str]], down: tuple[bool, bool, bool], size: int
) -> None:
    data = points(**{f"r{place}": {"n": n, "t": t} for place, (n, t) in enumerate(rows)})
    order = tuple(Order(name, descending) for name, descending in zip(("n", "t", "id"), down, strict=True))
    whole = fold.scan(Scan(POINTS, order=order, columns=("n", "t", "id")), data).to_pylist()
    pages: list[dict[str, Any]] = []
    for _ in range(len(rows) + 1):
        where = after(order, tuple(pages[-1].values())) if pages else TRUE
        page = fold.scan(Scan(POINTS, where, order, limit=size, columns=("n", "t", "id")), data).to_pylist()
        pages += page
        if len(page) < size:
            break
    assert pages == whole


@pytest.mark.parametrize(("width", "seconds"), [("1s", 1), ("15m", 900), ("2h", 7200), ("7d", 604800)])
def test_the_width_of_a_bucket(width: str, seconds: int) -> None:
    assert Bucket.of("at", width) == Bucket("at", timedelta(seconds=seconds))


@pytest.mark.parametrize("width", ["", "h", "0h", "-1h", "1.5h", "1w", "1 h", "1H", "15", "\u00b2h"])
def test_a_width_that_is_none_is_refused(width: str) -> None:
    with pytest.raises(InvalidInput, match=r"is no width of a bucket; write a number and s, m, h or d, such as '15m'"):
        Bucket.of("at", width)


def test_measures_are_named_after_what_they_measure() -> None:
    assert [Measure("count").name, Measure("sum", "n").name, Measure("sum", "n", "total").name] == [
        *("count", "sum_n", "total"),
    ]
    assert Summarize(POINTS, by=("t", Bucket.of("at", "1h"))).names == ("t", "at", "count")


def test_a_scan_knows_the_schema_of_its_answer() -> None:
    assert Scan(POINTS).schema.equals(POINTS.schema, check_metadata=True)
    assert Scan(POINTS, columns=("t", "id")).schema.names == ["t", "id"]
    assert Scan(POINTS, limit=5).but(limit=None) == Scan(POINTS)


def test_rows_are_the_same_only_where_every_field_is() -> None:
    (one,) = plain(points(a={"x": 0.0, "j": {"a": 1}}))
    assert is_same(POINTS, one, one)
    assert not is_same(POINTS, one, one | {"x": -0.0})
    assert not is_same(POINTS, one, one | {"j": '{"a":2}'})
