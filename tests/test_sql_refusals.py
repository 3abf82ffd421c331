"""Hostile SQL: each statement meets two guards, and each guard alone must hold.

The parser's guard is asked as users ask it. The engine's own is asked past the parser, with every statement that a user
might bring: it refuses, or what it does is named here as harmless. Afterwards nothing may have changed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars
import pytest

import colonnade
from colonnade.engine.sql_check import Reads, check
from colonnade.errors import InvalidInput, QueryError
from colonnade.schemas import SPANS, THREADS

WRITES: Final = """
insert into threads select * from threads
insert into spans values ('a')
update threads set title = ''
delete from threads
delete from spans
truncate spans
drop table threads
drop view spans
alter table spans add column z int
merge into threads using spans on true when matched then delete
create table mine as select * from threads
create temp table mine (i int)
create or replace view spans as select 1
create macro mine(x) as x
create type mine as enum ('a')
create sequence mine
create schema mine
create index mine on spans (name)
create secret mine (type s3, key_id 'a', secret 'b')
comment on table spans is 'mine'
select * into mine from threads
with gone as (delete from threads returning *) select * from gone
with gone as (insert into threads select * from threads returning *) from gone
(with gone as (delete from threads returning *) select * from gone)
explain analyze delete from threads
explain analyze delete from spans
explain analyze insert into threads select * from threads
explain analyze drop table threads
explain analyze drop view memory.main.spans
explain analyze create table mine (i int)
explain (analyze) update threads set title = ''
"""

ENGINE: Final = """
attach 'other.db'
attach ':memory:' as other
detach s0
detach agent
use s0
install httpfs
load httpfs
load '/tmp/mine.so'
explain analyze load httpfs
set threads = 1
set memory_limit = '1TB'
set enable_external_access = true
set lock_configuration = false
set allowed_directories = ['/']
set variable mine = 1
set search_path = 's0'
reset threads
pragma threads = 1
pragma database_list
pragma enable_profiling
pragma table_info('spans')
call pragma_version()
call enable_logging(storage = 'file', storage_path = 'logs')
select * from enable_logging(storage = 'file', storage_path = 'logs')
select * from enable_profiling(save_location = 'profile.json')
explain analyze set threads = 1
explain analyze call enable_logging(storage = 'file', storage_path = 'logs')
begin
commit
rollback
checkpoint
force checkpoint
vacuum
analyze
prepare mine as delete from threads
execute mine
deallocate mine
kill 1
"""

FILES: Final = """
copy threads to 'out.csv'
copy (select 1) to 'out.parquet' (format parquet)
copy threads from '/etc/passwd'
export database 'out'
import database 'out'
explain analyze copy (select 1) to 'out.csv'
select * from read_csv('/etc/passwd')
select * from read_csv_auto('/etc/passwd')
select * from read_text('/etc/passwd')
select * from read_blob('/etc/passwd')
select * from read_json('/etc/passwd')
select * from read_json_objects('/etc/passwd')
select * from read_ndjson('/etc/passwd')
select * from read_parquet('x.parquet')
select * from read_duckdb('other.db')
select * from parquet_scan('x.parquet')
select * from parquet_metadata('x.parquet')
select * from parquet_schema('x.parquet')
select * from sniff_csv('/etc/passwd')
select * from glob('/*')
select * from '/etc/passwd'
select * from 'x.parquet'
select * from "x.csv"
select * from 'http://127.0.0.1/x.csv'
from 'x.json'
from "/etc/passwd"
select * from main.read_text('/etc/passwd')
select * from system.main.read_text('/etc/passwd')
select * from "read_text"('/etc/passwd')
select * from READ_TEXT('/etc/passwd')
select * from threads, lateral read_text(id)
select (select content from read_text('/etc/passwd'))
select 1 where exists (from read_text('/etc/passwd'))
select * from threads union all by name select * from read_text('/etc/passwd')
with a as (select * from read_text('/etc/passwd')) select * from a
select * from query('select * from read_text(''/etc/passwd'')')
from query($$delete from threads$$)
from json_execute_serialized_sql(json_serialize_sql('select * from read_text(''/etc/passwd'')'))
describe select * from read_text('/etc/passwd')
summarize select * from read_text('/etc/passwd')
explain select * from read_text('/etc/passwd')
"""

TRICKS: Final = """
select 1; delete from threads
select 1; commit; delete from threads
select 1; rollback; drop table threads; --
select 1; commit; detach s0
select 1;;select 2
select id from threads where id = ''; drop table threads; --'
select 1; exec xp_cmdshell('ls') --
select 1 /* */; delete from threads /* */
/* select */ delete /* from x */ from threads
-- select 1 \\n delete from threads
select $$a$$; delete from threads
select $a$ $$ $a$; delete from threads
select 'it''s'; delete from threads
select E'\\''; delete from threads; --'
select * from secrets
select * from nothing_of_the_kind
select getenv('HOME')
select main.getenv('HOME')
select ('HOME').getenv()
select nextval('mine')
select * from arrow_scan(1, 2, 3)
select * from arrow_scan(1::bigint, 2::bigint, 3::bigint)
select * from arrow_scan_dumb(1, 2, 3)
select * from pandas_scan(1)
select * from python_arrow_scan(1)
select * from python_map_function(1, 2)
select * from seq_scan('spans')
select * from duckdb_secrets()
select * from which_secret('s3://a', 's3')
selec 1
select 'a
select $$a
"""

HARMLESS: Final = {
    "select current_setting('secret_directory')": "a path of the machine, and no secret: those are none",
    "select * from duckdb_settings()": "settings, and no secrets",
    "select * from duckdb_databases()": "where the store's own files are",
    "select * from pragma_database_size()": "sizes of the store's own files",
    "select * from pg_catalog.pg_settings": "settings, and no secrets",
    "select * from query('select 42')": "DuckDB lets it only select, and from nothing outside",
    "select * from query_table('threads')": "a table of the store",
    "select * from json_execute_serialized_sql(json_serialize_sql('select 42'))": "as query",
    "select * from truncate_duckdb_logs()": "there are no logs",
    "select write_log('mine')": "logging is off, and the setting locked",
    "select * from checkpoint()": "nothing is there to be written",
    "select * from histogram(threads, id)": "a table of the store",
    "select * from test_all_types()": "values that DuckDB makes up",
    "select * from main.threads": "a table of the store",
    "explain analyze commit": "it ends the query's own transaction, and one statement is all there is",
    "explain analyze prepare mine as delete from threads": "it is never executed, and gone with the connection",
    "explain analyze create temp table mine (i int)": "gone with the connection",
    "explain analyze set variable mine = 1": "gone with the connection",
    "explain analyze set search_path = 'main'": "gone with the connection",
}
"""What the parser refuses, for it is of no use, and the engine does not: what it does, and to whom."""

GROUPS: Final = {
    name: [line.replace("\\n", "\n") for line in group.strip().split("\n")]
    for name, group in {"writes": WRITES, "engine": ENGINE, "files": FILES, "tricks": TRICKS}.items()
}


@pytest.mark.parametrize("query", [*(query for group in GROUPS.values() for query in group), *HARMLESS])
def test_the_parser_refuses(query: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(QueryError):
        check(query)
    assert capfd.readouterr() == ("", "")  # sqlglot warns of what it does not know, which is nobody's business here


@pytest.fixture(params=["duckdb", "embedded", "arrow"], scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[colonnade.Storage]:
    folder = tmp_path_factory.mktemp("hostile")
    address = {"duckdb": folder / "agent.db", "embedded": folder / "agent", "arrow": Path(":memory:")}[request.param]
    with colonnade.open(address) as opened:
        opened.memory.save_thread(thread={"id": "t1", "resourceId": "r", "title": "Hé"})
        span = {"traceId": "a", "spanId": "b", "name": "chat", "startedAt": "2026-01-01T00:00:00Z"}
        opened.observability.create_span(span=span)
        opened.optimize()
        opened.observability.create_span(span={**span, "spanId": "c"})
        yield opened


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked, the parser finds nothing wrong with it, and that it reads two tables."""
    monkeypatch.setattr("colonnade.engine.sql.check", lambda _: Reads((THREADS, SPANS), None))


