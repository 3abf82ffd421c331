"""The benchmark runs from end to end at toy size. What it measures is nobody's business here: nothing is timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUESTIONS = (
    "flush",
    "ingest",
    "encoding",
    "reads",
    "analytics",
    "size",
    "memory_domain",
    "recall",
    "resident",
    "freshness",
    "loading",
    "pictures",
    "stores",
    "calibration",
    "export",
)

HERE = ("folder", "duckdb", "lance", "clickhouse", "postgres", "libsql")


def _bench(root: Path, folder: Path, *arguments: str, here: bool = False) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments, "--cache", str(folder / "cache")]
    command += ["--results", str(folder / "results")]
    # Some forty interpreters would each import everything: the other tests begin some.
    environment = {**os.environ, "COLONNADE_BENCH_HERE": "1"} if here else None
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=1200, check=False)


@pytest.fixture(scope="module")
def ran(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> "tuple[str, dict[str, object]]":
    """What it printed and what it wrote."""
    folder = tmp_path_factory.mktemp("bench")
    toy = ("--rows", "3000", "--full", "600", "--scale", "6000", "--repeats", "1", "--times", "3", "--no-peers")
    done = _bench(pytestconfig.rootpath, folder, *toy, "--stores", ",".join(HERE), here=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout, json.loads((folder / "results" / "bench.json").read_text())


def test_every_question_finds_something(ran: "tuple[str, dict[str, list[dict[str, object]]]]") -> None:
    _, written = ran
    assert {finding["question"] for finding in written["findings"]} >= {*QUESTIONS}


def test_the_table_has_a_row_for_each_finding(ran: "tuple[str, dict[str, list[dict[str, object]]]]") -> None:
    printed, written = ran
    table = printed[printed.index("colonnade bench") :]
    assert table.count("│ <=") + table.count("│ >=") > 0
    assert all(str(finding["what"]).split(",")[0][:30] in table for finding in written["findings"])


def test_a_target_is_met_or_missed_by_what_was_measured(
    ran: "tuple[str, dict[str, list[dict[str, object]]]]",
) -> None:
    _, written = ran
    judged = [finding for finding in written["findings"] if finding["target"] is not None]
    assert len(judged) > 20
    for finding in judged:
        sign, bound = str(finding["target"]).split()
        number = finding["ratio"] if bound.endswith("x") else finding["ours"]
        limit = float(bound.rstrip("x").replace(",", ""))
        assert isinstance(number, float | int)
        assert finding["met"] is (number <= limit if sign == "<=" else number >= limit), finding["what"]


def test_what_is_left_out_is_said(ran: "tuple[str, dict[str, dict[str, object]]]") -> None:
    printed, written = ran
    assert "skipped: Phoenix and MLflow" in printed
    assert written["run"]["skipped"]


@pytest.mark.parametrize("store", ["lance", "clickhouse"])
def test_a_store_is_asked_beside_its_floor_at_two_sizes(
    ran: "tuple[str, dict[str, list[dict[str, object]]]]", store: str
) -> None:
    pytest.importorskip({"lance": "lance", "clickhouse": "clickhouse_connect"}[store])
    if store == "clickhouse":
        pytest.importorskip("chdb")
    title = {"lance": "Lance", "clickhouse": "ClickHouse"}[store]
    found = {str(each["what"]): each for each in ran[1]["findings"] if str(each["what"]).startswith(f"{title}: ")}
    for what in ("latest 50 by traceId", "latest 50 by scope", "get_trace"):
        for size in ("0.3k", "3k"):
            asked = found[f"{title}: {what}, {size}"]
            assert asked["target"] and asked["other"]
            detail = asked["detail"]
            assert isinstance(detail, dict) and detail["ours"]["cpu_p50"] > 0 and detail["floor"]["p50"] > 0
        assert found[f"{title}: {what}, 3k against 0.3k"]["target"] == "<= 2x"
    assert {f"{title}: ingest, 3k", f"{title}: bytes a span, 3k"} <= set(found)


def test_some_stores_are_asked_for_by_name(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    asked = ("stores", "--stores", "folder", "--rows", "2000", "--times", "2")
    done = _bench(pytestconfig.rootpath, tmp_path, *asked)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    written = json.loads((tmp_path / "results" / "bench.json").read_text())
    assert {str(finding["what"]).split(":")[0] for finding in written["findings"]} == {"folder"}
    again = _bench(pytestconfig.rootpath, tmp_path, *asked)
    assert "(of 20" in again.stdout, "what filling it took is told also where it was in the cache"


def test_stores_behind_http_are_asked_beside_their_drivers(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    names = ("sqld", "d1", "upstash")  # the stand-in for MongoDB takes a minute
    asked = ("stores", "--stores", ",".join(names), "--rows", "3000", "--times", "2")
    done = _bench(pytestconfig.rootpath, tmp_path, *asked)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    written = json.loads((tmp_path / "results" / "bench.json").read_text())
    found = {str(finding["what"]).split(":")[0] for finding in written["findings"]}
    assert len(found) + done.stdout.count("skipped: ") == len(names)


def test_unknown_stores_are_refused(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    done = _bench(pytestconfig.rootpath, tmp_path, "stores", "--stores", "lance,oracle")
    assert done.returncode == 2
    assert "no stores: oracle" in done.stderr


def test_unknown_questions_are_refused(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    done = _bench(pytestconfig.rootpath, tmp_path, "latencies")
    assert done.returncode == 2
    assert "reads" in done.stderr
