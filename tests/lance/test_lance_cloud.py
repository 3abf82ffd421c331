"""LanceDB by its own API, as of a service: there is none here, so it is tested on LanceDB in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lancedb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.composite import Storage
from colonnade.engine.plan import Delete, Is, OneOf, Put, Scan
from colonnade.engine.stores.lance.cloud import LanceCloudStore
from colonnade.errors import InvalidAddress, StoreClosed, Unsupported
from colonnade.schemas import THREADS
from colonnade.schemas.records import encode
from colonnade.testing.excuses import agree, excuses_of
from colonnade.testing.machine import run_machine
from colonnade.testing.questions import QUESTIONS, ask, load

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ATOMIC = {"transactions", "compare_and_set"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Any]:
    connection = lancedb.connect(tmp_path / "theirs", read_consistency_interval=timedelta(0))
    with Storage(LanceCloudStore(connection, "lancedb+db://theirs")) as opened:
        yield opened


def test_it_answers_as_the_reference_does(cloud: Any) -> None:
    few = settings(max_examples=max(settings().max_examples // 20, 6), stateful_step_count=10, deadline=None)
    run_machine(cloud, excused=ATOMIC, settings=few)


def test_it_answers_the_questions(cloud: Any) -> None:
    load(cloud)
    for question in QUESTIONS:
        ask(cloud, question)


def test_its_excuses_and_abilities_agree(cloud: Any) -> None:
    agree(cloud.stores[0], excuses_of(cloud.stores[0]))


hostile = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    (
        "' OR '1'='1",
        "'; DROP TABLE threads; --",
        "'",
        "''",
        "\\",
        "\\'",
        "`id`",
        '"',
        "a\nb",
        "a\0b",
        "%",
        "$1",
        "\u202e",
    )
)


@given(texts=st.lists(hostile, min_size=1, max_size=4, unique=True))
def test_a_text_finds_itself_and_nothing_else(texts: list[str]) -> None:
    storage = _shared()
    records = [
        {"id": str(n), "resourceId": "r", "title": text, "metadata": None, "createdAt": NOW, "updatedAt": NOW}
        for n, text in enumerate(texts)
    ]
    storage.execute(Put(THREADS, encode(THREADS, records)))
    for n, text in enumerate(texts):
        for where in (Is("title", "=", text), OneOf("title", (text, "no such"))):
            found = storage.execute(Scan(THREADS, where, columns=("id",))).column("id").to_pylist()
            assert found == [str(n)]
    assert storage.execute(Delete(THREADS, Is("title", "=", "' OR '1'='1"))) == ("' OR '1'='1" in texts)
    storage.execute(Delete(THREADS, Is("resourceId", "=", "r")))


_OPEN: list[Any] = []


def _shared() -> Any:
    """One store for all examples."""
    if not _OPEN:
        connection = lancedb.connect("memory://", read_consistency_interval=timedelta(0))
        _OPEN.append(Storage(LanceCloudStore(connection, "lancedb+db://theirs")))
    return _OPEN[0]


def test_what_would_not_be_safe_is_refused(cloud: Any) -> None:
    cloud.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
    with pytest.raises(Unsupported, match="neither transactions nor compare-and-set"):
        cloud.memory.update_thread(id="t1", title="Hello")


def test_the_address_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANCEDB_API_KEY", raising=False)
    with pytest.raises(InvalidAddress, match="LANCEDB_API_KEY"):
        colonnade.open("lancedb+db://mine", init=False)
    with pytest.raises(InvalidAddress, match="knows no option 'colour'"):
        colonnade.open("lancedb+db://mine?colour=red", init=False)
    monkeypatch.setenv("LANCEDB_API_KEY", "sk_from_environment")
    for address in ("lancedb+db://mine", "lancedb+db://mine?api_key=sk_given&region=eu-west-1"):
        store = colonnade.open(address, init=False)
        assert repr(store) == "<Storage default=lancedb+db://mine>"
        store.close()
        with pytest.raises(StoreClosed):
            store.execute(Scan(THREADS))
