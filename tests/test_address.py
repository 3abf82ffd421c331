"""Opening a storage: addresses, composition, and clear errors for what cannot be opened."""

import asyncio
import gzip
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

import colonnade
from colonnade.engine.plan import Scan
from colonnade.engine.store import Store
from colonnade.engine.stores.duckdb import DuckDBStore
from colonnade.engine.stores.memory import MemoryStore
from colonnade.errors import (
    InvalidAddress,
    InvalidInput,
    NotAStore,
    SchemaTooNew,
    StoreClosed,
    StoreLocked,
    StoreReadOnly,
    Unsupported,
)
from colonnade.schemas import THREADS, VERSION

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}


@pytest.mark.parametrize("form", ["{path}", "duckdb:///{path}", "duckdb:///{path}?threads=1&memory_limit=500MB"])
def test_a_duckdb_file_by_path_and_by_url(tmp_path: Path, form: str) -> None:
    address = form.format(path=tmp_path / "agent.db")
    with colonnade.open(address) as store:
        store.memory.save_thread(thread=THREAD)
    with colonnade.open(tmp_path / "agent.db") as store:
        found = store.memory.get_thread_by_id(thread_id="t1")
        assert found is not None
        assert found["title"] == "Hello"


def test_three_slashes_before_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    colonnade.open("duckdb:///here.db").close()
    assert (tmp_path / "here.db").is_file()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("agent.txt", "names no store; open a folder"),
        ("nosuch://host/db", "no store is known for nosuch://"),
        ("duckdb://host/agent.db", "three slashes"),
        ("duckdb:///agent.db?colour=red", "knows no option 'colour'"),
        ("duckdb:///agent.db?read_only=maybe", "true or false"),
        ("duckdb:///agent.db?read_only=true", "does not exist"),
        ("no/such/folder/agent.db", "is no folder"),
    ],
)
def test_an_address_that_names_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidAddress, match=said):
        colonnade.open(address)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes.db"
    notes.write_text("shopping list\n" * 1000)
    with pytest.raises(NotAStore, match="no DuckDB database"):
        colonnade.open(notes)
    assert notes.read_text() == "shopping list\n" * 1000


def test_a_folder_is_no_duckdb_file(tmp_path: Path) -> None:
    (tmp_path / "agent.db").mkdir()
    with pytest.raises(NotAStore, match="is a folder"):
        colonnade.open(tmp_path / "agent.db")


def test_a_database_with_tables_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "mine.db")) as mine:
        mine.execute("create table messages (words varchar); insert into messages values ('keep me')")
    with pytest.raises(NotAStore, match="tables of its own named messages"):
        colonnade.open(tmp_path / "mine.db")
    with duckdb.connect(str(tmp_path / "mine.db")) as mine:
        assert mine.execute("select table_name from duckdb_tables()").fetchall() == [("messages",)]


def test_a_store_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    with colonnade.open(path) as store:
        store.memory.save_thread(thread=THREAD)
    with duckdb.connect(str(path)) as newer:
        newer.execute("update colonnade_schema set version = ?", [VERSION + 1])
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=f"version {VERSION + 1}.*up to {VERSION}") as refused:
        colonnade.open(path)
    assert (refused.value.found, refused.value.known) == (VERSION + 1, VERSION)
    assert path.read_bytes() == before


def test_an_older_store_is_brought_forward_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    with colonnade.open(path) as store:
        store.memory.save_thread(thread=THREAD)
    with duckdb.connect(str(path)) as older:  # as a version before this one might have been
        older.execute("drop view traces; drop table agents")
        for (index,) in older.execute("select index_name from duckdb_indexes() where table_name = 'spans'").fetchall():
            older.execute(f"drop index {index}")
        older.execute("alter table spans drop column cost")
        older.execute("update colonnade_schema set version = 0")
    with colonnade.open(path) as store:
        assert store.memory.get_thread_by_id(thread_id="t1")["title"] == "Hello"  # type: ignore[index]
        assert store.sql("select cost from spans").rows() == []
        assert store.sql("select count(*) as n from agents, traces").rows() == [{"n": 0}]
    with duckdb.connect(str(path)) as newest:
        assert newest.execute("select version from colonnade_schema").fetchall() == [(VERSION,)]


def test_stores_of_past_versions_open(tmp_path: Path) -> None:
    fixtures = sorted((Path(__file__).parent / "fixtures" / "stores").glob("v*.duckdb.gz"))
    assert [int(path.name.split(".")[0][1:]) for path in fixtures] == list(range(1, VERSION + 1)), (
        "keep one file of every version"
    )
    for fixture in fixtures:
        (tmp_path / "past.duckdb").write_bytes(gzip.decompress(fixture.read_bytes()))
        with colonnade.open(tmp_path / "past.duckdb") as store:
            assert store.memory.list_messages(thread_id="t1")["total"] == 2
            trace = store.observability.get_trace(trace_id="a" * 32)
            assert trace is not None
            assert [span["name"] for span in trace["spans"]] == ["agent", "chat"]
            assert store.scores.get_score_by_id(id="s1")["score"] == 0.1234567890123  # type: ignore[index]


def test_a_file_open_in_another_process_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    hold = f"import colonnade, sys; s = colonnade.open({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreLocked, match="open in another process"):
            colonnade.open(path)
        other.communicate()
    colonnade.open(path).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write here")
