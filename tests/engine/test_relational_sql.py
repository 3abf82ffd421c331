"""Plans as SQL: every statement is its dialect's SQL, no value is ever part of its text, and upserts keep the rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

import colonnade
from colonnade.engine.abilities import Abilities, perform
from colonnade.engine.dialect import DIALECTS, DUCKDB, SQLITE, Dialect
from colonnade.engine.fold import collapse, summary_schema
from colonnade.engine.plan import (
    TRUE,
    Among,
    And,
    At,
    Bucket,
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
    desc,
    each_leaf,
)
from colonnade.engine.relational import INLINE, Renderer, Statement, ddl, rows_of
from colonnade.engine.sqlite_values import bound
from colonnade.engine.stores import duckdb as duckdb_store
from colonnade.engine.stores import sqlite_session
from colonnade.schemas import EVALS, MESSAGES, READINGS, SCORES, SPANS, STORED, TABLES, THREADS, TRACES, WORKFLOWS
from colonnade.schemas import kinds as k
from colonnade.schemas.records import encode
from colonnade.schemas.table import Table, table
from colonnade.testing import plans
from colonnade.testing.reference import Reference, is_same, plain
from colonnade.testing.strategies import crowd

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SOME = (THREADS, MESSAGES, WORKFLOWS, SPANS, SCORES, EVALS, TRACES)
ABILITIES = {"duckdb": duckdb_store.ABILITIES, "sqlite": sqlite_session.ABILITIES}
EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


class Asked:
    """A store that knows nothing and remembers which plans would have run natively."""

    def __init__(self, abilities: Abilities) -> None:
        self.abilities = abilities


def native(plan: Plan, dialect: Dialect) -> list[Plan]:
    """The plans that a store of a dialect is given for a plan."""
    store, found, answer = Asked(ABILITIES[dialect.name]), [], None  # type: ignore[var-annotated]
    steps = perform(plan, lambda table: store)
    while True:
        try:
            _, asked = steps.send(answer)
        except StopIteration:
            return found
        found.append(asked)
        match asked:
            case Scan():
                answer = asked.schema.empty_table()
            case Summarize():
                answer = summary_schema(asked).empty_table()
            case _:
                answer = 0


def rendered(plan: Plan, dialect: Dialect) -> Statement:
    renderer = Renderer(dialect, bound if dialect is SQLITE else lambda value: value)
    match plan:
        case Scan():
            return renderer.scan(plan)
        case Summarize():
            return renderer.summarize(plan)
        case Patch():
            return renderer.patch(plan)
        case Delete():
            return renderer.delete(plan)
    raise AssertionError(f"{plan!r} has no statement")


KIND_OF_STATEMENT = {Scan: exp.Select, Summarize: exp.Select, Patch: exp.Update, Delete: exp.Delete}


def parsed(statement: Statement, dialect: Dialect) -> exp.Expression:
    """The statement as sqlglot reads it: one, with as many placeholders as there are values."""
    (tree,) = sqlglot.parse(statement.sql, dialect=dialect.name)
    assert tree is not None
    placeholders = list(tree.find_all(exp.Placeholder))
    assert len(placeholders) == len(statement.parameters), statement.sql
    assert statement.sql.count("?") == len(placeholders)
    return tree  # type: ignore[return-value]


@st.composite
def some_plans(draw: st.DrawFn) -> Plan:
    kind = draw(st.sampled_from((plans.scans, plans.summaries, plans.patches, plans.deletes)))
    of = draw(st.sampled_from(SOME if kind in (plans.scans, plans.summaries) else SOME[:-1]))
    return draw(kind(of, SOME))  # type: ignore[return-value]


@EACH_DIALECT
@given(plan=some_plans())
def test_every_statement_is_sql_of_its_dialect_with_every_value_bound(dialect: Dialect, plan: Plan) -> None:
    for asked in native(plan, dialect):
        statement = rendered(asked, dialect)
        tree = parsed(statement, dialect)
        assert isinstance(tree, KIND_OF_STATEMENT[type(asked)])
        assert {literal.this for literal in tree.find_all(exp.Literal) if literal.is_string} <= words(dialect)


def words(dialect: Dialect) -> frozenset[str]:
    """The texts that a dialect itself writes into statements: names of JSON types, and the path of the whole."""
    json = dialect.json
    assert json is not None
    return frozenset(
        {*json.strings, *json.numbers, *json.booleans, json.null, "$", "ARRAY", "array", "text", "VARCHAR"}
    )


@EACH_DIALECT
@given(plan=some_plans())
def test_the_text_of_a_statement_does_not_depend_on_any_value(dialect: Dialect, plan: Plan) -> None:
    for asked in native(plan, dialect):
        here, there = rendered(asked, dialect), rendered(with_other_values(asked), dialect)
        assert here.sql == there.sql
        assert len(here.parameters) == len(there.parameters)


def other(value: Any) -> Any:
    """Another value of the same type, which no strategy draws."""
    match value:
        case bool():
            return not value
        case int():
            return 77_777
        case float():
            return 77_777.25
        case str():
            return "zz'\"--zz"
        case bytes():
            return b"zz"
        case datetime():
            return datetime(2001, 2, 3, tzinfo=UTC)
    return value


def with_other_values(plan: Plan) -> Plan:
    def changed(leaf: Filter) -> Filter:
        match leaf:
            case Is(At(column, path), op, value):
                return Is(At(column, tuple("zz" for _ in path)), op, other(value))
            case Is(name, op, value):
                return Is(name, op, other(value))
            case Null(At(column, path)):
                return Null(At(column, tuple("zz" for _ in path)))
            case OneOf(name, values):
                return OneOf(name, tuple(map(other, values)))
            case Among(name, scan, of):
                return Among(name, scan.but(where=each_leaf(scan.where, changed)), of)
        return leaf

    assert not isinstance(plan, Put)
    plan = replace(plan, where=each_leaf(plan.where, changed))
    if isinstance(plan, Patch):
        return replace(plan, values={name: other(value) for name, value in plan.values.items()})
    return plan


@cache
def empty_sqlite() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.create_function("contains_alike", 2, lambda stored, text: None)  # as the store's connections have it
    for of in (*STORED, *READINGS):
        for statement in ddl(SQLITE, of):
            connection.execute(statement)
    return connection


@cache
def empty_duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for of in (*STORED, *READINGS):
        for statement in ddl(DUCKDB, of):
            connection.execute(statement)
    return connection


@given(plan=some_plans())
def test_sqlite_itself_understands_every_statement(plan: Plan) -> None:
    for asked in native(plan, SQLITE):
        statement = rendered(asked, SQLITE)
        empty_sqlite().execute(f"EXPLAIN {statement.sql}", statement.parameters)


@given(plan=some_plans())
def test_duckdb_itself_understands_every_statement(plan: Plan) -> None:
    for asked in native(plan, DUCKDB):
        statement = rendered(asked, DUCKDB)
        (extracted,) = empty_duckdb().extract_statements(statement.sql)
        assert len(extracted.named_parameters) == len(statement.parameters)


# --- what there is to make -----------------------------------------------------------------------------------------


@EACH_DIALECT
@pytest.mark.parametrize("of", TABLES.values(), ids=TABLES)
def test_ddl_is_sql_of_its_dialect(dialect: Dialect, of: Table) -> None:
    dialect = replace(dialect, payload="")  # sqlglot does not know COMPRESSION; DuckDB itself runs it below
    made, *indexes = [sqlglot.parse_one(statement, dialect=dialect.name) for statement in ddl(dialect, of)]
    assert isinstance(made, exp.Create) and made.kind == ("VIEW" if of.facts.reading_of else "TABLE")
    assert all(isinstance(index, exp.Create) and index.kind == "INDEX" for index in indexes)
    if not of.facts.reading_of:
        assert [column.name for column in made.find_all(exp.ColumnDef)] == list(of.columns)


@pytest.mark.parametrize("of", STORED, ids=lambda of: of.name)
def test_sqlite_makes_the_columns_the_key_and_the_indexes_of_the_schema(of: Table) -> None:
    info = empty_sqlite().execute(f"PRAGMA table_info({of.name})").fetchall()
    assert [(name, not required) for _, name, _, required, _, _ in info] == [
        (column.name, column.nullable) for column in of.columns.values()
    ]
    assert [name for _, name, _, _, _, place in sorted(info, key=lambda row: row[5]) if place] == list(of.key)
    indexes = [row[1] for row in empty_sqlite().execute(f"PRAGMA index_list({of.name})") if row[3] == "c"]
    found = set()
    for index in indexes:
        terms = [row for row in empty_sqlite().execute(f"PRAGMA index_xinfo({index})") if row[5]]
        found.add((tuple(row[2] for row in terms), tuple(row[3] for row in terms)))
    assert found == {((*index.columns, index.newest), (0,) * len(index.columns) + (1,)) for index in of.facts.indexes}


def test_duckdb_has_no_indexes() -> None:
    assert not empty_duckdb().execute("SELECT * FROM duckdb_indexes()").fetchall()
    assert (
        not empty_duckdb()
        .execute("SELECT * FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'")
        .fetchall()
    )


@EACH_DIALECT
def test_a_reading_is_a_view_of_its_origin(dialect: Dialect) -> None:
    (view,) = ddl(dialect, TRACES)
    assert '"spanId" AS "id"' in view and '"name" AS "name"' in view and view.endswith('FROM "spans"')
    assert ddl(replace(dialect, mastra_names=True), TRACES)[0].endswith('FROM "mastra_ai_spans"')


@pytest.mark.parametrize("name", ['a"b', '"', "a\0b", 'x"; DROP TABLE spans; --'])
@EACH_DIALECT
def test_a_name_with_a_quote_is_refused_wherever_it_is_written(dialect: Dialect, name: str) -> None:
    evil = table(
        name,
        [k.field("id", k.TEXT, "Who.", identifier=True), k.field(name, k.TEXT, "Evil.", nullable=True)],
        domain="memory",
        record="Evil",
        mastra=name,
        description="For a test.",
        key=["id"],
    )
    refuses = pytest.raises(ValueError, match="is no name of a table or column")
    with refuses:
        dialect.ident(name)
    for plan in (
        Scan(evil, columns=("id",)),
        Scan(THREADS, Is(name, "=", 1)),
        Scan(THREADS, order=(Order(name),)),
        Scan(THREADS, columns=(name,)),
        Scan(THREADS, Is(At(name), "=", 1)),
        Summarize(THREADS, (name,)),
        Summarize(THREADS, measures=(Measure("count", name=name),)),
        Summarize(SPANS, (Bucket(name, timedelta(1)),)),
        Patch(THREADS, TRUE, {name: 1}),
        Delete(evil, TRUE),
    ):
        with refuses:
            rendered(plan, dialect)
    with refuses:
        ddl(dialect, evil)
    with refuses:
        Renderer(dialect).put_values(evil, [["a", "b"]])


# --- examples ------------------------------------------------------------------------------------------------------


@EACH_DIALECT
def test_a_scan_reads_as_one_would_write_it(dialect: Dialect) -> None:
    where = And((Is("resourceId", "!=", "x"), Or((Null("metadata"), Not(OneOf("title", ("a", None)))))))
    plan = Scan(THREADS, where, (desc("createdAt"),), limit=5, offset=2, columns=("id", "title"))
    assert rendered(plan, dialect) == Statement(
        'SELECT "id", "title" FROM "threads" WHERE ("resourceId" <> ? AND ("metadata" IS NULL OR '
        'NOT (("title" IN (?) OR 1 = NULL)))) '
        'ORDER BY "createdAt" DESC NULLS LAST, "id" ASC NULLS LAST LIMIT 5 OFFSET 2',
        ("x", "a"),
    )
    assert rendered(Scan(THREADS, offset=3), dialect).sql.endswith(f" LIMIT {dialect.no_limit} OFFSET 3")
    assert rendered(Scan(THREADS, columns=("id",)), dialect).sql == 'SELECT "id" FROM "threads"'
    first = rendered(Scan(THREADS, order=(Order("title", nulls_first=True),)), dialect)
    assert 'ORDER BY "title" ASC NULLS FIRST, "id" ASC NULLS LAST' in first.sql


@EACH_DIALECT
def test_filters_of_no_parts_and_of_null(dialect: Dialect) -> None:
    for where, text in (
        (And((And(()), Or(()))), "(1 = 1 AND 1 = 0)"),
        (OneOf("id", ()), "1 = 0"),
        (Is("title", "<", None), "CAST(NULL AS BOOLEAN)"),
    ):
        assert rendered(Delete(THREADS, where), dialect) == Statement(f'DELETE FROM "threads" WHERE {text}')
    assert rendered(Delete(THREADS, TRUE), dialect).sql == 'DELETE FROM "threads"'


@EACH_DIALECT
def test_few_values_are_bound_one_by_one_and_many_as_an_array(dialect: Dialect) -> None:
    few = rendered(Scan(THREADS, OneOf("id", tuple(map(str, range(INLINE))))), dialect)
    assert len(few.parameters) == INLINE == few.sql.count("?")
    many = rendered(Scan(THREADS, OneOf("id", tuple(map(str, range(INLINE + 1))))), dialect)
    assert len(many.parameters) == 1 == many.sql.count("?")
    plainer = replace(dialect, array=None)
    assert len(rendered(Scan(THREADS, OneOf("id", ("a",) * (INLINE + 1))), plainer).parameters) == INLINE + 1


@EACH_DIALECT
def test_a_place_inside_json_is_bound_too(dialect: Dialect) -> None:
    at = At("metadata", ("user", "plan"))
    for where in (Is(at, "=", "pro"), Is(at, "!=", True), Is(at, "=", 1), Is(at, "has", "pro"), Null(at)):
        statement = rendered(Scan(THREADS, where), dialect)
        parsed(statement, dialect)
        assert "user" not in statement.sql and "pro" not in statement.sql
        assert '$."user"."plan"' in statement.parameters


def test_a_dialect_without_json_does_not_look_into_it() -> None:
    blind = replace(SQLITE, json=None)
    for where in (Is(At("metadata"), "=", 1), Null(At("metadata"))):
        with pytest.raises(TypeError, match="sqlite does not look into JSON"):
            rendered(Scan(THREADS, where), blind)


@EACH_DIALECT
def test_what_is_no_filter_has_no_sql(dialect: Dialect) -> None:
    with pytest.raises(TypeError, match="has no SQL"):
        rendered(Scan(THREADS, Filter()), dialect)


@EACH_DIALECT
def test_a_semijoin_leaves_nulls_out_where_there_may_be_some(dialect: Dialect) -> None:
    sure = rendered(Scan(THREADS, Among("id", Scan(MESSAGES, columns=("thread_id",)), "thread_id")), dialect)
    inner = 'SELECT "thread_id" FROM "messages"'
    assert sure.sql.endswith(f'WHERE "id" IN ({dialect.among.format(inner=inner)})')
    unsure = rendered(Scan(THREADS, Among("id", Scan(SPANS, columns=("threadId",)), "threadId")), dialect)
    assert 'AS found WHERE "threadId" IS NOT NULL)' in unsure.sql


def test_reads_may_come_from_elsewhere_and_placeholders_be_numbered() -> None:
    numbered = replace(SQLITE, placeholder="${number}")
    renderer = Renderer(numbered, bind=lambda value: f"<{value}>", source=lambda of: f"fresh_{of.name}")
    statement = renderer.scan(Scan(THREADS, Is("id", "=", "a") | Is("id", "=", "b"), columns=("id",)))
    assert statement == Statement('SELECT "id" FROM fresh_threads WHERE ("id" = $1 OR "id" = $2)', ("<a>", "<b>"))


@EACH_DIALECT
@pytest.mark.parametrize("leads", [["a"], [f"{n}" for n in range(INLINE + 1)]], ids=["few", "many"])
def test_statements_over_a_relation_of_rows(dialect: Dialect, leads: list[str]) -> None:
    matching = Renderer(dialect).matching(SPANS, ["traceId", "endedAt"], "incoming", leads)
    delete = Renderer(dialect).delete_matching(SPANS, "incoming", leads)
    insert = Renderer(dialect).insert_from(SPANS, "incoming")
    assert [tree.key for tree in (parsed(matching, dialect), parsed(insert, dialect))] == ["select", "insert"]
    if dialect is DUCKDB:  # only it has DELETE ... USING
        assert parsed(delete, dialect).key == "delete"
    bound = tuple(leads) if len(leads) <= INLINE else ()
    assert matching.parameters == delete.parameters == bound and insert.parameters == ()
    assert '"spans"."spanId" = "incoming"."spanId"' in matching.sql


# --- upserts -------------------------------------------------------------------------------------------------------

ALL_RULES = table(
    "all_rules",
    [
        k.field("a", k.TEXT, "Half of the key.", identifier=True),
        k.field("b", k.TEXT, "The other half.", identifier=True),
        k.field("made", k.TIMESTAMP, "Written once.", once=True),
        k.field("done", k.TIMESTAMP, "Final.", nullable=True),
        k.field("text", k.TEXT, "A text.", nullable=True),
        k.field("number", k.FLOAT, "A number.", nullable=True),
        k.field("sure", k.BOOLEAN, "Whether.", nullable=True),
    ],
    domain="memory",
    record="AllRules",
    mastra="mastra_all_rules",
    description="Every rule of a put in one table.",
    key=["a", "b"],
    final="done",
)
UPSERTED = (ALL_RULES, THREADS, MESSAGES, WORKFLOWS, SPANS, EVALS)


def sqlite_with(of: Table) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statement in ddl(SQLITE, of):
        connection.execute(statement)
    return connection


def put_into(connection: sqlite3.Connection, of: Table, data: pa.Table) -> None:
    rows = [tuple(row.values()) for row in plain(data)]
    if rows:
        statement = Renderer(SQLITE, bound).put_values(of, rows)
        tree = parsed(statement, SQLITE)
        assert isinstance(tree, exp.Insert)
        connection.execute(statement.sql, statement.parameters)


def held(connection: sqlite3.Connection, of: Table) -> Iterator[dict[str, Any]]:
    for row in connection.execute(f'SELECT * FROM "{of.name}"'):
        yield dict(zip(of.columns, row, strict=True))


@given(st.data(), st.sampled_from(UPSERTED))
def test_upserts_obey_once_and_final_on_sqlite(data: st.DataObject, of: Table) -> None:
    connection, reference = sqlite_with(of), Reference()
    given_puts = data.draw(st.lists(st.integers(0, 63), max_size=2))
    for each in [*(crowd(of, seed) for seed in given_puts), data.draw(plans.puts(of)).data]:
        put_into(connection, of, each)
        reference.put(Put(of, each))
    key = lambda row: tuple(row[name] for name in of.key)  # noqa: E731
    found = sorted(held(connection, of), key=key)
    wanted = sorted(reference.rows(of), key=key)
    assert [key(row) for row in found] == [key(row) for row in wanted]  # type: ignore[no-untyped-call]
    for here, there in zip(found, wanted, strict=True):
        there = {name: value + 0.0 if isinstance(value, float) else value for name, value in there.items()}
        assert is_same(of, here, there), (here, there)  # SQLite keeps whole floats as integers, so -0.0 as 0.0
    connection.close()


def test_an_upsert_of_a_row_that_has_ended() -> None:
    connection = sqlite_with(ALL_RULES)
    later = NOON + timedelta(hours=1)

    def put(made: datetime, done: datetime | None, text: str) -> tuple[Any, ...]:
        record = {"a": "x' OR '1'='1", "b": "b", "made": made, "done": done, "text": text}
        put_into(connection, ALL_RULES, encode(ALL_RULES, [record]))
        (row,) = connection.execute("SELECT text, made, done FROM all_rules")
        return tuple(row)

    noon, one = (int(moment.timestamp()) * 1_000_000 for moment in (NOON, later))
    assert put(NOON, None, "running") == ("running", noon, None)
    assert put(later, None, "running still") == ("running still", noon, None)
    assert put(later, later, "ended") == ("ended", noon, one)
    assert put(later, None, "late news") == ("ended", noon, one)
    assert put(later, NOON, "corrected") == ("corrected", noon, noon)


def test_rows_of_gives_tuples_in_order() -> None:
    data = collapse(THREADS, crowd(THREADS, 1)).select(["id", "title"])
    assert rows_of(data) == [tuple(row.values()) for row in data.to_pylist()]


def test_dialects_are_values() -> None:
    for dialect in DIALECTS.values():
        assert is_dataclass(dialect) and DIALECTS[dialect.name] is dialect
        assert all(isinstance(getattr(dialect, field.name), object) for field in fields(dialect))
        assert dialect.table_name(SPANS) == "spans"
        assert replace(dialect, mastra_names=True).table(SPANS) == '"mastra_ai_spans"'


@pytest.mark.parametrize("address", [":memory:", "duckdb:///{folder}/s.duckdb", "sqlite:///{folder}/s.sqlite"])
def test_a_delete_over_a_semi_join_with_its_own_table_sees_the_table_as_it_was(address: str, tmp_path: Path) -> None:
    """SQLite before 3.41 looks the values up in the table that it is deleting from, and finds the rest only."""
    said = {"threadId": "t", "role": "user", "type": "v2", "content": "x", "createdAt": "2026-01-01T00:00:00Z"}
    rows = [{"id": id, "resourceId": of, **said} for id, of in (("a", "b"), ("b", "a"), ("c", "a"), ("d", "c"))]
    with colonnade.open(address.format(folder=tmp_path)) as store:
        store.execute(Put(MESSAGES, encode(MESSAGES, rows)))
        assert store.execute(Delete(MESSAGES, Among("resourceId", Scan(MESSAGES), "id"))) == 4
        assert store.execute(Scan(MESSAGES)).num_rows == 0
