"""The demo from beginning to end: the runs, the pictures with a sentence each, the export, and what to try next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import colonnade
from colonnade.demo.place import MADE_BY, SCORER, SERVICE, Place, command, place, python, quoted, short, typed
from colonnade.demo.tasks import PROMPTS, TASKS
from colonnade.display import terminal
from colonnade.display.progress import progress
from colonnade.display.terminal import heading, note, stacked
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.queries.exports import export_plan, write
from colonnade.schemas import SPANS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from rich.console import Console, RenderableType

    from colonnade import Storage
    from colonnade.demo.agent import Run

TRIALS: Final = 3
PRICE: Final = """\
select batchId as prompt,
       count(distinct traceId) as runs,
       sum(cost) / count(distinct traceId) as dollars_per_run,
       sum(outputTokens) / count(distinct traceId) as tokens_out_per_run
from scores join spans using (traceId)
group by batchId order by batchId"""
_PACE: Final = 15.0
"""Simulated seconds from one run to the next."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something to try next: what it shows, and the line or lines to type in the current folder."""

    about: str
    lines: tuple[str, ...]
    shell: bool = True


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo leaves behind."""

    place: Place
    trace_id: str
    runs: int
    spans: int
    seconds: float
    suggestions: tuple[Suggestion, ...]


def demo(path: str | os.PathLike[str] | None = None, *, keep: bool = True, console: Console | None = None) -> Demo:
    """Run the demo, and tell about it on the console.

    ``path`` is the folder to make, ``colonnade-demo`` in the current one unless given; where it ends in .db or .duckdb,
    a DuckDB file instead. An earlier demo there is replaced; ``AlreadyExists`` where it is anything else. Without
    ``keep`` nothing stays behind.
    """
    if find_spec("opentelemetry.sdk") is None or find_spec("scipy") is None:
        raise MissingExtra("the demo", "demo")
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise InvalidInput("OTEL_SDK_DISABLED is set, so OpenTelemetry would record nothing; unset it for the demo")
    screen = console or terminal.console()
    if not keep:
        with TemporaryDirectory(prefix="colonnade-demo-") as folder:
            return _demo(place(folder), screen, keep=False)
    return _demo(place(path), screen, keep=True)


def _demo(here: Place, screen: Console, *, keep: bool) -> Demo:
    begun = time.monotonic()
    here.clear()
    with here.open() as store:
        _introduce(screen, here)
        runs = _work(store, screen)
        shown = _best_trace(runs)
        _say_what_is_kept(store, screen, time.monotonic() - begun)
        _explain(store, screen, shown)
        spans = write(store.batches(export_plan(SPANS)), SPANS.schema, here.export)
    done = Demo(
        place=here,
        trace_id=shown.trace_id,
        runs=len(runs),
        spans=spans,
        seconds=time.monotonic() - begun,
        suggestions=_suggestions(here, shown),
    )
    _finish(screen, done, keep=keep)
    return done


def _say_what_is_kept(store: Storage, screen: Console, seconds: float) -> None:
    counts = {
        table: store.sql(f"select count(*) as n from {table}").rows()[0]["n"]
        for table in ("spans", "threads", "messages", "scores")
    }
    screen.print(
        note(
            f"Done in {seconds:.1f} s: {counts['spans']:,} spans, {counts['threads']:,} conversations with "
            f"{counts['messages']:,} messages, {counts['scores']:,} scores."
        )
    )


def _introduce(screen: Console, here: Place) -> None:
    runs = len(PROMPTS) * len(TASKS) * TRIALS
    screen.print(heading("colonnade demo"))
    screen.print(
        note(
            f"A small support agent answers {len(TASKS)} customers' requests, {TRIALS} times each, with two versions "
            f"of its prompt: {runs} runs. There is no network and no model behind it: what the model says, how long it "
            "takes and what it costs is simulated. Everything else is real: the agent is instrumented with "
            "OpenTelemetry, and keeps its conversations, its state and its scores with colonnade, in one "
            f"{'folder' if here.is_folder else 'file'}."
        )
    )
    screen.print()


def _work(store: Storage, screen: Console) -> list[Run]:
    from colonnade.demo.agent import AGENT, SupportAgent
    from colonnade.demo.simulation import LARGE, Clock

    store.agents.create_agent(
        agent={
            "id": AGENT,
            "name": "Support desk",
            "instructions": PROMPTS[-1].text,
            "model": {"provider": "simulated", "name": LARGE.name},
            "metadata": MADE_BY,
        }
    )
    total = len(PROMPTS) * len(TASKS) * TRIALS
    begin = time.time() - _PACE * total - 120
    runs: list[Run] = []
    with _tracing(store) as provider, progress(screen, f"{total} runs", total) as step:
        tracer = provider.get_tracer("colonnade.demo", colonnade.__version__)
        for prompt in PROMPTS:
            agent = SupportAgent(store, tracer, prompt, MADE_BY)
            for trial in range(TRIALS):
                for task in TASKS:
                    clock = Clock(round((begin + _PACE * len(runs)) * 1e9))
                    run = agent.handle(task, trial, clock)
                    if run.status == "suspended":
                        clock.spend(45_000)  # until a human has approved
                        agent.resume(run, clock)
                    runs.append(run)
                    step(f"{prompt.name}, trial {trial + 1} of {TRIALS}")
        # One more, which nobody has approved yet.
        waits = next(task for task in TASKS if task.id == "refund-boots")
        agent.handle(waits, 0, Clock(round((time.time() - 60) * 1e9)), id="today/refund-boots")
    store.scores.save_scores(scores=[_score(run, place % (len(TASKS) * TRIALS)) for place, run in enumerate(runs)])
    return runs


@contextmanager
def _tracing(store: Storage) -> Iterator[TracerProvider]:
    """OpenTelemetry as any program sets it up: its spans go into the store, in batches, from a thread of their own."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from colonnade.demo.simulation import Ids, chance_of
    from colonnade.ingest.otel import ColonnadeSpanExporter

    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource({"service.name": SERVICE}),
        id_generator=Ids(chance_of(SERVICE)),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(ColonnadeSpanExporter(store)))
    try:
        yield provider
    finally:
        provider.shutdown()


