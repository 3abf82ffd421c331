"""Moments as whole microseconds since the Unix epoch, as columns hold them, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def micros_of(moment: datetime) -> int:
    """Microseconds from the epoch to an aware moment."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(micros: int) -> datetime:
    """The moment so many microseconds after the epoch, in UTC; ``OverflowError`` beyond the years 1 to 9999."""
    return EPOCH + micros * MICROSECOND
