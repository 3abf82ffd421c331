"""The ``colonnade`` command: each command is a few lines over domains, queries and display."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
from cyclopts import Parameter

import colonnade
from colonnade.cli_evals import compare, passk
from colonnade.cli_reports import errors, failing, latency, profile, report, slow, threads, tools, usage
from colonnade.cli_shared import Limit, Pager, Since, Store, changing, console, progress_bars, reading, show, when
from colonnade.cli_stores import copy, search
from colonnade.cli_traces import spans, trace, traces
from colonnade.errors import ColonnadeError, InvalidInput
from colonnade.schemas import TABLES, table_named

app: Final = cyclopts.App(
    name="colonnade",
    help="What AI agents do, in columns: traces, scores, memory and workflow state, and answers about them.",
    version=colonnade.__version__,
    version_flags=["--version"],
)


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Errors of input, of a store and of files are one message on stderr and exit code 1."""
    try:
        app(arguments)
    except BrokenPipeError:  # `colonnade spans ... | head`
        sys.stderr.close()
        raise SystemExit(0) from None
    except (ColonnadeError, OSError) as error:
        print(f"colonnade: {error}".rstrip(), file=sys.stderr)
        raise SystemExit(1) from None


@app.command
def schema(table: str | None = None, /, *, format: str = "md") -> None:
    """Print the schema of one table, or of all.

    Parameters
    ----------
    table
        Logical name (spans) or Mastra's (mastra_ai_spans); all tables without it.
    format
        arrow, json (JSON Schema), md (Markdown), or sql:DIALECT with duckdb or sqlite.
    """
    tables = [table_named(table)] if table else list(TABLES.values())
    if format == "json":
        from colonnade.schemas.readings import json_schema

        found = [json_schema(each) for each in tables]
        print(json.dumps(found[0] if table else found, indent=2))
        return
    print("\n\n".join(_schema_text(each, format).rstrip() for each in tables))


def _schema_text(table: Any, format: str) -> str:
    if format == "arrow":
        return f"{table.name}\n{table.schema.to_string(show_schema_metadata=False, show_field_metadata=False)}"
    if format == "md":
        from colonnade.schemas.readings import markdown

        return markdown(table)
    if format.startswith("sql:"):
        from colonnade.engine.dialect import DIALECTS
        from colonnade.engine.relational import ddl

        if format[4:] not in DIALECTS:
            raise InvalidInput(f"no dialect {format[4:]!r}; there are {', '.join(DIALECTS)}")
        return "\n".join(f"{statement};" for statement in ddl(DIALECTS[format[4:]], table))
    raise InvalidInput(f"no format {format!r}; there are arrow, json, md and sql:DIALECT")


