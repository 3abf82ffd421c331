"""``Put`` with ``expect`` on a server that is alone, and so has no transactions: row by row, each compared and set.

A row is written by an update that also asks for all that was expected of it, so none is lost. Where one of several has
changed, those that were written before it are put back as they were, unless somebody has changed them since. Until then
others see them; and if the client dies in between they stay. Where that matters, a replica set is needed, of one member
at least (``mongod --replSet``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.engine import fold
from colonnade.engine.plan import Put
from colonnade.engine.stores.mongodb import mastra
from colonnade.engine.stores.mongodb.documents import Document, documents, fields_of, id_of
from colonnade.engine.stores.mongodb.matching import every, same
from colonnade.engine.stores.mongodb.requests import Request, Steps, name_of
from colonnade.engine.stores.mongodb.writing import change_of, key_of
from colonnade.errors import Conflict
from colonnade.schemas.table import Table


def put(plan: Put, *, is_foreign: bool = False) -> Steps[int]:
    """All rows, or ``Conflict`` and none."""
    table, expect = plan.table, plan.expect
    assert expect is not None
    expected = {key_of(table, row): row for row in expect.to_pylist()}
    written: list[tuple[Document, Document | None]] = []
    for document in sorted(documents(table, fold.collapse(table, plan.data)), key=lambda each: key_of(table, each)):
        row = expected.get(key_of(table, document))
        before: Document | None = None
        try:
            if row is None:
                yield from _created(table, document)
            else:
                before = yield from _changed(table, document, row, is_foreign=is_foreign)
        except Conflict:
            yield from _undone(table, written)
            raise
        written.append((document, before))
    return int(plan.data.num_rows)


def _created(table: Table, document: Document) -> Steps[None]:
    """``Conflict`` where the key is there: the index of the key refuses it."""
    yield Request(name_of(table), "insert_one", ({"_id": id_of(table, document), **document},))


def _changed(table: Table, document: Document, row: Mapping[str, Any], *, is_foreign: bool) -> Steps[Document]:
    """The document as it was."""
    if is_foreign:
        where = yield from mastra.as_it_lies(table, document, row)
    else:
        where = every([same(table, name, value) for name, value in row.items()])
    before = yield Request(name_of(table), "find_one_and_update", (where, change_of(table, document)))
    if before is None:
        raise Conflict(f"rows of {table.name} changed since they were read")
    found: Document = before
    return found


def _undone(table: Table, written: list[tuple[Document, Document | None]]) -> Steps[None]:
    """Put back what was written, where it still is as it was written."""
    kept = {name for column in table.once for name in fields_of(table.columns[column])}
    for document, before in reversed(written):
        if before is None:
            mine = {name: {"$eq": value} for name, value in document.items()}
            yield Request(name_of(table), "delete_one", (mine,))
            continue
        final = table.facts.final
        if final and before.get(final) is not None and final not in document:
            continue  # it was not replaced
        mine = {name: {"$eq": value} for name, value in document.items() if name not in kept}
        yield Request(name_of(table), "replace_one", (mine, before))
