"""Opening an SQL Server store: every constructor form, what it may find there, and errors that hold no secret."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import colonnade
from colonnade.engine.stores.mssql.address import Place, place_of
from colonnade.engine.stores.mssql.spelling import create_table
from colonnade.engine.stores.mssql.store import MSSQLStore
from colonnade.errors import (
    InvalidAddress,
    InvalidInput,
    MissingExtra,
    NotAStore,
    SchemaTooNew,
    StoreClosed,
    StoreError,
)
from colonnade.schemas import RESOURCES, STORED, VERSION

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}
PARTS: dict[str, Any] = {"server": "db.example", "port": 1433, "database": "mydb", "user": "user", "password": "s3cret"}
ADO = "Server=db.example,1433;Database=mydb;User Id=sa;Password=s3cret;Encrypt=true;TrustServerCertificate=true"


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"connection_string": ADO}, "mssql://db.example/mydb"),
        ({"connection_string": ADO, "schema_name": "custom"}, "mssql://db.example/mydb?schema_name=custom"),
        (PARTS, "mssql://db.example/mydb"),
        (PARTS | {"schema_name": "custom"}, "mssql://db.example/mydb?schema_name=custom"),
        (PARTS | {"port": 1544}, "mssql://db.example:1544/mydb"),
        (
            {"connection_string": "mssql://sa:s3cret@db.example:1544/mydb?schema_name=custom"},
            "mssql://db.example:1544/mydb?schema_name=custom",
        ),
        ({"connection_string": "sqlserver://sa:s3cret@db.example/mydb"}, "mssql://db.example/mydb"),
    ],
)
def test_the_constructor_forms_of_the_source_documents(given: dict[str, Any], label: str) -> None:
    store = MSSQLStore(id="mssql-storage", **given)
    assert (store.id, store.label, str(store)) == ("mssql-storage", label, label)
    assert store.place.password == "s3cret"
    assert "s3cret" not in repr(store) + repr(store.place)
    store.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Data Source=tcp:h,1444;Initial Catalog=d;UID=u;PWD=p", Place("h", "d", "u", "p", 1444)),
        ("server=.;database=d;user=u;password=p;", Place("localhost", "d", "u", "p")),
        ("Server=h\\one;Database=d;User Id=u;Password=p", Place("h\\one", "d", "u", "p")),
        ('Server=h;Database=d;User Id=u;Password="a;b""c"', Place("h", "d", "u", 'a;b"c')),
        ("Server=h;Database=d;User Id=u;Password='it''s'", Place("h", "d", "u", "it's")),
        ("Server=h;Database=d;User Id=u;Password={a}}b}", Place("h", "d", "u", "a}b")),
        ("Server=h;Database=d;User Id=u;Password=a=b c", Place("h", "d", "u", "a=b c")),
        (
            "Server=h;Database=d;Persist Security Info=False;User ID=u;Password=p;MultipleActiveResultSets=False;"
            "Encrypt=Mandatory;TrustServerCertificate=True;Connection Timeout=30;Application Name=x;"
            "ApplicationIntent=ReadOnly;Max Pool Size=3",
            Place("h", "d", "u", "p", encrypt=True, trust_server_certificate=True, connect_timeout=30,
                  application_name="x", read_only=True, pool_size=3),
        ),
    ],
)  # fmt: skip
def test_connection_strings_as_drivers_of_microsoft_have_them(text: str, found: Place) -> None:
    assert place_of(text) == found


def test_options_in_the_address_are_those_of_the_constructor() -> None:
    options = "schema_name=s&pool_size=3&encrypt=true&connect_timeout=4&application_name=a&read_only=true"
    given: dict[str, Any] = {"encrypt": True, "connect_timeout": 4, "application_name": "a", "read_only": True}
    parts: dict[str, Any] = {"server": "h", "database": "d", "user": "u", "password": "p"}
    assert place_of(f"mssql://u:p@h/d?{options}") == place_of(**parts, schema_name="s", pool_size=3, options=given)
    camel = {"encrypt": True, "trustServerCertificate": True, "appName": "a"}
    snake = {"encrypt": True, "trust_server_certificate": True, "application_name": "a"}
    assert place_of(**parts, options=camel) == place_of(**parts, options=snake)


@pytest.mark.parametrize(
    ("options", "encryption", "is_checked"),
    [
        ("", None, False),
        ("encrypt=true", "require", True),
        ("encrypt=true&trust_server_certificate=true", "require", False),
        ("trust_server_certificate=false", "require", True),
        ("trust_server_certificate=true", None, False),
        ("encrypt=false", "off", False),
        ("encrypt=false&trust_server_certificate=false", "off", False),
    ],
)
def test_who_is_asked_for_a_certificate(options: str, encryption: str | None, is_checked: bool) -> None:
    place = place_of(f"mssql://u:p@h/d?{options}")
    assert (place.encryption, place.is_checked) == (encryption, is_checked)


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    """By a server that answers nothing: it is about the beginning."""
    pytest.importorskip("pysqlbridge")
    from pysqlbridge.certificate import self_signed
    from pysqlbridge.server import start_background
    from pysqlbridge.tds.result import Column, Integer, QueryResult

    from colonnade.engine.stores.mssql.driver import connect, translated

    class Anyone:
        configured = True

        def admits(self, user: str, password: str) -> bool:
            return True

    def answer(_: Any) -> Any:
        return QueryResult(columns=[Column("x", Integer(4))], rows=[[1]])

    certificate = self_signed()
    (tmp_path / "own.pem").write_bytes(certificate.cert_pem)
    (tmp_path / "other.pem").write_bytes(self_signed("other").cert_pem)
    server, thread = start_background("127.0.0.1", 0, certificate, answer, Anyone())
    try:
        address = f"mssql://u:s3cret@127.0.0.1:{server.server_address[1]}/d?encrypt=true&connect_timeout=5"

        def connected(options: str) -> None:
            place = place_of(f"{address}&{options}")
            with translated(place):
                connect(place).close()

        connected(f"ca={tmp_path / 'own.pem'}")
        connected("trust_server_certificate=true")
        for options in (f"ca={tmp_path / 'other.pem'}", "trust_server_certificate=false"):
            with pytest.raises(
                StoreError, match=r"certificate is not trusted here; .* signed it as ca=\.\.\."
            ) as error:
                connected(options)
            assert "s3cret" not in str(error.value)
        connected("trust_server_certificate=true")
        assert "FREETDSCONF" not in os.environ
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_is_special_in_an_address_is_written_with_percent_signs() -> None:
    found = place_of(f"mssql://{quote('a/d:a', safe='')}:{quote('p@ss/w?rd#', safe='')}@h/d")
    assert (found.user, found.password) == ("a/d:a", "p@ss/w?rd#")


def test_the_environment_says_what_the_address_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSSQL_USER", "ada")
    monkeypatch.setenv("MSSQL_PASSWORD", "s3cret")
    assert place_of("mssql://h/d") == Place("h", "d", "ada", "s3cret")
    monkeypatch.setenv("MSSQL_CONNECTION_STRING", ADO)
    assert MSSQLStore().place.server == "db.example"
    assert MSSQLStore(schema_name="s").place.schema == "s"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mssql://ada:pa ss/wo@rd@host/db?x=1", "percent signs|no option"),
        ("mssql://u:p@host/db?colour=red", "knows no option 'colour'"),
        ("mssql://u:p@host/db?encrypt=perhaps", "encrypt: is true or false"),
        ("mssql://u:p@host/db?pool_size=0", "pool_size must be from 1"),
        ("mssql://u:p@host/db?pool_size=many", "pool_size: is a whole number"),
        ("mssql://u:p@host/db?connect_timeout=0", "connect_timeout is a number of seconds"),
        ("mssql://u:p@host:0/db", "a port is from 1"),
        ("mssql://u:p@host/db?schema_name=" + "a" * 129, "no name of a schema"),
        ("mssql://host/db", "asks for a login"),
        ("mssql://u:p@host/db?ca=nowhere.pem", "ca='nowhere.pem' is no file of certificates"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSSQL_USER", raising=False)
    with pytest.raises(InvalidAddress, match=said) as error:
        colonnade.open(address)
    assert "pa ss" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Server=h;Colour=red;Password=s3cret", "knows no 'Colour'"),
        ("Server=h,many;User Id=u;Password=s3cret", "no port of a server"),
        ("User Id=u;Password=s3cret", "names no SQL Server database"),
        ("s3cret", "no connection string"),
        ("postgresql://u:s3cret@h/d", "no scheme of SQL Server"),
        ("Server=h;Integrated Security=true", "knows no 'Integrated Security'"),
    ],
)
def test_a_connection_string_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as error:
        MSSQLStore(text)
    assert "s3cret" not in str(error.value)


def test_parts_that_do_not_fit_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSSQL_CONNECTION_STRING", raising=False)
    with pytest.raises(InvalidAddress, match="not both"):
        MSSQLStore(ADO, server="h")
    with pytest.raises(InvalidAddress, match="names no SQL Server database"):
        MSSQLStore()
    with pytest.raises(InvalidInput, match="id must be provided and cannot be empty"):
        MSSQLStore(ADO, id=" ")
    with pytest.raises(InvalidAddress, match="options knows no option 'colour'"):
        MSSQLStore(**PARTS, options={"colour": "red"})
    with pytest.raises(InvalidAddress, match="do not have the choice of durability"):
        colonnade.open("mssql://u:p@h/db", durability="power")


def test_parts_open_a_store_with_a_schema_of_its_own(server: Any) -> None:
    place = place_of(server.address("Parts ]1"))
    store = MSSQLStore(
        server=place.server, port=place.port, database=place.database, user=place.user, password=place.password,
        schema_name="Parts ]1",
    )  # fmt: skip
    with colonnade.open(default=store) as storage:
        storage.memory.save_thread(thread=THREAD)
    found = server.command("SELECT DISTINCT TABLE_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'Parts ]1'")
    assert {name for (name,) in found} == {
        *(table.facts.mastra for table in STORED), "mastra_traces", "colonnade_version"
    }  # fmt: skip
    rows = server.command("SELECT CAST([id] AS NVARCHAR(MAX)) AS [id] FROM [Parts ]]1].[mastra_threads]")
    assert list(map(tuple, rows)) == [("t1",)]


def test_tables_that_are_missing_are_made_by_init(server: Any) -> None:
    address = server.address("uninitialized")
    with (
        colonnade.open(address, init=False) as store,
        pytest.raises(StoreError, match="its tables are not there; open it with init"),
    ):
        store.memory.list_threads()
    with colonnade.open(address) as store:
        assert store.memory.list_threads()["total"] == 0
    with colonnade.open(address) as store:  # it is there already
        assert store.get_store("memory").list_threads()["total"] == 0


def test_both_colours_and_the_same_store(server: Any) -> None:
    address = server.address("colours")

    async def main() -> None:
        async with colonnade.aopen(address) as opened:
            assert isinstance(opened.stores[0], MSSQLStore)
            await opened.memory.save_thread(thread=THREAD)
            found = await asyncio.gather(*(opened.memory.get_thread_by_id(thread_id="t1") for _ in range(12)))
            assert all(each is not None and each["title"] == "Hello" for each in found)

    asyncio.run(main())
    with colonnade.open(address) as store:
        assert store.memory.list_threads()["total"] == 1


def test_direct_access_to_the_pool(server: Any) -> None:
    with colonnade.open(default=MSSQLStore(server.address("direct"))) as storage:
        store = storage.stores[0]
        assert isinstance(store, MSSQLStore)
        storage.memory.save_thread(thread={**THREAD, "metadata": {"n": 1}})
        with store.pool.connection() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT CAST([metadata] AS NVARCHAR(MAX)) AS [m] FROM [direct].[mastra_threads]")
            assert cursor.fetchall() == [('{"n":1}',)]
        pool = store.pool
    with pytest.raises(StoreClosed, match="is closed"), pool.connection():
        pass
    storage.close()


def test_a_schema_that_somebody_else_uses_is_left_alone(server: Any) -> None:
    address = server.address("others")
    colonnade.open(address).close()
    server.command(
        *(f"DROP TABLE [others].[{name}]" for name in ("colonnade_version", "mastra_threads")),
        "CREATE TABLE [others].[mastra_threads] ([id] INT NOT NULL)",
    )
    with pytest.raises(NotAStore, match="mastra_threads that colonnade did not make"):
        colonnade.open(address)


def test_a_newer_store_is_not_opened(server: Any) -> None:
    address = server.address("newer")
    colonnade.open(address).close()
    server.command(f"UPDATE [newer].[colonnade_version] SET [version] = {VERSION + 1}")
    with pytest.raises(SchemaTooNew, match=f"version {VERSION + 1}"):
        colonnade.open(address)
    server.command(
        f"UPDATE [newer].[colonnade_version] SET [version] = {VERSION - 1}",
        "DROP TABLE [newer].[mastra_resources]",
        "\n".join(line for line in create_table("newer", RESOURCES).splitlines() if "workingMemory" not in line),
        "INSERT INTO [newer].[mastra_resources] ([id], [createdAt], [updatedAt]) "
        "VALUES ('r', '2026-01-31', '2026-01-31')",
    )
    with colonnade.open(address) as storage:
        storage.memory.update_resource(resource_id="r", working_memory="kept")
        resource = storage.memory.get_resource_by_id(resource_id="r")
        assert resource is not None and resource["workingMemory"] == "kept"
    rows = server.command("SELECT [version] AS [version] FROM [newer].[colonnade_version]")
    assert list(map(tuple, rows)) == [(VERSION,)]


def test_nothing_secret_is_shown(server: Any) -> None:
    with colonnade.open(server.address("shown")) as store:
        assert server.password not in repr(store) + repr(store.stores[0])
    wrong = server.address("shown").replace(quote(server.password, safe=""), "wr0ng")
    with pytest.raises(StoreError, match=f"refuses the user '{server.user}': is the password right") as error:
        colonnade.open(wrong)
    assert "wr0ng" not in str(error.value)


def test_a_database_that_is_not_there(server: Any) -> None:
    with pytest.raises(StoreError, match=r"there is no such database|refuses the user"):
        colonnade.open(server.address("shown", database="missing_here"))


def test_a_server_that_cannot_be_reached() -> None:
    with socket.socket() as taken:  # nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match="cannot be reached, or broke off") as error:
            colonnade.open(f"mssql://ada:s3cret@127.0.0.1:{port}/db?connect_timeout=2")
    assert "s3cret" not in str(error.value)


def test_the_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("colonnade.engine.stores.mssql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymssql", None)
    with pytest.raises(MissingExtra, match=r"colonnade\[mssql\]"):
        colonnade.open("mssql://u:p@h/db")


def test_a_statement_that_fails_says_what_the_server_said(server: Any) -> None:
    with colonnade.open(server.address("failing")) as storage:
        storage.memory.save_thread(thread=THREAD)
        server.command("DROP TABLE [failing].[mastra_resources]")
        with pytest.raises(StoreError, match=r"its tables are not there.*mastra_resources"):
            storage.memory.get_resource_by_id(resource_id="r")
        assert storage.memory.list_threads()["total"] == 1, "the connection goes on"
