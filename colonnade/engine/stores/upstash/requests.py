"""What is asked of the server: commands, in one HTTP request, and how often a step may be tried."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from colonnade.engine.stores.upstash.scripts import Script

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, a key without the prefix, further words; or a script with its arguments."""

    words: tuple[str, ...] = ()
    script: Script | None = None

    def spelled(self, prefix: str, *, whole: bool = False) -> list[str]:
        """The command as the server takes it; a script by its digest, or with its ``whole`` text."""
        if self.script is None:
            name, key, *more = self.words
            return [name, prefix + key, *more]
        name = ("EVAL" if whole else "EVALSHA") + ("_RO" if self.script.reads else "")
        return [name, self.script.text if whole else self.script.digest, "1", prefix, *self.words]


@dataclass(frozen=True, slots=True)
class Request:
    """Commands that go together. Only where ``repeatable`` may they be sent again when it is not known if they ran."""

    commands: Sequence[Command]
    repeatable: bool


Steps = Generator[Request, list[Any], R]
"""Yields requests, is sent the answer of each command."""


def run_script(script: Script, head: object, *more: str, repeatable: bool | None = None) -> Steps[Any]:
    """The answer of one script."""
    command = Command((spelled(head), *more), script)
    (answer,) = yield Request([command], script.reads if repeatable is None else repeatable)
    return answer


def spelled(value: object) -> str:
    """Texts, lists and dicts as scripts read them: JSON in which every text is exactly what it is."""
    return orjson.dumps(value).decode()
