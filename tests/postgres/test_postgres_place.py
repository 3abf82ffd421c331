"""Opening a PostgreSQL store: every constructor form, what it may find there, and errors that hold no secret."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import warnings
from typing import Any
from urllib.parse import quote

import pytest

import colonnade
from colonnade.engine.stores.postgres.address import Place, place_of
from colonnade.engine.stores.postgres.store import AsyncPostgresStore, PostgresStore
from colonnade.errors import (
    InvalidAddress,
    InvalidInput,
    MissingExtra,
    NotAStore,
    SchemaTooNew,
    StoreClosed,
    StoreError,
    StoreReadOnly,
)
from colonnade.schemas import STORED, VERSION
from tests.servers.postgres import PASSWORD, USER, Server

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}
PARTS: dict[str, Any] = {"host": "db.example", "port": 5433, "database": "mydb", "user": "user", "password": "s3cret"}


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (
            {"connection_string": "postgresql://user:s3cret@db.example:5433/mydb"},
            "postgresql://db.example:5433/mydb",
        ),
        ({"connection_string": "postgres://user:s3cret@db.example/mydb"}, "postgresql://db.example/mydb"),
        ({"connection_string": "host=db.example dbname=mydb password=s3cret"}, "postgresql://db.example/mydb"),
        (
            {"connection_string": "postgresql://user:s3cret@db.example/mydb", "schema_name": "custom"},
            "postgresql://db.example/mydb?schema_name=custom",
        ),
        (
            {"connection_string": "postgresql://user:s3cret@db.example/mydb?schema_name=custom"},
            "postgresql://db.example/mydb?schema_name=custom",
        ),
        (PARTS, "postgresql://db.example:5433/mydb"),
        (PARTS | {"schema_name": "custom"}, "postgresql://db.example:5433/mydb?schema_name=custom"),
    ],
)
def test_the_constructor_forms_of_the_source_documents(given: dict[str, Any], label: str) -> None:
    for store in (PostgresStore(id="pg-storage", **given), AsyncPostgresStore(id="pg-storage", **given)):
        assert (store.id, store.label, str(store)) == ("pg-storage", label, label)
        assert store.place.connecting["password"] == "s3cret"
        assert "s3cret" not in repr(store) + repr(store.place)


def ssl_of(**given: Any) -> dict[str, str]:
    connecting = place_of("postgresql://h/db", **given).connecting
    return {name: value for name, value in connecting.items() if name.startswith("ssl")}


def test_ssl_as_the_source_documents_have_it_and_as_libpq_has_it() -> None:
    assert ssl_of() == {}
    assert ssl_of(ssl=False) == {"sslmode": "disable"}
    assert ssl_of(ssl=True) == {"sslmode": "verify-full", "sslrootcert": "system"}
    assert ssl_of(ssl={"rejectUnauthorized": False}) == ssl_of(ssl={"reject_unauthorized": False})
    assert ssl_of(ssl={"reject_unauthorized": False}) == {"sslmode": "require"}
    assert ssl_of(ssl={"ca": "/ca.pem"}) == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
    assert ssl_of(ssl="prefer") == {"sslmode": "prefer"}
    address = "postgresql://h/db?sslmode=verify-ca&sslrootcert=/ca.pem"
    assert place_of(address).connecting["sslmode"] == "verify-ca"
    assert place_of("postgresql://h/db?ssl=true").connecting["sslmode"] == "verify-full"


def test_options_in_the_address_are_those_of_the_constructor() -> None:
    index = {"name": "i", "table": "mastra_threads", "columns": ["title"]}
    options = f"skip_default_indexes=true&pool_size=3&prepare=false&indexes={quote(json.dumps([index]))}"
    address = f"postgresql://u@h/db?{options}"
    given: dict[str, Any] = {"skip_default_indexes": True, "pool_size": 3, "prepare": False, "indexes": [index]}
    assert place_of(address) == place_of("postgresql://u@h/db", **given)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://ada:pa ss/wo@rd@host/db?x=1", "percent signs|no option"),
        ("postgresql://host/db?colour=red", "knows no option 'colour'"),
        ("postgresql://host/db?skip_default_indexes=perhaps", "skip_default_indexes: is true or false"),
        ("postgresql://host/db?pool_size=0", "pool_size must be from 1"),
        ("postgresql://host/db?indexes=oops", "indexes: is a JSON list"),
        ("postgresql://host/db?schema_name=a%22b", "no name of a schema"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as error:
        colonnade.open(address)
    assert "pa ss" not in str(error.value)


def test_parts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InvalidAddress, match="not both"):
        PostgresStore("postgresql://h/db", host="h")
    with pytest.raises(InvalidAddress, match="names no PostgreSQL database"):
        PostgresStore()
    with pytest.raises(InvalidInput, match="id must be provided and cannot be empty"):
        PostgresStore("postgresql://h/db", id=" ")
    with pytest.raises(InvalidAddress, match="ssl knows no 'colour'"):
        PostgresStore("postgresql://h/db", ssl={"colour": "red"})
    with pytest.raises(InvalidAddress, match="do not have the choice of durability"):
        colonnade.open("postgresql://h/db", durability="power")


def test_parts_open_a_store_with_a_schema_of_its_own(postgres: Server) -> None:
    store = PostgresStore(
        host="127.0.0.1", port=postgres.port, database="postgres", user=USER, password=PASSWORD, schema_name="Parts 1"
    )
    with colonnade.open(default=store) as storage:
        storage.memory.save_thread(thread=THREAD)
    found = postgres.command("SELECT tablename FROM pg_tables WHERE schemaname = 'Parts 1'")
    assert {name for (name,) in found} == {table.facts.mastra for table in STORED}
    assert postgres.command('SELECT id FROM "Parts 1".mastra_threads') == [("t1",)]
    assert postgres.command('SELECT count(*) FROM "Parts 1".mastra_traces') == [(0,)]


def test_each_colour_has_a_driver_of_its_own(postgres: Server) -> None:
    address = postgres.address("colours")
    with colonnade.open(address) as store:
        assert isinstance(store.stores[0], PostgresStore)

    async def main() -> None:
        async with colonnade.aopen(address) as opened:
            assert isinstance(opened.stores[0], AsyncPostgresStore)
            await opened.memory.save_thread(thread=THREAD)
            found = await asyncio.gather(*(opened.memory.get_thread_by_id(thread_id="t1") for _ in range(30)))
            assert all(each is not None and each["title"] == "Hello" for each in found)

    asyncio.run(main())


def test_direct_access_to_the_pool_and_to_sql(postgres: Server) -> None:
    with colonnade.open(default=PostgresStore(postgres.address("direct"))) as storage:
        store = storage.stores[0]
        assert isinstance(store, PostgresStore)
        storage.memory.save_thread(thread={**THREAD, "metadata": {"n": 1}})
        with store.pool.connection() as connection:
            assert connection.execute("SELECT metadata FROM direct.mastra_threads").fetchone() == ({"n": 1},)
        assert store.db.any("SELECT id FROM direct.mastra_threads WHERE id = %s", ("t1",)) == [{"id": "t1"}]
        assert store.db.one("SELECT 1 AS one") == {"one": 1}
        store.db.none("DELETE FROM direct.mastra_threads")
        assert storage.memory.list_threads()["total"] == 0
        with pytest.raises(InvalidInput, match="2 were found"):
            store.db.one("SELECT generate_series(1, 2)")
        with pytest.raises(StoreError, match="syntax error"):
            store.db.any("SELEC 1")

    async def main() -> None:
        async with colonnade.aopen(default=AsyncPostgresStore(postgres.address("direct"))) as opened:
            kept = opened.stores[0]
            assert isinstance(kept, AsyncPostgresStore)
            await opened.init()
            async with kept.pool.connection() as connection:
                assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
            assert await kept.db.one("SELECT 1 AS one") == {"one": 1}
            await kept.db.none("SELECT 1")

    asyncio.run(main())


def test_one_pool_for_an_address_which_the_last_store_closes(postgres: Server) -> None:
    address = postgres.address("pooled", "application_name=pooled")  # a pool that no other test has open
    first, second = PostgresStore(address), PostgresStore(address, id="again")
    other = PostgresStore(address, pool_size=2)
    pool = first.pool
    assert second.pool is pool
    assert other.pool is not pool
    other.close()
    first.close()
    assert not pool.closed
    second.close()
    second.close()
    assert pool.closed
    with pytest.raises(StoreClosed):
        _ = first.pool


def test_a_store_that_was_not_closed_leaves_no_pool_to_the_next_event_loop(postgres: Server) -> None:
    address = postgres.address("loops")

    async def forget() -> None:
        store = colonnade.aopen(address)
        await store.init()
        await store.memory.list_threads()

    async def ask() -> int:
        async with colonnade.aopen(address) as store:
            return int((await store.memory.list_threads())["total"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # which is what they are for
        for _ in range(3):
            asyncio.run(forget())
            assert asyncio.run(ask()) == 0
        gc.collect()


def test_nothing_secret_is_shown(postgres: Server) -> None:
    with colonnade.open(postgres.address("shown")) as store:
        kept = store.stores[0]
        assert isinstance(kept, PostgresStore)
        assert PASSWORD not in repr(store) + repr(kept) + repr(kept.place)
    wrong = postgres.address("shown").replace(quote(PASSWORD, safe=""), "wr0ng")
    with pytest.raises(StoreError, match=f"refuses the user '{USER}': is the password right") as error:
        colonnade.open(wrong)
    assert "wr0ng" not in str(error.value)
    with pytest.raises(StoreError, match="is the password right"):
        asyncio.run(colonnade.aopen(wrong).init())


def test_a_server_or_a_database_that_is_not_there(postgres: Server) -> None:
    with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:1/db cannot be reached"):
        colonnade.open("postgresql://u:s3cret@127.0.0.1:1/db")
    with pytest.raises(StoreError, match="cannot be reached"):
        asyncio.run(colonnade.aopen("postgresql://127.0.0.1:1/db").init())
    with pytest.raises(StoreError, match="no such database"):
        colonnade.open(postgres.address(database="nowhere"))


def test_a_store_that_was_closed(postgres: Server) -> None:
    store = colonnade.open(postgres.address("closed"))
    store.close()
    store.close()
    with pytest.raises(StoreClosed, match="open it again"):
        store.memory.get_thread_by_id(thread_id="t1")


def test_tables_that_somebody_else_made_are_left_alone(postgres: Server) -> None:
    postgres.command("CREATE SCHEMA theirs", "CREATE TABLE theirs.mastra_threads (a int, b int, c int)")
    with pytest.raises(NotAStore, match="mastra_threads that neither colonnade nor Mastra made"):
        colonnade.open(postgres.address("theirs"))
    assert postgres.command("SELECT count(*) FROM pg_tables WHERE schemaname = 'theirs'") == [(1,)]


def test_a_store_of_a_newer_colonnade_is_refused(postgres: Server) -> None:
    colonnade.open(postgres.address("newer")).close()
    postgres.command(f"COMMENT ON TABLE newer.mastra_ai_spans IS 'colonnade {VERSION + 1}'")
    with pytest.raises(SchemaTooNew, match=f"schema version {VERSION + 1}"):
        colonnade.open(postgres.address("newer"))


def test_a_store_of_an_older_colonnade_is_completed(postgres: Server) -> None:
    with colonnade.open(postgres.address("older")) as store:
        store.scores.save_score(
            score={
                "scorerId": "s",
                "runId": "r",
                "scorer": {},
                "score": 1,
                "output": 1,
                "source": "TEST",
                "entity": {},
                "entityId": "e",
            }
        )
    postgres.command(
        "ALTER TABLE older.mastra_scorers DROP COLUMN trial", "COMMENT ON TABLE older.mastra_scorers IS 'colonnade 1'"
    )
    with colonnade.open(postgres.address("older")) as store:
        assert store.scores.list_scores_by_run_id(run_id="r")["scores"][0]["trial"] is None
    assert postgres.command("SELECT obj_description('older.mastra_scorers'::regclass)") == [(f"colonnade {VERSION}",)]


def test_a_user_who_may_only_read_reads(postgres: Server) -> None:
    with colonnade.open(postgres.address("read")) as store:
        store.memory.save_thread(thread=THREAD)
    postgres.command(
        "CREATE ROLE reader LOGIN PASSWORD 'r3ader'",
        "GRANT USAGE ON SCHEMA read TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA read TO reader",
    )
    reader = f"postgresql://reader:r3ader@127.0.0.1:{postgres.port}/postgres?schema_name=read"
    with colonnade.open(reader) as store:
        assert store.memory.list_threads()["total"] == 1
        with pytest.raises(StoreReadOnly, match="the user 'reader' may not do this"):
            store.memory.save_thread(thread=THREAD)


def test_tables_that_are_missing_are_made_by_init(postgres: Server) -> None:
    with colonnade.open(postgres.address("nowhere"), init=False) as store:
        with pytest.raises(StoreError, match="open it with init, which makes them"):
            store.memory.list_threads()
        store.init()
        assert store.memory.list_threads()["total"] == 0


def test_many_who_open_at_once_make_one_store(postgres: Server) -> None:
    address = postgres.address("rush")

    async def main() -> list[int]:
        async def enter() -> int:
            async with colonnade.aopen(address) as store:
                return int((await store.memory.list_threads())["total"])

        return list(await asyncio.gather(*(enter() for _ in range(12))))

    assert asyncio.run(main()) == [0] * 12
    assert postgres.command("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_driver_that_is_missing_is_named_with_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [name for name in sys.modules if name.startswith("colonnade.engine.stores.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[postgres\]'"):
        colonnade.open("postgresql://host/db")


def test_who_connects_when_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "ada")
    assert Place({"host": "h"}).user == "ada"
    assert Place({"host": "/run/socket"}).label == "postgresql://%2Frun%2Fsocket/ada"
