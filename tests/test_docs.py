"""Every example in README and docs is run, and what it says it prints is what it prints."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import colonnade
from colonnade import cli
from colonnade.engine.stores.mssql.address import Place, place_of
from colonnade.schemas import STORED
from colonnade.testing.machine import clear
from tests.servers import workerd as d1_server

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"|", "||", "&&", ">", "<", "2>&1"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _console(example: str, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
    """Run each ``$ `` line in the folder; its output must match the lines below it, where there are any.

    Our own command is run in this process, which has imported everything already, unless a shell has a part in it, or
    it is the demo, which sets up OpenTelemetry for its process.
    """
    environment = {
        **os.environ,
        "COLUMNS": "80",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for part in re.split(r"^\$ ", example, flags=re.MULTILINE)[1:]:
        command, _, wanted = part.partition("\n")
        words = shlex.split(command)
        if words[0] in ("pip", "make", "cd"):
            continue  # installing is what the tests have done already
        if words[0] == "colonnade" and words[1] != "demo" and not {*words} & SHELL:
            said = _colonnade(words[1:], captured)
        else:
            ran = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, f"$ {command}\n{ran.stdout}{ran.stderr}"
            said = ran.stdout
        matches = doctest.OutputChecker().check_output(wanted, said, FLAGS)
        assert matches or not wanted.strip(), f"$ {command}\nprinted:\n{said}\nand not:\n{wanted}"


def _colonnade(words: list[str], captured: pytest.CaptureFixture[str]) -> str:
    """What the command prints; it must come to a good end."""
    captured.readouterr()
    code: object = 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("COLUMNS", "80")
        try:
            cli.main(words)
        except SystemExit as end:
            code = end.code
    sys.stdout.flush()
    said, told = captured.readouterr()
    assert not code, f"$ colonnade {words}\n{said}{told}"
    return said


def _ado(place: Place) -> str:
    """A place as a connection string of Microsoft's."""
    name, password = (f'"{text}"' for text in (place.user, place.password))
    said = f"Server={place.server},{place.port};Database={place.database};User Id={name};Password={password}"
    return f"{said};TrustServerCertificate=true"


def _python(example: str, names: dict[str, object], page: Path) -> None:
    if ">>>" not in example:
        exec(compile(example, page.name, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(example, names, page.name, str(page), 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, "".join(report)


def _clear(address: str) -> None:
    """Leave a database that tests share as it was."""
    with colonnade.open(address) as store:
        clear(store, STORED)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_examples_do_what_they_say(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    if "clickhouse://localhost:8123/agents" in text:
        server = request.getfixturevalue("clickhouse")
        text = text.replace("clickhouse://localhost:8123/agents", server.address(f"{page.stem}_agents"))
    if "turso.io?auth_token=..." in text:
        address = request.getfixturevalue("sqld").address()
        text = re.sub(r"libsql://\S+turso\.io\?auth_token=\.\.\.", address, text)
        request.addfinalizer(lambda: _clear(address))
    if "d1://" in text:
        server = request.getfixturevalue("workerd")
        text = text.replace("d1://ACCOUNT_ID/DATABASE_ID?table_prefix=dev_", server.address("docs_"))
        text = text.replace("https://colonnade-d1.example.workers.dev", server.url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", d1_server.TOKEN)
    if "mongodb://localhost:27017" in text:
        there = request.getfixturevalue("mongodb")
        text = text.replace("mongodb://localhost:27017/agents", there.address("documented"))
        text = text.replace("mongodb://localhost:27017", there.uri).replace(
            'db_name="agents"', f'db_name="{there.name("documented")}"'
        )
        request.addfinalizer(lambda: there.client.drop_database(there.name("documented")))
    if "postgresql://user:password@localhost:5432/mydb" in text:
        database = request.getfixturevalue("postgres")
        role, own = f"documented_{page.stem}", f"mydb_{page.stem}"  # each page has a database of its own
        database.command(f"CREATE DATABASE {own}", f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'password'")
        text = text.replace("5432/mydb", f"5432/{own}").replace('database="mydb"', f'database="{own}"')
        text = text.replace("localhost:5432", f"127.0.0.1:{database.port}").replace("//user:", f"//{role}:")
        text = text.replace('host="localhost"', 'host="127.0.0.1"').replace("port=5432", f"port={database.port}")
        text = text.replace('user="user"', f'user="{role}"')
    if "mssql://user:password@localhost:1433/mydb" in text:
        there = request.getfixturevalue("mssql")
        place = place_of(there.address("documented"))
        there.address("custom_schema")  # which is emptied
        text = text.replace("mssql://user:password@localhost:1433/mydb", there.address("documented"))
        ado = '"Server=localhost,1433;Database=mydb;User Id=user;Password=password;TrustServerCertificate=true"'
        text = text.replace(ado, repr(_ado(place)))
        text = text.replace('server="localhost"', f"server={place.server!r}").replace("port=1433", f"port={place.port}")
        text = text.replace('database="mydb"', f"database={place.database!r}")
        text = text.replace('user="user"', f"user={place.user!r}")
        text = text.replace('password="password"', f"password={place.password!r}")
    if "upstash://name.upstash.io?token=...&prefix=agents:" in text:
        there = request.getfixturevalue("upstash")
        text = text.replace("upstash://name.upstash.io?token=...&prefix=agents:", there.address("agents"))
    shared = Path(os.environ.get("COLONNADE_SHARED", ROOT.parent / "shared"))
    names: dict[str, object] = {"__name__": "__main__"}
    for language, example in FENCE.findall(text):
        if "gpt-4o-airline.json" in example:
            recording = shared / "data" / "tau-bench" / "gpt-4o-airline.json"
            if not recording.exists():
                pytest.skip("the example needs the shared recordings: set COLONNADE_SHARED")
            if not (tmp_path / recording.name).exists():
                (tmp_path / recording.name).symlink_to(recording)
        if language in ("python", "pycon"):
            _python(example, names, page)
        elif language == "console":
            _console(example, tmp_path, capfd)
