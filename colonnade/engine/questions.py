"""``store.queries``: the questions of ``colonnade.queries``, bound to a storage and in its colour."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import update_wrapper
from typing import Any, ClassVar, ParamSpec, TypeVar

from colonnade.engine.domains.trace_filters import FILTERS, trace_filter
from colonnade.engine.operation import C, Domain, operation
from colonnade.engine.plan import TRUE, Filter, Is, Steps
from colonnade.queries.agreement import agreement_of_scorers
from colonnade.queries.compare import compare_runs
from colonnade.queries.conversations import conversation
from colonnade.queries.critical import critical_path_of_trace, profile_of_spans, self_times_of_trace
from colonnade.queries.messages import messages_of_thread
from colonnade.queries.pages import When
from colonnade.queries.report import report_of
from colonnade.queries.results import pass_hat_k
from colonnade.queries.score_trends import trends_of_scores
from colonnade.queries.search import Hit, search_table, table_to_search
from colonnade.queries.slow import failing_traces, slowest_traces, totals_of_traces
from colonnade.queries.spans import find_spans, scores_of_span
from colonnade.queries.threads import summaries_of_threads
from colonnade.queries.tools import failures_of_tools
from colonnade.queries.trace_ids import ids_of_traces
from colonnade.queries.traces import root_spans, spans_of_trace, whole_trace
from colonnade.queries.usage import errors_of_spans, latency_of_spans, usage_of_spans
from colonnade.schemas import SPANS
from colonnade.schemas.table import Table

P = ParamSpec("P")
R = TypeVar("R")


def question(asked: Callable[P, Steps[R]]) -> operation[P, R]:
    """A question as a method: it blocks or is awaited, as its storage does."""

    def steps(_: Any, /, *args: P.args, **kwargs: P.kwargs) -> Steps[R]:
        return asked(*args, **kwargs)

    update_wrapper(steps, asked)  # it documents itself like the question that it asks
    return operation(steps)


def search(
    text: str,
    *,
    table: Table | str = "spans",
    fields: Collection[str] | None = None,
    some: bool = False,
    filters: Mapping[str, Any] | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int = 10,
) -> Steps[list[Hit]]:
    """Rows that hold the words of a text, best first: ``store.search("refund denied")``.

    All words must occur among the searched fields, each as a whole word, in any order and either case; with ``some``
    one of them is enough, and rows with more of them come first. ``table`` is ``spans`` (input, output, error and name
    are searched), ``messages``, ``threads``, ``resources``, ``scores`` or ``evals``; ``fields`` names others.
    ``filters`` of spans are those of ``observability.list_traces``, and fields that must be equal, as of all other
    tables: ``{"status": "error", "threadId": "t1"}``. ``since`` (inclusive) and ``until`` (exclusive) are moments, or
    how long ago: ``"24h"``.

    Of more than 10,000 rows that hold the words the newest are ranked. ``InvalidInput`` where the text has no words.
    """
    searched = table_to_search(table)
    return (
        yield from search_table(
            text,
            table=searched,
            fields=fields,
            some=some,
            limit=limit,
            since=since,
            until=until,
            where=_filters(searched, filters or {}),
        )
    )


def _filters(table: Table, filters: Mapping[str, Any]) -> Filter:
    where: Filter = TRUE
    traces = {}
    for name, value in filters.items():
        if table == SPANS and name in FILTERS:
            traces[name] = value
        else:
            known = table.by_api[name].name if name in table.by_api else table.column(name).name
            where &= Is(known, "=", value)
    return where & trace_filter(traces)


class Questions(Domain[C]):
    """Questions over everything that is kept. They only read, each table from the store that keeps it."""

    name: ClassVar[str] = "queries"

    spans = question(find_spans)
    scores_by_span = question(scores_of_span)
    trace = question(spans_of_trace)
    whole_trace = question(whole_trace)
    roots = question(root_spans)
    messages = question(messages_of_thread)
    conversation = question(conversation)
    usage = question(usage_of_spans)
    latency = question(latency_of_spans)
    errors = question(errors_of_spans)
    tools = question(failures_of_tools)
    threads = question(summaries_of_threads)
    trace_ids = question(ids_of_traces)
    trace_totals = question(totals_of_traces)
    slowest = question(slowest_traces)
    failing = question(failing_traces)
    critical_path = question(critical_path_of_trace)
    self_times = question(self_times_of_trace)
    profile = question(profile_of_spans)
    score_trends = question(trends_of_scores)
    report = question(report_of)
    pass_hat_k = question(pass_hat_k)
    compare = question(compare_runs)
    agreement = question(agreement_of_scorers)
    search = question(search)
