"""TLS: an authority of one's own is trusted where it is named, any other is refused in one sentence, on all stores."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.d1 import D1Store
from colonnade.engine.stores.libsql import LibSQLStore
from colonnade.engine.stores.postgres.store import PostgresStore
from colonnade.engine.stores.upstash.store import UpstashStore
from colonnade.errors import InvalidAddress, StoreError
from tests.servers import postgres as postgres_server
from tests.servers.mongodb import REAL
from tests.servers.tls import Certificates, certificates, ended

THREAD = {"id": "t1", "resourceId": "tls", "title": "Hello", "metadata": {}}
SECRETS = ("s3cret", "p:a/s@s", "p%3Aa", "eyJ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server's certificate, and another authority."""
    return certificates(tmp_path_factory.mktemp("certificates"))


class Served:
    """A store behind TLS: its address without a CA, and how one is named in it."""

    def __init__(self, address: str, option: str) -> None:
        self.address, self.option = address, option

    def trusting(self, ca: Path) -> str:
        return f"{self.address}{'&' if '?' in self.address else '?'}{self.option}={ca}"


@pytest.fixture(scope="module", params=["clickhouse", "libsql", "d1", "upstash", "mongodb"])
def served(request: pytest.FixtureRequest, made: Certificates) -> Iterator[Served]:
    """Each server that speaks no TLS by itself, with its end before it."""
    kind = request.param
    if kind == "mongodb" and REAL:
        pytest.skip("MONGODB_URI names a server with a certificate of its own, or none")
    fixtures = {"libsql": "sqld", "d1": "workerd"}
    server = request.getfixturevalue(fixtures.get(kind, kind))
    plain = server.http if kind == "clickhouse" else server.port
    with ended(made, plain) as port:
        there = f"127.0.0.1:{port}"
        addresses = {
            "clickhouse": lambda: server.address("tls", "secure=true"),
            "libsql": lambda: server.address().replace("tls=0&", ""),
            "d1": lambda: server.address("tls_").replace("http://", "https://"),
            "upstash": lambda: server.address("tls").replace("secure=false&", "").replace("&secure=false", ""),
            "mongodb": lambda: server.address("tls", "tls=true&directConnection=true&serverSelectionTimeoutMS=1000"),
        }
        address = addresses[kind]().replace(f"127.0.0.1:{plain}", there)
        yield Served(address, "tlsCAFile" if kind == "mongodb" else "ca")


def use(address: str, colour: str) -> None:
    """Open a store, write to it and read from it."""

    async def awaited() -> None:
        async with colonnade.aopen(address) as store:
            await store.memory.save_thread(thread=THREAD)
            found = await store.memory.get_thread_by_id(thread_id="t1")
            assert found is not None and found["title"] == "Hello"
            await store.memory.delete_thread(thread_id="t1")

    if colour == "awaited":
        asyncio.run(awaited())
        return
    with colonnade.open(address) as store:
        store.memory.save_thread(thread=THREAD)
        found = store.memory.get_thread_by_id(thread_id="t1")
        assert found is not None and found["title"] == "Hello"
        store.memory.delete_thread(thread_id="t1")


def refused(address: str, colour: str, said: str) -> None:
    """It is not opened, in one sentence without a secret."""
    with pytest.raises(StoreError, match=said) as error:
        use(address, colour)
    told = str(error.value)
    assert len(told) < 400 and "\n" not in told, told
    assert not re.search(r"\. [A-Z]", told), f"more than one sentence: {told}"
    assert not any(secret in told for secret in SECRETS), told


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_an_authority_that_is_named_is_trusted(served: Served, made: Certificates, colour: str) -> None:
    use(served.trusting(made.ca), colour)


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_others_are_not_trusted_and_the_error_says_what_to_name(
    served: Served, made: Certificates, colour: str
) -> None:
    said = rf"cannot be reached: its certificate is not trusted here \(.+\); .* signed it as {served.option}=\.\.\."
    refused(served.address, colour, said)
    refused(served.trusting(made.other_ca), colour, said)


def test_a_certificate_of_another_host_is_refused(served: Served, made: Certificates) -> None:
    address = served.trusting(made.ca).replace("@127.0.0.1", "@localhost").replace("://127.0.0.1", "://localhost")
    assert "localhost" in address
    refused(address, "blocking", r"cannot be reached: its certificate is one for another host \(.*localhost")


def test_a_file_that_holds_no_certificates_is_refused(served: Served, made: Certificates, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing\n")
    for name in ("missing.pem", "empty.pem"):
        said = "tlscafile|certificate" if served.option == "tlsCAFile" else re.escape(name)
        with pytest.raises(InvalidAddress, match=said) as error:
            use(served.trusting(tmp_path / name), "blocking")
        assert not any(secret in str(error.value) for secret in SECRETS)


def test_constructors_take_an_authority_too(made: Certificates, tmp_path: Path) -> None:
    def construct(ca: str) -> Iterator[Any]:
        yield lambda: LibSQLStore(url="libsql://127.0.0.1:1", auth_token="s3cret", ca=ca)
        yield lambda: D1Store("account", "database", "s3cret", api_url="https://127.0.0.1:1", ca=ca)
        yield lambda: UpstashStore(url="https://127.0.0.1:1", token="s3cret", ca=ca)

    for store in construct(str(made.ca)):
        store().close()
    for store in construct(str(tmp_path / "missing.pem")):
        with pytest.raises(InvalidAddress, match=r"missing\.pem' is no file of certificates"):
            store()


@pytest.fixture(scope="module")
def postgres_tls(postgres: postgres_server.Server, made: Certificates) -> Iterator[str]:
    """The address of a PostgreSQL server with a certificate (the one for tests is built without TLS)."""
    with ended(made, postgres.port, asked_for=True) as port:
        yield postgres.address("tls").replace(f":{postgres.port}/", f":{port}/")


@pytest.mark.parametrize("colour", ["blocking", "awaited"])
def test_postgresql_in_the_modes_of_libpq(
    postgres_tls: str, made: Certificates, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where libpq looks for certificates that are not named
    address = postgres_tls
    use(f"{address}&sslmode=require", colour)
    use(f"{address}&sslmode=verify-full&sslrootcert={made.ca}", colour)
    if colour == "blocking":
        with colonnade.open(default=PostgresStore(address, ssl={"ca": made.ca})) as store:
            kept = store.stores[0]
            assert isinstance(kept, PostgresStore)
            with kept.pool.connection() as connection:
                assert connection.pgconn.ssl_in_use
    unknown = r"cannot be reached: its certificate is not trusted here.* signed it as sslrootcert=\.\.\."
    refused(f"{address}&sslmode=verify-full&sslrootcert={made.other_ca}", colour, unknown)
    refused(f"{address}&ssl=true", colour, unknown)
    refused(
        f"{address}&sslmode=verify-full&sslrootcert={tmp_path / 'missing.pem'}", colour, "there is no file .*missing"
    )
