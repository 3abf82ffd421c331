"""``store.queries``: the questions of ``colonnade.queries``, bound to a storage and in its colour."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar, ParamSpec, TypeVar

from colonnade.engine.operation import C, Domain, operation
from colonnade.engine.plan import Steps
from colonnade.queries.compare import compare_batches
from colonnade.queries.messages import messages_of_thread
from colonnade.queries.results import pass_hat_k
from colonnade.queries.spans import find_spans, scores_of_span
from colonnade.queries.traces import root_spans, spans_of_trace
from colonnade.queries.usage import usage_of_spans

P = ParamSpec("P")
R = TypeVar("R")


def question(asked: Callable[P, Steps[R]]) -> operation[P, R]:
    """A question as a method: it blocks or is awaited, as its storage does."""

    def steps(_: Any, /, *args: P.args, **kwargs: P.kwargs) -> Steps[R]:
        return asked(*args, **kwargs)

    update_wrapper(steps, asked)  # it documents itself like the question that it asks
    return operation(steps)


class Questions(Domain[C]):
    """Questions over everything that is kept. They only read, each table from the store that keeps it."""

    name: ClassVar[str] = "queries"

    spans = question(find_spans)
    scores_by_span = question(scores_of_span)
    trace = question(spans_of_trace)
    roots = question(root_spans)
    messages = question(messages_of_thread)
    usage = question(usage_of_spans)
    pass_hat_k = question(pass_hat_k)
    compare = question(compare_batches)
