"""Collections that Mastra filled, asked as if they were ours.

Most of what Mastra writes is as ours: documents under an ``_id`` of their own, dates as dates. Its spans are not: times
are texts, the scope is an object, and what ours have besides (nanoseconds, model, tokens) is told by the rest. So the
server makes rows of ours of them first, in a ``$set`` before whatever is asked. What Mastra wrote stays as it is until
it is written here.

JSON is an object there, or a text; and a text that is no JSON is one that was given as such.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import orjson

from colonnade.engine.driving import drive_by
from colonnade.engine.stores.mongodb.documents import Document, arrow_rows, micros_field
from colonnade.engine.stores.mongodb.matching import every
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of
from colonnade.engine.stores.mongodb.writing import key_match
from colonnade.errors import ColonnadeError, Conflict
from colonnade.schemas import SPANS, STORED
from colonnade.schemas.payloads import to_json
from colonnade.schemas.table import Table

R = TypeVar("R")

_TABLES: Final[Mapping[str, Table]] = {name_of(table): table for table in STORED}
_SPANS: Final = name_of(SPANS)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "text": "",
    "uuid": "",
    "json": "null",
    "integer": 0,
    "bigint": 0,
    "boolean": False,
}
"""What stands where there is nothing and must be something."""
_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("provider",),
    "model": ("model",),
    "inputTokens": ("usage.inputTokens", "usage.promptTokens"),
    "outputTokens": ("usage.outputTokens", "usage.completionTokens"),
    "cachedTokens": ("usage.cachedInputTokens", "usage.inputDetails.cacheRead", "usage.promptCacheHitTokens"),
    "reasoningTokens": ("usage.reasoningTokens", "usage.outputDetails.reasoning"),
}
"""Where in a span's ``attributes`` a column is told, as one era of Mastra or another writes it."""
_DEEP: Final = 2_000
"""Letters of JSON that is nested so deeply that it is not read to the end to be told from other text."""


def over(steps: Steps[R], foreign: Collection[str]) -> Steps[R]:
    """Steps, where some collections are Mastra's."""
    return drive_by(steps, lambda request: _asked(request, foreign), ColonnadeError)


def _asked(request: Request, foreign: Collection[str]) -> Steps[Any]:
    if request.raw or request.collection not in foreign:
        return (yield request)
    if request.collection == _SPANS and request.method in ("update_many", "delete_many"):
        request = replace(request, arguments=({"_id": {"$in": (yield from _ids(request))}}, *request.arguments[1:]))
    answer = yield read(request, foreign)
    return rows(_TABLES[str(request.collection)], answer, foreign) if request.rows else answer


def _ids(request: Request) -> Steps[list[Any]]:
    stages = [*_read(), {"$match": request.arguments[0]}, {"$project": {"_id": 1}}]
    found = yield Request(_SPANS, "aggregate", (stages,), {"allowDiskUse": True}, rows=True)
    return [each["_id"] for each in found]


def read(request: Request, foreign: Collection[str]) -> Request:
    """A request for documents, as it is asked of what may be Mastra's."""
    if request.collection != _SPANS or _SPANS not in foreign or request.raw:
        return request
    if request.method == "aggregate":
        (stages,) = request.arguments
        return replace(request, arguments=([*_read(), *stages],))
    if request.method != "find":
        return request
    options = request.options
    stages = [*_read(), {"$match": request.arguments[0]}]
    if "sort" in options:
        stages.append({"$sort": dict(options["sort"])})
    if "skip" in options:
        stages.append({"$skip": options["skip"]})
    if "limit" in options:
        stages.append({"$limit": options["limit"]})
    stages.append({"$project": options["projection"]})
    return replace(request, method="aggregate", arguments=(stages,), options={"allowDiskUse": True})


def rows(table: Table, found: Sequence[Document], foreign: Collection[str]) -> Sequence[Document]:
    """Documents with JSON for each text that is none, and with something where there must be something."""
    for document in found if name_of(table) in foreign else ():
        if "_id" in document:  # a group, and no row
            break
        for name, column in table.columns.items():
            value = document.get(name)
            if column.kind.name == "json" and isinstance(value, str) and not _is_json(value):
                document[name] = to_json(value)
            elif value is None and not column.nullable and column.kind.name in _DEFAULTS:
                document[name] = _DEFAULTS[column.kind.name]
    return found


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return len(text) >= _DEEP and text[0] in "{["
    return True


def as_it_lies(table: Table, document: Document, row: Mapping[str, Any]) -> Steps[Document]:
    """What finds a document as it lies there, if that makes the row that is expected; ``Conflict`` otherwise."""
    key = key_match(table, document)
    lying = yield Request(name_of(table), "find", (key,), {"limit": 1}, rows=True, raw=True)
    kept = dict.fromkeys(_fields(table), 1) | {"_id": 0}
    found = yield Request(name_of(table), "find", (key,), {"projection": kept, "limit": 1}, rows=True)
    schema = table.schema
    known = arrow_rows(found, table, schema).select(list(row)).to_pylist()
    if not lying or known != [dict(row)]:
        raise Conflict(f"rows of {table.name} changed since they were read")
    return every([{name: {"$eq": lying[0].get(name)}} for name in _fields(table)])


def _fields(table: Table) -> Iterator[str]:
    for name, column in table.columns.items():
        yield name
        if column.kind.name == "timestamp":
            yield micros_field(name)


def _read() -> list[Document]:
    """The stages that make a row of ours of a span, whoever wrote it."""
    from bson.int64 import Int64

    first: Document = {}
    for name, column in SPANS.columns.items():
        if column.kind.name == "timestamp":
            first[name] = {"$convert": {"input": f"${name}", "to": "date", "onError": None, "onNull": None}}
            micros = f"${micros_field(name)}"
            first[micros_field(name)] = {"$cond": [{"$eq": [{"$type": f"${name}"}, "string"]}, "$$REMOVE", micros]}
    is_object = {"$eq": [{"$type": "$scope"}, "object"]}
    called = {"$cond": [{"$eq": [{"$type": "$scope.name"}, "string"]}, "$scope.name", None]}
    first["scope"] = {"$cond": [is_object, called, "$scope"]}
    first["instrumentationScope"] = {"$cond": [is_object, "$scope", "$instrumentationScope"]}
    for name, paths in _TOLD.items():
        told: Any = None
        for path in (*(f"$attributes.{path}" for path in reversed(paths)), f"${name}"):
            told = {"$ifNull": [path, told]}
        first[name] = told if name in ("provider", "model") else _long(told)
    second: Document = {}
    for exact, moment in (("startTime", "startedAt"), ("endTime", "endedAt")):
        nanoseconds = {"$multiply": [_long(f"${moment}"), Int64(1_000_000)]}
        second[exact] = {"$ifNull": [f"${exact}", _long(nanoseconds)]}
    second["startTime"] = {"$ifNull": [second["startTime"], Int64(0)]}
    for name, column in SPANS.columns.items():
        if not column.nullable and name not in second and column.kind.name in ("integer", "boolean", "text"):
            second[name] = {"$ifNull": [f"${name}", _DEFAULTS[column.kind.name]]}
    return [{"$set": first}, {"$set": second}]


def _long(value: Any) -> Document:
    return {"$convert": {"input": value, "to": "long", "onError": None, "onNull": None}}
