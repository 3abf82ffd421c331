"""Records that wait to be written: kept as they were when they were added.

An agent goes on with its list of messages after it has added a span; what the span says of them must not change. So
payloads become JSON at once, which is a copy that has to be made anyway, and they are not encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.domains.scores import Scores
from colonnade.engine.operation import Clock, Domain, operation
from colonnade.engine.plan import Put
from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas import SPANS
from colonnade.schemas.payloads import from_json, to_json
from colonnade.schemas.records import Record, encode_columns, gather
from colonnade.schemas.span_rows import add_defaults, complete
from colonnade.schemas.table import Table

_SAVES: Final[Mapping[str, tuple[operation[Any, Any], str]]] = {
    "scores": (Scores.save_scores, "scores"),
    "evals": (Scores.save_evals, "evals"),
}
"""The operation that saves several records of a table, and the argument that they are."""

_KNOWN: Final = (SPANS.name, *_SAVES)


class Records:
    """The records of one of the tables that accumulate."""

    def __init__(self, table: Table, domain: Domain[Any], clock: Clock) -> None:
        if table.name not in _KNOWN:
            raise InvalidInput(
                f"a writer is for what accumulates: {', '.join(_KNOWN)}; what is kept in {table.name} changes, so use "
                f"the methods of store.{table.domain}"
            )
        self._table = table
        self._domain = domain
        self._clock = clock
        # What is said of the scope follows from it when it is encoded.
        self._json = {column.api for column in table.columns.values() if column.kind.name == "json"}
        self._json.discard("instrumentationScope")
        self._are_spans = table.name == SPANS.name

    def take(self, record: Mapping[str, Any]) -> tuple[Record, int]:
        """A record as it is now, and about how many bytes; ``InvalidRows`` where a payload cannot be JSON."""
        taken = dict(record)
        size = 8 * len(taken)
        for name in self._json & taken.keys():
            if taken[name] is None:
                continue
            try:
                text = to_json(taken[name])
            except Exception as error:  # of an object's own making, perhaps
                said = str(error) if isinstance(error, TypeError | ValueError) else repr(error)
                raise InvalidRows(self._table.name, [Problem(0, name, said)]) from None
            if self._are_spans:
                taken[name] = text
            else:
                taken[name] = from_json(text)
                size += len(text)
        for value in taken.values():
            if type(value) is str:
                size += len(value)
        scope = taken.get("scope")
        if type(scope) is not str and isinstance(scope, Mapping):
            taken["scope"] = dict(scope)
        return taken, size

    def encode(self, taken: list[Record]) -> pa.Table:
        """Records that were taken, as rows; ``InvalidRows`` lists every problem."""
        return self._encode_spans(taken) if self._are_spans else self._encode_as_saved(taken)

    def _encode_spans(self, taken: Sequence[Record]) -> pa.Table:
        """As ``encode_spans``, with payloads that are JSON."""
        columns, problems = gather(SPANS, taken)
        complete(columns, len(taken))
        add_defaults(columns, len(taken), self._clock.now())
        texts = {name: pa.array(columns[name], pa.string()) for name in self._json & columns.keys()}
        return encode_columns(SPANS, {**columns, **texts}, len(taken), problems)

    def _encode_as_saved(self, taken: Sequence[Record]) -> pa.Table:
        """What the domain itself would put if it were to save the records."""
        saves, argument = _SAVES[self._table.name]
        steps = saves.steps(self._domain, **{argument: taken})
        plan = next(steps)
        steps.close()
        assert isinstance(plan, Put)
        return plan.data
