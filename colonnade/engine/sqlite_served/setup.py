"""Making the tables where they are missing, in a database of our own or of Mastra's, which keeps all that it had.

A table that Mastra made gets the columns that it lacks, an index of its key, and the look-ups' indexes. Nothing of it
is changed or taken away, so that Mastra goes on reading and writing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from colonnade.engine.dialect import Dialect
from colonnade.engine.relational import Statement, create_view
from colonnade.engine.sqlite_served import spelling
from colonnade.engine.sqlite_served.batches import Batch, Steps, ask
from colonnade.engine.sqlite_served.spelling import ServedDialect
from colonnade.errors import NotAStore, SchemaTooNew, StoreError, StoreReadOnly
from colonnade.schemas import READINGS, STORED, VERSION
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table

_MARK: Final = "colonnade_schema"
_ABSENT: Final[Mapping[str, str]] = {"integer": "0", "boolean": "0", "text": "''", "json": "'null'"}
"""What rows of somebody else hold in a column that they do not know."""


def steps(label: str, dialect: ServedDialect) -> Steps[None]:
    """Make what is missing, as one."""
    found = yield from _version(label, dialect)
    if found == VERSION:
        return
    try:
        statements = yield from _missing(label, dialect)
        yield Batch(tuple(statements))
    except StoreReadOnly as error:
        raise StoreReadOnly(f"{label} has no tables of this version; open it once where it can be written") from error
    except StoreError:
        if (yield from _version(label, dialect)) != VERSION:  # unless another was faster
            raise


def _version(label: str, dialect: ServedDialect) -> Steps[int]:
    mark = dialect.prefix + _MARK
    (there,) = yield from ask(Statement("SELECT name FROM sqlite_master WHERE name = ?", (mark,)))
    if not there.rows:
        return 0
    (known,) = yield from ask(Statement(f"SELECT max(version) FROM {dialect.ident(mark)}"))
    found = int(known.rows[0][0] or 0)
    if found > VERSION:
        raise SchemaTooNew(label, found, VERSION)
    return found


def _missing(label: str, dialect: ServedDialect) -> Steps[list[Statement]]:
    (there,) = yield from ask(Statement("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"))
    names = {name for (name,) in there.rows}
    made: list[str] = []
    for table in STORED:
        if dialect.table_name(table) in names:
            made += yield from _adopted(label, dialect, table)
        else:
            made.append(spelling.create_table(dialect, table))
        made += spelling.create_indexes(dialect, table)
    # Mastra's own table of traces, which it no longer writes, stays as it is.
    made += [create_view(dialect, reading) for reading in READINGS if dialect.table_name(reading) not in names]
    mark = dialect.ident(dialect.prefix + _MARK)
    made += [
        f"CREATE TABLE IF NOT EXISTS {mark} (version INTEGER PRIMARY KEY)",
        f"INSERT OR IGNORE INTO {mark} VALUES ({VERSION})",
    ]
    return [Statement(each) for each in made]


def _adopted(label: str, dialect: ServedDialect, table: Table) -> Steps[list[str]]:
    """What a table lacks that is there already."""
    name = dialect.table_name(table)
    (found,) = yield from ask(Statement("SELECT name, pk FROM pragma_table_info(?)", (name,)))
    known = {str(column): int(key) for column, key in found.rows}
    lacking = [key for key in table.key if key not in known and key != "id"]
    if lacking:
        raise NotAStore(f"{label} has a table {name} without {', '.join(lacking)}: it is not Mastra's, nor ours")
    here = dialect.table(table)
    made = [
        f"ALTER TABLE {here} ADD COLUMN {_added(dialect, column)}"
        for column in table.columns.values()
        if column.name not in known
    ]
    if "id" in table.key and "id" not in known:
        made.append(f"UPDATE {here} SET id = lower(hex(randomblob(16))) WHERE id IS NULL")
    if {column for column, place in known.items() if place} != set(table.key):
        made.append(spelling.key_index(dialect, table))
    return made


def _added(dialect: Dialect, column: Column) -> str:
    kind = dialect.type_of(column).replace("ANY", "")  # in a table that is not STRICT, ANY is a number
    filled = column.kind.name in _ABSENT and not column.nullable and not column.identifier
    default = f" NOT NULL DEFAULT {_ABSENT[column.kind.name]}" if filled else ""
    return f"{dialect.ident(column.name)} {kind}{default}"
