"""Making a store's collections, indexes and validators, or finding that they are there and not newer than we are.

A database that Mastra made has the collections and no mark of ours: it is used as it is. Its collections get our
indexes and no validators, for Mastra writes JSON as objects.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from colonnade.engine.stores.mongodb.documents import Document, fields_of
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of
from colonnade.errors import Conflict, SchemaTooNew
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


def steps(label: str) -> Steps[None]:
    """Make what is missing; ``SchemaTooNew`` where somebody newer was here."""
    marks = yield Request(MARK, "find", ({"_id": {"$eq": "schema"}},), {"limit": 1}, rows=True)
    if marks and marks[0]["version"] > VERSION:
        raise SchemaTooNew(label, marks[0]["version"], VERSION)
    if marks and marks[0]["version"] == VERSION:
        return
    there = set((yield Request(None, "list_collection_names")))
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
        if missing := [index for index in indexes(table) if dict(index.document["key"]) not in keys]:
            yield Request(name_of(table), "create_indexes", (missing,))
    mark = {"$set": {"version": VERSION}}
    yield Request(MARK, "update_one", ({"_id": {"$eq": "schema"}}, mark), {"upsert": True})


def is_alone() -> Steps[bool]:
    """Whether the server is neither of a replica set nor of a cluster: then it has no transactions."""
    said = yield Request(None, "command", ("hello",))
    return "setName" not in said and said.get("msg") != "isdbgrid"


def indexes(table: Table) -> list[Any]:
    """The key, unique, and the look-ups that the schema asks for, newest first and completed by the key."""
    from pymongo import ASCENDING, DESCENDING, IndexModel

    made = [IndexModel([(name, ASCENDING) for name in table.key], name=_name(table, table.key, "key"), unique=True)]
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
