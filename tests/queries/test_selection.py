"""Selections: rows of a table as a value, narrowed and then read; the same on every store and in both colours."""

import asyncio
import copy
import os
import pickle
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade import col
from colonnade.engine.plan import FALSE, At, Contains, Is, Not, Null, OneOf, Or, Put, Scan, asc, desc
from colonnade.engine.store import AsyncStore
from colonnade.errors import InvalidInput, TooLarge
from colonnade.queries.selection import Selection
from colonnade.queries.selection_columns import condition
from colonnade.queries.selection_reading import Wanted
from colonnade.schemas import MESSAGES, SCORES, SPANS, TABLES, THREADS
from colonnade.testing.plans import filters
from colonnade.testing.reference import Reference, plain
from colonnade.testing.strategies import crowd

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

SPANS_KEPT = [
    {"traceId": "t1", "spanId": "1", "name": "agent", "startedAt": NOON, "input": "hello"},
    {
        "traceId": "t1",
        "spanId": "2",
        "parentSpanId": "1",
        "name": "chat",
        "startedAt": NOON + HOUR,
        "cost": 0.5,
        "attributes": {"gen_ai.request.model": "large", "user": {"plan": "pro"}, "n": 3, "tags": ["a"]},
    },
    {
        "traceId": "t2",
        "spanId": "1",
        "name": "chat",
        "startedAt": NOON + 2 * HOUR,
        "cost": 0.25,
        "attributes": {"gen_ai.request.model": "small", "n": None},
        "tags": ["x"],
    },
]


LONG = f"spans where name contains '{'x' * 56}...: light columns"


def keep(storage: Any) -> None:
    storage.observability.batch_create_spans(records=SPANS_KEPT)


def spans_of(selection: Any) -> set[tuple[str, str]]:
    return {(row["traceId"], row["spanId"]) for row in selection.to_arrow().to_pylist()}


def _is_native_async(storage: Any) -> bool:
    return any(isinstance(store, AsyncStore) for store in storage.stores)


# --- narrowing and reading, on every store ---


def test_rows_are_narrowed_step_by_step(storage: Any) -> None:
    keep(storage)

    assert spans_of(storage.spans) == {("t1", "1"), ("t1", "2"), ("t2", "1")}
    assert spans_of(storage.spans.where(name="chat")) == {("t1", "2"), ("t2", "1")}
    assert spans_of(storage.spans.where(name="chat").where(col.cost > 0.25)) == {("t1", "2")}
    assert spans_of(storage.spans.where(col("cost").is_null() | (col.cost == 0.25))) == {("t1", "1"), ("t2", "1")}
    assert spans_of(storage.spans.where(name=["agent", "other"])) == {("t1", "1")}
    assert spans_of(storage.spans.where(cost=None)) == {("t1", "1")}
    assert spans_of(storage.spans.since(NOON + HOUR).until(NOON + 2 * HOUR)) == {("t1", "2")}
    assert spans_of(storage.spans.where(since="24h")) == set()
    assert spans_of(storage.traces) == {("t1", "1"), ("t2", "1")}


def test_places_inside_json_are_asked_and_given(storage: Any) -> None:
    keep(storage)
    model = col.attributes["gen_ai.request.model"]

    assert spans_of(storage.spans.where(model == "small")) == {("t2", "1")}
    assert spans_of(storage.spans.where(model.is_in(["small", "tiny"]))) == {("t2", "1")}
    assert spans_of(storage.spans.where(col("attributes")["user"]["plan"] != "free")) == {("t1", "2")}
    assert spans_of(storage.spans.where(col.attributes["n"].is_null())) == {("t1", "1"), ("t2", "1")}
    assert spans_of(storage.spans.where(col.tags.has("x"))) == {("t2", "1")}
    assert (
        spans_of(storage.spans.where(col.tags == ["x"])) == spans_of(storage.spans.where(tags=["x"])) == {("t2", "1")}
    )

    chosen = storage.spans.order_by("startedAt").columns(
        "name", model=model, user=col.attributes["user"], n=col.attributes["n"], tag=col.attributes["tags"][0]
    )
    assert chosen.to_arrow().to_pylist() == [
        {"name": "agent", "model": None, "user": None, "n": None, "tag": None},
        {"name": "chat", "model": "large", "user": '{"plan":"pro"}', "n": "3", "tag": "a"},
        {"name": "chat", "model": "small", "user": None, "n": None, "tag": None},
    ]


