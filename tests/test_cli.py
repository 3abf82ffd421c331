"""The command line: what each command prints, what it refuses and how, and that looking at a store leaves it alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars
import pytest

import colonnade
from colonnade import cli
from colonnade.schemas import TABLES
from colonnade.schemas.readings import json_schema, markdown

COMMANDS = (
    "schema",
    "import",
    "passk",
    "compare",
    "demo",
    "traces",
    "trace",
    "spans",
    "usage",
    "latency",
    "errors",
    "tools",
    "threads",
    "slow",
    "failing",
    "profile",
    "report",
    "sql",
    "export",
    "optimize",
    "copy",
    "search",
    "prune",
    "fsck",
    "conform",
)
SPANS: list[dict[str, Any]] = [
    {
        "traceId": "a1",
        "spanId": "1",
        "name": "support agent",
        "startedAt": "2026-01-31T12:00:00Z",
        "endedAt": "2026-01-31T12:00:02Z",
    },
    {
        "traceId": "a1",
        "spanId": "2",
        "parentSpanId": "1",
        "name": "chat",
        "scope": "acme.sdk",
        "spanType": "model_generation",
        "model": "small-1",
        "cost": 0.0021,
        "input": {"text": "é"},
        "startedAt": "2026-01-31T12:00:01Z",
        "endedAt": "2026-01-31T12:00:02Z",
    },
    {
        "traceId": "a2",
        "spanId": "1",
        "name": "support agent",
        "startedAt": "2026-01-31T13:00:00Z",
        "error": {"message": "timed out"},
    },
]


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


class Command:
    """The command, run in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: object) -> Ran:
        self._capfd.readouterr()
        code = 0
        try:
            cli.main([str(each) for each in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        return Ran(code, *self._capfd.readouterr())


@pytest.fixture
def colonnade_(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return Command(capfd)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.db"
    with colonnade.open(path) as store:
        store.observability.batch_create_spans(records=SPANS)
    return path


def transcripts(path: Path, rewards: list[float]) -> Path:
    """Runs of items that were each run twice."""
    said = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "It left."}]
    runs = [
        {"task_id": number // 2, "trial": number % 2, "reward": reward, "messages": said}
        for number, reward in enumerate(rewards)
    ]
    path.write_text("".join(json.dumps(run) + "\n" for run in runs))
    return path


@pytest.fixture
def runs(tmp_path: Path, colonnade_: Command) -> Path:
    for name, rewards in {"monday": "111000", "tuesday": "111110"}.items():
        file = transcripts(tmp_path / f"{name}.jsonl", list(map(float, rewards)))
        assert colonnade_("import", file, "--into", "runs.db").code == 0
    return tmp_path / "runs.db"


def everything(folder: Path) -> dict[Path, bytes | None]:
    """All that is in a folder: files with what they hold, and folders."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# What each command prints.


def test_the_version(colonnade_: Command) -> None:
    assert colonnade_("--version") == (0, colonnade.__version__ + "\n", "")


def test_help_lists_the_commands(colonnade_: Command) -> None:
    for arguments in ([], ["--help"]):
        ran = colonnade_(*arguments)
        assert ran.code == 0
        assert [name for name in COMMANDS if f" {name} " not in ran.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(colonnade_: Command, command: str) -> None:
    ran = colonnade_(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"colonnade {command}" in ran.out


def test_the_commands_are_those(colonnade_: Command) -> None:
    assert {name for name in cli.app if not name.startswith("-")} == set(COMMANDS)


def test_traces_newest_first(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("traces", agent)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.index("a2") < ran.out.index("a1")
    assert "chat" not in ran.out


def test_the_next_page_begins_where_the_first_ended(colonnade_: Command, agent: Path) -> None:
    first = colonnade_("traces", agent, "--limit", 1).out
    assert "a1" not in first
    cursor = first.split("--after ")[1].strip()
    second = colonnade_("traces", agent, "--limit", 1, "--after", cursor).out
    assert "a1" in second
    assert "--after" not in second


def test_traces_since(colonnade_: Command, agent: Path) -> None:
    assert "1 trace" in colonnade_("traces", agent, "--since", "2026-01-31T12:30:00Z").out
    assert colonnade_("traces", agent, "--since", "1m").out == "No traces.\n"


def test_a_trace_is_a_tree(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("trace", agent, "a1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.index("support agent") < ran.out.index("└ chat")


def test_a_trace_by_the_beginning_of_its_identifier(colonnade_: Command, tmp_path: Path) -> None:
    with colonnade.open(tmp_path / "long.db") as store:
        span = {"spanId": "1", "name": "run", "startedAt": "2026-01-31T12:00:00Z"}
        store.observability.batch_create_spans(records=[{**span, "traceId": id} for id in ("abc1", "abd2", "ab")])
    assert colonnade_("trace", "long.db", "abc").out.startswith("trace abc1\n")
    assert colonnade_("trace", "long.db", "ab").out.startswith("trace ab\n")  # as it is goes first
    several = colonnade_("trace", "long.db", "a")
    assert (several.code, several.err) == (1, "colonnade: several traces begin with 'a': ab, abc1, abd2\n")
    assert colonnade_("trace", "long.db", "").code == 1


def test_what_a_trace_waited_for(colonnade_: Command, agent: Path) -> None:
    lines = colonnade_("trace", agent, "a1", "--critical").out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["support", "chat"]


def test_traces_say_what_their_spans_add_up_to(colonnade_: Command, agent: Path) -> None:
    heading, _, *rows = colonnade_("traces", agent).out.splitlines()[1:]
    assert heading.split()[-4:] == ["spans", "failed", "cost", "error"]
    assert [row.split()[6:9] for row in rows] == [["1", "1", "timed"], ["2", "$0.0021"]]


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["usage", "--by", "name"], {"name": "support agent", "calls": 2, "errors": 1}),
        (["usage", "--by", "none", "--every", "1h"], {"startedAt": "2026-01-31T12:00:00+00:00", "calls": 1}),
        (["latency", "--span-type", "model_generation"], {"name": "chat", "calls": 1, "p99Ms": 1000.0}),
        (["errors", "--since", "2026-01-31T12:30:00Z"], {"name": "support agent", "calls": 1, "rate": 1.0}),
        (["slow", "--name", "support agent"], {"traceId": "a1", "durationMs": 2000.0, "cost": 0.0021}),
        (["failing", "--limit", "1"], {"traceId": "a2", "failed": "support agent", "error": "timed out"}),
        (["profile", "--trace", "a1"], {"name": "chat", "selfMs": 1000.0, "share": 0.5}),
    ],
)
def test_aggregates_for_other_programs(
    colonnade_: Command, agent: Path, arguments: list[str], first: dict[str, Any]
) -> None:
    command, *options = arguments
    ran = colonnade_(command, agent, *options, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out.splitlines()[0])
    assert {name: found[name] for name in first} == first
    assert colonnade_(command, agent, *options, "--format", "csv").out.startswith(f'"{next(iter(found))}",')
    assert colonnade_(command, agent, *options).code == 0


@pytest.mark.parametrize(("command", "said"), [("tools", "No tool was called."), ("threads", "There are no threads.")])
def test_aggregates_of_nothing_say_so(colonnade_: Command, agent: Path, command: str, said: str) -> None:
    assert colonnade_(command, agent).out == f"{said}\n"


def test_a_report_is_a_page(colonnade_: Command, agent: Path, tmp_path: Path) -> None:
    ran = colonnade_(
        "report", agent, "-o", "seen.html", "--since", "2026-01-31T00:00:00Z", "--until", "2026-02-01T00:00:00Z"
    )
    assert (ran.code, ran.out[:25]) == (0, "seen.html shows 2 traces ")
    assert (tmp_path / "seen.html").read_text().startswith("<!doctype html>\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent.db", "seen.html"]
    assert colonnade_("report", agent).code == 0
    assert "Nothing was recorded" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], 3),
        (["--name", "chat"], 1),
        (["--scope", "acme.sdk"], 1),
        (["--span-type", "model_generation"], 1),
        (["--trace", "a1"], 2),
        (["--trace", "a1", "--parent", "1"], 1),
        (["--since", "2026-01-31T12:00:01Z"], 2),
        (["--limit", "2"], 2),
    ],
)
def test_spans_by_what_they_are_looked_up_by(
    colonnade_: Command, agent: Path, arguments: list[str], count: int
) -> None:
    ran = colonnade_("spans", agent, *arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{count} span")


def test_sql_as_a_table(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("sql", agent, "select name, count(*) as n from spans where traceId = ? group by name", "a1")
    assert ran.code == 0
    assert "support agent" in ran.out
    assert "2 rows" in ran.out


def test_sql_tables_are_cut_and_say_so(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("sql", agent, "select name from spans", "--limit", 1)
    assert "the first 1 of 3 rows" in ran.out


def test_sql_for_other_programs(colonnade_: Command, agent: Path) -> None:
    query = "select name, cost from spans order by startedAt"
    sums = "select sum(inputTokens) as tokens, max(endedAt - startedAt) as took from spans where model is not null"
    assert json.loads(colonnade_("sql", agent, sums, "--format", "json").out)["took"] > 0
    assert float(colonnade_("sql", agent, sums, "--format", "csv").out.splitlines()[1].split(",")[1]) > 0
    lines = colonnade_("sql", agent, query, "--format", "json").out.splitlines()
    assert [json.loads(line)["cost"] for line in lines] == [None, 0.0021, None]
    assert colonnade_("sql", agent, query, "--format", "csv").out.splitlines()[:2] == [
        '"name","cost"',
        '"support agent",',
    ]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "jsonl"])
def test_export(colonnade_: Command, agent: Path, tmp_path: Path, ending: str) -> None:
    ran = colonnade_("export", agent, "spans", "--to", f"spans.{ending}", "--columns", "traceId, name")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"3 rows of spans are in spans.{ending} (")
    read = {"parquet": "read_parquet", "arrow": "read_ipc", "csv": "read_csv", "jsonl": "read_ndjson"}[ending]
    frame = getattr(polars, read)(tmp_path / f"spans.{ending}")
    assert frame.columns == ["traceId", "name"]
    assert sorted(frame["traceId"]) == ["a1", "a1", "a2"]


def test_a_light_export_of_a_stretch_of_time(colonnade_: Command, agent: Path, tmp_path: Path) -> None:
    stretch = ("--since", "2026-01-31T12:00:01Z", "--until", "2026-01-31T13:00:00Z")
    ran = colonnade_("export", agent, "mastra_ai_spans", "--to", "spans.parquet", "--light", *stretch)
    assert ran.code == 0
    frame = polars.read_parquet(tmp_path / "spans.parquet")
    assert frame["name"].to_list() == ["chat"]
    assert "input" not in frame.columns


def test_schemas(colonnade_: Command) -> None:
    assert colonnade_("schema", "spans").out == markdown(TABLES["spans"])
    assert json.loads(colonnade_("schema", "mastra_threads", "--format", "json").out) == json_schema(TABLES["threads"])
    assert len(json.loads(colonnade_("schema", "--format", "json").out)) == len(TABLES)
    assert "createdAt: timestamp[us, tz=UTC] not null" in colonnade_("schema", "messages", "--format", "arrow").out
    assert 'CREATE TABLE IF NOT EXISTS "messages"' in colonnade_("schema", "--format", "sql:duckdb").out


def test_import_twice_is_once(colonnade_: Command, tmp_path: Path) -> None:
    file = transcripts(tmp_path / "monday.jsonl", [1, 0, 1])
    once, twice = (colonnade_("import", file, "--into", "runs.db") for _ in range(2))
    assert once == twice
    assert (once.code, once.err) == (0, "")
    assert once.out.startswith("3 runs are in runs.db: 3 threads, 6 messages, ")
    with colonnade.open("runs.db") as store:
        found = store.sql("select batchId, scorerId, count(*) as n from scores group by all").rows()
    assert found == [{"batchId": "monday", "scorerId": "reward", "n": 3}]


def test_import_under_other_names(colonnade_: Command, tmp_path: Path) -> None:
    file = transcripts(tmp_path / "monday.jsonl", [1])
    assert colonnade_("import", file, "--into", "runs.db", "--batch", "v2", "--scorer", "solved").code == 0
    with colonnade.open("runs.db") as store:
        assert store.sql("select distinct batchId, scorerId from scores").rows() == [
            {"batchId": "v2", "scorerId": "solved"}
        ]


def test_prune(colonnade_: Command, agent: Path) -> None:
    dry = colonnade_("prune", agent, "--older-than", "2026-01-31T12:30:00Z", "--dry-run")
    said = "1 trace with 2 spans, 0 scores and 0 evals from before 2026-01-31 12:30:00 UTC"
    assert dry == (0, f"{said} would be deleted.\n", "")
    assert colonnade_("prune", agent, "--older-than", "2026-01-31T12:30:00Z") == (0, f"{said} were deleted.\n", "")
    assert "1 trace," in colonnade_("traces", agent).out
    assert colonnade_("prune", agent, "--older-than", "0d", "--keep-scored").out.startswith("0 traces")  # it runs


def test_pass_k(colonnade_: Command, runs: Path) -> None:
    ran = colonnade_("passk", runs, "--batch", "monday")
    assert (ran.code, ran.err) == (0, "")
    assert "3 items, 2 trials each" in ran.out
    assert [line.split()[:2] for line in ran.out.splitlines() if line[:1].isdigit()] == [["1", "0.500"], ["2", "0.333"]]


def test_compare(colonnade_: Command, runs: Path) -> None:
    ran = colonnade_("compare", runs, "monday", "tuesday")
    assert (ran.code, ran.err) == (0, "")
    assert "tuesday against monday: 3 items that both ran, 2 trials each" in ran.out
    assert "+0.333" in ran.out
    assert "2 better, 0 worse, 1 the same" in ran.out


@pytest.fixture
def graded(tmp_path: Path, colonnade_: Command) -> Path:
    """Batches over thirty items: the second is clearly worse, the third is a little, and nobody can tell."""
    level = {"good": 9, "bad": 3, "middling": 8}
    with colonnade.open(tmp_path / "graded.db") as store:
        common = {"scorerId": "right", "scorer": {}, "entity": {}, "entityId": "a", "source": "TEST", "output": ""}
        store.scores.save_scores(
            scores=[
                {**common, "runId": f"{batch} {n}", "batchId": batch, "datasetItemId": f"item {n}", "traceId": f"t/{n}"}
                | {"score": float((n * 7 + n // 10) % 10 < least), "metadata": {"tier": "gold" if n % 2 else "free"}}
                for batch, least in level.items()
                for n in range(30)
            ]
        )
    return tmp_path / "graded.db"


def test_a_comparison_fails_where_the_interval_says_that_it_got_worse(colonnade_: Command, graded: Path) -> None:
    gate = "--fail-on-regression"
    worse = colonnade_("compare", graded, "good", "bad", gate)
    assert (worse.code, worse.err) == (3, "")
    assert worse.out.endswith("Failed: right of bad is worse.\n")
    assert colonnade_("compare", graded, "good", "bad").code == 0  # nothing fails that was not asked to
    unsure = colonnade_("compare", graded, "good", "middling", gate)
    assert unsure.code == 0  # its mean is lower, and its interval holds 0
    assert "-0.1" in unsure.out
    assert colonnade_("compare", graded, "bad", "good", gate).code == 0  # better is no regression
    assert colonnade_("compare", graded, "good", "middling", "bad", gate).code == 3  # one of several candidates is
    assert colonnade_("compare", graded, "good", "bad", gate, "--tolerance", "0.9").code == 0
    margin = "--fail-unless-no-worse-than"
    unsure = colonnade_("compare", graded, "good", "middling", margin, "0.05")
    assert unsure.code == 3  # to be no worse has to be shown
    assert "right of middling may be worse by 0.05 or more" in unsure.out
    assert colonnade_("compare", graded, "good", "middling", margin, "0.4").code == 0


def test_a_comparison_is_sliced_narrowed_and_written(colonnade_: Command, graded: Path, tmp_path: Path) -> None:
    written = [word for name in ("r.html", "r.md", "r.json") for word in ("--to", name)]
    ran = colonnade_("compare", graded, "good", "bad", "--by", "metadata.tier", "--metric", "right", *written)
    assert (ran.code, ran.err) == (0, "")
    assert "by metadata.tier" in ran.out and "right, gold" in ran.out
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text().startswith("### bad against good")
    assert len(json.loads((tmp_path / "r.json").read_text())["differences"]) == 3
    only = colonnade_("compare", graded, "good", "bad", "--where", "datasetItemId=item 3")
    assert "1 item that both ran" in only.out
    linked = colonnade_("compare", graded, "good", "bad", "--to", "r.md", "--trace-url", "https://example.com/{trace}")
    assert linked.code == 0
    assert "](https://example.com/t%2F" in (tmp_path / "r.md").read_text()
    turned = colonnade_("compare", graded, "good", "bad", "--lower-is-better", "right", "--fail-on-regression")
    assert turned.code == 0
    assert "0 worse" in turned.out
    trials = colonnade_("compare", graded, "item 3", "item 4", "--side", "datasetItemId")
    assert "have no item in common" in trials.err


def test_the_published_numbers(colonnade_: Command, shared: Path) -> None:
    file = shared / "data" / "tau-bench" / "gpt-4o-airline.json"
    assert colonnade_("import", file, "--into", "airline.db").out.startswith(
        "200 runs are in airline.db: 200 threads, 5,308 messages, "
    )
    numbers = [line.split()[1] for line in colonnade_("passk", "airline.db").out.splitlines() if line[:1].isdigit()]
    assert numbers == ["0.420", "0.273", "0.220", "0.200"]


def test_conform(colonnade_: Command) -> None:
    report = pytest.importorskip("colonnade.testing.report")
    if not hasattr(report, "conform"):
        pytest.skip("conform is not there yet")
    assert colonnade_("conform", ":memory:", "--examples", 2).code == 0


# What is refused: one message on stderr, exit code 1, and nothing is made.

REFUSED = {
    "no store": (["traces", "nowhere.db"], "there is no store at nowhere.db"),
    "no store at a URL": (["traces", "duckdb:///nowhere.db"], "there is no store at duckdb:///nowhere.db"),
    "a folder that is no store": (["traces", "empty"], "there is no store at empty"),
    "no store in SQLite": (["spans", "sqlite:///nowhere.sqlite"], "there is no store at sqlite:///nowhere.sqlite"),
    "no store to export": (["export", "nowhere.db", "spans", "--to", "x.csv"], "there is no store at nowhere.db"),
    "no store to ask": (["sql", "nowhere.db", "select 1"], "there is no store at nowhere.db"),
    "no store to prune": (["prune", "nowhere.db", "--older-than", "30d"], "there is no store at nowhere.db"),
    "a future to prune": (["prune", "agent.db", "--older-than", "9999-01-01T00:00:00Z"], "lies in the future"),
    "no age to prune": (["prune", "agent.db", "--older-than", "old"], "such as 30m, 24h, 7d"),
    "no store to judge": (["passk", "nowhere.db"], "there is no store at nowhere.db"),
    "no such trace": (["trace", "agent.db", "a9"], "agent.db has no trace 'a9'"),
    "no database": (["traces", "notes.txt"], "notes.txt is no DuckDB database"),
    "an unknown scheme": (["traces", "nosuch://host"], "no store is known for nosuch://"),
    "a host": (["traces", "duckdb://host/agent.db"], "three slashes"),
    "an unknown table": (["schema", "span"], "did you mean 'spans'?"),
    "an unknown format of schemas": (["schema", "spans", "--format", "xml"], "no format 'xml'; there are arrow"),
    "an unknown dialect": (["schema", "spans", "--format", "sql:cobol"], "no dialect 'cobol'; there are duckdb"),
    "an unknown format of answers": (["sql", "agent.db", "select 1", "--format", "xml"], "there are table, json"),
    "a time that is none": (["traces", "agent.db", "--since", "yesterday"], "such as 30m, 24h, 7d"),
    "a naive time": (["spans", "agent.db", "--since", "2026-01-31T12:00:00"], "naive datetime"),
    "a cursor that is none": (["traces", "agent.db", "--after", "xyz"], "'xyz' is no cursor"),
    "a limit of none": (["traces", "agent.db", "--limit", "0"], "limit must be a whole number >= 1, not 0"),
    "a group that is none": (["usage", "agent.db", "--by", "cost"], "grouped by a text column, such as model or name"),
    "an interval that is none": (["errors", "agent.db", "--every", "1x"], "'1x' is no width of a bucket"),
    "a report that is no page": (["report", "agent.db", "-o", "report.pdf"], "end in .html"),
    "a report into no folder": (["report", "agent.db", "-o", "no/report.html"], "no is no folder"),
    "a report of no time": (["report", "agent.db", "--until", "2020-01-01T00:00:00Z"], "ends after it begins"),
    "a limit below that": (["sql", "agent.db", "select 1", "--limit", "-1"], "limit must be a whole number >= 1"),
    "broken SQL": (["sql", "agent.db", "selec 1"], "begins with select, with, from"),
    "SQL that writes": (["sql", "agent.db", "delete from spans"], "only reading is allowed here"),
    "SQL of what is not there": (["sql", "agent.db", "select * from span"], "did you mean 'spans'?"),
    "SQL of a wrong column": (["sql", "agent.db", "select nothing from spans"], '"nothing" not found'),
    "SQL without its values": (["sql", "agent.db", "select * from spans where name = ?"], "Values were not provided"),
    "an unknown ending": (["export", "agent.db", "spans", "--to", "spans.xlsx"], "end it in .parquet, .arrow"),
    "an export of nothing": (["export", "agent.db", "span", "--to", "x.csv"], "did you mean 'spans'?"),
    "a wrong column": (["export", "agent.db", "spans", "--to", "x.csv", "--columns", "nam"], "did you mean 'name'?"),
    "an export into nowhere": (["export", "agent.db", "spans", "--to", "no/x.csv"], "no is no folder; make it first"),
    "an import of nothing": (["import", "nothing.json", "--into", "new.db"], "nothing.json cannot be read"),
    "an import of no JSON": (["import", "notes.txt", "--into", "new.db"], "notes.txt, line 1 is no JSON"),
    "an import of other JSON": (["import", "other.json", "--into", "new.db"], "element 0: has no messages"),
    "an import into no store": (["import", "good.jsonl", "--into", "new.txt"], "'new.txt' names no store"),
    "a batch that is not there": (["compare", "agent.db", "monday", "tuesday"], "no score has a batchId"),
    "no candidate": (["compare", "agent.db", "monday"], "name a candidate"),
    "a report of no kind": (["compare", "agent.db", "a", "b", "--to", "r.pdf"], "end it in .html, .md, .json"),
    "a comparison into no folder": (["compare", "agent.db", "a", "b", "--to", "no/r.md"], "no is no folder"),
    "no column": (["compare", "agent.db", "a", "b", "--where", "monday"], "column=value"),
    "a batch and itself": (["compare", "agent.db", "monday", "monday"], "there is nothing to compare"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused(colonnade_: Command, agent: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "notes.txt").write_text("shopping list\n" * 100)
    (tmp_path / "other.json").write_text('[{"reward": 1}]')
    transcripts(tmp_path / "good.jsonl", [1])
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path)
    ran = colonnade_(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("colonnade: ")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert "\n\n" not in ran.err
    assert ran.err.count("\n") <= 6
    assert everything(tmp_path) == before


def test_wrong_use_of_a_command(colonnade_: Command) -> None:
    for line in ("traces", "nosuch", "traces agent.db --limit many", "traces agent.db --colour red"):
        ran = colonnade_(*line.split())
        assert (ran.code, ran.out) == (2, "")
        assert "Error" in ran.err


# Looking at a store leaves it alone.

LOOKS = {
    "traces": ["traces", "agent.db"],
    "trace": ["trace", "agent.db", "a1"],
    "spans": ["spans", "agent.db", "--name", "chat"],
    "sql": ["sql", "agent.db", "select 1"],
    "passk": ["passk", "agent.db"],
    "usage": ["usage", "agent.db", "--every", "1h"],
    "slow": ["slow", "agent.db"],
    "by URL": ["traces", "duckdb:///agent.db"],
    "by URL with options": ["traces", "duckdb:///agent.db?threads=1"],
}


@pytest.mark.parametrize("arguments", LOOKS.values(), ids=list(LOOKS))
def test_looking_changes_nothing(colonnade_: Command, agent: Path, tmp_path: Path, arguments: list[str]) -> None:
    before = everything(tmp_path)
    agent.chmod(0o444)
    assert colonnade_(*arguments).code == 0
    assert everything(tmp_path) == before


def _alone(agent: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the store open until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", f"import colonnade, sys\n{code}\nprint('open', flush=True)\nsys.stdin.read()"],
        cwd=agent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.communicate()


@pytest.fixture
def reader(agent: Path) -> Iterator[object]:
    yield from _alone(agent, "store = colonnade.open('duckdb:///agent.db?read_only=true')")


@pytest.fixture
def writer(agent: Path) -> Iterator[object]:
    yield from _alone(agent, "store = colonnade.open('agent.db')")


@pytest.mark.usefixtures("reader")
def test_two_read_at_once(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("traces", agent)
    assert (ran.code, ran.err) == (0, "")
    assert "2 traces" in ran.out


@pytest.mark.usefixtures("writer")
def test_a_store_that_is_being_written_says_so(colonnade_: Command, agent: Path) -> None:
    ran = colonnade_("traces", agent)
    assert (ran.code, ran.out) == (1, "")
    assert "is open in another process" in ran.err


def test_as_a_program_and_as_a_module(agent: Path) -> None:
    program = Path(sys.executable).parent / "colonnade"
    for command in ([str(program)], [sys.executable, "-m", "colonnade"]):
        ran = subprocess.run(
            [*command, "trace", "agent.db", "a1"],
            cwd=agent.parent,
            env={**os.environ, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("trace a1\n")
        assert max(map(len, ran.stdout.splitlines())) <= 80


def test_a_reader_that_stops_early_is_no_error(agent: Path) -> None:
    ran = subprocess.run(
        f"{sys.executable} -m colonnade sql agent.db 'select unnest(range(100000)) as n' --format json | head -n 1",
        shell=True,
        cwd=agent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ('{"n":0}\n', "")
