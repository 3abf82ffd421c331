"""What a returned call survives, by choice: ``durability`` of ``open`` and of addresses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.embedded.store import EmbeddedStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import InvalidAddress, InvalidInput

SPAN = {"traceId": "t", "spanId": "s", "name": "chat", "startedAt": "2026-01-31T12:00:00Z"}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The files that were made to survive a loss of power, as they are."""
    import os

    files: list[int] = []
    real = os.fdatasync

    def fdatasync(file: int) -> None:
        files.append(file)
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return files


@pytest.mark.parametrize(
    ("address", "options", "is_synced"),
    [
        ("agent", {}, False),
        ("agent", {"durability": "process"}, False),
        ("agent", {"durability": "power"}, True),
        ("agent?durability=power", {}, True),
        ("agent?durability=process", {}, False),
        ("agent?durability=power", {"durability": "process"}, True),
    ],
)
def test_a_folder_that_survives_a_loss_of_power(
    tmp_path: Path, synced: list[int], address: str, options: dict[str, Any], is_synced: bool
) -> None:
    with colonnade.open(str(tmp_path / address), **options) as store:
        del synced[:]
        with store.writer() as writer:
            writer.add(SPAN)
        assert bool(synced) == is_synced
        (state,) = store.sql("select count(*) as n from spans").rows()
        assert state == {"n": 1}
        (kept,) = store.stores
        assert isinstance(kept, EmbeddedStore)
        pragma = kept.state._connection().execute("PRAGMA synchronous").fetchone()
        assert pragma == (2 if is_synced else 1,)  # FULL, NORMAL
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]


def test_an_awaited_storage_and_each_domain_by_itself(tmp_path: Path, synced: list[int]) -> None:
    async def main() -> None:
        async with colonnade.aopen(tmp_path / "agent", durability="power") as store:
            del synced[:]
            await store.observability.create_span(span=SPAN)
            assert synced
        async with colonnade.aopen(":memory:", observability=f"{tmp_path / 'spans'}?durability=power") as store:
            del synced[:]
            await store.observability.create_span(span=SPAN)
            assert synced

    asyncio.run(main())


def test_a_sqlite_file(tmp_path: Path) -> None:
    for address in (f"sqlite:///{tmp_path / 'a.sqlite'}?durability=power", f"sqlite:///{tmp_path / 'a.sqlite'}"):
        with colonnade.open(address) as store:
            store.memory.list_threads()
            (kept,) = store.stores
            pragma = kept._connection().execute("PRAGMA synchronous").fetchone()  # type: ignore[union-attr]
            assert pragma == (2 if "power" in address else 1,)


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        (":memory:", {"durability": "power"}, ":memory: knows no option 'durability', and none at all"),
        (":memory:?durability=power", {}, ":memory: knows no option 'durability', and none at all"),
        ("agent.db", {"durability": "power"}, "a DuckDB file knows no option 'durability', only read_only"),
        ("duckdb:///agent.db?durability=power", {}, "duckdb:// knows no option 'durability', only read_only"),
        ("agent?durability=forever", {}, "a folder option durability: is process or power, not 'forever'"),
        ("agent", {"durability": "forever"}, "a folder option durability: is process or power, not 'forever'"),
        ("agent?colour=red", {}, "a folder knows no option 'colour', only durability"),
    ],
)
def test_what_a_store_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidAddress, match=said):
        colonnade.open(address, **options)
    assert not list(tmp_path.iterdir())


def test_a_part_that_does_not_have_the_choice_is_no_exception(tmp_path: Path) -> None:
    with pytest.raises(InvalidAddress, match="knows no option 'durability'"):
        colonnade.open(tmp_path / "agent", memory=":memory:", durability="power")
    with pytest.raises(InvalidInput, match="is open already"):
        colonnade.open(MemoryStore(), durability="power")


def test_a_name_with_a_question_mark_is_a_name_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "what?durability=power").mkdir()
    colonnade.open(tmp_path / "what?durability=power").close()
    colonnade.open(tmp_path / "where?").close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["what?durability=power", "where?"]


def test_options_of_a_duckdb_file_may_follow_its_path(tmp_path: Path) -> None:
    colonnade.open(tmp_path / "agent.db").close()
    with (
        colonnade.open(f"{tmp_path / 'agent.db'}?read_only=true") as store,
        pytest.raises(colonnade.ColonnadeError, match="for reading only"),
    ):
        store.observability.create_span(span=SPAN)
