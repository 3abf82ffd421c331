"""The pytest plugin, run as people run it: in a pytest of its own."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import polars as pl
import pytest

import colonnade

TESTS = """
    import pytest

    @pytest.mark.parametrize("n", range(12))
    def test_resolves(n, score, request):
        level = request.config.getoption("--level")
        score(level + n / 100, item=f"task {n}", trace=f"trace {n}")
        score(n % 2 == 0, item=f"task {n}", scorer="even", metadata={"odd": n % 2})
"""
OPTIONS = """
    def pytest_addoption(parser):
        parser.addoption("--level", type=float, default=0.5)
"""


class Evals:
    """A folder with eval tests. Each run is a process: pytester would unload what our own tests have loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(TESTS)
        (folder / "conftest.py").write_text(dedent(OPTIONS))

    def write(self, tests: str) -> None:
        (self.folder / "test_evals.py").write_text(dedent(tests))

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # Warnings are errors, as in our own tests: the plugin gives none.
        command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "--rootdir", "."]
        if not [each for each in entry_points(group="pytest11") if each.name == "colonnade"]:
            command += ["-p", "colonnade.testing.pytest_plugin"]  # a checkout that is not installed
        environment = {**os.environ, "PYTHONPATH": str(Path(colonnade.__file__).parents[1]), "COLUMNS": "100"}
        environment.pop("PYTEST_ADDOPTS", None)
        for name in [name for name in environment if name.startswith("PYTEST_XDIST")]:
            del environment[name]  # we may be run by a worker ourselves
        return subprocess.run(
            [*command, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def scores(self) -> pl.DataFrame:
        with colonnade.open(self.folder / "agent") as opened:
            return opened.sql("select * from scores order by batchId, datasetItemId, scorerId").polars()


@pytest.fixture
def evals(tmp_path: Path) -> Evals:
    """A folder with eval tests."""
    return Evals(tmp_path)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Evals:
    """A folder with eval tests whose scores of ``main`` are kept, by two workers where there is pytest-xdist."""
    evals = Evals(tmp_path_factory.mktemp("evals"))
    workers = ("-n", "2") if find_spec("xdist") else ()
    ran = evals.run(*workers, "--colonnade-store", "agent", "--colonnade-batch", "main")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return evals


def test_scores_are_kept_in_one_batch(baseline: Evals) -> None:
    kept = baseline.scores().filter(pl.col("batchId") == "main")
    assert kept.height == 24
    first = kept.row(0, named=True)
    assert (first["datasetItemId"], first["scorerId"], first["trial"], first["score"]) == ("task 0", "even", 0, 1.0)
    assert first["entityId"].endswith("::test_resolves[0]")
    assert kept["traceId"].drop_nulls().n_unique() == 12


def test_a_worse_run_is_told_and_fails_where_that_is_asked_for(baseline: Evals) -> None:
    worse = ("--level", "0.4", "--colonnade-store", "agent", "--colonnade-baseline", "main")
    told = baseline.run(*worse, "--colonnade-fail-on-regression")
    assert told.returncode == 3
    assert "scores beside the baseline (colonnade)" in told.stdout
    assert re.search("^pytest-.* against main: 12 items", told.stdout, re.MULTILINE)
    assert re.search("^pytest +0.555 +0.455 +-0.100 ", told.stdout, re.MULTILINE)
    # Nothing fails that was not asked to; and a second run of a batch replaces the first.
    again = ("--colonnade-batch", "main", "--colonnade-store", "agent", "--colonnade-baseline", "nobody")
    assert baseline.run(*again).returncode == 0
    assert baseline.scores().filter(pl.col("batchId") == "main").height == 24


def test_a_tolerance_is_heard(baseline: Evals) -> None:
    worse = ("--level", "0.4", "--colonnade-store", "agent", "--colonnade-baseline", "main")
    assert baseline.run(*worse, "--colonnade-fail-on-regression", "--colonnade-tolerance", "0.2").returncode == 0


def test_of_a_scorer_less_may_be_better(baseline: Evals) -> None:
    less = ("--level", "0.4", "--colonnade-store", "agent", "--colonnade-baseline", "main")
    told = baseline.run(*less, "--colonnade-fail-on-regression", "--colonnade-lower-is-better", "pytest")
    assert told.returncode == 0
    assert "is better. The interval" in told.stdout


def test_a_test_that_failed_keeps_its_exit_code_and_its_score(evals: Evals) -> None:
    evals.write("def test_fails(score):\n    score(1)\n    score(0, trial=7, dataset='d')\n    assert False")
    ran = evals.run("--colonnade-store", "agent", "--colonnade-batch", "new", "--colonnade-baseline", "nobody")
    assert ran.returncode == 1
    assert re.search("The scores of new cannot be compared: .*'nobody'", ran.stdout)
    kept = evals.scores()
    assert sorted(zip(kept["trial"], kept["score"], kept["datasetId"], strict=True), key=str) == [
        (0, 1.0, None),
        (7, 0.0, "d"),
    ]


def test_a_baseline_that_is_not_there_is_no_pass(evals: Evals) -> None:
    evals.write("def test_scores(score):\n    score(1)")
    asked = ("--colonnade-store", "agent", "--colonnade-baseline", "nobody", "--colonnade-fail-on-regression")
    assert evals.run(*asked).returncode == 3


def test_without_a_store_tests_run_all_the_same(evals: Evals) -> None:
    assert "12 passed" in evals.run().stdout
    assert not (evals.folder / "agent").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--colonnade-baseline", "main"), "--colonnade-baseline needs --colonnade-store"),
        (("--colonnade-store", "a", "--colonnade-fail-on-regression"), "needs --colonnade-baseline"),
        (("--colonnade-store", "a", "--colonnade-baseline", "x", "--colonnade-batch", "x"), "nothing to compare"),
    ],
)
def test_options_that_make_no_sense_are_refused(evals: Evals, arguments: tuple[str, ...], said: str) -> None:
    ran = evals.run(*arguments)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in ran.stderr


def test_the_plugin_loads_nothing_before_a_test_asks() -> None:
    code = "import sys, pytest; before = set(sys.modules); import colonnade.testing.pytest_plugin; "
    code += "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["colonnade"]
