"""When the messages of a recording were written: as recorded, or made where the recording does not say.

Made times are the same at every import and never pretend to be more: whatever carries one says so in its metadata
(``timesMade``). They begin at ``EPOCH`` and give each message a second, run after run, so that runs do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from colonnade.ingest.chat import Message
from colonnade.schemas.records import Record, parse_timestamp

EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""Where made times begin."""

MADE: Final[Record] = {"timesMade": True}
"""What the metadata of everything with a made time says."""

TIME_KEYS: Final = ("timestamp", "created_at", "createdAt")
_TICK: Final = timedelta(microseconds=1)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Times:
    """The time of each message, strictly increasing, and for each whether it was made."""

    at: tuple[datetime, ...]
    made: tuple[bool, ...]

    @property
    def any_made(self) -> bool:
        """Whether at least one was made."""
        return any(self.made)


def times_of(messages: Sequence[Message], seconds: int) -> Times:
    """The times of a run's messages, from ``timestamp``, ``created_at`` or ``createdAt`` where they say.

    Where none does, they begin ``seconds`` after ``EPOCH``, one a second. Where only some do, the others follow the
    message before them. The order of a transcript is the truth: a time that is not later than the one before it is
    moved to a microsecond after, so that a thread sorted by time reads as it was recorded. ``ValueError`` for what is
    no time.
    """
    recorded = [_recorded(message, place) for place, message in enumerate(messages)]
    known = [moment for moment in recorded if moment is not None]
    if not known:
        return Times(
            tuple(EPOCH + timedelta(seconds=seconds + place) for place in range(len(messages))),
            (True,) * len(messages),
        )
    leading = next(place for place, moment in enumerate(recorded) if moment is not None)
    last = known[0] - (leading + 1) * _TICK
    at = []
    for moment in recorded:
        last = last + _TICK if moment is None else max(moment, last + _TICK)
        at.append(last)
    return Times(tuple(at), tuple(moment is None for moment in recorded))


def _recorded(message: Message, place: int) -> datetime | None:
    for key in TIME_KEYS:
        if message.get(key) is not None:
            try:
                return _moment(message[key])
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"message {place}: {key} {error}") from None
    return None


def _moment(said: Any) -> datetime:
    """ISO 8601 text with an offset, or a number since the Unix epoch in a unit that its size tells."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return parse_timestamp(said)
    for limit, unit in ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000)):
        if abs(said) < limit:
            return _UNIX + timedelta(microseconds=said * (1_000_000 // unit))
    return _UNIX + timedelta(microseconds=int(said) // 1000)
