"""The stored procedures that the TDS double knows: sp_executesql, sp_getapplock and sp_releaseapplock."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import sqlglot
from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_typed import refuse
from tests.servers.tds_double_types import type_of
from tests.servers.tds_double_values import convert, error

if TYPE_CHECKING:
    from tests.servers.tds_double_session import Session

_TYPES: dict[str, dict[str, tuple[str, int]]] = {}
_APPLOCK: Final = ("resource", "lockmode", "lockowner", "locktimeout", "dbprincipal")


def _types(declared: str) -> dict[str, tuple[str, int]]:
    """The types of the parameters that ``sp_executesql`` declares."""
    if declared not in _TYPES:
        found = sqlglot.parse_one(f"DECLARE {declared}", read="tsql") if declared.strip() else exp.Declare()
        _TYPES[declared] = {
            name.this.name.lower(): type_of(item.args["kind"])
            for item in found.expressions
            for name in (item.this if isinstance(item.this, list) else [item.this])
        }
    return _TYPES[declared]


def executed(session: Session, node: exp.ExecuteSql) -> None:
    """``sp_executesql``: a statement with parameters, by place or by name."""
    values: list[Any] = []
    named: dict[str, Any] = {}
    for each in node.expressions:
        if isinstance(each, exp.EQ) and isinstance(each.this, exp.Parameter):
            named[each.this.this.name.lower()] = session.evaluated("", each.expression)
        elif named:
            raise error(119, "Must pass parameter number 2 and subsequent parameters as '@name = value'.")
        else:
            values.append(session.evaluated("", each))
    text = str(values[0] if values else named.pop("stmt", ""))
    declared = str(values[1] if len(values) > 1 else named.pop("params", ""))
    types = _types(declared)
    given = dict(zip(types, values[2:], strict=False)) | {name: named[name] for name in types if name in named}
    if len(values) - 2 > len(types):
        raise error(8144, "Procedure or function has too many arguments specified.")
    if len(values) + len(named) > 2100:
        raise error(8003, "The incoming request has too many parameters. The server supports a maximum of 2100.")
    if missing := [name for name in types if name not in given]:
        raise error(8178, f"The parameterized query expects the parameter '@{missing[0]}', which was not supplied.")
    known = {name: convert(value, *types[name]) for name, value in given.items()}
    session.run_prepared(text, known, types)


def call(session: Session, node: exp.Execute) -> None:
    """EXEC of a procedure by name, whose return value may go into a variable."""
    name = node.this.name.lower()
    given: dict[str, Any] = {}
    for place, each in enumerate(node.expressions):
        if isinstance(each, exp.EQ) and isinstance(each.this, exp.Parameter):
            given[each.this.this.name.lower()] = session.evaluated("", each.expression)
        else:
            given[_APPLOCK[place]] = session.evaluated("", each)
    match name:
        case "sp_getapplock":
            found = _get_lock(session, given)
        case "sp_releaseapplock":
            found = _release_lock(session, given)
        case _:
            raise error(2812, f"Could not find stored procedure '{node.this.name}'.")
    if (into := node.args.get("return_status")) is not None:
        session.variables[re.sub("^@", "", into.this.name).lower()] = found


def _get_lock(session: Session, given: dict[str, Any]) -> int:
    if str(given.get("lockmode", "")).lower() != "exclusive":
        raise refuse("locks that are not exclusive")
    owner = str(given.get("lockowner", "Transaction")).lower()
    if owner == "transaction" and not session.trancount:
        return -999
    name = f"application {given['resource']}"
    if len(str(given["resource"])) > 255:
        raise error(2628, "String or binary data would be truncated: a resource has at most 255 letters.")
    timeout = given.get("locktimeout")
    patience = session.lock_timeout if timeout is None or int(timeout) < 0 else int(timeout) / 1000
    try:
        got = session.database.locks.acquire(session, name, patience)
    except QueryError:
        return -3
    if got is False:
        return -1
    (session.held if owner == "transaction" else session.session_locks).add(name)
    return 0 if got else 1


def _release_lock(session: Session, given: dict[str, Any]) -> int:
    name = f"application {given['resource']}"
    if not session.database.locks.release(session, name):
        raise error(1223, f"Cannot release the application lock because it is not currently held: {given['resource']}.")
    return 0
