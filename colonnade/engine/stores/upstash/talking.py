"""The talk with the server, without the wires: what is posted, how answers are read, when something is said again."""

from __future__ import annotations

import base64
import random
from collections.abc import Generator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar

import orjson

from colonnade.engine.driving import drive_by
from colonnade.engine.stores.upstash.address import Place
from colonnade.engine.stores.upstash.requests import Request, Steps
from colonnade.errors import StoreError, StoreReadOnly

R = TypeVar("R")

_LONGEST: Final = 10.0
"""Seconds between two tries at most."""
_SAID: Final = 300


@dataclass(frozen=True, slots=True)
class Post:
    """A request to be made, after a pause of some seconds."""

    path: str
    body: bytes
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status with its body, or how it failed and whether the request may have arrived."""

    status: int = 0
    body: bytes = b""
    after: str = ""
    """What the server says of when to try again, in seconds."""
    failure: str = ""
    arrived: bool = True
    lasting: bool = False
    """Whether the next one will fail too."""


Talk = Generator[Post, Reply, R]


class Counter:
    """How many requests were sent, and how many commands were in them."""

    def __init__(self) -> None:
        self.requests = self.commands = 0
        self._lock = Lock()

    def copy(self) -> Counter:
        """Another that counts on from here, with a lock of its own."""
        other = Counter()
        other.requests, other.commands = self.requests, self.commands
        return other

    def add(self, commands: int) -> None:
        """Count one request."""
        with self._lock:
            self.requests += 1
            self.commands += commands

    def stats(self) -> dict[str, int]:
        """Both, since the store was opened."""
        with self._lock:
            return {"requests": self.requests, "commands": self.commands}


def talk(steps: Steps[R], place: Place, counter: Counter) -> Talk[R]:
    """Run steps: yields what is to be posted, is sent what came back."""
    return drive_by(steps, lambda request: _answers(request, place, counter))


def _answers(request: Request, place: Place, counter: Counter) -> Talk[list[Any]]:
    """The answers to commands; scripts that the server does not know are sent as a whole."""
    spelled = [command.spelled(place.prefix) for command in request.commands]
    answers = yield from _posted(spelled, request.repeatable, place, counter)
    unknown = [at for at, answer in enumerate(answers) if str(answer.get("error", "")).startswith("NOSCRIPT")]
    if unknown:
        whole = [request.commands[at].spelled(place.prefix, whole=True) for at in unknown]
        again = yield from _posted(whole, request.repeatable, place, counter)
        for at, answer in zip(unknown, again, strict=True):
            answers[at] = answer
    for answer in answers:
        if "error" in answer:
            raise refused(place, str(answer["error"]))
    return [_decoded(answer.get("result")) for answer in answers]


def _posted(commands: list[list[str]], repeatable: bool, place: Place, counter: Counter) -> Talk[list[dict[str, Any]]]:
    alone = len(commands) == 1
    post = Post("/" if alone else "/pipeline", orjson.dumps(commands[0] if alone else commands))
    pause = 0.0
    for left in range(place.retries, -1, -1):
        counter.add(len(commands))
        reply = yield Post(post.path, post.body, pause)
        if not reply.failure and (reply.status < 300 or (reply.status == 400 and reply.body[:1] == b"{")):
            found = _parsed(reply.body, place)
            if isinstance(found, dict) and (alone or "error" in found):
                return [found] if alone else [found for _ in commands]
            if not alone and isinstance(found, list) and len(found) == len(commands):
                return found
            raise StoreError(f"{place.label} answered something that is not Upstash's REST: is the address right?")
        # What was turned away did not run; what broke off may have.
        harmless = repeatable or not reply.arrived or reply.status == 429
        if not left or not harmless or not _may_pass(reply):
            raise _failed(place, reply, certain=not reply.arrived or 0 < reply.status < 500)
        pause = _pause(reply, place.retries - left)
    raise AssertionError("the last try returns or raises")


def _may_pass(reply: Reply) -> bool:
    return (bool(reply.failure) and not reply.lasting) or reply.status == 429 or reply.status >= 500


def _pause(reply: Reply, tried: int) -> float:
    try:
        return min(max(float(reply.after), 0.0), _LONGEST)
    except ValueError:
        return float(min(0.05 * 2**tried, _LONGEST)) * random.uniform(0.5, 1.5)


def _parsed(body: bytes, place: Place) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise StoreError(f"{place.label} answered something that is no JSON: is the address right?") from None


def _decoded(result: Any) -> Any:
    """An answer as it was: all texts but OK come as base64."""
    if isinstance(result, str):
        return result if result == "OK" else base64.b64decode(result).decode()
    return [_decoded(each) for each in result] if isinstance(result, list) else result


def refused(place: Place, said: str) -> StoreError:
    """What the server says of a command, as an error of ours."""
    said = _without_token(" ".join(said.split()), place)
    if said.startswith(("NOPERM", "READONLY")) or "no permissions" in said.lower():
        return StoreReadOnly(f"{place.label}: its token may only read: {said}")
    if said.startswith(("WRONGPASS", "NOAUTH")):
        return StoreError(f"{place.label} refuses the token: is it right, and of this database?")
    return StoreError(f"{place.label}: {said}")


def _failed(place: Place, reply: Reply, *, certain: bool) -> StoreError:
    doubt = "" if certain else "; if it was a write, it may have been carried out all the same"
    if reply.failure:
        why = "cannot be reached" if not reply.arrived else "broke off"
        return StoreError(f"{place.label} {why}: {_without_token(reply.failure, place)}{doubt}")
    if reply.status in (401, 403):
        return StoreError(f"{place.label} refuses the token: is it right, and of this database? ({reply.status})")
    if reply.status == 429:
        return StoreError(f"{place.label} takes no more requests for now (429): its limit is reached, try again later")
    if reply.status == 413:
        return StoreError(
            f"{place.label}: a request is larger than it takes (413): write fewer or smaller rows at once"
        )
    said = _without_token(" ".join(reply.body.decode(errors="replace").split()), place)
    return StoreError(f"{place.label} answered {reply.status}: {said}{doubt}")


def _without_token(said: str, place: Place) -> str:
    # A token is dozens of letters; a word as short as those of tests would be found within others.
    return (said.replace(place.token, "...") if len(place.token) > 5 else said)[:_SAID]
