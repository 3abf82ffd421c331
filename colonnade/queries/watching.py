"""Someone waits: what takes longer than a second says how far it is, where a person can see it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Final

Progress = Callable[[int], object]
"""Told how many rows there are so far."""

PATIENCE: Final = 1.0
"""Seconds after which people like to know how far it is."""


@contextmanager
def watched(what: str, progress: Progress | None = None) -> Iterator[Progress]:
    """What to tell how many rows there are so far: ``progress``, or else whoever sits before a terminal or notebook.

    Pictures are the business of ``colonnade.display``, which is looked up by its name once it takes long enough.
    """
    if progress is not None or not _is_watched():
        yield progress or _nobody
        return
    later = _Later(what)
    try:
        yield later.tell
    finally:
        later.end()


def _nobody(rows: int) -> None:
    pass


def _is_watched() -> bool:
    return "ipykernel" in sys.modules or bool(sys.stderr and sys.stderr.isatty())


class _Later:
    """A counter of rows that shows itself when the patience is over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rows = 0
        self._is_over = False
        self._lock = threading.Lock()
        self._shown: AbstractContextManager[Any] | None = None
        self._tell: Progress = _nobody
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        self._timer.start()

    def tell(self, rows: int) -> None:
        self._rows = rows
        self._tell(rows)

    def _show(self) -> None:
        with self._lock:
            if not self._is_over:
                self._shown = import_module("colonnade.display.progress").counter(self._what)
                self._tell = self._shown.__enter__()
                self._tell(self._rows)

    def end(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            if self._shown is not None:
                self._shown.__exit__(None, None, None)
