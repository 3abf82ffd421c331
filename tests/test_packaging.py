"""What people install is what the tree holds, and importing it stays cheap."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "colonnade"
DOORS = ("engine", "schemas", "queries")
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all files in a wheel built from the tree as it is."""
    out = tmp_path_factory.mktemp("wheel")
    # uv_build looks its program up on PATH, and a virtualenv need not be activated for its pytest to run.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        env=os.environ | {"PATH": path},
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_tree(packed: set[str]) -> None:
    tree = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"colonnade/__init__.py", "colonnade/py.typed"} <= tree
    assert {name for name in packed if name.startswith("colonnade/") and not name.endswith("/")} == tree


def test_the_wheel_holds_nothing_else(packed: set[str]) -> None:
    tops = {name.split("/")[0] for name in packed}
    assert {re.sub(r"-[^-]*(?=\.dist-info$)", "", top) for top in tops} == {"colonnade", "colonnade.dist-info"}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_leads_to_its_hall(door: str) -> None:
    link = ROOT / door
    assert link.is_symlink()
    assert link.readlink() == Path("colonnade", door)  # relative, so that it holds in every clone
    assert (link / "__init__.py").is_file()


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_are_exact_and_name_no_registry(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    pin = re.compile(r"-r [\w.]+\.txt|[\w.-]+==[\w.]+")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "runtime.txt": project["dependencies"],
        "dev.txt": [name for names in extras.values() for name in names if not name.startswith("colonnade[")],
    }
    for file, requirements in wanted.items():
        names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
        pinned = {line.split("==")[0] for line in (ROOT / "requirements" / file).read_text().splitlines()}
        assert names <= pinned, file


def test_no_module_has_outgrown_its_room() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > 400} == {}


def loaded_by(module: str, cwd: Path) -> set[str]:
    """The modules in a fresh interpreter after importing one, those of the standard library left out."""
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    shown = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True)
    return {name for name in shown.stdout.split() if name.split(".")[0] not in sys.stdlib_module_names}


def test_importing_colonnade_loads_pyarrow_and_nothing_heavier(tmp_path: Path) -> None:
    """No driver, and no part of pyarrow (compute, parquet ...) either that `import pyarrow` alone leaves out.

    But orjson, which takes a millisecond.
    """
    colonnade = loaded_by("colonnade.engine.address", tmp_path)  # what the first use of colonnade.open loads
    assert "colonnade.engine.composite" in colonnade
    extra = {name for name in colonnade - loaded_by("pyarrow", tmp_path) if name.split(".")[0] != "colonnade"}
    assert extra == {"orjson", "orjson.orjson"}