def _score(run: Run, place: int) -> dict[str, Any]:
    from colonnade.demo.agent import AGENT, judge

    score, reason = judge(run)
    return {
        "scorerId": SCORER,
        "scorer": {"name": SCORER, "description": "Did the run do everything that the customer asked for?"},
        "score": score,
        "reason": reason,
        "input": run.task.request,
        "output": run.answer,
        "source": "TEST",
        "entityId": AGENT,
        "entityType": "AGENT",
        "entity": {"name": AGENT, "prompt": run.prompt.name},
        "runId": run.id,
        "traceId": run.trace_id,
        "spanId": run.span_id,
        "threadId": run.id,
        "resourceId": run.task.customer,
        "batchId": run.prompt.name,
        "datasetId": "helpdesk",
        "datasetItemId": run.task.id,
        "trial": place // len(TASKS),
    }


def _best_trace(runs: list[Run]) -> Run:
    """A run worth looking at: a tool failed, and the request was resolved after all, in several steps."""
    from colonnade.demo.agent import judge

    return max(runs, key=lambda run: (judge(run)[0], not run.resumed, min(run.failures, 1), len(run.done), run.began))


def _explain(store: Storage, screen: Console, shown: Run) -> None:
    before, after = (prompt.name for prompt in PROMPTS)

    def section(title: str, sentence: str, picture: RenderableType) -> None:
        screen.print(heading(title))
        screen.print(note(sentence))
        screen.print()
        screen.print(picture)

    trace = store.observability.get_trace_light(trace_id=shown.trace_id)
    section(
        "1. One run, step by step",
        f'A customer wrote: "{shown.task.request}" This is the trace of that run: everything the agent did about it.',
        terminal.trace_tree(trace["spans"] if trace else []),
    )
    section(
        "2. The latest calls of one tool",
        "Each step is a span, and spans are found by name, newest first: here, the agent looking up orders.",
        terminal.spans_table(store.queries.spans(name="execute_tool lookup_order", limit=8).rows),
    )
    section(
        "3. What the models cost, and how long they took",
        "All simulated calls, by model, in tokens and US dollars; p95 is the time that one call in twenty exceeds.",
        terminal.usage_table(store.queries.usage(by="model")),
    )
    section(
        "4. Is the new prompt better?",
        "Each run was scored 1 (resolved) or 0. The two versions of the prompt are compared request by request; the "
        "requests that got worse are named first.",
        terminal.comparison_view(store.queries.compare(baseline=before, candidate=after, metric=SCORER), limit=4),
    )
    section(
        "5. At what price?",
        "Any other question is asked in SQL. Here scores and spans are joined by trace:",
        stacked(note(PRICE, dim=True), note(""), terminal.rows_table(store.sql(PRICE).arrow())),
    )
    section(
        "6. Does it succeed every time?",
        f"How often {after} resolves a request in all of k tries, and how often in at least one of k.",
        terminal.pass_k_table(store.queries.pass_hat_k(scorer=SCORER, batch=after)),
    )
    section(
        "7. What the agent remembers",
        "Conversations, what is known of a customer, and the state of each run are kept too, so that any process can "
        "go on where another stopped.",
        _remembered(store),
    )


