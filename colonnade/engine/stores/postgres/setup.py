"""Making a store's schema, tables and indexes, or finding that they are there, and not newer than this colonnade.

Those who open at the same time take turns by a lock of the database. Tables are made in one transaction: they are all
there or none is. Indexes on tables that others may be writing to are made afterwards and CONCURRENTLY, which waits for
everybody who has looked at the database before; so nobody waits for the lock in a statement, but tries again.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from contextlib import nullcontext, suppress
from hashlib import sha256
from typing import Any

from colonnade.engine.relational import create_table
from colonnade.engine.stores.postgres import indexes, layout, mastra, wide
from colonnade.engine.stores.postgres.address import Place
from colonnade.engine.stores.postgres.catalog import Found, laid_out, look
from colonnade.engine.stores.postgres.indexes import Made
from colonnade.engine.stores.postgres.layout import Layout
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.engine.stores.postgres.steps import Request, Steps, ask, do
from colonnade.errors import ColonnadeError, NotAStore, SchemaTooNew, StoreReadOnly
from colonnade.schemas import READINGS, STORED, VERSION
from colonnade.schemas.table import Table


def steps(place: Place) -> Steps[Layout]:
    """Make what is missing; how the tables lie then."""
    found = yield from look(place)
    _check(place, found)
    if _is_whole(place, found):
        return laid_out(place, found)
    yield from _turn(place)
    found = yield from look(place)
    _check(place, found)
    new = [table for table in STORED if found.table(table) is None]
    # Who may not change what is there reads it as it is.
    with suppress(StoreReadOnly) if found.tables else nullcontext():
        yield from _as_one(_make(place, found, new))
    with suppress(StoreReadOnly):
        yield from _as_one(_complete(place, found))
    with suppress(StoreReadOnly):
        yield from _index(place, (yield from look(place)))
    found = yield from look(place)
    yield from _turn_is_over(place)
    return laid_out(place, found)


def _check(place: Place, found: Found) -> None:
    for table in STORED:
        name, there = found.name_of(table), found.table(table)
        if name in found.views:
            raise NotAStore(
                f"{place.label} has a view {name} where a table is to be; give the store a schema of its own"
            )
        if there is None:
            continue
        if there.version is None and not mastra.is_known(table, there):
            raise NotAStore(
                f"{place.label} has a table {name} that neither colonnade nor Mastra made; it was left as it is. "
                "Give the store a schema of its own (schema_name)"
            )
        if there.version is not None and there.version > VERSION:
            raise SchemaTooNew(place.label, there.version, VERSION)


def _wanted(place: Place, found: Found) -> list[Made]:
    """The indexes that are to be there. Tables of Mastra's keep those that they have."""
    made = []
    for table in () if place.skip_default_indexes else STORED:
        there = found.table(table)
        if there is not None and there.version is not None:
            made += indexes.default(table, place.schema, found.name_of(table), wide=found.is_wide(table))
    own = [index for index in place.indexes if found.table(indexes.table_of(index)) is not None]
    return [*made, *(indexes.custom(index, place.schema) for index in own)]


def _is_whole(place: Place, found: Found) -> bool:
    for table in STORED:
        there = found.table(table)
        if there is None or _missing(table, there) or (there.version or VERSION) < VERSION:
            return False
        if frozenset(table.key) not in there.unique and not found.is_wide(table):
            return False
    if not all({POSTGRES.table_name(each)} & {*found.views, *found.tables} for each in READINGS):
        return False
    return all(found.indexes.get(made.name) for made in _wanted(place, found))


def _missing(table: Table, there: mastra.Found) -> list[str]:
    return [name for name in table.columns if name not in there.columns and not mastra.is_told(table, name, there)]


def _as_one(steps: Steps[None]) -> Steps[None]:
    """Steps in a transaction."""
    yield from do("BEGIN")
    try:
        yield from steps
    except ColonnadeError:
        yield from do("ROLLBACK")
        raise
    yield from do("COMMIT")


