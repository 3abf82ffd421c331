"""A session of the TDS double: its batches, statement by statement, and its transactions.

READ COMMITTED is what it is called: reads of a transaction take no lasting locks until it asks for them (UPDLOCK,
HOLDLOCK) or changes something, so a store that reads and then writes without asking loses updates here as there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pysqlbridge.tds.result import Query, QueryError
from sqlglot import exp

from tests.servers.tds_double_catalog import VERSION
from tests.servers.tds_double_databases import Database
from tests.servers.tds_double_procedures import call, executed
from tests.servers.tds_double_running import Running
from tests.servers.tds_double_shape import Conditional, Step, Tried, shape, steps
from tests.servers.tds_double_statements import parsed, restored
from tests.servers.tds_double_typed import refuse
from tests.servers.tds_double_types import type_of
from tests.servers.tds_double_values import convert, error
from tests.servers.tds_double_wire import Answer, Count

_GOES_ON: Final = frozenset({515, 2601, 2627, 2628})
"""After these a batch goes on with its next statement, unless XACT_ABORT is ON."""
_PLAIN: Final = re.compile(
    r"(?P<level>SET\s+TRANSACTION\s+ISOLATION\s+LEVEL\s+(?P<which>[\w ]+))"
    r"|(?P<timeout>SET\s+LOCK_TIMEOUT\s+(?P<ms>-?\d+|@_\d+))"
    r"|(?P<option>SET\s+(?P<names>[A-Z_]+(?:\s*,\s*[A-Z_]+)*)\s+(?P<to>ON|OFF|-?\d+|@_\d+|\w+))"
    r"|(?P<begin>BEGIN\s+TRAN(?:SACTION)?(?:\s+\w+)?)|(?P<commit>COMMIT(?:\s+(?:TRAN(?:SACTION)?|WORK))?(?:\s+\w+)?)"
    r"|(?P<rollback>ROLLBACK(?:\s+(?:TRAN(?:SACTION)?|WORK))?)|(?P<use>USE\s+(?P<database>\[[^\]]+\]|\w+))"
    r"|(?P<throw>THROW(?:\s+(?P<number>[@\w]+)\s*,\s*(?P<said>[@\w]+)\s*,\s*(?P<state>[@\w]+))?)"
    r"|(?P<exec>EXEC(?:UTE)?\s*\(\s*(?P<text>@\w+)\s*\))|(?P<print>PRINT\s+.*)|(?P<return>RETURN)"
    r"|(?P<wait>WAITFOR\s+DELAY\s+(?P<delay>@\w+))",
    re.I | re.S,
)
_ALONE: Final = re.compile(r"\bCREATE\s+(?:SCHEMA|VIEW)\b", re.I)
"""What has to be alone in a batch."""


class _Returned(Exception):
    """RETURN."""


@lru_cache(maxsize=4096)
def _program(shaped: str) -> tuple[Step, ...]:
    return steps(shaped)


class Session(Running):
    """What one connection has open."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.caught: QueryError | None = None

    def answer(self, query: Query) -> Answer:
        """Run a batch or a call of a procedure."""
        self.answers = Answer()
        if query.procedure:
            raise error(2812, f"Could not find stored procedure '{query.procedure}'.")
        if len(query.parameters) > 2100:
            raise error(8003, "The incoming request has too many parameters. The server supports a maximum of 2100.")
        given = {name.lower().lstrip("@"): value for name, value in query.parameters.items()}
        try:
            self.run_text(query.sql, given)
        except _Returned:
            pass
        except QueryError as refused:
            self.answers.parts.append(refused)
        return self.answers

    def run_text(self, sql: str, variables: Mapping[str, Any]) -> None:
        """Run a text with its own variables."""
        shaped, literals = shape(sql)
        if (alone := _ALONE.search(shaped)) is not None and not _ALONE.match(shaped.lstrip()):
            raise error(111, f"'{alone.group()}' must be the first statement in a query batch.")
        outer = self.variables, self.types
        self.variables, self.types = {**variables, **literals}, {}
        try:
            self._run(_program(shaped))
        finally:
            self.variables, self.types = outer

    def run_prepared(self, sql: str, variables: Mapping[str, Any], types: Mapping[str, tuple[str, int]]) -> None:
        """Run what ``sp_executesql`` is given: the text is the same for all values, so its literals stay in it."""
        outer = self.variables, self.types
        self.variables, self.types = dict(variables), dict(types)
        try:
            self._run(_program(sql))
        finally:
            self.variables, self.types = outer

    def _run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case str():
                    try:
                        self._statement(step)
                    except QueryError as refused:
                        if self.xact_abort or refused.number not in _GOES_ON or self.trying:
                            if not self.trying:
                                self.undo_if_doomed(refused)
                            raise
                        self.answers.parts.append(refused)
                case Conditional():
                    self._run(step.then if self.holds(step.condition) else step.otherwise)
                case Tried():
                    self._try(step)

    def _try(self, step: Tried) -> None:
        self.trying += 1
        try:
            self._run(step.body)
        except QueryError as refused:
            self.trying -= 1
            self.undo_if_doomed(refused)
            outer, self.caught = self.caught, refused
            try:
                self._run(step.catch)
            finally:
                self.caught = outer
        else:
            self.trying -= 1

    def _statement(self, text: str) -> None:
        self.database.note(text)
        if (plain := _PLAIN.fullmatch(text)) is not None:
            self._plain(plain)
            return
        if re.match(r"(CREATE|ALTER)\b", text, re.I):
            text = restored(text, self.variables)
        node = parsed(text)
        match node:
            case exp.Declare():
                self._declare(text, node)
            case exp.ExecuteSql():
                executed(self, node)
            case exp.Execute():
                call(self, node)
            case exp.Set():
                self._assign(text, node)
            case exp.Select() if all(
                isinstance(e, exp.EQ) and isinstance(e.this, exp.Parameter) for e in node.expressions
            ):
                self._select_into(text, node)
            case _:
                self.run_compiled(text, node)

    def _plain(self, found: re.Match[str]) -> None:
        match found.lastgroup and next(name for name, value in found.groupdict().items() if value is not None):
            case "level":
                self.isolation = " ".join(found["which"].upper().split())
            case "timeout":
                given = found["ms"]
                self.lock_timeout = int(self.variables[given[1:]] if given.startswith("@") else given) / 1000
            case "option":
                self._set(found["names"].upper(), found["to"].upper())
            case "begin":
                self.begin()
            case "commit":
                self.commit()
            case "rollback":
                self.rollback()
            case "use":
                if found["database"].strip("[]").lower() != self.database.name.lower():
                    raise refuse("USE of another database than that of the connection")
            case "throw":
                self._throw(found)
            case "exec":
                self.run_text(str(self.variables[found["text"][1:].lower()]), {})
            case "wait":
                hours, minutes, seconds = str(self.variables[found["delay"][1:]]).split(":")
                time.sleep(int(hours) * 3600 + int(minutes) * 60 + float(seconds))
            case "return":
                raise _Returned

    def _set(self, names: str, to: str) -> None:
        for name in re.split(r"\s*,\s*", names):
            (self.options.add if to == "ON" else self.options.discard)(name)
            match name:
                case "XACT_ABORT":
                    self.xact_abort = to == "ON"
                case "NOCOUNT":
                    self.nocount = to == "ON"
                case "IMPLICIT_TRANSACTIONS":
                    self.implicit = to == "ON"

    def _throw(self, found: re.Match[str]) -> None:
        if found["number"] is None:
            if self.caught is None:
                raise error(10704, "To rethrow an error, a THROW statement must be used inside a CATCH block.")
            raise self.caught
        number, said, state = (
            self.variables[given[1:].lower()] if (given := found[name]).startswith("@") else int(given)
            for name in ("number", "said", "state")
        )
        raise QueryError(str(said), number=int(number), state=int(state))

    def _declare(self, text: str, node: exp.Declare) -> None:
        for item in node.expressions:
            kind, size = type_of(item.args["kind"])
            default = item.args.get("default")
            for name in item.this if isinstance(item.this, list) else [item.this]:
                key = name.this.name.lower()
                value = self.evaluated(text, default) if default else None
                self.variables[key] = convert(value, kind, size)
                self.types[key] = (kind, size)

    def _assign(self, text: str, node: exp.Set) -> None:
        pair = node.expressions[0].this
        if not isinstance(pair, exp.EQ) or not isinstance(pair.this, exp.Parameter):
            raise refuse(text)
        key = pair.this.this.name.lower()
        if key not in self.types:
            raise error(137, f'Must declare the scalar variable "@{key}".')
        self.variables[key] = convert(self.evaluated(text, pair.expression), *self.types[key])

    def _select_into(self, text: str, node: exp.Select) -> None:
        chosen = node.copy()
        keys = [each.this.this.name.lower() for each in chosen.expressions]
        chosen.set("expressions", [each.expression for each in chosen.expressions])
        rows = self.rows(f"{text} into variables", chosen)
        for key, value in zip(keys, rows[-1] if rows else (), strict=False):
            self.variables[key] = convert(value, *self.types[key])
        self.rowcount = len(rows)
        self.answers.parts.append(Count("SELECT", None))

    @property
    def server_values(self) -> dict[str, Any]:
        """What @@ names stand for."""
        return {
            "server_version": VERSION,
            "server_rowcount": self.rowcount,
            "server_trancount": self.trancount,
            "server_spid": id(self) % 30_000 + 51,
            "server_error": 0,
        }
