"""Work that begins in many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def together(work: Callable[[int], R], threads: int) -> list[R]:
    """What work gives in each of many threads, by its number; all begin when the last of them is there."""
    start = threading.Barrier(threads)

    def begin(number: int) -> R:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))
