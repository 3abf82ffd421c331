"""T-SQL's aggregates that SQLite does not have, for the TDS double."""

from __future__ import annotations

import math
from bisect import insort
from typing import Any


class Sum:
    """SUM of whole numbers, which is exact, and refuses what its type does not take."""

    def __init__(self) -> None:
        self._found: int | float | None = None

    def step(self, value: Any) -> None:
        """One more."""
        if value is not None:
            self._found = (self._found or 0) + (int(value) if isinstance(value, str) else value)

    def finalize(self) -> Any:
        """The sum; as text where SQLite has no whole number for it."""
        big = isinstance(self._found, int) and not -(2**63) <= self._found < 2**63
        return str(self._found) if big else self._found


class Percentile:
    """PERCENTILE_CONT over all rows of a window."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._at = 0.0

    def step(self, value: Any, at: float) -> None:
        """One more."""
        self._at = at
        if value is not None:
            insort(self._values, value)

    def inverse(self, value: Any, _: float) -> None:
        """One less."""
        if value is not None:
            self._values.remove(value)

    def value(self) -> float | None:
        """What lies there, between the two values that are nearest."""
        if not self._values:
            return None
        place = self._at * (len(self._values) - 1)
        low, high = self._values[math.floor(place)], self._values[math.ceil(place)]
        return float(low + (high - low) * (place - math.floor(place)))

    finalize = value