def _make(place: Place, found: Found, new: Sequence[Table]) -> Steps[None]:
    """The schema, and tables that are not there, with their indexes."""
    known = yield from ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", place.schema)
    if not known:  # it need not be ours to make
        yield from do(f"CREATE SCHEMA IF NOT EXISTS {POSTGRES.ident(place.schema)}")
    for table in new:
        own = layout.own(table, place.schema, found.name_of(table))
        yield from do(create_table(POSTGRES, table).replace(POSTGRES.table(table), own.name, 1))
        yield from do(f"COMMENT ON TABLE {own.name} IS '{layout.comment()}'")
        if not place.skip_default_indexes:
            for made in indexes.default(table, place.schema, found.name_of(table)):
                yield from do(made.ddl(concurrently=False))
    origin = found.tables.get("mastra_ai_spans")
    for reading in READINGS if origin is None or origin.version is not None else ():
        if not {POSTGRES.table_name(reading)} & {*found.views, *found.tables}:
            yield from do(_view(reading, place.schema))


def widen(place: Place, table: Table) -> Steps[Layout]:
    """Make a table wide, unless it is so already, or is Mastra's, whose indexes are left alone; how tables lie then."""
    yield from _turn(place)
    found = yield from look(place)
    there = found.table(table)
    if there is not None and there.version is not None and not found.is_wide(table):
        yield from _as_one(_widen(place, table, found))
        found = yield from look(place)
    yield from _turn_is_over(place)
    return laid_out(place, found)


def _widen(place: Place, table: Table, found: Found) -> Steps[None]:
    physical = found.name_of(table)
    name = layout.own(table, place.schema, physical).name
    for statement in wide.widened(table, name, physical):
        yield from do(statement)
    for made in indexes.default(table, place.schema, physical, wide=True):
        if made.name in found.indexes:
            yield from do(f"DROP INDEX {POSTGRES.ident(place.schema)}.{POSTGRES.ident(made.name)}")
            yield from do(made.ddl(concurrently=False))


def _turn(place: Place) -> Steps[None]:
    while not (yield from ask("SELECT pg_try_advisory_lock($1::bigint)", _lock(place)))[0][0]:
        yield Request("", pause=random.uniform(0.01, 0.05))


def _turn_is_over(place: Place) -> Steps[None]:
    yield from ask("SELECT pg_advisory_unlock($1::bigint)", _lock(place))


def _lock(place: Place) -> int:
    return int.from_bytes(sha256(f"colonnade {place.schema}".encode()).digest()[:8], "big", signed=True)


def _view(reading: Table, schema: str) -> str:
    there = dict(reading.facts.renames)
    columns = ", ".join(
        f"{POSTGRES.ident(there.get(name, name))} AS {POSTGRES.ident(name)}" for name in reading.columns
    )
    origin = next(table for table in STORED if table.name == reading.facts.reading_of)
    name = f"{POSTGRES.ident(schema)}.{POSTGRES.table(reading)}"
    source = layout.own(origin, schema, POSTGRES.table_name(origin)).name
    return f"{POSTGRES.view} {name} AS SELECT {columns} FROM {source}"


def _complete(place: Place, found: Found) -> Steps[None]:
    """Columns that tables of an older colonnade, or of Mastra, do not have, and the uniqueness of their keys."""
    for table in STORED:
        there = found.table(table)
        if there is None:
            continue
        name = layout.own(table, place.schema, found.name_of(table)).name
        added = [mastra.added(table, column, there) for column in _missing(table, there)]
        older = there.version is not None and there.version < VERSION
        unique = frozenset(table.key) in there.unique or found.is_wide(table)
        if not added and not older and unique:
            continue
        if added:
            yield from do(f"ALTER TABLE {name} " + ", ".join(f"ADD COLUMN IF NOT EXISTS {text}" for text in added))
        if not unique:
            key = ", ".join(map(POSTGRES.ident, table.key))
            made = POSTGRES.ident(indexes.physical_name(f"{POSTGRES.table_name(table)}_key_idx", place.schema))
            yield from do(f"CREATE UNIQUE INDEX IF NOT EXISTS {made} ON {name} ({key})")
        if older:
            yield from do(f"COMMENT ON TABLE {name} IS '{layout.comment()}'")


def _index(place: Place, found: Found) -> Generator[Request, Any, None]:
    """Indexes that are not there. One that was never finished is made anew."""
    schema = POSTGRES.ident(place.schema)
    for made in _wanted(place, found):
        if found.indexes.get(made.name):
            continue
        if made.name in found.indexes:
            yield from do(f"DROP INDEX IF EXISTS {schema}.{POSTGRES.ident(made.name)}")
        yield from do(made.ddl(concurrently=made.concurrent))
