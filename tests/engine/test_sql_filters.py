"""What of user SQL a store is asked: filters that leave out no row that the query can use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import And, Filter, Is, Not, Null, OneOf, Or, Plan, Scan
from colonnade.engine.sql_check import Reads, check
from colonnade.engine.sql_filters import filters
from colonnade.engine.store import AsyncStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.schemas.payloads import escape_text

A = Is("name", "=", "a")
B = Is("name", "=", "b")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def asked(query: str, parameters: Any = None) -> dict[str, Filter]:
    return {table.name: where for table, where in filters(check(query).statement, parameters).items()}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("name = 'a'", A),
        ("('a') = (NAME)", A),
        ("spans.name <> 'it''s'", Is("name", "!=", "it's")),
        ("name < 'a' and 'b' <= name", And((Is("name", "<", "a"), Is("name", ">=", "b")))),
        ("name = 'a' and upper(name) = 'A' and length(name) > 0", A),
        ("name in ('a', 'b')", OneOf("name", ("a", "b"))),
        ("name between 'a' and 'b'", And((Is("name", ">=", "a"), Is("name", "<=", "b")))),
        ("model is null", Null("model")),
        ("model is not null", Not(Null("model"))),
        ("not (model is null)", Not(Null("model"))),
        ('"isEvent" = true', Is("isEvent", "=", True)),
        ("\"startedAt\" >= '2026-01-01'", Is("startedAt", ">=", NEW_YEAR)),
        ("\"startedAt\" >= timestamp '2026-01-01 00:00:00'", Is("startedAt", ">=", NEW_YEAR)),
        ("\"startedAt\" >= '2026-01-01T00:00:00Z'::timestamptz", Is("startedAt", ">=", NEW_YEAR)),
        (r"name = 'a\n'", Is("name", "=", r"a\n")),
    ],
)
def test_a_condition_on_a_column_is_asked(where: str, found: Filter) -> None:
    assert asked(f"select * from spans where {where}") == {"spans": found}


@pytest.mark.parametrize(
    "where",
    [
        "name = 'a' or name = 'b'",  # it could be; it is rare
        "name = 1",
        'name = "spanType"',
        "name like 'a%'",
        "name in (select title from threads)",
        "name not in ('a')",
        "name in ('a', null)",
        "name = null",
        "name = 'a' || 'b'",
        r"name = e'a\n'",
        "name = any(['a'])",
        "name collate nocase = 'a'",
        "name is distinct from 'a'",
        "lower(name) = 'a'",
        "attributes = '{}'",
        "\"spanId\" = ''",
        "attributes is null",
        "\"startedAt\" >= '2026-01-01T00:00:00+02:00'",
        "\"startedAt\" >= '2026-02-30'",
        '"startedAt" >= now() - interval 1 day',
        "\"startedAt\" >= '2026-01-01 12:00:00'::date",
        "not name = 'a'",
    ],
)
def test_what_might_be_meant_otherwise_is_left_to_duckdb(where: str) -> None:
    assert asked(f"select * from spans where {where}").get("spans", And(())) == And(())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("select 1 from spans s where s.name = 'a'", {"spans": A}),
        ("select 1 from spans s join threads t on true where s.name = 'a' and t.id = 'x'", "both"),
        ("select 1 from spans s, threads t where s.name = 'a' and t.id = 'x'", "both"),
        ("select 1 from spans s, threads t where name = 'a'", {}),
        ("select 1 from spans s left join threads t on true where s.name = 'a' and t.id is null", {"spans": A}),
        ("select 1 from threads t left join spans s on true where s.name = 'a'", {}),
        ("select 1 from spans s right join threads t on true where s.name = 'a'", {}),
        ("select 1 from spans s full join threads t on true where s.name = 'a' and t.id = 'x'", {}),
        ("select 1 from spans s anti join threads t on true where s.name = 'a'", {"spans": A}),
        ('select 1 from spans s asof join scores t on s."startedAt" >= t."createdAt" where s.name = \'a\'', {}),
        ("select 1 from spans s positional join threads t where s.name = 'a'", {}),
        ("select 1 from spans s(name, x) where name = 'a'", {}),
        ("select 1 from (select * from spans) where name = 'a'", {}),
        ("select 1 from (select * from spans where name = 'a') s left join threads t on true", {"spans": A}),
        ("with s as (select * from spans where name = 'a') select 1 from s", {"spans": A}),
        ("with spans as (select * from spans where name = 'a') select 1 from spans where name = 'b'", {}),
        ("select 1 from spans where name = 'a' union all select 1 from spans where name = 'b'", {"spans": Or((A, B))}),
        ("select 1 from spans where name = 'a' union all select 1 from spans", {}),
        ("select 1 from spans a join spans b on true where a.name = 'a' and b.name = 'a'", {"spans": Or((A,))}),
        ("select (select count(*) from spans where name = 'a' and id = t.id) from threads t", {"spans": A}),
        ("select 1 from spans using sample 10 where name = 'a'", {}),
        ("from spans tablesample 10% where name = 'a'", {}),
        ("select name, count(*) from spans group by name having name = 'a'", {}),
        ("explain select 1 from spans where name = 'a'", {"spans": A}),
        ("show spans", {}),
    ],
)
def test_where_a_table_may_be_narrowed(query: str, found: Any) -> None:
    if found == "both":
        found = {"spans": A, "threads": Is("id", "=", "x")}
    try:
        assert asked(query) == found
    except colonnade.QueryError:
        assert found == {}, "the query is refused"


@pytest.mark.parametrize(
    ("query", "parameters", "found"),
    [
        ("select 1 from spans where name = ?", ["a"], A),
        ("select 1 from spans where name = $name", {"name": "a"}, A),
        ("select 1 from spans where name = $2 and $1 = 1", [1, "a"], A),
        ("select 1 from spans where ? = name and name in (?, ?)", ["a", "b", "c"], And((A, OneOf("name", ("b", "c"))))),
        ("select 1 from spans where (name = ? or name = ?) and name = ?", ["x", "y", "a"], A),
        ("select ? from spans where name = ?", ["x", "a"], None),
        ("select 1 from spans where lower(?) = name and name = ?", ["x", "a"], None),
        ("select 1 from spans where name = ? limit ?", ["a", 1], None),
        ("select 1 from spans where name = ?", [None], None),
        ("select 1 from spans where name = ?", ["a\0"], None),
        ("select 1 from spans where name = ?", [escape_text("a\0")], None),
        ("select 1 from spans where name = ?", [1], None),
        ("select 1 from spans where name = ?", [], None),
        ("select 1 from spans where name = $other", {"name": "a"}, None),
        ('select 1 from spans where "startedAt" > ?', [NEW_YEAR], Is("startedAt", ">", NEW_YEAR)),
        ('select 1 from spans where "startedAt" > ?', [datetime(2026, 1, 1)], Is("startedAt", ">", NEW_YEAR)),
        (
            'select 1 from spans where "startedAt" > ?',
            [datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))],
            Is("startedAt", ">", NEW_YEAR),
        ),
    ],
)
def test_bound_values_are_values(query: str, parameters: Any, found: Filter | None) -> None:
    assert asked(query, parameters).get("spans", And(())) == (And(()) if found is None else found)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[colonnade.Storage, colonnade.Storage]]:
    """The same rows where SQL runs in the store, and where it runs over Arrow, filters told."""
    with (
        colonnade.open(tmp_path_factory.mktemp("sql") / "agent.db") as whole,
        colonnade.open(":memory:", memory=MemoryStore()) as apart,
    ):
        for store in (whole, apart):
            for at in range(12):
                title = (None, "", "a", "A", "b", "é")[at % 6]
                thread: dict[str, Any] = {"id": f"t{at}", "resourceId": "ab"[at % 2], "title": title}
                thread |= {"createdAt": NEW_YEAR + timedelta(hours=at), "updatedAt": NEW_YEAR}
                store.memory.save_thread(thread=thread)
                span = {"traceId": "t", "spanId": f"s{at}", "name": title or "x", "threadId": f"t{at % 5}"}
                store.observability.create_span(span=span | {"startedAt": NEW_YEAR + timedelta(hours=at)})
        yield whole, apart


TEXTS = st.sampled_from(["''", "'a'", "'A'", "'b'", "'é'", "'t1'", "'t3'", "null"])
TIMES = st.sampled_from(["'2026-01-01 03:00:00'", "timestamp '2026-01-01 05:00:00'", "'2026-01-02'"])
OPS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def conditions(alias: str, key: str, text: str, time: str) -> st.SearchStrategy[str]:
    column = st.sampled_from([f"{alias}.{text}", f'{alias}."{key}"'])
    atoms = st.one_of(
        st.builds("{} {} {}".format, column, OPS, TEXTS),
        st.builds("{} {} {}".format, TEXTS, OPS, column),
        st.builds('{}."{}" {} {}'.format, st.just(alias), st.just(time), OPS, TIMES),
        st.builds("{} in ({}, {})".format, column, TEXTS, TEXTS),
        st.builds("{} between {} and {}".format, column, TEXTS, TEXTS),
        st.builds("{} is {}null".format, column, st.sampled_from(["", "not "])),
    )
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=4,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    join=st.sampled_from(["join", "left join", "right join", "full join", "semi join", "anti join", ","]),
    threads=conditions("t", "id", "title", "createdAt"),
    spans=conditions("s", "spanId", "name", "startedAt"),
    turned=st.booleans(),
)
def test_answers_are_the_same_as_without(
    pair: tuple[colonnade.Storage, colonnade.Storage], join: str, threads: str, spans: str, turned: bool
) -> None:
    whole, apart = pair
    sides = ["spans s", "threads t"] if turned else ["threads t", "spans s"]
    on = "" if join == "," else 'on s."threadId" = t.id'
    one = join in ("semi join", "anti join")
    where = (spans if turned else threads) if one else f"{threads} and {spans}"
    ids = ('s."spanId"' if turned else "t.id") if one else 't.id, s."spanId"'
    query = f"select {ids} from {sides[0]} {join} {sides[1]} {on} where {where} order by all"
    assert apart.sql(query).rows() == whole.sql(query).rows()


def test_an_alias_does_not_hide_the_column_that_a_where_means(
    pair: tuple[colonnade.Storage, colonnade.Storage],
) -> None:
    for store in pair:
        assert store.sql("select upper(title) as title from threads where title = 'a'").rows() == [{"title": "A"}] * 2


def test_a_store_is_asked_for_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Scan] = []
    scan = MemoryStore.scan

    def heard(store: MemoryStore, plan: Scan) -> pa.Table:
        seen.append(plan)
        return scan(store, plan)

    monkeypatch.setattr(MemoryStore, "scan", heard)
    with colonnade.open(tmp_path / "agent.db", memory=":memory:") as store:
        query = 'select t.title from threads t join spans s on s."threadId" = t.id where t.id = ?'
        assert store.sql(query, ["t1"]).rows() == []
    [plan] = seen
    assert (plan.table.name, plan.where, plan.columns) == ("threads", Is("id", "=", "t1"), ("id", "title"))


class Awaited(AsyncStore):
    """A store in memory that is awaited."""

    abilities = MemoryStore.abilities

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.asked: list[Scan] = []

    async def execute(self, plan: Plan) -> Any:
        if isinstance(plan, Scan):
            self.asked.append(plan)
        return self.inner.execute(plan)


def test_columns_that_were_not_foreseen_are_read_by_the_loop_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reads, "columns", lambda reads, table: ("id",))
    store = Awaited()

    async def work() -> list[Any]:
        async with colonnade.aopen(store) as storage:
            for id in ("t1", "t2"):
                await storage.memory.save_thread(thread={"id": id, "resourceId": "r", "title": id.upper()})
            store.asked.clear()
            return (await storage.sql("select title from threads where id = ?", ["t1"])).rows()

    assert asyncio.run(work()) == [{"title": "T1"}]
    assert [plan.where for plan in store.asked] == [Is("id", "=", "t1")] * 2
    assert store.asked[0].columns == ("id",)