def test_light_columns_come_first_and_wide_ones_when_asked(storage: Any) -> None:
    keep(storage)

    assert tuple(storage.spans.to_arrow().column_names) == SPANS.light
    assert tuple(storage.spans.with_payloads().to_arrow().column_names) == SPANS.names
    assert storage.spans.columns("input", "name").to_arrow().column_names == ["input", "name"]


def test_orders_and_limits(storage: Any) -> None:
    keep(storage)

    def spans(selection: Any) -> list[str]:
        return [row["traceId"] + row["spanId"] for row in selection.to_arrow().to_pylist()]

    assert spans(storage.spans.order_by("cost")) == ["t21", "t12", "t11"]
    assert spans(storage.spans.order_by("cost", descending=True, nulls_first=True)) == ["t11", "t12", "t21"]
    assert spans(storage.spans.limit(2)) == ["t21", "t12"]  # the newest
    assert spans(storage.spans.order_by("name", "cost").limit(2).limit(5)) == ["t11", "t21"]
    assert spans(storage.spans.limit(0)) == []


def test_every_end_gives_the_same_rows(storage: Any, tmp_path: Path) -> None:
    keep(storage)
    chosen = storage.spans.order_by("startedAt").columns("name", "cost", "startedAt")
    table = chosen.to_arrow()

    assert table.num_rows == chosen.count() == storage.spans.count() == 3
    assert chosen.limit(2).count() == 2
    assert chosen.to_polars().equals(pl.from_arrow(table))
    if not _is_native_async(storage):
        assert chosen.to_polars(lazy=True).collect().equals(pl.from_arrow(table))
    assert chosen.to_pandas()["cost"].isna().tolist() == [True, False, False]
    assert sum(batch.num_rows for batch in chosen.batches()) == 3
    assert chosen.to_parquet(tmp_path / "spans.parquet") == 3
    assert pq.read_table(tmp_path / "spans.parquet").equals(table)
    assert chosen.first()["name"] == "agent"
    assert storage.spans.first()["spanId"] == "1" and storage.spans.first()["traceId"] == "t2"
    assert storage.spans.where(name="nothing").first() is None


def test_every_table_can_be_selected(storage: Any) -> None:
    storage.memory.save_thread(thread={"id": "th", "resourceId": "ada", "title": "Hello"})
    storage.memory.save_messages(
        messages=[{"id": "m", "threadId": "th", "resourceId": "ada", "role": "user", "content": "hi"}]
    )
    storage.scores.save_score(
        score={
            "scorerId": "judge",
            "entityId": "e",
            "runId": "r",
            "output": 1,
            "score": 0.5,
            "scorer": {},
            "source": "TEST",
            "entity": {},
        }
    )
    storage.workflows.persist_workflow_snapshot(workflow_name="w", run_id="r", snapshot={"status": "done"})
    storage.agents.create_agent(agent={"id": "a", "name": "A", "instructions": "x", "model": {"name": "m"}})

    assert storage.threads.columns("title").to_arrow().to_pylist() == [{"title": "Hello"}]
    assert storage.messages.where(threadId="th").count() == storage.messages.where(thread_id="th").count() == 1
    assert storage.messages.first()["threadId"] == "th" and "content" not in storage.messages.first()
    assert storage.resources.count() == storage.evals.count() == 0
    assert storage.scores.where(scorerId="judge").columns("score").to_polars()["score"].to_list() == [0.5]
    assert storage.scores.count() == storage.workflows.count() == storage.agents.count() == 1
    assert storage.workflows.where(run_id="r").to_arrow().num_rows == storage.agents.to_polars().height == 1
    for name in TABLES:
        assert storage.table(name).to_arrow().column_names == list(TABLES[name].light)


