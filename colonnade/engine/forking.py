"""Forks: what a process has open must be neither used nor closed by the children that it forks off.

A file lock is held until the last copy of its descriptor is closed; a database whose threads are not there cannot be
closed; a lock that another thread had at that moment is never given back. Whoever has such a thing says here what is to
happen before a fork, and after it on either side. Starting another program (``subprocess``) is no fork in this sense.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakKeyDictionary

FORK_PATIENCE: Final = 10.0
"""Seconds for which a fork waits for other threads to come to rest; then the child leaves behind what they had."""


class Forks(Protocol):
    """Something that has to do with forks. None of its methods may raise."""

    def before_fork(self) -> None:
        """Come to rest, in the thread that forks; other threads run on until the fork."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent, and begin anew."""


_KNOWN: Final[WeakKeyDictionary[Forks, int]] = WeakKeyDictionary()
_resting: list[Forks] = []


def survives_forks(what: Forks, *, rank: int = 1) -> None:
    """Tell it of forks as long as it lives; those of a lower rank come to rest first."""
    _KNOWN[what] = rank


def _before() -> None:
    _resting[:] = sorted(_KNOWN, key=_KNOWN.__getitem__)
    for each in _resting:
        each.before_fork()


def _in_parent() -> None:
    while _resting:
        _resting.pop().after_fork_in_parent()


def _in_child() -> None:
    while _resting:
        _resting.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
