"""Frames: dtypes that never change, lazy frames that read what is used, and JSON as structs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade import col
from colonnade.engine.plan import FALSE, TRUE, And, Filter, Is, Not, Null, OneOf, Or, Put, Scan
from colonnade.errors import InvalidInput, TooLarge, Unsupported
from colonnade.queries.frames_json import struct_of
from colonnade.queries.frames_lazy import narrowed
from colonnade.queries.frames_predicate import filter_of
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, TABLES, THREADS
from colonnade.schemas.payloads import from_json, to_json
from colonnade.schemas.table import Table
from colonnade.testing.strategies import BIGINTS, FLOATS, JSON, TIMES, crowd, json_values

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TRIED = (SPANS, SCORES, THREADS, EVALS)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """The same rows in three stores."""
    folder = tmp_path_factory.mktemp("frames")
    opened = [colonnade.open(place) for place in (":memory:", folder / "store.duckdb", folder / "agent")]
    for store in opened:
        for table in (*TRIED, MESSAGES):
            for seed in range(3):
                store.execute(Put(table, crowd(table, seed)))
    yield opened
    for store in opened:
        store.close()


# --- dtypes ---


@pytest.mark.parametrize("name", TABLES)
def test_dtypes_are_the_same_on_every_store_with_rows_and_without(name: str, stores: list[Any]) -> None:
    empty = pl.from_arrow(TABLES[name].schema.empty_table())
    assert isinstance(empty, pl.DataFrame)
    for store in stores:
        for chosen in (store.table(name).with_payloads(), store.table(name).with_payloads().where(FALSE)):
            assert chosen.to_arrow().schema.equals(TABLES[name].schema)
            assert chosen.to_polars().schema == empty.schema
            assert chosen.to_polars(lazy=True).collect_schema() == empty.schema
            assert chosen.to_polars(lazy=True).collect().schema == empty.schema
            assert [str(dtype) for dtype in chosen.to_pandas().dtypes] == [
                f"{'double' if kind == 'float' else field.type}[pyarrow]"
                for field, kind in zip(
                    TABLES[name].schema, (each.kind.name for each in TABLES[name].columns.values()), strict=True
                )
            ]


def test_columns_that_are_null_throughout_keep_their_dtype() -> None:
    with colonnade.open(":memory:") as store:
        store.observability.create_span(span={"traceId": "t", "spanId": "s", "name": "n", "startedAt": NOON})
        frame = store.spans.columns("cost", "inputTokens", "endedAt", user=col.attributes["user"]).to_polars()
        assert frame.dtypes == [pl.Float64, pl.Int64, pl.Datetime("us", "UTC"), pl.String]


def test_whole_numbers_stay_whole_in_pandas() -> None:
    with colonnade.open(":memory:") as store:
        for number, tokens in enumerate((2**53 + 1, None)):
            span = {"traceId": "t", "spanId": f"{number}", "name": "n", "startedAt": NOON, "inputTokens": tokens}
            store.observability.create_span(span=span)
        assert store.spans.order_by("spanId").to_pandas()["inputTokens"][0] == 2**53 + 1


# --- lazy frames ---

LITERALS: dict[str, tuple[Any, ...]] = {
    "text": ("a", "A", "100%", "x' OR '1'='1", "", "\uffff", "\ufdd0", "\ufdd0NaN", "\0"),
    "uuid": ("550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000", "x"),
    "json": ('{"a":1}', "{}", '"x"'),
    "integer": (0, 1, -1, 2**31 - 1, 1.0, 0.5),
    "bigint": (*BIGINTS, 1.0, 0.5),
    "float": (*FLOATS, 1, 0, 2**53 + 1, float("inf"), float("nan")),
    "boolean": (True, False),
    "timestamp": tuple(time.astimezone(UTC) for time in TIMES),
}


def one_of(draw: st.DrawFn, expressions: list[pl.Expr]) -> pl.Expr:
    return expressions[draw(st.integers(0, len(expressions) - 1))]


@st.composite
def predicates(draw: st.DrawFn, table: Table, depth: int = 2) -> pl.Expr:
    """Expressions of Polars over a table: most of them can be handed to a store, some cannot."""
    if depth and draw(st.booleans()):
        left, right = draw(predicates(table, depth - 1)), draw(predicates(table, depth - 1))
        return one_of(draw, [left & right, left | right, ~left, left.xor(right)])
    columns = [column for column in table.columns.values() if column.kind.name in LITERALS]
    column = draw(st.sampled_from(columns))
    here, kind = pl.col(column.name), column.kind.name
    value = draw(st.sampled_from(LITERALS[kind]))
    alike = [each for each in LITERALS[kind] if type(each) is type(value)]
    values = [value, *draw(st.lists(st.sampled_from(alike), max_size=2))]
    other = pl.col(draw(st.sampled_from([each.name for each in columns if each.kind == column.kind])))
    plain = [here == value, here != value, here < value, here <= value, here > value, here >= value]
    asked = [
        *plain,
        *[pl.lit(value) == here, pl.lit(value) < here, pl.lit(value) >= here],
        *[here.is_null(), here.is_not_null(), here.is_in(values), here.is_in([*values, None])],
        here.is_in(values, nulls_equal=True),
        here.is_between(value, values[-1], closed=draw(st.sampled_from(["both", "left", "right", "none"]))),
        *[here.eq_missing(value), here.ne_missing(value), here == other, here < other],
        *([here] if kind == "boolean" else []),
        *([here.str.starts_with("a"), here.str.len_bytes() > 2] if kind in ("text", "json") else []),
        *([here.dt.year() == 2026] if kind == "timestamp" else []),
        *([here + 1 > value, here.cast(pl.Float64) > 0.5] if kind in ("integer", "float") else []),
    ]
    return one_of(draw, asked)


_whole: dict[Table, pl.DataFrame] = {}


def whole(stores: list[Any], table: Table) -> pl.DataFrame:
    """All rows of a table, which are the same in all stores, in the order of its key."""
    if table not in _whole:
        frames = [store.table(table).order_by(*table.key).with_payloads().to_polars() for store in stores]
        assert all(frame.select(table.key).equals(frames[0].select(table.key)) for frame in frames)
        _whole[table] = frames[0]
    return _whole[table]


@settings(max_examples=150)
@given(data=st.data())
def test_a_lazy_frame_gives_what_filtering_the_whole_frame_gives(stores: list[Any], data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(TRIED))
    expression = data.draw(predicates(table))
    columns = data.draw(st.lists(st.sampled_from(table.names), min_size=1, max_size=3, unique=True))
    rows = data.draw(st.none() | st.integers(0, 5))
    limit = data.draw(st.none() | st.integers(0, 8))
    first = data.draw(st.booleans())
    engine = data.draw(st.sampled_from(["in-memory", "streaming"]))

    def asked(frame: Any) -> Any:
        if rows is not None and first:
            frame = frame.head(rows)
        frame = frame.filter(expression)
        return (frame if rows is None or first else frame.head(rows)).select(columns)

    try:
        wanted = asked(whole(stores, table).head(len(whole(stores, table)) if limit is None else limit))
    except pl.exceptions.PolarsError:
        assume(False)
    for store in stores:
        chosen = store.table(table).order_by(*table.key).with_payloads()
        found = asked((chosen if limit is None else chosen.limit(limit)).to_polars(lazy=True)).collect(engine=engine)
        assert found.equals(wanted)


@settings(max_examples=150)
@given(data=st.data())
def test_what_is_handed_to_a_store_is_true_of_every_row_that_polars_keeps(
    stores: list[Any], data: st.DataObject
) -> None:
    table = data.draw(st.sampled_from(TRIED))
    expression = data.draw(predicates(table))
    try:
        wanted = whole(stores, table).filter(expression)
    except pl.exceptions.PolarsError:
        assume(False)
    pushed = filter_of(expression, table)
    found = pl.from_arrow(stores[1].execute(Scan(table, pushed)))
    assert isinstance(found, pl.DataFrame)
    assert found.filter(expression).sort(table.key).select(table.key).equals(wanted.select(table.key))


a, cost, name, start, event = (pl.col(each) for each in ("inputTokens", "cost", "name", "startedAt", "isEvent"))


@pytest.mark.parametrize(
    ("expression", "pushed"),
    [
        (cost > 0.5, Is("cost", ">", 0.5)),
        (pl.lit(0.5) < cost, Is("cost", ">", 0.5)),
        (a == 3, Is("inputTokens", "=", 3)),
        (name != "x", Is("name", "!=", "x")),
        (start >= NOON, Is("startedAt", ">=", NOON)),
        (event, Is("isEvent", "=", True)),
        (~event, Not(Is("isEvent", "=", True))),
        (cost.is_null(), Null("cost")),
        (cost.is_not_null(), Not(Null("cost"))),
        (name.is_in(["a", "b"]), OneOf("name", ("a", "b"))),
        (a.is_in([1, 2]), OneOf("inputTokens", (1, 2))),
        (cost.is_between(0.5, 1.5), And((Is("cost", ">=", 0.5), Is("cost", "<=", 1.5)))),
        ((cost > 0.5) | (name == "x"), Or((Is("cost", ">", 0.5), Is("name", "=", "x")))),
        ((cost > 0.5) & (name.str.len_bytes() == 1), Is("cost", ">", 0.5)),
        ((cost > 0.5) | (name.str.len_bytes() == 1), TRUE),
        (~((cost > 0.5) & (name.str.len_bytes() == 1)), TRUE),
        (name == "\ufdd0", TRUE),
        (pl.col("attributes") == "{}", TRUE),
        (cost.eq_missing(0.5), TRUE),
        (cost.map_batches(lambda each: each.is_null(), return_dtype=pl.Boolean), TRUE),
    ],
    ids=str,
)
def test_what_is_handed_to_a_store(expression: pl.Expr, pushed: Filter) -> None:
    assert filter_of(expression, SPANS) == pushed


def test_columns_filters_and_limits_reach_the_plan() -> None:
    with colonnade.open(":memory:") as store:
        asked = narrowed(store.spans, ["cost"], pl.col("name") == "chat", None)
        assert asked.plan == Scan(SPANS, Is("name", "=", "chat"), columns=("name", "cost"))
        assert narrowed(store.spans.order_by("cost"), ["cost"], None, 3).plan.limit == 3
        assert narrowed(store.spans, ["cost"], None, 3).plan.limit is None  # in any order reading just ends
        assert narrowed(store.spans.limit(2), None, pl.col("name") == "chat", None).kept == TRUE
        model = store.spans.columns(name=col.attributes["model"])
        assert narrowed(model, ["name"], pl.col("name") == "chat", None).kept == TRUE


def test_a_lazy_frame_reads_when_it_is_collected_and_what_is_there_then() -> None:
    with colonnade.open(":memory:") as store:
        frame = store.spans.to_polars(lazy=True)
        assert frame.collect().height == 0
        for number in range(3):
            start = NOON + timedelta(seconds=number)
            store.observability.create_span(
                span={"traceId": "t", "spanId": f"{number}", "name": "n", "startedAt": start, "cost": number / 2}
            )
        assert frame.select(pl.len()).collect().item() == 3
        assert frame.filter(pl.col("cost") > 0.5).select("spanId").collect()["spanId"].to_list() == ["2"]
        assert frame.group_by("traceId").agg(pl.col("cost").sum()).collect()["cost"].to_list() == [1.5]
        assert frame.head(2).collect().height == 2 and frame.head(0).collect().height == 0
        model = store.spans.columns("spanId", x=col.attributes["x"]).to_polars(lazy=True)
        assert model.filter(pl.col("x").is_null()).select("spanId").collect().height == 3


def test_a_lazy_frame_is_bounded_too_and_tells_its_progress(stores: list[Any]) -> None:
    told: list[int] = []
    whole = stores[1].spans.to_polars(lazy=True, progress=told.append).collect()
    assert told[-1] == whole.height
    with pytest.raises((TooLarge, pl.exceptions.ComputeError), match="these spans take more than max_bytes=64 B"):
        stores[1].spans.to_polars(lazy=True, max_bytes=64).collect()
    with pytest.raises(InvalidInput, match="is no size"):
        stores[1].spans.to_polars(lazy=True, max_bytes="much")


def test_stores_that_cannot_block_refuse_lazy_frames_at_once(tmp_path: Path) -> None:
    import asyncio

    from colonnade.engine.composite import AsyncStorage
    from colonnade.engine.store import AsyncStore

    class Remote(AsyncStore):
        label = "remote"

        async def execute(self, plan: Any) -> Any:
            return plan.schema.empty_table()

    async def ask() -> None:
        storage = AsyncStorage(Remote())
        assert (await storage.spans.to_polars()).height == 0
        assert [batch async for batch in storage.spans.batches()] == []
        assert await storage.spans.to_parquet(tmp_path / "none.parquet") == 0
        with pytest.raises(Unsupported, match="remote has no blocking driver"):
            await storage.spans.to_polars(lazy=True)

    asyncio.run(ask())


# --- JSON as structs ---


def test_json_text_becomes_a_struct_of_the_fields_that_are_named() -> None:
    frame = pl.DataFrame({"x": ['{"model":"large","n":1,"l":[1,2]}', '{"model":2,"n":"1"}', None, '"text"']})
    fields: dict[str, Any] = {"model": pl.String, "n": pl.Int64, "l": pl.List(pl.Int64)}
    for made in (
        frame.select(pl.col("x").json.struct(fields))["x"],  # type: ignore[attr-defined]
        frame.lazy().select(pl.col("x").json.struct(fields)).collect()["x"],  # type: ignore[attr-defined]
        frame["x"].json.struct(fields),  # type: ignore[attr-defined]
    ):
        assert made.dtype == pl.Struct(fields)
        assert made.to_list() == [
            {"model": "large", "n": 1, "l": [1, 2]},
            {"model": "2", "n": None, "l": None},
            None,
            None,
        ]


def test_the_fields_of_json_text_are_found_where_none_are_named() -> None:
    texts = pl.Series("x", ['{"a.b":1,"b":true,"c":1,"d":{"e":1}}', '{"a.b":1.5,"b":null,"c":"1"}', None])
    made = struct_of(texts)
    assert made.dtype == pl.Struct({"a.b": pl.Float64, "b": pl.Boolean, "c": pl.String, "d": pl.String})
    assert made.to_list() == [
        {"a.b": 1.0, "b": True, "c": "1", "d": '{"e":1}'},
        {"a.b": 1.5, "b": None, "c": "1", "d": None},
        None,
    ]
    assert struct_of(pl.Series("x", [None, None])).to_list() == [None, None]
    with pytest.raises(InvalidInput, match="not JSON text"):
        struct_of(pl.Series("x", [1]))


DTYPES = (pl.String, pl.Int64, pl.Int8, pl.Float64, pl.Boolean, pl.List(pl.Int64), pl.Struct({"a": pl.String}))


@given(
    values=st.lists(st.sampled_from(JSON) | json_values() | st.none(), max_size=4),
    dtype=st.sampled_from(DTYPES),
    name=st.sampled_from(["a", "tags", "n", "", "missing"]),
)
def test_whatever_json_says_becomes_a_struct(values: list[Any], dtype: Any, name: str) -> None:
    texts = pl.Series("x", [None if value is None else to_json(value) for value in values], pl.String)
    given_fields, found = struct_of(texts, {name: dtype}), struct_of(texts)
    assert given_fields.dtype == pl.Struct({name: dtype})
    objects = [None if text is None else from_json(text) for text in texts]
    assert found.is_null().to_list() == given_fields.is_null().to_list()
    assert given_fields.is_null().to_list() == [not isinstance(each, dict) for each in objects]
    fields = {each.name for each in found.dtype.fields}  # type: ignore[attr-defined]
    assert len(fields) == len({key for each in objects if isinstance(each, dict) for key in each})


# --- what notebooks show ---


def test_results_of_sql_show_themselves_as_tables_and_plans_as_text() -> None:
    with colonnade.open(":memory:") as store:
        shown = store.sql("select '<script>alert(1)</script>' as name")._repr_mimebundle_()
        assert "<script>alert" in shown["text/plain"] and "&lt;script&gt;" in shown["text/html"]
        assert "<script>" not in shown["text/html"]
        assert "╭" in store.sql("explain select 1")._repr_mimebundle_()["text/html"]