def test_a_read_that_is_too_large_gives_no_rows_and_says_how_to_narrow_it(storage: Any, tmp_path: Path) -> None:
    keep(storage)

    for read in (storage.spans.to_arrow, storage.spans.to_polars, storage.spans.to_pandas):
        with pytest.raises(TooLarge, match=r"these spans take more than max_bytes=64 B.*limit\(\).*to_parquet\(\)"):
            read(max_bytes=64)
    assert storage.spans.to_arrow(max_bytes=None).num_rows == storage.spans.to_arrow(max_bytes="1MB").num_rows == 3
    with pytest.raises(InvalidInput, match=r"'much' is no size"):
        storage.spans.to_arrow(max_bytes="much")


def test_progress_is_told_rows_so_far(storage: Any, tmp_path: Path) -> None:
    keep(storage)
    told: list[int] = []

    storage.spans.to_arrow(progress=told.append)
    storage.spans.to_parquet(tmp_path / "x.parquet", progress=told.append)
    assert told[-1] == 3 and told.count(3) == 2


# --- what does not depend on the store ---


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with colonnade.open(":memory:") as store:
        keep(store)
        path = tmp_path / "spans.parquet"
        path.write_text("what was there")

        def broken(rows: int) -> None:
            raise RuntimeError("broken on its way")

        with pytest.raises(RuntimeError, match="broken"):
            store.spans.to_parquet(path, progress=broken)
        assert path.read_text() == "what was there" and os.listdir(tmp_path) == ["spans.parquet"]
        with pytest.raises(InvalidInput, match="is no folder"):
            store.spans.to_parquet(tmp_path / "missing" / "spans.parquet")
        with pytest.raises(InvalidInput, match="is a folder; name a file in it"):
            store.spans.to_parquet(tmp_path)


@pytest.mark.parametrize("address", [":memory:", "store.duckdb", "folder"])
def test_async_storages_are_awaited(address: str, tmp_path: Path) -> None:
    async def read() -> None:
        async with colonnade.aopen(address if address == ":memory:" else tmp_path / address) as store:
            await store.observability.batch_create_spans(records=SPANS_KEPT)
            chosen = store.spans.where(name="chat").order_by("startedAt")
            assert await chosen.count() == (await chosen.to_polars()).height == 2
            assert [row async for batch in chosen.batches() for row in batch.column("spanId").to_pylist()] == ["2", "1"]
            async for batch in store.spans.batches():
                assert batch.num_rows
                break  # what is left is let go of
            assert (await chosen.to_polars(lazy=True)).select(pl.len()).collect().item() == 2

    asyncio.run(read())


def test_selections_are_values() -> None:
    with colonnade.open(":memory:") as store:
        chosen = store.spans.where(name="chat")
        assert chosen == store.spans.where(name="chat") and hash(chosen) == hash(store.spans.where(name="chat"))
        assert chosen != store.spans
        assert chosen.limit(3).plan == Scan(
            SPANS, Is("name", "=", "chat"), (desc("startedAt"),), 3, columns=SPANS.light
        )
        assert store.spans.kept == store.spans.limit(1).kept


