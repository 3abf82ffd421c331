"""D1's REST API: a batch of statements is one request, and one transaction.

A request that was turned away (429, or a database that is overloaded) is made again after a while, and so is one that
only reads and failed on the other side. A write that may have been carried out is not: the caller is told.
https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/query/
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from colonnade.engine.exchange import Exchange, Pause, Post, Reply, Unanswered
from colonnade.engine.sqlite_served.batches import Batch, Result, TooMuch
from colonnade.engine.stores.d1.address import Place
from colonnade.engine.stores.d1.spelling import fitting
from colonnade.errors import ColonnadeError, InvalidInput, StoreError, StoreReadOnly

TRIES: Final = 6
_LEAST, _MOST = 0.1, 10.0
"""Seconds between tries: twice as long each time, unless the server says how long."""
_SAID: Final = 500
_REFUSED: Final = frozenset({10000, 9109, 9106, 6003, 6111})
"""Cloudflare's codes of a token that is wrong, or may not do this."""
_BUSY: Final = ("overloaded", "too many requests queued")
_LARGE: Final = ("response too large", "exceeded memory", "memory limit")


class Rest:
    """How a database is spoken to."""

    def __init__(self, place: Place) -> None:
        self._url = place.url
        self.label = place.label

    def send(self, batch: Batch) -> Exchange[list[Result]]:
        """Run a batch, as one."""
        asked = [{"sql": each.sql, "params": each.parameters} for each in map(fitting, batch.statements)]
        body = orjson.dumps(asked[0] if len(asked) == 1 else {"batch": asked})
        pauses = _pauses()
        while True:
            wait: float | None = None
            try:
                reply: Reply = yield Post(self._url, body)
            except Unanswered as error:
                failed: ColonnadeError = self._lost(error)
                again = (not batch.writes or not error.sent) and not error.lasting
            else:
                if reply.status == 200:
                    return self._results(reply)
                failed, again = self._failed(reply, reads=not batch.writes)
                wait = _wanted(reply.headers)
            pause = next(pauses, None)
            if not again or pause is None:
                raise failed
            yield Pause(pause if wait is None else min(wait, 3 * _MOST))

    def _results(self, reply: Reply) -> list[Result]:
        said = orjson.loads(reply.body)
        if not said.get("success"):
            raise self._failed(reply, reads=False)[0]
        return [
            Result([tuple(row.values()) for row in each["results"]], int((each.get("meta") or {}).get("changes") or 0))
            for each in said["result"]
        ]

    def _lost(self, error: Unanswered) -> StoreError:
        if error.sent:
            return StoreError(f"{self.label} broke off before it answered: a write may have arrived, or not ({error})")
        return StoreError(f"{self.label} cannot be reached: {error}")

    def _failed(self, reply: Reply, *, reads: bool) -> tuple[ColonnadeError, bool]:
        """The error that a reply means, and whether the same may be asked again."""
        code, said = _errors(reply.body)
        label, low = self.label, said.lower()
        if reply.status == 429 or any(each in low for each in _BUSY):
            return StoreError(f"{label} is asked for more than it takes, or than the account may: {said}"), True
        if reply.status == 401 or code in _REFUSED:
            return StoreError(f"{label} refuses the API token: is it right, and may it use D1? ({reply.status})"), False
        if reply.status == 403:
            return StoreReadOnly(f"{label}: the API token may not do this: {said}"), False
        if reply.status == 404:
            return StoreError(f"{label}: there is no such database, or account: {said}"), False
        if "statement too long" in low:
            return InvalidInput(f"{label}: the condition is longer than the 100 KB that D1 takes: ask in steps"), False
        if "sqlite_toobig" in low or "too big" in low:
            return InvalidInput(f"{label}: a value, or a row, is larger than D1 takes; nothing was written"), False
        if reply.status == 413 or any(each in low for each in _LARGE):
            return TooMuch(f"{label}: one row is more than D1 may answer with: {said}"), False
        if reply.status >= 500:
            return StoreError(f"{label} failed ({reply.status}); a write may have arrived, or not: {said}"), reads
        return StoreError(f"{label}: {said}"), False


def _pauses() -> Iterator[float]:
    step = _LEAST
    for _ in range(TRIES - 1):
        yield random.uniform(step / 2, step)
        step = min(step * 2, _MOST)


def _wanted(headers: Mapping[str, str]) -> float | None:
    """Seconds for which the server wants to be left alone."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _errors(body: bytes) -> tuple[int | None, str]:
    try:
        errors = orjson.loads(body)["errors"]
        return int(errors[0].get("code") or 0), "; ".join(str(each.get("message")) for each in errors)[:_SAID]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, " ".join(body.decode(errors="replace").split())[:_SAID]


def line_headers(place: Place) -> dict[str, Any]:
    """What every request says of itself."""
    return {"content-type": "application/json", "authorization": f"Bearer {place.api_token}"}
