"""Rows as upserts.

**A row is found by its key's columns, and each write of one is one update of one document.** That is what keeps the
rules of ``Put`` among any number of writers: what is written once stands under ``$setOnInsert``, and a span that has
ended is kept by the update itself. A document that Mastra wrote, whose ``_id`` is no key, is replaced like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from colonnade.engine.stores.mongodb.documents import Document, fields_of, id_of
from colonnade.engine.stores.mongodb.matching import some
from colonnade.schemas.table import Table

Key = tuple[Any, ...]


def writes(table: Table, rows: Sequence[Document], stored: Collection[Key] | None) -> list[Any]:
    """The upserts of rows, one a key; inserts of those that are not among ``stored`` keys, where these are known.

    An insert fails where another client was faster, which is a ``Conflict`` and begins anew.
    """
    from pymongo import InsertOne, UpdateOne

    return [
        UpdateOne(key_match(table, row), change_of(table, row), upsert=True)
        if stored is None or key_of(table, row) in stored
        else InsertOne({"_id": id_of(table, row), **row})
        for row in rows
    ]


def key_of(table: Table, row: Mapping[str, Any]) -> Key:
    """The values of a row's key."""
    return tuple(row[name] for name in table.key)


def keys_match(table: Table, rows: Sequence[Document]) -> Document:
    """What finds the documents of many keys: by the last part of the key, for each that comes before."""
    *leads, last = table.key
    groups: dict[Key, list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in leads), []).append(row[last])
    return some(
        [
            {name: {"$eq": value} for name, value in zip(leads, lead, strict=True)} | {last: {"$in": sorted(values)}}
            for lead, values in groups.items()
        ]
    )


def key_match(table: Table, document: Document) -> Document:
    """What finds the document of a row's key."""
    return {name: {"$eq": document[name]} for name in table.key}


def change_of(table: Table, document: Document) -> Any:
    """The update that makes a row of what is stored under its key; fields that are not ours are left as they are."""
    final = table.facts.final
    if final is not None and final not in document:
        ended = {"$ne": [{"$ifNull": [f"${final}", None]}, None]}
        gone = [name for name in _fields(table) if name not in document]
        written = {"$mergeObjects": [{"_id": {"$literal": id_of(table, document)}}, "$$ROOT", {"$literal": document}]}
        replaced = [{"$replaceWith": {"$cond": [ended, "$$ROOT", written]}}]
        missing = [{"$set": {name: {"$cond": [ended, f"${name}", "$$REMOVE"]} for name in gone}}]
        return [*missing, *replaced]
    once = [name for column in table.once for name in fields_of(table.columns[column])]
    change: Document = {
        "$set": {name: value for name, value in document.items() if name not in once and name not in table.key},
        "$setOnInsert": {"_id": id_of(table, document)} | {name: document[name] for name in once if name in document},
    }
    if gone := [name for name in _fields(table) if name not in document and name not in once]:
        change["$unset"] = dict.fromkeys(gone, "")
    return change


def _fields(table: Table) -> list[str]:
    return [name for column in table.columns.values() for name in fields_of(column)]