@pytest.mark.parametrize(
    ("narrowed", "said"),
    [
        (lambda spans: spans, "spans: light columns"),
        (lambda spans: spans.where(name="chat").with_payloads(), "spans where name = 'chat': all columns"),
        (
            lambda spans: spans.where((col.cost > 0.01) | col.cost.is_null(), name="chat").columns("cost"),
            "spans where (cost > 0.01 or cost is null) and name = 'chat': cost",
        ),
        (
            lambda spans: spans.order_by("cost", descending=True).limit(5000),
            "spans, by cost descending, at most 5,000: light columns",
        ),
        (lambda spans: spans.since(NOON), "spans where startedAt >= 2026-01-31 12:00:00+00:00: light columns"),
        (lambda spans: spans.where(col.attributes["a"][0] == 1), "spans where attributes['a'][0] = 1: light columns"),
        (lambda spans: spans.where(~col.name.is_in(["a"])), "spans where not (name in ['a']): light columns"),
        (lambda spans: spans.where(col.cost.is_not_null()), "spans where cost is not null: light columns"),
        (
            lambda spans: spans.where(col.name.contains("x" * 99)),
            f"spans where name contains '{'x' * 56}...: light columns",
        ),
        (lambda spans: spans.where(FALSE), "spans where nothing: light columns"),
    ],
)
def test_selections_say_what_they_are(narrowed: Any, said: str) -> None:
    with colonnade.open(":memory:") as store:
        assert repr(narrowed(store.spans)) == f"<Selection of {said}>"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (col.name == "chat", Is("name", "=", "chat")),
        (col("name") != "chat", Is("name", "!=", "chat")),
        (col.cost < 1, Is("cost", "<", 1)),
        (col.cost <= 1, Is("cost", "<=", 1)),
        (col.cost > 1, Is("cost", ">", 1)),
        (col.cost >= 1, Is("cost", ">=", 1)),
        (col.cost > 0.1, Is("cost", ">", 0.1)),
        (col.cost.is_between(1, 2), Is("cost", ">=", 1) & Is("cost", "<=", 2)),
        (col.name.is_in(["a", "b"]), OneOf("name", ("a", "b"))),
        (col.name.is_in([]), OneOf("name", ())),
        (~col.cost.is_null(), Not(Null("cost"))),
        (col.cost.is_not_null(), Not(Null("cost"))),
        (col.name.contains("cha"), Contains("name", "cha")),
        (col.attributes["a"]["b"] == 1, Is(At("attributes", ("a", "b")), "=", 1)),
        (
            col.attributes["a"][0].is_in([1, 2]),
            Is(At("attributes", ("a", 0)), "=", 1) | Is(At("attributes", ("a", 0)), "=", 2),
        ),
        (col.attributes["a"].is_in([]), Or(())),
        (col.attributes["a"].is_null(), Null(At("attributes", ("a",)))),
        (col.tags.has("x"), Is(At("tags"), "has", "x")),
        (col.tags == ["x"], Is(At("tags"), "=", ["x"])),
    ],
)
def test_what_conditions_mean(written: Any, meant: Any) -> None:
    assert condition(SPANS, [written], {}) == meant


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda spans: spans.where(nam="chat"), "did you mean 'name'"),
        (lambda spans: spans.where(col.nam == "chat"), "did you mean 'name'"),
        (lambda spans: spans.where("cost > 1"), "is no condition; write col"),
        (lambda spans: spans.where(pl.col("cost") > 1), r"to_polars\(lazy=True\).filter\(\); in where\(\) write"),
        (lambda spans: spans.where(col.isEvent), r"col\('isEvent'\) == True"),
        (lambda spans: spans.where(col.isEvent and col.cost > 1), "alone is no condition"),
        (lambda spans: spans.where(not col.isEvent), "alone is no condition"),
        (lambda spans: spans.where("x" in col.tags), r"\.has\('x'\) of a list, and not in"),
        (lambda spans: spans.columns(["name", "cost"]), "one by one, and not in a list: 'name', 'cost'"),
        (lambda spans: spans.where(col.cost > "much"), "must be a number"),
        (lambda spans: spans.where(col.cost == None), "is_null"),  # noqa: E711
        (lambda spans: spans.where(col.cost > col.inputTokens), "not with a column"),
        (lambda spans: spans.where(cost=col.inputTokens), "not with a column"),
        (lambda spans: spans.where(0 < col.cost < 1), "join several with &"),
        (lambda spans: spans.where(col.cost > 0 and col.cost < 1), "join several with &"),
        (lambda spans: spans.where(col.name.is_in("chat")), r"such as \['chat'\]"),
        (lambda spans: spans.where(col.name["x"] == 1), "no JSON column"),
        (lambda spans: spans.where(col.attributes[True] == 1), "a key or a number"),
        (lambda spans: spans.where(col.tags.is_in([1])), "is JSON"),
        (
            lambda spans: spans.since("yesterday"),
            "^'yesterday' is no ISO 8601 time; write datetime.* such as 30m, 24h, 7d$",
        ),
        (lambda spans: spans.columns(), "at least one"),
        (lambda spans: spans.columns("cost", "cost"), "each only once"),
        (lambda spans: spans.columns("costs"), "did you mean 'cost'"),
        (lambda spans: spans.columns(model="model"), "names a place inside JSON"),
        (lambda spans: spans.columns(model=col.name["x"]), "no JSON column"),
        (lambda spans: spans.columns(1), "named by text"),
        (lambda spans: spans.order_by(), "at least one"),
        (lambda spans: spans.order_by("costs"), "did you mean 'cost'"),
        (lambda spans: spans.order_by("attributes"), "is json, which has no order"),
        (lambda spans: spans.limit(-1), "whole number >= 0"),
        (lambda spans: spans.limit("3"), "whole number >= 0"),
    ],
)
def test_mistakes_are_told_where_they_are_made(mistake: Any, said: str) -> None:
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match=said):
        mistake(store.spans)


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        (lambda store: store.spans.filter(name="chat"), r"where\(name='chat'\)"),
        (lambda store: store.scores.filter(scorerId="judge"), r"where\(name='chat'\)"),
        (lambda store: store.spans.select("name"), r"columns\('name', 'cost'\)"),
        (lambda store: store.spans.head(), r"limit\(10\)"),
        (lambda store: store.spans.sort("cost"), r"order_by\('cost', descending=True\)"),
        (lambda store: store.spans.nothing, "'Selection' object has no attribute 'nothing'$"),
        (lambda store: attrgetter("plan")(col.metadata), r"written col\('metadata'\)\['plan'\]"),
        (lambda store: attrgetter("isnull")(col.cost), "did you mean 'is_null'"),
    ],
)
def test_what_other_libraries_call_it_is_answered_with_what_it_is_called_here(habit: Any, said: str) -> None:
    with colonnade.open(":memory:") as store, pytest.raises(AttributeError, match=said):
        habit(store)