@pytest.mark.parametrize("group", GROUPS)
def test_the_engine_refuses_by_itself(
    store: colonnade.Storage, unguarded: None, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = what_there_is(store)
    answered = {}
    for query in GROUPS[group]:
        with suppress(QueryError):
            answered[query] = store.sql(query).arrow()
    assert answered == {}
    assert what_there_is(store) == before
    assert os.listdir(tmp_path) == []


def test_what_only_the_parser_refuses_changes_nothing(
    store: colonnade.Storage, unguarded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = what_there_is(store)
    for query in HARMLESS:
        with suppress(QueryError):  # some of it is refused by some stores
            store.sql(query).arrow()
    assert what_there_is(store) == before
    assert os.listdir(tmp_path) == []


def what_there_is(store: colonnade.Storage) -> list[object]:
    """Rows, tables, attached databases and settings, as the next query finds them; past the parser, too."""
    questions = [
        "select * from threads order by id",
        'select "spanId", name from spans order by 1',
        "show tables",
        "select database_name, path, readonly from duckdb_databases() order by 1",
        "select name, value from duckdb_settings() order by 1",
        "select * from duckdb_variables()",
        "select count(*) from duckdb_logs()",
    ]
    return [store.sql(question).rows() for question in questions]


def test_python_variables_are_out_of_reach(store: colonnade.Storage, unguarded: None) -> None:
    secrets = polars.DataFrame({"key": ["hidden"]})
    with pytest.raises(QueryError, match="secrets does not exist"):
        store.sql("select * from secrets")
    assert len(secrets) == 1


def test_the_engine_is_out_of_reach_of_files_while_it_reads_the_store(
    store: colonnade.Storage, unguarded: None
) -> None:
    names = ("enable_external_access", "lock_configuration", "python_enable_replacements")
    found = store.sql("select name, value from duckdb_settings()").rows()
    settings = {row["name"]: row["value"] for row in found}
    assert [settings[name] for name in names] == ["false", "true", "false"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from span", "did you mean 'spans'"),
        ("show span", "did you mean 'spans'"),
        ("select * from main.spans", "write spans, not main.spans"),
        ("select * from s0.spans", "write spans, not s0.spans"),
        ("select * from read_csv('x')", "read_csv() reaches outside the store"),
        ("select getenv('HOME')", "getenv() reaches outside the store"),
        ("select * from duckdb_settings()", "beside the tables there are duckdb_columns"),
        ("select 1; select 2", "one statement at a time, not 2"),
        ("delete from spans", "only reading is allowed here"),
        ("explain delete from spans", "only reading is allowed here"),
        ("select (", "cannot be read"),
    ],
)
def test_a_refusal_says_what_to_do(query: str, said: str) -> None:
    with pytest.raises(QueryError, match=re.escape(said)):
        check(query)


@pytest.mark.parametrize("query", ["", "  ", "-- nothing", "/* nothing */"])
def test_nothing_asked_is_bad_input(query: str) -> None:
    with pytest.raises(InvalidInput, match="the query is empty"):
        check(query)


def test_pivot_without_its_values_is_told_what_is_missing(store: colonnade.Storage) -> None:
    with pytest.raises(QueryError, match="on name in"):
        store.sql("pivot spans on name using count(*)")


@pytest.mark.parametrize(
    ("query", "tables", "columns"),
    [
        ("select count(*) from threads", ["threads"], {"id"}),
        ("select upper(title) from threads where id = 'x'", ["threads"], {"id", "title"}),
        ("select TITLE from THREADS", ["threads"], {"id", "title"}),
        (
            "select t.title from threads t join messages m on m.thread_id = t.id",
            ["threads", "messages"],
            {"id", "title"},
        ),
        ("with threads as (select title from threads) select title from threads", ["threads"], {"id", "title"}),
        ("select title from 'threads'", ["threads"], {"id", "title"}),
        ("explain select title from threads", ["threads"], {"id", "title"}),
        ("from threads", ["threads"], None),
        ("select threads from threads", ["threads"], None),
        ("select to_json(t) from threads t", ["threads"], None),
        ("select title from threads natural join messages", ["threads", "messages"], None),
        ("select a from threads t(a)", ["threads"], None),
        ("select columns('t.*') from threads", ["threads"], None),
        ("select n from (pivot threads on id in ('a') using count(*) as n)", ["threads"], None),
        ("summarize threads", ["threads"], None),
        ("from (describe threads)", ["threads"], None),
        ("show tables", [], None),
    ],
)
def test_what_a_query_reads_is_known_before_it_runs(query: str, tables: list[str], columns: set[str] | None) -> None:
    found = check(query)
    assert [table.name for table in found.tables] == tables
    if tables:
        assert set(found.columns(THREADS)) == set(THREADS.columns if columns is None else columns)
