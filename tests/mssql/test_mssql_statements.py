"""What is sent to SQL Server, statement by statement: it is T-SQL to a parser that is not ours, and is looked at here.

``golden/*.sql`` holds every statement that makes tables, puts rows, and answers the questions of all stores and of
``store.queries``. COLONNADE_UPDATE_GOLDEN=1 writes the files anew; what changed in them is then read before it is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import sqlglot
from sqlglot import exp

import colonnade
from colonnade.engine.plan import TRUE, At, Delete, Is, Null, OneOf, Or, Patch, Scan, is_equal
from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql import setup, writing
from colonnade.engine.stores.mssql.client import Client
from colonnade.engine.stores.mssql.sql import MSSQLRenderer
from colonnade.schemas import MESSAGES, SPANS, STORED, THREADS, WORKFLOWS
from colonnade.testing.questions import QUESTIONS, ask, load
from colonnade.testing.sample import NOON

GOLDEN: Final = Path(__file__).parent / "golden"
SCHEMA: Final = "agent"
UPDATE: Final = bool(os.environ.get("COLONNADE_UPDATE_GOLDEN"))
Recorded = dict[str, list[str]]
"""Caption -> the statements that are sent."""

_NOT_PARSED: Final[Mapping[str, str]] = {
    " OPTION (LOOP JOIN)": "sqlglot 30 has no hints of MERGE, which take them as SELECT does",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;": "sqlglot 30 has no isolation levels",
    "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED": "sqlglot 30 has no isolation levels",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED": "sqlglot 30 has no isolation levels",
}
"""Parts of statements that are T-SQL and that the parser does not know, and why they are left out."""


def schema() -> Recorded:
    """What makes a store."""
    older = setup.Found({"mastra_threads": {"id", "resourceId"}}, version=1)
    return {
        "which server it is": [setup.SERVER],
        "what is there": [setup.COLUMNS, setup.SCHEMAS],
        "one at a time": [setup.TURN],
        "a new schema with all tables": setup.ddl(SCHEMA, setup.Found(), has_schema=False),
        "a table of an older store": [
            sql for sql in setup.ddl(SCHEMA, older, has_schema=True) if sql.startswith(("ALTER", "UPDATE"))
        ],
    }


def writes() -> Recorded:
    """What changes rows."""
    made = {f"put into {table.name}": [writing.merge(SCHEMA, table)] for table in STORED}
    span = is_equal(traceId="t", spanId="s")
    plans: Mapping[str, Patch | Delete] = {
        "patch by key": Patch(THREADS, is_equal(id="t"), {"title": "x", "metadata": None}),
        "patch a span": Patch(SPANS, span, {"endedAt": NOON, "cost": 0.5, "inputTokens": 3, "isEvent": False}),
        "patch everything": Patch(THREADS, TRUE, {"title": "x"}),
        "delete by key": Delete(WORKFLOWS, is_equal(workflow_name="w", run_id="r")),
        "delete some": Delete(MESSAGES, OneOf("id", ("a", "b"))),
        "delete many": Delete(MESSAGES, OneOf("id", tuple(map(str, range(200))))),
        "delete many by a key of two columns": Delete(
            SPANS, Or(tuple(is_equal(traceId=str(n), spanId="s") for n in range(20)))
        ),
        "delete by a place in JSON": Delete(THREADS, Is(At("metadata", ("user", "plan")), "=", "pro")),
        "delete what is null": Delete(SPANS, Null("endedAt")),
        "delete what is old": Delete(SPANS, Is("startedAt", "<", NOON)),
        "delete everything": Delete(THREADS, TRUE),
    }
    for caption, plan in plans.items():
        made[caption] = [_renderer().patch(plan).sql if isinstance(plan, Patch) else _renderer().delete(plan).sql]
    return made


def reads() -> Recorded:
    """Forms of SELECT that no question has."""
    where = is_equal(workflow_name="w", run_id="r")
    return {
        "a row that is to be changed": [_renderer().scan(Scan(WORKFLOWS, where), locking=True).sql],
        "no rows at all": [_renderer().scan(Scan(THREADS, limit=0, columns=("id",))).sql],
        "all rows but the first": [_renderer().scan(Scan(THREADS, offset=1, columns=("id",))).sql],
    }


def _renderer() -> MSSQLRenderer:
    return MSSQLRenderer(SCHEMA)


_NOT_RECORDED: Final = frozenset({"pass_hat_k", "compare", "agreement"})
"""Questions that read as others do, and then count by themselves."""
_SINCE: Final = datetime(1900, 1, 1, tzinfo=UTC)
_ASKED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "spans": lambda q: q.spans(name="chat", since=_SINCE),
    "scores_by_span": lambda q: q.scores_by_span(trace_id="a", span_id="1"),
    "trace": lambda q: q.trace(trace_id="a"),
    "whole_trace": lambda q: q.whole_trace("a"),
    "roots": lambda q: q.roots(),
    "messages": lambda q: q.messages(thread_id="t01"),
    "conversation": lambda q: q.conversation("t01"),
    "usage": lambda q: q.usage(every="1h"),
    "latency": lambda q: q.latency(),
    "errors": lambda q: q.errors(by="spanType"),
    "tools": lambda q: q.tools(),
    "threads": lambda q: q.threads(),
    "trace_ids": lambda q: q.trace_ids(prefix="a"),
    "trace_totals": lambda q: q.trace_totals(trace_ids=["a", "b"]),
    "slowest": lambda q: q.slowest(),
    "failing": lambda q: q.failing(),
    "critical_path": lambda q: q.critical_path(trace_id="a"),
    "self_times": lambda q: q.self_times(trace_id="a"),
    "profile": lambda q: q.profile(),
    "score_trends": lambda q: q.score_trends(every="1d"),
    "report": lambda q: q.report(since=_SINCE),
    "search": lambda q: q.search("refund"),
}


@pytest.fixture(scope="module")
def sent(tds_double: Any) -> Mapping[str, Recorded]:
    """What is sent when the questions of all stores and those of ``store.queries`` are asked: a double answers."""
    recorded: dict[str, Recorded] = {"questions": {}, "queries": {}}
    statements: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        for name in ("run", "stream"):
            patched.setattr(Client, name, _noting(getattr(Client, name), statements))
        with colonnade.open(tds_double.address(SCHEMA, database="golden")) as storage:
            load(storage)
            for question in QUESTIONS:
                statements.clear()
                ask(storage, question)
                recorded["questions"][question.caption] = list(statements)
            for name, asked in _ASKED.items():
                statements.clear()
                asked(storage.queries)
                recorded["queries"][name] = list(statements)
            missing = {each for each in dir(type(storage.queries)) if not each.startswith("_")}
            missing -= {*_ASKED, *_NOT_RECORDED, "name", "init"}
            assert not {each for each in missing if type(vars(type(storage.queries)).get(each)).__name__ == "operation"}
    return recorded


def _noting(function: Callable[..., Any], statements: list[str]) -> Callable[..., Any]:
    def noted(client: Client, connection: Any, statement: Statement) -> Any:
        statements.append(statement.sql)
        return function(client, connection, statement)

    return noted


@pytest.fixture(scope="module", params=["schema", "writes", "reads", "questions", "queries"])
def group(request: pytest.FixtureRequest) -> tuple[str, Recorded]:
    """A file of statements."""
    made: Mapping[str, Callable[[], Recorded]] = {"schema": schema, "writes": writes, "reads": reads}
    name: str = request.param
    return name, made[name]() if name in made else request.getfixturevalue("sent")[name]


def written(recorded: Recorded) -> str:
    """The text of a file: each statement once, below the captions of all that send it."""
    captions: dict[str, list[str]] = {}
    for caption, statements in recorded.items():
        for statement in dict.fromkeys(statements):
            captions.setdefault(statement, []).append(caption)
    parts = ["".join(f"-- {each}\n" for each in above) + sql.rstrip(";") + ";\n" for sql, above in captions.items()]
    return "\n".join(parts)


def test_statements_are_those_that_were_looked_at(group: tuple[str, Recorded]) -> None:
    name, recorded = group
    path, text = GOLDEN / f"{name}.sql", written(recorded)
    if UPDATE:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} is not there: run with COLONNADE_UPDATE_GOLDEN=1, and read it"
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), "run with COLONNADE_UPDATE_GOLDEN=1"


def test_no_file_is_left_of_what_is_sent_no_more() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.sql" for name in ("schema", "writes", "reads", "questions", "queries")
    }


def test_statements_are_t_sql_to_sqlglot(group: tuple[str, Recorded]) -> None:
    for statements in group[1].values():
        for sql in statements:
            parsed(sql)


def parsed(sql: str) -> list[exp.Expr]:
    """The parts of a statement; an error where one is no T-SQL, or nothing that the parser understands."""
    text = sql
    for part in _NOT_PARSED:
        text = text.replace(part, "")
    found = [each for each in sqlglot.parse(text, read="tsql") if each is not None]
    for each in found:
        assert not isinstance(each, exp.Command), f"sqlglot does not understand {sql}"
        assert not each.find(exp.Command), sql
    return found


@pytest.mark.parametrize("sql", ["SELECT FROM WHERE", "SELECT (1", "BULK INSERT [t] FROM 'x'", "SELECT 1 ORDER 2"])
def test_what_is_no_t_sql_is_noticed(sql: str) -> None:
    with pytest.raises((sqlglot.errors.ParseError, AssertionError)):
        parsed(sql)


def test_no_statement_has_a_value_of_the_user_in_it(group: tuple[str, Recorded]) -> None:
    """Texts in statements are ours: a place in JSON, or how a letter is written."""
    known = r"N?'(\[|\]|\$\[0\](\.\"\w+\")*|\{|\d+|true|false|.|19700101|\$\[\d+\]|SHA2_256|Exclusive|Transaction)'"
    known += r"|'(ProductMajorVersion|EngineEdition)'"
    for statements in group[1].values():
        for sql in statements:
            for text in re.findall(r"N?'(?:[^']|'')*'", sql):
                assert re.fullmatch(known, text), f"{text} in {sql[:300]}"