@app.command(name="import")
def import_(file: Path, /, *, into: Store, batch: str | None = None, scorer: str = "reward") -> None:
    """Import recorded chat transcripts: runs become threads, traces and scores. Twice is once.

    Parameters
    ----------
    file
        A JSON list or JSON lines of runs: OpenAI message lists, each with a reward.
    batch
        Name of the batch of runs; the file's name unless given.
    scorer
        Name under which the rewards are kept as scores.
    """
    from colonnade.ingest.load import import_file
    from colonnade.ingest.transcripts import read_transcripts

    for _ in read_transcripts(file):
        pass  # a file that cannot be used must not leave an empty store behind
    with colonnade.open(into) as store, progress_bars() as progress:
        task = progress.add_task(f"importing {file.name}", total=None)
        report = import_file(
            store,
            file,
            batch=batch,
            scorer=scorer,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(
        f"{report.runs:,} runs are in {into}: {report.threads:,} threads, {report.messages:,} messages, "
        f"{report.spans:,} spans in {report.runs:,} traces, {report.scores:,} scores."
    )


@app.command
def demo(*, path: Path = Path("colonnade-demo")) -> None:
    """See it work: a small simulated agent runs two versions of a prompt, and colonnade answers about it.

    Parameters
    ----------
    path
        Where it keeps that: a folder, or one DuckDB file where it ends in .db or .duckdb. An earlier demo is replaced.
    """
    from colonnade.demo.run import demo as run_demo

    run_demo(path=path, console=console())


@app.command
def sql(
    store: Store,
    query: str,
    /,
    *parameters: str,
    format: str = "table",
    limit: Limit = 200,
    timeout: str | None = None,
    memory: str | None = None,
    pager: Pager = True,
) -> None:
    """Ask read-only SQL (DuckDB's) over threads, messages, resources, workflows, evals, scores, spans, agents, traces.

    Parameters
    ----------
    query
        One statement that reads; explain before it shows how it would be run.
    parameters
        Values for its question marks, as text.
    format
        table, json (one object a line) or csv; the limit is for tables only. Lengths of time are seconds in the latter.
    timeout
        How long the query may work: 30s, 5m; as long as it takes without it.
    memory
        How much memory it may take: 512MB, 4GB.
    """
    from colonnade.queries.lines import flat, flat_schema, json_line

    if format not in ("table", "json", "csv"):
        raise InvalidInput(f"no format {format!r}; there are table, json and csv")
    if limit < 1:
        raise InvalidInput(f"limit must be a whole number >= 1, not {limit}")
    with (
        reading(store) as opened,
        opened.sql(query, list(parameters) or None, timeout=timeout, memory=memory) as answer,
    ):
        match format:
            case "table" if answer.plan is not None:
                print(answer.plan)
            case "table":
                from colonnade.display.terminal import rows_table

                show(rows_table(answer.arrow(), limit), pager=pager)
            case "json":
                for batch in answer.batches():
                    for row in batch.to_pylist():
                        print(json_line(row))
            case _:
                import pyarrow.csv

                with pyarrow.csv.CSVWriter(sys.stdout.buffer, flat_schema(answer.schema)) as lines:
                    for batch in answer.batches():
                        lines.write(flat(batch))


@app.command
def export(
    store: Store,
    table: str,
    /,
    *,
    to: Path,
    columns: str | None = None,
    light: bool = False,
    since: Since = None,
    until: Since = None,
) -> None:
    """Export a table into a Parquet, Arrow, CSV or JSON lines file, by the file's ending.

    Parameters
    ----------
    to
        The file: .parquet, .arrow, .csv or .jsonl. It appears whole or not at all.
    columns
        Only these, separated by commas.
    light
        Leave out the wide payload columns.
    """
    from colonnade.queries.exports import export_plan, format_of, write

    format_of(to)
    plan = export_plan(
        table_named(table),
        columns=[name.strip() for name in columns.split(",")] if columns else None,
        light=light,
        since=when(since),
        until=when(until),
    )
    with reading(store) as opened, progress_bars() as progress:
        task = progress.add_task(f"exporting {table}", total=None)
        written = write(
            opened.batches(plan),
            plan.schema,
            to,
            progress=lambda rows: progress.update(
                task, completed=rows, description=f"exporting {table}: {rows:,} rows"
            ),
        )
    print(f"{written:,} rows of {table} are in {to} ({to.stat().st_size:,} bytes).")


@app.command
def optimize(store: Store, /) -> None:
    """Do now what is else done in the background: seal and merge a folder's logs, compact and index Lance files."""
    with changing(store) as opened:
        done = opened.optimize()
    if not done:
        raise InvalidInput(f"{store} is no embedded folder and no Lance store, and only those are optimized")
    print(*done, sep="\n")


@app.command
def fsck(
    store: Store,
    /,
    *,
    repair: bool = False,
    full: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Check an embedded folder, also while it is in use: exit code 0 if all is well, 1 if there are problems.

    Parameters
    ----------
    repair
        Mend what can be mended. Nothing is deleted: what is damaged goes into the folder damaged/.
    full
        Look up every row in the indexes, and look for rows that are there twice.
    as_json
        Print the report as JSON.
    """
    with progress_bars() as progress:
        task = progress.add_task("checking", total=None)
        report = colonnade.fsck(
            Path(store),
            repair=repair,
            full=full,
            progress=lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        from colonnade.display.terminal import findings_table

        print(report.summary, *(f"Repaired {each}." for each in report.repaired), sep="\n")
        console().print(findings_table(report.findings))
    if not report.clean:
        raise SystemExit(1)


@app.command
def prune(store: Store, /, *, older_than: str, keep_scored: bool = False, dry_run: bool = False) -> None:
    """Delete what is older: traces all of whose spans ended before then, and scores and evals from before then.

    Parameters
    ----------
    older_than
        How long ago: 36h, 30d, 12w; or an ISO 8601 time.
    keep_scored
        Keep all scores and evals, and the traces that scores point at.
    dry_run
        Only say what would be deleted.
    """
    with (reading if dry_run else changing)(store) as opened, progress_bars() as progress:
        task = progress.add_task("opening", total=None)
        pruned = opened.prune(
            older_than=older_than,
            keep_scored=keep_scored,
            dry_run=dry_run,
            progress=lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    print(pruned)


app.command(passk)
app.command(compare)
app.command(copy)
app.command(search)
for _command in (traces, trace, spans, usage, latency, errors, tools, threads, slow, failing, profile, report):
    app.command(_command)


@app.command
def conform(url: str, /, *, examples: int = 200) -> None:
    """Run the conformance machine on an empty store of your own, and print what it can do."""
    from colonnade.testing.report import conform as run_machine

    with progress_bars() as progress:
        task = progress.add_task("opening", total=None)
        report = run_machine(url, examples=examples, progress=lambda name: progress.update(task, description=name))
    print(report)
    if not report.passed:
        raise SystemExit(1)
