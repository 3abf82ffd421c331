"""Making a store's collections, indexes and validators, or finding that they are there and not newer than we are.

A database that Mastra made has the collections and no mark of ours: it is used as it is. Its collections get our
indexes and no validators, for Mastra writes JSON as objects.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from colonnade.engine.stores.mongodb.documents import Document, fields_of
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of
from colonnade.errors import Conflict, SchemaTooNew, StoreError
from colonnade.schemas import STORED, VERSION
from colonnade.schemas.lookups import lookups
from colonnade.schemas.table import Table

MARK: Final = "colonnade"
"""The collection that says what made the database."""

_TYPES: Final = {
    "text": "string",
    "uuid": "string",
    "json": "string",
    "integer": "int",
    "bigint": "long",
    "float": "double",
    "boolean": "bool",
    "timestamp": "date",
    "binary": "binData",
    "vector": "binData",
}
"""Kind -> BSON type."""


def steps(label: str) -> Steps[frozenset[str]]:
    """Make what is missing; the collections that are Mastra's. ``SchemaTooNew`` where somebody newer was here."""
    marks = yield Request(MARK, "find", ({"_id": {"$eq": "schema"}},), {"limit": 1}, rows=True)
    if marks and marks[0]["version"] > VERSION:
        raise SchemaTooNew(label, marks[0]["version"], VERSION)
    if marks and marks[0]["version"] == VERSION:
        return frozenset(marks[0].get("foreign", ()))
    there = yield from _collections()
    foreign = {name_of(table) for table in STORED if there.get(name_of(table)) is False}
    for table in STORED:
        if name_of(table) not in there:
            options = {"validator": validator(table), "check_exists": False}
            with suppress(Conflict):  # another client was faster
                yield Request(None, "create_collection", (name_of(table),), options)
            known = []
        else:
            known = yield Request(name_of(table), "list_indexes", rows=True)
        # Whatever its name: Mastra has an index of the key too.
        keys = [dict(index["key"]) for index in known]
        if name_of(table) in foreign:
            yield from _named(table)
        wanted = indexes(table, sparse=name_of(table) in foreign)
        if missing := [index for index in wanted if dict(index.document["key"]) not in keys]:
            yield from _indexed(label, table, missing)
    mark = {"$set": {"version": VERSION, "foreign": sorted(foreign)}}
    yield Request(MARK, "update_one", ({"_id": {"$eq": "schema"}}, mark), {"upsert": True})
    return frozenset(foreign)


def foreign() -> Steps[frozenset[str]]:
    """The collections that are Mastra's, where nothing is to be made."""
    marks = yield Request(MARK, "find", ({"_id": {"$eq": "schema"}},), {"limit": 1}, rows=True)
    if marks:
        return frozenset(marks[0].get("foreign", ()))
    there = yield from _collections()
    return frozenset(name_of(table) for table in STORED if there.get(name_of(table)) is False)


def _collections() -> Steps[dict[str, bool]]:
    """The collections that there are, and whether they have a validator, as ours do."""
    found = yield Request(None, "list_collections", rows=True)
    return {each["name"]: bool(each.get("options", {}).get("validator")) for each in found}


def _named(table: Table) -> Steps[None]:
    """Identifiers for documents without one: Mastra's evals have none, and scores had none for a time."""
    if len(table.key) == 1:
        name = table.key[0]
        given = [{"$set": {name: {"$toString": "$_id"}}}]
        yield Request(name_of(table), "update_many", ({name: {"$eq": None}}, given))


def _indexed(label: str, table: Table, missing: list[Any]) -> Steps[None]:
    name = name_of(table)
    try:
        yield Request(name, "create_indexes", (missing,))
    except Conflict as error:
        raise StoreError(
            f"{label}: documents of {name} share a key ({', '.join(table.key)}), so that they cannot be told apart: "
            "delete the ones that are too many, and open it again"
        ) from error


def is_alone() -> Steps[bool]:
    """Whether the server is neither of a replica set nor of a cluster: then it has no transactions."""
    said = yield Request(None, "command", ("hello",))
    return "setName" not in said and said.get("msg") != "isdbgrid"


def indexes(table: Table, *, sparse: bool = False) -> list[Any]:
    """The key, unique, and the look-ups that the schema asks for, newest first and completed by the key.

    Of a ``sparse`` one documents without an identifier are left out, as Mastra may go on to write some.
    """
    from pymongo import ASCENDING, DESCENDING, IndexModel

    options: Document = {"sparse": True} if sparse else {}
    key = [(name, ASCENDING) for name in table.key]
    made = [IndexModel(key, name=_name(table, table.key, "key"), unique=True, **options)]
    for index in lookups(table):
        newest = [(field, DESCENDING) for field in fields_of(table.columns[index.newest])]
        terms = [(name, ASCENDING) for name in index.columns] + newest
        terms += [(name, ASCENDING) for name in table.key if name not in index.columns]
        made.append(IndexModel(terms, name=_name(table, (*index.columns, index.newest), "idx")))
    return made


def _name(table: Table, columns: tuple[str, ...], suffix: str) -> str:
    return "_".join([name_of(table), *columns, suffix]).lower()


def validator(table: Table) -> Document:
    """The table's schema as MongoDB checks it."""
    properties: Document = {}
    for column in table.columns.values():
        kind = _TYPES[column.kind.name]
        properties[column.name] = {
            "bsonType": [kind, "null"] if column.nullable else kind,
            "description": column.description,
        }
        for micros in fields_of(column)[1:]:
            properties[micros] = {"bsonType": "int", "minimum": 0, "maximum": 999}
    required = [column.name for column in table.columns.values() if not column.nullable]
    return {"$jsonSchema": {"bsonType": "object", "required": required, "properties": properties}}
