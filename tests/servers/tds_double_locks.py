"""Locks of the TDS double: who waits for whom is known, so whoever closes a circle is told at once (error 1205)."""

from __future__ import annotations

from threading import Condition
from time import monotonic

from pysqlbridge.tds.result import QueryError

PATIENCE = 30.0
"""Seconds that a statement waits where no LOCK_TIMEOUT is set. SQL Server waits for ever, which no test should."""


class Locks:
    """Exclusive locks by name, each held by one session, again and again if it likes."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._holders: dict[str, tuple[object, int]] = {}
        self._waiting: dict[object, str] = {}

    def acquire(self, owner: object, name: str, timeout: float = PATIENCE) -> bool | None:
        """Take a lock: true, or null where it had to be waited for; false where it was not to be had in time."""
        until = monotonic() + timeout
        waited = False
        with self._changed:
            while (held := self._holders.get(name)) is not None and held[0] is not owner:
                if self._closes_a_circle(owner, name):
                    raise deadlock()
                if (left := until - monotonic()) <= 0:
                    return False
                waited = True
                self._waiting[owner] = name
                self._changed.wait(left)
                self._waiting.pop(owner, None)
            times = self._holders[name][1] if name in self._holders else 0
            self._holders[name] = (owner, times + 1)
        return None if waited else True

    def _closes_a_circle(self, owner: object, name: str) -> bool:
        while True:
            held = self._holders.get(name)
            if held is None:
                return False
            if held[0] is owner:
                return True
            if held[0] not in self._waiting:
                return False
            name = self._waiting[held[0]]

    def release(self, owner: object, name: str) -> bool:
        """Give a lock back, as often as it was taken; false where it was not held."""
        with self._changed:
            held = self._holders.get(name)
            if held is None or held[0] is not owner:
                return False
            if held[1] > 1:
                self._holders[name] = (owner, held[1] - 1)
            else:
                del self._holders[name]
                self._changed.notify_all()
            return True

    def release_all(self, owner: object, names: set[str]) -> None:
        """Give locks back, however often they were taken."""
        with self._changed:
            for name in names:
                if self._holders.get(name, (None, 0))[0] is owner:
                    del self._holders[name]
            self._changed.notify_all()


def deadlock() -> QueryError:
    """Error 1205."""
    return QueryError(
        "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim. "
        "Rerun the transaction.",
        number=1205,
        severity=13,
    )