def _remembered(store: Storage) -> RenderableType:
    threads = store.memory.list_threads_by_resource_id(resource_id="ada", per_page=1)
    ada = store.memory.get_resource_by_id(resource_id="ada")
    lines = [f"ada has {threads['total']} conversations, and is known for this:"]
    lines += [f"  {fact}" for fact in str(ada and ada["workingMemory"]).splitlines()]
    for run in store.workflows.list_workflow_runs(status="suspended")["runs"]:
        request = run["snapshot"]["context"]["input"]["request"]
        lines.append(f'{run["runId"]} is suspended until somebody approves the refund: "{request}"')
    return note("\n".join(lines))


def _suggestions(here: Place, shown: Run) -> tuple[Suggestion, ...]:
    call, store = command(), typed(here.store)
    before, after = (prompt.name for prompt in PROMPTS)
    shell = (
        ("the latest runs", f"{call} traces {store} --limit 5"),
        ("the run from above", f"{call} trace {store} {shown.trace_id}"),
        ("the tools, and how often they failed", f"{call} tools {store}"),
        ("a page about all of it", f"{call} report {store} -o {typed(here.export.with_name('report.html'))}"),
        ("spans by name", f"{call} spans {store} --name {quoted('execute_tool refund')}"),
        ("any question, in SQL", f'{call} sql {store} "select name, count(*) from spans group by name"'),
        ("the comparison, in full", f"{call} compare {store} {before} {after} --metric {SCORER}"),
        ("how reliable the first prompt was", f"{call} passk {store} --scorer {SCORER} --batch {before}"),
    )
    interpreter = "" if python() == "python" else f" ({python()})"
    ask = (
        "import colonnade",
        f"store = colonnade.open({short(here.store)!r})",
        "query = 'select model, sum(cost) from spans where cost > 0 group by model'",
        "print(store.sql(query).polars())",
    )
    frame = f"print(polars.read_parquet({short(here.export)!r}).group_by('name').len())"
    return (
        *(Suggestion(about, (line,)) for about, line in shell),
        Suggestion(f"the same store, in Python{interpreter}", ask, shell=False),
        Suggestion("the export, in Python", ("import polars", frame), shell=False),
    )


def _finish(screen: Console, done: Demo, *, keep: bool) -> None:
    screen.print(heading("8. The files"))
    if not keep:
        screen.print(note("They were temporary and are gone. To keep them: colonnade demo"))
        return
    here = done.place
    store = "everything, in one folder" if here.is_folder else "everything, as a DuckDB file"
    export = f"{done.spans:,} spans, as Parquet"
    for path, what, size in ((here.store, store, here.size), (here.export, export, here.export.stat().st_size)):
        screen.print(note(f"{typed(path)}: {what}, {size / 1e6:.1f} MB"), soft_wrap=True)
    if here.is_folder:
        screen.print(note("Any number of programs may open the folder at once, also while an agent writes into it."))
    screen.print(heading("Try next"))
    for suggestion in done.suggestions:
        screen.print(note(f"# {suggestion.about}", dim=True))
        for line in suggestion.lines:
            screen.print(note(line), soft_wrap=True)
    screen.print()
    screen.print(note(f"The demo took {done.seconds:.1f} s."))
