"""Recorded runs of agents: chat transcripts with a reward, as tau-bench and its kin write them.

A file is a JSON list of runs, or JSON Lines with one run a line (which is read as a stream). A run is an object:

==============  =====================================  ==============================================================
what            names, the first that is there         meaning
==============  =====================================  ==============================================================
the messages    ``traj``, ``messages``,                OpenAI chat messages: ``role``, ``content``, ``tool_calls``,
                ``conversation``                       ``tool_call_id``, ``name``; see ``colonnade.ingest.chat``
the reward      ``reward``, ``score``                  a finite number, or true and false
the item        ``task_id``, ``item``, ``id``          the task that was run: text or a whole number
the trial       ``trial`` (optional)                   which repetition of the item, from 0; where it is missing, the
                                                       runs of an item are counted in the order of the file
more            ``info`` (optional)                    an object: ``task``, ``reward_info``, ``user_cost`` ...
==============  =====================================  ==============================================================

Times are read from a message's ``timestamp``, ``created_at`` or ``createdAt`` and made where there are none: see
``colonnade.ingest.made_times``. Whatever else a run says is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any, Final

from colonnade.errors import InvalidInput
from colonnade.ingest.chat import Message, check_message
from colonnade.ingest.made_times import Times, times_of
from colonnade.schemas.payloads import is_strange

MESSAGES: Final = ("traj", "messages", "conversation")
REWARD: Final = ("reward", "score")
ITEM: Final = ("task_id", "item", "id")

_KNOWN: Final = {*MESSAGES, *REWARD, *ITEM, "trial", "info"}
_FORMS: Final = "a file of transcripts is a JSON list of runs, or one run a line (JSON Lines)"
_LARGEST_TRIAL: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run: what was said in it, and how good it was."""

    item: str
    trial: int
    reward: float
    messages: tuple[Message, ...]
    times: Times
    info: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the run says, by the names that it uses."""


def read_transcripts(path: str | PathLike[str]) -> Iterator[Run]:
    """The runs in a file, in its order. ``InvalidInput`` names the element or line and what is missing in it."""
    path = Path(path)
    trials: dict[str, set[int]] = {}
    seconds = 0
    for place, found in _elements(path):
        try:
            run = _run(found, trials, seconds)
        except ValueError as error:
            raise InvalidInput(f"{path.name}, {place}: {error}") from None
        seconds += len(run.messages)
        yield run
    if not trials:
        raise InvalidInput(f"{path.name} holds no runs; {_FORMS}")


def _elements(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next((line.lstrip() for line in file if line.strip()), "")
            file.seek(0)
            if first.startswith("["):
                yield from ((f"element {number}", found) for number, found in enumerate(json.load(file)))
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"line {number}", _parsed(line, f"{path.name}, line {number}")
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path.name} is no JSON: {error}; {_FORMS}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is no UTF-8 text: {error}; {_FORMS}") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None


def _parsed(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{place} is no JSON: {error}; {_FORMS}") from None


def _run(found: Any, trials: dict[str, set[int]], seconds: int) -> Run:
    if not isinstance(found, Mapping):
        raise ValueError(f"is a {type(found).__name__}, not a run (an object with messages, a reward and an item)")
    messages = _messages(_required(found, MESSAGES, "messages"))
    reward = _reward(_required(found, REWARD, "reward"))
    item = _item(_required(found, ITEM, "item"))
    info = found.get("info")
    if info is not None and not isinstance(info, Mapping):
        raise ValueError(f"info is a {type(info).__name__}, not an object")
    known = trials.setdefault(item, set())
    trial = _trial(found["trial"]) if found.get("trial") is not None else next(n for n in count() if n not in known)
    known.add(trial)
    return Run(
        item=item,
        trial=trial,
        reward=reward,
        messages=messages,
        times=times_of(messages, seconds),
        info=info or {},
        more={name: value for name, value in found.items() if name not in _KNOWN},
    )


def _required(found: Mapping[str, Any], names: tuple[str, ...], what: str) -> Any:
    for name in names:
        if found.get(name) is not None:
            return found[name]
    raise ValueError(f"has no {what}; give {', '.join(map(repr, names[:-1]))} or {names[-1]!r}")


def _messages(said: Any) -> tuple[Message, ...]:
    if not isinstance(said, list) or not said:
        raise ValueError(f"has messages that are {'an empty list' if said == [] else type(said).__name__}, not a list")
    for place, message in enumerate(said):
        try:
            check_message(message)
        except ValueError as error:
            raise ValueError(f"message {place} {error}") from None
    return tuple(said)


def _reward(said: Any) -> float:
    if not isinstance(said, bool | int | float) or not math.isfinite(said):
        raise ValueError(f"reward must be a finite number, or true or false, not {said!r:.80}")
    return float(said)


def _item(said: Any) -> str:
    if isinstance(said, bool) or not isinstance(said, str | int):
        raise ValueError(f"item must be text or a whole number, not {said!r:.80}")
    item = str(said)
    if not item or is_strange(item):
        raise ValueError(f"item must be text without NUL or lone surrogates, and not empty: {item!r:.80}")
    return item


def _trial(said: Any) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 0 <= said <= _LARGEST_TRIAL:
        raise ValueError(f"trial must be a whole number from 0, not {said!r:.80}")
    return said