def test_a_read_only_folder_and_file(tmp_path: Path) -> None:
    colonnade.open(tmp_path / "there.db").close()
    for parent in (tmp_path, *tmp_path.parents):
        if parent != Path("/"):
            parent.chmod(0o755)
    script = """
        import os, sys
        import colonnade
        from colonnade.errors import StoreReadOnly
        import colonnade.engine.stores.duckdb
        os.setuid(65534)
        for name in ("new.db", "there.db"):
            try:
                colonnade.open(name)
            except StoreReadOnly as error:
                print(error)
        with colonnade.open("duckdb:///there.db?read_only=true") as store:
            print(store.memory.list_threads()["total"])
    """
    code = f"import sys; sys.path.insert(0, {str(Path(colonnade.__file__).parent.parent)!r})\n" + textwrap.dedent(
        script
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    first, second, total = ran.stdout.splitlines()
    assert "no store can be made there" in first
    assert "there.db cannot be written" in second
    assert total == "0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.db"]


def test_opened_for_reading_it_refuses_to_write(tmp_path: Path) -> None:
    colonnade.open(tmp_path / "agent.db").close()
    with (
        colonnade.open(f"duckdb:///{tmp_path / 'agent.db'}?read_only=true") as store,
        pytest.raises(StoreReadOnly, match="for reading only"),
    ):
        store.memory.save_thread(thread=THREAD)


def test_after_close_everything_says_so(tmp_path: Path) -> None:
    for address in (":memory:", str(tmp_path / "agent.db")):
        store = colonnade.open(address)
        store.close()
        store.close()
        with pytest.raises(StoreClosed, match="closed"):
            store.memory.list_threads()


class Named(MemoryStore):
    """A memory store that remembers what it was asked."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label
        self.initialized = 0

    def init(self) -> None:
        self.initialized += 1


def test_domains_go_to_their_stores_and_the_rest_to_the_default() -> None:
    default, memory = Named("default"), Named("memory")
    with colonnade.open(default, memory=memory) as store:
        store.memory.save_thread(thread=THREAD)
        store.scores.save_evals(evals=[])
        assert memory.scan(Scan(THREADS)).num_rows == 1
        assert default.scan(Scan(THREADS)).num_rows == 0
        assert store.get_store("memory") is store.memory
        store.init()
        assert (default.initialized, memory.initialized) == (1, 1)


def test_a_domain_that_no_store_keeps() -> None:
    with colonnade.open(memory=":memory:") as store:
        assert store.get_store("agents") is None
        with pytest.raises(Unsupported, match="no store keeps 'agents' here, only memory"):
            store.agents.list_agents()
        with pytest.raises(InvalidInput, match="no such domain"):
            store.get_store("dreams")


def test_a_storage_needs_an_id_and_a_source() -> None:
    with pytest.raises(InvalidInput, match="id must be provided and cannot be empty"):
        colonnade.open(":memory:", id=" ")
    with pytest.raises(InvalidInput, match="requires at least one storage source"):
        colonnade.open()
    with pytest.raises(InvalidInput, match="no such domain: dreams"):
        colonnade.open(":memory:", dreams=":memory:")


def test_an_address_given_twice_is_one_store_and_closed_once(tmp_path: Path) -> None:
    address = str(tmp_path / "agent.db")
    with colonnade.open(":memory:", memory=address, scores=address) as store:
        assert len(store.stores) == 2
        store.memory.save_thread(thread=THREAD)
    DuckDBStore(Path(address)).close()


def test_nothing_stays_open_when_one_of_several_fails(tmp_path: Path) -> None:
    with pytest.raises(InvalidAddress):
        colonnade.open(tmp_path / "agent.db", memory="nosuch://x")
    script = f"import colonnade; colonnade.open({str(tmp_path / 'agent.db')!r}).close()"
    subprocess.run([sys.executable, "-c", script], check=True)  # another process gets the lock


def test_without_init_no_table_is_made_until_asked(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent.db", init=False) as store:
        assert store.sql("select count(*) as n from duckdb_tables()").rows() == [{"n": 0}]
        store.init()
        assert store.memory.list_threads()["total"] == 0


def test_a_third_partys_store_is_found_by_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> type[Named]:
            return Named

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: [Entry()] if name == "named" else [])
    with colonnade.open("named://somewhere") as store:
        assert [str(each) for each in store.stores] == ["named://somewhere"]


def test_async_opens_on_entering_and_refuses_nothing_that_sync_takes(tmp_path: Path) -> None:
    async def main() -> int:
        async with colonnade.aopen(tmp_path / "agent.db", memory=":memory:") as store:
            await store.memory.save_thread(thread=THREAD)
            assert store.get_store("memory") is store.memory
            return int((await store.memory.list_threads())["total"])

    assert asyncio.run(main()) == 1


def test_reprs_name_the_stores() -> None:
    default: Store = Named("somewhere")
    assert repr(colonnade.open(default, memory=":memory:")) == "<Storage default=somewhere memory=:memory:>".replace(
        " memory", ", memory"
    )


def test_a_path_without_an_ending_is_a_folder_for_any_number_of_openers(tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "agent") as one, colonnade.open(tmp_path / "agent") as other:
        one.memory.save_thread(thread=THREAD)
        one.observability.create_span(
            span={"traceId": "a", "spanId": "b", "name": "chat", "startedAt": "2026-01-01T00:00:00Z"}
        )
        assert other.memory.list_threads()["total"] == 1
        assert other.observability.get_trace(trace_id="a") is not None
    script = f"import colonnade; print(colonnade.open({str(tmp_path / 'agent')!r}).queries.roots().rows.num_rows)"
    with colonnade.open(tmp_path / "agent") as one:
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert ran.stdout == "1\n"
        assert one.sql("select count(*) as n from traces").rows() == [{"n": 1}]


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(NotAStore, match="holds other files"):
        colonnade.open(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.png"]
