"""Hrana, the protocol of libSQL's servers, over HTTP: statements go as pipelines, a transaction is a stream.

A stream has a baton, which each reply gives anew. A server lets go of a stream, and undoes its transaction, when
nothing is heard of it for some seconds.
https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from colonnade.engine.exchange import Exchange, Pause, Post, Reply, Unanswered
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.batches import Batch, Result, TooMuch
from colonnade.errors import ColonnadeError, Conflict, StoreError, StoreReadOnly

BEGIN: Final = "BEGIN IMMEDIATE"
_AGAIN: Final = 0.05
"""Seconds until a question is asked again that nobody answered."""
_SAID: Final = 500


@dataclass(slots=True)
class Stream:
    """A connection within the server, for a transaction: from its first batch until ``end``."""

    url: str
    baton: str | None = None
    begun: bool = False


class Hrana:
    """How a server is spoken to."""

    def __init__(self, url: str, label: str) -> None:
        self.url = url
        self.label = label

    def send(self, batch: Batch) -> Exchange[list[Result]]:
        """Run a batch by itself: several statements as one transaction."""
        alone = len(batch.statements) == 1
        steps = _in_turn(batch.statements if alone else _transaction(batch.statements))
        if not alone:
            last = len(steps) - 1
            undone = {"type": "not", "cond": {"type": "ok", "step": last}}
            steps.append({"stmt": {"sql": "ROLLBACK"}, "condition": undone})
        asked: list[dict[str, Any]] = [{"type": "batch", "batch": {"steps": steps}}, {"type": "close"}]
        (found, *_) = yield from self._pipeline(Stream(self.url), asked, again=not batch.writes)
        results = self._results(found, len(steps) - (0 if alone else 1))
        return results if alone else results[1:-1]

    def within(self, stream: Stream, batch: Batch) -> Exchange[list[Result]]:
        """Run a batch within a transaction, which begins with the first."""
        first = [] if stream.begun else [Statement(BEGIN)]
        statements = [*first, *batch.statements]
        asked: list[dict[str, Any]] = [{"type": "batch", "batch": {"steps": _in_turn(statements)}}]
        (found,) = yield from self._pipeline(stream, asked)
        stream.begun = stream.begun or found["step_errors"][0] is None
        return self._results(found, len(statements))[len(first) :]

    def end(self, stream: Stream, *, commit: bool) -> Exchange[None]:
        """Commit a transaction, or undo it; the stream is closed."""
        if stream.baton is None:
            return
        verb = "COMMIT" if commit else "ROLLBACK"
        asked: list[dict[str, Any]] = [{"type": "close"}]
        if stream.begun:
            asked.insert(0, {"type": "batch", "batch": {"steps": _in_turn([Statement(verb)])}})
        try:
            (found, *_) = yield from self._pipeline(stream, asked)
            if stream.begun:
                self._results(found, 1)
        except ColonnadeError:
            if commit:
                raise  # what is undone is undone without being told, too

    def _pipeline(self, stream: Stream, asked: list[dict[str, Any]], *, again: bool = False) -> Exchange[list[Any]]:
        body = orjson.dumps({"baton": stream.baton, "requests": asked})
        try:
            reply: Reply = yield Post(f"{stream.url}/v2/pipeline", body)
        except Unanswered as error:
            if (again or not error.sent) and not error.lasting:
                yield Pause(_AGAIN)
                try:
                    reply = yield Post(f"{stream.url}/v2/pipeline", body)
                except Unanswered as twice:
                    raise self._lost(twice) from None
            else:
                raise self._lost(error) from None
        if reply.status != 200:
            raise self._refused(reply, stream)
        said = orjson.loads(reply.body)
        stream.baton, stream.url = said.get("baton"), said.get("base_url") or stream.url
        return [self._response(each) for each in said["results"]]

    def _response(self, result: Mapping[str, Any]) -> Any:
        if result["type"] != "ok":
            raise self._failed(result["error"])
        return result["response"].get("result")

    def _results(self, found: Mapping[str, Any], count: int) -> list[Result]:
        for error in found["step_errors"][:count]:
            if error is not None:
                raise self._failed(error)
        return [_result(each) for each in found["step_results"][:count]]

    def _lost(self, error: Unanswered) -> StoreError:
        if error.sent:
            return StoreError(f"{self.label} broke off before it answered: a write may have arrived, or not ({error})")
        return StoreError(f"{self.label} cannot be reached: {error}")

    def _refused(self, reply: Reply, stream: Stream) -> ColonnadeError:
        said = _brief(reply.body)
        if reply.status == 403:
            return StoreReadOnly(f"{self.label}: the token may only read")
        if reply.status == 401:
            return StoreError(f"{self.label} refuses the token: is it right, whole, and not out of date?")
        if stream.baton is not None and 400 <= reply.status < 500:
            return Conflict(f"{self.label} let go of a transaction that took too long: {said}")
        return StoreError(f"{self.label} answers {reply.status}: {said}")

    def _failed(self, error: Mapping[str, Any]) -> ColonnadeError:
        said, code = str(error.get("message", ""))[:_SAID], str(error.get("code") or "")
        if "RESPONSE_TOO_LARGE" in code:
            return TooMuch(f"{self.label}: one row is more than the server may answer with: {said}")
        if "too big" in said:
            return StoreError(f"{self.label}: a value, or a row, is larger than the server takes; nothing was written")
        if "BUSY" in code or "LOCKED" in code or "TIMEOUT" in code or "EXPIRED" in code:
            return Conflict(f"{self.label}: {said}")
        if "READONLY" in code or "AUTH" in code or "BLOCKED" in code or "not authorized" in said.lower():
            return StoreReadOnly(f"{self.label}: the token may only read: {said}")
        return StoreError(f"{self.label}: {said}")


def _transaction(statements: Sequence[Statement]) -> list[Statement]:
    return [Statement(BEGIN), *statements, Statement("COMMIT")]


def _in_turn(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Statements as steps of a batch: each is run when the one before it went well."""
    return [
        {"stmt": _stmt(each)} | ({"condition": {"type": "ok", "step": at - 1}} if at else {})
        for at, each in enumerate(statements)
    ]


def _stmt(statement: Statement) -> dict[str, Any]:
    return {"sql": statement.sql, "args": [_value(each) for each in statement.parameters], "want_rows": True}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"type": "null"}
        case str():
            return {"type": "text", "value": value}
        case int():
            return {"type": "integer", "value": str(int(value))}
        case float():
            return {"type": "float", "value": value}
    return {"type": "blob", "base64": b64encode(value).decode()}


def _result(found: Mapping[str, Any] | None) -> Result:
    if found is None:
        return Result([])
    rows = [tuple([_read(each) for each in row]) for row in found["rows"]]
    return Result(rows, int(found["affected_row_count"]))


def _read(value: Mapping[str, Any]) -> Any:
    match value["type"]:
        case "text":
            return value["value"]
        case "integer":
            return int(value["value"])
        case "float":
            return float(value["value"])
        case "blob":
            encoded = value["base64"]
            return b64decode(encoded + "=" * (-len(encoded) % 4))
    return None


def _brief(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:_SAID]
