"""User SQL: what is answered, and what is refused by either guard."""

from pathlib import Path

import polars
import pytest

import colonnade
from colonnade.engine.plan import Scan
from colonnade.errors import InvalidInput, QueryError
from colonnade.schemas import THREADS

INJECTION = "x' OR '1'='1"


@pytest.fixture(params=["memory", "duckdb", "composite"])
def store(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    opened = {
        "memory": lambda: colonnade.open(":memory:"),
        "duckdb": lambda: colonnade.open(tmp_path / "agent.db"),
        "composite": lambda: colonnade.open(tmp_path / "agent.db", memory=":memory:"),
    }[request.param]()
    for number in range(3):
        thread = {"id": f"t{number}", "resourceId": INJECTION, "title": "Hé", "metadata": {"plan": number}}
        opened.memory.save_thread(thread=thread)
    opened.observability.create_span(
        span={"traceId": "a", "spanId": "b", "name": "chat", "threadId": "t1", "startedAt": "2026-01-01T00:00:00Z"}
    )
    yield opened
    opened.close()


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
        ("select 1 as one union all select 2", None, [{"one": 1}, {"one": 2}]),
        ("from threads select count(*) as n", None, [{"n": 3}]),
    ],
)
def test_questions_are_answered(store, query, parameters, answer) -> None:  # type: ignore[no-untyped-def]
    assert store.sql(query, parameters).rows() == answer


@pytest.mark.parametrize(
    "query",
    [
        "insert into threads select * from threads",
        "delete from threads",
        "update threads set title = ''",
        "drop table threads",
        "create table mine as select * from threads",
        "truncate threads",
        "copy threads to 'out.csv'",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "pragma database_size",
        "call pragma_version()",
        "export database 'out'",
        "select 1; delete from threads",
        "with gone as (delete from threads returning *) select * from gone",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/etc/passwd')",
        "select * from parquet_scan('x.parquet')",
        "select * from glob('/*')",
        "select * from '/etc/passwd'",
        "select * from query('delete from threads')",
        "from query_table(['threads'])",
        "selec",
        "select",
        "select * from nothing_of_the_kind",
        "select no_such_column from threads",
        "select 'a'::int",
    ],
)
def test_what_writes_reaches_outside_or_fails_is_refused(store, query: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QueryError):
        store.sql(query).rows()
    assert store.execute(Scan(THREADS)).num_rows == 3


@pytest.mark.parametrize(
    "query",
    ["delete from threads", "copy threads to 'out.csv'", "select * from read_text('/etc/passwd')", "attach 'other.db'"],
)
def test_the_engine_refuses_by_itself(tmp_path: Path, query: str) -> None:
    with colonnade.open(tmp_path / "agent.db") as store:
        home = store.stores[0]
        with pytest.raises(QueryError):
            home.sql(query, None).read_all()  # type: ignore[union-attr]  # past the parser


def test_python_variables_are_out_of_reach(store) -> None:  # type: ignore[no-untyped-def]
    secrets = polars.DataFrame({"key": ["hidden"]})
    with pytest.raises(QueryError, match="no table 'secrets'"):
        store.sql("select * from secrets")
    assert len(secrets) == 1


def test_an_empty_question_says_what_to_ask(store) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match="select name, count"):
        store.sql("  ")


def test_a_wrong_table_is_answered_with_the_nearest(store) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QueryError, match="did you mean 'spans'"):
        store.sql("select * from span")


@pytest.mark.parametrize(
    "query", ["describe threads", "summarize threads", "show tables", "explain select * from threads"]
)
def test_a_look_at_tables_and_plans(store, query: str) -> None:  # type: ignore[no-untyped-def]
    assert store.sql(query).rows()


def test_frames_have_stable_types(store) -> None:  # type: ignore[no-untyped-def]
    frame = store.sql('select id, metadata, "createdAt" from threads').polars()
    assert frame.schema == {
        "id": polars.String,
        "metadata": polars.String,
        "createdAt": polars.Datetime("us", "UTC"),
    }


def test_a_result_that_is_not_read_to_its_end_blocks_nobody(store) -> None:  # type: ignore[no-untyped-def]
    next(store.sql("select * from threads").batches())
    store.memory.save_thread(thread={"id": "t9", "resourceId": "r", "title": ""})
    assert store.sql("select count(*) as n from threads").rows() == [{"n": 4}]