def test_conditions_and_selections_are_copied_and_pickled_like_other_values() -> None:
    with colonnade.open(":memory:") as store:
        assert copy.copy(store.spans) == store.spans
    column = pickle.loads(pickle.dumps(copy.deepcopy(col.metadata["plan"])))
    assert (column.name, column.path) == ("metadata", ("plan",))
    assert not hasattr(col.cost, "_repr_html_")


def test_an_unknown_table_is_told() -> None:
    with colonnade.open(":memory:") as store, pytest.raises(InvalidInput, match="did you mean 'spans'"):
        store.table("span")


# --- any filter, against the reference ---


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same rows in three stores, in both colours, and in the reference."""
    folder = tmp_path_factory.mktemp("crowded")
    reference = Reference()
    stores = [colonnade.open(place) for place in (":memory:", folder / "store.duckdb", folder / "agent")]
    for table in (SPANS, SCORES, THREADS, MESSAGES):
        for seed in range(3):
            put = Put(table, crowd(table, seed))
            reference.put(put)
            for store in stores:
                store.execute(put)
    yield stores, reference
    for store in stores:
        store.close()


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_filter_keeps_what_the_reference_keeps(crowded: Any, data: st.DataObject) -> None:
    stores, reference = crowded
    table = data.draw(st.sampled_from([SPANS, SCORES, THREADS, MESSAGES]))
    where = data.draw(filters(table))
    try:
        meant = condition(table, [where], {})
    except InvalidInput:
        assume(False)
    chosen = [store.table(table).where(where).order_by(*table.key).with_payloads() for store in stores]
    wanted = reference.scan(Scan(table, meant, order=tuple(map(asc, table.key))))

    for each in chosen:
        assert _keys(table, plain(each.to_arrow())) == _keys(table, wanted)
        assert each.count() == len(wanted)
        assert _keys(table, plain(each.limit(2).to_arrow())) == _keys(table, wanted[:2])


def _keys(table: Any, rows: Any) -> list[Any]:
    return [tuple(row[name] for name in table.key) for row in rows]


def test_nothing_is_kept_by_a_filter_that_is_never_true() -> None:
    with colonnade.open(":memory:") as store:
        keep(store)
        assert store.spans.where(FALSE).count() == 0
        assert isinstance(store.spans, Selection) and store.spans.columns("name").wanted == (Wanted("name"),)


def test_places_hold_what_arrow_text_cannot() -> None:
    """A lone surrogate is kept escaped, as in all text columns."""
    with colonnade.open(":memory:") as store:
        attributes = {"a": "cut \ud83d", "b": [1.5, None]}
        span = {"traceId": "t", "spanId": "s", "name": "cut \ud83d", "startedAt": NOON, "attributes": attributes}
        store.observability.create_span(span=span)
        found = store.spans.columns("name", a=col.attributes["a"], b=col.attributes["b"]).to_arrow().to_pylist()
        assert found[0]["a"] == found[0]["name"] and found[0]["b"] == "[1.5,null]"
