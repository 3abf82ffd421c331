"""User SQL: what is answered, on every kind of storage, and in which forms."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import Plan
from colonnade.engine.running import Parameters
from colonnade.engine.store import AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidInput, QueryError, Unsupported
from colonnade.schemas import TABLES

INJECTION = "x' OR '1'='1"


def opened(kind: str, folder: Path) -> colonnade.Storage:
    """A storage of each kind, with some threads and a span."""
    store = {
        "memory": lambda: colonnade.open(":memory:"),
        "duckdb": lambda: colonnade.open(folder / "agent.db"),
        "sqlite": lambda: colonnade.open(f"sqlite:///{folder}/agent.sqlite"),
        "embedded": lambda: colonnade.open(folder / "agent"),
        "composite": lambda: colonnade.open(folder / "agent.db", memory=":memory:"),
        "folder and memory": lambda: colonnade.open(folder / "agent", memory=":memory:"),
    }[kind]()
    for number in range(3):
        thread = {"id": f"t{number}", "resourceId": INJECTION, "title": "Hé", "metadata": {"plan": number}}
        store.memory.save_thread(thread=thread)
    store.observability.create_span(
        span={"traceId": "a", "spanId": "b", "name": "chat", "threadId": "t1", "startedAt": "2026-01-01T00:00:00Z"}
    )
    return store


KINDS = ["memory", "duckdb", "sqlite", "embedded", "composite", "folder and memory"]


@pytest.fixture(params=KINDS, scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[colonnade.Storage]:
    """One for all tests that only read."""
    with opened(request.param, tmp_path_factory.mktemp("sql")) as store:
        yield store


@pytest.fixture(params=KINDS)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[colonnade.Storage]:
    """One to write to."""
    with opened(request.param, tmp_path) as store:
        yield store


@pytest.mark.parametrize(
    ("query", "parameters", "answer"),
    [
        ("select count(*) as n from threads", None, [{"n": 3}]),
        ("select id from threads where id = ?", ["t1"], [{"id": "t1"}]),
        ("select id from threads where id = $id", {"id": "t2"}, [{"id": "t2"}]),
        ('select count(*) as n from threads where "resourceId" = ?', [INJECTION], [{"n": 3}]),
        ("select json_extract(metadata, '$.plan')::int as plan from threads order by id limit 1", None, [{"plan": 0}]),
        ("with them as (select * from threads) select max(id) as m from them", None, [{"m": "t2"}]),
        (
            'select t.title, s.name from spans s join threads t on t.id = s."threadId"',
            None,
            [{"title": "Hé", "name": "chat"}],
        ),
        ('select id, "traceId" from traces', None, [{"id": "b", "traceId": "a"}]),
        # Columns and values that have the name of another column in them, which is not read for that.
        ('select "spanId" from spans where "inputTokens" = 7 or "outputTokens" > 7', None, []),
        ('select "spanId" from spans where "inputTokens" = ?', [7], []),
        ("select \"spanId\" from spans where name = 'input and output'", None, []),
        ('select "spanId" from spans where name in (?, ?)', ["chat", 'an "input'], [{"spanId": "b"}]),
        ("select 1 as one union all select 2", None, [{"one": 1}, {"one": 2}]),
        ("from threads select count(*) as n", None, [{"n": 3}]),
        ("select ? as a, ? as b", (1, "x"), [{"a": 1, "b": "x"}]),
        ("with threads as (select * from threads where id = 't1') select id from threads", None, [{"id": "t1"}]),
        ('select count(*) as n from THREADS join "Messages" on true', None, [{"n": 0}]),
        ("select t.id from threads t semi join threads u using (id) order by 1 limit 1", None, [{"id": "t0"}]),
        ("select u.a from threads u(a) order by 1 limit 1", None, [{"a": "t0"}]),
        ("select threads.id from threads natural join threads t order by 1 limit 1", None, [{"id": "t0"}]),
        ("select (t).title as title from (select threads as t from threads) limit 1", None, [{"title": "Hé"}]),
        ("select columns('^ti.*') from threads limit 1", None, [{"title": "Hé"}]),
        ("pivot (select id, title from threads) on id in ('t1') using max(title)", None, [{"t1": "Hé"}]),
        ("select sum(x) as n from range(4) t(x)", None, [{"n": 6}]),
        ("select unnest([1, 2]) as n", None, [{"n": 1}, {"n": 2}]),
        ("select value from threads, json_each(metadata) where threads.id = 't2'", None, [{"value": "2"}]),
        ("select 1 /* delete from threads */ as one -- ; drop table threads", None, [{"one": 1}]),
        ("select $$; delete from threads; --$$ as text;", None, [{"text": "; delete from threads; --"}]),
    ],
)
def test_questions_are_answered(store: colonnade.Storage, query: str, parameters: Parameters, answer: object) -> None:
    assert store.sql(query, parameters).rows() == answer


def test_an_empty_question_says_what_to_ask(store: colonnade.Storage) -> None:
    with pytest.raises(InvalidInput, match="select name, count"):
        store.sql("  ")


def test_a_wrong_table_is_answered_with_the_nearest(store: colonnade.Storage) -> None:
    with pytest.raises(QueryError, match="did you mean 'spans'"):
        store.sql("select * from span")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("describe threads", "resourceId"),
        ("show threads", "resourceId"),
        ("desc select id from threads", "VARCHAR"),
        ("summarize threads", "t2"),
        ("show tables", "workflows"),
        ("explain select title from threads where id = 't1'", "title"),
        ("explain analyze select count(*) from threads", "Total Time"),
        ("explain (format json) select title from threads", '"children"'),
        ("/* how */ explain -- and why\n select upper(title) from threads", "title"),
    ],
)
def test_a_look_at_tables_and_plans(store: colonnade.Storage, query: str, said: str) -> None:
    result = store.sql(query)
    assert said in str(result)
    assert (result.plan is not None) == ("explain" in query)
    assert result.rows()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("query", ["select count(*) from {}", "select 1 from {}", "select count(*) from {}, range(3)"])
def test_rows_of_each_table_are_counted_without_naming_a_column(
    store: colonnade.Storage, table: str, query: str
) -> None:
    rows = {"threads": 3, "spans": 1, "traces": 1}.get(table, 0)
    found = store.sql(query.format(table)).arrow().column(0).to_pylist()
    assert found == ([1] * rows if "select 1" in query else [rows * (3 if "range" in query else 1)])


def test_tables_are_listed_under_their_logical_names(store: colonnade.Storage) -> None:
    listed = {row["name"] for row in store.sql("show tables").rows()}
    assert set(TABLES) <= listed
    assert listed - set(TABLES) <= {"colonnade_schema"}
    columns = store.sql(
        "select column_name as name from information_schema.columns "
        "where table_schema = 'main' and table_name = 'threads' and table_catalog = current_database()"
    )
    assert {row["name"] for row in columns.rows()} == set(TABLES["threads"].columns)


def test_frames_have_stable_types(store: colonnade.Storage) -> None:
    frame = store.sql('select id, metadata, "createdAt" from threads').polars()
    assert frame.schema == {
        "id": polars.String,
        "metadata": polars.String,
        "createdAt": polars.Datetime("us", "UTC"),
    }


def test_a_result_that_is_not_read_to_its_end_blocks_nobody(own: colonnade.Storage) -> None:
    next(own.sql("select * from threads").batches())
    own.memory.save_thread(thread={"id": "t9", "resourceId": "r", "title": ""})
    assert own.sql("select count(*) as n from threads").rows() == [{"n": 4}]


def test_a_result_is_read_in_one_form_after_the_other(store: colonnade.Storage) -> None:
    result = store.sql("select id from threads order by id")
    assert result.schema.names == ["id"]
    assert result.arrow().num_rows == result.polars().height == len(result.rows()) == 3
    assert sum(batch.num_rows for batch in result.batches()) == 3
    assert repr(result) == "<SqlResult 3 rows of id>"
    assert "t2" in str(result)


def test_a_stream_is_read_once_and_never_taken_for_the_whole(store: colonnade.Storage) -> None:
    result = store.sql("select id from threads")
    assert sum(batch.num_rows for batch in result.batches()) == 3
    with pytest.raises(QueryError, match="once"):
        list(result.batches())
    with pytest.raises(QueryError, match="once"):
        result.arrow()


def test_other_libraries_read_a_result_as_arrow(store: colonnade.Storage) -> None:
    assert pa.table(store.sql("select id from threads order by id")).column("id").to_pylist() == ["t0", "t1", "t2"]
    assert polars.DataFrame(store.sql("select count(*) as n from spans")).item() == 1


def test_a_mistake_shows_at_once_and_a_failure_when_rows_are_read(store: colonnade.Storage) -> None:
    with pytest.raises(QueryError, match="title"):
        store.sql("select titel from threads")
    failing = store.sql("select error('rows are bad') from threads")
    with pytest.raises(QueryError, match="rows are bad"):
        failing.arrow()
    with pytest.raises(QueryError, match="rows are bad"):
        failing.rows()
    assert "rows are bad" in repr(failing)


@pytest.mark.parametrize("query", ["selec", "select", "select 'a'::int", "select no_such_column from threads", "', --"])
def test_what_is_wrong_is_an_error_of_ours(store: colonnade.Storage, query: str) -> None:
    with pytest.raises(QueryError):
        store.sql(query).rows()


def test_all_rows_come_in_batches(store: colonnade.Storage) -> None:
    sizes = [batch.num_rows for batch in store.sql("select i from range(200000) r(i)").batches()]
    assert sum(sizes) == 200_000
    assert max(sizes) < 200_000


@pytest.mark.parametrize("parameters", ["t1", 1, {"t1"}])
def test_parameters_are_a_list_or_a_dict(store: colonnade.Storage, parameters: object) -> None:
    with pytest.raises(InvalidInput, match="a list, for question marks"):
        store.sql("select id from threads where id = ?", parameters)  # type: ignore[arg-type]


def test_rows_that_were_written_meanwhile_are_seen_by_the_next_query(own: colonnade.Storage) -> None:
    for number in range(5):
        span = {"traceId": "a", "spanId": f"s{number}", "name": "tool", "startedAt": "2026-01-02T00:00:00Z"}
        own.observability.create_span(span=span)
        assert own.sql("select count(*) as n from spans where name = 'tool'").rows() == [{"n": number + 1}]


async def asked(address: str | Path) -> list[dict[str, object]]:
    async with colonnade.aopen(address) as store:
        await store.memory.save_thread(thread={"id": "t1", "resourceId": "r", "title": "Hé"})
        result = await store.sql("select title, count(*) over () as n from threads where id = ?", ["t1"])
        with pytest.raises(QueryError):
            await store.sql("select * from nothing")
        return result.rows()


@pytest.mark.parametrize("name", [":memory:", "agent.db", "agent"])
def test_an_async_storage_answers_too(tmp_path: Path, name: str) -> None:
    address = name if name == ":memory:" else tmp_path / name
    assert asyncio.run(asked(address)) == [{"title": "Hé", "n": 1}]


class Network(AsyncStore):
    """A natively async store, over one that is not."""

    abilities = MemoryStore.abilities

    def __init__(self) -> None:
        self.inner = MemoryStore()

    async def execute(self, plan: Plan) -> Any:
        """As the store behind it, after a while."""
        await asyncio.sleep(0)
        return self.inner.execute(plan)


@pytest.mark.parametrize("others", [{}, {"observability": ":memory:"}, {"memory": ":memory:"}])
def test_stores_that_are_natively_async_are_asked_too(others: dict[str, Any]) -> None:
    async def asked() -> list[dict[str, object]]:
        async with colonnade.aopen(Network(), **others) as store:
            await store.memory.save_thread(thread={"id": "t1", "resourceId": "r", "title": "Hé"})
            result = await store.sql(
                "select title, count(spans.name) as n from threads left join spans on true group by 1"
            )
            return result.rows()

    assert asyncio.run(asked()) == [{"title": "Hé", "n": 0}]


def test_the_memory_of_a_duckdb_file_is_that_of_the_file(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent.db") as store, pytest.raises(Unsupported, match="memory_limit"):
        store.sql("select 1", memory="512MB")
