"""The scores domain: what scorers said of runs and spans, and the older evals table of the source documents.

Everything that is kept comes back as it was: a saved record equals the one that is read later. Lists are newest first,
and the id orders what has the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import pyarrow as pa

from colonnade.engine.domains.arguments import listed, options
from colonnade.engine.domains.pages import PerPage, nested, paged, slice_of
from colonnade.engine.operation import C, Domain, atomic, clear_all, new_id, operation
from colonnade.engine.plan import Filter, Is, Put, Scan, Steps, between, change, desc, is_equal, rows
from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.queries.selection import Selectable
from colonnade.schemas import EVALS, SCORES
from colonnade.schemas.records import Record, decode, encode, spell_value
from colonnade.schemas.table import Table

SOURCES: Final = ("LIVE", "TEST")
"""Where a score comes from: a run in production, or a test."""

_SOURCE: Final = f"must be {' or '.join(SOURCES)}"
_REQUIRED: Final = ("entityId", "entity")
"""What a new score must have, although the table allows null: databases of other writers may hold it."""


class Scores(Domain[C], Selectable[C]):
    """Scores and evals.

    Scores are those of the storage API; evals are the results of metrics in the layout of the source documents. Both
    are kept for good: saving under an id that is there replaces the whole record.
    """

    name: ClassVar[str] = "scores"
    selects: ClassVar[Table] = SCORES

    @operation
    def init(self) -> Steps[None]:
        """Nothing: opening the storage has made the tables."""
        yield from ()

    @atomic
    def dangerously_clear_all(self) -> Steps[None]:
        """Delete every score and every eval."""
        yield from clear_all(self.name)

    @operation
    def save_score(self, *, score: Mapping[str, Any]) -> Steps[Record]:
        """Keep a score, and give it as ``{score}``, as it will be read.

        Required are ``scorerId``, ``entityId``, ``runId``, ``output``, ``score`` (finite), ``scorer``, ``source`` (LIVE
        or TEST) and ``entity``. ``id``, ``createdAt`` and ``updatedAt`` are made where they are not given; a given id
        is honoured, so importing the same scores twice keeps each once. ``structuredOutput`` is accepted and not kept.
        ``InvalidRows`` lists all that is wrong.
        """
        saved = yield from self._save_scores([score])
        return {"score": saved[0]}

    @operation
    def save_scores(self, *, scores: Sequence[Mapping[str, Any]]) -> Steps[Record]:
        """Keep scores in one write, all or none, and give them as ``{scores}`` in their order.

        Each is as in ``save_score``. Of two with the same id the last is kept.
        """
        return {"scores": (yield from self._save_scores(scores))}

    def _save_scores(self, scores: Sequence[Mapping[str, Any]]) -> Steps[list[Record]]:
        data = _encoded_scores([self._score(row) for row in _objects(SCORES, scores)])
        yield from change(Put(SCORES, data))
        return decode(SCORES, data)

    def _score(self, given: Record) -> Record:
        now = self._clock.now()
        kept = {name: value for name, value in given.items() if name != "structuredOutput"}
        return {"id": new_id(), "createdAt": now, "updatedAt": now, **kept}

    @operation
    def get_score_by_id(self, *, id: str) -> Steps[Record | None]:
        """A score, or None."""
        found = yield from rows(Scan(SCORES, Is("id", "=", id)))
        return next(iter(decode(SCORES, found)), None)

    @operation
    def list_scores_by_scorer_id(
        self,
        *,
        scorer_id: str,
        pagination: Mapping[str, Any] | None = None,
        entity_id: str | None = None,
        entity_type: str | None = None,
        source: str | None = None,
    ) -> Steps[Record]:
        """The scores that a scorer gave, as ``{scores, pagination: {total, page, perPage, hasMore}}``.

        ``pagination`` is ``{page, perPage}``, counted from page 0; everything where there is no ``perPage``.
        """
        if source is not None and source not in SOURCES:
            raise InvalidInput(f"source {_SOURCE}, not {source!r:.80}")
        where = is_equal(scorerId=scorer_id, entityId=entity_id, entityType=entity_type, source=source)
        return (yield from _list_scores(where, pagination))

    @operation
    def list_scores_by_run_id(self, *, run_id: str, pagination: Mapping[str, Any] | None = None) -> Steps[Record]:
        """The scores of a run, as ``list_scores_by_scorer_id`` gives them."""
        return (yield from _list_scores(Is("runId", "=", run_id), pagination))

    @operation
    def list_scores_by_entity_id(
        self, *, entity_id: str, entity_type: str, pagination: Mapping[str, Any] | None = None
    ) -> Steps[Record]:
        """The scores of an agent, a workflow or another entity, as ``list_scores_by_scorer_id`` gives them."""
        where = Is("entityId", "=", entity_id) & Is("entityType", "=", entity_type)
        return (yield from _list_scores(where, pagination))

    @operation
    def list_scores_by_span(
        self, *, trace_id: str, span_id: str, pagination: Mapping[str, Any] | None = None
    ) -> Steps[Record]:
        """The scores of a span, as ``list_scores_by_scorer_id`` gives them."""
        where = Is("traceId", "=", trace_id) & Is("spanId", "=", span_id)
        return (yield from _list_scores(where, pagination))

    @operation
    def save_evals(self, *, evals: Sequence[Mapping[str, Any]]) -> Steps[Record]:
        """Keep evals in one write, all or none, and give them as ``{evals}`` in their order, as they will be read.

        An eval is ``{input, output, result: {score, ...}, agentName, metricName, instructions, globalRunId, runId}``
        with both run ids UUIDs. ``id``, ``createdAt`` and ``testInfo`` (an empty object) are made where they are not
        given; a given id is honoured and replaces. ``InvalidRows`` lists all that is wrong.
        """
        data = encode(EVALS, [self._eval(row) for row in _objects(EVALS, evals)])
        yield from change(Put(EVALS, data))
        return {"evals": decode(EVALS, data)}

    def _eval(self, given: Record) -> Record:
        return {"id": new_id(), "testInfo": {}, "createdAt": self._clock.now(), **given}

    @operation
    def list_evals(
        self,
        *,
        agent_name: str | None = None,
        metric_name: str | None = None,
        run_id: str | UUID | None = None,
        global_run_id: str | UUID | None = None,
        from_date: datetime | str | None = None,
        to_date: datetime | str | None = None,
        page: int = 0,
        per_page: PerPage = None,
    ) -> Steps[Record]:
        """Evals, as ``{evals, pagination: {total, page, perPage, hasMore}}``; all of them unless ``per_page`` is given.

        Both dates are inclusive, on ``createdAt``.
        """
        where = is_equal(agent_name=agent_name, metric_name=metric_name, run_id=run_id, global_run_id=global_run_id)
        where &= between(
            "created_at",
            spell_value(EVALS, "created_at", from_date),
            spell_value(EVALS, "created_at", to_date),
        )
        return (yield from _newest("evals", EVALS, where, "created_at", page, per_page))


def _objects(table: Table, given: Sequence[Any]) -> Iterator[Record]:
    """Each row as a dict of the fields that it has; null is the same as missing."""
    for position, row in enumerate(listed(given, table.name)):
        if not isinstance(row, Mapping):
            raise InvalidInput(f"{table.name}: row {position} is a {type(row).__name__}, not a dict of fields")
        yield {name: value for name, value in row.items() if value is not None}


def _encoded_scores(records: Sequence[Record]) -> pa.Table:
    """Scores in stored form; ``InvalidRows`` lists what the table refuses together with what the payload lacks."""
    problems: list[Problem] = []
    for position, record in enumerate(records):
        problems += [Problem(position, name, "is required") for name in _REQUIRED if name not in record]
        if (source := record.get("source", "LIVE")) not in SOURCES:
            problems.append(Problem(position, "source", f"{_SOURCE}, not {source!r:.80}"))
    try:
        data = encode(SCORES, records)
    except InvalidRows as refused:
        problems += refused.problems
    if problems:
        raise InvalidRows(SCORES.name, sorted(problems, key=lambda problem: problem.row))
    return data


def _list_scores(where: Filter, pagination: Mapping[str, Any] | None) -> Steps[Record]:
    asked = options(pagination, "pagination", ("page", "perPage"))
    return (yield from _newest("scores", SCORES, where, "createdAt", asked.get("page"), asked.get("perPage")))


def _newest(name: str, table: Table, where: Filter, column: str, page: int | None, per_page: PerPage) -> Steps[Record]:
    # Everything is one page: without a size, a page further on is a mistake, not the same rows again.
    asked = slice_of(page, False if per_page is None else per_page, None)
    found, total = yield from paged(table, where, (desc(column),), asked)
    return nested(name, found, total, asked)
