"""Texts that mean something to somebody else are only texts: in ids, and in keys and values of metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import Contains, Is, Scan
from colonnade.errors import InvalidInput
from colonnade.schemas import STORED, THREADS
from colonnade.testing.machine import clear

TEXTS = (
    "x'; DROP TABLE mastra_threads; --", 'a"b', "100%", "a_b", "back\\slash\\", "$where", '{"$gt": ""}', "?1", ":a @b",
    "\U0001f600 e\u0301", "\u05e9\u05dc\u05d5\u05dd \u202e", "char(0)", "a' || 'b", "$.a", "\ufdd0",
    "\ufffe", "\r\n\t\x01", "[1,2]",
)  # fmt: skip
MEGABYTE = "\u00e9'x\\" * 160_000
"""In UTF-8 800 KB, and as JSON 960 KB: a row with two of them is still one that D1 takes."""


@pytest.fixture(scope="module", params=["file", "sqld", "d1", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An empty store of each."""
    folder: Path = tmp_path_factory.mktemp("strings")
    address = f"file:{folder / 'storage.db'}"
    if request.param == "sqld":
        address = request.getfixturevalue("sqld").address()
    if request.param == "d1":
        address = request.getfixturevalue("workerd").address("strings_")
    if request.param == "mongodb":
        address = request.getfixturevalue("mongodb").address("strings")
    with colonnade.open(address) as opened:
        yield opened
        clear(opened, STORED)


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_is_a_text(store: Any, text: str) -> None:
    thread = {"id": text, "resourceId": text, "title": text, "metadata": {"value": text, text: [text]}}
    store.memory.save_thread(thread=thread)
    message = {"id": text, "threadId": text, "resourceId": text, "role": "user", "content": {"text": text, text: 1}}
    store.memory.save_messages(messages=[message])
    store.memory.update_thread(id=text, title=text, metadata={"more": text})

    found = store.memory.get_thread_by_id(thread_id=text)
    assert found["title"] == text
    assert found["metadata"] == {"value": text, text: [text], "more": text}
    (listed,) = store.memory.list_threads_by_resource_id(resource_id=text)["threads"]
    assert listed["id"] == text
    (kept,) = store.memory.list_messages(thread_id=text)["messages"]
    assert kept["content"]["text"] == text and kept["content"][text] == 1
    for where in (Is("id", "=", text), Contains("title", text)):
        assert text in store.execute(Scan(THREADS, where, columns=("id",))).column(0).to_pylist()
    store.memory.delete_thread(thread_id=text)
    assert store.memory.get_thread_by_id(thread_id=text) is None


def test_a_megabyte_is_a_text(store: Any) -> None:
    for thread in (
        {"id": MEGABYTE, "resourceId": "r", "title": "", "metadata": {}},
        {"id": "long title", "resourceId": MEGABYTE, "title": MEGABYTE, "metadata": {}},
        {"id": "long value", "resourceId": "r", "title": "", "metadata": {"value": MEGABYTE}},
        {"id": "long key", "resourceId": "r", "title": "", "metadata": {MEGABYTE: 1}},
    ):
        store.memory.save_thread(thread=thread)
        found = store.memory.get_thread_by_id(thread_id=thread["id"])
        assert {name: found[name] for name in thread} == thread
    listed = store.memory.list_threads_by_resource_id(resource_id=MEGABYTE)["threads"]
    assert [each["id"] for each in listed] == ["long title"]
    looked = store.execute(Scan(THREADS, Contains("title", MEGABYTE), columns=("id",)))
    assert looked.column(0).to_pylist() == ["long title"]
    assert store.memory.update_thread(id="long value", metadata={"more": True})["metadata"]["more"] is True
    clear(store, STORED)


def test_an_id_with_a_nul_is_refused(store: Any) -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        store.memory.save_thread(thread={"id": "a\0b", "resourceId": "r", "title": "", "metadata": {}})
