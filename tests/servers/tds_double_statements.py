"""T-SQL statements of the TDS double, as sqlglot parses them; what it takes and SQL Server does not is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.servers.tds_double_catalog import TableInfo
from tests.servers.tds_double_changes import Compiled
from tests.servers.tds_double_tables import Tables
from tests.servers.tds_double_typed import refuse, syntax

_NAMES: Final = re.compile(r"\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|N?'[^']*(?:''[^']*)*'", re.S)
_FOREIGN: Final = re.compile(
    r"\bLIMIT\b|\bNULLS\s+(?:FIRST|LAST)\b|::|\|\||\bRETURNING\b|\bON\s+CONFLICT\b|\bILIKE\b"
    r"|\bUSING\s*\(\s*\[?\w+\]?\s*\)\s*$"
    r"|\bTRUE\b|\bFALSE\b|\bCREATE\s+(?:TABLE|VIEW|SCHEMA|INDEX|UNIQUE INDEX)\s+IF\b|\bOR\s+REPLACE\b|\bBOOLEAN\b"
    r"|\bREGEXP\b|\bIS\s+(?:NOT\s+)?DISTINCT\b|\bFILTER\s*\(|\bNATURAL\b|\bLATERAL\b|\bINTERVAL\b|`|\?|\bDOUBLE\b(?!\s+PRECISION)",
    re.I,
)
"""Words of other dialects, which sqlglot's T-SQL takes all the same."""


@lru_cache(maxsize=4096)
def parsed(text: str) -> exp.Expr:
    """One statement; error 102 where it is no T-SQL."""
    if (foreign := _FOREIGN.search(_NAMES.sub("x", text))) is not None:
        raise syntax(foreign.group())
    try:
        # sqlglot knows no OPTION after MERGE, and to the double it means nothing.
        text = text.replace(" OPTION (LOOP JOIN)", "")
        found = [each for each in sqlglot.parse(text, read="tsql") if each is not None]
    except SqlglotError as refused:
        raise syntax(str(refused).splitlines()[0]) from None
    except RecursionError:
        raise refuse("statements that are nested so deeply") from None
    if len(found) != 1 or isinstance(found[0], exp.Command):
        raise syntax(text)
    return found[0]


def compiled(node: exp.Expr, tables: Mapping[str, TableInfo], parameters: Mapping[str, tuple[str, int]]) -> Compiled:
    """A statement for SQLite."""
    made = Tables(tables, parameters)
    found = _compiled(made, node)
    return replace(found, computed=made.computed)


def _compiled(made: Tables, node: exp.Expr) -> Compiled:
    match node:
        case exp.Select() | exp.SetOperation():
            return made.select(node)
        case exp.Insert():
            return made.insert(node)
        case exp.Update():
            return made.update(node)
        case exp.Delete():
            return made.delete(node)
        case exp.Merge():
            return made.merge(node)
        case exp.Create():
            return made.create(node)
        case exp.Alter():
            return made.alter(node)
        case exp.Drop():
            return made.drop(node)
        case exp.TruncateTable():
            return made.truncate(node)
    raise refuse(node.sql("tsql"))


def condition(text: str, tables: Mapping[str, TableInfo]) -> str:
    """The condition of an IF."""
    node = parsed(f"SELECT 1 WHERE {text}")
    made = Tables(tables, {})
    made.scopes.append({})
    return made.condition(node.args["where"].this)


def restored(text: str, values: Mapping[str, Any]) -> str:
    """A statement with its literals in it again, as DDL must have them."""

    def literal(found: re.Match[str]) -> str:
        value = values.get(found.group(1))
        match value:
            case None:
                return "NULL"
            case bytes():
                return f"0x{value.hex()}"
            case str():
                return "'" + value.replace("'", "''") + "'"  # sqlglot knows HASHBYTES only so
        return str(value)

    return re.sub(r"@(_\d+)\b", literal, text)
